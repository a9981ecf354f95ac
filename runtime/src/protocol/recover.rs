//! Which checkpoint a job starts from, or why it must not start.
//!
//! Facts in: the log, which manifests verify, what the sinks have made visible, what the user
//! allows. The rule above all: *never silently fresh*, and never doubled output without consent.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::ids::{Epoch, StageId};
use crate::protocol::{LogView, Manifest, Slot, SlotContent, SlotNumber, SlotRole};

/// What is visible already in the place that a transactional sink writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFacts {
    /// The sink's stage.
    pub stage: StageId,
    /// The place, for messages.
    pub place: String,
    /// The number of visible outputs of this job and stage.
    pub visible: usize,
    /// The greatest epoch that any of them holds, if that can be told.
    pub newest_epoch: Option<Epoch>,
    /// Whether the sink can take back what it committed.
    pub can_take_back: bool,
}

impl SinkFacts {
    /// Whether the sink may have made output visible that is later than `kept`.
    fn may_be_later_than(&self, kept: Epoch) -> bool {
        self.visible > 0 && self.newest_epoch.is_none_or(|newest| newest > kept)
    }
}

/// Whether everything that a manifest names is there and whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// All objects are whole.
    Whole,
    /// One is not.
    Damaged {
        /// Its name.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the user allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryOptions {
    /// `--fresh`: ignore all checkpoints and remove the output that the job owns.
    pub fresh: bool,
    /// `--accept-duplicates`: go on although some output cannot be taken back.
    pub accept_duplicates: bool,
}

/// All that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryFacts<'a> {
    /// The log up to this run's claim.
    pub log: &'a LogView,
    /// The verification of the readable manifests, newest first, at least up to the first whole one.
    pub verified: &'a [(SlotNumber, Verification)],
    /// The transactional sinks of the flow.
    pub sinks: &'a [SinkFacts],
    /// What the user allows.
    pub options: RecoveryOptions,
}

/// What a job does before its first record.
#[derive(Debug)]
pub enum RecoveryDecision {
    /// Starts without a checkpoint, leaving alone what is visible.
    Fresh,
    /// Starts without a checkpoint, after every sink has removed the output it owns.
    FreshAfterClearing,
    /// Restores a checkpoint.
    Restore(ChosenCheckpoint),
    /// All input was read in an earlier run: commits what is left, and ends.
    Finished(ChosenCheckpoint),
    /// Does not start.
    Refuse(Error),
}

/// The checkpoint that a job starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenCheckpoint {
    /// Where its manifest stands.
    pub slot: SlotNumber,
    /// Its epoch.
    pub epoch: Epoch,
    /// The last epoch whose output belongs to it: its own, unless a restore has published it.
    pub kept: Epoch,
    /// Newer checkpoints that are damaged, newest first, for a warning.
    pub skipped: Vec<DamagedCheckpoint>,
    /// The sinks that must take back their output of epochs later than the chosen one.
    pub take_back: Vec<StageId>,
}

/// A checkpoint that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedCheckpoint {
    /// Where its manifest stands.
    pub slot: SlotNumber,
    /// Its epoch, as far as it can be read.
    pub epoch: Option<Epoch>,
    /// The damaged object (the slot itself, if there is none).
    pub object: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for DamagedCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.epoch {
            Some(epoch) => write!(
                f,
                "the checkpoint of epoch {epoch} (slot {}) is damaged: ",
                self.slot
            )?,
            None => write!(f, "the checkpoint in slot {} is damaged: ", self.slot)?,
        }
        match &self.object {
            Some(object) => write!(f, "`{object}`: {}", self.reason),
            None => write!(f, "its manifest: {}", self.reason),
        }
    }
}

/// Chooses the checkpoint to start from.
pub fn choose_checkpoint(facts: &RecoveryFacts<'_>) -> RecoveryDecision {
    if facts.options.fresh {
        return RecoveryDecision::FreshAfterClearing;
    }
    if let Some(error) = written_by_another_version(facts.log) {
        return RecoveryDecision::Refuse(error);
    }
    match newest_whole(facts) {
        Newest::Whole {
            slot,
            manifest,
            skipped,
        } => restore(facts, slot, manifest, skipped),
        Newest::AllDamaged(newest) => RecoveryDecision::Refuse(Error::corrupt(format!(
            "no checkpoint can be restored, and starting without one would process all input again. {newest}. \
             Restore the damaged file from a copy, or start anew with `--fresh`, which removes the job's output"
        ))),
        Newest::None => start_without_checkpoint(facts),
        Newest::NotVerified(slot) => RecoveryDecision::Refuse(Error::internal(format!(
            "the manifest in slot {slot} was not verified"
        ))),
    }
}

enum Newest<'a> {
    Whole {
        slot: SlotNumber,
        manifest: &'a Manifest,
        skipped: Vec<DamagedCheckpoint>,
    },
    AllDamaged(DamagedCheckpoint),
    None,
    NotVerified(SlotNumber),
}

fn newest_whole<'a>(facts: &RecoveryFacts<'a>) -> Newest<'a> {
    let mut skipped = Vec::new();
    let mut newest: Option<&Manifest> = None;
    for slot in facts.log.since_fresh_start().iter().rev() {
        if let Some(damaged) = damaged_slot(slot) {
            skipped.push(damaged);
        }
        let Some(manifest) = slot.manifest() else {
            continue;
        };
        // Given up when an older one was restored: not even the next best.
        if newest.is_some_and(|newest| newest.has_left_behind(manifest.epoch)) {
            continue;
        }
        newest = newest.or(Some(manifest));
        match facts
            .verified
            .iter()
            .find(|(number, _)| *number == slot.number)
        {
            Some((_, Verification::Whole)) => {
                return Newest::Whole {
                    slot: slot.number,
                    manifest,
                    skipped,
                };
            }
            Some((_, Verification::Damaged { object, reason })) => {
                skipped.push(DamagedCheckpoint {
                    slot: slot.number,
                    epoch: Some(manifest.epoch),
                    object: Some(object.clone()),
                    reason: reason.clone(),
                });
            }
            None => return Newest::NotVerified(slot.number),
        }
    }
    skipped
        .into_iter()
        .next()
        .map_or(Newest::None, Newest::AllDamaged)
}

/// A slot that does not read and may have been a manifest. One that was a claim holds no checkpoint.
fn damaged_slot(slot: &Slot) -> Option<DamagedCheckpoint> {
    match &slot.content {
        SlotContent::Damaged { author, reason }
            if author.is_none_or(|a| a.role == SlotRole::Manifest) =>
        {
            Some(DamagedCheckpoint {
                slot: slot.number,
                epoch: author.map(|a| a.epoch),
                object: None,
                reason: reason.clone(),
            })
        }
        SlotContent::Damaged { .. }
        | SlotContent::Claim(_)
        | SlotContent::Manifest(_)
        | SlotContent::OtherVersion { .. } => None,
    }
}

fn restore(
    facts: &RecoveryFacts<'_>,
    slot: SlotNumber,
    manifest: &Manifest,
    skipped: Vec<DamagedCheckpoint>,
) -> RecoveryDecision {
    let kept = manifest.kept_output();
    let later: Vec<&SinkFacts> = facts
        .sinks
        .iter()
        .filter(|sink| sink.may_be_later_than(kept))
        .collect();
    let stuck = later.iter().find(|sink| !sink.can_take_back);
    if let (Some(sink), false) = (stuck, facts.options.accept_duplicates) {
        return RecoveryDecision::Refuse(cannot_take_back(sink, kept, skipped.first()));
    }
    let take_back = later
        .iter()
        .filter(|sink| sink.can_take_back)
        .map(|sink| sink.stage.clone())
        .collect();
    let chosen = ChosenCheckpoint {
        slot,
        epoch: manifest.epoch,
        kept,
        skipped,
        take_back,
    };
    if manifest.finished {
        RecoveryDecision::Finished(chosen)
    } else {
        RecoveryDecision::Restore(chosen)
    }
}

fn cannot_take_back(sink: &SinkFacts, kept: Epoch, damaged: Option<&DamagedCheckpoint>) -> Error {
    let why = damaged.map_or_else(
        || "its checkpoint is missing".to_owned(),
        ToString::to_string,
    );
    Error::corrupt(format!(
        "the newest checkpoint that can be restored is that of epoch {kept}, but {} holds committed output that may \
         be later and that this sink cannot take back ({why}). Restore the file from a copy, or go on with \
         `--accept-duplicates`: some output will then be there twice",
        sink.place
    ))
    .in_stage(&sink.stage)
}

fn start_without_checkpoint(facts: &RecoveryFacts<'_>) -> RecoveryDecision {
    // A fresh start that ended before its first checkpoint committed nothing: what is visible is
    // what it was told to remove.
    if facts.log.was_started_fresh() {
        return RecoveryDecision::FreshAfterClearing;
    }
    match facts.sinks.iter().find(|sink| sink.visible > 0) {
        Some(sink) if !facts.options.accept_duplicates => RecoveryDecision::Refuse(
            Error::invalid(format!(
                "there is no checkpoint, but {} holds committed output of this job: is the checkpoint directory \
                 mistyped? Starting anew would write that output again. `--fresh` removes the output first, \
                 `--accept-duplicates` keeps it",
                sink.place
            ))
            .in_stage(&sink.stage),
        ),
        Some(_) | None => RecoveryDecision::Fresh,
    }
}

fn written_by_another_version(log: &LogView) -> Option<Error> {
    log.since_fresh_start().iter().rev().find_map(|slot| match &slot.content {
        SlotContent::OtherVersion { reason } => Some(Error::incompatible(format!(
            "slot {} of the checkpoint log is of another version ({reason}): run the job with that version, or start \
             anew with `--fresh`",
            slot.number
        ))),
        SlotContent::Claim(_) | SlotContent::Manifest(_) | SlotContent::Damaged { .. } => None,
    })
}
