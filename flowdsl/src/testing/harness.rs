//! The world that a job under test runs in, and the runs of the job in it.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use flowdsl_runtime::clock::Clock;
use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::metrics::{Metrics, MetricsSnapshot};
use flowdsl_runtime::storage::{CheckpointStorage, FaultyDisk};

use super::feeds::{Feeds, Waited};
use super::input::Input;
use super::process::{Process, ProcessDisk};
use crate::{
    CheckpointLocation, Drain, Environment, Error, Health, Job, JobHandle, JobReport, Options,
    RestartStrategy, Result,
};

/// Where checkpoints are kept on the harness's disk.
const CHECKPOINTS: &str = "checkpoints";

/// The world of a job under test; see the [module](super).
///
/// What the job writes goes to a disk in memory, its checkpoints under `checkpoints/`. The clock
/// stands still until [`clock`](Self::clock) moves it, so that checkpoints are taken when the test
/// asks for one, and at the end. Dropping the harness crashes a run that is still on.
#[derive(Debug)]
pub struct Harness {
    feeds: Feeds,
    disk: FaultyDisk,
    clock: Clock,
    storage: Option<Arc<dyn CheckpointStorage>>,
    run: Option<Run>,
    /// How the run before ended, until somebody asks.
    ended: Option<Result<JobReport>>,
}

#[derive(Debug)]
struct Run {
    thread: JoinHandle<Result<JobReport>>,
    handle: JobHandle,
    metrics: Arc<Metrics>,
    process: Arc<Process>,
}

impl Harness {
    /// A world without input, and with an empty disk.
    pub fn new() -> Self {
        Self {
            feeds: Feeds::default(),
            disk: FaultyDisk::new(),
            clock: Clock::manual(),
            storage: None,
            run: None,
            ended: None,
        }
    }

    /// Keeps checkpoints in a storage of the test's own instead, one that is slow or fails.
    pub fn store_checkpoints_in(&mut self, storage: Arc<dyn CheckpointStorage>) {
        self.storage = Some(storage);
    }

    /// Adds an input.
    pub fn input<T>(&mut self) -> Input<T> {
        Input::new(self.feeds.clone())
    }

    /// The clock of all runs.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The disk of all runs, which can be made to fail.
    pub fn disk(&self) -> &FaultyDisk {
        &self.disk
    }

    /// The sorted lines of all visible files in a directory of the disk: what a reader of a file
    /// sink's output sees.
    ///
    /// # Panics
    ///
    /// If a file is not text.
    pub fn lines(&self, dir: impl AsRef<Path>) -> Vec<String> {
        let mut lines = Vec::new();
        for path in self.disk.paths() {
            if path.parent() == Some(dir.as_ref()) {
                let bytes = self.disk.peek(&path).unwrap_or_default();
                let text = String::from_utf8(bytes).expect("output under test is text");
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        lines.sort();
        lines
    }

    /// Starts a job on one worker: afresh the first time, and from its last checkpoint after that.
    ///
    /// # Panics
    ///
    /// If a run is on.
    pub fn start(&mut self, job: &Job) {
        self.start_with(job, Options::new());
    }

    /// Starts a job as the options say: with more workers, or afresh. Unless they name a restart
    /// strategy, the first failure ends the run, so that the test sees it.
    ///
    /// # Panics
    ///
    /// If a run is on.
    pub fn start_with(&mut self, job: &Job, mut options: Options) {
        assert!(
            self.run.is_none(),
            "the run before is still on: end it with `finish`, `stop`, `wait` or `crash`"
        );
        options
            .checkpoint_dir
            .get_or_insert_with(|| CHECKPOINTS.into());
        options.restart.get_or_insert(RestartStrategy::None);
        let handle = JobHandle::new();
        let process = Process::new(self.disk.clone(), handle.clone());
        let environment = Environment {
            disk: Arc::new(ProcessDisk(Arc::clone(&process))),
            clock: self.clock.clone(),
            storage: self.storage.clone(),
            handle: handle.clone(),
            ..Environment::default()
        };
        let metrics = Arc::clone(&environment.metrics);
        self.ended = None;
        self.feeds.run_begins();
        let (job, feeds) = (job.clone(), self.feeds.clone());
        let run = move || {
            let result = job.run_in(&options, &environment);
            feeds.run_ends();
            result
        };
        let thread = Builder::new().name("job under test".to_owned()).spawn(run);
        let thread = thread.expect("a test that cannot start a thread has nothing better to do");
        self.run = Some(Run {
            thread,
            handle,
            metrics,
            process,
        });
    }

    /// The counters of the run that is on; zeros if there is none.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.run
            .as_ref()
            .map_or_else(MetricsSnapshot::default, |run| run.metrics.snapshot())
    }

    /// How the run is that is on; `Healthy` if there is none.
    pub fn health(&self) -> Health {
        self.run
            .as_ref()
            .map_or(Health::Healthy, |run| run.handle.health())
    }

    /// Waits until everything that was pushed has been through the whole flow and its output is
    /// visible: takes a checkpoint once everything has been read.
    ///
    /// # Errors
    ///
    /// That of the run, if it ended with one; `Unavailable` if the checkpoint failed, or if
    /// nobody reads one of the inputs.
    pub fn settle(&mut self) -> Result<()> {
        self.running()?;
        let taken = match self.feeds.wait() {
            Waited::AllRead => self.take_checkpoint()?,
            Waited::Ended => None,
            Waited::NobodyReads => {
                return Err(Error::unavailable(
                    "nobody reads an input: does the flow begin with it?",
                ));
            }
        };
        taken.map_or_else(|| self.join().map(drop), |_| Ok(()))
    }

    /// Takes a checkpoint of what has been read so far, and waits until its output is visible.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it failed and the run goes on; that of the run, if it ended.
    pub fn checkpoint(&mut self) -> Result<Epoch> {
        self.take_checkpoint()?
            .map_or_else(|| self.join().and_then(|_| Err(has_ended())), Ok)
    }

    fn take_checkpoint(&mut self) -> Result<Option<Epoch>> {
        let ends = self.feeds.ends_read();
        let taken = self.running()?.handle.checkpoint()?;
        if taken.is_some() {
            self.feeds.ends_stored(&ends);
        }
        Ok(taken)
    }

    /// Takes a savepoint of what has been read so far to a place on the harness's disk, or to a URL.
    ///
    /// # Errors
    ///
    /// As [`JobHandle::savepoint`]; that of the run, if it ended.
    pub fn savepoint(&mut self, to: impl Into<CheckpointLocation>) -> Result<Epoch> {
        let taken = self.running()?.handle.savepoint(to)?;
        taken.map_or_else(|| self.join().and_then(|_| Err(has_ended())), Ok)
    }

    /// Stops the job with a savepoint.
    ///
    /// # Errors
    ///
    /// As [`JobHandle::stop_with_savepoint`]; that of the run, if it ended with one.
    pub fn stop_with_savepoint(
        &mut self,
        to: impl Into<CheckpointLocation>,
        drain: Drain,
    ) -> Result<(Epoch, JobReport)> {
        let taken = self.running()?.handle.stop_with_savepoint(to, drain)?;
        let report = self.wait()?;
        taken.map_or_else(|| Err(has_ended()), |epoch| Ok((epoch, report)))
    }

    /// Ends all inputs, and waits until the job has ended.
    ///
    /// # Errors
    ///
    /// That of the run.
    pub fn finish(&mut self) -> Result<JobReport> {
        self.feeds.finish_all();
        self.wait()
    }

    /// Stops the job as Ctrl-C does: a last checkpoint of what has been read, and nothing fires
    /// that was not due.
    ///
    /// # Errors
    ///
    /// That of the run.
    pub fn stop(&mut self) -> Result<JobReport> {
        if let Some(run) = &self.run {
            run.handle.stop();
        }
        self.wait()
    }

    /// Waits until the job has ended by itself. If another call has found that it had, this one
    /// says so again.
    ///
    /// # Errors
    ///
    /// That of the run; `Invalid` if there is none.
    pub fn wait(&mut self) -> Result<JobReport> {
        if self.run.is_some() {
            let _ = self.join();
        }
        self.ended.take().unwrap_or_else(|| Err(no_run()))
    }

    /// Waits for the end of the run, and keeps what it returned.
    fn join(&mut self) -> Result<JobReport> {
        let run = self.run.take().ok_or_else(no_run)?;
        // `Job::run_in` catches what a user's closure panics with.
        let panicked = |_| Err(Error::internal("a run panicked outside of its workers"));
        let ended = run.thread.join().unwrap_or_else(panicked);
        self.ended = Some(ended.clone());
        ended
    }

    /// Ends the run as `kill -9` does: nothing of it reaches the disk any more. What it wrote
    /// without syncing is still there; see [`lose_power`](Self::lose_power).
    pub fn crash(&mut self) {
        if let Some(run) = self.run.take() {
            run.process.die();
            // Its error says only that it crashed.
            let _ = run.thread.join();
        }
    }

    /// Ends the run as a power failure does: what was not synced is lost.
    pub fn lose_power(&mut self) {
        self.crash();
        self.disk.restart();
    }

    fn running(&self) -> Result<&Run> {
        let ended = || match &self.ended {
            Some(Err(error)) => error.clone(),
            Some(Ok(_)) => has_ended(),
            None => no_run(),
        };
        self.run.as_ref().ok_or_else(ended)
    }
}

fn has_ended() -> Error {
    Error::invalid("the run has ended: begin another one with `start`")
}

fn no_run() -> Error {
    Error::invalid("no run is on: begin one with `start`")
}

impl Default for Harness {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.crash();
    }
}
