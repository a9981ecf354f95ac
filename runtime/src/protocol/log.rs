//! The checkpoint log as facts, and what a writer of it may conclude.
//!
//! The log is a row of slots. Slot *n+1* is created, if absent, by a writer that has seen slot *n*;
//! a slot holds a generation claim or a manifest. That alone fences old runs:
//!
//! 1. A run starts with a claim and then publishes into the slots right behind it, so a generation
//!    is one claim followed by an unbroken row of its manifests. A run that last wrote slot *s* only
//!    ever tries slot *s+1*.
//! 2. If anybody else took *s+1*, it was a new run, whose first slot is a claim: only a claim is
//!    written behind another run's slot. So the slot that stops an old run always holds a *claim*.
//! 3. Claims are never deleted. However long the old run slept and whatever retention removed
//!    meanwhile, *s+1* is occupied when it wakes, and it ends `Fenced`.
//!
//! That takes for granted that the old run knows which slot it last wrote. A create without an answer may have made
//! *s+1*; the new run, whose claim is then *s+2*, deletes that manifest in time, and the old run finds a
//! hole where it goes on. So a run that was ever in doubt lists the log behind its create; and so does each where the
//! storage repeats a create by itself, since there a create that was answered may be the second one. A slot above its
//! own is a claim, which was there before the hole was, and the run ends `Fenced` all the same. What it has made in
//! the hole, or what a request that was long given up makes there later, is no checkpoint: its epoch is above what
//! the claim behind it knew of ([`LogView::leave_out_latecomers`]).
//!
//! Retention makes holes among manifests, and a claimant that slept between listing the log and
//! creating its claim could land in such a hole. It therefore lists the log once more: a slot above its claim
//! means that the claim is worth nothing, and it tries again at the end. It cannot miss such a slot: the
//! cleanup that made the hole kept the newest manifest of its time, which stands above the
//! hole, and no later cleanup runs, because a run lists the log before it deletes and stops at
//! any slot it does not know ([`may_delete`]).
//!
//! A process whose run begins anew claims the log once more, and must not fence whoever has claimed it meanwhile:
//! it looks whose the last slot is each time before it tries ([`Claimant`](crate::protocol::Claimant)). Had another
//! claim come between the look and the create, the slot would be taken, and it looks again.

mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{CheckpointKind, Manifest};

pub use order::{MisplacedSlot, misplaced_slots};

/// How far epochs are numbered above a slot whose own epoch cannot be read.
const EPOCHS_LEFT_FOR_A_LOST_HEADER: u64 = 1_000;

/// The position of a slot in the log. The first one is 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SlotNumber(pub u64);

impl SlotNumber {
    /// The slot behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for SlotNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The first slot of a run: from here on it is the newest generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The job's name.
    pub job: String,
    /// The generation that is claimed.
    pub generation: Generation,
    /// The run's nonce, by which it knows its own writes again.
    pub nonce: u64,
    /// The last epoch that the run found a manifest of: it closes only later ones.
    pub known_epoch: Epoch,
    /// Whether the run starts anew (`--fresh`): what stands before this slot counts no more, or a
    /// crash before the run's first checkpoint would bring back what the user gave up.
    pub fresh: bool,
    /// When the run started, in milliseconds since the Unix epoch; for people only.
    pub started_unix_ms: u64,
}

/// Who wrote a slot, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotAuthor {
    /// The generation.
    pub generation: Generation,
    /// The run's nonce.
    pub nonce: u64,
    /// The epoch of a manifest; of a claim, the last epoch that the claimant knew of.
    pub epoch: Epoch,
    /// Whether the slot is a claim or a manifest.
    pub role: SlotRole,
}

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRole {
    /// It starts a generation.
    Claim,
    /// It is a checkpoint.
    Manifest,
}

/// What was found in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotContent {
    /// A readable claim.
    Claim(Claim),
    /// A readable manifest (whether its objects are whole is another question).
    Manifest(Box<Manifest>),
    /// Bytes that do not read.
    Damaged {
        /// What the header says, if that is whole.
        author: Option<SlotAuthor>,
        /// What is wrong.
        reason: String,
    },
    /// A slot that another version of flowdsl wrote.
    OtherVersion {
        /// Kind and version.
        reason: String,
    },
}

/// One slot and what was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its position.
    pub number: SlotNumber,
    /// What was found.
    pub content: SlotContent,
}

impl Slot {
    /// The readable manifest in the slot.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.content {
            SlotContent::Manifest(manifest) => Some(manifest),
            SlotContent::Claim(_)
            | SlotContent::Damaged { .. }
            | SlotContent::OtherVersion { .. } => None,
        }
    }

    /// The greatest generation that the slot may be of.
    pub(super) fn greatest_generation(&self) -> Generation {
        match &self.content {
            SlotContent::Claim(claim) => claim.generation,
            SlotContent::Manifest(manifest) => manifest.generation,
            SlotContent::Damaged {
                author: Some(author),
                ..
            } => author.generation,
            // The claim in slot n is of generation n+1 at most: the first one is 1, and each is one
            // above what was there.
            SlotContent::Damaged { author: None, .. } | SlotContent::OtherVersion { .. } => {
                Generation(self.number.0 + 1)
            }
        }
    }

    /// If the slot is a claim, readable or not: the last epoch that the claimant knew of.
    fn claims(&self) -> Option<Epoch> {
        match &self.content {
            SlotContent::Claim(claim) => Some(claim.known_epoch),
            SlotContent::Damaged {
                author: Some(author),
                ..
            } if author.role == SlotRole::Claim => Some(author.epoch),
            SlotContent::Damaged { .. }
            | SlotContent::Manifest(_)
            | SlotContent::OtherVersion { .. } => None,
        }
    }

    /// The last epoch that the slot tells of, as far as it can be read.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        match &self.content {
            SlotContent::Claim(claim) => Some(claim.known_epoch),
            SlotContent::Manifest(manifest) => Some(manifest.epoch),
            SlotContent::Damaged {
                author: Some(author),
                ..
            } => Some(author.epoch),
            SlotContent::Damaged { author: None, .. } | SlotContent::OtherVersion { .. } => None,
        }
    }
}

/// All slots of a log, as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogView {
    /// The slots, in order; there may be holes where retention deleted manifests.
    pub slots: Vec<Slot>,
}

impl LogView {
    /// The slot behind the last one.
    pub fn next_slot(&self) -> SlotNumber {
        self.slots
            .last()
            .map_or(SlotNumber(0), |slot| slot.number.next())
    }

    /// A generation above every one that the log may hold. The first one is 1.
    pub fn next_generation(&self) -> Generation {
        let newest = self.slots.iter().fold(Generation(0), |newest, slot| {
            // A claim that does not read is of a later generation than what stands before it.
            let is_lost = slot.epoch().is_none();
            let least = if is_lost { newest.next() } else { newest };
            least.max(slot.greatest_generation())
        });
        newest.next()
    }

    /// The last epoch of a manifest present, readable or not: one that comes later has a later epoch, or is
    /// none of this log.
    ///
    /// Objects are named by epochs to come, and may tell of ones of which there is no manifest; so they
    /// are asked only where a slot does not say of which epoch it is.
    pub fn known_epoch(&self, objects: &[StateObject]) -> Epoch {
        let newest = self.slots.iter().filter_map(Slot::epoch).max();
        let newest = newest.unwrap_or_default();
        let is_lost = |slot: &&Slot| slot.epoch().is_none();
        let lost = self.slots.iter().filter(is_lost).count() as u64;
        if lost == 0 {
            return newest;
        }
        let newest = newest.max(last_of(objects));
        let left = lost.saturating_mul(EPOCHS_LEFT_FOR_A_LOST_HEADER);
        Epoch(newest.0.saturating_add(left))
    }

    /// An epoch above that of every manifest present, readable or not, and of every state object.
    pub fn next_epoch(&self, objects: &[StateObject]) -> Epoch {
        self.known_epoch(objects).max(last_of(objects)).next()
    }

    /// Forgets manifests that were created when their run had been overtaken: in a hole that retention had
    /// left, by a request that was given up long before. Their epochs are above what the claim behind
    /// them knew of, and the newer run may have closed epochs with the same numbers.
    pub fn leave_out_latecomers(&mut self) {
        let mut known = None;
        let mut kept: Vec<Slot> = mem::take(&mut self.slots);
        kept.reverse();
        kept.retain(|slot| match (&slot.content, slot.claims()) {
            (_, Some(epoch)) => {
                known = Some(epoch);
                true
            }
            (SlotContent::Manifest(manifest), None) => {
                known.is_none_or(|known| manifest.epoch <= known)
            }
            (_, None) => true,
        });
        kept.reverse();
        self.slots = kept;
    }

    /// The slots that count: from the last fresh start on.
    pub fn since_fresh_start(&self) -> &[Slot] {
        &self.slots[self.last_fresh_start().unwrap_or(0)..]
    }

    /// Whether a run that started anew stands in the log.
    pub fn was_started_fresh(&self) -> bool {
        self.last_fresh_start().is_some()
    }

    /// The readable manifests that count, newest first.
    pub fn manifests_newest_first(&self) -> impl Iterator<Item = (SlotNumber, &Manifest)> {
        self.since_fresh_start()
            .iter()
            .rev()
            .filter_map(|slot| Some((slot.number, slot.manifest()?)))
    }

    fn last_fresh_start(&self) -> Option<usize> {
        self.slots
            .iter()
            .rposition(|slot| matches!(&slot.content, SlotContent::Claim(claim) if claim.fresh))
    }

    /// The slot with this number.
    pub fn slot(&self, number: SlotNumber) -> Option<&Slot> {
        let at = self
            .slots
            .binary_search_by_key(&number, |slot| slot.number)
            .ok()?;
        self.slots.get(at)
    }
}

/// What the name of a state object says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateObject {
    /// The object's name, relative to the checkpoint directory.
    pub name: String,
    /// The generation that wrote it.
    pub generation: Generation,
    /// The epoch of the first manifest that may name it.
    pub epoch: Epoch,
}

fn last_of(objects: &[StateObject]) -> Epoch {
    let epochs = objects.iter().map(|object| object.epoch);
    epochs.max().unwrap_or_default()
}

/// Whether `job` may put a claim into this log.
///
/// # Errors
///
/// `Invalid` if the log belongs to another job: a claim would end that job. And if it is a savepoint, which belongs
/// to a user: retention would delete what it names.
pub fn may_claim(log: &LogView, job: &str, place: &str) -> Result<()> {
    let other = log.slots.iter().find_map(|slot| match &slot.content {
        SlotContent::Claim(claim) if claim.job != job => Some(&claim.job),
        SlotContent::Manifest(manifest) if manifest.job != job => Some(&manifest.job),
        SlotContent::Claim(_)
        | SlotContent::Manifest(_)
        | SlotContent::Damaged { .. }
        | SlotContent::OtherVersion { .. } => None,
    });
    let newest = log.manifests_newest_first().next();
    if newest.is_some_and(|(_, manifest)| manifest.kind == CheckpointKind::Savepoint) {
        return Err(Error::invalid(format!(
            "{place} is a savepoint, which no job keeps its checkpoints in: give the job a checkpoint directory of its \
             own, and begin with `--restore-from {place}`"
        )));
    }
    match other {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "the checkpoint directory {place} belongs to the job `{other}`, not to `{job}`: give each job a directory \
             of its own"
        ))),
    }
}

/// What a writer concludes from the slot that it could not create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// The slot is its own write: an earlier attempt has succeeded.
    Own,
    /// The slot is its own write of an earlier epoch, whose outcome was unknown until now.
    OwnEarlier(Epoch),
    /// The slot is somebody else's: a newer run has taken over.
    Other(Generation),
}

/// Who occupies a slot that `mine` was to be written to.
pub fn judge_occupant(mine: &SlotAuthor, found: &SlotAuthor) -> Occupant {
    if (found.generation, found.nonce) != (mine.generation, mine.nonce) {
        Occupant::Other(found.generation)
    } else if found == mine {
        Occupant::Own
    } else {
        Occupant::OwnEarlier(found.epoch)
    }
}

/// Whether a claim that was just created in `claimed` stands at the end of the log, and so counts.
pub fn claim_counts(claimed: SlotNumber, listed_after: &BTreeSet<SlotNumber>) -> bool {
    listed_after.last() <= Some(&claimed)
}

/// Whether a run that knows the slots `known` is still the newest, judging by a fresh list.
pub fn may_delete(
    known: &BTreeSet<SlotNumber>,
    listed: &BTreeSet<SlotNumber>,
) -> Result<(), SlotNumber> {
    listed
        .difference(known)
        .next()
        .map_or(Ok(()), |&unknown| Err(unknown))
}
