//! How an operator answers barriers and commits: one for each operator that has a snapshot or
//! lets records leave the flow. What it answers, and when it commits, [`Answering`] decides.
//!
//! The work that waits on a disk runs on the worker's offload threads: snapshots in the order of the
//! barriers, what stages wait for before them, commits beside them. An answer goes out on the ack stream at the time of its epoch, and only then does the operator
//! let go of that epoch: when the ack frontier has passed it, every answer has arrived.

mod compacting;
mod costs;
mod port;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use timely::scheduling::SyncActivator;

pub(crate) use self::costs::Spent;
use self::costs::{Costs, Storing};
use self::port::Port;
use super::alarm::Alarm;
use super::graph::WorkerContext;
use super::moment::Moment;
use super::ports::{Capabilities, Ports};
use crate::connector::{Committable, Committer, PendingCommit, Prepared, SinkSnapshot};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::protocol::{
    Acknowledgement, Answer, Answering, AnsweringEffect, AnsweringSettings, CommitPermit, Location,
    NamedBefore, Output as Staged, Participants, Report, SnapshotAck, SnapshotCost, SnapshotKind,
    SnapshotOutcome, SnapshotRef, Weight,
};
use crate::state::{Chain, Compacted, SnapshotScope, TableTypes};

/// The part of a snapshot that the operator's own stage makes, on the offload threads.
pub(crate) struct OwnSnapshot {
    /// What waits for no storage, and so must not wait behind what does.
    pub(crate) ahead: Option<Box<dyn FnOnce() + Send>>,
    /// The rest.
    pub(crate) store: Box<dyn FnOnce() -> (Result<Vec<SnapshotRef>>, Spent) + Send>,
}

impl OwnSnapshot {
    /// One for which nobody waits, and that stands in the manifest.
    pub(crate) fn of(store: impl FnOnce() -> Result<Vec<SnapshotRef>> + Send + 'static) -> Self {
        Self {
            ahead: None,
            store: Box::new(move || (store(), Spent::default())),
        }
    }
}

/// Up to which epoch checkpoints were given up, as the offload threads know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenUp(Arc<AtomicU64>);

impl GivenUp {
    /// Whether nobody waits for the snapshot of an epoch any more.
    pub(crate) fn holds(&self, epoch: Epoch) -> bool {
        epoch.0 <= self.0.load(Ordering::Relaxed)
    }

    fn set(&self, epoch: Epoch) {
        self.0.store(epoch.0, Ordering::Relaxed);
    }
}

/// What one operator answers, and what it has not answered yet.
pub(crate) struct Answers {
    context: Rc<WorkerContext>,
    own: Option<Own>,
    sink: Option<SinkPart>,
    answering: Answering<Committable>,
    acks: Port<Acknowledgement>,
    reports: Port<Report>,
    outcomes: Receiver<Outcome>,
    inbox: Sender<Outcome>,
    wake: Arc<SyncActivator>,
    given_up: GivenUp,
    /// What the snapshots cost that have come to their end last.
    measured: Option<(Epoch, Box<Costs>)>,
    /// Rings when a failed commit is due again, or one that hangs is to be given up.
    retry: Alarm,
}

struct Own {
    stage: StageId,
    chain: Chain,
    /// By which its snapshots are compacted, if they are.
    types: Option<TableTypes>,
    named: NamedBefore,
}

struct SinkPart {
    stage: StageId,
    committer: Arc<dyn Committer>,
}

enum Outcome {
    Snapshot {
        epoch: Epoch,
        scope: SnapshotScope,
        own: Result<Vec<SnapshotRef>>,
        prepared: Result<Option<Prepared>>,
        costs: Box<Costs>,
    },
    /// The commit that is under way has committed one more, at this time.
    GotOn(Duration),
    Committed {
        done: Vec<(Epoch, Committable)>,
        result: Result<()>,
    },
    Compacted {
        number: u32,
        result: Result<Compacted>,
    },
}

/// The pause behind the first commit that fails.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

impl Answers {
    /// Adds the answer outputs of an operator with these participants.
    pub(crate) fn attach(
        ports: &mut Ports<'_>,
        own: Option<StageId>,
        sink: Option<(StageId, Arc<dyn Committer>)>,
    ) -> Self {
        let (acks, ack_stream) = Port::attach(ports);
        let (reports, report_stream) = Port::attach(ports);
        ports.graph.add_acks(ack_stream);
        ports.graph.add_reports(report_stream);
        let (inbox, outcomes) = channel();
        let context = Rc::clone(ports.context());
        let participants = match (&own, &sink) {
            (Some(_), Some(_)) => Participants::StageAndSink,
            (Some(_), None) => Participants::Stage,
            (None, _) => Participants::Sink,
        };
        let settings = AnsweringSettings {
            first_epoch: context.first_epoch,
            commit_timeout: context.commit_timeout,
            first_pause: context.clock.pause(FIRST_PAUSE),
        };
        Self {
            context,
            own: own.map(|stage| Own {
                stage,
                chain: Chain::default(),
                types: None,
                named: NamedBefore::default(),
            }),
            sink: sink.map(|(stage, committer)| SinkPart { stage, committer }),
            answering: Answering::new(participants, settings),
            acks,
            reports,
            outcomes,
            inbox,
            wake: Arc::new(ports.sync_activator()),
            given_up: GivenUp::default(),
            measured: None,
            retry: Alarm::new(ports.activator()),
        }
    }

    pub(crate) fn start(&mut self, capabilities: &mut Capabilities) {
        let first = Moment::start_of(self.context.first_epoch);
        self.acks.start(capabilities);
        self.acks.downgrade(first);
        self.reports.start(capabilities);
    }

    /// Goes on with the chain of a restored subtask.
    pub(crate) fn restore_chain(&mut self, chain: Chain) {
        if let Some(own) = &mut self.own {
            own.chain = chain;
        }
    }

    /// What the next snapshot of the own stage has to hold, of so many entries.
    pub(crate) fn next_scope(&mut self, entries: usize) -> SnapshotScope {
        self.own
            .as_mut()
            .map_or(SnapshotScope::Full, |own| own.chain.next_scope(entries))
    }

    /// Notes that the barrier of `epoch` has passed: an answer is owed.
    pub(crate) fn owe(&mut self, epoch: Epoch) {
        self.answering.owe(epoch);
    }

    /// Has the snapshot of `epoch` made on the offload threads; `cost` is what the barrier has cost so far.
    pub(crate) fn submit(
        &self,
        epoch: Epoch,
        scope: SnapshotScope,
        own: Option<OwnSnapshot>,
        prepared: Option<PendingCommit>,
        cost: SnapshotCost,
    ) {
        let clock = self.context.clock.clone();
        let (inbox, wake) = (self.inbox.clone(), Arc::clone(&self.wake));
        let (ahead, store) = own.map_or((None, None), |own| (own.ahead, Some(own.store)));
        let rest = move || {
            // What the sink staged is prepared even if the state cannot be written: it goes on in
            // the next checkpoint.
            let mut storing = Storing::begin(&clock);
            let prepared = prepared.map(|prepare| prepare()).transpose();
            storing.prepared();
            let (own, spent) = store.map_or_else(
                || (Ok(Vec::new()), None),
                |store| {
                    let (own, spent) = store();
                    (own, Some(spent))
                },
            );
            let _ = inbox.send(Outcome::Snapshot {
                epoch,
                scope,
                own,
                prepared,
                costs: Box::new(storing.costs(cost, spent)),
            });
            let _ = wake.activate();
        };
        let snapshots = &self.context.snapshots;
        let Some(ahead) = ahead else {
            return snapshots.run(rest);
        };
        let snapshots = snapshots.clone();
        self.context.images.run(move || {
            ahead();
            snapshots.run(rest);
        });
    }

    /// Wakes the operator from an offload thread.
    pub(crate) fn wake(&self) -> Arc<SyncActivator> {
        Arc::clone(&self.wake)
    }

    /// Tells the offload threads what was given up.
    pub(crate) fn given_up(&self) -> GivenUp {
        self.given_up.clone()
    }

    /// Tells the coordinator something.
    pub(crate) fn report(&mut self, report: Report) {
        self.reports.send(vec![report]);
    }

    /// Takes in what the offload thread has done, answers, and commits what is permitted.
    pub(crate) fn poll(&mut self) -> Result<()> {
        while let Ok(outcome) = self.outcomes.try_recv() {
            match outcome {
                Outcome::Snapshot {
                    epoch,
                    scope,
                    own,
                    prepared,
                    costs,
                } => {
                    self.measured = Some((epoch, costs));
                    self.took_snapshot(epoch, scope, own, prepared)?;
                }
                Outcome::GotOn(at) => self.answering.commit_got_on(at),
                Outcome::Committed { done, result } => self.committed(&done, result)?,
                Outcome::Compacted { number, result } => self.compacted(number, result),
            }
        }
        let (now, decided) = (self.context.clock.now(), self.context.board.decided());
        self.given_up.set(decided.aborted);
        let effects = self.answering.poll(now, &decided);
        for effect in effects.map_err(|e| self.in_sink(e))? {
            self.carry_out(effect);
        }
        self.compact();
        Ok(())
    }

    fn took_snapshot(
        &mut self,
        epoch: Epoch,
        scope: SnapshotScope,
        snapshot: Result<Vec<SnapshotRef>>,
        prepared: Result<Option<Prepared>>,
    ) -> Result<()> {
        // Output that could not be staged is lost to this run: only a restart reads it again.
        let prepared = prepared.map_err(|e| self.in_sink(e))?;
        let own = self.own.as_mut();
        let outcome = SnapshotOutcome {
            epoch,
            failure: own.and_then(|own| own.chain.take(scope, snapshot)),
            prepared: prepared.map(|prepared| (prepared.committables, prepared.unfinished)),
        };
        if let Some(effect) = self.answering.took_snapshot(outcome) {
            self.carry_out(effect);
        }
        Ok(())
    }

    fn committed(&mut self, done: &[(Epoch, Committable)], result: Result<()>) -> Result<()> {
        let Some(sink) = &self.sink else {
            return Ok(());
        };
        if let Err(error) = &result {
            tracing::warn!(stage = %sink.stage, %error, "a commit failed and is tried again");
        }
        let now = self.context.clock.now();
        let effect = self.answering.committed(done, result, now);
        if let Some(effect) = effect.map_err(|e| self.in_sink(e))? {
            self.carry_out(effect);
        }
        Ok(())
    }

    fn in_sink(&self, error: Error) -> Error {
        match &self.sink {
            Some(sink) => error.in_stage(&sink.stage),
            None => error,
        }
    }

    fn carry_out(&mut self, effect: AnsweringEffect<Committable>) {
        match effect {
            AnsweringEffect::Answer(answer) => self.answer(answer),
            AnsweringEffect::Commit(due, permit) => self.commit(due, permit),
            AnsweringEffect::ReportCommitted(epoch) => {
                if let Some(sink) = &self.sink {
                    let subtask = self.context.subtask(&sink.stage);
                    self.reports.send(vec![Report::Committed(subtask, epoch)]);
                }
            }
            AnsweringEffect::AskAt(time) => {
                let now = self.context.clock.now();
                self.retry.set(time.saturating_sub(now));
            }
        }
    }

    /// Answers for every participant, and lets go of the epoch.
    fn answer(&mut self, answer: Answer<Committable>) {
        let epoch = answer.epoch;
        let costs = self.take_costs(epoch);
        let generation = self.context.generation;
        let own = self.own.iter_mut().zip(answer.stage).map(|(own, stored)| {
            let refs = own.chain.answer(epoch);
            let ack = match stored {
                Ok(()) => {
                    let weight = own.weigh(&refs, generation);
                    SnapshotAck::Durable(
                        refs,
                        SnapshotCost {
                            weight,
                            ..costs.own
                        },
                    )
                }
                Err(reason) => SnapshotAck::Failed(reason),
            };
            (&own.stage, ack)
        });
        let sink = self.sink.iter().zip(answer.sink).map(|(sink, staged)| {
            let ack = match staged {
                Ok(staged) => {
                    let refs = vec![snapshot_of(staged)];
                    let weight = Weight::of(&refs, |_| true);
                    SnapshotAck::Durable(
                        refs,
                        SnapshotCost {
                            weight,
                            ..costs.sink
                        },
                    )
                }
                Err(reason) => SnapshotAck::Failed(reason),
            };
            (&sink.stage, ack)
        });
        let answers: Vec<_> = own
            .chain(sink)
            .map(|(stage, ack)| Acknowledgement {
                subtask: self.context.subtask(stage),
                epoch,
                ack,
            })
            .collect();
        if !answers.is_empty() {
            self.acks.send(answers);
        }
        self.acks.downgrade(Moment::start_of(epoch.next()));
    }

    fn commit(&self, due: Vec<(Epoch, Committable)>, permit: CommitPermit) {
        let Some(sink) = &self.sink else { return };
        let (inbox, wake, committer) = (
            self.inbox.clone(),
            Arc::clone(&self.wake),
            Arc::clone(&sink.committer),
        );
        let clock = self.context.clock.clone();
        self.context.commits.run(move || {
            let mut done = Vec::new();
            let mut result = Ok(());
            for (epoch, committable) in due {
                result = committer.commit(&permit, &committable);
                if result.is_err() {
                    break;
                }
                done.push((epoch, committable));
                // Seen in time without waking the operator: it looks before it gives a commit up.
                let _ = inbox.send(Outcome::GotOn(clock.now()));
            }
            let _ = inbox.send(Outcome::Committed { done, result });
            let _ = wake.activate();
        });
    }

    /// Lets go of everything: nothing follows.
    pub(crate) fn close(&mut self) {
        self.acks.capability = None;
        self.reports.capability = None;
    }
}

/// What a sink holds, as it stands in a manifest.
fn snapshot_of(staged: Staged<Committable>) -> SnapshotRef {
    let snapshot = SinkSnapshot {
        committables: staged.committables,
        unfinished: staged.unfinished,
    };
    SnapshotRef {
        kind: SnapshotKind::Operator,
        location: Location::Inline(snapshot.encode()),
    }
}
