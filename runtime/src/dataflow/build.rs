//! Origins behind an edge: stages with state, and edges that are only read.

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::dataflow::operators::Concatenate;

use super::alarm::Alarm;
use super::answers::Answers;
use super::fuse::{Label, Stages};
use super::graph::Graph;
use super::inbox::{AnyPact, Exchanged, Inbox, Local};
use super::origin::Origin;
use super::passthrough::Passthrough;
use super::ports::{Capabilities, Ports};
use super::stage::{Parts, StageOperator};
use super::target::{Edge, EdgeTarget, Target, TargetSpec, ToEdge};
use crate::ids::StageId;
use crate::state::KeyedLogic;

/// Records that may change the worker, and so may cross between processes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between workers",
    label = "cannot travel between workers",
    note = "put `#[derive(Serialize, Deserialize)]` on the record's type; it must be `Send + 'static` too"
)]
pub trait Data: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Data for T {}

/// A stage with state that has not been built yet.
pub struct StageOrigin<'s, L: KeyedLogic> {
    edge: Edge<'s, L::In>,
    stage: StageId,
    logic: L,
}

impl<'s, L: KeyedLogic<In: Data>> StageOrigin<'s, L> {
    /// The stage `stage` behind `edge`.
    pub fn new(edge: Edge<'s, L::In>, stage: StageId, logic: L) -> Self {
        Self { edge, stage, logic }
    }

    /// Builds the operator with a second output, for late records.
    pub fn build_with_late(self, graph: &Graph<'s>) -> (Edge<'s, L::Out>, Edge<'s, L::In>) {
        let mut ports = Ports::new(graph, self.stage.as_str());
        let pact = Exchanged(AnyPact {
            exchange: self.edge.exchange,
        });
        let inbox = Inbox::new(
            ports.builder.new_input(self.edge.stream, pact),
            graph.context().mode,
        );
        let (target, results) = ToEdge.attach(&mut ports);
        let (late, late_records) = ToEdge.attach(&mut ports);
        let answers = Answers::attach(&mut ports, Some(self.stage.clone()), None);
        let stages = super::fuse::Start::default();
        let label = Label::new(self.stage.as_str());
        install(
            ports,
            Some(self.stage),
            label,
            self.logic,
            inbox,
            stages,
            target,
            Some(late),
            Some(answers),
        );
        (results, late_records)
    }
}

impl<'s, L: KeyedLogic<In: Data>> Origin<'s> for StageOrigin<'s, L> {
    type Item = L::Out;

    fn build<St, T>(self, graph: &Graph<'s>, stages: St, target: T) -> T::Result
    where
        St: Stages<In = L::Out>,
        T: TargetSpec<'s, St::Out>,
    {
        let mut ports = Ports::new(graph, self.stage.as_str());
        let pact = Exchanged(AnyPact {
            exchange: self.edge.exchange,
        });
        let inbox = Inbox::new(
            ports.builder.new_input(self.edge.stream, pact),
            graph.context().mode,
        );
        let sink = target.transactional(graph.context());
        let (target, result) = target.attach(&mut ports);
        let answers = Answers::attach(&mut ports, Some(self.stage.clone()), sink);
        let label = Label::new(self.stage.as_str());
        install(
            ports,
            Some(self.stage),
            label,
            self.logic,
            inbox,
            stages,
            target,
            None,
            Some(answers),
        );
        result
    }
}

/// An edge that is read, without a stage of its own.
pub struct EdgeOrigin<'s, R> {
    edge: Edge<'s, R>,
    name: String,
}

impl<'s, R: 'static> EdgeOrigin<'s, R> {
    /// Reads `edge`; `name` is for panics and logs.
    pub fn new(edge: Edge<'s, R>, name: &str) -> Self {
        Self {
            edge,
            name: name.to_owned(),
        }
    }
}

impl<'s, R: 'static> Origin<'s> for EdgeOrigin<'s, R> {
    type Item = R;

    fn build<St, T>(self, graph: &Graph<'s>, stages: St, target: T) -> T::Result
    where
        St: Stages<In = R>,
        T: TargetSpec<'s, St::Out>,
    {
        let mut ports = Ports::new(graph, &self.name);
        let inbox = Inbox::new(
            ports.builder.new_input(self.edge.stream, Local),
            graph.context().mode,
        );
        let is_sink = target.is_sink();
        let sink = target.transactional(graph.context());
        let (target, result) = target.attach(&mut ports);
        // A plain sink has no snapshot, but records before a barrier have to reach it before the
        // checkpoint is complete: nobody would read them again.
        let answers = is_sink.then(|| Answers::attach(&mut ports, None, sink));
        let label = Label::new(&self.name);
        install(
            ports,
            None,
            label,
            Passthrough::default(),
            inbox,
            stages,
            target,
            None,
            answers,
        );
        result
    }
}

/// One edge that carries the records of several.
pub fn union<'s, R: 'static>(graph: &Graph<'s>, edges: Vec<Edge<'s, R>>) -> Edge<'s, R> {
    let streams: Vec<_> = edges.into_iter().map(|edge| edge.stream).collect();
    Edge {
        stream: graph.scope().concatenate(streams),
        exchange: false,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the one place where an operator's parts meet"
)]
fn install<L, St, T>(
    ports: Ports<'_>,
    stage: Option<StageId>,
    label: Label,
    logic: L,
    inbox: Inbox<L::In>,
    stages: St,
    mut target: T,
    mut late: Option<EdgeTarget<L::In>>,
    mut answers: Option<Answers>,
) where
    L: KeyedLogic,
    St: Stages<In = L::Out>,
    T: Target<St::Out>,
{
    let context = Rc::clone(ports.context());
    let (again, alarm) = (ports.activator(), Alarm::new(ports.activator()));
    context.board.wakes(ports.activator());
    ports.build(move |capabilities: &mut Capabilities| {
        target.start(capabilities);
        if let Some(late) = &mut late {
            Target::start(late, capabilities);
        }
        if let Some(answers) = &mut answers {
            answers.start(capabilities);
        }
        let parts = Parts {
            context,
            stage,
            label,
            logic,
            inbox,
            stages,
            target,
            late,
            answers,
            again,
            alarm,
        };
        let mut operator = StageOperator::new(parts);
        move |frontiers: &[_]| operator.run(&frontiers[0])
    });
}
