//! Where savepoints are made: a thread for each, so that a slow place stops nothing.
//!
//! When a savepoint is wanted, its place is opened and looked at before any barrier; when its answers are there,
//! what they name is copied. What is copied, and when, the machine says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::Builder;

use super::coordinator::{AttemptNumber, Event, Inside};
use crate::error::{Error, Result};
use crate::protocol::{Asker, Drain, Heard, Manifest};
use crate::storage::export::Target;
use crate::storage::{CheckpointLocation, CheckpointStorage, Disk, TransferLimits};

/// The most savepoints whose places are looked at, or which are copied, at a time.
const MOST: usize = 8;

/// When a savepoint is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Now, and the job goes on.
    Now,
    /// The job stops with it.
    Stop(Drain),
}

/// The savepoints of one attempt.
pub(super) struct Desk {
    pub(super) own: Option<CheckpointLocation>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) limits: TransferLimits,
    pub(super) storage: Arc<dyn CheckpointStorage>,
    pub(super) attempt: AttemptNumber,
    pub(super) events: Sender<Event>,
    pub(super) wanted: BTreeMap<Asker, Wanted>,
}

/// A savepoint that somebody waits for.
pub(super) struct Wanted {
    occasion: Occasion,
    target: Option<Target>,
    /// Nobody waits any more: the copy must not be published.
    given_up: Arc<AtomicBool>,
}

impl Desk {
    /// Opens the place of a savepoint; the outcome comes as an [`Inside::TargetOpened`].
    pub(super) fn open(&mut self, asker: Asker, to: CheckpointLocation, occasion: Occasion) {
        if self.wanted.len() >= MOST {
            let error = Error::unavailable(format!("{MOST} savepoints are under way already"));
            return self.say(Inside::TargetOpened(asker, Err(error)));
        }
        let given_up = Arc::default();
        self.wanted.insert(
            asker,
            Wanted {
                occasion,
                target: None,
                given_up,
            },
        );
        let (own, disk, limits) = (
            self.own.clone(),
            Arc::clone(&self.disk),
            self.limits.clone(),
        );
        let (attempt, events) = (self.attempt, self.events.clone());
        let started = Builder::new()
            .name("flowdsl-savepoint".to_owned())
            .spawn(move || {
                let target = Target::open(&to, own.as_ref(), &disk, &limits);
                let said = Inside::TargetOpened(asker, target);
                let _ = events.send(Event::Inside(attempt, said));
            });
        if let Err(error) = started {
            self.say(Inside::TargetOpened(asker, Err(no_thread(&error))));
        }
    }

    /// What the machine hears of a place that is open.
    pub(super) fn opened(&mut self, asker: Asker, target: Target) -> Option<Heard> {
        let wanted = self.wanted.get_mut(&asker)?;
        wanted.target = Some(target);
        Some(match wanted.occasion {
            Occasion::Now => Heard::SavepointAsked(asker),
            Occasion::Stop(drain) => Heard::StopWithSavepoint(asker, drain),
        })
    }

    /// Copies a savepoint to its place; the outcome comes as an [`Inside::Copied`].
    pub(super) fn copy(&self, asker: Asker, manifest: Box<Manifest>) {
        let Some(Wanted {
            target: Some(target),
            given_up,
            ..
        }) = self.wanted.get(&asker)
        else {
            let error = Error::internal("a savepoint is copied whose place was never opened");
            return self.say(Inside::Copied(asker, Err(error)));
        };
        let (target, given_up) = (target.clone(), Arc::clone(given_up));
        let (storage, attempt, events) =
            (Arc::clone(&self.storage), self.attempt, self.events.clone());
        let started = Builder::new()
            .name("flowdsl-savepoint".to_owned())
            .spawn(move || {
                let go_on = || {
                    let said = Inside::Copying(asker);
                    let _ = events.send(Event::Inside(attempt, said));
                    !given_up.load(Ordering::Acquire)
                };
                let copied = target.fill(&*storage, &manifest, &go_on);
                let _ = events.send(Event::Inside(attempt, Inside::Copied(asker, copied)));
            });
        if let Err(error) = started {
            self.say(Inside::Copied(asker, Err(no_thread(&error))));
        }
    }

    /// Nobody waits for this one any more.
    pub(super) fn close(&mut self, asker: Asker) {
        if let Some(wanted) = self.wanted.remove(&asker) {
            wanted.given_up.store(true, Ordering::Release);
        }
    }

    fn say(&self, said: Inside) {
        let _ = self.events.send(Event::Inside(self.attempt, said));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for wanted in self.wanted.values() {
            wanted.given_up.store(true, Ordering::Release);
        }
    }
}

/// A reply to somebody who asked for a savepoint of a run that does not take one.
pub(super) fn no_thread(error: &std::io::Error) -> Error {
    Error::unavailable(format!(
        "cannot start the thread that copies a savepoint: {error}"
    ))
}

/// The sender's end of an answer, and what was asked for.
#[derive(Debug)]
pub(super) struct SavepointOrder {
    pub(super) to: CheckpointLocation,
    pub(super) occasion: Occasion,
    pub(super) reply: Sender<Result<crate::ids::Epoch>>,
}
