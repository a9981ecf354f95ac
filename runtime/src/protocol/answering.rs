//! What an operator owes the coordinator at each barrier, and when its sink commits.
//!
//! | what has happened | what follows |
//! |---|---|
//! | the snapshot of the oldest unanswered epoch is stored | its answer: `Durable` |
//! | it could not be stored | its answer: the stage's own part `Failed`, the sink's `Durable` |
//! | the epoch was given up before | its answer at once: as if it could not be stored |
//! | a snapshot comes behind its answer | nothing; what the sink has prepared is pending all the same |
//! | a permit, and output up to its epoch is pending | a commit of that, one commit at a time |
//! | a permit, and no such output | the report that all is committed, once |
//! | a commit failed | the next one after a pause, which doubles with each failure |
//! | commits have failed for longer than the time-out | the job ends, and the output stays pending |
//! | nothing more was committed by a commit for as long | the job ends: what hangs may never return |
//!
//! An operator answers for each epoch once, in order. Output that was staged for an epoch without a
//! checkpoint is in the answers that follow, until its commit has succeeded.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{CommitPermit, is_timed_out};

/// The longest pause between two commits that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who answers in an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Participants {
    /// A stage with a snapshot of its own.
    Stage,
    /// An exactly-once sink.
    Sink,
    /// A stage, and a sink fused behind it.
    StageAndSink,
}

/// What a run sets for its operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweringSettings {
    /// The first epoch of the run.
    pub first_epoch: Epoch,
    /// How long commits may fail, and how long one may take to commit the next of what it was given.
    pub commit_timeout: Duration,
    /// The pause behind the first commit that fails.
    pub first_pause: Duration,
}

/// What the coordinator has decided, as far as an answer depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Checkpoints up to this epoch were given up, unless they are complete.
    pub aborted: Epoch,
    /// The newest permit to commit.
    pub permit: Option<CommitPermit>,
}

/// What one operator owes, and the output of its sink that is not known to be committed; `C` is a
/// committable.
#[derive(Debug)]
pub struct Answering<C> {
    participants: Participants,
    /// Epochs whose barrier has passed and whose answer has not been given.
    unanswered: VecDeque<Epoch>,
    output: Output<C>,
    commits: Commits,
}

/// Output that is staged and not reported as committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<C> {
    /// With the epochs that they belong to.
    pub committables: Vec<(Epoch, C)>,
    /// What goes on in the next epoch.
    pub unfinished: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Commits {
    /// When the commit that is under way began, or last got on.
    under_way: Option<Duration>,
    /// All output up to this epoch was reported as committed.
    reported: Epoch,
    retry: Option<Retry>,
    timeout: Duration,
    first_pause: Duration,
}

/// Commits that fail: since when, and when to try again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    since: Duration,
    next: Duration,
    pause: Duration,
}

/// A snapshot on its way to the storage has ended, well or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOutcome<C> {
    /// The epoch that it closes.
    pub epoch: Epoch,
    /// Why the stage's own part could not be stored, if so.
    pub failure: Option<String>,
    /// What the sink has prepared, if there is one.
    pub prepared: Option<(Vec<C>, Option<Vec<u8>>)>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweringEffect<C> {
    /// Send the answer, and then let go of its epoch.
    Answer(Answer<C>),
    /// Commit this, in order, up to the first that fails.
    Commit(Vec<(Epoch, C)>, CommitPermit),
    /// Report that all output up to the epoch is committed.
    ReportCommitted(Epoch),
    /// Ask again at this time.
    AskAt(Duration),
}

/// The answer of an operator for an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<C> {
    /// The epoch.
    pub epoch: Epoch,
    /// That of the stage, if it has a snapshot of its own: stored, or why not.
    pub stage: Option<Result<(), String>>,
    /// That of the sink, if there is one: what it holds, or why there is no answer.
    pub sink: Option<Result<Output<C>, String>>,
}

impl<C: Clone + PartialEq> Answering<C> {
    /// An operator that owes nothing yet.
    pub fn new(participants: Participants, settings: AnsweringSettings) -> Self {
        Self {
            participants,
            unanswered: VecDeque::new(),
            output: Output {
                committables: Vec::new(),
                unfinished: None,
            },
            commits: Commits {
                under_way: None,
                reported: Epoch(settings.first_epoch.0.saturating_sub(1)),
                retry: None,
                timeout: settings.commit_timeout,
                first_pause: settings.first_pause,
            },
        }
    }

    /// The barrier of an epoch has passed: an answer is owed.
    pub fn owe(&mut self, epoch: Epoch) {
        self.unanswered.push_back(epoch);
    }

    /// A snapshot has ended.
    pub fn took_snapshot(&mut self, outcome: SnapshotOutcome<C>) -> Option<AnsweringEffect<C>> {
        let SnapshotOutcome {
            epoch,
            failure,
            prepared,
        } = outcome;
        if let Some((committables, unfinished)) = prepared {
            let committables = committables.into_iter().map(|c| (epoch, c));
            self.output.committables.extend(committables);
            self.output.unfinished = unfinished;
        }
        (self.unanswered.front() == Some(&epoch)).then(|| self.answer(epoch, failure))
    }

    /// The commit that is under way has committed one more, at this time: it does not hang.
    pub fn commit_got_on(&mut self, at: Duration) {
        let since = &mut self.commits.under_way;
        *since = since.map(|since| since.max(at));
    }

    /// Some commits have succeeded, and maybe one has failed.
    ///
    /// # Errors
    ///
    /// `Unavailable` if commits have failed for too long.
    pub fn committed(
        &mut self,
        done: &[(Epoch, C)],
        result: Result<()>,
        now: Duration,
    ) -> Result<Option<AnsweringEffect<C>>> {
        let commits = &mut self.commits;
        commits.under_way = None;
        self.output
            .committables
            .retain(|pending| !done.contains(pending));
        let Err(error) = result else {
            commits.retry = None;
            return Ok(None);
        };
        let before = commits.retry;
        let pause = before.map_or(commits.first_pause, |retry| retry.pause);
        let since = before.map_or(now, |retry| retry.since);
        let next = now + pause;
        commits.retry = Some(Retry {
            since,
            next,
            pause: (pause * 2).min(LONGEST_PAUSE),
        });
        let failing = now.saturating_sub(since);
        if failing > commits.timeout {
            return Err(Error::unavailable(format!(
                "output could not be committed for {failing:?}: {error}"
            )));
        }
        Ok(Some(AnsweringEffect::AskAt(next)))
    }

    /// What is to be done now, by what the coordinator has decided.
    ///
    /// # Errors
    ///
    /// `Unavailable` if a commit hangs.
    pub fn poll(&mut self, now: Duration, decided: &Decided) -> Result<Vec<AnsweringEffect<C>>> {
        let mut effects = Vec::new();
        while let Some(epoch) = self.unanswered.front().copied()
            && epoch <= decided.aborted
        {
            let why = "the coordinator gave this checkpoint up".to_owned();
            effects.push(self.answer(epoch, Some(why)));
        }
        if let Some(permit) = decided.permit
            && self.participants != Participants::Stage
        {
            self.commit(now, permit, &mut effects)?;
        }
        Ok(effects)
    }

    /// Answers for every participant.
    fn answer(&mut self, epoch: Epoch, failure: Option<String>) -> AnsweringEffect<C> {
        self.unanswered.pop_front();
        let output = || self.output.clone();
        let (stage, sink) = match self.participants {
            Participants::Stage => (Some(failure.map_or(Ok(()), Err)), None),
            // Only the own stage can fail: what is staged for this epoch is in a later answer.
            Participants::StageAndSink => (Some(failure.map_or(Ok(()), Err)), Some(Ok(output()))),
            Participants::Sink => (None, Some(failure.map_or_else(|| Ok(output()), Err))),
        };
        AnsweringEffect::Answer(Answer { epoch, stage, sink })
    }

    fn commit(
        &mut self,
        now: Duration,
        permit: CommitPermit,
        effects: &mut Vec<AnsweringEffect<C>>,
    ) -> Result<()> {
        let commits = &mut self.commits;
        if let Some(since) = commits.under_way {
            if is_timed_out(now, since, commits.timeout) {
                return Err(hangs(now.saturating_sub(since)));
            }
            effects.push(AnsweringEffect::AskAt(commits.given_up_at(since)));
            return Ok(());
        }
        let pending = self.output.committables.iter();
        let due = pending.filter(|(epoch, _)| *epoch <= permit.epoch());
        let due: Vec<(Epoch, C)> = due.cloned().collect();
        if due.is_empty() {
            if commits.reported < permit.epoch() {
                commits.reported = permit.epoch();
                effects.push(AnsweringEffect::ReportCommitted(permit.epoch()));
            }
        } else if let Some(retry) = commits.retry.filter(|retry| now < retry.next) {
            effects.push(AnsweringEffect::AskAt(retry.next));
        } else {
            commits.under_way = Some(now);
            effects.push(AnsweringEffect::Commit(due, permit));
            // A commit that hangs wakes nobody.
            effects.push(AnsweringEffect::AskAt(commits.given_up_at(now)));
        }
        Ok(())
    }
}

impl Commits {
    fn given_up_at(&self, since: Duration) -> Duration {
        since.saturating_add(self.timeout)
    }
}

fn hangs(for_so_long: Duration) -> Error {
    Error::unavailable(format!(
        "a commit has not got on for {for_so_long:?}: the place of output hangs, and the next run commits what is \
         not visible by then"
    ))
}
