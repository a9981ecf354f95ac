//! State of so many entries that no walk reads them at once.

use std::collections::BTreeMap;

use flowdsl::checkpoints::StatePlace;
use flowdsl::prelude::*;
use flowdsl::testing::Harness;
use flowdsl_tests::backends::backends;

use super::{entries, open};

const KEYS: u64 = 6_000;
const RECORDS: u64 = 30_000;

/// Items of a list and entries of a map, of which there are several slices, and some at the borders of each.
#[test]
fn a_walk_of_many_slices_leaves_nothing_out_and_gives_nothing_twice_whatever_the_backend() {
    let mut orders = Vec::new();
    for backend in backends() {
        let mut harness = Harness::new();
        let input = harness.input::<u64>();
        let source = input.clone();
        let job = Job::new("many", move |flow| {
            flow.source("numbers", source.clone())
                .key_by(|n| n % KEYS)
                .at("held")
                .process(
                    (list_state::<u64>("list"), map_state::<u64, u64>("map")),
                    |ctx, (list, map), n: u64| {
                        list.push(n);
                        if list.len() > 4 {
                            list.pop_first();
                        }
                        map.insert(n, n + 1);
                        ctx.emit(());
                    },
                )
                .at("out")
                .sink(Discard::new());
        });
        let options = Options::new().workers(1).without_checkpoints();
        harness.start_with(&job, options.backend(backend));
        input.push_all(0..RECORDS);
        harness.settle().expect("no fault");
        let checkpoints = open(harness.disk(), "checkpoints");
        let found = entries(&checkpoints.newest().expect("one"), "held");
        assert!(
            found.is_sorted_by(|a, b| a.cmp_place(b).is_lt()),
            "in order"
        );
        let (mut lists, mut map) = (BTreeMap::<u64, Vec<u64>>::new(), 0);
        for entry in &found {
            let (key, value) = (entry.key.as_u64(), entry.value.as_u64());
            let (key, value) = (key.expect("a number"), value.expect("a number"));
            match &entry.place {
                StatePlace::List { .. } => lists.entry(key).or_default().push(value),
                StatePlace::Map { map_key, .. } => {
                    assert_eq!(map_key.as_u64(), Some(value - 1));
                    assert_eq!((value - 1) % KEYS, key);
                    map += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(map, RECORDS, "one for each record");
        assert_eq!(lists.len() as u64, KEYS);
        for (key, mut list) in lists {
            list.sort_unstable();
            let last: Vec<u64> = (1..RECORDS / KEYS).map(|n| n * KEYS + key).collect();
            assert_eq!(list, last, "the last four of {key}");
        }
        orders.push(found.iter().map(|entry| format!("{entry:?}")).collect());
    }
    assert!(
        orders
            .windows(2)
            .all(|pair: &[Vec<String>]| pair[0] == pair[1])
    );
}
