//! The graph of one worker while it is built, and what its operators share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::{Scope, Stream};

use super::board::Board;
use super::compactor::Compactor;
use super::fate::Fate;
use super::moment::Moment;
use super::offload::Offload;
use crate::clock::Clock;
use crate::connector::{SinkContext, Split, SplitProgress, Transactional};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId, WorkerIndex};
use crate::metrics::Metrics;
use crate::protocol::{
    Acknowledgement, Evolving, PlanEdge, PlanStage, Report, SnapshotRef, StageKind, StoredPlan,
};
use crate::schema::Schema;
use crate::settings::{CheckpointMode, Limits};
use crate::state::{Backend, StateStore};
use crate::storage::Disk;

/// What the operators of one worker share.
pub struct WorkerContext {
    pub(crate) job: Arc<str>,
    pub(crate) worker: WorkerIndex,
    pub(crate) worker_count: usize,
    pub(crate) generation: Generation,
    pub(crate) key_groups: KeyGroupCount,
    /// The epoch in which this run begins.
    pub(crate) first_epoch: Epoch,
    pub(crate) limits: Limits,
    pub(crate) commit_timeout: std::time::Duration,
    pub(crate) mode: CheckpointMode,
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) store: StateStore,
    pub(crate) backend: Backend,
    pub(crate) restored: Arc<Restored>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) fate: Arc<Fate>,
    /// Where images are written to databases.
    pub(crate) images: Offload,
    /// Where snapshots are stored.
    pub(crate) snapshots: Offload,
    /// Where output is committed.
    pub(crate) commits: Offload,
    /// Where snapshots are compacted.
    pub(crate) compactor: Compactor,
    pub(crate) board: Rc<Board>,
}

impl WorkerContext {
    pub(crate) fn subtask(&self, stage: &StageId) -> SubtaskId {
        SubtaskId {
            stage: stage.clone(),
            worker: self.worker,
        }
    }

    pub(crate) fn sink_context(&self, stage: &StageId) -> SinkContext {
        SinkContext {
            job: Arc::clone(&self.job),
            stage: stage.clone(),
            worker: self.worker,
            worker_count: self.worker_count,
            generation: self.generation,
            disk: Arc::clone(&self.disk),
            clock: self.clock.clone(),
            formerly: former_ids(&self.restored.renamed, stage),
        }
    }
}

/// What a stage was called in earlier versions of the job.
pub(crate) fn former_ids(renamed: &[(StageId, StageId)], stage: &StageId) -> Vec<StageId> {
    let of_stage = renamed.iter().filter(|(_, new)| new == stage);
    of_stage.map(|(old, _)| old.clone()).collect()
}

/// What a run begins with: from a checkpoint, or the splits that were just discovered.
#[derive(Debug, Default)]
pub struct Restored {
    /// The splits of each source with how far they were read.
    pub splits: BTreeMap<StageId, Vec<SplitProgress>>,
    /// The snapshots of each keyed stage, by former subtask.
    pub keyed: BTreeMap<StageId, Vec<(WorkerIndex, Vec<SnapshotRef>)>>,
    /// Stages whose types have changed since.
    pub(crate) evolved: BTreeMap<StageId, Evolving>,
    /// What stages were called in earlier versions of the job, and what they are called.
    pub renamed: Vec<(StageId, StageId)>,
    /// The number of workers that wrote the checkpoint.
    pub worker_count: usize,
}

/// The splits of one worker's subtask.
pub(crate) fn splits_of(
    all: &[SplitProgress],
    worker: usize,
    worker_count: usize,
) -> impl Iterator<Item = &SplitProgress> {
    all.iter().skip(worker).step_by(worker_count)
}

impl Restored {
    /// The number of source subtasks that have something to read.
    pub(crate) fn reading_subtasks(&self, worker_count: usize) -> usize {
        let reads = |all: &[SplitProgress], worker| {
            splits_of(all, worker, worker_count).any(|split| !split.finished)
        };
        self.splits
            .values()
            .map(|all| {
                (0..worker_count)
                    .filter(|worker| reads(all, *worker))
                    .count()
            })
            .sum()
    }
}

/// What the plan knows of a source beside its stage.
pub type Discover = Arc<dyn Fn() -> Result<Vec<Split>>>;

/// The plan of a flow, with the ends that reach the world.
#[derive(Default)]
pub struct Blueprint {
    /// Stages and edges.
    pub plan: StoredPlan,
    /// Finds the splits of each source.
    pub sources: Vec<(StageId, Discover)>,
    /// The transactional sinks.
    pub sinks: Vec<(StageId, Arc<dyn Transactional>)>,
    /// What is wrong with the flow.
    pub errors: Vec<Error>,
}

/// The graph of one worker while the flow's body runs.
#[derive(Clone)]
pub struct Graph<'s>(Rc<Inner<'s>>);

struct Inner<'s> {
    scope: Scope<'s, Moment>,
    context: Rc<WorkerContext>,
    blueprint: RefCell<Blueprint>,
    acks: RefCell<Vec<Stream<'s, Moment, Vec<Acknowledgement>>>>,
    reports: RefCell<Vec<Stream<'s, Moment, Vec<Report>>>>,
}

/// The streams on which subtasks answer the coordinator.
pub(crate) type AnswerStreams<'s> = (
    Vec<Stream<'s, Moment, Vec<Acknowledgement>>>,
    Vec<Stream<'s, Moment, Vec<Report>>>,
);

impl<'s> Graph<'s> {
    pub(crate) fn new(scope: Scope<'s, Moment>, context: Rc<WorkerContext>) -> Self {
        Self(Rc::new(Inner {
            scope,
            context,
            blueprint: RefCell::default(),
            acks: RefCell::default(),
            reports: RefCell::default(),
        }))
    }

    pub(crate) fn scope(&self) -> Scope<'s, Moment> {
        self.0.scope
    }

    pub(crate) fn context(&self) -> &Rc<WorkerContext> {
        &self.0.context
    }

    pub(crate) fn add_acks(&self, stream: Stream<'s, Moment, Vec<Acknowledgement>>) {
        self.0.acks.borrow_mut().push(stream);
    }

    pub(crate) fn add_reports(&self, stream: Stream<'s, Moment, Vec<Report>>) {
        self.0.reports.borrow_mut().push(stream);
    }

    pub(crate) fn take_answers(&self) -> AnswerStreams<'s> {
        (self.0.acks.take(), self.0.reports.take())
    }

    pub(crate) fn take_blueprint(&self) -> Blueprint {
        self.0.blueprint.take()
    }

    /// Adds a stage to the plan, and returns its position.
    pub fn add_stage(&self, stage: PlanStage) -> usize {
        let mut blueprint = self.0.blueprint.borrow_mut();
        if stage.kind != StageKind::Stateless
            && blueprint
                .plan
                .stages
                .iter()
                .any(|other| other.kind != StageKind::Stateless && other.id == stage.id)
        {
            let text = format!(
                "two stages have the id `{}`: give one of them another with `as` (or `.at(..)`)",
                stage.id
            );
            blueprint.errors.push(Error::invalid(text));
        }
        // Its own manifests could not be read again.
        let depth = stage.schema.as_ref().map_or(0, Schema::depth);
        if depth > Schema::DEEPEST {
            let text = format!(
                "the types of the state of `{}` are inside one another {depth} times, and may be {} times: keep \
                 them in less of one value, such as the map or the list of a `process`",
                stage.id,
                Schema::DEEPEST
            );
            blueprint.errors.push(Error::invalid(text));
        }
        blueprint.plan.stages.push(stage);
        blueprint.plan.stages.len() - 1
    }

    /// Adds an edge to the plan.
    pub fn add_edge(&self, from: usize, to: usize, exchange: bool) {
        self.0
            .blueprint
            .borrow_mut()
            .plan
            .edges
            .push(PlanEdge { from, to, exchange });
    }

    /// Says what is wrong with the flow; the job does not start.
    pub fn add_error(&self, error: Error) {
        self.0.blueprint.borrow_mut().errors.push(error);
    }

    pub(crate) fn add_source(&self, stage: StageId, discover: Discover) {
        self.0
            .blueprint
            .borrow_mut()
            .sources
            .push((stage, discover));
    }

    pub(crate) fn add_transactional(&self, stage: StageId, sink: Arc<dyn Transactional>) {
        self.0.blueprint.borrow_mut().sinks.push((stage, sink));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SplitId;

    #[test]
    fn the_rate_is_shared_by_those_who_have_something_to_read() {
        let split = |name: &str| SplitProgress::unread(Split::new(SplitId::new(name), &()));
        let restored = |sources: &[(&str, &[&str])]| Restored {
            splits: sources
                .iter()
                .map(|(stage, splits)| {
                    (
                        (*stage).into(),
                        splits.iter().map(|name| split(name)).collect(),
                    )
                })
                .collect(),
            ..Restored::default()
        };
        assert_eq!(restored(&[("one file", &["a"])]).reading_subtasks(4), 1);
        assert_eq!(
            restored(&[("two", &["a", "b"]), ("three", &["a", "b", "c"])]).reading_subtasks(2),
            4
        );
        let mut read = restored(&[("read", &["a", "b"])]);
        read.splits
            .values_mut()
            .flatten()
            .for_each(|split| split.finished = true);
        assert_eq!(read.reading_subtasks(2), 0);
    }
}
