//! Deaths and failing acts at random: where is decided by a seed, counted in points passed.

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::gate::{Answer, Outcome, Trap};
use crate::history::in_parallel;
use crate::life::Plan;
use crate::matrix::{Place, Setting, backends_in_turn, policies_of};
use crate::parent::Ended;
use crate::world::World;

/// Random histories of each test, unless `FLOWDSL_CRASH_SEEDS` says another number.
const SEEDS: u64 = 10;

/// The lives of a history, before nobody disturbs it any more.
const LIVES: usize = 5;

/// About as many points as a run passes.
const PASSAGES: u64 = 700;

/// Numbers from a seed (xorshift).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// How a life is disturbed.
#[derive(Debug)]
enum Disturbance {
    /// It dies at this point.
    Death(u64),
    /// It is killed when its parent hears of this point, wherever it is then.
    Kill(u64),
    /// An act fails, and it dies so many points later.
    Failure(u64, u64),
    /// It is asked to stop, and dies so many points later if it has not stopped then.
    Stop(u64, u64),
}

impl Disturbance {
    fn cast(dice: &mut Dice) -> Self {
        let passages = 1 + dice.below(PASSAGES);
        match dice.below(8) {
            0..=2 => Self::Death(passages),
            3 | 4 => Self::Kill(passages),
            5 | 6 => Self::Failure(passages, 1 + dice.below(PASSAGES / 2)),
            _ => Self::Stop(passages, 1 + dice.below(PASSAGES / 10)),
        }
    }

    fn plan(&self) -> Plan {
        let traps = match self {
            Self::Death(passages) => vec![Trap::Passage(*passages)],
            Self::Kill(_) => Vec::new(),
            Self::Failure(passages, later) | Self::Stop(passages, later) => {
                vec![Trap::Passage(*passages), Trap::Passage(passages + later)]
            }
        };
        let killed_behind = match self {
            Self::Kill(passages) => Some(*passages),
            Self::Death(_) | Self::Failure(..) | Self::Stop(..) => None,
        };
        Plan {
            traps,
            killed_behind,
        }
    }

    fn answer(&self, trap: &Trap) -> Answer {
        match (self, trap) {
            (Self::Failure(passages, _), Trap::Passage(n)) if n == passages => Answer::Fail,
            (Self::Stop(passages, _), Trap::Passage(n)) if n == passages => Answer::Stop,
            _ => Answer::Kill,
        }
    }
}

#[derive(Debug)]
struct Random {
    setting: Setting,
    seed: u64,
}

impl Random {
    /// Plays it until the job is done; says how many lives were killed.
    fn play(&self) -> usize {
        let mut dice = Dice(self.seed);
        let mut world = match dice.below(2) {
            0 => World::new(self.setting),
            _ => World::on_disk(self.setting),
        };
        let mut killed = 0;
        for _ in 0..LIVES {
            let disturbance = Disturbance::cast(&mut dice);
            match world.live(disturbance.plan(), |_, trap| disturbance.answer(trap)) {
                Ended::Killed => killed += 1,
                Ended::Alone(ending) => match &ending.outcome {
                    Outcome::Finished | Outcome::AlreadyFinished => {
                        world.check_end(&ending);
                        return killed;
                    }
                    Outcome::Stopped => {}
                    Outcome::Failed { kind, message } => {
                        assert_eq!(kind, "unavailable", "{message}; {disturbance:?}");
                    }
                },
            }
        }
        world.finish();
        killed
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// `FLOWDSL_SEED` repeats a run; otherwise each one is another.
fn first_seed() -> u64 {
    let other = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number("FLOWDSL_SEED").unwrap_or(other)
}

fn check(place: Place) {
    let (first, n_seeds) = (first_seed(), number("FLOWDSL_CRASH_SEEDS").unwrap_or(SEEDS));
    eprintln!("{place:?}: {n_seeds} seeds from FLOWDSL_SEED={first}");
    for backends in backends_in_turn() {
        let policies: Vec<Setting> = policies_of(place, backends).collect();
        let histories = (0..n_seeds).map(|n| Random {
            setting: policies[n as usize % policies.len()],
            // Never zero, from which the dice would not move.
            seed: first.wrapping_add(n).max(1),
        });
        let killed = AtomicUsize::new(0);
        in_parallel(histories.collect(), |random: &Random| {
            killed.fetch_add(random.play(), Ordering::Relaxed);
        });
        eprintln!("{place:?}, {backends:?}: {killed:?} lives were killed");
    }
}

#[test]
fn deaths_and_failures_at_random_lose_nothing_and_double_nothing() {
    check(Place::Directory);
}

#[cfg(feature = "object-store")]
#[test]
fn deaths_and_failures_at_random_with_an_object_store_lose_nothing_and_double_nothing() {
    check(Place::Bucket);
}
