//! Which checkpoints stay, and what may go.
//!
//! A plan is complete before the first deletion. It never holds a claim, a savepoint, the newest
//! manifest (unless the job has ended and keeps nothing), an object that a manifest that stays may name, or anything of an epoch whose outcome is open (invariant 12).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use crate::ids::{Epoch, Generation};
use crate::protocol::{
    CheckpointKind, Location, LogView, Manifest, Slot, SlotContent, SlotNumber, SlotRole,
    StateObject, left_behind,
};
use crate::settings::{AtEnd, CheckpointSettings};

/// All that a cleanup depends on.
#[derive(Clone, Copy, Debug)]
pub struct RetentionFacts<'a> {
    /// The log as this run knows it.
    pub log: &'a LogView,
    /// The state objects that are there.
    pub objects: &'a [StateObject],
    /// Which checkpoints stay.
    pub keep: Keep,
    /// Whether more checkpoints may follow.
    pub phase: Phase,
    /// This run's generation.
    pub generation: Generation,
    /// Epochs in flight, and those whose publication has an unknown outcome.
    pub open_epochs: &'a [Epoch],
    /// Manifests that recovery passed over, as they name damaged objects.
    pub damaged: &'a BTreeSet<SlotNumber>,
    /// Objects that a savepoint under way is copied from.
    pub pinned: &'a BTreeSet<String>,
    /// The newest manifest, where it is of an older run and recovery has found it whole: its job has ended, and what
    /// that run did not come to delete may go.
    pub ended_with: Option<SlotNumber>,
    /// Slots whose deletion was tried with an unknown outcome: they are left to the next run, and what
    /// they name stays with them.
    pub left: &'a BTreeSet<SlotNumber>,
}

/// Which checkpoints stay; savepoints always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many, the newest ones.
    Newest(NonZeroUsize),
    /// None: the job has ended, and its user wants none of them.
    Nothing,
}

/// Where a run stands that cleans up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What was written for an epoch to come may be named by its manifest.
    Running,
    /// The workers have ended, and all that they wrote with: no manifest follows.
    Over,
    /// No run is there: somebody has claimed the log to clean up, and publishes nothing. The newest checkpoint has been
    /// verified, and is that of an earlier generation.
    Offline,
}

/// How a job ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// All input was read, and all output is visible.
    Success,
    /// It was asked to stop.
    Cancel,
}

/// Which checkpoints stay at a job's end; `None` if nothing changes.
pub fn keep_at_end(end: JobEnd, settings: &CheckpointSettings) -> Option<Keep> {
    let at_end = match end {
        JobEnd::Success => settings.on_success,
        JobEnd::Cancel => settings.on_cancel,
    };
    match at_end {
        AtEnd::Keep => None,
        AtEnd::Delete => Some(Keep::Nothing),
    }
}

impl CleanupPlan {
    /// The checkpoints that were given up when an older one was restored: nobody must fall back to one of them when
    /// the output behind it is gone.
    pub fn of_left_behind(log: &LogView) -> Self {
        Self {
            slots: left_behind(log),
            objects: Vec::new(),
        }
    }
}

/// What is to be deleted, in this order: manifests, oldest first, then objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupPlan {
    slots: Vec<SlotNumber>,
    objects: Vec<String>,
}

impl CleanupPlan {
    /// The slots to delete, oldest first.
    pub fn slots(&self) -> &[SlotNumber] {
        &self.slots
    }

    /// The objects to delete.
    pub fn objects(&self) -> &[String] {
        &self.objects
    }

    /// Whether there is nothing to delete.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.objects.is_empty()
    }
}

/// Plans what may be deleted now.
pub fn plan_cleanup(facts: &RetentionFacts<'_>) -> CleanupPlan {
    // Before its own first checkpoint a run deletes nothing: it may have fallen back to an older
    // checkpoint than the newest, and has nothing better yet. Who cleans up offline has verified the newest.
    let Some(newest) = newest_to_go_by(facts) else {
        return CleanupPlan::default();
    };
    let stays_from = stays_from(facts);
    let (slots, stay): (Vec<&Slot>, Vec<&Slot>) = facts
        .log
        .slots
        .iter()
        .partition(|slot| may_go(slot, stays_from, facts));
    let named: BTreeSet<&str> = stay
        .iter()
        .filter_map(|slot| slot.manifest())
        .flat_map(objects_of)
        .collect();
    let unread_up_to = unread_up_to(facts.log);
    // Behind the end of a job, or of its runs, nothing becomes of what was written for epochs that did not come.
    let is_over = match facts.phase {
        Phase::Running => false,
        Phase::Over | Phase::Offline => true,
    };
    let object_may_go = |object: &&StateObject| {
        let is_open = object.epoch > newest.epoch && !is_over;
        !is_open
            && object.generation <= facts.generation
            && !facts.open_epochs.contains(&object.epoch)
            && !named.contains(object.name.as_str())
            && !facts.pinned.contains(&object.name)
            && unread_up_to.is_none_or(|unread| object.epoch > unread)
    };
    CleanupPlan {
        slots: slots.iter().map(|slot| slot.number).collect(),
        objects: facts
            .objects
            .iter()
            .filter(object_may_go)
            .map(|object| object.name.clone())
            .collect(),
    }
}

/// The names of the objects that a manifest refers to.
pub fn objects_of(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest
        .snapshots
        .iter()
        .flat_map(|snapshot| &snapshot.refs)
        .filter_map(|reference| match &reference.location {
            Location::Object { name, .. } => Some(name.as_str()),
            Location::Inline(_) => None,
        })
}

fn newest_to_go_by<'a>(facts: &RetentionFacts<'a>) -> Option<&'a Manifest> {
    let (slot, manifest) = facts.log.manifests_newest_first().next()?;
    let is_good = match facts.phase {
        Phase::Running | Phase::Over => {
            manifest.generation == facts.generation || facts.ended_with == Some(slot)
        }
        Phase::Offline => true,
    };
    is_good.then_some(manifest)
}

/// The slot from which on checkpoints stay; `None` if there are too few for any to go.
fn stays_from(facts: &RetentionFacts<'_>) -> Option<SlotNumber> {
    let retained = match facts.keep {
        Keep::Newest(retained) => retained.get(),
        Keep::Nothing => return Some(facts.log.next_slot()),
    };
    let collected = |manifest: &Manifest| manifest.kind == CheckpointKind::Checkpoint;
    let good = facts
        .log
        .manifests_newest_first()
        .filter(|(slot, m)| collected(m) && !facts.damaged.contains(slot));
    let kept: Vec<SlotNumber> = good.map(|(slot, _)| slot).take(retained).collect();
    // Fewer than wanted: whatever else is there stays, unless it was given up by a fresh start.
    let given_up = facts
        .log
        .since_fresh_start()
        .first()
        .filter(|_| facts.log.was_started_fresh());
    if kept.len() == retained {
        kept.last().copied()
    } else {
        given_up.map(|slot| slot.number)
    }
}

fn may_go(slot: &Slot, stays_from: Option<SlotNumber>, facts: &RetentionFacts<'_>) -> bool {
    let is_collected = match &slot.content {
        SlotContent::Manifest(manifest) => {
            manifest.kind == CheckpointKind::Checkpoint
                && !facts.open_epochs.contains(&manifest.epoch)
        }
        // Claims are what stops old runs; and what does not read may be a claim, or a savepoint.
        SlotContent::Claim(_) | SlotContent::Damaged { .. } | SlotContent::OtherVersion { .. } => {
            false
        }
    };
    // A damaged checkpoint that was passed over goes at once: the job has taken back its output and gone
    // on from an older one. Were its files repaired later, it would look like an ancestor of ours.
    // Offline nothing has gone on from anywhere: it may be mended yet.
    let is_passed_over = facts.phase != Phase::Offline && facts.damaged.contains(&slot.number);
    is_collected
        && !facts.left.contains(&slot.number)
        && (is_passed_over || stays_from.is_some_and(|oldest| slot.number < oldest))
}

/// The last epoch of which a slot that does not read may name objects: somebody may yet repair it.
fn unread_up_to(log: &LogView) -> Option<Epoch> {
    let unread = |slot: &Slot| match &slot.content {
        SlotContent::Claim(_) | SlotContent::Manifest(_) => false,
        SlotContent::Damaged { author, .. } => {
            author.is_none_or(|author| author.role == SlotRole::Manifest)
        }
        SlotContent::OtherVersion { .. } => true,
    };
    // Epochs grow along the log, so the next slot that reads bounds one that does not.
    let last = log.slots.iter().rposition(unread)?;
    log.slots[last..].iter().find_map(Slot::epoch)
}
