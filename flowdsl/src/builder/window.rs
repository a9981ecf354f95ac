//! Windows over the event time of each key.

use std::time::Duration;

use flowdsl_runtime::dataflow::{Data, EdgeOrigin, Origin, StageOrigin, Stages, Start};
use flowdsl_runtime::key::Key;
use flowdsl_runtime::record::{Keyed, Rec, Timed, Unkeyed, Windowed};
use flowdsl_runtime::state::State;
use flowdsl_runtime::window::{
    Aggregate, Aggregates, Aggregator, ByAggregate, ByFold, ByReduce, Session, Sliding, Tumbling,
    WindowSpec,
};

use super::keyed::IntoKeyedStream;
use super::stream::{EdgeStream, StageStream, Stream};
use crate::Error;

/// Which windows, with their options; made by [`tumbling`], [`sliding`] and [`session`].
#[derive(Clone, Debug)]
pub struct Windows<W> {
    spec: W,
    error: Option<Error>,
    allowed_lateness_ms: i64,
    detail: String,
}

/// Windows of one size that follow each other without a gap.
pub fn tumbling(size: Duration) -> Windows<Tumbling> {
    Windows::new(
        Tumbling::new(millis(size)),
        || Tumbling::new(1),
        format!("tumbling {size:?}"),
    )
}

/// Windows of one size, of which one begins each `every`; a record is in several.
pub fn sliding(size: Duration, every: Duration) -> Windows<Sliding> {
    Windows::new(
        Sliding::new(millis(size), millis(every)),
        || Sliding::new(1, 1),
        format!("sliding {size:?} every {every:?}"),
    )
}

/// Windows that last as long as the records of a key follow each other within `gap`.
pub fn session(gap: Duration) -> Windows<Session> {
    Windows::new(
        Session::new(millis(gap)),
        || Session::new(1),
        format!("session {gap:?}"),
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<W> Windows<W> {
    fn new(
        spec: Result<W, Error>,
        stand_in: impl Fn() -> Result<W, Error>,
        detail: String,
    ) -> Self {
        let (spec, error) = match spec {
            Ok(spec) => (spec, None),
            // The job does not start; the stand-in only keeps the graph whole until then.
            Err(error) => (stand_in().expect("1 ms is a valid size"), Some(error)),
        };
        Self {
            spec,
            error,
            allowed_lateness_ms: 0,
            detail,
        }
    }

    /// Records whose window ended at most this long before the watermark fire it again.
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.allowed_lateness_ms = millis(lateness);
        self
    }
}

impl Windows<Tumbling> {
    /// The same windows, moved by `offset_ms`.
    pub fn offset(mut self, offset_ms: i64) -> Self {
        self.spec = self.spec.offset(offset_ms);
        self
    }
}

impl Windows<Sliding> {
    /// The same windows, moved by `offset_ms`.
    pub fn offset(mut self, offset_ms: i64) -> Self {
        self.spec = self.spec.offset(offset_ms);
        self
    }
}

/// A stream whose records are in windows, until an aggregate says what becomes of them.
#[must_use = "windows do nothing by themselves: say what they compute with `aggregate`, `reduce` or `fold`"]
pub struct WindowedStream<'s, O, S, K, E, T, W> {
    stream: Stream<'s, O, S, K, E, T>,
    windows: Windows<W>,
}

/// A [`WindowedStream`] whose late records are a stream of their own.
#[must_use = "windows do nothing by themselves: say what they compute with `aggregate`, `reduce` or `fold`"]
pub struct LateWindowedStream<'s, O, S, K, E, T, W>(WindowedStream<'s, O, S, K, E, T, W>);

/// The stage of windows `W` with the aggregator `G`.
type LogicOf<W, Q, T, G> = <W as WindowSpec<Q, T, G>>::Logic;

/// The results of windows `W` with the aggregator `G`.
pub type WindowResults<'s, W, Q, T, G> =
    StageStream<'s, LogicOf<W, Q, T, G>, Unkeyed, Timed, Windowed<Q, <G as Aggregator<T>>::Out>>;

/// The results of windows on an edge of their own, and the late records.
pub type ResultsAndLate<'s, Q, T, G> = (
    Stream<
        's,
        EdgeOrigin<'s, Rec<Unkeyed, Timed, Windowed<Q, <G as Aggregator<T>>::Out>>>,
        Start<Rec<Unkeyed, Timed, Windowed<Q, <G as Aggregator<T>>::Out>>>,
        Unkeyed,
        Timed,
        Windowed<Q, <G as Aggregator<T>>::Out>,
    >,
    EdgeStream<'s, Keyed<Q>, Timed, T>,
);

impl<'s, O, S, K, E, T, W> WindowedStream<'s, O, S, K, E, T, W> {
    pub(crate) fn new(stream: Stream<'s, O, S, K, E, T>, windows: Windows<W>) -> Self {
        Self { stream, windows }
    }

    /// Names the next stage, the aggregate: the id of the windows' state.
    pub fn at(mut self, id: &str) -> Self {
        self.stream = self.stream.at(id);
        self
    }

    /// Makes a stream of the late records; without it they are dropped and counted.
    pub fn with_late(self) -> LateWindowedStream<'s, O, S, K, E, T, W> {
        LateWindowedStream(self)
    }
}

impl<'s, O, S, Q, T, W> WindowedStream<'s, O, S, Keyed<Q>, Timed, T, W>
where
    O: Origin<'s>,
    S: Stages<In = O::Item, Out = Rec<Keyed<Q>, Timed, T>>,
    Q: Key,
    T: Data,
{
    /// Aggregates the records of each window.
    ///
    /// The state is one accumulator for each open window of each key; it is restored from the
    /// checkpoint, and freed when the watermark has passed the window and its allowed lateness.
    pub fn aggregate<A>(
        self,
        make: impl FnOnce(&Aggregates<T>) -> A,
    ) -> WindowResults<'s, W, Q, T, ByAggregate<A>>
    where
        A: Aggregate<T>,
        W: WindowSpec<Q, T, ByAggregate<A>>,
    {
        self.compute("aggregate", ByAggregate(make(&Aggregates::default())))
    }

    /// Merges the records of each window into one.
    pub fn reduce<F>(self, f: F) -> WindowResults<'s, W, Q, T, ByReduce<F>>
    where
        F: Fn(&mut T, T) + 'static,
        T: State,
        W: WindowSpec<Q, T, ByReduce<F>>,
    {
        self.compute("reduce", ByReduce(f))
    }

    /// Folds the records of each window into a value. Not for sessions: values of two sessions
    /// that merge cannot be merged by a fold.
    pub fn fold<V, F>(self, init: V, f: F) -> WindowResults<'s, W, Q, T, ByFold<V, F, T>>
    where
        F: Fn(&mut V, T) + 'static,
        V: State,
        T: Clone,
        W: WindowSpec<Q, T, ByFold<V, F, T>>,
    {
        self.compute("fold", ByFold::new(init, f))
    }

    fn compute<G>(self, operation: &str, aggregator: G) -> WindowResults<'s, W, Q, T, G>
    where
        G: Aggregator<T>,
        W: WindowSpec<Q, T, G>,
    {
        let Self { stream, windows } = self;
        stream.report(windows.error);
        let logic = windows.spec.logic(windows.allowed_lateness_ms, aggregator);
        stream
            .into_keyed_stream()
            .keyed_stage(operation, windows.detail, logic)
    }
}

impl<'s, O, S, Q, T, W> LateWindowedStream<'s, O, S, Keyed<Q>, Timed, T, W>
where
    O: Origin<'s>,
    S: Stages<In = O::Item, Out = Rec<Keyed<Q>, Timed, T>>,
    Q: Key,
    T: Data,
{
    /// Names the next stage, the aggregate: the id of the windows' state.
    pub fn at(mut self, id: &str) -> Self {
        self.0 = self.0.at(id);
        self
    }

    /// As [`WindowedStream::aggregate`], with the late records as a second stream.
    pub fn aggregate<A>(
        self,
        make: impl FnOnce(&Aggregates<T>) -> A,
    ) -> ResultsAndLate<'s, Q, T, ByAggregate<A>>
    where
        A: Aggregate<T>,
        W: WindowSpec<Q, T, ByAggregate<A>>,
    {
        self.compute("aggregate", ByAggregate(make(&Aggregates::default())))
    }

    /// As [`WindowedStream::reduce`], with the late records as a second stream.
    pub fn reduce<F>(self, f: F) -> ResultsAndLate<'s, Q, T, ByReduce<F>>
    where
        F: Fn(&mut T, T) + 'static,
        T: State,
        W: WindowSpec<Q, T, ByReduce<F>>,
    {
        self.compute("reduce", ByReduce(f))
    }

    /// As [`WindowedStream::fold`], with the late records as a second stream.
    pub fn fold<V, F>(self, init: V, f: F) -> ResultsAndLate<'s, Q, T, ByFold<V, F, T>>
    where
        F: Fn(&mut V, T) + 'static,
        V: State,
        T: Clone,
        W: WindowSpec<Q, T, ByFold<V, F, T>>,
    {
        self.compute("fold", ByFold::new(init, f))
    }

    fn compute<G>(self, operation: &str, aggregator: G) -> ResultsAndLate<'s, Q, T, G>
    where
        G: Aggregator<T>,
        W: WindowSpec<Q, T, G>,
    {
        let WindowedStream { stream, windows } = self.0;
        stream.report(windows.error);
        let logic = windows.spec.logic(windows.allowed_lateness_ms, aggregator);
        let mut keyed = stream.into_keyed_stream();
        let (id, node) = keyed.add_keyed_stage(operation, windows.detail, &logic);
        let (flow, labels, edge) = keyed.into_parts();
        let (results, late) =
            StageOrigin::new(edge, id.as_str().into(), logic).build_with_late(flow.graph());
        (
            Stream::on_edge(flow.clone(), labels.clone(), node, results),
            Stream::on_edge(flow, labels, node, late),
        )
    }
}
