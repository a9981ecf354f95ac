//! Flows written with `flow!`, run on records in memory.

use std::time::Duration;

use flowdsl::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, State)]
struct Flight {
    origin: String,
    departure: i64,
    delay: i64,
}

fn flight(origin: &str, minute: i64, delay: i64) -> Flight {
    Flight {
        origin: origin.to_owned(),
        departure: minute * 60_000,
        delay,
    }
}

fn flights() -> Vec<Flight> {
    vec![
        flight("ABE", 1, 10),
        flight("ABE", 59, 20),
        flight("JFK", 30, 5),
        flight("ABE", 61, 40),
        flight("JFK", 200, 7),
    ]
}

/// What a job's collected records are, in order.
fn run<T: Clone + Ord + Send + 'static>(job: &Job, collected: &Collect<T>) -> Vec<T> {
    job.run(Options::new()).expect("the job runs to its end");
    let mut records = collected.take();
    records.sort();
    records
}

/// A value that is neither `Copy` nor known to the flow without `capture`.
#[derive(Clone)]
struct Limits {
    least: i64,
}

fn twice<T: Clone>(x: T) -> Vec<T> {
    vec![x.clone(), x]
}

#[test]
fn stateless_stages_do_what_their_names_say() {
    let out = Collect::new();
    let limits = Limits { least: 3 };
    let unit = "ms".to_owned();
    let job = flow! { <i64 => String>
        capture out, limits, unit;
        source(Memory::new(vec![1_i64, 2, 3, 4]))
            -> filter(|n| *n >= limits.least)
            -> filter_map(|n| n.checked_mul(10))
            -> flat_map(twice)
            -> inspect(|n| assert!(*n >= limits.least, "{n} {unit}"))
            -> map(|n| format!("{n} {unit}"))
            -> sink(out);
    };
    assert_eq!(run(&job, &out), ["30 ms", "30 ms", "40 ms", "40 ms"]);
    // What was captured is still the caller's.
    assert_eq!((limits.least, unit.as_str()), (3, "ms"));
}

#[test]
fn windows_of_each_key_are_aggregated() {
    let out = Collect::new();
    let job = flow! {
        capture out;
        let flights = source(Memory::new(flights())) -> event_time(|f| f.departure, lateness: 2 h);
        flights
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h))
            -> aggregate((count(), sum(|f| f.delay), max(|f| f.delay)))
            -> map(|w| (w.key, w.start / 60_000, w.value.0, w.value.1, w.value.2))
            -> sink(out);
    };
    let expected = [
        ("ABE", 0, 2, 30, 20),
        ("ABE", 60, 1, 40, 40),
        ("JFK", 0, 1, 5, 5),
        ("JFK", 180, 1, 7, 7),
    ];
    let expected =
        expected.map(|(key, start, count, sum, max)| (key.to_owned(), start, count, sum, max));
    assert_eq!(run(&job, &out), expected);
}

#[test]
fn a_stream_used_twice_gives_every_record_to_each_use() {
    let (all, some) = (Collect::new(), Collect::new());
    let job = flow! {
        capture all, some;
        let numbers = source(Memory::new(vec![1_u64, 2, 3]));
        let more = numbers -> map(|n| n + 10);
        let few = numbers -> filter(|n| *n > 2);
        union(numbers, more) as everything -> sink(all);
        few -> sink(some);
    };
    assert_eq!(run(&job, &all), [1, 2, 3, 11, 12, 13]);
    let mut few = some.take();
    few.sort_unstable();
    assert_eq!(few, [3]);
}

#[test]
fn running_results_and_sessions_and_durations_from_outside() {
    let (sums, sessions) = (Collect::new(), Collect::new());
    let gap = Duration::from_secs(40 * 60);
    let job = flow! {
        capture sums, sessions;
        let keyed = source(Memory::new(flights())) -> event_time(|f| f.departure, lateness: 1 d) -> key_by(|f| f.origin.clone());
        keyed -> fold(0_i64, |sum, f| *sum += f.delay) -> map(|sum| (sum.key, sum.value)) -> sink(sums);
        keyed
            -> window(session(gap), allowed_lateness: 0 s)
            -> reduce(|first, next| first.delay += next.delay)
            -> map(|w| (w.key, w.value.delay))
            -> sink(sessions) as sessions;
    };
    job.run(Options::new()).expect("the job runs to its end");
    assert_eq!(sums.take().len(), 5);
    let mut sessions = sessions.take();
    sessions.sort();
    let expected = [("ABE", 10), ("ABE", 60), ("JFK", 5), ("JFK", 7)]
        .map(|(key, delay)| (key.to_owned(), delay));
    assert_eq!(sessions, expected);
}

#[test]
fn malformed_records_and_late_ones_have_streams_of_their_own() {
    let folder = std::env::temp_dir().join(format!("flowdsl-flow-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary directory is writable");
    let path = folder.join("flights.csv");
    std::fs::write(
        &path,
        "origin,departure,delay\nABE,60000,1\nABE,oops,2\nABE,120000,3\nABE,9000000,4\n",
    )
    .expect("writable");
    let (good, bad, late) = (Collect::new(), Collect::new(), Collect::new());
    let job = flow! { <Flight => i64>
        capture path, good, bad, late;
        let flights = source(File::csv(path), errors: malformed) -> event_time(|f| f.departure, lateness: 5 min);
        malformed -> map(|e| e.line) -> sink(bad);
        let delays = flights
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h), offset: -30 min, late: too_late)
            -> aggregate(sum(|f| f.delay));
        too_late -> sink(late);
        delays -> map(|w| w.value) -> sink(good);
    };
    job.run(Options::new()).expect("the job runs to its end");
    std::fs::remove_dir_all(&folder).expect("the test's own directory");
    assert_eq!(bad.take(), [3]);
    assert_eq!(good.take().into_iter().sum::<i64>(), 8);
    assert_eq!(late.take().len(), 0);
}

#[test]
fn the_flow_has_the_name_of_its_module() {
    let job = flow! { source(Memory::new(vec![1_u64])) -> sink(Discard::new()); };
    assert_eq!(job.name(), "flow");
    let ids: Vec<String> = job
        .plan()
        .expect("a flow")
        .stages
        .iter()
        .map(|stage| stage.id.to_string())
        .collect();
    assert_eq!(ids, ["source", "source.sink"]);
}
