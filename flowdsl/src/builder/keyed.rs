//! A keyed stream on its way to the workers that own its keys.

use flowdsl_runtime::dataflow::{Data, Edge, Origin, StageOrigin, Stages, Start, ToKeyGroups};
use flowdsl_runtime::key::Key;
use flowdsl_runtime::protocol::{PlanStage, StageKind};
use flowdsl_runtime::record::{Keyed, Rec, Unkeyed};
use flowdsl_runtime::state::KeyedLogic;

use super::flow::Flow;
use super::label::Labels;
use super::stream::{StageStream, Stream};

/// A keyed stream that waits behind the exchange.
pub struct KeyedEdge<'s, Q, E, T> {
    flow: Flow<'s>,
    labels: Labels,
    node: usize,
    edge: Edge<'s, Rec<Keyed<Q>, E, T>>,
}

/// An edge of keyed records.
pub(crate) type KeyedRecords<'s, Q, E, T> = Edge<'s, Rec<Keyed<Q>, E, T>>;

/// A keyed stream, sent to the workers that own its keys.
pub trait IntoKeyedStream<'s, Q, E, T> {
    /// Ends the operator in an exchange.
    fn into_keyed_stream(self) -> KeyedEdge<'s, Q, E, T>;
}

impl<'s, O, S, Q, E, T> IntoKeyedStream<'s, Q, E, T> for Stream<'s, O, S, Keyed<Q>, E, T>
where
    O: Origin<'s>,
    S: Stages<In = O::Item, Out = Rec<Keyed<Q>, E, T>>,
    Q: Key,
    E: 'static,
    T: 'static,
{
    fn into_keyed_stream(self) -> KeyedEdge<'s, Q, E, T> {
        let (flow, labels, node, edge) = self.into_edge(ToKeyGroups);
        KeyedEdge {
            flow,
            labels,
            node,
            edge,
        }
    }
}

impl<'s, Q, E, T> KeyedEdge<'s, Q, E, T> {
    /// Adds a stage with state, with its edge, to the plan.
    pub(crate) fn add_keyed_stage<L: KeyedLogic>(
        &mut self,
        operation: &str,
        detail: String,
        logic: &L,
    ) -> (String, usize) {
        let id = self.labels.take(operation);
        let stage = PlanStage {
            id: id.as_str().into(),
            operation: operation.to_owned(),
            detail,
            kind: StageKind::Keyed,
            schema: Some(logic.schema()),
        };
        let node = self.flow.graph().add_stage(stage);
        self.flow.graph().add_edge(self.node, node, true);
        (id, node)
    }

    pub(crate) fn keyed_stage<L, E2, T2>(
        mut self,
        operation: &str,
        detail: String,
        logic: L,
    ) -> StageStream<'s, L, Unkeyed, E2, T2>
    where
        L: KeyedLogic<In = Rec<Keyed<Q>, E, T>, Out = Rec<Unkeyed, E2, T2>>,
        Rec<Keyed<Q>, E, T>: Data,
        E2: 'static,
        T2: 'static,
    {
        let (id, node) = self.add_keyed_stage(operation, detail, &logic);
        let origin = StageOrigin::new(self.edge, id.as_str().into(), logic);
        Stream::begin(self.flow, self.labels, node, origin, Start::default())
    }

    pub(crate) fn into_parts(self) -> (Flow<'s>, Labels, KeyedRecords<'s, Q, E, T>) {
        (self.flow, self.labels, self.edge)
    }
}
