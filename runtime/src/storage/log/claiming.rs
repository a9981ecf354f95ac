//! Claiming a generation: the first slot of a run.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codec::encode_claim;
use super::{LogWriter, create_slot, list_slots, list_state, read_log};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{Claim, Claimant, Occupant, SlotAuthor, SlotRole, claim_counts, may_claim};
use crate::storage::nonce::fresh_nonce;
use crate::storage::objects::CheckpointStorage;

/// How often a claim starts again because another run took the slot.
const MAX_CLAIM_ATTEMPTS: usize = 100;

/// A claimed generation: the right to go on with the log.
#[derive(Debug)]
pub struct Claimed {
    /// The first epoch that this run may close.
    pub next_epoch: Epoch,
    /// The writer of this generation.
    pub writer: LogWriter,
}

/// A run that wants to be the newest generation of its job.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Whether the run starts anew (`--fresh`).
    pub fresh: bool,
    /// The generation must be later than this one, which has left output or a checkpoint elsewhere.
    pub above: Generation,
    /// The time, for people.
    pub started_unix_ms: u64,
}

/// A process that has claimed nothing yet.
pub fn new_claimant() -> Claimant {
    Claimant::new(fresh_nonce())
}

/// Claims the next generation of a job, which fences all older ones.
///
/// # Errors
///
/// `Invalid` if the directory belongs to another job, `Fenced` if another process has claimed it since this
/// one did, `Unavailable` if the storage does not answer, or holds what this one has claimed no more.
pub fn claim(
    storage: Arc<dyn CheckpointStorage>,
    request: &ClaimRequest<'_>,
    claimant: &mut Claimant,
) -> Result<Claimed> {
    let ClaimRequest {
        job,
        fresh,
        above,
        started_unix_ms,
    } = *request;
    for _ in 0..MAX_CLAIM_ATTEMPTS {
        let log = read_log(&*storage)?;
        may_claim(&log, job, &storage.place())?;
        claimant.may_claim_again(&log, &storage.place())?;
        let objects = list_state(&*storage)?;
        let (known_epoch, next_epoch) = (log.known_epoch(&objects), log.next_epoch(&objects));
        let claim = Claim {
            job: job.to_owned(),
            generation: log.next_generation().max(above.next()),
            nonce: claimant.next_nonce(),
            known_epoch,
            fresh,
            started_unix_ms,
        };
        let mine = SlotAuthor {
            generation: claim.generation,
            nonce: claim.nonce,
            epoch: known_epoch,
            role: SlotRole::Claim,
        };
        let slot = log.next_slot();
        match create_slot(&*storage, slot, &mine, &encode_claim(&claim))?.occupant {
            Occupant::Own => {}
            Occupant::OwnEarlier(_) | Occupant::Other(_) => continue,
        }
        // A claim in a hole that retention left is worth nothing: try again at the end.
        if !claim_counts(slot, &list_slots(&*storage)?) {
            continue;
        }
        // Noted before anything else can fail, or a restart would take this claim for that of another.
        claimant.has_claimed(claim.generation);
        // Read again: the former run may have cleaned up between the first reading and the claim.
        let mut log = read_log(&*storage)?;
        log.slots.retain(|found| found.number <= slot);
        let known = log.slots.iter().map(|slot| slot.number).collect();
        log.leave_out_latecomers();
        let writer = LogWriter {
            storage,
            job: job.to_owned(),
            author: mine,
            next: slot.next(),
            known,
            log,
            left: BTreeSet::new(),
            unknown: Vec::new(),
        };
        return Ok(Claimed { next_epoch, writer });
    }
    Err(Error::unavailable(format!(
        "other runs of the job `{job}` keep starting on {}: the log could not be claimed",
        storage.place()
    )))
}
