//! Several streams as one.

use std::marker::PhantomData;

use flowdsl_runtime::dataflow::{Edge, Origin, Stages, ToEdge, union};
use flowdsl_runtime::protocol::{PlanStage, StageKind};
use flowdsl_runtime::record::Rec;

use super::flow::Flow;
use super::label::Labels;
use super::stream::{EdgeStream, Marker, Stream};

/// A union while its parts are added; see [`Flow::union`].
#[must_use = "a union is a stream when it is merged"]
pub struct Union<'s, K, E, T> {
    flow: Flow<'s>,
    id: String,
    node: usize,
    edges: Vec<Edge<'s, Rec<K, E, T>>>,
    record: Marker<K, E, T>,
}

impl<'s, K, E, T> Union<'s, K, E, T> {
    pub(crate) fn new(flow: Flow<'s>, id: &str) -> Self {
        let node = flow.graph().add_stage(PlanStage {
            id: id.into(),
            operation: "union".to_owned(),
            detail: String::new(),
            kind: StageKind::Stateless,
            schema: None,
        });
        Self {
            flow,
            id: id.to_owned(),
            node,
            edges: Vec::new(),
            record: PhantomData,
        }
    }

    /// Adds a stream.
    pub fn and<O, S>(mut self, stream: Stream<'s, O, S, K, E, T>) -> Self
    where
        O: Origin<'s>,
        S: Stages<In = O::Item, Out = Rec<K, E, T>>,
        K: 'static,
        E: 'static,
        T: 'static,
    {
        let (_, _, node, edge) = stream.into_edge(ToEdge);
        self.flow.graph().add_edge(node, self.node, false);
        self.edges.push(edge);
        self
    }

    /// The stream of all records of all parts.
    pub fn merge(self) -> EdgeStream<'s, K, E, T>
    where
        K: 'static,
        E: 'static,
        T: 'static,
    {
        let edge = union(self.flow.graph(), self.edges);
        Stream::on_edge(self.flow, Labels::of_chain(&self.id), self.node, edge)
    }
}
