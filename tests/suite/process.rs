//! Whole jobs with named states, timers and a time-to-live, through crashes and other numbers of
//! workers.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::testing::{Harness, Input};
use flowdsl::{ErrorKind, StateBackend};
use flowdsl_tests::backends::backends_in_turn;
use flowdsl_tests::streams::{Shape, readings};

/// Key, event time, value.
type Row = (u32, i64, i64);

const WINDOW_MS: i64 = 250;
const DISORDER_MS: u32 = 30;
const DIR: &str = "out/lines";

fn rows() -> Vec<Row> {
    let shape = Shape {
        seed: 23,
        records: 1_500,
        keys: 200,
        start_ms: -700,
        step_ms: 3,
        disorder_ms: DISORDER_MS,
    };
    let rows = readings(shape);
    rows.iter().map(|r| (r.key, r.at_ms, r.value)).collect()
}

/// The first millisecond behind the window of a time.
fn end_of(at: i64) -> i64 {
    at - at.rem_euclid(WINDOW_MS) + WINDOW_MS
}

/// For each record its number and the last three of its key; and sums of windows, by timers.
fn job(input: &Input<Row>) -> Job {
    let input = input.clone();
    Job::new("by hand", move |flow| {
        flow.source("rows", input.clone())
            .event_time(
                |row: &Row| row.1,
                Duration::from_millis(u64::from(DISORDER_MS)),
            )
            .key_by(|row| row.0)
            .at("by_hand")
            .process_with_timers(
                (
                    value_state::<u64>("count"),
                    list_state::<i64>("last"),
                    map_state::<i64, i64>("sums"),
                ),
                |ctx, (count, last, sums), (key, at, value)| {
                    *count.or_insert(0) += 1;
                    last.push(value);
                    if last.len() > 3 {
                        last.pop_first();
                    }
                    *sums.or_insert_with(&end_of(at), || 0) += value;
                    ctx.set_timer(end_of(at));
                    let last: Vec<_> = last.iter().map(i64::to_string).collect();
                    ctx.emit((
                        key,
                        i64::try_from(*count.or_insert(0)).expect("few"),
                        last.join(";"),
                    ));
                },
                |ctx, (_, _, sums), timer: Timer| {
                    let sum = sums.remove(&timer.time).expect("a timer rings once");
                    ctx.emit((*ctx.key(), timer.time, format!("sum {sum}")));
                },
            )
            .sink(File::csv(DIR).no_header());
    })
}

fn expected(rows: &[Row]) -> Vec<String> {
    let (mut lines, mut of_key) = (Vec::new(), BTreeMap::<u32, Vec<i64>>::new());
    let mut sums = BTreeMap::<(u32, i64), i64>::new();
    for (key, at, value) in rows {
        let values = of_key.entry(*key).or_default();
        values.push(*value);
        let last: Vec<_> = values
            .iter()
            .rev()
            .take(3)
            .rev()
            .map(i64::to_string)
            .collect();
        lines.push(format!("{key},{},{}", values.len(), last.join(";")));
        *sums.entry((*key, end_of(*at))).or_default() += value;
    }
    lines.extend(
        sums.iter()
            .map(|((key, end), sum)| format!("{key},{end},sum {sum}")),
    );
    lines.sort();
    lines
}

#[test]
fn states_and_timers_survive_crashes_and_other_numbers_of_workers() {
    for backends in backends_in_turn(4) {
        let (rows, mut harness) = (rows(), Harness::new());
        let input = harness.input();
        let job = job(&input);
        let mut parts = rows.chunks(rows.len() / 5 + 1);
        let options = |worker_count: usize, run: usize| {
            Options::new()
                .workers(worker_count)
                .backend(backends[run].clone())
        };
        for (run, worker_count) in [1, 2, 3].into_iter().enumerate() {
            harness.start_with(&job, options(worker_count, run));
            input.push_all(parts.next().into_iter().flatten().copied());
            harness.settle().expect("no fault");
            // What comes now is in no checkpoint.
            input.push_all(parts.next().into_iter().flatten().copied());
            harness.crash();
        }
        harness.start_with(&job, options(2, 3));
        harness.finish().expect("no fault");
        assert_eq!(harness.lines(DIR), expected(&rows), "{backends:?}");
    }
}

/// Says of each name when its record came, a second of processing time later.
fn reminders(input: &Input<u32>, rung: impl Fn((u32, i64)) + Send + Sync + Clone + 'static) -> Job {
    let input = input.clone();
    Job::new("reminders", move |flow| {
        flow.source("names", input.clone())
            .key_by(|name| *name)
            .process_with_timers(
                value_state::<i64>("came"),
                |ctx, came, _| {
                    came.set(ctx.processing_time());
                    ctx.set_processing_timer(ctx.processing_time() + 1_000);
                },
                |ctx, came, _: Timer| {
                    let came = came.take().expect("a timer rings once");
                    ctx.emit((*ctx.key(), came));
                },
            )
            .sink(ForEach::new(rung.clone()));
    })
}

#[test]
fn timers_of_the_clock_ring_when_it_says_so_also_behind_a_crash_on_other_workers() {
    for backends in backends_in_turn(2) {
        timers_of_the_clock_ring_on(&backends);
    }
}

fn timers_of_the_clock_ring_on(backends: &[StateBackend]) {
    let mut harness = Harness::new();
    let input = harness.input();
    let (rung, ringing) = mpsc::channel();
    let job = reminders(&input, move |ring| {
        rung.send(ring).expect("the test listens");
    });
    harness.start_with(&job, Options::new().backend(backends[0].clone()));
    input.push_all(0..20);
    harness.settle().expect("no fault");
    harness.clock().advance(Duration::from_millis(999));
    harness.settle().expect("no fault");
    assert_eq!(ringing.try_recv(), Err(mpsc::TryRecvError::Empty));
    harness.crash();

    let options = Options::new().workers(2).backend(backends[1].clone());
    harness.start_with(&job, options);
    harness.settle().expect("no fault");
    assert_eq!(ringing.try_recv(), Err(mpsc::TryRecvError::Empty));
    // Nothing comes in any more: only the clock can wake the stage.
    harness.clock().advance(Duration::from_millis(1));
    let patience = Duration::from_secs(60);
    let mut rings: Vec<_> = (0..20)
        .map(|_| ringing.recv_timeout(patience).expect("all timers ring"))
        .collect();
    rings.sort_unstable();
    assert_eq!(rings, (0..20).map(|name| (name, 0)).collect::<Vec<_>>());
    harness.finish().expect("no fault");
    assert_eq!(ringing.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_fold_with_a_time_to_live_begins_anew_when_it_is_over() {
    for backends in backends_in_turn(5) {
        a_fold_begins_anew_on(&backends);
    }
}

fn a_fold_begins_anew_on(backends: &[StateBackend]) {
    let mut harness = Harness::new();
    let input = harness.input::<char>();
    let (counts, largest) = (Collect::new(), Collect::new());
    let (names, counted, reduced) = (input.clone(), counts.clone(), largest.clone());
    let job = Job::new("of late", move |flow| {
        let names = flow.source("names", names.clone()).key_by(|_| ()).shared();
        let hour = Duration::from_secs(3_600);
        names
            .branch()
            .ttl(Ttl::on_write(hour))
            .at("counts")
            .fold(0_u64, |count, _| *count += 1)
            .at("counted")
            .sink(counted.clone());
        names
            .branch()
            .ttl(Ttl::on_create(hour))
            .at("largest")
            .reduce(|largest, next| *largest = next.max(*largest))
            .at("reduced")
            .sink(reduced.clone());
    });
    let minutes = |harness: &Harness, n: u64| harness.clock().advance(Duration::from_secs(60 * n));
    harness.start_with(&job, Options::new().backend(backends[0].clone()));
    let turns = [(0, 'a', 1), (40, 'c', 2), (40, 'b', 1), (60, 'a', 2)];
    for ((wait, name, worker_count), backend) in turns.into_iter().zip(&backends[1..]) {
        minutes(&harness, wait);
        input.push(name);
        harness.settle().expect("no fault");
        harness.crash();
        let options = Options::new().workers(worker_count);
        harness.start_with(&job, options.backend(backend.clone()));
    }
    harness.finish().expect("no fault");
    let counts: Vec<_> = counts.take().into_iter().map(|c| c.value).collect();
    assert_eq!(counts, [1, 2, 3, 1]);
    assert_eq!(largest.take(), ['a', 'c', 'b', 'a']);
}

#[test]
fn a_checkpoint_with_states_of_other_names_is_refused_with_both_names() {
    let mut harness = Harness::new();
    let input = harness.input::<u64>();
    let job = |name: &'static str| {
        let input = input.clone();
        Job::new("named", move |flow| {
            flow.source("numbers", input.clone())
                .key_by(|n| *n)
                .process(value_state::<u64>(name), |ctx, sum, n| {
                    *sum.or_insert(0) += n;
                    ctx.emit(n);
                })
                .sink(Discard::new());
        })
    };
    harness.start(&job("sum"));
    input.push(1);
    harness.settle().expect("no fault");
    harness.stop().expect("no fault");
    harness.start(&job("total"));
    let error = harness.wait().expect_err("the states differ");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    for name in ["numbers.process", "sum", "total"] {
        assert!(error.to_string().contains(name), "{error}");
    }
}
