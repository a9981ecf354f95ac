//! Checkpoints read by their schemas, against plain maps.

mod damage;
mod fuzz;
mod golden;
mod model;
mod stored;

use std::collections::BTreeSet;

use model::{Model, ops};
use stored::{Stage, Stored};

use crate::checkpoints::{Checkpoints, StateChange};
use crate::error::ErrorKind;
use crate::ids::{Epoch, StageId};
use crate::storage::{CheckpointLocation, MemoryStorage};

/// Chains of several snapshots, each in several objects.
fn chained(seed: u64, worker_count: usize, keys: u64) -> (Stored, Model) {
    after_rounds(5, seed, worker_count, keys)
}

fn after_rounds(rounds: u64, seed: u64, worker_count: usize, keys: u64) -> (Stored, Model) {
    let (mut stage, mut model) = (Stage::new(worker_count), Model::default());
    for round in 0..rounds {
        let ops = ops(seed * 10 + round, keys);
        for (key, op) in &ops {
            model.handle(*key, op);
        }
        stage.process(ops);
        stage.snapshot(Epoch(round + 1));
    }
    (stage.publish(), model)
}

#[test]
fn the_walk_gives_what_plain_maps_hold_in_the_same_order_on_any_number_of_workers() {
    for seed in 0..2 {
        let (stored, model) = chained(seed, 1, 12_000);
        let alone = stored.entries();
        let seen: BTreeSet<String> = alone.iter().map(model::shown).collect();
        assert_eq!(seen.len(), alone.len(), "seed {seed}: nothing comes twice");
        let expected = model.shown();
        let missing = expected.difference(&seen).next();
        let wrong = seen.difference(&expected).next();
        assert_eq!((missing, wrong), (None, None), "seed {seed}");
        assert!(
            alone.is_sorted_by(|a, b| a.cmp_place(b).is_lt()),
            "seed {seed}: in order"
        );
        let order: Vec<String> = alone.iter().map(model::shown).collect();
        let (stored, _) = chained(seed, 3, 12_000);
        let spread: Vec<String> = stored.entries().iter().map(model::shown).collect();
        assert!(order == spread, "seed {seed}: the same on three workers");
    }
}

#[test]
fn the_changes_between_two_checkpoints_make_the_later_of_the_earlier() {
    for seed in 0..3 {
        let (earlier, before) = after_rounds(2, seed, 1, 1_000);
        let (later, after) = after_rounds(4, seed, 3, 1_000);
        let (earlier, later) = (earlier.open(), later.open());
        let stage = StageId::new("stage");
        let [earlier, later] = [&earlier, &later].map(|checkpoints| {
            let newest = checkpoints.newest().expect("one was published");
            newest.state(&stage).expect("it is whole")
        });
        let mut lines = before.shown();
        let mut kinds = [0; 3];
        for change in earlier.changes_to(later) {
            let (gone, new) = match change.expect("both are whole") {
                StateChange::Added(entry) => (None, Some(entry)),
                StateChange::Removed(entry) => (Some(entry), None),
                StateChange::Changed { before, after } => (Some(*before), Some(*after)),
            };
            kinds[usize::from(gone.is_some()) + 2 * usize::from(new.is_some()) - 1] += 1;
            let was = gone.is_none_or(|entry| lines.remove(&model::shown(&entry)));
            assert!(was, "seed {seed}: what is gone was not there");
            let is_new = new.is_none_or(|entry| lines.insert(model::shown(&entry)));
            assert!(is_new, "seed {seed}: what is new was there");
        }
        assert_eq!(lines, after.shown(), "seed {seed}");
        assert!(kinds.iter().all(|count| *count > 10), "{kinds:?}");
    }
}

#[test]
fn a_walk_reads_no_byte_of_a_small_object_twice() {
    let (stored, _) = chained(7, 1, 12_000);
    let bytes = stored.file_bytes();
    assert!(stored.objects() > 5, "{} objects", stored.objects());
    let entries = stored.entries().len() as u64;
    let read = stored.bytes_read_in_parts();
    assert!(
        read <= bytes,
        "{read} bytes read for {entries} entries in {bytes} bytes"
    );
}

#[test]
fn a_checkpoint_is_listed_with_what_it_holds() {
    let (stored, _) = chained(3, 2, 2_000);
    let checkpoints = stored.open();
    let [checkpoint] = &checkpoints.iter().collect::<Vec<_>>()[..] else {
        panic!("one checkpoint was published");
    };
    let summary = checkpoint.summary();
    assert_eq!(summary.epoch, Epoch(5));
    assert_eq!(summary.holds.subtasks, 2);
    assert_eq!(summary.holds.files, checkpoint.files().len());
    assert_eq!(summary.holds.file_bytes, stored.file_bytes());
    assert_eq!(summary.stages[0].holds, summary.holds);
    assert_eq!(checkpoints.files(), {
        let mut files = checkpoint.files();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files
    });
    let json = serde_json::to_value(&summary).expect("plain data");
    assert_eq!(json["epoch"], 5);
    assert_eq!(json["stages"][0]["files"], summary.holds.files);
}

#[test]
fn what_is_not_there_is_an_invalid_question() {
    let (stored, _) = chained(3, 1, 100);
    let checkpoints = stored.open();
    let newest = checkpoints.newest().expect("one was published");
    let no_stage = newest.state(&StageId::new("other")).expect_err("none");
    assert_eq!(no_stage.kind(), ErrorKind::Invalid);
    assert!(no_stage.message().contains("`stage`"), "{no_stage}");
    let no_source = newest.source(&StageId::new("stage")).expect_err("none");
    assert_eq!(no_source.kind(), ErrorKind::Invalid);
    let no_epoch = checkpoints.of_epoch(Epoch(77)).expect_err("none");
    assert_eq!(no_epoch.kind(), ErrorKind::Invalid);
    let empty = Checkpoints::open_in(std::sync::Arc::new(MemoryStorage::new()));
    assert_eq!(empty.expect_err("none").kind(), ErrorKind::Invalid);
    let nowhere = CheckpointLocation::from("memory://nobody-has-written-here");
    let nowhere = Checkpoints::open(&nowhere).expect_err("none");
    assert_eq!(nowhere.kind(), ErrorKind::Invalid);
}
