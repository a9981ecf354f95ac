//! How an operator answers barriers and commits: one for each operator that has a snapshot or
//! lets records leave the flow.
//!
//! The work that waits on a disk runs on the worker's offload threads: snapshots in the order of the
//! barriers, commits beside them. An answer goes out on the ack stream at the time of its epoch, and only then does the operator
//! let go of that epoch: when the ack frontier has passed it, every answer has arrived.

mod compacting;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::Capability;
use timely::scheduling::SyncActivator;

use super::alarm::Alarm;
use super::graph::WorkerContext;
use super::moment::Moment;
use super::ports::{Capabilities, Ports};
use crate::connector::{Committable, Committer, PendingCommit, Prepared, SinkSnapshot};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::protocol::{Acknowledgement, Location, Report, SnapshotAck, SnapshotKind, SnapshotRef};
use crate::state::{Chain, Compacted, SnapshotScope, TableTypes};

/// The part of a snapshot that the operator's own stage makes, on the offload thread.
pub(crate) type OwnSnapshot = Box<dyn FnOnce() -> Result<Vec<SnapshotRef>> + Send>;

/// What one operator answers, and what it has not answered yet.
pub(crate) struct Answers {
    context: Rc<WorkerContext>,
    own: Option<Own>,
    sink: Option<SinkPart>,
    acks: Port<Acknowledgement>,
    reports: Port<Report>,
    /// Epochs whose barrier has passed and whose answer has not been given.
    unanswered: VecDeque<Epoch>,
    outcomes: Receiver<Outcome>,
    inbox: Sender<Outcome>,
    wake: Arc<SyncActivator>,
    /// Rings when a failed commit is due again.
    retry: Alarm,
}

struct Own {
    stage: StageId,
    chain: Chain,
    /// By which its snapshots are compacted, if they are.
    types: Option<TableTypes>,
}

struct SinkPart {
    stage: StageId,
    committer: Arc<dyn Committer>,
    /// Staged and not reported as committed.
    pending: Vec<(Epoch, Committable)>,
    unfinished: Option<Vec<u8>>,
    committing: bool,
    /// Failed commits: since when, and when to try again.
    retry: Option<Retry>,
    reported: Epoch,
}

#[derive(Clone, Copy)]
struct Retry {
    since: Duration,
    next: Duration,
    pause: Duration,
}

enum Outcome {
    Snapshot {
        epoch: Epoch,
        scope: SnapshotScope,
        own: Result<Vec<SnapshotRef>>,
        prepared: Result<Option<Prepared>>,
    },
    Committed {
        done: Vec<(Epoch, Committable)>,
        result: Result<()>,
    },
    Compacted {
        number: u32,
        result: Result<Compacted>,
    },
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
        let first = ports.context().first_epoch;
        let sink = sink.map(|(stage, committer)| SinkPart {
            stage,
            committer,
            pending: Vec::new(),
            unfinished: None,
            committing: false,
            retry: None,
            reported: Epoch(first.0.saturating_sub(1)),
        });
        Self {
            context: Rc::clone(ports.context()),
            own: own.map(|stage| Own {
                stage,
                chain: Chain::default(),
                types: None,
            }),
            sink,
            acks,
            reports,
            unanswered: VecDeque::new(),
            outcomes,
            inbox,
            wake: Arc::new(ports.sync_activator()),
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
        self.unanswered.push_back(epoch);
    }

    /// Has the snapshot of `epoch` made on the offload thread.
    pub(crate) fn submit(
        &self,
        epoch: Epoch,
        scope: SnapshotScope,
        own: Option<OwnSnapshot>,
        prepared: Option<PendingCommit>,
    ) {
        let (inbox, wake) = (self.inbox.clone(), Arc::clone(&self.wake));
        self.context.offload.run(move || {
            // What the sink staged is prepared even if the state cannot be written: it goes on in
            // the next checkpoint.
            let prepared = prepared.map(|prepare| prepare()).transpose();
            let own = own.map_or_else(|| Ok(Vec::new()), |snapshot| snapshot());
            let _ = inbox.send(Outcome::Snapshot {
                epoch,
                scope,
                own,
                prepared,
            });
            let _ = wake.activate();
        });
    }

    /// Wakes the operator from the offload thread.
    pub(crate) fn wake(&self) -> Arc<SyncActivator> {
        Arc::clone(&self.wake)
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
                } => self.took_snapshot(epoch, scope, own, prepared)?,
                Outcome::Committed { done, result } => self.committed(&done, result)?,
                Outcome::Compacted { number, result } => self.compacted(number, result),
            }
        }
        while let Some(&epoch) = self.unanswered.front() {
            if !self.context.board.is_aborted(epoch) {
                break;
            }
            self.answer(
                epoch,
                Some("the coordinator gave this checkpoint up".to_owned()),
            );
        }
        self.compact();
        self.commit();
        Ok(())
    }

    fn took_snapshot(
        &mut self,
        epoch: Epoch,
        scope: SnapshotScope,
        snapshot: Result<Vec<SnapshotRef>>,
        prepared: Result<Option<Prepared>>,
    ) -> Result<()> {
        if let Some(sink) = &mut self.sink {
            // Output that could not be staged is lost to this run: only a restart reads it again.
            if let Some(prepared) = prepared.map_err(|e| e.in_stage(&sink.stage))? {
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
                // The checkpoint before was given up while its image was being written, and this
                // one was frozen before anybody knew that the image would not be stored.
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
            self.answer(epoch, failure);
        }
        Ok(())
    }

    /// Answers for every participant, and lets go of the epoch.
    fn answer(&mut self, epoch: Epoch, failure: Option<String>) {
        let mut answers = Vec::new();
        if let Some(own) = &mut self.own {
            let refs = own.chain.answer(epoch);
            let ack = match &failure {
                None => SnapshotAck::Durable(refs),
                Some(reason) => SnapshotAck::Failed(reason.clone()),
            };
            answers.push(Acknowledgement {
                subtask: self.context.subtask(&own.stage),
                epoch,
                ack,
            });
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
            // Only the own stage can fail; but an epoch that was given up holds no prepared output yet.
            let ack = match &failure {
                Some(reason) if self.own.is_none() => SnapshotAck::Failed(reason.clone()),
                _ => SnapshotAck::Durable(vec![reference]),
            };
            answers.push(Acknowledgement {
                subtask: self.context.subtask(&sink.stage),
                epoch,
                ack,
            });
        }
        if !answers.is_empty() {
            self.acks.send(answers);
        }
        self.unanswered.pop_front();
        self.acks.downgrade(Moment::start_of(epoch.next()));
    }

    fn commit(&mut self) {
        let (Some(sink), Some(permit)) = (&mut self.sink, self.context.board.permit()) else {
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
                let subtask = self.context.subtask(&sink.stage);
                self.reports
                    .send(vec![Report::Committed(subtask, permit.epoch())]);
            }
            return;
        }
        if let Some(retry) = sink.retry {
            let now = self.context.clock.now();
            if now < retry.next {
                self.retry.set(retry.next.saturating_sub(now));
                return;
            }
        }
        sink.committing = true;
        let (inbox, wake, committer) = (
            self.inbox.clone(),
            Arc::clone(&self.wake),
            Arc::clone(&sink.committer),
        );
        self.context.commits.run(move || {
            let mut done = Vec::new();
            let mut result = Ok(());
            for (epoch, committable) in due {
                result = committer.commit(&permit, &committable);
                if result.is_err() {
                    break;
                }
                done.push((epoch, committable));
            }
            let _ = inbox.send(Outcome::Committed { done, result });
            let _ = wake.activate();
        });
    }

    fn committed(&mut self, done: &[(Epoch, Committable)], result: Result<()>) -> Result<()> {
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        sink.committing = false;
        sink.pending.retain(|pending| !done.contains(pending));
        let Err(error) = result else {
            sink.retry = None;
            return Ok(());
        };
        let clock = &self.context.clock;
        let now = clock.now();
        let (since, pause) = sink
            .retry
            .map_or((now, FIRST_PAUSE), |retry| (retry.since, retry.pause));
        let next = now + clock.pause(pause);
        let retry = Retry {
            since,
            next,
            pause: (pause * 2).min(LONGEST_PAUSE),
        };
        tracing::warn!(stage = %sink.stage, %error, "a commit failed and is tried again");
        sink.retry = Some(retry);
        if now.saturating_sub(retry.since) > self.context.commit_timeout {
            return Err(Error::unavailable(format!(
                "output could not be committed for {:?}: {error}",
                now.saturating_sub(retry.since)
            ))
            .in_stage(&sink.stage));
        }
        self.retry.set(retry.next.saturating_sub(now));
        Ok(())
    }

    /// Lets go of everything: nothing follows.
    pub(crate) fn close(&mut self) {
        self.acks.capability = None;
        self.reports.capability = None;
    }
}

/// An answer output with its capability.
struct Port<M> {
    at: usize,
    output: Output<Moment, Vec<M>>,
    capability: Option<Capability<Moment>>,
}

impl<M: Clone + 'static> Port<M> {
    fn attach<'s>(ports: &mut Ports<'s>) -> (Self, timely::dataflow::Stream<'s, Moment, Vec<M>>) {
        let (at, output, stream) = ports.answer_output();
        (
            Self {
                at,
                output,
                capability: None,
            },
            stream,
        )
    }

    fn start(&mut self, capabilities: &mut Capabilities) {
        self.capability = Some(capabilities.take(self.at));
    }

    fn send(&mut self, mut messages: Vec<M>) {
        if let Some(capability) = &self.capability {
            self.output.activate().give(capability, &mut messages);
        }
    }

    fn downgrade(&mut self, moment: Moment) {
        if let Some(capability) = &mut self.capability {
            capability.downgrade(&moment);
        }
    }
}
