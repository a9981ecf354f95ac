//! The thread that publishes manifests and cleans up, so that a slow disk stops no trigger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::coordinator::{AttemptNumber, Event, Inside};
use super::history::HistoryKeeping;
use super::restoring::Found;
use crate::dataflow::companion::Companion;
use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{
    Asker, HistoryEntry, Keep, Manifest, Phase, RetentionFacts, SlotNumber, objects_of,
    plan_cleanup,
};
use crate::storage::cleanup;
use crate::storage::log::{LogWriter, Publication, list_state};

/// How long a publication may go on when the job has failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// The coordinator's end of the publisher.
pub(super) struct Publisher {
    orders: Sender<Order>,
    thread: Companion,
}

enum Order {
    /// The outcome comes as an [`Inside::Published`].
    Publish(Box<Manifest>),
    /// The outcome comes as an [`Inside::LookedAtLog`].
    Look,
    /// Keep what a savepoint under way is copied from.
    Pin(Asker, BTreeSet<String>),
    /// It is copied, or will never be.
    Unpin(Asker),
    /// For the last time, and keeping something else than before if that is said.
    CleanUp(Option<Keep>),
    /// For the history.
    Note(Box<HistoryEntry>),
}

/// What the publisher's thread works with.
pub(super) struct PublisherParts {
    /// The log, which the publisher owns from here on.
    pub(super) writer: LogWriter,
    /// Which checkpoints stay.
    pub(super) keep: Keep,
    /// Manifests that name damaged objects.
    pub(super) damaged: BTreeSet<SlotNumber>,
    /// Where the history goes, if it is kept.
    pub(super) history: Option<HistoryKeeping>,
    /// The savepoint that is deleted behind the first checkpoint.
    pub(super) claimed: Option<Found>,
    /// What savepoints under way are copied from.
    pub(super) pinned: BTreeMap<Asker, BTreeSet<String>>,
    /// The checkpoint with which the job has ended in an earlier run.
    pub(super) ended_with: Option<SlotNumber>,
}

impl Publisher {
    /// Starts the thread, which tells the outcomes to `events`.
    pub(super) fn start(
        mut parts: PublisherParts,
        attempt: AttemptNumber,
        events: Sender<Event>,
    ) -> Result<Self> {
        let (orders, inbox) = channel::<Order>();
        let work = move || {
            for order in inbox {
                match order {
                    Order::Publish(manifest) => {
                        let outcome = parts.writer.publish(&manifest);
                        let published = matches!(outcome, Ok(Publication::Published { .. }));
                        // The coordinator permits commits before old checkpoints are cleaned up.
                        let said = Inside::Published(manifest, outcome);
                        let _ = events.send(Event::Inside(attempt, said));
                        if published {
                            parts.clean_up(parts.keep, Phase::Running);
                            if let Some(savepoint) = parts.claimed.take() {
                                savepoint.delete();
                            }
                        }
                    }
                    Order::Look => {
                        let said = Inside::LookedAtLog(parts.writer.check_not_overtaken());
                        let _ = events.send(Event::Inside(attempt, said));
                    }
                    Order::Pin(asker, names) => drop(parts.pinned.insert(asker, names)),
                    Order::Unpin(asker) => drop(parts.pinned.remove(&asker)),
                    Order::CleanUp(keep) => {
                        parts.clean_up(keep.unwrap_or(parts.keep), Phase::Over);
                    }
                    Order::Note(entry) => {
                        if let Some(history) = &mut parts.history {
                            history.note(&entry, &parts.writer);
                        }
                    }
                }
            }
        };
        let thread = Companion::start("flowdsl-publisher", work).map_err(|e| {
            Error::unavailable(format!(
                "cannot start the thread that publishes checkpoints: {e}"
            ))
        })?;
        Ok(Self { orders, thread })
    }

    /// Publishes a manifest.
    pub(super) fn publish(&self, manifest: Box<Manifest>) {
        let _ = self.orders.send(Order::Publish(manifest));
    }

    /// Writes an entry of the history, some time.
    pub(super) fn note(&self, entry: HistoryEntry) {
        let _ = self.orders.send(Order::Note(Box::new(entry)));
    }

    /// Looks whether another run has taken over.
    pub(super) fn look(&self) {
        let _ = self.orders.send(Order::Look);
    }

    /// Keeps what a manifest names until it is said that it need not stay.
    pub(super) fn pin(&self, asker: Asker, manifest: &Manifest) {
        let names = objects_of(manifest).map(str::to_owned).collect();
        let _ = self.orders.send(Order::Pin(asker, names));
    }

    /// What was kept need not stay.
    pub(super) fn unpin(&self, asker: Asker) {
        let _ = self.orders.send(Order::Unpin(asker));
    }

    /// Cleans up once more, now that the workers have ended, and waits for what is being deleted, but no
    /// longer than `patience`: everything is published and committed by now.
    pub(super) fn finish(self, keep: Option<Keep>, patience: Duration) {
        let _ = self.orders.send(Order::CleanUp(keep));
        drop(self.orders);
        if !self.thread.join_within(patience) {
            tracing::warn!(
                ?patience,
                "old checkpoints are still being deleted: the next run goes on with it"
            );
        }
    }

    /// Waits a little, and leaves a publisher behind that hangs on a disk.
    pub(super) fn abandon(self) {
        drop(self.orders);
        let _ = self.thread.join_within(PATIENCE);
    }
}

impl PublisherParts {
    pub(super) fn clean_up(&mut self, keep: Keep, phase: Phase) {
        if let Err(error) = self.try_clean_up(keep, phase) {
            // What is left is deleted after the next checkpoint, or by the next run.
            tracing::warn!(%error, "old checkpoints could not be deleted");
        }
    }

    fn try_clean_up(&mut self, keep: Keep, phase: Phase) -> Result<()> {
        let storage = Arc::clone(self.writer.storage());
        let objects = list_state(&*storage)?;
        let open: Vec<Epoch> = self.writer.unknown_epochs().collect();
        let pinned = self.pinned.values().flatten().cloned().collect();
        let plan = plan_cleanup(&RetentionFacts {
            log: self.writer.log(),
            objects: &objects,
            keep,
            phase,
            generation: self.writer.generation(),
            open_epochs: &open,
            damaged: &self.damaged,
            pinned: &pinned,
            ended_with: self.ended_with,
            left: self.writer.left(),
        });
        if plan.is_empty() {
            Ok(())
        } else {
            cleanup::execute(&plan, &mut self.writer)
        }
    }
}
