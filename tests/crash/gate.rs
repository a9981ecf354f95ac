//! The gate in a child that every act on files and objects goes through, and what is said there.
//!
//! It counts what passes. Where it was told to, it says on standard output where the child stands, and
//! waits for the answer on standard input; nobody else passes meanwhile, so that the parent finds the
//! world as it is at this point, but for acts of other threads that were under way.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::{Mutex, PoisonError};

use flowdsl::JobHandle;
use serde::{Deserialize, Serialize};

use crate::life::Plan;

/// Where a child stands beside an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Side {
    /// Nothing of it is done.
    Before,
    /// A part of the bytes is written.
    Within,
    /// It is done, or has failed.
    After,
}

/// A side of a named act: `before` `publish`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) side: Side,
    pub(crate) act: String,
}

/// Where a child asks its parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Trap {
    /// When it passes a point for the n-th time; 1 is the first time.
    Point(Point, u64),
    /// When it has passed so many points of any kind.
    Passage(u64),
    /// When it has passed so many points of any kind since it has asked for the first time.
    Behind(u64),
    /// When acts have failed so many times in this life.
    Failure(u64),
}

/// What a child says to its parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It waits for an answer.
    Asks(Trap),
    /// It passes points, and waits for nobody.
    Passes,
    /// The job has ended, whether well or not.
    Ended(Ending),
}

/// How a job has ended in a child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) restored_from: Option<u64>,
    pub(crate) restarts: u64,
    pub(crate) checkpoints: u64,
    pub(crate) checkpoints_failed: u64,
    pub(crate) records: u64,
    /// How often it passed each point.
    pub(crate) passages: Vec<(Point, u64)>,
}

/// How well it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Finished,
    /// Nothing was left to do but to commit.
    AlreadyFinished,
    /// It was asked to.
    Stopped,
    Failed {
        kind: String,
        message: String,
    },
}

impl Ending {
    /// Kind and message of the error that ended the job.
    ///
    /// # Panics
    ///
    /// If it has ended well.
    pub(crate) fn failure(&self) -> (&str, &str) {
        match &self.outcome {
            Outcome::Failed { kind, message } => (kind, message),
            Outcome::Finished | Outcome::AlreadyFinished | Outcome::Stopped => {
                panic!("it could not get done, and says {:?}", self.outcome)
            }
        }
    }
}

/// What a parent answers; or it kills the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Kill,
    GoOn,
    /// The job is asked to stop, and goes on until it has.
    Stop,
    /// The act fails: without effect before it, and with its effect behind it.
    Fail,
}

/// What lines of this protocol begin with, among those of the test harness.
pub(crate) const SAYS: &str = "crash: ";
pub(crate) const GO_ON: &str = "go on";
pub(crate) const STOP: &str = "stop";
pub(crate) const FAIL: &str = "fail";

/// The gate of a child.
#[derive(Debug)]
pub(crate) struct Gate {
    watch: Mutex<Watch>,
    job: JobHandle,
}

#[derive(Debug)]
struct Watch {
    traps: Vec<Trap>,
    reports: bool,
    passed: BTreeMap<Point, u64>,
    passages: u64,
    /// How many points it had passed when it asked for the first time.
    asked_at: Option<u64>,
    failures: u64,
}

impl Gate {
    /// The gate of a job whose life goes by this plan.
    pub(crate) fn new(plan: &Plan, job: JobHandle) -> Self {
        Self {
            watch: Mutex::new(Watch {
                traps: plan.traps.clone(),
                reports: plan.killed_behind.is_some(),
                passed: BTreeMap::new(),
                passages: 0,
                asked_at: None,
                failures: 0,
            }),
            job,
        }
    }

    /// Passes a point, or waits there for an answer.
    pub(crate) fn pass(&self, side: Side, act: &str) -> io::Result<()> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let point = Point {
            side,
            act: act.to_owned(),
        };
        let times = watch.passed.entry(point.clone()).or_default();
        *times += 1;
        let times = *times;
        watch.passages += 1;
        let passages = watch.passages;
        if watch.reports {
            say(&Said::Passes);
        }
        let since = watch.asked_at.map(|at| passages - at);
        self.ask(&mut watch, |trap| match trap {
            Trap::Point(at, n) => *at == point && *n == times,
            Trap::Passage(n) => *n == passages,
            Trap::Behind(n) => Some(*n) == since,
            Trap::Failure(_) => false,
        })
    }

    /// Passes a point beside which nothing changes: it counts where the plan names its act, and else is none.
    pub(crate) fn look(&self, act: &str) -> io::Result<()> {
        let is_named = |trap: &Trap| matches!(trap, Trap::Point(point, _) if point.act == act);
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let is_named = watch.traps.iter().any(is_named);
        drop(watch);
        if is_named {
            self.pass(Side::Before, act)
        } else {
            Ok(())
        }
    }

    /// Notes that an act has failed.
    pub(crate) fn failed(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.failures += 1;
        let failures = watch.failures;
        // What is answered comes too late for the act.
        let _ = self.ask(
            &mut watch,
            |trap| matches!(trap, Trap::Failure(n) if *n == failures),
        );
    }

    /// How often each point was passed.
    pub(crate) fn passages(&self) -> Vec<(Point, u64)> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.passed.clone().into_iter().collect()
    }

    /// Asks the parent if one of the traps is here. The watch is held meanwhile: nobody else passes.
    fn ask(&self, watch: &mut Watch, is_here: impl Fn(&Trap) -> bool) -> io::Result<()> {
        let Some(trap) = watch.traps.iter().find(|trap| is_here(trap)) else {
            return Ok(());
        };
        say(&Said::Asks(trap.clone()));
        watch.asked_at.get_or_insert(watch.passages);
        match answer().as_str() {
            GO_ON => Ok(()),
            STOP => {
                self.job.stop();
                Ok(())
            }
            FAIL => Err(io::Error::other("the test lets it fail")),
            // The parent is gone, and nobody would ever kill this child.
            _ => std::process::abort(),
        }
    }
}

/// Says something to the parent.
pub(crate) fn say(said: &Said) {
    let said = serde_json::to_string(said).expect("what is said has a form in JSON");
    let mut out = io::stdout().lock();
    // A parent that is gone hears nothing; this child ends with the next question.
    let _ = writeln!(out, "{SAYS}{said}").and_then(|()| out.flush());
}

fn answer() -> String {
    let mut line = String::new();
    let _ = io::stdin().lock().read_line(&mut line);
    line.trim_end().to_owned()
}
