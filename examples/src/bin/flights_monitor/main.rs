//! From flights to alarms: which airports are late, hour by hour.
//!
//! `cargo run --release --bin flights_monitor` watches 50,000 real flights; `-- run --help` says
//! how to watch others.

mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use flowdsl::cli::{Cli, clap, utc};
use flowdsl::prelude::*;
use serde::{Deserialize, Serialize};

/// 50,000 real flights of January 2001.
const EXTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-50k.parquet");

#[derive(clap::Args)]
struct MonitorArgs {
    /// A Parquet file with the columns date, delay and origin
    #[arg(long, value_name = "FILE", default_value = EXTRACT)]
    input: PathBuf,
    /// Where hourly/, sliding/, alarms/ and, unless told otherwise, checkpoints/ are written
    #[arg(long, value_name = "DIR", default_value = "target/flights_monitor")]
    output: PathBuf,
    /// The mean delay from which an hour is an alarm
    #[arg(long, value_name = "MINUTES", default_value_t = 60.0)]
    threshold: f64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Flight {
    /// The departure, in milliseconds since the Unix epoch.
    date: i64,
    /// In minutes; negative when early.
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

/// An hour in which the flights from an airport were late on average.
#[derive(Clone, Serialize, Deserialize)]
struct Alarm {
    origin: String,
    from: String,
    flights: u64,
    mean_delay: f64,
    max_delay: i64,
}

/// Fewer flights in an hour are no alarm: one late flight is not the airport's trouble.
const ENOUGH_FLIGHTS: u64 = 5;

fn main() -> ExitCode {
    let cli = Cli::<MonitorArgs>::parse();
    let (job, output) = (monitor(cli.args()), cli.args().output.clone());
    cli.default_checkpoint_dir(output.join("checkpoints"))
        .main_then(&job, |_| summary::print(&output))
}

fn monitor(args: &MonitorArgs) -> Job {
    let (input, output, threshold) = (args.input.clone(), args.output.clone(), args.threshold);
    flow! { <Flight => Alarm>
        capture input, output, threshold;

        let flights = source(File::parquet(input))
            -> event_time(|f| f.date, lateness: 5 min)
            -> key_by(|f| f.origin.clone());

        flights
            -> window(tumbling(1 h))
            -> aggregate((count(), sum(|f| f.delay), max(|f| f.delay))) as hourly
            -> map(Delays::from)
            -> sink(File::csv(output.join("hourly")).no_header()) as hourly_files;

        let delays = flights
            -> window(sliding(1 h, every: 15 min))
            -> aggregate((count(), sum(|f| f.delay), max(|f| f.delay))) as sliding
            -> map(Delays::from);

        delays -> sink(File::csv(output.join("sliding")).no_header()) as sliding_files;

        delays
            -> filter(|d| d.count >= ENOUGH_FLIGHTS && d.mean() >= threshold)
            -> map(Alarm::from)
            -> sink(File::jsonl(output.join("alarms"))) as alarm_files;
    }
}

impl Delays {
    fn mean(&self) -> f64 {
        self.sum_delay as f64 / self.count as f64
    }
}

impl From<Windowed<String, (u64, i64, i64)>> for Delays {
    fn from(w: Windowed<String, (u64, i64, i64)>) -> Self {
        let (count, sum_delay, max_delay) = w.value;
        Self {
            origin: w.key,
            window_start_ms: w.start,
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
