//! The checkpoint log: reading it, claiming a generation, publishing manifests.
//!
//! Why this fences old runs without a clock or a lock is proved in [`crate::protocol::log`]. Here
//! are the bytes: what a create said, what is read back; the conclusions are protocol's.

mod claiming;
mod codec;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{
    LogView, Manifest, Occupant, Slot, SlotAuthor, SlotContent, SlotNumber, SlotRole, StateObject,
    judge_occupant, may_delete,
};
use crate::storage::names;
use crate::storage::objects::{CheckpointStorage, Creation};

pub use claiming::{ClaimRequest, Claimed, claim, new_claimant};
pub use codec::{decode_slot, encode_claim, encode_manifest};

/// How often a create is repeated whose outcome is unknown.
const MAX_CREATE_ATTEMPTS: usize = 2;

/// Reads all slots of the log, classifying what does not read.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn read_log(storage: &dyn CheckpointStorage) -> Result<LogView> {
    let mut slots = Vec::new();
    for number in list_slots(storage)? {
        // A slot that another run's retention has deleted meanwhile is no news.
        if let Some(bytes) = storage.read(&names::slot(number))? {
            slots.push(Slot {
                number,
                content: decode_slot(&bytes),
            });
        }
    }
    Ok(LogView { slots })
}

/// Whether nobody has ever claimed the log: claims are never deleted.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn is_unclaimed(storage: &dyn CheckpointStorage) -> Result<bool> {
    Ok(list_slots(storage)?.is_empty())
}

/// The state objects that are there, by name.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn list_state(storage: &dyn CheckpointStorage) -> Result<Vec<StateObject>> {
    Ok(storage
        .list(names::STATE_DIR)?
        .iter()
        .filter_map(|name| names::parse_state_object(name))
        .collect())
}

fn list_slots(storage: &dyn CheckpointStorage) -> Result<BTreeSet<SlotNumber>> {
    Ok(storage
        .list(names::LOG_DIR)?
        .iter()
        .filter_map(|name| names::parse_slot(name))
        .collect())
}

/// What came of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Publication {
    /// The manifest is durable: the checkpoint is complete.
    Published {
        /// Where it stands.
        slot: SlotNumber,
    },
    /// A newer run has taken over: this one must stop, and commit nothing.
    Fenced {
        /// The generation of the newer run.
        by: Generation,
    },
}

/// The writer of one generation: publishes manifests, and knows whether it is still the newest.
#[derive(Debug)]
pub struct LogWriter {
    storage: Arc<dyn CheckpointStorage>,
    job: String,
    author: SlotAuthor,
    /// The slot behind the last one of this run: the only one that it ever tries.
    next: SlotNumber,
    /// Every slot that this run has seen or made and is not sure to have deleted.
    known: BTreeSet<SlotNumber>,
    /// The log as this run knows it: as it was claimed, with what was published and deleted since.
    log: LogView,
    /// Slots whose deletion was tried with an unknown outcome.
    left: BTreeSet<SlotNumber>,
    /// The manifests whose publication has an unknown outcome: one of them, at most, is in the next slot.
    unknown: Vec<Manifest>,
}

impl LogWriter {
    /// The generation of this run.
    pub fn generation(&self) -> Generation {
        self.author.generation
    }

    /// The nonce of this run, which its manifests carry.
    pub fn nonce(&self) -> u64 {
        self.author.nonce
    }

    /// The storage that the log is in.
    pub fn storage(&self) -> &Arc<dyn CheckpointStorage> {
        &self.storage
    }

    /// The epochs whose publication was tried with an unknown outcome: nothing of them may be deleted.
    pub fn unknown_epochs(&self) -> impl Iterator<Item = Epoch> {
        self.unknown.iter().map(|manifest| manifest.epoch)
    }

    /// The log up to the last publication of this run: what recovery chooses from, and retention.
    pub fn log(&self) -> &LogView {
        &self.log
    }

    /// Publishes a manifest: the moment at which its checkpoint is complete.
    ///
    /// If the storage does not answer, the outcome is unknown and the error says so; the same
    /// manifest, or the one of a later epoch, may be published again, and then the outcome is known.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the outcome is unknown; `Corrupt` if the slot is taken by bytes that do not read.
    ///
    /// # Panics
    ///
    /// If the manifest is not of this run: its job, generation and nonce must be the writer's.
    pub fn publish(&mut self, manifest: &Manifest) -> Result<Publication> {
        let mine = SlotAuthor {
            epoch: manifest.epoch,
            role: SlotRole::Manifest,
            ..self.author
        };
        assert_eq!(
            (manifest.job.as_str(), manifest.generation, manifest.nonce),
            (self.job.as_str(), mine.generation, mine.nonce),
            "a writer publishes manifests of its own run"
        );
        let bytes = encode_manifest(manifest);
        loop {
            let slot = self.next;
            let context = |e: Error| {
                e.context(format!(
                    "publishing the checkpoint of epoch {}",
                    manifest.epoch
                ))
            };
            match self.create(slot, &mine, &bytes) {
                Ok(Occupant::Own) => {
                    self.advance(manifest.clone());
                    return Ok(Publication::Published { slot });
                }
                // A publication before this one had succeeded after all: not always the last one.
                Ok(Occupant::OwnEarlier(epoch)) => {
                    let earlier = self.unknown.iter().position(|m| m.epoch == epoch);
                    let Some(earlier) = earlier.map(|at| self.unknown.swap_remove(at)) else {
                        return Err(Error::internal(format!("slot {slot} holds epoch {epoch}")));
                    };
                    self.advance(earlier);
                }
                Ok(Occupant::Other(by)) => return Ok(Publication::Fenced { by }),
                Err(error) => {
                    if self.unknown.iter().all(|m| m.epoch != manifest.epoch) {
                        self.unknown.push(manifest.clone());
                    }
                    return Err(context(error));
                }
            }
        }
    }

    /// Creates the next slot, or says who has it.
    ///
    /// If there was any doubt, the slot may be a hole: an earlier create had succeeded, unknown to this
    /// run, and a newer run has deleted what it made. That run's claim stands above the hole, always.
    fn create(&self, slot: SlotNumber, mine: &SlotAuthor, bytes: &[u8]) -> Result<Occupant> {
        let Attempted { occupant, attempts } = create_slot(&*self.storage, slot, mine, bytes)?;
        let is_in_doubt =
            attempts > 1 || !self.unknown.is_empty() || self.storage.repeats_creates();
        if is_in_doubt
            && let Some(above) = list_slots(&*self.storage)?.range(slot.next()..).next_back()
        {
            let author = self.author_of(*above)?;
            // Whatever it is, it is none of this run's: those end where this one tries to go on.
            let by = author.map_or(mine.generation.next(), |author| author.generation);
            return Ok(Occupant::Other(by));
        }
        Ok(occupant)
    }

    /// Whether no other run has claimed behind this one.
    ///
    /// # Errors
    ///
    /// `Fenced` if one has, `Unavailable` if the storage does not answer.
    pub fn check_not_overtaken(&self) -> Result<()> {
        let listed = list_slots(&*self.storage)?;
        // A claim in a hole below is none: whoever made it tries again at the end.
        let Some(&above) = listed.range(self.next..).next_back() else {
            return Ok(());
        };
        // A publication without an answer may have made the next slot.
        if above == self.next && !self.unknown.is_empty() && self.is_own(above)? {
            return Ok(());
        }
        Err(self.fenced(above))
    }

    /// Whether this run is still the newest, by a fresh list of the log.
    ///
    /// # Errors
    ///
    /// `Fenced` if it is not, `Unavailable` if the storage does not answer.
    pub fn check_newest(&self) -> Result<()> {
        let mut known = self.known.clone();
        if !self.unknown.is_empty() && self.is_own(self.next)? {
            known.insert(self.next);
        }
        let listed = list_slots(&*self.storage)?;
        // A create that was given up long ago may have landed in a hole: that is no newer run, and no claim.
        for slot in listed
            .range(..self.next)
            .filter(|slot| !self.known.contains(slot))
        {
            if self.is_manifest(*slot)? {
                known.insert(*slot);
            }
        }
        may_delete(&known, &listed).map_err(|slot| self.fenced(slot))
    }

    fn fenced(&self, slot: SlotNumber) -> Error {
        Error::fenced(format!(
            "generation {} of the job `{}` is no longer the newest: another run wrote slot {slot} of {}",
            self.generation(),
            self.job,
            self.storage.place()
        ))
    }

    /// Whether a slot is there and was written by this run.
    fn is_own(&self, slot: SlotNumber) -> Result<bool> {
        let run = (self.author.generation, self.author.nonce);
        let author = self.author_of(slot)?;
        Ok(author.is_some_and(|author| (author.generation, author.nonce) == run))
    }

    fn is_manifest(&self, slot: SlotNumber) -> Result<bool> {
        let author = self.author_of(slot)?;
        Ok(author.is_some_and(|author| author.role == SlotRole::Manifest))
    }

    /// Who wrote a slot, if it is there and says so.
    fn author_of(&self, slot: SlotNumber) -> Result<Option<SlotAuthor>> {
        let bytes = self.storage.read(&names::slot(slot))?;
        Ok(bytes.and_then(|bytes| codec::author_of(&bytes).ok()))
    }

    /// Deletes slots, oldest first. A slot whose deletion fails is left to the next run: had a claim
    /// taken its place meanwhile, a second try would delete the claim.
    pub(super) fn delete_slots(&mut self, slots: &[SlotNumber]) -> Result<()> {
        let names: Vec<String> = slots.iter().copied().map(names::slot).collect();
        // CRASH: until it is known to be gone, a manifest counts as being there, with all that it names.
        self.left.extend(slots);
        self.storage.delete(&names)?;
        for slot in slots {
            self.known.remove(slot);
            self.left.remove(slot);
        }
        self.log.slots.retain(|slot| !slots.contains(&slot.number));
        Ok(())
    }

    /// The slots whose deletion was tried with an unknown outcome.
    pub fn left(&self) -> &BTreeSet<SlotNumber> {
        &self.left
    }

    fn advance(&mut self, published: Manifest) {
        self.known.insert(self.next);
        self.log.slots.push(Slot {
            number: self.next,
            content: SlotContent::Manifest(Box::new(published)),
        });
        self.next = self.next.next();
        self.unknown.clear();
    }
}

/// What came of creating a slot.
struct Attempted {
    occupant: Occupant,
    attempts: usize,
}

/// Creates a slot if it is free, and says who has it.
///
/// A create with an unknown outcome is repeated rather than only read back: it then finds its own
/// write, and the storage makes sure that what is found is durable.
fn create_slot(
    storage: &dyn CheckpointStorage,
    slot: SlotNumber,
    mine: &SlotAuthor,
    bytes: &[u8],
) -> Result<Attempted> {
    let name = names::slot(slot);
    let mut attempts = 1;
    loop {
        match storage.create(&name, bytes) {
            Ok(Creation::Created) => {
                let occupant = Occupant::Own;
                return Ok(Attempted { occupant, attempts });
            }
            Ok(Creation::AlreadyExists) => break,
            Err(error) if attempts == MAX_CREATE_ATTEMPTS => {
                return Err(error.context(format!("whether `{name}` was written is unknown")));
            }
            Err(_) => attempts += 1,
        }
    }
    let found = storage.read(&name)?.ok_or_else(|| {
        Error::unavailable(format!(
            "`{name}` exists, but cannot be read back: whether it was written is unknown"
        ))
    })?;
    match codec::author_of(&found) {
        Ok(author) => Ok(Attempted {
            occupant: judge_occupant(mine, &author),
            attempts,
        }),
        Err(reason) => Err(Error::corrupt(format!(
            "`{name}` in {} is occupied: {reason}",
            storage.place()
        ))),
    }
}
