//! Our runtime against hand-written timely and against a plain loop, doing the same work in one
//! run.
//!
//! Every figure stands beside what the machine could do in the same minute. A wrong checksum makes
//! the exit code 1: a fast wrong answer is no figure.

mod by_hand;
mod ours;
mod plain;
mod round_trip;
mod rows;
mod table;
mod turns;
mod windows;
mod work;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::rows::{Effort, Row, row_without_checkpoints, rows_with_checkpoints};
use crate::turns::RunOurs;
use crate::work::Work;

/// Our own runtime; without it, the peers are measured alone.
const OURS: Option<RunOurs> = Some(ours::run);

const FULL: Effort = Effort {
    turns: 5,
    long_turns: 1,
    divisor: 1,
    span: Duration::from_secs(12),
    checkpoints: 10,
};

const QUICK: Effort = Effort {
    turns: 1,
    long_turns: 1,
    divisor: 10,
    span: Duration::from_secs(2),
    checkpoints: 1,
};

/// Compares flowdsl with hand-written timely and with a plain loop.
#[derive(Parser)]
struct Arguments {
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// A tenth of the records and one turn: says that all is well, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// The works to run.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["W0", "W1", "W2"])]
    work: Vec<Work>,
    /// The numbers of workers to run with.
    #[arg(long, value_delimiter = ',', default_values = ["1", "2"])]
    workers: Vec<usize>,
    /// Turns of each system; rows with checkpoints take a turn for each three.
    #[arg(long)]
    turns: Option<usize>,
    /// Leave out the rows with checkpoints.
    #[arg(long)]
    no_checkpoints: bool,
}

impl Arguments {
    fn effort(&self) -> Effort {
        let effort = if self.quick { QUICK } else { FULL };
        self.turns.map_or(effort, |turns| Effort {
            turns: turns.max(1),
            long_turns: turns.div_ceil(3).max(1),
            ..effort
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let effort = arguments.effort();
    if !arguments.json {
        println!("{}", table::heading());
    }
    let mut all_ok = true;
    let mut report = |row: &Row| {
        all_ok &= row.checksum_ok;
        println!(
            "{}",
            if arguments.json {
                table::json(row)
            } else {
                table::line(row)
            }
        );
    };
    for work in &arguments.work {
        for workers in &arguments.workers {
            report(&row_without_checkpoints(&effort, OURS, *work, *workers));
            if let (Some(ours), false) = (OURS, arguments.no_checkpoints) {
                rows_with_checkpoints(&effort, ours, *work, *workers)
                    .iter()
                    .for_each(&mut report);
            }
        }
    }
    if all_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
