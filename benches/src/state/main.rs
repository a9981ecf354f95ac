//! What checkpoints cost while a job runs, and what it costs to come back.
//!
//! The work is W1 of the comparison with peers, a running count per key, with as many keys as asked
//! for. Runs with different intervals stand beside each other in turn, since the machine changes by
//! the minute; a wrong checksum makes the exit code 1.

mod job;
mod recovery;
mod running;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Measures checkpoints of a running count per key.
#[derive(Parser)]
struct Arguments {
    /// Numbers of keys.
    #[arg(long, value_delimiter = ',', default_values = ["1000000", "10000000"])]
    keys: Vec<u64>,
    /// Numbers of workers.
    #[arg(long, value_delimiter = ',', default_values = ["1", "2"])]
    workers: Vec<usize>,
    /// Intervals between checkpoints in milliseconds, each compared with none at all.
    #[arg(long, value_delimiter = ',', default_values = ["10000", "1000", "100"])]
    intervals: Vec<u64>,
    /// How long a run without checkpoints takes, in seconds; two of the longest interval at least.
    #[arg(long, default_value_t = 12)]
    span: u64,
    /// Turns of each interval.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Numbers of keys to come back to.
    #[arg(long, value_delimiter = ',', default_values = ["10000000", "62500000"])]
    restored: Vec<u64>,
    /// Leave out the running rows.
    #[arg(long)]
    only_recovery: bool,
    /// Leave out the rows of recovery.
    #[arg(long)]
    only_running: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut all_ok = true;
    if !arguments.only_recovery {
        println!("{}", running::heading());
        for keys in &arguments.keys {
            for workers in &arguments.workers {
                let longest = arguments.intervals.iter().max().copied().unwrap_or(0);
                let plan = running::Plan {
                    keys: *keys,
                    workers: *workers,
                    intervals: &arguments.intervals,
                    span: Duration::from_secs(arguments.span)
                        .max(Duration::from_millis(longest * 2)),
                    turns: arguments.turns,
                };
                all_ok &= running::measure(&plan);
            }
        }
    }
    if !arguments.only_running {
        println!("{}", recovery::heading());
        for keys in &arguments.restored {
            for workers in &arguments.workers {
                recovery::measure(*keys, *workers, arguments.turns);
            }
        }
    }
    if all_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
