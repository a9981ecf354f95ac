//! Coming back: from the start of a job to its first record, against a plain loop that reads the
//! same bytes and fills a hash map.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use flowdsl::prelude::*;
use flowdsl::{Environment, StateBackend};
use rustc_hash::FxHashMap;

use crate::job::{Sum, counts};
use crate::{budget, process};

pub(crate) fn heading() -> String {
    [
        "                      |  bytes  | first record behind | plain loop |       | cpu s             |",
        "    keys workers  MiB |    M    |          s          |     s      | ratio |  ours  plain loop |",
    ]
    .join("\n")
}

/// Measures and prints a row.
pub(crate) fn measure(keys: u64, workers: usize, turns: usize, backend: &StateBackend) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options::new()
        .workers(workers)
        .checkpoint_dir(dir.path())
        .backend(backend.clone())
        .without_checkpoints();
    fill(&options, keys);
    let (mut ours, mut plain, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_cpu, mut plain_cpu) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..turns {
        let begin = process::cpu();
        let first = come_back(&options);
        let middle = process::cpu();
        let (read, took) = plain_loop(dir.path(), keys);
        our_cpu.push(middle.saturating_sub(begin).as_secs_f64());
        plain_cpu.push(process::cpu().saturating_sub(middle).as_secs_f64());
        bytes = read;
        ours.push(first.as_secs_f64());
        plain.push(took.as_secs_f64());
        ratios.push(first.as_secs_f64() / took.as_secs_f64());
    }
    println!(
        "{:>6.1} M {workers:>7} {:>4} | {:>7.1} | {:>19.3} | {:>10.3} | {:>5.2} | {:>5.2} {:>11.2} |",
        keys as f64 / 1e6,
        budget(backend).unwrap_or(0) >> 20,
        bytes as f64 / 1e6,
        median(ours),
        median(plain),
        median(ratios),
        median(our_cpu),
        median(plain_cpu),
    );
}

/// Counts so many keys, and stops.
fn fill(options: &Options, keys: u64) {
    let environment = Environment::default();
    let (handle, metrics) = (environment.handle.clone(), environment.metrics.clone());
    let watch = thread::spawn(move || {
        while metrics.snapshot().records_in < keys {
            thread::sleep(Duration::from_millis(1));
        }
        handle.stop();
    });
    job(options, Sum::default())
        .run_in(options, &environment)
        .expect("the job runs until it is stopped");
    watch.join().expect("the watch does not panic");
}

/// From the start to the first record.
fn come_back(options: &Options) -> Duration {
    let environment = Environment::default();
    let (handle, sum) = (environment.handle.clone(), Sum::default());
    let seen = sum.clone();
    let watch = thread::spawn(move || {
        while seen.first().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        handle.crash();
    });
    let start = Instant::now();
    // It ends as a crash does: so that the next turn finds the same.
    let _ = job(options, sum.clone()).run_in(options, &environment);
    watch.join().expect("the watch does not panic");
    let first = sum.first().expect("the watch has seen it");
    first.duration_since(start)
}

fn job(options: &Options, sum: Sum) -> Job {
    // Scattered, and each number once.
    let key = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    counts(u64::MAX, options.worker_count, key, sum)
}

/// Reads the state objects and fills a hash map with as many pairs as there are keys.
fn plain_loop(dir: &Path, keys: u64) -> (u64, Duration) {
    let start = Instant::now();
    let mut counts = FxHashMap::<u64, u64>::default();
    let mut bytes = 0;
    for entry in fs::read_dir(dir.join("state")).expect("the job has left state") {
        let object = fs::read(entry.expect("an entry").path()).expect("an object that can be read");
        bytes += object.len() as u64;
        let (words, _) = object.as_chunks::<8>();
        let keys = keys as usize - counts.len();
        for (at, word) in words.iter().cycle().enumerate().take(keys) {
            // Words repeat where values are packed; the number makes keys of them.
            let word = u64::from_le_bytes(*word);
            let key = word ^ (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            counts.insert(key, word);
        }
    }
    black_box(&counts);
    (bytes, start.elapsed())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
