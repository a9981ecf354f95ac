//! What a user may set about checkpoints, and which settings do not go together.

use std::time::Duration;

/// When checkpoints are taken, and what is done about failing ones.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointSettings {
    /// Time between two triggers; `None` takes one at the end only. Default 10 s.
    pub interval: Option<Duration>,
    /// Time between two triggers while a source reports a backlog. Default: as always.
    pub during_backlog: DuringBacklog,
    /// A checkpoint that takes longer is given up; a publication that takes longer ends the run.
    /// Default 10 min.
    pub timeout: Duration,
    /// How many checkpoints may be under way at a time. Default 1.
    pub max_concurrent: usize,
    /// The least time between the end of a checkpoint and the next trigger. Default 0.
    pub min_pause: Duration,
    /// How many checkpoints may fail in a row before the run ends. Default 3.
    pub tolerable_failures: u32,
    /// How many completed checkpoints are kept. Default 3, at least 1.
    pub retained: usize,
    /// What becomes of the checkpoints when all input has been read. Default: they are kept.
    pub on_success: AtEnd,
    /// What becomes of the checkpoints when the job is asked to stop. Default: they are kept.
    pub on_cancel: AtEnd,
    /// How long a failing commit is retried before the run ends, and how long one may hang. Default 1 min.
    pub commit_timeout: Duration,
    /// What a checkpoint promises. Default: exactly once.
    pub mode: CheckpointMode,
    /// How long behind a restore the first checkpoint may take to complete, before the job counts
    /// as unhealthy. `None`, the default, is the interval and the timeout together.
    pub first_within: Option<Duration>,
    /// Of how many checkpoints, and of how many runs, the history is kept: what they cost, and how they
    /// ended. 0 keeps none. Default 100.
    pub history: usize,
}

/// How often checkpoints are taken while a source reports a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuringBacklog {
    /// As often as always.
    #[default]
    Same,
    /// None, until no source has a backlog any more.
    Off,
    /// At this interval, which is no shorter than the usual one.
    Every(Duration),
}

/// What a checkpoint promises of the records around its barrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Each record has its effect once: operators hold records of later epochs back until the
    /// barrier has passed on all inputs.
    #[default]
    ExactlyOnce,
    /// No record is lost, and some have their effect twice behind a restart: operators hold nothing
    /// back, so that a slow input delays no other. Transactional sinks commit with each checkpoint
    /// as always, but what they commit may hold effects of records that are read again.
    AtLeastOnce,
}

/// What becomes of a job's checkpoints at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// They are kept: a later run goes on from them.
    #[default]
    Keep,
    /// They are deleted, savepoints excepted. A later run begins anew, and refuses to where
    /// committed output of this one is in the way.
    Delete,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(10)),
            during_backlog: DuringBacklog::default(),
            timeout: Duration::from_secs(600),
            max_concurrent: 1,
            min_pause: Duration::ZERO,
            tolerable_failures: 3,
            retained: 3,
            on_success: AtEnd::default(),
            on_cancel: AtEnd::default(),
            commit_timeout: Duration::from_secs(60),
            mode: CheckpointMode::default(),
            first_within: None,
            history: 100,
        }
    }
}

impl CheckpointSettings {
    /// The window in which the first checkpoint behind a restore has to complete; `None` if no
    /// checkpoint is taken by time.
    pub fn first_window(&self) -> Option<Duration> {
        let interval = match (self.interval, self.during_backlog) {
            (Some(interval), DuringBacklog::Every(longer)) => interval.max(longer),
            (Some(interval), DuringBacklog::Same | DuringBacklog::Off) => interval,
            (None, _) => return None,
        };
        Some(
            self.first_within
                .unwrap_or(interval.saturating_add(self.timeout)),
        )
    }

    /// Says everything that is wrong, and why.
    pub(super) fn wrong(&self, wrong: &mut Vec<String>) {
        let mut check = |holds: bool, text: &str| {
            if !holds {
                wrong.push(text.to_owned());
            }
        };
        check(
            self.interval.is_none_or(|i| !i.is_zero()),
            "the checkpoint interval is zero: the shortest useful one is some milliseconds",
        );
        check(
            !self.timeout.is_zero(),
            "the checkpoint timeout is zero: every checkpoint would be given up",
        );
        check(
            self.retained >= 1,
            "no checkpoint is retained: keep at least 1, or a crash loses the job",
        );
        check(
            self.max_concurrent >= 1,
            "`max_concurrent` is zero: no checkpoint could begin",
        );
        check(
            self.min_pause.is_zero() || self.max_concurrent <= 1,
            "`min_pause` and `max_concurrent` exclude each other: with a pause between the end of a checkpoint and the \
             next trigger there is never more than one under way",
        );
        check(
            self.first_within.is_none_or(|window| !window.is_zero()),
            "`first_within` is zero: every restored job would count as unhealthy",
        );
        match self.during_backlog {
            DuringBacklog::Same => {}
            DuringBacklog::Off => check(
                self.interval.is_some(),
                "`during_backlog` is set, but no checkpoint is taken by time anyway: set an interval",
            ),
            DuringBacklog::Every(longer) => check(
                self.interval.is_some_and(|interval| longer >= interval),
                "the checkpoint interval during a backlog is shorter than the usual one: it is there to spend less on \
                 checkpoints while a job catches up",
            ),
        }
    }
}
