//! The advice against a job that is simulated, event by event, through thousands of failures.

use super::*;
use crate::protocol::seed::fraction;

/// A job that works, takes a checkpoint of this cost at the end of each interval, fails and restarts.
struct Job {
    cost: f64,
    interval: f64,
    restart: f64,
}

/// What a job has done.
#[derive(Default)]
struct Done {
    useful: f64,
    time: f64,
}

impl Done {
    fn share(&self) -> f64 {
        self.useful / self.time
    }
}

impl Job {
    /// Lives until each of the failures, of which there are so many seconds between two.
    fn live(&self, lives: &[f64]) -> Done {
        let mut done = Done::default();
        for life in lives {
            // A failure during the restart has it begin again.
            let working = (life - self.restart).max(0.0);
            let complete = (working / self.interval).floor();
            done.useful += complete * (self.interval - self.cost);
            done.time += life;
        }
        done
    }

    /// The same, one event after the other.
    fn live_step_by_step(&self, lives: &[f64]) -> Done {
        #[derive(Clone, Copy)]
        enum Doing {
            Restarting,
            Working,
            TakingCheckpoint,
        }
        let mut done = Done::default();
        for life in lives {
            let (mut left, mut doing) = (*life, Doing::Restarting);
            loop {
                let takes = match doing {
                    Doing::Restarting => self.restart,
                    Doing::Working => self.interval - self.cost,
                    Doing::TakingCheckpoint => self.cost,
                };
                if left < takes {
                    break;
                }
                left -= takes;
                doing = match doing {
                    Doing::Restarting => Doing::Working,
                    Doing::Working => Doing::TakingCheckpoint,
                    Doing::TakingCheckpoint => {
                        done.useful += self.interval - self.cost;
                        Doing::Working
                    }
                };
            }
            done.time += life;
        }
        done
    }
}

const SEED: u64 = 0x5eed_0014;

/// Times between failures, with an exponential distribution of this mean.
fn lives(count: u64, mean: f64) -> Vec<f64> {
    let time = |n| -(1.0 - fraction(SEED + n)).ln() * mean;
    (0..count).map(time).collect()
}

#[test]
fn the_simulation_in_whole_lives_is_that_in_single_events() {
    let job = Job {
        cost: 0.7,
        interval: 9.3,
        restart: 2.1,
    };
    let lives = lives(2_000, 100.0);
    let (whole, stepwise) = (job.live(&lives), job.live_step_by_step(&lives));
    let off = (whole.share() / stepwise.share() - 1.0).abs();
    assert!(off < 1e-3, "seed {SEED}: {off}");
}

/// Of 20 jobs, the same failures happen at each interval, so that what differs is the interval.
#[test]
fn the_advised_interval_is_within_a_hundredth_of_the_best_found_by_search() {
    const COSTS: [f64; 5] = [0.001, 0.026, 0.5, 5.0, 60.0];
    const BETWEEN_FAILURES: [f64; 4] = [60.0, 3_600.0, 86_400.0, 30.0 * 86_400.0];
    for between in BETWEEN_FAILURES {
        let lives = lives(40_000, between);
        for cost in COSTS {
            let advised = optimal_interval(cost, 1.0 / between);
            let restart = advised / 10.0;
            let share = |interval| {
                let job = Job {
                    cost,
                    interval,
                    restart,
                };
                job.live(&lives).share()
            };
            let found = share(advised);
            // From a tenth of it to ten times as long, in steps of a tenth.
            let candidates = (-24..=24).map(|step| advised * 1.1_f64.powi(step));
            let best = candidates
                .filter(|interval| *interval > cost)
                .map(share)
                .fold(found, f64::max);
            let told = useful_share(advised, cost, 1.0 / between, restart);
            let what = format!(
                "seed {SEED}, cost {cost}, one failure in {between}: at {advised} a share of {found} is work, at \
                 best {best}, and {told} was told"
            );
            assert!(best - found <= 0.01 * best, "{what}");
            assert!((told - found).abs() <= 0.03 * found, "{what}");
            // Where almost all time is work anyway, that says little of the interval: what is lost does.
            assert!(1.0 - found <= 1.02 * (1.0 - best), "{what}");
        }
    }
}
