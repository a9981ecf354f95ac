//! The flow while its body runs: where chains begin.

use flowdsl_runtime::connector::Source;
use flowdsl_runtime::dataflow::{EdgeOrigin, FromSource, Graph, SourceOrigin, Start};
use flowdsl_runtime::protocol::{PlanStage, StageKind};
use flowdsl_runtime::record::{Rec, RecordError, Unkeyed, Untimed};

use super::label::Labels;
use super::stream::{SourceFor, Stream};
use super::union::Union;

/// A flow while its body runs, once for each worker and once for the plan.
///
/// # Examples
///
/// ```
/// use flowdsl::prelude::*;
///
/// let job = Job::new("doubles", |flow| {
///     flow.source("numbers", Memory::new(vec![1_u64, 2, 3])).map(|n| n * 2).sink(Discard::new());
/// });
/// assert_eq!(job.plan()?.stages.len(), 3);
/// # Ok::<(), flowdsl::Error>(())
/// ```
#[derive(Clone)]
pub struct Flow<'s> {
    graph: Graph<'s>,
}

/// The records that a source could not read.
type Malformed<'s> = Stream<
    's,
    EdgeOrigin<'s, Rec<Unkeyed, Untimed, RecordError>>,
    Start<Rec<Unkeyed, Untimed, RecordError>>,
    Unkeyed,
    Untimed,
    RecordError,
>;

impl<'s> Flow<'s> {
    pub(crate) fn new(graph: &Graph<'s>) -> Self {
        Self {
            graph: graph.clone(),
        }
    }

    pub(crate) fn graph(&self) -> &Graph<'s> {
        &self.graph
    }

    /// Begins a chain with a source; `id` names the stage, and the chain.
    ///
    /// A record that cannot be read ends the job with its place; see
    /// [`source_with_errors`](Self::source_with_errors).
    pub fn source<S: Source>(&self, id: &str, source: S) -> SourceFor<'s, S> {
        let node = self.add_source_stage(id, &source);
        let origin = SourceOrigin::new(&self.graph, id.into(), source);
        Stream::begin(
            self.clone(),
            Labels::of_chain(id),
            node,
            origin,
            FromSource::default(),
        )
    }

    /// Begins a chain with a source, and a second one with the records that it could not read.
    #[expect(
        clippy::type_complexity,
        reason = "both are streams; users never write their types"
    )]
    pub fn source_with_errors<S: Source>(
        &self,
        id: &str,
        source: S,
    ) -> (
        Stream<
            's,
            EdgeOrigin<'s, Rec<Unkeyed, Untimed, S::Item>>,
            Start<Rec<Unkeyed, Untimed, S::Item>>,
            Unkeyed,
            Untimed,
            S::Item,
        >,
        Malformed<'s>,
    ) {
        let node = self.add_source_stage(id, &source);
        let origin = SourceOrigin::new(&self.graph, id.into(), source);
        let (records, malformed) = origin.build_with_errors(&self.graph, FromSource::default());
        (
            Stream::on_edge(self.clone(), Labels::of_chain(id), node, records),
            Stream::on_edge(self.clone(), Labels::of_chain(id), node, malformed),
        )
    }

    /// Begins a chain with the records of several streams of one type.
    ///
    /// # Examples
    ///
    /// ```
    /// use flowdsl::prelude::*;
    ///
    /// let all = Collect::new();
    /// let seen = all.clone();
    /// let job = Job::new("both", move |flow| {
    ///     let a = flow.source("a", Memory::new(vec![1_u64, 2]));
    ///     let b = flow.source("b", Memory::new(vec![3]));
    ///     flow.union("both").and(a).and(b).merge().sink(all.clone());
    /// });
    /// job.run(Options::new())?;
    /// let mut seen = seen.take();
    /// seen.sort();
    /// assert_eq!(seen, [1, 2, 3]);
    /// # Ok::<(), flowdsl::Error>(())
    /// ```
    pub fn union<K, E, T>(&self, id: &str) -> Union<'s, K, E, T> {
        Union::new(self.clone(), id)
    }

    fn add_source_stage<S: Source>(&self, id: &str, source: &S) -> usize {
        self.graph.add_stage(PlanStage {
            id: id.into(),
            operation: "source".to_owned(),
            detail: source.describe(),
            kind: StageKind::Source,
            schema: None,
        })
    }
}
