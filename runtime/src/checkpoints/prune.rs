//! Removing checkpoints that nobody needs any more, and what no manifest names, while no job runs.
//!
//! Whoever deletes must be the newest generation (invariant 6), so the log is claimed for it. That would end a job that
//! runs there, which is why the plan can be had without.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::Serialize;

use super::Checkpoints;
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{
    CleanupPlan, Keep, LogView, Phase, RetentionFacts, SlotNumber, StateObject, Verification,
    plan_cleanup,
};
use crate::storage::log::{ClaimRequest, claim, list_state, new_claimant};
use crate::storage::{
    CheckpointLocation, CheckpointStorage, RealDisk, TransferLimits, cleanup, snapshots,
};

/// What goes, and what stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pruning {
    /// The checkpoints that go, oldest first.
    pub checkpoints: Vec<Epoch>,
    /// The objects that go: those of these checkpoints alone, and those that no manifest names.
    pub objects: Vec<String>,
    /// The checkpoints that stay, oldest first.
    pub kept: Vec<Epoch>,
}

impl Checkpoints {
    /// What [`prune`] would remove.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the newest checkpoint is damaged: an older one may be needed; `Unavailable` if the storage does not
    /// answer.
    pub fn plan_pruning(&self, keep: NonZeroUsize) -> Result<Pruning> {
        let generation = self.log.next_generation();
        let plan = plan(&*self.storage, &self.log, generation, keep)?;
        Ok(pruning(&self.log, &plan))
    }
}

/// Removes all but the newest whole checkpoints, and what no manifest names.
///
/// Savepoints stay, and so does what does not read. The log is claimed: **a job that runs on it ends**, with an error
/// of the kind `fenced`.
///
/// # Errors
///
/// `Invalid` if there is no checkpoint directory; `Corrupt` if the newest checkpoint is damaged: an older one may be
/// needed; `Fenced` if a job starts meanwhile; `Unavailable` if the storage does not answer.
pub fn prune(location: &CheckpointLocation, keep: NonZeroUsize, unix_ms: u64) -> Result<Pruning> {
    // First as a reader, which makes nothing where there is nothing.
    let looked = Checkpoints::open(location)?;
    looked.check_version()?;
    let job = looked.job().map(str::to_owned).ok_or_else(|| {
        Error::corrupt(format!(
            "no slot of {} reads: whose it is, is unknown",
            looked.place()
        ))
    })?;
    let planned = looked.plan_pruning(keep)?;
    if planned.is_nothing() {
        return Ok(planned);
    }
    let storage = location.open(Arc::new(RealDisk), &TransferLimits::default())?;
    let request = ClaimRequest {
        job: &job,
        fresh: false,
        started_unix_ms: unix_ms,
        above: Generation::default(),
    };
    let mut writer = claim(storage, &request, &mut new_claimant())?.writer;
    // Planned again: a job may have published between the look and the claim.
    let plan = plan(&**writer.storage(), writer.log(), writer.generation(), keep)?;
    let pruned = pruning(writer.log(), &plan);
    cleanup::execute(&plan, &mut writer)?;
    Ok(pruned)
}

impl Pruning {
    /// Whether everything stays.
    pub fn is_nothing(&self) -> bool {
        self.checkpoints.is_empty() && self.objects.is_empty()
    }
}

fn plan(
    storage: &dyn CheckpointStorage,
    log: &LogView,
    generation: Generation,
    keep: NonZeroUsize,
) -> Result<CleanupPlan> {
    let damaged = damaged(storage, log, keep)?;
    let objects: Vec<StateObject> = list_state(storage)?;
    Ok(plan_cleanup(&RetentionFacts {
        log,
        objects: &objects,
        keep: Keep::Newest(keep),
        phase: Phase::Offline,
        generation,
        // All runs before are fenced: of each epoch there is a manifest, or there will be none.
        open_epochs: &[],
        damaged: &damaged,
        pinned: &BTreeSet::new(),
        ended_with: None,
        left: &BTreeSet::new(),
    }))
}

/// The manifests, newest first, that name damaged objects, up to as many whole ones as are kept.
fn damaged(
    storage: &dyn CheckpointStorage,
    log: &LogView,
    keep: NonZeroUsize,
) -> Result<BTreeSet<SlotNumber>> {
    let (mut damaged, mut whole) = (BTreeSet::new(), 0);
    for (slot, manifest) in log.manifests_newest_first() {
        if whole == keep.get() {
            break;
        }
        match snapshots::verify(storage, manifest)? {
            Verification::Whole => whole += 1,
            Verification::Damaged { object, reason } if whole == 0 => {
                return Err(Error::corrupt(format!(
                    "nothing was removed, as the newest checkpoint, of epoch {}, is damaged and an older one may be \
                     needed: `{object}`: {reason}",
                    manifest.epoch
                )));
            }
            Verification::Damaged { .. } => {
                damaged.insert(slot);
            }
        }
    }
    Ok(damaged)
}

fn pruning(log: &LogView, plan: &CleanupPlan) -> Pruning {
    let manifests = log
        .slots
        .iter()
        .filter_map(|slot| Some((slot.number, slot.manifest()?)));
    let (gone, kept): (Vec<_>, Vec<_>) =
        manifests.partition(|(slot, _)| plan.slots().contains(slot));
    let epochs = |of: Vec<(SlotNumber, &crate::protocol::Manifest)>| {
        of.into_iter().map(|(_, manifest)| manifest.epoch).collect()
    };
    Pruning {
        checkpoints: epochs(gone),
        objects: plan.objects().to_vec(),
        kept: epochs(kept),
    }
}
