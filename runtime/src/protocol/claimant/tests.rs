use super::*;
use crate::error::ErrorKind;
use crate::ids::Epoch;
use crate::protocol::testing::{bare_claim, bare_manifest, log_of, lost_slot};
use crate::protocol::{Claim, Manifest, SlotAuthor, SlotRole};

/// The nonces of the process are 1,000, 1,001 and so on; those of others are their generations.
fn process(tried: u64, claimed: u64) -> Claimant {
    let mut process = Claimant::new(1_000);
    for _ in 0..tried {
        let _ = process.next_nonce();
    }
    process.has_claimed(Generation(claimed));
    process
}

fn claim(generation: u64, nonce: u64) -> SlotContent {
    SlotContent::Claim(Claim {
        nonce,
        ..bare_claim(generation)
    })
}

fn manifest(generation: u64, nonce: u64) -> SlotContent {
    SlotContent::Manifest(Box::new(Manifest {
        nonce,
        ..bare_manifest(generation, 1)
    }))
}

fn damaged(generation: u64, nonce: u64) -> SlotContent {
    SlotContent::Damaged {
        author: Some(SlotAuthor {
            generation: Generation(generation),
            nonce,
            epoch: Epoch(1),
            role: SlotRole::Claim,
        }),
        reason: String::new(),
    }
}

fn other_version() -> SlotContent {
    SlotContent::OtherVersion {
        reason: String::new(),
    }
}

/// Checks what a process finds that has tried two claims, of which the first made it generation 2.
#[track_caller]
fn check(slots: Vec<SlotContent>, expected: Option<ErrorKind>) {
    let log = log_of(slots);
    let found = process(2, 2).may_claim_again(&log, "ckpt");
    assert_eq!(found.err().map(|e| e.kind()), expected, "{log:?}");
}

#[test]
fn a_process_that_has_claimed_nothing_may_claim_any_log() {
    let process = Claimant::new(1_000);
    for slots in [vec![], vec![claim(1, 1), claim(2, 2)]] {
        assert!(process.may_claim_again(&log_of(slots), "ckpt").is_ok());
    }
}

#[test]
fn a_process_whose_own_slot_is_the_last_may_claim_again() {
    check(vec![claim(1, 1), claim(2, 1_000)], None);
    check(vec![claim(1, 1), claim(2, 1_000), manifest(2, 1_000)], None);
    check(vec![claim(1, 1), damaged(2, 1_000)], None);
}

#[test]
fn a_claim_whose_answer_was_lost_is_ones_own() {
    check(vec![claim(2, 1_000), claim(3, 1_001)], None);
    let never_tried = vec![claim(2, 1_000), claim(3, 1_002)];
    check(never_tried, Some(ErrorKind::Fenced));
}

#[test]
fn a_process_behind_whose_claim_another_one_stands_is_fenced() {
    let fenced = Some(ErrorKind::Fenced);
    check(vec![claim(2, 1_000), claim(3, 3)], fenced);
    check(vec![claim(2, 1_000), claim(3, 3), manifest(3, 3)], fenced);
    check(vec![claim(2, 1_000), damaged(3, 3)], fenced);
    check(vec![claim(2, 1_000), other_version()], fenced);
    // The log of another directory, in the same place.
    check(vec![claim(1, 1), claim(2, 2)], fenced);
}

#[test]
fn damage_alone_does_not_fence() {
    check(vec![claim(1, 1), claim(2, 1_000), lost_slot()], None);
    check(vec![claim(1, 1), lost_slot()], None);
}

#[test]
fn a_log_without_the_own_claim_is_gone() {
    let gone = Some(ErrorKind::Unavailable);
    check(vec![], gone);
    check(vec![claim(1, 1), manifest(1, 1)], gone);
}
