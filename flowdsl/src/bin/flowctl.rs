//! `flowctl`: looks after the checkpoints of any job, without its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    flowdsl::cli::flowctl()
}
