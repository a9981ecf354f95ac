//! What becomes of an operation: when it takes effect, when it is answered, and what happens meanwhile.

use std::time::Duration;

use crate::kernel::Kernel;
use crate::request::Act;
use crate::scenario::{Place, Scenario};

/// What becomes of an operation, decided when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// When it takes effect, if it ever does.
    pub(crate) effect: Option<Duration>,
    pub(crate) reply: Reply,
    /// On a disk: the operation of the file system that fails within.
    pub(crate) inner: Option<Inner>,
    /// The process dies at this time.
    pub(crate) death: Option<Duration>,
    /// The process falls asleep at this time, for so long.
    pub(crate) sleep: Option<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// So long behind the effect, and as it was.
    True(Duration),
    /// So long behind the effect, and an error all the same.
    Wrong(Duration),
    /// An error at this time, whatever comes of the effect.
    Error(Duration, &'static str),
}

/// A fault inside of an operation, at the n-th operation of the file system.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inner {
    FailAt(u64),
    FailAfter(u64),
    LosePowerAt(u64),
    DieAt(u64),
}

const ERROR: &str = "an injected error";
const TIME_OUT: &str = "timed out";

impl Fate {
    pub(crate) fn of(act: &Act, scenario: &Scenario, kernel: &mut Kernel) -> Self {
        let now = kernel.now();
        if scenario.is_calm(now) {
            return Self::calm(kernel);
        }
        let rng = &mut kernel.rng;
        let faults = scenario.faults;
        // What the log rests on deserves more trouble than the many reads.
        let weight = match act {
            Act::Create { .. } => 5,
            Act::Delete { .. } | Act::Commit { .. } => 2,
            // A state object, whose snapshot others follow while it is written.
            Act::Write { .. } => 4,
            _ => 1,
        };
        let fails = if matches!(act, Act::Write { .. }) {
            3
        } else {
            1
        };
        // Whoever has just looked at the log acts on what is old when it wakes.
        let drowsy = match act {
            Act::List { .. } => 5,
            _ => weight,
        };
        let is_local = scenario.place == Place::Disk && act.is_of_storage();
        let wait = if rng.per_mille(faults.slow * weight) {
            rng.millis(20, 400)
        } else {
            rng.millis(0, 6)
        };
        let effect = now + wait;
        let behind = rng.millis(0, 3);
        let mut fate = Self {
            effect: Some(effect),
            reply: Reply::True(behind),
            inner: None,
            death: None,
            sleep: None,
        };
        if rng.per_mille(faults.hang * weight) {
            let reply = now + rng.millis(100, 2_500);
            fate.reply = Reply::Error(reply, TIME_OUT);
            fate.effect = match rng.below(3) {
                0 => None,
                1 => Some(effect),
                // On a wire, the answer may be given up before the request arrives.
                _ if !is_local => Some(reply + rng.millis(1, 600)),
                _ => Some(effect),
            };
        } else if is_local {
            // Which operation of the file system it is; none, if there are fewer.
            let n = rng.between(1, 8);
            if rng.per_mille(faults.fail * fails) {
                fate.inner = Some(Inner::FailAt(n));
            } else if rng.per_mille(faults.ambiguous) {
                fate.inner = Some(Inner::FailAfter(n));
            }
        } else if rng.per_mille(faults.fail * fails) {
            fate.effect = None;
            fate.reply = Reply::Error(effect, ERROR);
        } else if rng.per_mille(faults.ambiguous * weight) {
            fate.reply = Reply::Wrong(behind);
        }
        if rng.per_mille(faults.death) {
            let inner = rng.between(1, 8);
            match rng.below(3) {
                0 if is_local && rng.per_mille(faults.power) => {
                    fate.inner = Some(Inner::LosePowerAt(inner));
                }
                0 if is_local => fate.inner = Some(Inner::DieAt(inner)),
                0 | 1 => fate.death = Some(effect.saturating_sub(Duration::from_nanos(1))),
                _ => fate.death = Some(effect + Duration::from_nanos(1)),
            }
        }
        if rng.per_mille(faults.sleep * drowsy) {
            let at = now + rng.millis(0, 8);
            fate.sleep = Some((at, rng.millis(100, 1_500)));
        }
        fate
    }

    fn calm(kernel: &mut Kernel) -> Self {
        let effect = kernel.now() + kernel.rng.millis(0, 2);
        Self {
            effect: Some(effect),
            reply: Reply::True(kernel.rng.millis(0, 1)),
            inner: None,
            death: None,
            sleep: None,
        }
    }
}
