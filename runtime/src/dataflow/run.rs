//! Starting workers, and stopping them together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use timely::WorkerConfig;
use timely::communication::{
    Allocator, Config, WorkerGuards, allocator::thread::Thread, initialize_from,
};
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

use super::board::Board;
use super::collect::{Inbox, install_collector};
use super::control::install_control;
use super::fate::Fate;
use super::fuse::panicked_stage;
use super::graph::{Blueprint, Graph, Restored, WorkerContext};
use super::moment::Moment;
use super::offload::Offloads;
use crate::clock::{Clock, instant};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount, WorkerIndex};
use crate::metrics::Metrics;
use crate::protocol::Control;
use crate::settings::{CheckpointMode, Limits};
use crate::state::{Backend, StateStore};
use crate::storage::Disk;

/// The body of a flow: builds the same graph on every worker.
pub type Body = Arc<dyn Fn(&Graph<'_>) + Send + Sync>;

/// What all workers of a run have in common.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) job: Arc<str>,
    pub(crate) body: Body,
    pub(crate) worker_count: usize,
    pub(crate) generation: Generation,
    pub(crate) key_groups: KeyGroupCount,
    pub(crate) first_epoch: Epoch,
    pub(crate) limits: Limits,
    pub(crate) commit_timeout: Duration,
    pub(crate) mode: CheckpointMode,
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) store: StateStore,
    pub(crate) backend: Backend,
    pub(crate) restored: Arc<Restored>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) fate: Arc<Fate>,
}

impl Run {
    fn context(&self, worker: WorkerIndex, threads: Offloads, board: Rc<Board>) -> WorkerContext {
        let run = self.clone();
        WorkerContext {
            job: run.job,
            worker,
            worker_count: run.worker_count,
            generation: run.generation,
            key_groups: run.key_groups,
            first_epoch: run.first_epoch,
            limits: run.limits,
            commit_timeout: run.commit_timeout,
            mode: run.mode,
            clock: run.clock,
            disk: run.disk,
            store: run.store,
            backend: run.backend,
            restored: run.restored,
            metrics: run.metrics,
            fate: run.fate,
            images: threads.images,
            snapshots: threads.snapshots,
            commits: threads.commits,
            compactor: threads.compactor,
            board,
        }
    }
}

/// The coordinator's end of the control dataflow.
pub(crate) struct ControlSender {
    decisions: Option<Sender<Control>>,
    wake: Option<SyncActivator>,
    ready: Receiver<SyncActivator>,
}

impl ControlSender {
    /// Sends a decision to every worker.
    pub(crate) fn send(&mut self, control: Control) {
        if let Some(decisions) = &self.decisions {
            let _ = decisions.send(control);
        }
        self.wake();
    }

    /// Closes the control dataflow: no decision follows.
    pub(crate) fn close(&mut self) {
        self.decisions = None;
        self.wake();
    }

    fn wake(&mut self) {
        if self.wake.is_none() {
            // The first worker says how to wake it before its first step, in which it looks for
            // decisions anyway. Nobody waits for it: it may have ended before.
            self.wake = self.ready.try_recv().ok();
        }
        if let Some(wake) = &self.wake {
            let _ = wake.activate();
        }
    }
}

/// Workers that run.
pub(crate) struct Workers {
    guards: WorkerGuards<()>,
    fate: Arc<Fate>,
    pub(crate) control: ControlSender,
}

type Seats = Mutex<Option<(Receiver<Control>, Sender<SyncActivator>, Inbox)>>;

/// Starts the workers of a run. `tell` hears what they say, `ended` the index of each that has ended.
pub(crate) fn start_workers(
    run: Run,
    tell: Inbox,
    ended: Arc<dyn Fn(usize) + Send + Sync>,
) -> Result<Workers> {
    let (decisions, decided) = channel();
    let (say_ready, ready) = channel();
    // What only the first worker needs.
    let seats: Seats = Mutex::new(Some((decided, say_ready, tell)));
    let fate = Arc::clone(&run.fate);
    let config = if run.worker_count == 1 {
        Config::Thread
    } else {
        Config::Process(run.worker_count)
    };
    let cannot =
        |e: String| Error::unavailable(format!("cannot start {} workers: {e}", run.worker_count));
    let (builders, others) = config.try_build().map_err(cannot)?;
    let threads = run.clone();
    let guards = initialize_from(builders, others, move |allocator| {
        let worker = Worker::new(WorkerConfig::default(), allocator, Some(instant()));
        let index = worker.index();
        work(&threads, worker, &seats);
        ended(index);
    })
    .map_err(|e| Error::unavailable(format!("cannot start {} workers: {e}", run.worker_count)))?;
    let control = ControlSender {
        decisions: Some(decisions),
        wake: None,
        ready,
    };
    Ok(Workers {
        guards,
        fate,
        control,
    })
}

/// One worker, from its graph to its end.
fn work(run: &Run, mut worker: Worker, seats: &Seats) {
    let fate = &run.fate;
    fate.join(std::thread::current());
    let offloads = match Offloads::start(worker.index(), &run.limits, fate) {
        Ok(started) => Some(started),
        Err(error) => {
            fate.fail(error);
            None
        }
    };
    if let Some((offloads, threads)) = offloads {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            build(run, &mut worker, offloads, seats);
            while worker.has_dataflows() && !fate.has_failed() {
                worker.step_or_park(Some(Duration::from_millis(100)));
            }
        }));
        if let Err(payload) = outcome {
            fate.fail(panic_error(&*payload));
        }
        // A worker that panicked is never stepped again: what its operators drop must not count as progress.
        for dataflow in worker.installed_dataflows() {
            let _ = catch_unwind(AssertUnwindSafe(|| worker.drop_dataflow(dataflow)));
        }
        // Also when the job has failed: nothing of this run touches a disk behind its end. A worker
        // that waits for a disk that hangs is left behind.
        threads.join();
    }
    let _ = catch_unwind(AssertUnwindSafe(|| drop(worker)));
}

fn build(run: &Run, worker: &mut Worker, offloads: Offloads, seats: &Seats) {
    let first = worker.index() == 0;
    let seat = if first {
        seats.lock().unwrap_or_else(PoisonError::into_inner).take()
    } else {
        None
    };
    let (decided, say_ready, inbox) = match seat {
        Some((decided, say_ready, inbox)) => (Some(decided), Some(say_ready), Some(inbox)),
        None => (None, None, None),
    };
    let board = Rc::new(Board::new(run.first_epoch));
    let wake = install_control(worker, Rc::clone(&board), decided);
    let context = Rc::new(run.context(WorkerIndex(worker.index() as u32), offloads, board));
    worker.dataflow_named::<Moment, _, _>("data", |scope| {
        let graph = Graph::new(scope, context);
        (run.body)(&graph);
        install_collector(&graph, inbox);
    });
    if let Some(say_ready) = say_ready {
        let _ = say_ready.send(wake);
    }
}

fn panic_error(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    let error = Error::panicked(format!("panicked: {text}"));
    match panicked_stage() {
        Some(stage) => error.in_stage(stage),
        None => error,
    }
}

impl Workers {
    /// Ends the workers that have said that they ended; `stuck` are those that have not, and are
    /// left behind (a closure that never returns cannot be stopped).
    pub(crate) fn finish(mut self, stuck: &[usize]) {
        self.control.close();
        if stuck.is_empty() {
            // A panic of a worker was caught on its thread: the join cannot fail for it.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(self.guards.join())));
        } else {
            self.fate.leave_behind(stuck);
            std::mem::forget(self.guards);
        }
    }
}

/// Builds the graph once, on a worker that is never stepped, to learn the plan.
pub(crate) fn blueprint(run: &Run) -> Result<Blueprint> {
    let built = catch_unwind(AssertUnwindSafe(|| {
        let allocator = Allocator::Thread(Thread::default());
        let mut worker = Worker::new(WorkerConfig::default(), allocator, Some(instant()));
        let board = Rc::new(Board::new(run.first_epoch));
        let context = Rc::new(run.context(WorkerIndex(0), Offloads::none(), board));
        worker.dataflow_named::<Moment, _, _>("plan", |scope| {
            let graph = Graph::new(scope, context);
            (run.body)(&graph);
            install_collector(&graph, None);
            graph.take_blueprint()
        })
    }));
    built.map_err(|payload| panic_error(&*payload).context("building the flow"))
}
