//! One attempt of a run: from its claim of the log to the end of its workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::coordinator::{AskerBook, AttemptNumber, Coordinator, Event, Inside};
use super::history::{self, HistoryKeeping};
use super::publisher::{Publisher, PublisherParts};
use super::recovery::{Beginning, Recovered, kept_while_running, recover};
use super::requests::{Listener, ListenerParts};
use super::savepoints::Desk;
use super::start::{Environment, JobSpec, Outcome};
use super::workplace;
use crate::dataflow::{self, Blueprint, Fate, Restored, Run};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{
    Addressee, Claimant, Coordination, During, HistoryEntry, JobEnd, Phase, RunBegan, RunFacts,
    keep_at_end,
};
use crate::settings::Options;
use crate::state::{Backend, StateStore};
use crate::storage::{CheckpointLocation, CheckpointStorage};

/// The pause behind a failed checkpoint, for each failure in a row.
const PAUSE: Duration = Duration::from_millis(100);

/// How often requests of other processes are looked for.
const LOOK_LOCAL: Duration = Duration::from_millis(500);
/// The same where each look is a request to an object store.
const LOOK_REMOTE: Duration = Duration::from_secs(5);

/// An attempt, and what all attempts of a run share.
pub(super) struct Attempt<'a> {
    pub(super) number: AttemptNumber,
    pub(super) spec: &'a JobSpec,
    pub(super) blueprint: &'a Blueprint,
    pub(super) options: Options,
    pub(super) environment: &'a Environment,
    /// Checkpoints that live in memory outlive the attempts.
    pub(super) memory: Arc<dyn CheckpointStorage>,
    pub(super) inbox: &'a Receiver<Event>,
    /// The checkpoint that the first attempt began from.
    pub(super) restored_from: Option<Epoch>,
    /// What all attempts have claimed.
    pub(super) claimant: Claimant,
    /// Listens to other processes, also between two attempts.
    pub(super) listener: Option<Listener>,
}

/// How an attempt ended well.
pub(super) enum Finished {
    Now(Outcome),
    /// There was nothing left to do but what recovery does.
    Before,
}

/// How an attempt failed.
pub(super) struct AttemptFailure {
    pub(super) error: Error,
    pub(super) during: During,
    /// Decides the chance in the delay before the next attempt.
    pub(super) seed: u64,
    /// Who has asked for a checkpoint and got no answer.
    pub(super) unanswered: Vec<Sender<Result<Epoch>>>,
}

impl Attempt<'_> {
    /// Turns to the next attempt.
    pub(super) fn follow(&mut self) {
        self.number.0 += 1;
        // What there was is gone since the first one, and the checkpoints are those of this run.
        self.options.fresh = false;
    }

    /// Recovers, runs, and ends.
    pub(super) fn run(&mut self) -> Result<Finished, AttemptFailure> {
        let begin = Beginning {
            job: &self.spec.name,
            blueprint: self.blueprint,
            options: &self.options,
            environment: self.environment,
            worker_count: self.worker_count(),
            versions: &self.spec.versions,
        };
        let number = self.number;
        let beginning = |error| {
            let during = match number {
                AttemptNumber(0) => During::Beginning,
                AttemptNumber(_) => During::Running,
            };
            AttemptFailure::of(error, during)
        };
        let since = self.environment.clock.now();
        let recovered = self
            .storage()
            .and_then(|storage| recover(begin, &mut self.claimant, storage));
        let recovered = match recovered {
            Err(_) if self.environment.handle.stop_sign().was_obeyed() => {
                return Ok(Finished::Now(Outcome::Stopped));
            }
            recovered => recovered.map_err(beginning)?,
        };
        if self.number == AttemptNumber(0) {
            self.restored_from = recovered.from;
        }
        let author = (recovered.writer.generation(), recovered.writer.nonce());
        if recovered.finished {
            workplace::clear(begin, author);
            self.finish_cleanup(recovered);
            return Ok(Finished::Before);
        }
        let backend = workplace::start(begin, author).map_err(beginning)?;
        self.listen(&recovered).map_err(beginning)?;
        let began = self.began(&recovered, since);
        self.work(recovered, backend, began)
    }

    /// What is kept of the beginning of this attempt.
    fn began(&self, recovered: &Recovered, since: Duration) -> RunBegan {
        let Environment { clock, .. } = self.environment;
        let recovery = clock.now().saturating_sub(since);
        let at = (clock.unix_millis(), recovery);
        RunBegan {
            from: recovered.from,
            restarts: self.number.0,
            worker_count: self.worker_count() as u32,
            ..history::began(&recovered.writer, &self.options, at)
        }
    }

    fn work(
        &self,
        recovered: Recovered,
        backend: Backend,
        began: RunBegan,
    ) -> Result<Finished, AttemptFailure> {
        let running = |error| AttemptFailure::of(error, During::Running);
        let seed = recovered.writer.nonce();
        let run = self.run_from(&recovered, backend);
        let machine = Coordination::new(
            self.run_facts(&recovered),
            self.options.checkpoints.clone(),
            self.environment.clock.now(),
        );
        let (number, events) = (self.number, self.environment.handle.sender());
        let keep = self.options.checkpoints.history;
        let storage = Arc::clone(recovered.writer.storage());
        let parts = PublisherParts {
            history: HistoryKeeping::of(&recovered.writer, keep, &self.environment.metrics),
            writer: recovered.writer,
            keep: kept_while_running(&self.options),
            damaged: recovered.damaged,
            claimed: recovered.claimed,
            pinned: BTreeMap::new(),
            ended_with: None,
        };
        let publisher = Publisher::start(parts, number, events.clone()).map_err(running)?;
        publisher.note(HistoryEntry::Began(began));
        let fate = Arc::clone(&run.fate);
        let coordinator = Coordinator {
            attempt: number,
            generation: run.generation,
            machine,
            settings: &self.options.checkpoints,
            clock: &self.environment.clock,
            metrics: &self.environment.metrics,
            health: self.environment.handle.health_board(),
            last_checkpoint: self.environment.handle.last_checkpoint_board(),
            fate: Arc::clone(&fate),
            inbox: self.inbox,
            worker_count: run.worker_count,
            askers: AskerBook::default(),
            desk: self.desk(storage, events.clone()),
            crashed: false,
        };
        let ends = events.clone();
        let say = move |said| drop(events.send(Event::Inside(number, Inside::Workers(said))));
        let end = move |w| drop(ends.send(Event::Inside(number, Inside::WorkerEnded(w))));
        let workers =
            dataflow::start_workers(run, Box::new(say), Arc::new(end)).map_err(running)?;
        let ended = coordinator.run(workers, publisher).map_err(running)?;
        if let Some(error) = fate.error() {
            let during = match (ended.crashed, ended.stopping) {
                (true, _) => During::Crashing,
                (false, true) => During::Stopping,
                (false, false) => During::Running,
            };
            return Err(AttemptFailure {
                seed,
                unanswered: ended.unanswered,
                ..AttemptFailure::of(error, during)
            });
        }
        Ok(Finished::Now(if ended.stopped {
            Outcome::Stopped
        } else {
            Outcome::Finished
        }))
    }

    /// The job has ended in an earlier run, which may not have come to delete everything.
    fn finish_cleanup(&self, recovered: Recovered) {
        let settings = &self.options.checkpoints;
        let keep = keep_at_end(JobEnd::Success, settings);
        let mut parts = PublisherParts {
            history: None,
            writer: recovered.writer,
            keep: kept_while_running(&self.options),
            damaged: recovered.damaged,
            claimed: None,
            pinned: BTreeMap::new(),
            ended_with: recovered.newest,
        };
        parts.clean_up(keep.unwrap_or(parts.keep), Phase::Over);
    }

    /// Listens to what is asked of this claim, and no more to what was asked of the one before.
    fn listen(&mut self, recovered: &Recovered) -> Result<()> {
        if let Some(before) = self.listener.take() {
            before.give_way();
        }
        let location = self.options.checkpoint_dir.as_ref();
        // Nobody else finds what is in memory.
        if location.is_none() && self.environment.storage.is_none() {
            return Ok(());
        }
        let is_remote = location.is_some_and(CheckpointLocation::is_remote);
        let default = if is_remote { LOOK_REMOTE } else { LOOK_LOCAL };
        let parts = ListenerParts {
            storage: Arc::clone(recovered.writer.storage()),
            own: Addressee {
                generation: recovered.writer.generation(),
                nonce: recovered.writer.nonce(),
            },
            every: self.options.request_interval.unwrap_or(default),
            clock: self.environment.clock.clone(),
            events: self.environment.handle.sender(),
        };
        self.listener = Some(Listener::start(parts)?);
        Ok(())
    }

    /// Where savepoints of this attempt are made.
    fn desk(&self, storage: Arc<dyn CheckpointStorage>, events: Sender<Event>) -> Desk {
        let own = self.options.checkpoint_dir.clone();
        Desk {
            own: own.filter(|_| self.environment.storage.is_none()),
            disk: Arc::clone(&self.environment.disk),
            limits: self.options.limits.transfers.clone(),
            storage,
            attempt: self.number,
            events,
            wanted: BTreeMap::new(),
        }
    }

    /// Where checkpoints are kept. A directory is opened anew by each attempt, which may find it
    /// other than it was.
    fn storage(&self) -> Result<Arc<dyn CheckpointStorage>> {
        match (&self.environment.storage, &self.options.checkpoint_dir) {
            (Some(storage), _) => Ok(Arc::clone(storage)),
            (None, Some(location)) => location.open(
                Arc::clone(&self.environment.disk),
                &self.options.limits.transfers,
            ),
            (None, None) => Ok(Arc::clone(&self.memory)),
        }
    }

    fn worker_count(&self) -> usize {
        match self.options.worker_count {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        }
    }

    fn run_facts(&self, recovered: &Recovered) -> RunFacts {
        RunFacts {
            job: self.spec.name.to_string(),
            generation: recovered.writer.generation(),
            nonce: recovered.writer.nonce(),
            plan: self.blueprint.plan.clone(),
            worker_count: self.worker_count(),
            key_groups: recovered.key_groups,
            first_epoch: recovered.first_epoch,
            restored_from: recovered.from,
            origins: recovered.origins.clone(),
            failure_pause: self.environment.clock.pause(PAUSE),
        }
    }

    fn run_from(&self, recovered: &Recovered, backend: Backend) -> Run {
        let storage = Arc::clone(recovered.writer.storage());
        let (generation, nonce) = (recovered.writer.generation(), recovered.writer.nonce());
        Run {
            generation,
            key_groups: recovered.key_groups,
            first_epoch: recovered.first_epoch,
            store: StateStore::new(Arc::clone(&storage), generation, nonce),
            backend,
            restored: Arc::clone(&recovered.restored),
            ..run_of(
                self.spec,
                &self.options,
                self.environment,
                storage,
                self.worker_count(),
            )
        }
    }
}

impl AttemptFailure {
    fn of(error: Error, during: During) -> Self {
        Self {
            error,
            during,
            seed: 0,
            unanswered: Vec::new(),
        }
    }
}

/// A run that begins afresh, or is only looked at.
pub(super) fn run_of(
    spec: &JobSpec,
    options: &Options,
    environment: &Environment,
    storage: Arc<dyn CheckpointStorage>,
    worker_count: usize,
) -> Run {
    Run {
        job: Arc::clone(&spec.name),
        body: Arc::clone(&spec.body),
        worker_count,
        generation: Generation(0),
        key_groups: options.key_groups,
        first_epoch: Epoch(1),
        limits: options.limits.clone(),
        commit_timeout: options.checkpoints.commit_timeout,
        mode: options.checkpoints.mode,
        clock: environment.clock.clone(),
        disk: Arc::clone(&environment.disk),
        store: StateStore::new(storage, Generation(0), 0),
        backend: Backend::memory(),
        restored: Arc::new(Restored::default()),
        metrics: Arc::clone(&environment.metrics),
        fate: Arc::new(Fate::default()),
    }
}
