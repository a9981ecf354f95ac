//! The runtime that the requests of all jobs of a process run on, and waiting for their answers.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};

/// Threads that drive requests; what they do beside waiting is encryption and checksums.
const THREADS: usize = 2;

/// An answer that is on its way.
#[derive(Debug)]
pub(super) struct Answer<T>(Receiver<T>);

impl<T> Answer<T> {
    /// Waits for the answer. Every request has a time-out, so there is one.
    pub(super) fn wait(self) -> Result<T> {
        self.0
            .recv()
            .map_err(|_| Error::internal("a request to the object store ended without an outcome"))
    }
}

/// Starts a request.
///
/// Not `block_on`, which panics on a thread of another runtime: a user may run a job on one.
pub(super) fn start<T: Send + 'static>(
    request: impl Future<Output = T> + Send + 'static,
) -> Result<Answer<T>> {
    let (answer, waiting) = sync_channel(1);
    runtime()?.spawn(async move {
        // Whoever started the request has given up, if nobody takes the answer.
        let _ = answer.send(request.await);
    });
    Ok(Answer(waiting))
}

/// The outcome of a request, or `None` if it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, request: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, request).await.ok()
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("flowdsl-remote")
            .enable_all()
            .build()
            .map_err(|e| e.to_string())
    });
    runtime.as_ref().map_err(|e| {
        Error::unavailable(format!(
            "the threads for object stores cannot be started: {e}"
        ))
    })
}
