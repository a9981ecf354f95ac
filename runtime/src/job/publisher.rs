//! The thread that publishes manifests and cleans up, so that a slow disk stops no trigger.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::companion::Companion;
use super::coordinator::Event;
use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{Manifest, RetentionFacts, SlotNumber, plan_cleanup};
use crate::storage::cleanup;
use crate::storage::log::{LogWriter, Publication, list_state};

/// How long a publication may go on when the job has failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// The coordinator's end of the publisher.
pub(super) struct Publisher {
    manifests: Sender<Box<Manifest>>,
    thread: Companion,
}

impl Publisher {
    /// Starts the thread; it owns the log from here on.
    pub(super) fn start(
        writer: LogWriter,
        retained: NonZeroUsize,
        damaged: BTreeSet<SlotNumber>,
        events: Sender<Event>,
    ) -> Result<Self> {
        let (manifests, inbox) = channel::<Box<Manifest>>();
        let mut state = State {
            writer,
            retained,
            damaged,
        };
        let work = move || {
            for manifest in inbox {
                let outcome = state.writer.publish(&manifest);
                let published = matches!(outcome, Ok(Publication::Published { .. }));
                // The coordinator permits commits before old checkpoints are cleaned up.
                let _ = events.send(Event::Published(manifest, outcome));
                if published && let Err(error) = state.clean_up() {
                    // What is left is deleted after the next checkpoint, or by the next run.
                    tracing::warn!(%error, "old checkpoints could not be deleted");
                }
            }
        };
        let thread = Companion::start("flowdsl-publisher", work).map_err(|e| {
            Error::unavailable(format!(
                "cannot start the thread that publishes checkpoints: {e}"
            ))
        })?;
        Ok(Self { manifests, thread })
    }

    /// Publishes a manifest; the outcome comes as an [`Event::Published`].
    pub(super) fn publish(&self, manifest: Manifest) {
        let _ = self.manifests.send(Box::new(manifest));
    }

    /// Waits for what is being published or deleted.
    pub(super) fn finish(self) {
        drop(self.manifests);
        self.thread.join();
    }

    /// Waits a little, and leaves a publisher behind that hangs on a disk.
    pub(super) fn abandon(self) {
        drop(self.manifests);
        self.thread.join_within(PATIENCE);
    }
}

struct State {
    writer: LogWriter,
    retained: NonZeroUsize,
    damaged: BTreeSet<SlotNumber>,
}

impl State {
    fn clean_up(&mut self) -> Result<()> {
        let storage = Arc::clone(self.writer.storage());
        let objects = list_state(&*storage)?;
        let open: Vec<Epoch> = self.writer.unknown_epoch().into_iter().collect();
        let plan = plan_cleanup(&RetentionFacts {
            log: self.writer.log(),
            objects: &objects,
            retained: self.retained,
            generation: self.writer.generation(),
            open_epochs: &open,
            damaged: &self.damaged,
        });
        if plan.is_empty() {
            Ok(())
        } else {
            cleanup::execute(&plan, &mut self.writer)
        }
    }
}
