//! One process as a claimant of the log: which claims are its own, and whether it may make another one.
//!
//! A run that begins anew behind a failure claims the log once more. Had another process claimed it meanwhile,
//! that claim would fence the newer run, whose own restart would fence this one in turn, and so for ever.

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::ids::Generation;
use crate::protocol::{LogView, SlotContent};

/// A process that claims the log, once for each time that its run begins.
///
/// It knows every claim that it has ever tried to make: one whose answer was lost may stand in the log.
#[derive(Debug)]
pub struct Claimant {
    /// The nonces of its claims are a row that begins here.
    first_nonce: u64,
    tried: u64,
    /// The newest generation that it knows to have claimed.
    claimed: Option<Generation>,
}

impl Claimant {
    /// A process that has claimed nothing; `first_nonce` is a number that no other one has.
    pub fn new(first_nonce: u64) -> Self {
        Self {
            first_nonce,
            tried: 0,
            claimed: None,
        }
    }

    /// Whether it has claimed nothing yet.
    pub fn is_new(&self) -> bool {
        self.claimed.is_none()
    }

    /// The nonce of one more claim, whatever comes of it.
    pub fn next_nonce(&mut self) -> u64 {
        let nonce = self.first_nonce.wrapping_add(self.tried);
        self.tried += 1;
        nonce
    }

    /// Notes that a claim stands in the log.
    pub fn has_claimed(&mut self, generation: Generation) {
        self.claimed = Some(generation);
    }

    /// Whether a claim of this process may follow what is in the log.
    ///
    /// # Errors
    ///
    /// `Fenced` if another process has claimed the log since this one did. `Unavailable` if there is no trace of
    /// what this one has claimed: a disk that was unmounted looks like one that never held anything, and the job
    /// would begin anew in a place that is not its own.
    pub fn may_claim_again(&self, log: &LogView, place: &str) -> Result<()> {
        let Some(claimed) = self.claimed else {
            return Ok(());
        };
        // Claims are never deleted.
        if log.next_generation() <= claimed {
            return Err(Error::unavailable(format!(
                "the checkpoints of this run are gone: {place} does not hold the log any more that generation \
                 {claimed} wrote"
            )));
        }
        match self.newest_other(log) {
            Some(by) if by >= claimed => Err(Error::fenced(format!(
                "generation {by} has taken over in {place}: this run (generation {claimed}) does not begin again"
            ))),
            // A slot of this run does not read any more, and an older one stands before it.
            Some(_) | None => Ok(()),
        }
    }

    /// The generation that the last slot is of, unless that is this process's own. What is made late, in a hole,
    /// is never the last.
    fn newest_other(&self, log: &LogView) -> Option<Generation> {
        let newest = log.slots.iter().rev().find_map(|slot| {
            let (generation, nonce) = match &slot.content {
                SlotContent::Claim(claim) => (claim.generation, Some(claim.nonce)),
                SlotContent::Manifest(manifest) => (manifest.generation, Some(manifest.nonce)),
                SlotContent::Damaged { author, .. } => {
                    let author = author.as_ref()?;
                    (author.generation, Some(author.nonce))
                }
                // This process writes one version only.
                SlotContent::OtherVersion { .. } => (slot.greatest_generation(), None),
            };
            Some((generation, nonce))
        });
        let (generation, nonce) = newest?;
        nonce
            .is_none_or(|nonce| !self.is_own(nonce))
            .then_some(generation)
    }

    fn is_own(&self, nonce: u64) -> bool {
        nonce.wrapping_sub(self.first_nonce) < self.tried
    }
}
