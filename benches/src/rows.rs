//! A row of the table: one work, with so many workers and one interval of checkpoints.

use std::time::Duration;

use serde::Serialize;

use crate::round_trip::core_round_trip_ns;
use crate::turns::{RunOurs, Runs, System, rate, ratio, take_turns};
use crate::work::{Checksum, Work};

/// Intervals of the rows with checkpoints.
const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(100)];
/// How often a length that turned out too short is made longer.
const ATTEMPTS: usize = 4;

/// One row; what is serialised is what `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Name of the work.
    pub work: String,
    /// Number of workers of every system in the row.
    pub workers: usize,
    /// Interval between checkpoints, `None` where they are off.
    pub checkpoint_interval_ms: Option<u64>,
    /// Median rate of our runtime.
    pub records_per_s: Option<f64>,
    /// Our rate against hand-written timely, fused by hand.
    pub ratio_to_timely: Option<f64>,
    /// Our rate against the plain loop.
    pub ratio_to_loop: Option<f64>,
    /// Our rate against ours without checkpoints; `None` where they are off.
    pub ratio_to_no_checkpoint: Option<f64>,
    /// Mean of the round trips before and after the row.
    pub core_round_trip_ns: f64,
    /// Whether every run of every system reached the checksum.
    pub checksum_ok: bool,
    /// Rate of the plain loop.
    #[serde(skip)]
    pub loop_rate: f64,
    /// Rate of hand-written timely, fused by hand.
    #[serde(skip)]
    pub timely_rate: f64,
    /// Rate of hand-written timely with an operator a stage, where that differs.
    #[serde(skip)]
    pub stages_rate: Option<f64>,
    /// Records of each run.
    #[serde(skip)]
    pub records: u64,
    /// Fewest checkpoints that a run of ours completed.
    #[serde(skip)]
    pub checkpoints_completed: u64,
}

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Turns of rows without checkpoints.
    pub turns: usize,
    /// Turns of rows with checkpoints.
    pub long_turns: usize,
    /// Rows without checkpoints run the length of the work divided by this.
    pub divisor: u64,
    /// Rows with checkpoints go on for at least so long ..
    pub span: Duration,
    /// .. and for at least so many checkpoints.
    pub checkpoints: u64,
}

/// The row with checkpoints off.
pub(crate) fn row_without_checkpoints(
    effort: &Effort,
    ours: Option<RunOurs>,
    work: Work,
    workers: usize,
) -> Row {
    let records = work.records() / effort.divisor;
    let mut systems = vec![System::Loop, System::Timely];
    let ours_at = ours.map(|run| {
        systems.push(System::Ours(run, None));
        systems.len() - 1
    });
    // The other works are the same by hand, whether fused or not.
    let stages_at = matches!(work, Work::W0).then(|| {
        systems.push(System::TimelyStages);
        systems.len() - 1
    });

    let before = core_round_trip_ns();
    // Not counted: the first run pays for memory that the others find in place.
    take_turns(&systems, work, workers, records, 1);
    let runs = take_turns(&systems, work, workers, records, effort.turns);
    let after = core_round_trip_ns();

    let (loops, timely) = (&runs[0], &runs[1]);
    let (ours, stages) = (ours_at.map(|at| &runs[at]), stages_at.map(|at| &runs[at]));
    Row {
        work: work.to_string(),
        workers,
        checkpoint_interval_ms: None,
        records_per_s: ours.map(|ours| rate(ours)),
        ratio_to_timely: ours.map(|ours| ratio(ours, timely)),
        ratio_to_loop: ours.map(|ours| ratio(ours, loops)),
        ratio_to_no_checkpoint: None,
        core_round_trip_ns: f64::midpoint(before, after),
        checksum_ok: all_reach(expected(work, &loops[..]), &runs),
        loop_rate: rate(loops),
        timely_rate: rate(timely),
        stages_rate: stages.map(|stages| rate(stages)),
        records,
        checkpoints_completed: 0,
    }
}

/// The rows with checkpoints, all of one length, with ours without checkpoints between them.
pub(crate) fn rows_with_checkpoints(
    effort: &Effort,
    ours: RunOurs,
    work: Work,
    workers: usize,
) -> Vec<Row> {
    let without = System::Ours(ours, None);
    let mut systems = vec![System::Loop, System::Timely, without];
    systems.extend(INTERVALS.map(|interval| System::Ours(ours, Some(interval))));

    let mut records = long_enough(effort, without, work, workers);
    for attempt in 1.. {
        let before = core_round_trip_ns();
        let runs = take_turns(&systems, work, workers, records, effort.long_turns);
        let after = core_round_trip_ns();
        let missing = longer_by(effort, &runs[3..]);
        if missing <= 1.0 || attempt == ATTEMPTS {
            let round_trip = f64::midpoint(before, after);
            return (0..INTERVALS.len())
                .map(|at| row_of_interval(at, &runs, work, workers, records, round_trip))
                .collect();
        }
        records = (records as f64 * missing * 1.1) as u64;
    }
    unreachable!("the last attempt returns")
}

fn row_of_interval(
    at: usize,
    runs: &[Runs],
    work: Work,
    workers: usize,
    records: u64,
    core_round_trip_ns: f64,
) -> Row {
    let (loops, timely, without, ours) = (&runs[0], &runs[1], &runs[2], &runs[3 + at]);
    Row {
        work: work.to_string(),
        workers,
        checkpoint_interval_ms: u64::try_from(INTERVALS[at].as_millis()).ok(),
        records_per_s: Some(rate(ours)),
        ratio_to_timely: Some(ratio(ours, timely)),
        ratio_to_loop: Some(ratio(ours, loops)),
        ratio_to_no_checkpoint: Some(ratio(ours, without)),
        core_round_trip_ns,
        checksum_ok: all_reach(expected(work, loops), runs),
        loop_rate: rate(loops),
        timely_rate: rate(timely),
        stages_rate: None,
        records,
        checkpoints_completed: fewest_checkpoints(ours),
    }
}

/// A length that takes our runtime the span without checkpoints: with them it takes no less.
fn long_enough(effort: &Effort, without: System, work: Work, workers: usize) -> u64 {
    let first = take_turns(
        &[without],
        work,
        workers,
        work.records() / effort.divisor,
        1,
    );
    // A work is faster once its tables have grown, so the guess is made on a longer run.
    let quarter = (rate(&first[0]) * effort.span.as_secs_f64() / 4.0) as u64;
    let second = take_turns(&[without], work, workers, quarter, 1);
    (rate(&second[0]) * effort.span.as_secs_f64() * 1.1) as u64
}

/// By how much the runs fell short of the span or of the number of checkpoints; 1 if they did not.
fn longer_by(effort: &Effort, runs: &[Runs]) -> f64 {
    runs.iter().flatten().fold(1.0, |longest: f64, run| {
        let span = effort.span.as_secs_f64() / run.elapsed.as_secs_f64();
        let completed = run.checkpoints_completed.max(1);
        let checkpoints = effort.checkpoints as f64 / completed as f64;
        longest.max(span).max(checkpoints)
    })
}

fn fewest_checkpoints(runs: &[crate::work::Measured]) -> u64 {
    runs.iter()
        .map(|run| run.checkpoints_completed)
        .min()
        .unwrap_or(0)
}

/// The known checksum where there is one, else what the plain loop of the same length says.
fn expected(work: Work, loops: &[crate::work::Measured]) -> Checksum {
    if loops[0].records == work.records() {
        work.known_checksum()
    } else {
        loops[0].checksum
    }
}

fn all_reach(expected: Checksum, runs: &[Runs]) -> bool {
    runs.iter().flatten().all(|run| run.checksum == expected)
}
