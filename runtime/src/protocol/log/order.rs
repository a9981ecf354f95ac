//! What is wrong with the order of a log: slots that are whole, and not where they were written.
//!
//! A checksum says nothing of the name under which bytes stand. Three rules hold in every log, whatever retention has
//! deleted from it, and also where a late create has filled a hole:
//!
//! 1. The generations of claims never fall, as each is above all that the claimant saw.
//! 2. Below a manifest stands the claim of its generation, since claims are never deleted.
//! 3. Epochs rise from manifest to manifest, and above what the claims below them knew of.

use crate::ids::{Epoch, Generation};
use crate::protocol::{LogView, Manifest, Slot, SlotContent, SlotNumber};

/// A slot that is whole, and stands where it cannot have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisplacedSlot {
    /// Its position.
    pub slot: SlotNumber,
    /// The epoch of its manifest; of a claim, the last epoch that it knew of.
    pub epoch: Epoch,
    /// What does not fit.
    pub reason: String,
}

/// The slots that stand where they cannot have been written.
///
/// `read` is the log as it was read, with [latecomers](LogView::leave_out_latecomers).
pub fn misplaced_slots(read: &LogView) -> Vec<MisplacedSlot> {
    let mut counts = read.clone();
    counts.leave_out_latecomers();
    let mut below = Below::default();
    let found = read.slots.iter().filter_map(|slot| {
        let counts = counts.slot(slot.number).is_some();
        let reason = below.pass(slot, counts)?;
        Some(MisplacedSlot {
            slot: slot.number,
            epoch: slot.epoch().unwrap_or_default(),
            reason,
        })
    });
    found.collect()
}

/// What stands below a slot.
#[derive(Default)]
struct Below<'a> {
    job: Option<&'a str>,
    claimed: Vec<Generation>,
    /// Whether a claim may be among what does not read.
    is_unsure: bool,
    /// The last epoch of a manifest, or that a claim knew of.
    epoch: Epoch,
}

impl<'a> Below<'a> {
    /// What is wrong with a slot, which then stands below the next one.
    fn pass(&mut self, slot: &'a Slot, counts: bool) -> Option<String> {
        match &slot.content {
            SlotContent::Claim(claim) => {
                let wrong = self.is_of_other_job(&claim.job).or_else(|| {
                    let above = self
                        .claimed
                        .last()
                        .filter(|last| **last > claim.generation)?;
                    Some(format!(
                        "it claims generation {} and stands above the claim of generation {above}",
                        claim.generation
                    ))
                });
                self.claimed.push(claim.generation);
                self.epoch = self.epoch.max(claim.known_epoch);
                wrong
            }
            SlotContent::Manifest(manifest) => {
                let wrong = self
                    .is_of_other_job(&manifest.job)
                    .or_else(|| self.is_unclaimed(manifest));
                if !counts || wrong.is_some() {
                    return wrong;
                }
                let wrong = (manifest.epoch <= self.epoch).then(|| {
                    format!(
                        "it is of epoch {}, and stands above one that knew of epoch {}",
                        manifest.epoch, self.epoch
                    )
                });
                self.epoch = self.epoch.max(manifest.epoch);
                wrong
            }
            SlotContent::Damaged { .. } | SlotContent::OtherVersion { .. } => {
                self.is_unsure = true;
                None
            }
        }
    }

    fn is_of_other_job(&mut self, job: &'a str) -> Option<String> {
        let first = *self.job.get_or_insert(job);
        (first != job).then(|| format!("it is of the job `{job}`, and the log of `{first}`"))
    }

    fn is_unclaimed(&self, manifest: &Manifest) -> Option<String> {
        let claimed = self.is_unsure || self.claimed.contains(&manifest.generation);
        (!claimed).then(|| {
            format!(
                "it is a manifest of generation {}, of which no claim stands below it",
                manifest.generation
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{bare_claim, fresh_claim, log_of, lost_slot, manifest};

    fn claim(generation: u64, known: u64) -> SlotContent {
        let mut claim = bare_claim(generation);
        claim.known_epoch = Epoch(known);
        SlotContent::Claim(claim)
    }

    /// Three runs, and some of what they have published.
    fn log() -> LogView {
        let mut log = log_of([
            claim(1, 0),
            manifest(1, 1),
            manifest(1, 2),
            manifest(1, 4),
            claim(2, 4),
            claim(3, 4),
            manifest(3, 5),
            manifest(3, 6),
        ]);
        log.slots.remove(2);
        log
    }

    #[test]
    fn a_log_as_runs_write_it_is_in_order() {
        assert_eq!(misplaced_slots(&log()), []);
        let fresh = log_of([claim(1, 0), manifest(1, 3), fresh_claim(2), manifest(2, 4)]);
        assert_eq!(misplaced_slots(&fresh), []);
        let damaged = log_of([lost_slot(), manifest(1, 3), claim(2, 3), manifest(2, 4)]);
        assert_eq!(
            misplaced_slots(&damaged),
            [],
            "the claim may be what is lost"
        );
    }

    #[test]
    fn a_late_create_in_a_hole_is_no_disorder() {
        // A claimant saw slot 1, and its claim came when slot 2 had been deleted.
        let claimed = log_of([
            claim(1, 0),
            manifest(1, 1),
            claim(2, 1),
            manifest(1, 4),
            claim(3, 4),
        ]);
        assert_eq!(misplaced_slots(&claimed), []);
        // A manifest whose run was overtaken came when its slot was a hole again.
        let mut published = log_of([
            claim(1, 0),
            manifest(1, 1),
            manifest(1, 9),
            claim(2, 4),
            manifest(2, 5),
        ]);
        assert_eq!(misplaced_slots(&published), []);
        published.slots.remove(1);
        assert_eq!(misplaced_slots(&published), []);
    }

    #[test]
    fn any_two_slots_that_have_changed_places_are_found() {
        let log = log();
        for one in 0..log.slots.len() {
            for other in 0..one {
                let mut swapped = log.clone();
                let [a, b] = [one, other].map(|at| log.slots[at].content.clone());
                (swapped.slots[one].content, swapped.slots[other].content) = (b, a);
                let found = misplaced_slots(&swapped);
                let places = [one, other].map(|at| log.slots[at].number);
                assert!(
                    found.iter().any(|found| places.contains(&found.slot)),
                    "{places:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn the_slot_of_another_job_is_found() {
        let mut other = log();
        if let SlotContent::Manifest(manifest) = &mut other.slots[2].content {
            manifest.job = "other".to_owned();
        }
        let found = misplaced_slots(&other);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].reason.contains("`other`"), "{found:?}");
    }

    #[test]
    fn a_slot_that_stands_twice_is_found() {
        let mut twice = log();
        twice.slots[6].content = twice.slots[5].content.clone();
        assert_eq!(misplaced_slots(&twice).len(), 1);
    }
}
