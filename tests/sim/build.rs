//! The simulated job: its plan, and the operators of all workers of a process.

use std::rc::Rc;
use std::sync::Arc;

use flowdsl_runtime::connector::{Committer, Split};
use flowdsl_runtime::dataflow::Blueprint;
use flowdsl_runtime::ids::{Generation, SplitId, StageId, SubtaskId, WorkerIndex};
use flowdsl_runtime::job::internals::Recovered;
use flowdsl_runtime::protocol::{PlanEdge, PlanStage, StageKind, StoredPlan};
use flowdsl_runtime::state::{KeyedLogic, StateStore};

use crate::answers::Answers;
use crate::inbox::Inbox;
use crate::keyed::{Behind, Keyed, logic};
use crate::output::SimSink;
use crate::scenario::{Scenario, Shape};
use crate::sink::{SinkOperator, Writer};
use crate::source::Source;
use crate::storage::SimStorage;
use crate::subtask::{Effect, Operator};

pub(crate) const JOB: &str = "simulated";
pub(crate) const SOURCE: &str = "source";
pub(crate) const KEYED: &str = "sums";
pub(crate) const SINK: &str = "sink";

/// The plan of the flow.
pub(crate) fn plan(_: Shape) -> StoredPlan {
    let stage = |id: &str, operation: &str, kind, schema| PlanStage {
        id: StageId::new(id),
        operation: operation.to_owned(),
        detail: String::new(),
        kind,
        schema,
    };
    let schema = Some(logic(0).schema());
    StoredPlan {
        stages: vec![
            stage(SOURCE, "source", StageKind::Source, None),
            stage(KEYED, "fold", StageKind::Keyed, schema),
            stage(SINK, "sink", StageKind::TransactionalSink, None),
        ],
        edges: vec![
            PlanEdge {
                from: 0,
                to: 1,
                exchange: true,
            },
            PlanEdge {
                from: 1,
                to: 2,
                exchange: false,
            },
        ],
    }
}

pub(crate) fn blueprint(scenario: &Scenario) -> Blueprint {
    let splits = scenario.input.len() as u32;
    let discover = move || {
        let split = |number: u32| Split::new(SplitId::new(format!("split-{number}")), &number);
        Ok((0..splits).map(split).collect())
    };
    Blueprint {
        plan: plan(scenario.shape),
        sources: vec![(StageId::new(SOURCE), Arc::new(discover))],
        sinks: vec![(StageId::new(SINK), Arc::new(SimSink))],
        errors: Vec::new(),
    }
}

/// The operators of a process, and what they have to do first.
pub(crate) struct Built {
    pub(crate) operators: Vec<Operator>,
    /// The worker of each.
    pub(crate) workers: Vec<usize>,
    pub(crate) first_work: Vec<(usize, Effect)>,
}

pub(crate) fn operators(
    scenario: &Scenario,
    recovered: &Rc<Recovered>,
    worker_count: usize,
    (generation, nonce): (Generation, u64),
) -> Built {
    let a_worker = match scenario.shape {
        Shape::Fused => 2,
        Shape::Apart => 3,
    };
    let first = recovered.first_epoch;
    let timeout = scenario.settings.commit_timeout;
    let subtask = |stage: &str, worker: usize| SubtaskId {
        stage: StageId::new(stage),
        worker: WorkerIndex(worker as u32),
    };
    let committer = |worker| {
        let committer: Arc<dyn Committer> = Arc::new(SimSink);
        (subtask(SINK, worker), committer)
    };
    let splits = &recovered.restored.splits[&StageId::new(SOURCE)];
    let mut built = Built {
        operators: Vec::new(),
        workers: Vec::new(),
        first_work: Vec::new(),
    };
    for worker in 0..worker_count {
        let mine = splits.iter().skip(worker).step_by(worker_count);
        built.operators.push(Operator::Source(Source::new(
            subtask(SOURCE, worker),
            Answers::new(Some(subtask(SOURCE, worker)), None, first, timeout),
            first,
            mine.cloned().collect(),
            (0..worker_count).map(|w| w * a_worker + 1).collect(),
            recovered.key_groups,
            scenario,
        )));
        let writer = Writer {
            generation,
            worker: WorkerIndex(worker as u32),
            rows: Vec::new(),
        };
        let at = worker * a_worker + 1;
        let store = StateStore::new(Arc::new(SimStorage), generation, nonce);
        let fused = match scenario.shape {
            Shape::Fused => Some(committer(worker)),
            Shape::Apart => None,
        };
        let answers = Answers::new(Some(subtask(KEYED, worker)), fused, first, timeout);
        let inbox = Inbox::new(worker_count, first);
        let (behind, apart) = match scenario.shape {
            Shape::Fused => (Behind::Fused(writer), None),
            Shape::Apart => (Behind::Apart(at + 1), Some(writer)),
        };
        let me = subtask(KEYED, worker);
        let mut keyed = Keyed::new(me, answers, inbox, first, store, behind);
        let restore = keyed.restore(recovered, worker_count, scenario.padding, scenario.chain);
        built.first_work.push((at, restore));
        built.operators.push(Operator::Keyed(keyed));
        if let Some(writer) = apart {
            let answers = Answers::new(None, Some(committer(worker)), first, timeout);
            let inbox = Inbox::new(1, first);
            let sink = SinkOperator::new(inbox, answers, writer, first);
            built.operators.push(Operator::Sink(sink));
        }
        built.workers.extend(std::iter::repeat_n(worker, a_worker));
    }
    built
}
