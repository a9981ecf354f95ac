//! One run of a job, from its settings to its report.

use std::sync::Arc;

use super::coordinator::{Coordinator, Event};
use super::handle::JobHandle;
use super::publisher::Publisher;
use super::recovery::{Beginning, recover, retained};
use super::workplace;
use crate::clock::Clock;
use crate::dataflow::{self, Blueprint, Body, Fate, Restored, Run};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::settings::Options;
use crate::state::{Backend, StateStore};
use crate::storage::{CheckpointStorage, Disk, LocalStorage, MemoryStorage, RealDisk};

/// A job: a name and the body of its flow.
#[derive(Clone)]
pub struct JobSpec {
    /// The name, which its checkpoints and its output carry.
    pub name: Arc<str>,
    /// The body, which builds the same graph each time it is called.
    pub body: Body,
}

/// The world that a job runs in; tests bring their own.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Clock,
    /// Where checkpoints are kept; by default what the options say.
    pub storage: Option<Arc<dyn CheckpointStorage>>,
    /// By which others talk to the job.
    pub handle: JobHandle,
    /// What the job counts.
    pub metrics: Arc<Metrics>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            disk: Arc::new(RealDisk),
            clock: Clock::system(),
            storage: None,
            handle: JobHandle::new(),
            metrics: Arc::new(Metrics::new()),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read, and all output is visible.
    Finished,
    /// It was asked to stop; the next run goes on from its last checkpoint.
    Stopped,
    /// There was nothing to do: an earlier run had read all input.
    AlreadyFinished,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The checkpoint that it began from.
    pub restored_from: Option<Epoch>,
    /// What it counted.
    pub metrics: MetricsSnapshot,
}

/// The plan of a job, with what is wrong with it.
pub fn blueprint(spec: &JobSpec) -> Result<Blueprint> {
    let environment = Environment::default();
    let options = Options::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let run = run_of(spec, &options, &environment, storage, 1);
    let mut blueprint = dataflow::blueprint(&run)?;
    if blueprint.errors.is_empty() {
        return Ok(blueprint);
    }
    let errors: Vec<String> = blueprint.errors.drain(..).map(|e| e.to_string()).collect();
    Err(Error::invalid(errors.join("; ")))
}

/// Runs a job until it ends.
pub fn run(spec: &JobSpec, options: &Options, environment: &Environment) -> Result<JobReport> {
    // Taken first: whoever waits for an answer hears of a run that ends before it has begun.
    let inbox = environment.handle.take_inbox()?;
    options.validate()?;
    let worker_count = match options.worker_count {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    };
    let blueprint = blueprint(spec)?;
    let storage = storage_of(options, environment)?;
    let begin = Beginning {
        job: &spec.name,
        blueprint: &blueprint,
        options,
        environment,
        worker_count,
    };
    let recovered = recover(begin, Arc::clone(&storage))?;
    let report = |outcome| JobReport {
        outcome,
        restored_from: recovered.from,
        metrics: environment.metrics.snapshot(),
    };
    if recovered.finished {
        return Ok(report(Outcome::AlreadyFinished));
    }
    let from = recovered.from;
    let mut run = run_of(
        spec,
        options,
        environment,
        Arc::clone(&storage),
        worker_count,
    );
    run.generation = recovered.writer.generation();
    run.key_groups = recovered.key_groups;
    run.first_epoch = recovered.first_epoch;
    run.store = StateStore::new(
        storage,
        recovered.writer.generation(),
        recovered.writer.nonce(),
    );
    run.restored = Arc::new(recovered.restored);
    let author = (recovered.writer.generation(), recovered.writer.nonce());
    run.backend = workplace::start(begin, author)?;

    let events = environment.handle.sender();
    let publisher = Publisher::start(
        recovered.writer,
        retained(options),
        recovered.damaged,
        events.clone(),
    )?;
    let fate = Arc::clone(&run.fate);
    let coordinator = Coordinator::new(
        &run,
        blueprint.plan,
        author,
        &options.checkpoints,
        environment.clock.clone(),
        inbox,
    );
    let ends = events.clone();
    let tell = move |message| drop(events.send(Event::Workers(message)));
    let end = move |worker| drop(ends.send(Event::WorkerEnded(worker)));
    let workers = dataflow::start_workers(run, Box::new(tell), Arc::new(end))?;
    let stopped = coordinator.run(workers, publisher);
    if let Some(error) = fate.error() {
        return Err(error);
    }
    let outcome = if stopped? {
        Outcome::Stopped
    } else {
        Outcome::Finished
    };
    Ok(JobReport {
        outcome,
        restored_from: from,
        metrics: environment.metrics.snapshot(),
    })
}

fn storage_of(options: &Options, environment: &Environment) -> Result<Arc<dyn CheckpointStorage>> {
    match (&environment.storage, &options.checkpoint_dir) {
        (Some(storage), _) => Ok(Arc::clone(storage)),
        (None, Some(dir)) => Ok(Arc::new(LocalStorage::open(
            Arc::clone(&environment.disk),
            dir,
        )?)),
        (None, None) => Ok(Arc::new(MemoryStorage::new())),
    }
}

fn run_of(
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
        clock: environment.clock.clone(),
        disk: Arc::clone(&environment.disk),
        store: StateStore::new(storage, Generation(0), 0),
        backend: Backend::memory(),
        restored: Arc::new(Restored::default()),
        metrics: Arc::clone(&environment.metrics),
        fate: Arc::new(Fate::default()),
    }
}
