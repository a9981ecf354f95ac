//! Requests from other processes: a job is stopped, or a savepoint of it taken, through its checkpoint directory.
//!
//! [`JobClient`] writes a request beside the log; a thread of the run looks for it now and then, does what it says by
//! the run's own handle, and writes the reply. So it works on any storage, and from any machine that reaches it.

mod client;
mod listener;

pub use client::JobClient;
pub(super) use listener::{Listener, ListenerParts};
