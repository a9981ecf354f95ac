//! A checkpoint as it would be if its stages had been called what they are called now.

use crate::error::{Error, Result};
use crate::ids::StageId;
use crate::protocol::{Manifest, PlanStage, StoredPlan};

/// The manifest, with stages under their new ids: each pair is what a stage was called, and what it is called.
///
/// A pair whose old id no stored stage has does nothing: so it may stay in the program.
///
/// # Errors
///
/// `Invalid` if the flow still has a stage of an old id or has none of a new one; `Incompatible` if the checkpoint has
/// stages of both.
pub fn rename_stages(
    mut manifest: Manifest,
    renamed: &[(StageId, StageId)],
    plan: &StoredPlan,
) -> Result<Manifest> {
    let has = |plan: &StoredPlan, id: &StageId| plan.stages.iter().any(|stage| stage.id == *id);
    for (old, new) in renamed {
        if has(plan, old) {
            return Err(Error::invalid(format!(
                "`{old}` is said to be called `{new}` now, and the flow still has a stage `{old}`"
            )));
        }
        if !has(plan, new) {
            return Err(Error::invalid(format!(
                "`{old}` is said to be called `{new}` now, and the flow has no stage `{new}`"
            )));
        }
        if !has(&manifest.plan, old) {
            continue;
        }
        // What was without state has left nothing under its name.
        let stateless = |stage: &PlanStage| stage.id == *new && !stage.kind.has_snapshot();
        manifest.plan.stages.retain(|stage| !stateless(stage));
        if has(&manifest.plan, new) {
            return Err(Error::incompatible(format!(
                "`{old}` is said to be called `{new}` now, and the checkpoint has state of both"
            )));
        }
        let stages = manifest.plan.stages.iter_mut().map(|stage| &mut stage.id);
        let snapshots = manifest.snapshots.iter_mut();
        let subtasks = snapshots.map(|snapshot| &mut snapshot.subtask.stage);
        for id in stages.chain(subtasks) {
            if id == old {
                id.clone_from(new);
            }
        }
    }
    Ok(manifest)
}
