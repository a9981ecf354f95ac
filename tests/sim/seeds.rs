//! Seeds: many of them on all cores, or one with its trace.

use std::collections::BTreeMap;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::fiber::drop_spares;
use crate::world::World;

/// Seeds in a test run, unless the environment says otherwise.
const SEEDS: u64 = 10_000;
/// Lines of a trace that are printed.
const LINES: usize = 120;
/// Failed seeds that are named.
const FAILURES: usize = 40;

/// Runs a seed; what went wrong, if anything did.
fn run(seed: u64, traced: bool) -> (Option<String>, World) {
    let mut world = World::new(seed, traced);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let wrong = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(panic) => Some(format!("panicked: {}", text_of(&*panic))),
    };
    (wrong, world)
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

/// What a failed seed leaves: why, the last steps, and how to see it again.
fn story(seed: u64) -> Option<String> {
    let (wrong, mut world) = run(seed, true);
    world.end_all();
    drop_spares();
    let wrong = wrong?;
    let trace = world.kernel.trace.as_deref().unwrap_or_default();
    let lines = number("FLOWDSL_SIM_TRACE").map_or(LINES, |lines| lines as usize);
    let first = trace.len().saturating_sub(lines);
    Some(format!(
        "{}\n\nseed {seed}: {wrong}\nrepeat with: FLOWDSL_SEED={seed} cargo test -p flowdsl-tests --test sim",
        trace[first..].join("\n")
    ))
}

/// Runs one seed, which must not fail.
#[track_caller]
pub(crate) fn check(seed: u64) {
    if let Some(story) = story(seed) {
        panic!("{story}");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

#[test]
fn whatever_goes_wrong_every_record_is_in_the_output_once() {
    if let Some(seed) = number("FLOWDSL_SEED") {
        return check(seed);
    }
    let seeds = number("FLOWDSL_SIM_SEEDS").unwrap_or(SEEDS);
    let (failed, reached) = run_all(seeds);
    let Some((&first, _)) = failed.first_key_value() else {
        // Otherwise the simulation has fallen asleep: it must not pass because nothing happens in it.
        let missed = REACHED.iter().filter(|what| !reached.contains_key(**what));
        let missed: Vec<_> = missed.collect();
        assert!(
            seeds < SEEDS || missed.is_empty(),
            "no seed has seen {missed:?}"
        );
        eprintln!("{seeds} seeds: {reached:#?}");
        return;
    };
    let list: Vec<String> = failed
        .iter()
        .take(FAILURES)
        .map(|(seed, why)| format!("seed {seed}: {why}"))
        .collect();
    let story = story(first).unwrap_or_else(|| {
        format!("seed {first} failed, and then did not: the simulation is not repeatable")
    });
    panic!(
        "{} of {seeds} seeds fail:\n{}\n\n{story}",
        failed.len(),
        list.join("\n")
    );
}

/// What some seeds must have seen.
const REACHED: [&str; 34] = [
    "a savepoint",
    "a savepoint that is wanted",
    "a checkpoint that was restored from elsewhere, or from before",
    "a checkpoint that was left behind",
    "a checkpoint",
    "a checkpoint that failed",
    "a checkpoint that was given up",
    "a publication that failed",
    "a publication that was fenced",
    "a manifest in a hole of the log",
    "a claim in a hole of the log",
    "a state object",
    "an increment",
    "a compaction",
    "a compaction that failed",
    "increments that were compacted",
    "a full snapshot that was compacted",
    "a deletion of what was compacted",
    "a snapshot in several objects",
    "an increment behind an image that was not stored",
    "a deletion",
    "an effect when nobody waits for it any more",
    "a death",
    "a power loss",
    "a process that sleeps",
    "a run that was fenced",
    "a restart",
    "a restart of a run that was overtaken",
    "a failed checkpoint that a newer run explains",
    "a restore",
    "a restore with another number of workers",
    "a damaged file",
    "a mended file",
    "output that was taken back",
];

/// The seeds that failed, with the reasons, and how often this and that has happened.
type Outcomes = (BTreeMap<u64, String>, BTreeMap<&'static str, u64>);

/// Runs the seeds below a number on all cores.
fn run_all(seeds: u64) -> Outcomes {
    let next = AtomicU64::new(0);
    let outcomes = Mutex::new(Outcomes::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                drop_spares();
                return;
            }
            let (wrong, world) = run(seed, false);
            let mut outcomes = outcomes.lock().expect("nobody panics with it");
            for (what, times) in &world.kernel.reached {
                *outcomes.1.entry(what).or_default() += times;
            }
            if let Some(why) = wrong {
                outcomes.0.insert(seed, why);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    outcomes.into_inner().expect("nobody panics with it")
}
