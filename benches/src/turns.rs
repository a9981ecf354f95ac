//! Systems that do the same work in turn: A B A B, in one process.
//!
//! The machines under these figures change by the minute, so only runs that stand beside each
//! other are compared: a ratio is the median of the ratios of each turn.

use std::time::Duration;

use crate::work::{Measured, Work};
use crate::{by_hand, plain};

/// Runs a work on our own runtime: with so many workers, a checkpoint at each interval, or none,
/// and so many records.
pub(crate) type RunOurs = fn(Work, usize, Option<Duration>, u64) -> Measured;

/// A system that can do the works.
#[derive(Clone, Copy)]
pub(crate) enum System {
    /// The plain loop.
    Loop,
    /// Hand-written timely, fused by hand where that is possible.
    Timely,
    /// Hand-written timely with an operator a stage, of W0 only.
    TimelyStages,
    /// Our own runtime.
    Ours(RunOurs, Option<Duration>),
}

impl System {
    fn run(self, work: Work, workers: usize, records: u64) -> Measured {
        match (self, work) {
            (Self::Loop, _) => plain::run(work, workers, records),
            (Self::TimelyStages, _) => by_hand::run_stages(workers, records),
            (Self::Timely, _) => by_hand::run(work, workers, records),
            (Self::Ours(run, interval), _) => run(work, workers, interval, records),
        }
    }
}

/// The runs of one system, a run a turn.
pub(crate) type Runs = Vec<Measured>;

/// Runs each system once a turn, in the order given; the answer has that order.
pub(crate) fn take_turns(
    systems: &[System],
    work: Work,
    workers: usize,
    records: u64,
    turns: usize,
) -> Vec<Runs> {
    let mut runs = vec![Runs::new(); systems.len()];
    for _ in 0..turns {
        for (system, runs) in systems.iter().zip(&mut runs) {
            runs.push(system.run(work, workers, records));
        }
    }
    runs
}

/// Median rate of the runs, in records per second.
pub(crate) fn rate(runs: &[Measured]) -> f64 {
    median(runs.iter().map(Measured::rate).collect())
}

/// Median over the turns of the rate of one system against that of another.
pub(crate) fn ratio(runs: &[Measured], to: &[Measured]) -> f64 {
    median(
        runs.iter()
            .zip(to)
            .map(|(run, to)| run.rate() / to.rate())
            .collect(),
    )
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
    f64::midpoint(low, high)
}
