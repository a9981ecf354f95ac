//! A thread beside each worker for what waits on a disk: encoding, writing, syncing, committing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::fate::Fate;
use crate::error::{Error, Result};

type Task = Box<dyn FnOnce() + Send>;

/// Where a worker's tasks go; they run one after the other, in the order in which they came.
#[derive(Clone)]
pub(crate) struct Offload(Option<Sender<Task>>);

impl Offload {
    /// Starts the thread. It ends when every clone of the `Offload` is gone, or when the job has
    /// failed: tasks of a failed job are not begun any more.
    pub(crate) fn start(name: &str, fate: Arc<Fate>) -> Result<(Self, JoinHandle<()>)> {
        let (tasks, inbox) = channel::<Task>();
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(task) = next(&inbox, &fate) {
                    if catch_unwind(AssertUnwindSafe(task)).is_err() {
                        // The panic hook has printed it; what panics here is the `Serialize` of a state type.
                        fate.fail(Error::panicked(
                            "a state type panicked while it was encoded for a checkpoint",
                        ));
                    }
                }
            })
            .map_err(|e| {
                Error::unavailable(format!("cannot start a thread for checkpoints: {e}"))
            })?;
        Ok((Self(Some(tasks)), thread))
    }

    /// An offload that drops its tasks, for a graph that is only looked at.
    pub(crate) fn none() -> Self {
        Self(None)
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
