//! The memory of a process whose state is larger than its memory. The only test of its binary, since what it
//! looks at is that of the whole process.

use std::fs;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl_tests::backends::rocksdb;

const MIB: u64 = 1 << 20;
const BUDGET: u64 = 8 * MIB;
/// Bytes of each value.
const VALUE: u64 = 1_000;
const STATE: u64 = 96 * MIB;
/// In memory, the state would take more than `STATE`.
const MOST: u64 = 8 * BUDGET;

/// The most memory of this process that was ever resident, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .expect("a line of numbers");
    peak.parse::<u64>().expect("a number of KiB") * 1_024
}

/// Caches, write buffers, snapshots on their way: none of them may grow with the state. How long texts are was
/// known only when the first was evicted; by then the cache took ten budgets, and was evicted all at once.
#[test]
fn state_twelve_times_the_memory_budget_takes_no_more_memory_than_a_few_budgets() {
    let Some(backend) = rocksdb(BUDGET as usize) else {
        return;
    };
    let before = peak();
    let keys = STATE / VALUE;
    let lengths = Collect::new();
    let seen = lengths.clone();
    let job = Job::new("texts", move |flow| {
        // Each key once, and then half of them again, in another order.
        let key = move |i| if i < keys { i } else { i * 7_919 % keys };
        flow.source("keys", Generator::new(keys * 3 / 2, key))
            .key_by(|key| *key)
            .fold(String::new(), |text, _| {
                if text.is_empty() {
                    *text = "x".repeat(VALUE as usize);
                } else {
                    text.push('y');
                }
            })
            .filter(|text| text.value.len() as u64 == VALUE + 1)
            .map(|text| text.key)
            .sink(lengths.clone());
    });
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options::new()
        .workers(1)
        .checkpoint_dir(dir.path())
        .checkpoint_interval(Duration::from_millis(500))
        .backend(backend);
    let report = job.run(options).expect("the job runs");
    let grown = peak() - before;
    println!(
        "{} MiB of state, {} checkpoints: {} MiB of memory",
        STATE / MIB,
        report.metrics.checkpoints,
        grown / MIB
    );
    // All came back with what they had.
    assert_eq!(seen.take().len() as u64, keys / 2);
    // Some of it is what the allocator keeps for each thread, and files on their way to the storage.
    assert!(grown < MOST, "{} MiB", grown / MIB);
}
