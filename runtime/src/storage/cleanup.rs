//! Carrying out a cleanup plan: manifests first, then objects, and only as the newest generation.

use crate::error::Result;
use crate::protocol::CleanupPlan;
use crate::storage::log::LogWriter;

/// How much is deleted between two looks at the log.
const BATCH: usize = 64;

/// Deletes what the plan says.
///
/// # Errors
///
/// `Fenced` if a newer run has taken over: what is left of the plan is that run's. `Unavailable` if
/// the storage does not answer; what is left is found again by a later plan.
pub fn execute(plan: &CleanupPlan, writer: &mut LogWriter) -> Result<()> {
    // CRASH: a manifest goes before the objects that it names, and durably, or a crash between the
    // two would leave a checkpoint that looks complete and is not.
    for batch in plan.slots().chunks(BATCH) {
        writer.check_newest()?;
        writer.delete_slots(batch)?;
    }
    for batch in plan.objects().chunks(BATCH) {
        writer.check_newest()?;
        writer.storage().delete(batch)?;
    }
    Ok(())
}
