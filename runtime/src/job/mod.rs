//! Running a job: recover, start the workers, coordinate checkpoints, end together.

mod companion;
mod coordinator;
mod handle;
mod publisher;
mod recovery;
mod start;
mod workplace;

pub use handle::JobHandle;
pub use start::{Environment, JobReport, JobSpec, Outcome, blueprint, run};
