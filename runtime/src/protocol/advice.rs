//! How often a job should take checkpoints, from what they cost and how often it fails.
//!
//! A job that takes a checkpoint each `T`, which costs it `C` of processing, does `T − C` of work in
//! that time. If failures come at random with the rate `λ`, a span of `T` is done behind `(e^{λT} − 1)/λ`
//! on average, with all that is lost and done again. The share of time that is work,
//! `λ(T − C)/(e^{λT} − 1)`, is greatest at
//!
//! `T* = [1 + λC + W₀(−e^{−(1 + λC)})]/λ`
//!
//! with the principal branch of Lambert's W function. That is exact for failures with an exponential
//! distribution, also during checkpoints. To the first order it is `√(2C/λ)` (J. W. Young, *A first order
//! approximation to the optimum checkpoint interval*, CACM 17(9), 1974); the model, and the time for a
//! restart, which does not move the optimum, are of J. T. Daly (*A higher order estimate of the optimum
//! checkpoint interval for restart dumps*, FGCS 22(3), 2006). Where both set a derivative to zero, and
//! expand, W solves the equation as it is.
//!
//! `C` is not how long a checkpoint takes. Almost all of that happens beside the workers.

mod objectives;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use serde::Serialize;

pub use self::objectives::{Bound, Limit, Objectives};
use crate::protocol::Observed;
use crate::protocol::cost::micros;

/// What is known of a job's checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AdviceFacts {
    /// The completed checkpoints that were measured.
    pub measured: u64,
    /// What one costs, in the mean: how long it keeps the busiest worker from records.
    #[serde(rename = "cost_us", with = "micros")]
    pub cost: Duration,
    /// How long one takes, in the mean, from the trigger to its manifest.
    #[serde(rename = "took_us", with = "micros")]
    pub took: Duration,
    /// How long a run takes to go on from a checkpoint, at the longest that was seen.
    #[serde(rename = "restore_us", with = "micros")]
    pub restore: Duration,
    /// Bytes that one writes, in the mean.
    pub new_bytes: u64,
    /// Bytes that the newest one holds.
    pub total_bytes: u64,
    /// How many are kept.
    pub retained: u64,
    /// The present interval, if checkpoints are taken by time.
    #[serde(rename = "interval_us", with = "micros::option")]
    pub interval: Option<Duration>,
    /// How often the job failed.
    pub observed: Observed,
}

/// How often to take checkpoints, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The advised time between two triggers.
    #[serde(rename = "interval_us", with = "micros")]
    pub interval: Duration,
    /// What decides on it.
    pub bound: Bound,
    /// At which least time is lost, whatever else is wanted.
    #[serde(rename = "optimum_us", with = "micros")]
    pub optimum: Duration,
    /// The longest intervals that the objectives allow.
    pub limits: Vec<Limit>,
    /// The objectives that no interval meets.
    pub unmet: Vec<Bound>,
    /// The mean time between two failures that was reckoned with.
    #[serde(rename = "between_failures_us", with = "micros")]
    pub between_failures: Duration,
    /// What is lost at the advised interval.
    pub advised: Losses,
    /// What is lost at the present interval, if checkpoints are taken by time.
    pub present: Option<Losses>,
    /// What it was reckoned from.
    pub facts: AdviceFacts,
}

/// The shares of time that are lost at an interval, of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Losses {
    /// The interval.
    #[serde(rename = "interval_us", with = "micros")]
    pub interval: Duration,
    /// Lost to checkpoints.
    pub checkpoints: f64,
    /// Lost to failures: what is done again, and the restarts.
    pub failures: f64,
}

/// What is supposed of a job of which nothing is known: half a failure in a day of running.
///
/// The rate of failures has a Gamma distribution, of which these are shape and rate; so many failures in
/// so much time make it one with the sums, and its mean is what is reckoned with. The shape ½ is what
/// Jeffreys' rule gives: it weighs as little as can be. With a day, a job that is new is taken for one that
/// fails every other day; one that ran for a month without a failure, for one that fails every other month.
const SUPPOSED_FAILURES: f64 = 0.5;
const SUPPOSED_SECONDS: f64 = 24.0 * 3_600.0;

/// The rate of failures to reckon with, a second.
pub fn failure_rate(observed: &Observed) -> f64 {
    let failures = SUPPOSED_FAILURES + observed.failures as f64;
    failures / (SUPPOSED_SECONDS + observed.running.as_secs_f64())
}

/// How often to take checkpoints.
pub fn advise(facts: &AdviceFacts, objectives: &Objectives) -> Advice {
    let rate = failure_rate(&facts.observed);
    let optimum = seconds(optimal_interval(facts.cost.as_secs_f64(), rate));
    let limits = objectives.limits(facts);
    let chosen = objectives::choose(optimum, facts, &limits);
    let losses = |interval| losses_at(interval, facts, rate);
    Advice {
        interval: chosen.interval,
        bound: chosen.bound,
        optimum,
        limits,
        unmet: chosen.unmet,
        between_failures: seconds(1.0 / rate),
        advised: losses(chosen.interval),
        present: facts.interval.map(losses),
        facts: *facts,
    }
}

/// The interval, trigger to trigger, at which the greatest share of time is work, in the unit of the
/// cost of a checkpoint, for failures at this rate.
pub fn optimal_interval(cost: f64, rate: f64) -> f64 {
    let scaled = rate * cost;
    (scaled + one_and_w0(scaled)) / rate
}

/// The share of time that is work at an interval, where a restart takes so long.
pub fn useful_share(interval: f64, cost: f64, rate: f64, restart: f64) -> f64 {
    if interval <= cost {
        return 0.0;
    }
    let again = (rate * interval).exp_m1() * (rate * restart).exp();
    (interval - cost) * rate / again
}

fn losses_at(interval: Duration, facts: &AdviceFacts, rate: f64) -> Losses {
    let (cost, restart) = (facts.cost.as_secs_f64(), facts.restore.as_secs_f64());
    let useful = useful_share(interval.as_secs_f64(), cost, rate, restart);
    let checkpoints = (cost / interval.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
    Losses {
        interval,
        checkpoints,
        failures: (1.0 - checkpoints - useful).max(0.0),
    }
}

/// `1 + W₀(−e^{−(1 + x)})` for `x ≥ 0`: from 0 at the branch point, `x = 0`, to 1.
///
/// Near the branch point the definition loses all digits, as W has a root there: the series in
/// `√(2(1 − e^{−x}))` (Corless et al., *On the Lambert W function*, 1996) does not. Elsewhere Halley's
/// iteration begins with it.
fn one_and_w0(x: f64) -> f64 {
    let p = (-2.0 * (-x).exp_m1()).sqrt();
    if p < BY_SERIES {
        return series(p);
    }
    let z = -(-1.0 - x).exp();
    let mut root = if p < 1.0 { series(p) - 1.0 } else { z };
    for _ in 0..MOST_STEPS {
        let power = root.exp();
        let off = root * power - z;
        let slope = power * (root + 1.0);
        let step = off / (slope - (root + 2.0) * off / (2.0 * root + 2.0));
        root -= step;
        if step.abs() <= f64::EPSILON * root.abs() {
            break;
        }
    }
    1.0 + root
}

/// Below, nine terms of the series are right to 12 digits and more; above, Halley's iteration is.
const BY_SERIES: f64 = 0.05;
/// Five are enough: each has three times the digits of the one before.
const MOST_STEPS: u32 = 20;

/// `1 + W₀` at `p` from the branch point.
fn series(p: f64) -> f64 {
    const TERMS: [f64; 9] = [
        1.0,
        -1.0 / 3.0,
        11.0 / 72.0,
        -43.0 / 540.0,
        769.0 / 17_280.0,
        -221.0 / 8_505.0,
        680_863.0 / 43_545_600.0,
        -1_963.0 / 204_120.0,
        226_287_557.0 / 37_623_398_400.0,
    ];
    TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * p)
}

/// Seconds as a duration; what is too long for one is the longest.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
