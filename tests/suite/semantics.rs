//! What the stages of a flow mean, against plain loops, on several workers and through crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::testing::{Harness, Input};
use flowdsl_tests::backends::{backends, backends_in_turn};
use flowdsl_tests::streams::{Reading, Shape, readings};

type Row = (u32, i64, i64);
/// Key, start, end, count, sum.
type SessionRow = (u32, i64, i64, u64, i64);

const GAP_MS: i64 = 25;

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

/// Sessions as they are defined, of records none of which is late.
fn sessions_of(readings: &[Reading]) -> Vec<SessionRow> {
    let mut by_key = BTreeMap::<u32, Vec<(i64, i64)>>::new();
    for reading in readings {
        by_key
            .entry(reading.key)
            .or_default()
            .push((reading.at_ms, reading.value));
    }
    let mut rows = Vec::<SessionRow>::new();
    for (key, mut of_key) in by_key {
        of_key.sort_unstable();
        let mut present: Option<SessionRow> = None;
        for (at, value) in of_key {
            present = Some(match present {
                Some((_, start, end, count, sum)) if at < end => {
                    (key, start, at + GAP_MS, count + 1, sum + value)
                }
                closed => {
                    rows.extend(closed);
                    (key, at, at + GAP_MS, 1, value)
                }
            });
        }
        rows.extend(present);
    }
    sorted(rows)
}

fn sessions(input: Input<Row>, disorder_ms: u32, results: Collect<SessionRow>) -> Job {
    Job::new("sessions", move |flow| {
        flow.source("rows", input.clone())
            .event_time(
                |row: &Row| row.1,
                Duration::from_millis(u64::from(disorder_ms)),
            )
            .key_by(|row| row.0)
            .window(session(Duration::from_millis(GAP_MS as u64)))
            .aggregate(|a| (a.count(), a.sum(|row: &Row| row.2)))
            .map(|w| (w.key, w.start, w.end, w.value.0, w.value.1))
            .sink(results.clone());
    })
}

#[test]
fn sessions_are_those_of_a_plain_loop_through_crashes_and_other_worker_counts() {
    let turns = backends_in_turn(5);
    for seed in 0..12 {
        let backends = &turns[seed as usize % turns.len()];
        let shape = Shape {
            seed,
            records: 600,
            keys: 12,
            start_ms: -500,
            step_ms: 6,
            disorder_ms: 40,
        };
        let readings = readings(shape);
        let mut harness = Harness::new();
        let (input, results) = (harness.input(), Collect::new());
        let job = sessions(input.clone(), shape.disorder_ms, results.clone());
        for (part, of_part) in readings.chunks(150).enumerate() {
            let options = Options::new()
                .workers(1 + (seed as usize + part) % 3)
                .backend(backends[part].clone());
            harness.start_with(&job, options);
            input.push_all(of_part.iter().map(|r| (r.key, r.at_ms, r.value)));
            if part % 2 == 0 {
                harness
                    .settle()
                    .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            }
            harness.crash();
        }
        let options = Options::new().workers(2).backend(backends[4].clone());
        harness.start_with(&job, options);
        harness
            .finish()
            .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(
            sorted(results.take()),
            sessions_of(&readings),
            "seed {seed}"
        );
    }
}

#[test]
fn a_union_of_a_stream_with_itself_holds_every_record_twice_through_a_crash() {
    let turns = [1, 2, 4].map(|count| backends().into_iter().map(move |backend| (count, backend)));
    for (worker_count, backend) in turns.into_iter().flatten() {
        let mut harness = Harness::new();
        let (input, all) = (harness.input::<u64>(), Collect::new());
        let (source, sink) = (input.clone(), all.clone());
        let job = Job::new("diamond", move |flow| {
            let numbers = flow.source("numbers", source.clone()).shared();
            let counted = numbers
                .branch()
                .key_by(|n| *n)
                .at("count")
                .fold(0_u64, |count, _| *count += 1)
                .at("key")
                .map(|c| c.key);
            let plain = numbers.branch().at("same").map(|n| n);
            flow.union("both")
                .and(counted)
                .and(plain)
                .merge()
                .sink(sink.clone());
        });
        let options = || {
            Options::new()
                .workers(worker_count)
                .backend(backend.clone())
        };
        harness.start_with(&job, options());
        input.push_all(0..3_000);
        harness.settle().expect("no fault");
        input.push_all(3_000..6_000);
        harness.crash();
        harness.start_with(&job, options());
        harness.settle().expect("no fault");
        harness.finish().expect("no fault");
        let twice: Vec<u64> = (0..6_000).flat_map(|n| [n, n]).collect();
        assert!(sorted(all.take()) == twice, "with {worker_count} workers");
    }
}

#[test]
fn the_watermark_of_a_union_is_that_of_its_slowest_part() {
    for worker_count in [1, 2] {
        let mut harness = Harness::new();
        let (fast, slow) = (harness.input::<i64>(), harness.input::<i64>());
        let windows = Collect::new();
        let (a, b, sink) = (fast.clone(), slow.clone(), windows.clone());
        let job = Job::new("slowest", move |flow| {
            let a = flow
                .source("fast", a.clone())
                .event_time(|at| *at, Duration::ZERO);
            let b = flow
                .source("slow", b.clone())
                .event_time(|at| *at, Duration::ZERO);
            flow.union("all")
                .and(a)
                .and(b)
                .merge()
                .key_by(|_| ())
                .window(tumbling(Duration::from_millis(10)))
                .aggregate(Aggregates::count)
                .map(|w| (w.start, w.value))
                .sink(sink.clone());
        });
        harness.start_with(&job, Options::new().workers(worker_count));
        fast.push_all([1, 11, 21, 31]);
        slow.push(5);
        harness.settle().expect("no fault");
        assert!(
            windows.records().is_empty(),
            "a record before 10 may still come"
        );
        slow.push_all([6, 12]);
        harness.settle().expect("no fault");
        assert_eq!(windows.records(), [(0, 3)]);
        harness.crash();
        harness.start_with(&job, Options::new().workers(worker_count));
        slow.finish();
        harness.settle().expect("no fault");
        assert_eq!(
            sorted(windows.records()),
            [(0, 3), (10, 2), (20, 1)],
            "only the fast part holds the end back"
        );
        harness.finish().expect("no fault");
        assert_eq!(sorted(windows.take()), [(0, 3), (10, 2), (20, 1), (30, 1)]);
    }
}

#[test]
fn records_that_cannot_be_read_go_to_the_stream_that_takes_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("numbers.jsonl");
    let lines: String = (0..1_000)
        .map(|n| {
            if n % 10 == 3 {
                format!("<{n}>\n")
            } else {
                format!("{n}\n")
            }
        })
        .collect();
    std::fs::write(&path, lines).expect("a file in a temporary directory");
    for worker_count in [1, 2] {
        let (numbers, malformed) = (Collect::<u64>::new(), Collect::<u64>::new());
        let (good, bad, path) = (numbers.clone(), malformed.clone(), path.clone());
        let job = Job::new("errors", move |flow| {
            let (read, unread) =
                flow.source_with_errors("numbers", File::jsonl::<u64>(&path).split_size(500));
            read.at("good").sink(good.clone());
            unread.map(|error| error.line).at("bad").sink(bad.clone());
        });
        let options = Options::new()
            .workers(worker_count)
            .checkpoint_interval(Duration::from_millis(1));
        job.run(options)
            .expect("malformed records have a stream of their own");
        assert_eq!(
            sorted(numbers.take()),
            (0..1_000).filter(|n| n % 10 != 3).collect::<Vec<_>>()
        );
        assert_eq!(
            sorted(malformed.take()),
            (0..1_000)
                .filter(|n| n % 10 == 3)
                .map(|n| n + 1)
                .collect::<Vec<_>>()
        );
    }
}
