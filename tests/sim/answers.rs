//! How an operator answers barriers and commits: the decisions of `dataflow/answers.rs`, without timely.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flowdsl_runtime::Result;
use flowdsl_runtime::connector::{Committable, Committer, PendingCommit, Prepared, SinkSnapshot};
use flowdsl_runtime::error::Error;
use flowdsl_runtime::ids::{Epoch, SubtaskId};
use flowdsl_runtime::job::internals::{Chain, ChainLimits};
use flowdsl_runtime::protocol::{
    Acknowledgement, Location, Report, SnapshotAck, SnapshotKind, SnapshotRef,
};
use flowdsl_runtime::state::{Compaction, SnapshotScope, StateStore, TableTypes};

use crate::board::Board;
use crate::subtask::{Effect, Outcome, Thread};

pub(crate) type OwnSnapshot = Box<dyn FnOnce() -> Result<Vec<SnapshotRef>>>;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Answers {
    own: Option<Own>,
    sink: Option<SinkPart>,
    unanswered: VecDeque<Epoch>,
    commit_timeout: Duration,
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
    pending: Vec<(Epoch, Committable)>,
    unfinished: Option<Vec<u8>>,
    committing: bool,
    retry: Option<Retry>,
    reported: Epoch,
}

#[derive(Clone, Copy)]
struct Retry {
    since: Duration,
    next: Duration,
    pause: Duration,
}

impl Answers {
    pub(crate) fn new(
        own: Option<SubtaskId>,
        sink: Option<(SubtaskId, Arc<dyn Committer>)>,
        first: Epoch,
        commit_timeout: Duration,
    ) -> Self {
        Self {
            own: own.map(|subtask| Own {
                subtask,
                chain: Chain::new(ChainLimits::default()),
                compacts: None,
            }),
            sink: sink.map(|(subtask, committer)| SinkPart {
                subtask,
                committer,
                pending: Vec::new(),
                unfinished: None,
                committing: false,
                retry: None,
                reported: Epoch(first.0 - 1),
            }),
            unanswered: VecDeque::new(),
            commit_timeout,
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
        self.unanswered.push_back(epoch);
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
        while let Some(&epoch) = self.unanswered.front() {
            if !board.is_aborted(epoch) {
                break;
            }
            let why = "the coordinator gave this checkpoint up".to_owned();
            self.answer(epoch, Some(why), out);
        }
        self.compact(out);
        self.commit(now, board, out);
    }

    fn compact(&mut self, out: &mut Vec<Effect>) {
        let Some(own) = &mut self.own else { return };
        let Some((types, store)) = &own.compacts else {
            return;
        };
        while let Some(order) = own.chain.next_order() {
            let subtask = own.subtask.clone();
            let compaction = Compaction::new(order, types.clone(), store.clone(), subtask);
            let work = move || Outcome::Compacted {
                number: compaction.number(),
                result: compaction.run(),
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
        if let Some(sink) = &mut self.sink {
            if let Some(prepared) = prepared? {
                sink.pending
                    .extend(prepared.committables.into_iter().map(|c| (epoch, c)));
                sink.unfinished = prepared.unfinished;
            }
        } else {
            prepared?;
        }
        let mut failure = None;
        if let Some(own) = &mut self.own {
            match snapshot {
                Ok(refs) if own.chain.takes(scope) => own.chain.extend(scope, refs),
                Ok(_) => {
                    failure = Some("the snapshot before this one could not be stored".to_owned());
                }
                Err(error) => {
                    own.chain.break_off();
                    failure = Some(error.to_string());
                }
            }
        }
        if self.unanswered.front() == Some(&epoch) {
            self.answer(epoch, failure, out);
        }
        Ok(())
    }

    fn answer(&mut self, epoch: Epoch, failure: Option<String>, out: &mut Vec<Effect>) {
        if let Some(own) = &mut self.own {
            let refs = own.chain.answer(epoch);
            let ack = match &failure {
                None => SnapshotAck::Durable(refs),
                Some(reason) => SnapshotAck::Failed(reason.clone()),
            };
            out.push(Effect::Ack(Acknowledgement {
                subtask: own.subtask.clone(),
                epoch,
                ack,
            }));
        }
        if let Some(sink) = &self.sink {
            let snapshot = SinkSnapshot {
                committables: sink.pending.clone(),
                unfinished: sink.unfinished.clone(),
            };
            let reference = SnapshotRef {
                kind: SnapshotKind::Operator,
                location: Location::Inline(snapshot.encode()),
            };
            let ack = match &failure {
                Some(reason) if self.own.is_none() => SnapshotAck::Failed(reason.clone()),
                _ => SnapshotAck::Durable(vec![reference]),
            };
            out.push(Effect::Ack(Acknowledgement {
                subtask: sink.subtask.clone(),
                epoch,
                ack,
            }));
        }
        self.unanswered.pop_front();
        out.push(Effect::AnsweredBefore(Some(epoch.next())));
    }

    fn commit(&mut self, now: Duration, board: &Board, out: &mut Vec<Effect>) {
        let (Some(sink), Some(permit)) = (&mut self.sink, board.permit()) else {
            return;
        };
        if sink.committing {
            return;
        }
        let due: Vec<_> = sink
            .pending
            .iter()
            .filter(|(epoch, _)| *epoch <= permit.epoch())
            .cloned()
            .collect();
        if due.is_empty() {
            if sink.reported < permit.epoch() {
                sink.reported = permit.epoch();
                let subtask = sink.subtask.clone();
                out.push(Effect::Report(Report::Committed(subtask, permit.epoch())));
            }
            return;
        }
        if let Some(retry) = sink.retry
            && now < retry.next
        {
            out.push(Effect::Again(retry.next));
            return;
        }
        sink.committing = true;
        let committer = Arc::clone(&sink.committer);
        out.push(Effect::Work(
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
        ));
    }

    fn committed(
        &mut self,
        done: &[(Epoch, Committable)],
        result: Result<()>,
        now: Duration,
        out: &mut Vec<Effect>,
    ) -> Result<()> {
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        sink.committing = false;
        sink.pending.retain(|pending| !done.contains(pending));
        let Err(error) = result else {
            sink.retry = None;
            return Ok(());
        };
        let (since, pause) = sink
            .retry
            .map_or((now, FIRST_PAUSE), |retry| (retry.since, retry.pause));
        let retry = Retry {
            since,
            next: now + pause,
            pause: (pause * 2).min(LONGEST_PAUSE),
        };
        sink.retry = Some(retry);
        if now.saturating_sub(retry.since) > self.commit_timeout {
            return Err(Error::unavailable(format!(
                "output could not be committed for {:?}: {error}",
                now.saturating_sub(retry.since)
            )));
        }
        out.push(Effect::Again(retry.next));
        Ok(())
    }
}
