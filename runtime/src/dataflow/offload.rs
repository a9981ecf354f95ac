//! Threads beside each worker for what waits on a disk: one writes images to databases, one stores
//! snapshots, so that a slow storage holds up no image, one commits, so that a slow place of output holds
//! up no checkpoint, and one compacts snapshots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::compactor::Compactor;
use super::companion::Companion;
use super::fate::Fate;
use crate::error::{Error, Result};
use crate::settings::Limits;

type Task = Box<dyn FnOnce() + Send>;

/// The threads of one worker.
pub(crate) struct Offloads {
    /// For images that go to databases before they are stored; stages wait for them.
    pub(crate) images: Offload,
    /// For snapshots, and for what sinks prepare at a barrier: in the order of the barriers.
    pub(crate) snapshots: Offload,
    /// For commits.
    pub(crate) commits: Offload,
    /// For compactions.
    pub(crate) compactor: Compactor,
}

/// The threads themselves, to be awaited.
pub(crate) struct Threads {
    /// Those on which the outcome of the job depends.
    needed: [JoinHandle<()>; 3],
    compacts: Companion,
}

/// How long a compaction that hangs on a disk is waited for: nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(4);

impl Threads {
    /// Waits for the end of the threads: nothing of the run touches a disk behind its end. What a
    /// compaction does that is left behind, the next run deletes.
    pub(crate) fn join(self) {
        for thread in self.needed {
            let _ = thread.join();
        }
        let _ = self.compacts.join_within(PATIENCE);
    }
}

impl Offloads {
    /// Starts the threads.
    pub(crate) fn start(
        worker: usize,
        limits: &Limits,
        fate: &Arc<Fate>,
    ) -> Result<(Self, Threads)> {
        let start = |what| Offload::start(&format!("flowdsl-{what}-{worker}"), Arc::clone(fate));
        let (images, writes) = start("images")?;
        let (snapshots, stores) = start("snapshots")?;
        let (commits, makes_visible) = start("commits")?;
        let (compactor, compacts) =
            Compactor::start(worker, limits.compaction_bytes, Arc::clone(fate))?;
        let offloads = Self {
            images,
            snapshots,
            commits,
            compactor,
        };
        let threads = Threads {
            needed: [writes, stores, makes_visible],
            compacts,
        };
        Ok((offloads, threads))
    }

    /// Threads that drop their tasks, for a graph that is only looked at.
    pub(crate) fn none() -> Self {
        Self {
            images: Offload(None),
            snapshots: Offload(None),
            commits: Offload(None),
            compactor: Compactor::none(),
        }
    }
}

/// Where tasks of one thread go; they run one after the other, in the order in which they came.
#[derive(Clone)]
pub(crate) struct Offload(Option<Sender<Task>>);

impl Offload {
    /// Starts the thread. It ends when every clone of the `Offload` is gone, or when the job has
    /// failed: tasks of a failed job are not begun any more.
    fn start(name: &str, fate: Arc<Fate>) -> Result<(Self, JoinHandle<()>)> {
        let (tasks, inbox) = channel::<Task>();
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(task) = next(&inbox, &fate) {
                    if catch_unwind(AssertUnwindSafe(task)).is_err() {
                        // The panic hook has printed it; what panics here is the `Serialize` of a
                        // state type, or a sink of the user's own.
                        fate.fail(Error::panicked(
                            "a state type panicked while it was encoded for a checkpoint, or a sink while it committed",
                        ));
                    }
                }
            })
            .map_err(|e| {
                Error::unavailable(format!("cannot start a thread for checkpoints: {e}"))
            })?;
        Ok((Self(Some(tasks)), thread))
    }

    /// Runs `task` after all tasks before it.
    pub(crate) fn run(&self, task: impl FnOnce() + Send + 'static) {
        if let Some(tasks) = &self.0 {
            // A thread that is gone has failed the job already.
            let _ = tasks.send(Box::new(task));
        }
    }
}

/// How often a thread without tasks looks whether the job has failed.
const LOOK: Duration = Duration::from_millis(100);

fn next(inbox: &Receiver<Task>, fate: &Fate) -> Option<Task> {
    loop {
        let received = inbox.recv_timeout(LOOK);
        if fate.has_failed() {
            return None;
        }
        match received {
            Ok(task) => return Some(task),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
