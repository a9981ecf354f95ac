//! `fold` and `reduce`: what they emit, across restarts and rescales; and that bytes are not trusted.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::key::hash_of;
use crate::record::{Timed, Untimed};
use crate::state::testing::{GROUPS, ranges, restore, share_of_all, snapshot};

type Sum = Fold<String, Timed, i64, i64, fn(&mut i64, i64)>;

fn sum() -> Sum {
    Fold::new(0, |sum, value| *sum += value)
}

fn rec(key: u64, value: i64) -> Rec<Keyed<String>, Timed, i64> {
    Rec {
        key: Keyed(format!("key {key}")),
        time: Timed(value),
        value,
    }
}

fn run<L: KeyedLogic>(logic: &mut L, records: impl IntoIterator<Item = L::In>) -> Vec<L::Out> {
    let (mut batch, mut out, mut late) = (records.into_iter().collect(), Vec::new(), Vec::new());
    logic.process(&mut batch, i64::MIN, &mut out, &mut late);
    assert!(batch.is_empty() && late.is_empty());
    out
}

#[test]
fn fold_emits_the_value_after_each_record_at_the_records_time() {
    let out = run(&mut sum(), [rec(1, 5), rec(2, 7), rec(1, -1)]);
    let found: Vec<_> = out
        .iter()
        .map(|r| (r.value.key.as_str(), r.value.value, r.time.0))
        .collect();
    assert_eq!(found, [("key 1", 5, 5), ("key 2", 7, 7), ("key 1", 4, -1)]);
}

#[test]
fn reduce_begins_with_the_first_record_of_a_key() {
    let mut longest = Reduce::new(|longest: &mut String, next: String| {
        if next.len() > longest.len() {
            *longest = next;
        }
    });
    let records = ["b", "aa", "c"].map(|text| Rec {
        key: Keyed(0_u8),
        time: Untimed,
        value: text.to_owned(),
    });
    let found: Vec<_> = run(&mut longest, records)
        .into_iter()
        .map(|r| r.value)
        .collect();
    assert_eq!(found, ["b", "aa", "aa"]);
}

#[test]
fn a_fold_goes_on_after_a_restart_with_another_number_of_workers() {
    let mut logic = sum();
    run(&mut logic, (0..1_000).map(|key| rec(key, 1)));
    let full = snapshot(&mut logic, SnapshotScope::Full);
    run(&mut logic, (0..10).map(|key| rec(key, 1)));
    let increment = snapshot(&mut logic, SnapshotScope::Increment);
    assert!(
        increment.len() * 10 < full.len(),
        "{} bytes after {}",
        increment.len(),
        full.len()
    );

    let mut workers = restore(sum, &[full, increment], 3);
    assert_eq!(workers.iter().map(KeyedLogic::len).sum::<usize>(), 1_000);
    for (worker, range) in workers.iter_mut().zip(ranges(3)) {
        let owned = (0..1_000)
            .map(|key| rec(key, 1))
            .filter(|r| range.contains(GROUPS.group_of(hash_of(&r.key.0))));
        for result in run(worker, owned).into_iter().map(|r| r.value) {
            let key: u64 = result.key["key ".len()..].parse().expect("a number");
            assert_eq!(result.value, if key < 10 { 3 } else { 2 }, "key {key}");
        }
    }
}

#[test]
fn a_snapshot_of_another_kind_of_stage_is_refused_as_incompatible() {
    let mut object = Vec::new();
    Preamble {
        kind: LogicKind::Sessions,
        watermark: 0,
        cleared: Vec::new(),
    }
    .encode(&mut object);
    let error = sum()
        .restore(&object, share_of_all())
        .expect_err("the kinds differ");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
}

#[test]
fn a_truncated_snapshot_is_corrupt_unless_it_ends_between_frames() {
    let mut logic = sum();
    run(&mut logic, (0..600).map(|key| rec(key, 1)));
    let object = snapshot(&mut logic, SnapshotScope::Full);
    let mut whole = 0;
    for length in 0..object.len() {
        match sum().restore(&object[..length], share_of_all()) {
            Ok(()) => whole += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        }
    }
    assert!(whole < 100, "{whole} prefixes are whole frames");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn wrong_bytes_never_panic(at in any::<prop::sample::Index>(), flip in 1_u8.., garbage in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut logic = sum();
        run(&mut logic, (0..50).map(|key| rec(key, 1)));
        let mut object = snapshot(&mut logic, SnapshotScope::Full);
        let at = at.index(object.len());
        object[at] ^= flip;
        let _ = sum().restore(&object, share_of_all());
        object.truncate(at);
        object.extend(&garbage);
        let _ = sum().restore(&object, share_of_all());
        let _ = sum().restore(&garbage, share_of_all());
    }
}
