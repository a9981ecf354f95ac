use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ids::Generation;
use crate::protocol::{
    Location, Migration, PlanStage, SnapshotKind, SnapshotRef, StageKind, StoredPlan, VersionRules,
    compare_plans,
};
use crate::record::{Keyed, Rec, Untimed};
use crate::schema::Schema;
use crate::state::testing::{GROUPS, ranges, snapshot};
use crate::state::{Fold, Former, Share, SnapshotScope, StateStore};
use crate::storage::MemoryStorage;

static GOES_ON: AtomicBool = AtomicBool::new(false);

type Count<K> = Fold<K, Untimed, u64, u64, fn(&mut u64, u64)>;

fn count<K: crate::key::Key>() -> Count<K> {
    Fold::new(0, |count, value| *count += value)
}

/// A snapshot in which each key has itself as its count.
fn stored(keys: u64) -> SnapshotRef {
    let mut logic = count::<u64>();
    let record = |key| Rec {
        key: Keyed(key),
        time: Untimed,
        value: key,
    };
    let mut batch = (0..keys).map(record).collect();
    logic.process(&mut batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
    SnapshotRef {
        kind: SnapshotKind::KeyedFull,
        location: Location::Inline(snapshot(&mut logic, SnapshotScope::Full)),
    }
}

/// What a migration of the keys makes of a stage.
fn evolving(new: Schema, migration: Migration) -> Evolving {
    let plan = |schema| StoredPlan {
        stages: vec![PlanStage {
            id: "counts".into(),
            operation: "fold".to_owned(),
            detail: String::new(),
            kind: StageKind::Keyed,
            schema: Some(schema),
        }],
        edges: Vec::new(),
    };
    let rules = VersionRules {
        migrations: &[("counts".into(), migration)],
        allow_dropped: &[],
    };
    let restore = compare_plans(&plan(count::<u64>().schema()), &plan(new), rules);
    let mut evolved = restore.evolved.into_values();
    evolved.next().expect("the migration is taken")
}

/// Gives a walk through so many keys to `see`.
fn with_walk<T>(
    (keys, given_up): (u64, &AtomicBool),
    evolving: &Evolving,
    see: impl FnOnce(Walk<'_, '_>) -> T,
) -> T {
    let refs = [stored(keys)];
    let restoring = Restoring {
        subtask: &SubtaskId {
            stage: "counts".into(),
            worker: WorkerIndex(0),
        },
        share: Share::new(GROUPS, ranges(1)[0], given_up),
        former: vec![Former {
            range: ranges(1)[0],
            refs: &refs,
        }],
        store: &StateStore::new(Arc::new(MemoryStorage::new()), Generation(1), 1),
        evolving: Some(evolving),
    };
    let snapshots = former_snapshots(evolving, &restoring);
    let store = Stored {
        storage: restoring.store.storage(),
        dirs: &|| Err(Error::internal("there is no database")),
    };
    let shape = |schema| StageShape::of(schema).expect("the shape of a fold");
    let stored = shape(&evolving.stored);
    let opened = snapshots.iter().map(|(snapshot, span)| (snapshot, *span));
    see(Walk {
        stage: StoredStage::open(store, &stored, opened).expect("it is whole"),
        stored,
        new: shape(&evolving.new),
        evolving,
        restoring: &restoring,
    })
}

#[test]
fn two_keys_that_become_one_are_found_among_more_than_are_looked_at_together() {
    let text = evolving(
        count::<String>().schema(),
        Migration::key(|key: u64| if key == 2_998 { 17 } else { key }.to_string()),
    );
    for (keys, looked_at) in [(2_998, 64), (2_998, 1 << 20), (3_000, 64), (3_000, 1 << 20)] {
        let checked = with_walk((keys, &GOES_ON), &text, |mut walk| {
            walk.check_keys(HashSpan::ALL, looked_at)
        });
        let message = checked.map_err(|error| error.message().to_owned());
        let twice = "its migration makes the key \"17\" of 17 and of 2998, and what is kept of one of them would be \
                     lost: let it make two keys of two";
        let expected = if keys == 3_000 {
            Err(twice.to_owned())
        } else {
            Ok(())
        };
        assert_eq!(message, expected, "{keys} keys, {looked_at} at once");
    }
}

#[test]
fn each_worker_keeps_the_keys_that_are_its_own_now() {
    let text = evolving(
        count::<String>().schema(),
        Migration::key(|key: u64| key.to_string()),
    );
    let mut all = 0;
    for range in ranges(3) {
        let own = HashSpan::of_groups(GROUPS, range).expect("some groups");
        let kept = with_walk((1_000, &GOES_ON), &text, |mut walk| {
            let mut kept = Vec::new();
            walk.for_each_slice(own, |table, entries| {
                for entry in entries {
                    kept.push((entry.hash, to_json(&entry.pair, &table.stored_entry())));
                }
                Ok(())
            })
            .map(|()| kept)
        });
        for (hash, entry) in kept.expect("they are read") {
            let key = entry[0].as_str().expect("a text");
            assert_eq!(hash, crate::key::hash_of(&key.to_owned()));
            assert!(own.contains(hash));
            assert_eq!(entry[1].to_string(), key);
            all += 1;
        }
    }
    assert_eq!(all, 1_000);
}

#[test]
fn a_restore_that_is_given_up_ends_at_the_next_slice() {
    let text = evolving(
        count::<String>().schema(),
        Migration::key(|key: u64| key.to_string()),
    );
    let mut slices = 0;
    let given_up = AtomicBool::new(false);
    let error = with_walk((40_000, &given_up), &text, |mut walk| {
        walk.for_each_slice(HashSpan::ALL, |_, _| {
            slices += 1;
            given_up.store(true, Ordering::Relaxed);
            Ok(())
        })
        .map_err(|error| error.message().to_owned())
    });
    assert!(error.is_err_and(|message| message.contains("given up")));
    assert_eq!(slices, 1);
}
