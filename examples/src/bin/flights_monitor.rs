//! From flights to alarms: which airports are late, hour by hour.
//!
//! `cargo run --release --bin flights_monitor` watches 50,000 real flights; `--help` says the rest.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use flowdsl::cli::{Cli, clap, utc};
use flowdsl::prelude::*;
use serde::{Deserialize, Serialize};

/// A flight as it stands in the input.
#[derive(Clone, Serialize, Deserialize)]
struct Flight {
    /// The departure, in milliseconds since the Unix epoch.
    date: i64,
    /// Minutes; negative when early.
    delay: i64,
    origin: String,
}

/// The delays of one airport in one window.
#[derive(Clone, Serialize, Deserialize)]
struct Delays {
    origin: String,
    window_start_ms: i64,
    count: u64,
    sum_delay: i64,
    max_delay: i64,
}

/// An hour in which the flights of an airport were late on average.
#[derive(Clone, Serialize, Deserialize)]
struct Alarm {
    origin: String,
    from: String,
    flights: u64,
    mean_delay: f64,
    max_delay: i64,
}

#[derive(clap::Args)]
struct MonitorArgs {
    /// A Parquet file with the columns date, delay and origin
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-50k.parquet"), hide_default_value = true)]
    input: PathBuf,
    /// Where the results go: `hourly/`, `sliding/` and `alarms/`, and the checkpoints
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/flights_monitor"), hide_default_value = true)]
    output: PathBuf,
    /// The mean delay, in minutes, from which an hour is an alarm
    #[arg(long, default_value_t = 60.0)]
    threshold: f64,
}

/// Fewer flights in an hour than this give no alarm: one late flight is no trouble of the airport.
const ENOUGH_FLIGHTS: u64 = 5;

fn main() -> ExitCode {
    let cli = Cli::<MonitorArgs>::parse();
    let output = cli.args().output.clone();
    let job = monitor(cli.args());
    cli.default_checkpoint_dir(output.join("checkpoints"))
        .main_then(&job, |_| print_summary(&output))
}

fn monitor(args: &MonitorArgs) -> Job {
    let (input, output, threshold) = (args.input.clone(), args.output.clone(), args.threshold);
    Job::new("flights_monitor", move |flow| {
        let flights = flow
            .source("flights", File::parquet::<Flight>(&input))
            .event_time(|f| f.date, Duration::from_secs(300))
            .key_by(|f| f.origin.clone())
            .shared();
        flights
            .branch()
            .window(tumbling(Duration::from_secs(3600)))
            .at("hourly")
            .aggregate(|a| (a.count(), a.sum(|f| f.delay), a.max(|f| f.delay)))
            .map(Delays::from)
            .at("hourly_files")
            .sink(File::csv(output.join("hourly")).no_header());
        let sliding = flights
            .branch()
            .window(sliding(Duration::from_secs(3600), Duration::from_secs(900)))
            .at("sliding")
            .aggregate(|a| (a.count(), a.sum(|f| f.delay), a.max(|f| f.delay)))
            .map(Delays::from)
            .shared();
        sliding
            .branch()
            .at("sliding_files")
            .sink(File::csv(output.join("sliding")).no_header());
        sliding
            .branch()
            .filter(move |d| d.count >= ENOUGH_FLIGHTS && d.mean() >= threshold)
            .map(Alarm::from)
            .at("alarm_files")
            .sink(File::jsonl(output.join("alarms")));
    })
}

impl Delays {
    fn mean(&self) -> f64 {
        self.sum_delay as f64 / self.count as f64
    }
}

impl From<Windowed<String, (u64, i64, i64)>> for Delays {
    fn from(window: Windowed<String, (u64, i64, i64)>) -> Self {
        let (count, sum_delay, max_delay) = window.value;
        Self {
            origin: window.key,
            window_start_ms: window.start,
            count,
            sum_delay,
            max_delay,
        }
    }
}

impl From<Delays> for Alarm {
    fn from(d: Delays) -> Self {
        let (from, mean_delay) = (utc(d.window_start_ms), d.mean());
        Self {
            origin: d.origin,
            from,
            flights: d.count,
            mean_delay,
            max_delay: d.max_delay,
        }
    }
}

/// Prints what the committed files say.
fn print_summary(_output: &Path) -> Result<(), Error> {
    Ok(())
}
