//! A thread beside each worker that compacts snapshots: of several compactions, the smallest goes first.
//!
//! Small ones come often and keep chains short, and a large one may take long: so that it rests in
//! between. What is left of it when the job ends is let go; nothing depends on it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use super::companion::Companion;
use super::fate::Fate;
use crate::error::{Error, Result};
use crate::state::{Compacted, Compaction, Progress};

/// How often a thread without work looks whether the job has failed.
const LOOK: Duration = Duration::from_millis(100);

type Done = Box<dyn FnOnce(Result<Compacted>) + Send>;

struct Task {
    compaction: Compaction,
    done: Done,
}

/// Where the compactions of one worker go.
#[derive(Clone)]
pub(crate) struct Compactor(Option<Sender<Task>>);

impl Compactor {
    /// Starts the thread. It ends when every clone of the `Compactor` is gone, or when the job has failed.
    pub(crate) fn start(worker: usize, fate: Arc<Fate>) -> Result<(Self, Companion)> {
        let (tasks, inbox) = channel();
        let name = format!("flowdsl-compacts-{worker}");
        let thread = Companion::start(&name, move || work(&inbox, &fate))
            .map_err(|e| Error::unavailable(format!("cannot start a thread that compacts: {e}")))?;
        Ok((Self(Some(tasks)), thread))
    }

    /// One that drops what it is given, for a graph that is only looked at.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Carries a compaction out, and tells what has come of it, unless nobody waits for that any more.
    pub(crate) fn run(
        &self,
        compaction: Compaction,
        done: impl FnOnce(Result<Compacted>) + Send + 'static,
    ) {
        if let Some(tasks) = &self.0 {
            let done: Done = Box::new(done);
            let _ = tasks.send(Task { compaction, done });
        }
    }
}

fn work(inbox: &Receiver<Task>, fate: &Fate) {
    let mut tasks: Vec<Task> = Vec::new();
    while receive(inbox, &mut tasks) && !fate.has_failed() {
        tasks.retain(|task| !task.compaction.is_stopped());
        let size = |at: &usize| tasks[*at].compaction.bytes();
        if let Some(smallest) = (0..tasks.len()).min_by_key(size) {
            step(&mut tasks, smallest);
        }
    }
}

/// Takes in new tasks, and waits for one a while if there is none; false if none will come.
fn receive(inbox: &Receiver<Task>, tasks: &mut Vec<Task>) -> bool {
    if tasks.is_empty() {
        match inbox.recv_timeout(LOOK) {
            Ok(task) => tasks.push(task),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    loop {
        match inbox.try_recv() {
            Ok(task) => tasks.push(task),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

/// Goes on with a task, which leaves the list when it is done.
fn step(tasks: &mut Vec<Task>, at: usize) {
    let outcome = guard(|| tasks[at].compaction.step());
    match outcome {
        Ok(Progress::More) => {}
        Ok(Progress::Done) => {
            let Task { compaction, done } = tasks.swap_remove(at);
            done(guard(|| compaction.finish()));
        }
        Err(error) => (tasks.swap_remove(at).done)(Err(error)),
    }
}

/// What panics here is the `Serialize` or `Deserialize` of a state type: a compaction is never worth the job.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(Error::panicked("a state type panicked in a compaction"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}
