//! Fate-sharing: when one worker fails, the whole job stops.
//!
//! Left alone, timely hangs when a worker is gone: its peers park. Here the first error is kept, a
//! flag is set, and every worker is unparked to look at it between steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;

use crate::error::Error;

/// What all workers of a process share of their fate.
#[derive(Debug, Default)]
pub struct Fate {
    failed: AtomicBool,
    first: Mutex<Option<Error>>,
    workers: Mutex<Vec<Thread>>,
}

impl Fate {
    /// Adds a worker's thread to those that are woken.
    pub fn join(&self, worker: Thread) {
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(worker);
    }

    /// Ends the job with this error, unless it has ended with another.
    pub fn fail(&self, error: Error) {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.failed.store(true, Ordering::SeqCst);
        for worker in self
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            worker.unpark();
        }
    }

    /// Adds to the error that some workers did not come to their end.
    pub fn leave_behind(&self, stuck: &[usize]) {
        let text = format!(
            "workers {stuck:?} are stuck in a user's closure or wait for a disk, and were left behind"
        );
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        *first = Some(
            first
                .take()
                .map_or_else(|| Error::internal(&*text), |error| error.and(&text)),
        );
    }

    /// Whether the job is to stop.
    #[inline]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// That flag, for whoever knows nothing of fates and goes on for long.
    pub(crate) const fn failed(&self) -> &AtomicBool {
        &self.failed
    }

    /// The error that ended the job.
    pub fn error(&self) -> Option<Error> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
