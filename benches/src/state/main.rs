//! What checkpoints cost while a job runs, and what it costs to come back.
//!
//! The work is W1 of the comparison with peers, a running count per key, with as many keys as asked
//! for. Runs with different intervals stand beside each other in turn, since the machine changes by
//! the minute; a wrong checksum makes the exit code 1.

mod backends;
mod bounded;
mod job;
mod process;
mod recovery;
mod running;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use flowdsl::{RocksDbSettings, StateBackend};

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
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["running", "recovery"])]
    rows: Vec<Rows>,
    /// Where state is. In RocksDB, running rows stand beside state in memory.
    #[arg(long, value_enum, default_value_t = BackendName::Memory)]
    backend: BackendName,
    /// The memory that state in RocksDB may take, in MiB: a row for each.
    #[arg(long, value_name = "MIB", value_delimiter = ',', default_values = ["256"])]
    state_memory: Vec<usize>,
    /// How much state a process of bounded memory holds, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1_024)]
    state: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// What a running job gives, and what its checkpoints cost.
    Running,
    /// What it takes to come back.
    Recovery,
    /// What memory a job takes whose state is larger than its budget.
    Bounded,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendName {
    Memory,
    Rocksdb,
}

impl Arguments {
    /// The backends to measure, one a budget.
    fn backends(&self) -> Vec<StateBackend> {
        let budgets = self.state_memory.iter();
        match self.backend {
            BackendName::Memory => vec![StateBackend::Memory],
            BackendName::Rocksdb => budgets.map(|mib| in_rocksdb(mib << 20)).collect(),
        }
    }
}

fn in_rocksdb(memory_budget: usize) -> StateBackend {
    StateBackend::RocksDb(RocksDbSettings {
        memory_budget,
        work_dir: None,
    })
}

/// Bytes that a backend may take, where there is a limit.
fn budget(backend: &StateBackend) -> Option<usize> {
    match backend {
        StateBackend::Memory => None,
        StateBackend::RocksDb(settings) => Some(settings.memory_budget),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let backends = arguments.backends();
    if !backends.iter().all(StateBackend::is_available) {
        eprintln!("state in RocksDB needs `--features rocksdb`");
        return ExitCode::FAILURE;
    }
    let mut all_ok = true;
    for rows in &arguments.rows {
        all_ok &= match (rows, arguments.backend) {
            (Rows::Running, BackendName::Memory) => running_rows(&arguments),
            (Rows::Running, BackendName::Rocksdb) => rows_of_backends(&arguments, &backends),
            (Rows::Recovery, _) => rows_of_recovery(&arguments, &backends),
            (Rows::Bounded, _) => {
                println!("{}", bounded::heading());
                let each = backends.iter();
                each.fold(true, |ok, backend| {
                    ok & bounded::measure(arguments.state, backend)
                })
            }
        };
    }
    if all_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn running_rows(arguments: &Arguments) -> bool {
    println!("{}", running::heading());
    let mut all_ok = true;
    for keys in &arguments.keys {
        for workers in &arguments.workers {
            let longest = arguments.intervals.iter().max().copied().unwrap_or(0);
            let plan = running::Plan {
                keys: *keys,
                workers: *workers,
                intervals: &arguments.intervals,
                span: Duration::from_secs(arguments.span).max(Duration::from_millis(longest * 2)),
                turns: arguments.turns,
            };
            all_ok &= running::measure(&plan);
        }
    }
    all_ok
}

fn rows_of_backends(arguments: &Arguments, backends: &[StateBackend]) -> bool {
    println!("{}", backends::heading());
    let mut all_ok = true;
    for keys in &arguments.keys {
        for workers in &arguments.workers {
            for backend in backends {
                let plan = backends::Plan {
                    keys: *keys,
                    workers: *workers,
                    backend,
                    intervals: &arguments.intervals,
                    turns: arguments.turns,
                };
                all_ok &= backends::measure(&plan);
            }
        }
    }
    all_ok
}

fn rows_of_recovery(arguments: &Arguments, backends: &[StateBackend]) -> bool {
    println!("{}", recovery::heading());
    for keys in &arguments.restored {
        for workers in &arguments.workers {
            for backend in backends {
                recovery::measure(*keys, *workers, arguments.turns, backend);
            }
        }
    }
    true
}
