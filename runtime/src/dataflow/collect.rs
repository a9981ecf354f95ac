//! Where all answers meet: an operator on the first worker that passes them to the coordinator.

use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::graph::Graph;
use crate::ids::Epoch;
use crate::protocol::{Acknowledgement, Report};

/// What the workers tell the coordinator.
#[derive(Clone, Debug)]
pub(crate) enum FromWorkers {
    /// An answer.
    Ack(Acknowledgement),
    /// The ack frontier: every answer for epochs before this one has arrived. `None` when nothing
    /// can arrive any more.
    AnsweredBefore(Option<Epoch>),
    /// Something else.
    Report(Report),
}

/// Where the coordinator hears the workers.
pub(crate) type Inbox = Box<dyn Fn(FromWorkers) + Send>;

/// Installs the operator; the first worker has the coordinator's `inbox`.
pub(crate) fn install_collector(graph: &Graph<'_>, inbox: Option<Inbox>) {
    let (acks, reports) = graph.take_answers();
    let scope = graph.scope();
    let (acks, reports) = (scope.concatenate(acks), scope.concatenate(reports));
    let mut builder = OperatorBuilder::new("answers".to_owned(), scope);
    let mut acks = builder.new_input(acks, Exchange::new(|_: &Acknowledgement| 0));
    let mut reports = builder.new_input(reports, Exchange::new(|_: &Report| 0));
    builder.build(move |_| {
        let mut answered = Some(Epoch(0));
        move |frontiers| {
            let tell = |message| {
                if let Some(inbox) = &inbox {
                    inbox(message);
                }
            };
            acks.for_each(|_, batch| {
                for ack in batch.drain(..) {
                    tell(FromWorkers::Ack(ack));
                }
            });
            reports.for_each(|_, batch| {
                for report in batch.drain(..) {
                    tell(FromWorkers::Report(report));
                }
            });
            let before = frontiers[0]
                .frontier()
                .iter()
                .map(|moment| moment.epoch)
                .min();
            if before != answered {
                answered = before;
                tell(FromWorkers::AnsweredBefore(before));
            }
        }
    });
}
