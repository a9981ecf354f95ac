use super::*;
use crate::protocol::testing::bare_manifest;

fn claim(number: u64, generation: u64) -> Slot {
    let claim = Claim {
        job: "job".to_owned(),
        generation: Generation(generation),
        nonce: 1,
        known_epoch: Epoch(0),
        fresh: false,
        started_unix_ms: 0,
    };
    Slot {
        number: SlotNumber(number),
        content: SlotContent::Claim(claim),
    }
}

fn damaged(number: u64, author: Option<SlotAuthor>) -> Slot {
    Slot {
        number: SlotNumber(number),
        content: SlotContent::Damaged {
            author,
            reason: String::new(),
        },
    }
}

fn author(generation: u64, nonce: u64, epoch: u64, role: SlotRole) -> SlotAuthor {
    SlotAuthor {
        generation: Generation(generation),
        nonce,
        epoch: Epoch(epoch),
        role,
    }
}

#[test]
fn an_empty_log_begins_with_slot_0_generation_1_epoch_1() {
    let log = LogView::default();
    assert_eq!(
        (log.next_slot(), log.next_generation(), log.next_epoch(&[])),
        (SlotNumber(0), Generation(1), Epoch(1))
    );
}

#[test]
fn the_next_generation_is_above_every_one_also_of_slots_that_do_not_read() {
    let readable = LogView {
        slots: vec![claim(0, 1), claim(9, 2)],
    };
    assert_eq!(readable.next_generation(), Generation(3));
    let by_header = LogView {
        slots: vec![damaged(0, Some(author(4, 0, 0, SlotRole::Claim)))],
    };
    assert_eq!(by_header.next_generation(), Generation(5));
    let by_position = LogView {
        slots: vec![claim(0, 1), damaged(6, None)],
    };
    assert_eq!(by_position.next_generation(), Generation(8));
}

#[test]
fn the_next_epoch_is_above_every_manifest_readable_or_not() {
    let by_header = LogView {
        slots: vec![
            claim(0, 1),
            damaged(1, Some(author(1, 0, 77, SlotRole::Manifest))),
        ],
    };
    assert_eq!(by_header.next_epoch(&[]), Epoch(78));
    let lost = LogView {
        slots: vec![claim(0, 1), damaged(1, None)],
    };
    assert!(lost.next_epoch(&[]) > Epoch(1_000));
    assert!(lost.known_epoch(&[]) >= Epoch(1_000));
    let object = StateObject {
        name: String::new(),
        generation: Generation(1),
        epoch: Epoch(5_000),
    };
    let objects = [object];
    assert!(lost.next_epoch(&objects) > Epoch(6_000));
    // The manifest in the slot that does not read may name the object.
    assert!(lost.known_epoch(&objects) >= Epoch(6_000));
    assert_eq!(by_header.known_epoch(&objects), Epoch(77));
    assert!(by_header.next_epoch(&objects) > by_header.known_epoch(&objects));
}

#[test]
fn a_writer_knows_its_own_slot_its_earlier_one_and_anothers() {
    let mine = author(3, 7, 40, SlotRole::Manifest);
    let cases = [
        (mine, Occupant::Own),
        (
            author(3, 7, 39, SlotRole::Manifest),
            Occupant::OwnEarlier(Epoch(39)),
        ),
        (
            author(4, 8, 0, SlotRole::Claim),
            Occupant::Other(Generation(4)),
        ),
        (
            author(3, 8, 40, SlotRole::Manifest),
            Occupant::Other(Generation(3)),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(judge_occupant(&mine, &found), expected, "{found:?}");
    }
}

#[test]
fn a_claim_counts_only_at_the_end_of_the_log() {
    let listed = |numbers: &[u64]| {
        numbers
            .iter()
            .copied()
            .map(SlotNumber)
            .collect::<BTreeSet<_>>()
    };
    assert!(claim_counts(SlotNumber(5), &listed(&[0, 5])));
    assert!(!claim_counts(SlotNumber(5), &listed(&[0, 5, 8])));
}

#[test]
fn a_run_stops_deleting_at_a_slot_that_it_does_not_know() {
    let listed = |numbers: &[u64]| {
        numbers
            .iter()
            .copied()
            .map(SlotNumber)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(may_delete(&listed(&[0, 1, 2]), &listed(&[0, 2])), Ok(()));
    assert_eq!(
        may_delete(&listed(&[0, 2]), &listed(&[0, 1, 2])),
        Err(SlotNumber(1))
    );
}

#[test]
fn a_log_of_another_job_is_not_claimed() {
    let log = LogView {
        slots: vec![claim(0, 1)],
    };
    assert!(may_claim(&log, "job", "ckpt").is_ok());
    let error = may_claim(&log, "other", "ckpt").expect_err("another job's");
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert!(error.message().contains("`job`"), "{error}");
}

#[test]
fn a_manifest_above_what_the_claim_behind_it_knew_of_is_a_latecomer() {
    let manifest = |number, epoch| Slot {
        number: SlotNumber(number),
        content: SlotContent::Manifest(Box::new(bare_manifest(1, epoch))),
    };
    let claim_of = |number, known| damaged(number, Some(author(2, 0, known, SlotRole::Claim)));
    let mut log = LogView {
        slots: vec![
            claim(0, 1),
            manifest(1, 7),
            manifest(2, 8),
            claim_of(3, 7),
            manifest(4, 9),
        ],
    };
    log.leave_out_latecomers();
    let left: Vec<u64> = log.slots.iter().map(|slot| slot.number.0).collect();
    assert_eq!(left, [0, 1, 3, 4]);
}
