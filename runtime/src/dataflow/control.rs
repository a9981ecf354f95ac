//! The control dataflow: the coordinator's decisions on their way to every worker.
//!
//! A dataflow of its own, so that decisions need no shared memory and work across processes. It
//! outlives the data's dataflow: it ends when the coordinator has closed its end.

use std::rc::Rc;
use std::sync::mpsc::{Receiver, TryRecvError};

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

use super::board::Board;
use crate::protocol::Control;

/// Installs the control dataflow. The worker with `decisions` sends them to all; whoever puts one
/// into the channel wakes that worker with what is returned.
pub(crate) fn install_control(
    worker: &mut Worker,
    board: Rc<Board>,
    decisions: Option<Receiver<Control>>,
) -> SyncActivator {
    worker.dataflow_named::<u64, _, _>("control", |scope| {
        let mut builder = OperatorBuilder::new("decisions".to_owned(), scope);
        let (output, stream) = builder.new_output::<Vec<Control>>();
        let wake = scope
            .worker()
            .sync_activator_for(builder.operator_info().address.to_vec());
        builder.build(move |mut capabilities| {
            let mut output = OutputBuilder::from(output);
            let mut capability = decisions.is_some().then(|| capabilities.remove(0));
            drop(capabilities);
            move |_: &[_]| {
                let Some(decisions) = &decisions else { return };
                loop {
                    match decisions.try_recv() {
                        Ok(control) => {
                            if let Some(capability) = &capability {
                                output.activate().session(capability).give(control);
                            }
                        }
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => {
                            capability = None;
                            break;
                        }
                    }
                }
            }
        });
        stream
            .broadcast()
            .sink(Pipeline, "board", move |(input, _)| {
                input.for_each(|_, decisions| {
                    for control in decisions.drain(..) {
                        board.write(&control);
                    }
                });
            });
        wake
    })
}
