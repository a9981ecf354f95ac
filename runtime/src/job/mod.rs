//! Running a job: recover, start the workers, coordinate checkpoints, end together, begin again.

mod attempt;
mod coordinator;
mod handle;
mod history;
#[doc(hidden)]
pub mod internals;
mod publisher;
mod recovery;
mod requests;
mod restoring;
mod savepoints;
mod start;
mod stop_sign;
mod workplace;

pub use crate::protocol::Drain;
pub use crate::protocol::Health;
pub use handle::JobHandle;
pub use requests::JobClient;
pub use restoring::{Restoration, restore, restore_on};
pub use start::{Environment, JobReport, JobSpec, Outcome, Versions, blueprint, run};
