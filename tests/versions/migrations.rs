//! Functions of the user's that make new state of old, and what is refused.

use std::time::Duration;

use flowdsl::testing::{Harness, Input};
use flowdsl::{ErrorKind, StateBackend, prelude::*};
use flowdsl_tests::backends::backends_in_turn;

const KEYS: u64 = 300;
const DIRS: [&str; 3] = ["out/sums", "out/kept", "out/notes"];
const HOUR: Duration = Duration::from_secs(3_600);

/// Counts, and each third record of a key, as numbers.
fn first(input: &Input<u64>) -> Job {
    let input = input.clone();
    Job::new("migrated", move |flow| {
        let numbers = flow.source("numbers", input.clone()).shared();
        numbers
            .branch()
            .key_by(|n| n % KEYS)
            .at("sums")
            .fold(0_u64, |sum, n| *sum += n)
            .map(|sum| (sum.key, sum.value))
            .at("sums_out")
            .sink(File::csv(DIRS[0]).no_header());
        numbers
            .branch()
            .key_by(|n| n % KEYS)
            .ttl(Ttl::on_write(HOUR))
            .at("kept")
            .fold(0_u64, |sum, n| *sum += n)
            .map(|sum| (sum.key, sum.value))
            .at("kept_out")
            .sink(File::csv(DIRS[1]).no_header());
        numbers
            .branch()
            .key_by(|n| n % KEYS)
            .at("notes")
            .process(
                (
                    value_state::<u64>("seen"),
                    list_state::<u64>("all").ttl(Ttl::on_write(HOUR)),
                    map_state::<bool, u64>("by"),
                ),
                |ctx, (seen, all, by), n| {
                    *seen.or_insert(0) += 1;
                    all.push(n);
                    *by.or_insert_with(&(n % 2 == 0), || 0) += n;
                    let sum: u64 = all.iter().sum();
                    ctx.emit((*ctx.key(), *seen.or_insert(0), sum, by.iter().count()));
                },
            )
            .at("notes_out")
            .sink(File::csv(DIRS[2]).no_header());
    })
}

/// The same with numbers that have become texts, whose meaning is the same.
fn second(input: &Input<u64>) -> Job {
    let input = input.clone();
    let number = |text: &str| -> u64 { text.trim_start_matches('n').parse().expect("a number") };
    Job::new("migrated", move |flow| {
        let numbers = flow.source("numbers", input.clone()).shared();
        numbers
            .branch()
            .key_by(|n| text(n % KEYS))
            .at("sums")
            .fold(text(0), move |sum, n| *sum = text(number(sum) + n))
            .map(move |sum| (number(&sum.key), number(&sum.value)))
            .at("sums_out")
            .sink(File::csv(DIRS[0]).no_header());
        numbers
            .branch()
            .key_by(|n| n % KEYS)
            .ttl(Ttl::on_write(HOUR))
            .at("kept")
            .fold(text(0), move |sum, n| *sum = text(number(sum) + n))
            .map(move |sum| (sum.key, number(&sum.value)))
            .at("kept_out")
            .sink(File::csv(DIRS[1]).no_header());
        numbers
            .branch()
            .key_by(|n| (n % KEYS, 'x'))
            .at("notes")
            .process(
                (
                    list_state::<String>("all").ttl(Ttl::on_write(HOUR)),
                    map_state::<bool, String>("by"),
                    value_state::<String>("seen"),
                ),
                move |ctx, (all, by, seen), n| {
                    let count = number(seen.or_insert_with(|| text(0))) + 1;
                    seen.set(text(count));
                    all.push(text(n));
                    let sum = by.or_insert_with(&(n % 2 == 0), || text(0));
                    *sum = text(number(sum) + n);
                    let sum: u64 = all.iter().map(|n| number(n)).sum();
                    ctx.emit((ctx.key().0, count, sum, by.iter().count()));
                },
            )
            .at("notes_out")
            .sink(File::csv(DIRS[2]).no_header());
    })
}

fn text(n: u64) -> String {
    format!("n{n}")
}

fn migrated(job: Job) -> Job {
    job.migrate("sums", Migration::entry(|key, sum| (text(key), text(sum))))
        .migrate("kept", Migration::value(text))
        .migrate("notes", Migration::key(|key: u64| (key, 'x')))
        .migrate("notes", Migration::state("seen", text))
        .migrate("notes", Migration::state("all", text))
        .migrate("notes", Migration::state("by", text))
}

/// The lines in each directory, by a plain loop over all records.
fn expected() -> [Vec<String>; 3] {
    let mut lines = [const { Vec::new() }; 3];
    for (at, n) in numbers().enumerate() {
        let of_key: Vec<u64> = numbers()
            .take(at + 1)
            .filter(|m| m % KEYS == n % KEYS)
            .collect();
        let (key, sum) = (n % KEYS, of_key.iter().sum::<u64>());
        let mut parities: Vec<bool> = of_key.iter().map(|n| n % 2 == 0).collect();
        parities.sort_unstable();
        parities.dedup();
        lines[0].push(format!("{key},{sum}"));
        lines[1].push(format!("{key},{sum}"));
        lines[2].push(format!("{key},{},{sum},{}", of_key.len(), parities.len()));
    }
    for lines in &mut lines {
        lines.sort();
    }
    lines
}

fn numbers() -> impl Iterator<Item = u64> + Clone {
    0..2 * KEYS
}

fn on(backend: &StateBackend, workers: usize) -> Options {
    Options::new().workers(workers).backend(backend.clone())
}

#[test]
fn migrations_of_values_states_keys_and_both_go_on_where_the_old_types_ended() {
    for backends in backends_in_turn(3) {
        let mut harness = Harness::new();
        let input = harness.input();
        harness.start_with(&first(&input), on(&backends[0], 3));
        input.push_all(numbers().take(KEYS as usize));
        harness.settle().expect("a checkpoint");
        harness.stop().expect("it stops");

        // Without its migrations it is refused, and nothing is lost by that.
        harness.start_with(&second(&input), on(&backends[1], 2));
        let error = harness.wait().expect_err("other types");
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        let lines: Vec<&str> = error.message().lines().collect();
        let integer = "an integer may become a wider one; anything else needs a `Migration`";
        assert_eq!(lines.len(), 9, "{error}");
        assert_eq!(
            lines[1],
            format!("  `sums`, key was u64 and is String: {integer}")
        );
        assert_eq!(
            lines[2],
            format!("  `sums`, value was u64 and is String: {integer}")
        );
        assert_eq!(
            lines[3],
            format!("  `kept`, state `value` was u64 and is String: {integer}")
        );
        assert_eq!(
            lines[4],
            "  `notes`, key was u64 and is (u64, char): write a `Migration`"
        );

        harness.start_with(&migrated(second(&input)), on(&backends[1], 2));
        input.push_all(numbers().skip(KEYS as usize).take(KEYS as usize / 2));
        harness.settle().expect("a checkpoint");
        harness.crash();
        // Now they have nothing to do.
        harness.start_with(&migrated(second(&input)), on(&backends[2], 1));
        input.push_all(numbers().skip(KEYS as usize * 3 / 2));
        harness.finish().expect("it finishes");
        for (dir, expected) in DIRS.iter().zip(expected()) {
            assert_eq!(harness.lines(dir), expected, "{dir} on {backends:?}");
        }
    }
}

/// The sink read what the stage of that name had kept, and said that it was damaged.
#[test]
fn a_stage_that_has_become_a_sink_starts_empty_once_its_state_may_be_dropped() {
    for backends in backends_in_turn(2) {
        let mut harness = Harness::new();
        let input = harness.input::<u64>();
        let source = input.clone();
        harness.start_with(&first(&input), on(&backends[0], 2));
        input.push_all(0..5);
        harness.settle().expect("a checkpoint");
        harness.stop().expect("it stops");
        let job = Job::new("migrated", move |flow| {
            flow.source("numbers", source.clone())
                .at("sums")
                .sink(File::csv("out/numbers").no_header());
        });
        let dropped = ["sums_out", "kept", "kept_out", "notes", "notes_out"];
        let mut options = on(&backends[1], 2);
        for stage in dropped {
            options = options.allow_dropped(stage);
        }
        harness.start_with(&job, options.clone());
        let error = harness.wait().expect_err("state would be lost");
        let lines: Vec<&str> = error.message().lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert_eq!(
            lines[1],
            "  `sums` was a keyed stage and is an exactly-once sink"
        );
        harness.start_with(&job, options.allow_dropped("sums"));
        input.push_all(5..7);
        harness.finish().expect("it is dropped");
        assert_eq!(harness.lines("out/numbers"), ["5", "6"]);
    }
}

#[test]
fn two_keys_that_would_become_one_are_refused_with_both_names() {
    for backends in backends_in_turn(2) {
        let mut harness = Harness::new();
        let input = harness.input::<u64>();
        let source = input.clone();
        let job = move |half: u64| {
            let source = source.clone();
            Job::new("halved", move |flow| {
                let keyed = flow.source("numbers", source.clone());
                if half == 1 {
                    let keyed = keyed.key_by(|n| *n).at("counts");
                    let counted = keyed.fold(0_u64, |count, _| *count += 1);
                    let count = counted.map(|count| (count.key, count.value));
                    count
                        .at("counts_out")
                        .sink(File::csv("out/counts").no_header());
                } else {
                    let keyed = keyed.key_by(|n| (n / 2).to_string()).at("counts");
                    let counted = keyed.fold(0_u64, |count, _| *count += 1);
                    let count = counted.map(|count| (count.key, count.value));
                    count
                        .at("counts_out")
                        .sink(File::csv("out/counts").no_header());
                }
            })
        };
        harness.start_with(&job(1), on(&backends[0], 2));
        input.push_all([4, 7, 1_000, 1_001, 3]);
        harness.settle().expect("a checkpoint");
        harness.stop().expect("it stops");
        let halved = job(2).migrate("counts", Migration::key(|n: u64| (n / 2).to_string()));
        harness.start_with(&halved, on(&backends[1], 3));
        let error = harness.wait().expect_err("1000 and 1001 are one");
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        assert_eq!(
            error.to_string(),
            "stage `counts`: its migration makes the key \"500\" of 1000 and of 1001, and what is kept of one of them \
             would be lost: let it make two keys of two"
        );
        harness.start_with(&job(1), on(&backends[0], 1));
        input.push_all([1_000]);
        harness.finish().expect("the old version goes on");
        let counts = ["1000,1", "1000,2", "1001,1", "3,1", "4,1", "7,1"];
        assert_eq!(harness.lines("out/counts"), counts);
    }
}

/// The panic told nothing of where it was.
#[test]
fn a_migration_that_panics_fails_the_run_with_its_stage_and_changes_nothing() {
    for backends in backends_in_turn(2) {
        let mut harness = Harness::new();
        let input = harness.input::<u64>();
        let (first, second) = (input.clone(), input.clone());
        let numbers = Job::new("counts", move |flow| {
            let keyed = flow.source("numbers", first.clone()).key_by(|n| *n);
            let counted = keyed.at("counts").fold(0_u64, |count, _| *count += 1);
            let count = counted.map(|count| (count.key, count.value));
            count.at("out").sink(File::csv("out").no_header());
        });
        let texts = Job::new("counts", move |flow| {
            let keyed = flow.source("numbers", second.clone()).key_by(|n| *n);
            let counted = keyed.at("counts").fold(text(0), |count, _| count.push('!'));
            let count = counted.map(|count| (count.key, count.value));
            count.at("out").sink(File::csv("out").no_header());
        });
        harness.start_with(&numbers, on(&backends[0], 2));
        input.push_all([4, 7, 4]);
        harness.settle().expect("a checkpoint");
        harness.stop().expect("it stops");
        let migration = Migration::value(|count: u64| {
            assert_ne!(count, 2, "no two");
            text(count)
        });
        harness.start_with(&texts.migrate("counts", migration), on(&backends[1], 2));
        let error = harness.wait().expect_err("it panics");
        assert_eq!(error.kind(), ErrorKind::Panicked);
        let message = error.to_string();
        assert!(
            message.starts_with("stage `counts`: panicked: ") && message.contains("no two"),
            "{message}"
        );
        harness.start_with(&numbers, on(&backends[0], 1));
        input.push_all([4]);
        harness.finish().expect("the old version goes on");
        assert_eq!(harness.lines("out"), ["4,1", "4,2", "4,3", "7,1"]);
    }
}
