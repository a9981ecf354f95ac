//! Savepoints: who wants one, which epochs are theirs, and which are being copied.
//!
//! A savepoint is an epoch like any other up to its last answer. Then its manifest is not published in the job's
//! own log: what it names is copied to where it was asked for, and the manifest is published there. For the job it
//! is an epoch without a checkpoint, of which nothing is lost, and whose output goes on in the next one.
//!
//! It is copied behind a later checkpoint of the same run, which is taken for that. Before, the run might still die, and
//! the next one would begin from an older checkpoint: it would close an epoch of the same number with other records in
//! it, and discard the staged output that only the savepoint names.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use super::{Action, Asker, Coordination, Drain, Ending, Notice};
use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{CheckpointKind, Manifest, SubtaskSnapshot, is_timed_out};

/// How many may be wanted at a time: what each of them names is kept until it is copied.
const MOST: usize = 4;

/// The savepoints that are wanted.
#[derive(Debug, Default)]
pub(super) struct Savepoints {
    /// No epoch is theirs yet.
    asked: Vec<Asker>,
    /// Those whose epoch is open, or waits for answers.
    taking: BTreeMap<Epoch, Vec<Asker>>,
    /// What is copied behind the next checkpoint.
    taken: Vec<(Asker, Box<Manifest>)>,
    /// Those that are made of the last checkpoint.
    at_end: Vec<Asker>,
    copying: BTreeMap<Asker, Epoch>,
    /// Since when nothing but copies keeps the job from its end, and none of them has moved.
    awaited_since: Option<Duration>,
    /// The last checkpoint was to become a savepoint, and has not.
    pub(super) lost_last: bool,
}

impl Savepoints {
    pub(super) fn any_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn any_unfinished(&self) -> bool {
        !self.copying.is_empty() || !self.taken.is_empty()
    }

    fn len(&self) -> usize {
        let taking: usize = self.taking.values().map(Vec::len).sum();
        self.asked.len() + taking + self.taken.len() + self.at_end.len() + self.copying.len()
    }

    /// The newest epoch whose savepoint waits for a later checkpoint.
    pub(super) fn newest_taken(&self) -> Option<Epoch> {
        self.taken.iter().map(|(_, manifest)| manifest.epoch).max()
    }

    /// An epoch was opened; whether it is that of savepoints.
    pub(super) fn opened(&mut self, epoch: Epoch) -> bool {
        let asked = mem::take(&mut self.asked);
        let is_theirs = !asked.is_empty();
        if is_theirs {
            self.taking.insert(epoch, asked);
        }
        is_theirs
    }

    /// The last epoch was opened: no other follows.
    pub(super) fn opened_last(&mut self) {
        self.at_end.append(&mut self.asked);
    }

    pub(super) fn is_of(&self, epoch: Epoch) -> bool {
        self.taking.contains_key(&epoch)
    }

    /// Something was copied. However large the state is: what moves is not given up.
    pub(super) fn copying_goes_on(&mut self, now: Duration, asker: Asker) {
        if self.copying.contains_key(&asker) {
            self.awaited_since = self.awaited_since.map(|_| now);
        }
    }

    pub(super) fn copies_given_up_at(&self, timeout: Duration) -> Option<Duration> {
        Some(self.awaited_since?.saturating_add(timeout))
    }
}

impl Coordination {
    pub(super) fn savepoint_asked(&mut self, asker: Asker) {
        if let Some(refused) = self.no_savepoint() {
            self.actions.push(Action::Answer(asker, Err(refused)));
        } else if self.last.is_some() {
            self.savepoints.at_end.push(asker);
        } else {
            self.savepoints.asked.push(asker);
        }
    }

    pub(super) fn stop_with_savepoint(&mut self, asker: Asker, drain: Drain) {
        let refused = self.no_savepoint().or_else(|| {
            let is_late = drain == Drain::Yes
                && self.last.is_some()
                && self.ending != Ending::Drain
                && !self.unfinished_sources.is_empty();
            is_late
                .then(|| Error::invalid("the job is stopping already, and nothing fires any more"))
        });
        if let Some(refused) = refused {
            self.actions.push(Action::Answer(asker, Err(refused)));
            return;
        }
        self.ending = match (self.ending, drain) {
            (Ending::Drain, _) | (Ending::No | Ending::Stop, Drain::Yes) => Ending::Drain,
            (Ending::No | Ending::Stop, Drain::No) => Ending::Stop,
        };
        self.savepoints.at_end.push(asker);
    }

    fn no_savepoint(&self) -> Option<Error> {
        if self.last.is_some() && self.newest >= self.last {
            return Some(Error::unavailable(
                "the job has taken its last checkpoint and ends: export that one",
            ));
        }
        (self.savepoints.len() >= MOST).then(|| {
            Error::unavailable(format!(
                "{MOST} savepoints are under way already: wait for one of them"
            ))
        })
    }

    /// All answers for an epoch are there, and it is that of savepoints.
    pub(super) fn keep_savepoint(&mut self, epoch: Epoch, snapshots: &[SubtaskSnapshot]) {
        self.pending.remove(&epoch);
        let manifest = Manifest {
            kind: CheckpointKind::Savepoint,
            ..self.manifest_of(epoch, snapshots.to_vec())
        };
        for asker in self.savepoints.taking.remove(&epoch).unwrap_or_default() {
            let manifest = Box::new(manifest.clone());
            self.actions.push(Action::Keep(asker, manifest.clone()));
            self.savepoints.taken.push((asker, manifest));
        }
    }

    /// The checkpoint of `epoch` is complete: every later run begins behind the savepoints before it.
    pub(super) fn copy_taken_before(&mut self, epoch: Epoch) {
        let is_before = |(_, manifest): &mut (Asker, Box<Manifest>)| manifest.epoch < epoch;
        let before: Vec<_> = self.savepoints.taken.extract_if(.., is_before).collect();
        for (asker, manifest) in before {
            self.savepoints.copying.insert(asker, manifest.epoch);
            self.actions.push(Action::Copy(asker, manifest));
        }
    }

    /// Whether a checkpoint is to be taken for a savepoint, and none is under way.
    pub(super) fn savepoint_wants_checkpoint(&self) -> bool {
        let Some(taken) = self.savepoints.newest_taken() else {
            return false;
        };
        let is_later = |epoch: &Epoch| *epoch > taken && !self.savepoints.is_of(*epoch);
        let publishing = self.publishing.as_ref().map(|publishing| publishing.epoch);
        !self.pending.keys().chain(publishing.as_ref()).any(is_later)
    }

    /// The last checkpoint is complete: it is the savepoint of those who stopped the job.
    pub(super) fn copy_last(&mut self, published: &Manifest) {
        let manifest = Manifest {
            kind: CheckpointKind::Savepoint,
            ..published.clone()
        };
        for asker in mem::take(&mut self.savepoints.at_end) {
            let manifest = Box::new(manifest.clone());
            self.savepoints.copying.insert(asker, manifest.epoch);
            self.actions.push(Action::Keep(asker, manifest.clone()));
            self.actions.push(Action::Copy(asker, manifest));
        }
    }

    pub(super) fn copied(&mut self, asker: Asker, outcome: Result<()>) {
        let Some(epoch) = self.savepoints.copying.remove(&asker) else {
            return;
        };
        let notice = match &outcome {
            Ok(()) => Notice::SavepointCompleted { epoch },
            Err(error) => Notice::SavepointFailed {
                epoch,
                reason: error.to_string(),
            },
        };
        self.actions.push(Action::Tell(notice));
        self.savepoints.lost_last |= outcome.is_err() && self.last == Some(epoch);
        let outcome = outcome.map_err(|error| self.with_what_is_left(error, epoch));
        self.actions
            .push(Action::Answer(asker, outcome.map(|()| epoch)));
    }

    /// The epoch of savepoints has no answers to be made of. Nothing is lost by it, and it says nothing of the job's
    /// own checkpoints.
    pub(super) fn savepoint_failed(&mut self, epoch: Epoch, reason: &str) {
        self.pending.remove(&epoch);
        for asker in self.savepoints.taking.remove(&epoch).unwrap_or_default() {
            let error =
                Error::unavailable(format!("the savepoint of epoch {epoch} failed: {reason}"));
            self.actions.push(Action::Answer(asker, Err(error)));
        }
        self.actions.push(Action::Tell(Notice::SavepointFailed {
            epoch,
            reason: reason.to_owned(),
        }));
        self.look_at_log();
    }

    /// Where everything else is done, copies that move no more are given up.
    pub(super) fn judge_copies(&mut self, now: Duration) {
        if !self.is_complete() || self.savepoints.copying.is_empty() {
            return;
        }
        let since = *self.savepoints.awaited_since.get_or_insert(now);
        let timeout = self.settings.timeout;
        if !is_timed_out(now, since, timeout) {
            return;
        }
        let late: BTreeSet<Asker> = self.savepoints.copying.keys().copied().collect();
        for asker in late {
            let error = Error::unavailable(format!("nothing of it was copied for {timeout:?}"));
            self.copied(asker, Err(error));
        }
    }

    fn with_what_is_left(&self, error: Error, epoch: Epoch) -> Error {
        if self.last == Some(epoch) {
            error.and(format!(
                "the job has stopped, and its checkpoint of epoch {epoch} is complete: export that one"
            ))
        } else {
            error
        }
    }
}
