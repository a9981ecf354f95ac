//! Each row of the policy, and the life of a chain with compactions that come in time, late, or not.

mod policy;

use super::*;
use crate::error::Error;
use crate::ids::{Generation, StageId, SubtaskId, WorkerIndex};

const LIMITS: ChainLimits = ChainLimits {
    floor: 100_000,
    width: 4,
    most_increments: 8,
    part_bytes: 64 << 20,
};

/// A stage with a thousand entries of a kilobyte.
const ENTRIES: usize = 1_000;
const FULL: u64 = 1_000_000;

fn object(kind: SnapshotKind, name: &str, len: u64) -> SnapshotRef {
    SnapshotRef {
        kind,
        location: Location::Object {
            name: name.to_owned(),
            len,
            checksum: 0,
        },
    }
}

fn increment(name: &str, len: u64) -> Vec<SnapshotRef> {
    vec![object(SnapshotKind::KeyedIncrement, name, len)]
}

fn names(refs: &[SnapshotRef]) -> Vec<&str> {
    let name = |reference: &SnapshotRef| match &reference.location {
        Location::Inline(_) => panic!("the tests store objects"),
        Location::Object { name, .. } => name.clone(),
    };
    // The names are letters: leaked, they compare with literals.
    refs.iter().map(|r| &*name(r).leak()).collect()
}

/// A chain with a full snapshot `F` of epoch 1.
fn chain() -> Chain {
    let mut chain = Chain::new(LIMITS);
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Full);
    let full = vec![object(SnapshotKind::KeyedFull, "F", FULL)];
    chain.extend(SnapshotScope::Full, full);
    assert_eq!(names(&chain.answer(Epoch(1))), ["F"]);
    chain
}

/// Adds the increments of the epochs from `epoch` on, named by letters, and answers.
fn grow(chain: &mut Chain, epoch: u64, increments: &str, len: u64) {
    for (epoch, name) in (epoch..).zip(increments.chars()) {
        assert_eq!(
            chain.next_scope(ENTRIES),
            SnapshotScope::Increment,
            "{epoch}"
        );
        chain.extend(SnapshotScope::Increment, increment(&name.to_string(), len));
        chain.answer(Epoch(epoch));
    }
}

fn compacted(name: &str, kind: SnapshotKind, len: u64) -> Compacted {
    Compacted {
        refs: vec![object(kind, name, len)],
        entries: ENTRIES as u64,
    }
}

#[test]
fn what_was_compacted_takes_its_place_in_the_answer_of_its_epoch_and_not_before() {
    let mut chain = chain();
    grow(&mut chain, 2, "abcd", 10_000);
    let order = chain.next_order().expect("four are alike");
    assert_eq!(names(&order.refs), ["a", "b", "c", "d"]);
    assert_eq!(order.kind, SnapshotKind::KeyedIncrement);
    assert_eq!(order.due, Epoch(7), "the last answer was that of 5");
    assert!(chain.next_order().is_none(), "they are being compacted");
    let result = compacted("A", SnapshotKind::KeyedIncrement, 40_000);
    chain.compacted(order.number, Ok(result));
    grow(&mut chain, 6, "e", 10_000);
    // Of epoch 6 a manifest may be left that does not read, which protects what is named up to 6 only.
    assert_eq!(
        names(&chain.answer(Epoch(6))),
        ["F", "a", "b", "c", "d", "e"]
    );
    assert_eq!(names(&chain.answer(Epoch(7))), ["F", "A", "e"]);
}

#[test]
fn what_is_not_ready_when_its_epoch_is_answered_is_never_used_and_the_next_one_has_more_time() {
    let mut chain = chain();
    grow(&mut chain, 2, "abcd", 10_000);
    let order = chain.next_order().expect("four are alike");
    grow(&mut chain, 6, "ef", 10_000);
    assert!(order.stop.is_stopped(), "nobody waits for it any more");
    // CRASH: cleanup may have taken its objects for orphans when the manifest of epoch 7 was published.
    let result = compacted("A", SnapshotKind::KeyedIncrement, 40_000);
    chain.compacted(order.number, Ok(result));
    assert_eq!(
        names(&chain.answer(Epoch(8))),
        ["F", "a", "b", "c", "d", "e", "f"]
    );
    let next = chain.next_order().expect("they are still alike");
    assert_eq!(next.due, Epoch(8 + 4));
    assert_ne!(
        next.number, order.number,
        "or it would write over the same names"
    );
}

#[test]
fn a_checkpoint_that_was_given_up_counts_as_an_answer() {
    let mut chain = chain();
    grow(&mut chain, 2, "abcd", 10_000);
    let order = chain.next_order().expect("four are alike");
    // Epochs 6 and 7 are answered for before their images are stored.
    chain.answer(Epoch(6));
    chain.answer(Epoch(7));
    assert!(order.stop.is_stopped());
    chain.extend(SnapshotScope::Increment, increment("e", 10_000));
    chain.extend(SnapshotScope::Increment, increment("f", 10_000));
    assert_eq!(
        names(&chain.answer(Epoch(8))),
        ["F", "a", "b", "c", "d", "e", "f"],
        "what they held is kept"
    );
}

#[test]
fn a_full_snapshot_ends_the_compactions_of_what_it_replaces() {
    let mut chain = chain();
    grow(&mut chain, 2, "abcd", 10_000);
    let order = chain.next_order().expect("four are alike");
    let full = vec![object(SnapshotKind::KeyedFull, "G", FULL)];
    chain.extend(SnapshotScope::Full, full);
    assert!(order.stop.is_stopped());
    let result = compacted("A", SnapshotKind::KeyedIncrement, 40_000);
    chain.compacted(order.number, Ok(result));
    assert_eq!(names(&chain.answer(Epoch(9))), ["G"]);
}

#[test]
fn the_whole_chain_is_compacted_to_a_full_snapshot_before_its_excess_is_as_large_as_the_state() {
    let mut chain = chain();
    // Too unlike to be merged with each other.
    for (epoch, (name, len)) in (2..).zip([("a", 300_000), ("b", 100_000), ("c", 110_000)]) {
        grow(&mut chain, epoch, name, len);
    }
    let order = chain.next_order().expect("the excess is half of the state");
    assert_eq!(names(&order.refs), ["F", "a", "b", "c"]);
    assert_eq!(order.kind, SnapshotKind::KeyedFull);
    grow(&mut chain, 5, "d", 10_000);
    let result = compacted("G", SnapshotKind::KeyedFull, FULL);
    chain.compacted(order.number, Ok(result));
    assert_eq!(names(&chain.answer(order.due)), ["G", "d"]);
}

#[test]
fn a_compaction_that_fails_is_tried_again_behind_the_next_answer_and_at_last_replaced() {
    let mut chain = chain();
    grow(&mut chain, 2, "abcd", 10_000);
    let mut epoch = 6;
    for failure in 1..=MOST_FAILURES {
        assert_eq!(
            chain.next_scope(ENTRIES),
            SnapshotScope::Increment,
            "{failure}"
        );
        let order = chain.next_order().expect("it is tried again");
        chain.compacted(order.number, Err(Error::unavailable("it fails")));
        assert!(chain.next_order().is_none(), "not at once");
        chain.answer(Epoch(epoch));
        epoch += 1;
    }
    assert!(chain.next_order().is_none(), "not again");
    // An object of the chain may be damaged: a full snapshot does not need it.
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Full);
    let full = vec![object(SnapshotKind::KeyedFull, "G", FULL)];
    chain.extend(SnapshotScope::Full, full);
    chain.answer(Epoch(epoch));
    grow(&mut chain, epoch + 1, "abcd", 10_000);
    assert!(
        chain.next_order().is_some(),
        "it begins anew with everything"
    );
}

#[test]
fn a_chain_that_was_restored_is_compacted_when_the_first_answer_has_been_given() {
    let full = vec![
        object(SnapshotKind::KeyedFull, "F", FULL),
        object(SnapshotKind::KeyedFull, "G", FULL),
    ];
    let increments = "abcd"
        .chars()
        .map(|name| increment(&name.to_string(), 10_000));
    let refs: Vec<_> = full.into_iter().chain(increments.flatten()).collect();
    let mut chain = Chain::restored(refs, LIMITS);
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Increment);
    assert!(
        chain.next_order().is_none(),
        "no epoch is known to name it by"
    );
    grow(&mut chain, 12, "e", 10_000);
    let order = chain.next_order().expect("five are alike");
    assert_eq!(names(&order.refs), ["a", "b", "c", "d", "e"]);
    assert!(order.due > Epoch(12));
}

/// Each part counted as an increment, so that a chain with one large increment began with a full snapshot.
#[test]
fn the_parts_of_an_increment_that_was_restored_are_one_run() {
    let name = |epoch: u64, part: u32| {
        let subtask = SubtaskId {
            stage: StageId::new("sums"),
            worker: WorkerIndex(0),
        };
        names::state_object(Generation(1), Epoch(epoch), &subtask, part)
    };
    let increment = |epoch, parts| {
        (0..parts).map(move |part| object(SnapshotKind::KeyedIncrement, &name(epoch, part), 1_000))
    };
    let full = object(SnapshotKind::KeyedFull, &name(1, 0), FULL);
    let most = LIMITS.most_increments as u32;
    let refs: Vec<_> = [full].into_iter().chain(increment(2, most + 1)).collect();
    let mut chain = Chain::restored(refs.clone(), LIMITS);
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Increment);
    // Each of an epoch of its own.
    let others = (3..3 + u64::from(most)).flat_map(|epoch| increment(epoch, 1));
    let mut chain = Chain::restored(refs.into_iter().chain(others).collect(), LIMITS);
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Full);
}

#[test]
fn a_broken_chain_is_mended_by_a_full_snapshot_only() {
    let mut chain = chain();
    chain.break_off();
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Full);
    assert!(
        !chain.takes(SnapshotScope::Increment),
        "one may be under way already"
    );
    let full = vec![object(SnapshotKind::KeyedFull, "G", FULL)];
    chain.extend(SnapshotScope::Full, full);
    assert_eq!(chain.next_scope(ENTRIES), SnapshotScope::Increment);
}

/// Whatever comes: the bytes that a chain names are at most twice those of the live state, and its
/// objects at most so many, also if no compaction is ever ready.
#[test]
fn a_chain_keeps_its_bounds_whether_compactions_are_ready_or_not() {
    for (share, ready) in [
        (1, true),
        (1, false),
        (50, true),
        (50, false),
        (400, true),
        (900, false),
    ] {
        let mut chain = Chain::new(LIMITS);
        let (mut full_snapshots, mut epochs) = (0, 0);
        for epoch in 1..=500 {
            epochs += 1;
            let (kind, len) = match chain.next_scope(ENTRIES) {
                SnapshotScope::Full => (SnapshotKind::KeyedFull, FULL),
                SnapshotScope::Increment => (SnapshotKind::KeyedIncrement, FULL * share / 1_000),
            };
            let is_full = kind == SnapshotKind::KeyedFull;
            full_snapshots += u64::from(is_full);
            let scope = if is_full {
                SnapshotScope::Full
            } else {
                SnapshotScope::Increment
            };
            chain.extend(scope, vec![object(kind, "s", len)]);
            let refs = chain.answer(Epoch(epoch));
            assert!(bytes_of(&refs) <= 2 * FULL, "{share}: {}", bytes_of(&refs));
            assert!(
                refs.len() <= 2 + LIMITS.most_increments,
                "{share}: {}",
                refs.len()
            );
            while let Some(order) = chain.next_order() {
                if ready {
                    // As if no key had been changed twice.
                    let len = order.bytes.min(FULL);
                    chain.compacted(order.number, Ok(compacted("c", order.kind, len)));
                }
            }
        }
        if ready && share <= 50 {
            assert_eq!(full_snapshots, 1, "{share} of {epochs}");
        }
    }
}
