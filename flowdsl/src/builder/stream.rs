//! A stream: an operator that waits for its end, and the stateless stages fused behind it so far.

use std::marker::PhantomData;
use std::time::Duration;

use flowdsl_runtime::connector::{Sink, SinkGuarantee, Source};
use flowdsl_runtime::dataflow::{
    Data, Edge, EdgeOrigin, EventTime, Filter, FilterMap, FlatMap, FromSource, Inspect,
    IntoEventTime, KeyBy, Label, Map, Origin, SourceOrigin, StageOrigin, Stages, Start, TargetSpec,
    ToEdge, ToSink,
};
use flowdsl_runtime::key::Key;
use flowdsl_runtime::protocol::{PlanStage, StageKind};
use flowdsl_runtime::record::{KeyValue, Keyed, Rec, RecordError, Timed, Unkeyed, Untimed};
use flowdsl_runtime::state::{Fold, Reduce, State};

use super::bounds::{AtSource, HasEventTime, HasKey, WithoutEventTime};
use super::flow::Flow;
use super::keyed::IntoKeyedStream;
use super::label::Labels;
use super::window::{WindowedStream, Windows};
use crate::Error;

/// A stream of records `T`, with key `K` ([`Keyed`] or [`Unkeyed`]) and event time `E` ([`Timed`]
/// or [`Untimed`]).
///
/// `O` and `S` are the operator and the stages behind it; they are inferred and never written.
#[must_use = "a stream that goes nowhere does nothing: end it with `sink`"]
pub struct Stream<'s, O, S, K, E, T> {
    flow: Flow<'s>,
    labels: Labels,
    /// The position of the last stage in the plan.
    node: usize,
    origin: O,
    stages: S,
    record: Marker<K, E, T>,
}

/// What a stream's records are, of which it holds none.
pub(crate) type Marker<K, E, T> = PhantomData<fn() -> (K, E, T)>;

/// The stream of a source.
pub type SourceFor<'s, S> = Stream<
    's,
    SourceOrigin<S>,
    FromSource<<S as Source>::Item>,
    Unkeyed,
    Untimed,
    <S as Source>::Item,
>;

/// A stream on an edge of its own.
pub(crate) type EdgeStream<'s, K, E, T> =
    Stream<'s, EdgeOrigin<'s, Rec<K, E, T>>, Start<Rec<K, E, T>>, K, E, T>;

/// The stream of a running fold.
pub type Folded<'s, Q, E, T, V, F> =
    StageStream<'s, Fold<Q, E, T, V, F>, Unkeyed, E, KeyValue<Q, V>>;

/// A stream behind a stage with state.
pub(crate) type StageStream<'s, L, K, E, T> =
    Stream<'s, StageOrigin<'s, L>, Start<Rec<K, E, T>>, K, E, T>;

impl<'s, O, S, K, E, T> Stream<'s, O, S, K, E, T> {
    pub(crate) fn begin(flow: Flow<'s>, labels: Labels, node: usize, origin: O, stages: S) -> Self {
        Self {
            flow,
            labels,
            node,
            origin,
            stages,
            record: PhantomData,
        }
    }

    /// Names the next stage: in errors and plans, and, where it keeps state, in checkpoints.
    pub fn at(mut self, id: &str) -> Self {
        self.labels.name_next(id);
        self
    }

    /// Makes another record of each.
    pub fn map<U, F>(self, f: F) -> Stream<'s, O, Map<S, F>, K, E, U>
    where
        F: Fn(T) -> U + 'static,
    {
        self.fuse("map", |stages, label| Map::new(stages, label, f))
    }

    /// Keeps the records for which `f` holds.
    pub fn filter<F>(self, f: F) -> Stream<'s, O, Filter<S, F>, K, E, T>
    where
        F: Fn(&T) -> bool + 'static,
    {
        self.fuse("filter", |stages, label| Filter::new(stages, label, f))
    }

    /// Makes another record of each, or none.
    pub fn filter_map<U, F>(self, f: F) -> Stream<'s, O, FilterMap<S, F>, K, E, U>
    where
        F: Fn(T) -> Option<U> + 'static,
    {
        self.fuse("filter_map", |stages, label| {
            FilterMap::new(stages, label, f)
        })
    }

    /// Makes any number of records of each; they keep its key and event time.
    pub fn flat_map<I, F>(self, f: F) -> Stream<'s, O, FlatMap<S, F>, K, E, I::Item>
    where
        F: Fn(T) -> I + 'static,
        I: IntoIterator,
    {
        self.fuse("flat_map", |stages, label| FlatMap::new(stages, label, f))
    }

    /// Looks at each record. After a crash some are seen again.
    pub fn inspect<F>(self, f: F) -> Stream<'s, O, Inspect<S, F>, K, E, T>
    where
        F: Fn(&T) + 'static,
    {
        self.fuse("inspect", |stages, label| Inspect::new(stages, label, f))
    }

    /// Gives each record its key. Records of one key meet on one worker at the next stage with state.
    pub fn key_by<Q, F>(self, f: F) -> Stream<'s, O, KeyBy<S, F>, Keyed<Q>, E, T>
    where
        F: Fn(&T) -> Q + 'static,
        Q: Key,
    {
        self.fuse("key_by", |stages, label| KeyBy::new(stages, label, f))
    }

    /// Gives each record its event time, in milliseconds since the Unix epoch.
    ///
    /// `lateness` bounds the disorder within a split: the split's watermark stays that far behind
    /// the greatest event time seen, and records within it are never late. Stands before any
    /// `window`, `union` or other stage that changes the operator.
    pub fn event_time<R, F>(
        self,
        f: F,
        lateness: Duration,
    ) -> Stream<'s, O, EventTime<S, F>, K, Timed, T>
    where
        F: Fn(&T) -> R + 'static,
        R: IntoEventTime,
        O: AtSource,
        E: WithoutEventTime,
    {
        let millis = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
        self.fuse("event_time", |stages, label| {
            EventTime::new(stages, label, f, millis)
        })
    }

    fn fuse<S2, K2, E2, T2>(
        mut self,
        operation: &str,
        stage: impl FnOnce(S, Label) -> S2,
    ) -> Stream<'s, O, S2, K2, E2, T2> {
        let id = self.labels.take(operation);
        let label = Label::new(&id);
        let node = self.add_stage(&id, operation, String::new(), StageKind::Stateless, false);
        Stream::begin(
            self.flow,
            self.labels,
            node,
            self.origin,
            stage(self.stages, label),
        )
    }

    fn add_stage(
        &self,
        id: &str,
        operation: &str,
        detail: String,
        kind: StageKind,
        exchange: bool,
    ) -> usize {
        self.add(
            PlanStage {
                id: id.into(),
                operation: operation.to_owned(),
                detail,
                kind,
                schema: None,
            },
            exchange,
        )
    }

    pub(crate) fn report(&self, error: Option<Error>) {
        if let Some(error) = error {
            self.flow
                .graph()
                .add_error(error.in_stage(self.labels.chain()));
        }
    }

    fn add(&self, stage: PlanStage, exchange: bool) -> usize {
        let node = self.flow.graph().add_stage(stage);
        self.flow.graph().add_edge(self.node, node, exchange);
        node
    }
}

impl<'s, O, S, K, E, T> Stream<'s, O, S, K, E, T>
where
    O: Origin<'s>,
    S: Stages<In = O::Item, Out = Rec<K, E, T>>,
    K: 'static,
    E: 'static,
    T: 'static,
{
    /// Ends the chain.
    pub fn sink<W>(mut self, sink: W)
    where
        W: Sink<T>,
    {
        let id = self.labels.take("sink");
        let kind = match sink.guarantee() {
            SinkGuarantee::Plain => StageKind::Sink,
            SinkGuarantee::ExactlyOnce(_) => StageKind::TransactionalSink,
        };
        self.add_stage(&id, "sink", sink.describe(), kind, false);
        self.origin.build(
            self.flow.graph(),
            self.stages,
            ToSink::new(id.as_str().into(), sink),
        );
    }

    /// Shares the stream: each [`branch`](Shared::branch) gets every record.
    pub fn shared(self) -> Shared<'s, K, E, T>
    where
        K: Clone,
        E: Clone,
        T: Clone,
    {
        let (flow, labels, node, edge) = self.into_edge(ToEdge);
        Shared {
            flow,
            labels,
            node,
            edge,
        }
    }

    /// Builds the operator, with its records going over an edge of this kind.
    pub(crate) fn into_edge<P>(self, to: P) -> (Flow<'s>, Labels, usize, Edge<'s, Rec<K, E, T>>)
    where
        P: TargetSpec<'s, Rec<K, E, T>, Result = Edge<'s, Rec<K, E, T>>>,
    {
        let edge = self.origin.build(self.flow.graph(), self.stages, to);
        (self.flow, self.labels, self.node, edge)
    }
}

impl<'s, R, S, K, E, T> Stream<'s, SourceOrigin<R>, S, K, E, T>
where
    R: Source,
    S: Stages<In = R::Item, Out = Rec<K, E, T>>,
    K: 'static,
    E: 'static,
    T: 'static,
{
    /// Ends the source's operator here, with a second stream: the records that it could not read.
    ///
    /// Without it, such a record ends the job with its place. It stands behind `event_time`, which is
    /// made where the source reads.
    pub fn with_errors(
        self,
    ) -> (
        EdgeStream<'s, K, E, T>,
        EdgeStream<'s, Unkeyed, Untimed, RecordError>,
    ) {
        let (records, malformed) = self
            .origin
            .build_with_errors(self.flow.graph(), self.stages);
        let (flow, labels) = (self.flow, self.labels);
        (
            Stream::on_edge(flow.clone(), labels.clone(), self.node, records),
            Stream::on_edge(flow, labels, self.node, malformed),
        )
    }
}

impl<'s, K: 'static, E: 'static, T: 'static> EdgeStream<'s, K, E, T> {
    pub(crate) fn on_edge(
        flow: Flow<'s>,
        labels: Labels,
        node: usize,
        edge: Edge<'s, Rec<K, E, T>>,
    ) -> Self {
        let origin = EdgeOrigin::new(edge, labels.chain());
        Self::begin(flow, labels, node, origin, Start::default())
    }
}

/// Stages that keep state for each key.
impl<'s, O, S, K, E, T> Stream<'s, O, S, K, E, T> {
    /// Splits the records of each key into windows over event time; an aggregate follows.
    pub fn window<W>(self, windows: Windows<W>) -> WindowedStream<'s, O, S, K, E, T, W>
    where
        K: HasKey,
        E: HasEventTime,
    {
        WindowedStream::new(self, windows)
    }

    /// Merges the records of each key into one, and emits the merged record for each that comes in.
    ///
    /// The state is the merged record of each key; it is restored from the checkpoint.
    pub fn reduce<F, Q>(self, f: F) -> StageStream<'s, Reduce<Q, E, T, F>, Unkeyed, E, T>
    where
        F: Fn(&mut T, T) + 'static,
        O: Origin<'s>,
        S: Stages<In = O::Item, Out = Rec<K, E, T>>,
        K: HasKey<Key = Q>,
        Q: Key,
        T: State,
        E: Data + Copy,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        IntoKeyedStream::into_keyed_stream(self).keyed_stage(
            "reduce",
            String::new(),
            Reduce::new(f),
        )
    }

    /// Folds the records of each key into a value, and emits the value for each record.
    ///
    /// The state is the value of each key; it is restored from the checkpoint.
    pub fn fold<V, F, Q>(self, init: V, f: F) -> Folded<'s, Q, E, T, V, F>
    where
        F: Fn(&mut V, T) + 'static,
        O: Origin<'s>,
        S: Stages<In = O::Item, Out = Rec<K, E, T>>,
        K: HasKey<Key = Q>,
        Q: Key,
        V: State,
        T: Data,
        E: Data + Copy,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        IntoKeyedStream::into_keyed_stream(self).keyed_stage(
            "fold",
            String::new(),
            Fold::new(init, f),
        )
    }
}

/// A stream used more than once.
pub struct Shared<'s, K, E, T> {
    flow: Flow<'s>,
    labels: Labels,
    node: usize,
    edge: Edge<'s, Rec<K, E, T>>,
}

impl<'s, K, E, T> Shared<'s, K, E, T>
where
    K: Clone + 'static,
    E: Clone + 'static,
    T: Clone + 'static,
{
    /// A stream of all records.
    pub fn branch(&self) -> EdgeStream<'s, K, E, T> {
        Stream::on_edge(
            self.flow.clone(),
            self.labels.clone(),
            self.node,
            self.edge.clone(),
        )
    }
}
