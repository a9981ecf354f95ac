//! How an operator answers barriers and commits: `dataflow/answers.rs` without timely. What is answered,
//! and when is committed, the product's own [`Answering`] decides.

use std::sync::Arc;
use std::time::Duration;

use flowdsl_runtime::Result;
use flowdsl_runtime::connector::{Committable, Committer, PendingCommit, Prepared, SinkSnapshot};
use flowdsl_runtime::ids::{Epoch, SubtaskId};
use flowdsl_runtime::job::internals::{Chain, ChainLimits};
use flowdsl_runtime::protocol::{
    Acknowledgement, Answer, Answering, AnsweringEffect, AnsweringSettings, CommitPermit, Location,
    Output, Participants, Report, SnapshotAck, SnapshotCost, SnapshotKind, SnapshotOutcome,
    SnapshotRef,
};
use flowdsl_runtime::settings::Limits;
use flowdsl_runtime::state::{Compaction, SnapshotScope, StateStore, TableTypes};

use crate::board::Board;
use crate::subtask::{Effect, Outcome, Thread};

pub(crate) type OwnSnapshot = Box<dyn FnOnce() -> Result<Vec<SnapshotRef>>>;

const FIRST_PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Answers {
    own: Option<Own>,
    sink: Option<SinkPart>,
    answering: Answering<Committable>,
}

struct Own {
    subtask: SubtaskId,
    chain: Chain,
    /// By which snapshots are compacted, and where they are.
    compacts: Option<(TableTypes, StateStore)>,
}

struct SinkPart {
    subtask: SubtaskId,
    committer: Arc<dyn Committer>,
}

impl Answers {
    pub(crate) fn new(
        own: Option<SubtaskId>,
        sink: Option<(SubtaskId, Arc<dyn Committer>)>,
        first: Epoch,
        commit_timeout: Duration,
    ) -> Self {
        let participants = match (&own, &sink) {
            (Some(_), Some(_)) => Participants::StageAndSink,
            (Some(_), None) => Participants::Stage,
            (None, _) => Participants::Sink,
        };
        let settings = AnsweringSettings {
            first_epoch: first,
            commit_timeout,
            first_pause: FIRST_PAUSE,
        };
        Self {
            own: own.map(|subtask| Own {
                subtask,
                chain: Chain::new(ChainLimits::default()),
                compacts: None,
            }),
            sink: sink.map(|(subtask, committer)| SinkPart { subtask, committer }),
            answering: Answering::new(participants, settings),
        }
    }

    /// Has the snapshots of the own stage compacted.
    pub(crate) fn compact_as(&mut self, types: TableTypes, store: StateStore) {
        if let Some(own) = &mut self.own {
            own.compacts = Some((types, store));
        }
    }

    pub(crate) fn restore_chain(&mut self, chain: Chain) {
        if let Some(own) = &mut self.own {
            own.chain = chain;
        }
    }

    pub(crate) fn next_scope(&mut self, entries: usize) -> SnapshotScope {
        self.own
            .as_mut()
            .map_or(SnapshotScope::Full, |own| own.chain.next_scope(entries))
    }

    /// Owes an answer for `epoch`, and has its snapshot made on the worker's fiber.
    pub(crate) fn owe(&mut self, epoch: Epoch) {
        self.answering.owe(epoch);
    }

    /// The task that makes the snapshot of `epoch`.
    pub(crate) fn submit(
        epoch: Epoch,
        scope: SnapshotScope,
        own: Option<OwnSnapshot>,
        prepared: Option<PendingCommit>,
    ) -> Effect {
        Effect::Work(
            Thread::Snapshots,
            Box::new(move || {
                let prepared = prepared.map(|prepare| prepare()).transpose();
                let own = own.map_or_else(|| Ok(Vec::new()), |snapshot| snapshot());
                Outcome::Snapshot {
                    epoch,
                    scope,
                    own,
                    prepared,
                }
            }),
        )
    }

    /// Takes in an outcome of the worker's fiber.
    pub(crate) fn take(
        &mut self,
        outcome: Outcome,
        now: Duration,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        match outcome {
            Outcome::Snapshot {
                epoch,
                scope,
                own,
                prepared,
            } => self.took_snapshot(epoch, scope, own, prepared, out),
            Outcome::Committed { done, result } => self.committed(&done, result, now, out),
            Outcome::Compacted { number, result } => {
                if let Some(own) = &mut self.own {
                    own.chain.compacted(number, result);
                }
                Ok(())
            }
            Outcome::Restored(_) => unreachable!("the operator takes that one"),
        }
    }

    /// Answers for what was given up, and commits what is permitted.
    pub(crate) fn poll(&mut self, now: Duration, board: &Board, out: &mut Vec<Effect>) {
        match self.answering.poll(now, &board.decided()) {
            Ok(effects) => effects.into_iter().for_each(|e| self.carry_out(e, out)),
            Err(error) => out.push(Effect::Fail(error)),
        }
        self.compact(out);
    }

    fn compact(&mut self, out: &mut Vec<Effect>) {
        let Some(own) = &mut self.own else { return };
        let Some((types, store)) = &own.compacts else {
            return;
        };
        while let Some(order) = own.chain.next_order() {
            let subtask = own.subtask.clone();
            let compaction = Compaction::new(order, types.clone(), store.clone(), subtask);
            // Every other one as where memory is short: what it reads, it reads again.
            let room = match compaction.number() % 2 {
                0 => 0,
                _ => Limits::default().compaction_bytes,
            };
            let work = move || Outcome::Compacted {
                number: compaction.number(),
                result: compaction.run(room),
            };
            out.push(Effect::Work(Thread::Compactions, Box::new(work)));
        }
    }

    fn took_snapshot(
        &mut self,
        epoch: Epoch,
        scope: SnapshotScope,
        snapshot: Result<Vec<SnapshotRef>>,
        prepared: Result<Option<Prepared>>,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        let prepared = prepared?;
        let own = self.own.as_mut();
        let outcome = SnapshotOutcome {
            epoch,
            failure: own.and_then(|own| own.chain.take(scope, snapshot)),
            prepared: prepared.map(|prepared| (prepared.committables, prepared.unfinished)),
        };
        if let Some(effect) = self.answering.took_snapshot(outcome) {
            self.carry_out(effect, out);
        }
        Ok(())
    }

    fn committed(
        &mut self,
        done: &[(Epoch, Committable)],
        result: Result<()>,
        now: Duration,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        if let Some(effect) = self.answering.committed(done, result, now)? {
            self.carry_out(effect, out);
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: AnsweringEffect<Committable>, out: &mut Vec<Effect>) {
        match effect {
            AnsweringEffect::Answer(answer) => self.answer(answer, out),
            AnsweringEffect::Commit(due, permit) => {
                out.extend(
                    self.sink
                        .iter()
                        .map(|sink| sink.commit(due.clone(), permit)),
                );
            }
            AnsweringEffect::ReportCommitted(epoch) => {
                out.extend(
                    self.sink
                        .iter()
                        .map(|sink| Effect::Report(Report::Committed(sink.subtask.clone(), epoch))),
                );
            }
            AnsweringEffect::AskAt(time) => out.push(Effect::Again(time)),
        }
    }

    fn answer(&mut self, answer: Answer<Committable>, out: &mut Vec<Effect>) {
        let epoch = answer.epoch;
        let mut ack = |subtask: &SubtaskId, refs: Result<Vec<SnapshotRef>, String>| {
            out.push(Effect::Ack(Acknowledgement {
                subtask: subtask.clone(),
                epoch,
                ack: refs.map_or_else(SnapshotAck::Failed, |refs| {
                    SnapshotAck::Durable(refs, SnapshotCost::default())
                }),
            }));
        };
        if let (Some(own), Some(stored)) = (&mut self.own, answer.stage) {
            let refs = own.chain.answer(epoch);
            ack(&own.subtask, stored.map(|()| refs));
        }
        if let (Some(sink), Some(staged)) = (&self.sink, answer.sink) {
            ack(
                &sink.subtask,
                staged.map(|staged| vec![snapshot_of(staged)]),
            );
        }
        out.push(Effect::AnsweredBefore(Some(epoch.next())));
    }
}

impl SinkPart {
    fn commit(&self, due: Vec<(Epoch, Committable)>, permit: CommitPermit) -> Effect {
        let committer = Arc::clone(&self.committer);
        Effect::Work(
            Thread::Commits,
            Box::new(move || {
                let mut done = Vec::new();
                let mut result = Ok(());
                for (epoch, committable) in due {
                    result = committer.commit(&permit, &committable);
                    if result.is_err() {
                        break;
                    }
                    done.push((epoch, committable));
                }
                Outcome::Committed { done, result }
            }),
        )
    }
}

fn snapshot_of(staged: Output<Committable>) -> SnapshotRef {
    let snapshot = SinkSnapshot {
        committables: staged.committables,
        unfinished: staged.unfinished,
    };
    SnapshotRef {
        kind: SnapshotKind::Operator,
        location: Location::Inline(snapshot.encode()),
    }
}
