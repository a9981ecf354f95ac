//! Checkpoints of real jobs, read without their types, against plain loops over the same input; and
//! checkpoints that have moved.

mod expected;
mod job;
mod many;
mod moved;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use flowdsl::checkpoints::{Checkpoint, Checkpoints, Stamp, StateClock, StateEntry, StatePlace};
use flowdsl::runtime::ids::{Epoch, StageId};
use flowdsl::runtime::storage::LocalStorage;
use flowdsl::testing::{FaultyDisk, Harness};
use flowdsl::{Options, StateBackend};
use flowdsl_tests::backends::backends_in_turn;
use serde_json::Value;

use expected::{Seen, by_hand, list, place, recent, running, sessions, windows};
use job::{DISORDER_MS, Row, TTL_MINUTES, job, rows};

fn entries(checkpoint: &Checkpoint<'_>, stage: &str) -> Vec<StateEntry> {
    let state = checkpoint.state(&StageId::new(stage));
    let entries: Result<Vec<_>, _> = state.expect("it is whole").collect();
    entries.expect("it is whole")
}

fn seen(checkpoint: &Checkpoint<'_>, stage: &str) -> Seen {
    let entries = entries(checkpoint, stage);
    let seen: Seen = entries
        .iter()
        .map(|entry| (place(&entry.key, &entry.place), entry.value.clone()))
        .collect();
    assert_eq!(seen.len(), entries.len(), "{stage}: nothing comes twice");
    seen
}

#[track_caller]
fn check(stage: &str, seen: &Seen, expected: &Seen) {
    for (place, value) in expected {
        assert_eq!(seen.get(place), Some(value), "{stage}: {place}");
    }
    for place in seen.keys() {
        assert!(expected.contains_key(place), "{stage}: {place} is no more");
    }
}

/// The items of each list as one value, in the order of their places.
fn with_whole_lists(entries: Vec<StateEntry>) -> Seen {
    let (mut seen, mut lists) = (Seen::new(), BTreeMap::<String, BTreeMap<u64, Value>>::new());
    for StateEntry {
        key,
        place: at,
        value,
        ..
    } in entries
    {
        if let StatePlace::List { place: number, .. } = at {
            let items = lists.entry(place(&key, &list())).or_default();
            items.insert(number, value);
        } else {
            seen.insert(place(&key, &at), value);
        }
    }
    let lists = lists
        .into_iter()
        .map(|(place, items)| (place, items.into_values().collect()));
    seen.extend(lists);
    seen
}

#[track_caller]
fn check_recent(checkpoint: &Checkpoint<'_>, parts: &[(i64, Vec<Row>)]) {
    let now = parts.last().expect("some").0;
    let ttl = i64::try_from(TTL_MINUTES * 60_000).expect("an hour");
    let mut seen = BTreeMap::new();
    for entry in entries(checkpoint, "recent") {
        let Some(Stamp { clock, at }) = entry.stamp else {
            panic!("what expires has a stamp: {entry:?}");
        };
        assert_eq!(clock, StateClock::Processing);
        let name = "value".to_owned();
        assert_eq!(entry.place, StatePlace::State { name });
        let key = u32::try_from(entry.key[0].as_u64().expect("a number")).expect("of 32 bits");
        // What has expired is cleaned up some time.
        if at + ttl > now {
            seen.insert(key, (entry.value.as_u64().expect("a count"), at));
        }
    }
    assert_eq!(seen, recent(parts));
}

fn open(disk: &FaultyDisk, dir: &str) -> Checkpoints {
    let storage = LocalStorage::new(Arc::new(disk.clone()), dir);
    Checkpoints::open_in(Arc::new(storage)).expect("a job has run there")
}

#[test]
fn the_state_in_a_checkpoint_is_what_plain_loops_over_the_same_input_say_whatever_the_backend() {
    let mut turns = backends_in_turn(RUNS.len()).into_iter();
    let in_memory = turns.next().expect("there is a backend");
    let expected = walked(&in_memory);
    for turn in turns {
        for (at, (found, expected)) in walked(&turn).iter().zip(&expected).enumerate() {
            let differs = found.iter().zip(expected).find(|(a, b)| a != b);
            assert_eq!(differs, None, "{turn:?}, checkpoint {at}");
            assert_eq!(found.len(), expected.len(), "{turn:?}, checkpoint {at}");
        }
    }
}

/// Workers, and the parts of the input that they are given.
const RUNS: [(usize, Range<usize>); 3] = [(3, 0..4), (2, 4..6), (1, 6..8)];

/// Runs the job on a backend a run, and checks each checkpoint: what the walks through it gave, line by line.
fn walked(backends: &[StateBackend]) -> Vec<Vec<String>> {
    let (rows, mut harness) = (rows(), Harness::new());
    let input = harness.input();
    let job = job(&input);
    let mut parts: Vec<(i64, Vec<Row>)> = Vec::new();
    let (mut walks, mut settled) = (Vec::new(), Vec::new());
    for ((worker_count, parts_of_run), backend) in RUNS.into_iter().zip(backends) {
        let mut options = Options::new().workers(worker_count);
        options.checkpoints.retained = 20;
        harness.start_with(&job, options.backend(backend.clone()));
        for part in parts_of_run {
            harness.clock().advance(Duration::from_secs(40 * 60));
            let part = rows.chunks(rows.len() / 8).nth(part).expect("eight parts");
            input.push_all(part.iter().copied());
            harness.settle().expect("no fault");
            let now = harness.clock().unix_millis().cast_signed();
            parts.push((now, part.to_vec()));
            let pushed: Vec<Row> = parts.iter().flat_map(|(_, rows)| rows.clone()).collect();
            check_all(&open(harness.disk(), "checkpoints"), &pushed);
            let checkpoints = open(harness.disk(), "checkpoints");
            check_recent(&checkpoints.newest().expect("one"), &parts);
            walks.push(lines(&checkpoints, settled.last()));
            settled.push(checkpoints.newest().expect("one").summary().epoch);
        }
        harness.crash();
    }
    walks
}

/// The state of the newest checkpoint, and what has changed since an earlier one, as JSON in the order of the
/// walks. What expires is left out: how soon it goes is the backend's business.
fn lines(checkpoints: &Checkpoints, since: Option<&Epoch>) -> Vec<String> {
    let newest = checkpoints.newest().expect("one");
    let stages = newest.keyed_stages().map(|stage| &stage.id);
    let mut lines = Vec::new();
    for stage in stages.filter(|stage| stage.as_str() != "recent") {
        for entry in newest.state(stage).expect("it is whole") {
            let line = serde_json::to_string(&entry.expect("it is whole"));
            lines.push(format!("{stage}: {}", line.expect("it is plain")));
        }
        let Some(since) = since else {
            continue;
        };
        let earlier = checkpoints.of_epoch(*since).expect("it is kept");
        let earlier = earlier.state(stage).expect("it is whole");
        for change in earlier.changes_to(newest.state(stage).expect("it is whole")) {
            let line = serde_json::to_string(&change.expect("both are whole"));
            lines.push(format!("{stage} since: {}", line.expect("it is plain")));
        }
    }
    assert!(lines.len() > 500, "{}", lines.len());
    lines
}

/// Compares the state of all stages but that with a time-to-live.
#[track_caller]
fn check_all(checkpoints: &Checkpoints, pushed: &[Row]) {
    let newest = checkpoints
        .newest()
        .expect("a checkpoint of what was pushed");
    assert_eq!(newest.verify().expect("the disk answers"), []);
    let watermark = pushed.iter().map(|row| row.1).max().expect("some") - DISORDER_MS;
    let state = newest.state(&StageId::new("windows")).expect("it is whole");
    for of_worker in state.watermarks() {
        assert_eq!(of_worker, Some(watermark));
    }
    let [totals, newest_rows] = running(pushed);
    check("totals", &seen(&newest, "totals"), &totals);
    check("newest", &seen(&newest, "newest"), &newest_rows);
    let expected = windows(pushed, watermark);
    check("windows", &seen(&newest, "windows"), &expected);
    let expected = sessions(pushed, watermark);
    check("sessions", &seen(&newest, "sessions"), &expected);
    let expected = by_hand(pushed, watermark);
    let found = with_whole_lists(entries(&newest, "by_hand"));
    check("by_hand", &found, &expected);
}
