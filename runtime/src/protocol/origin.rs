//! Where a checkpoint comes from that was not taken where it stands.
//!
//! A restore publishes a manifest of its own: the state of another checkpoint, under a new epoch. Every manifest
//! behind it carries the same origins on, so that a log tells what its checkpoints descend from however many of
//! them retention has deleted.

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, Generation};
use crate::protocol::Manifest;

/// The most origins that a manifest carries on; older ones are forgotten.
pub const MOST_ORIGINS: usize = 32;

/// A restore that a checkpoint descends from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where the checkpoint stood.
    pub place: OriginPlace,
    /// Its epoch there.
    pub epoch: Epoch,
    /// The generation that wrote it.
    pub generation: Generation,
    /// The nonce of the run that wrote it.
    pub nonce: u64,
    /// Output of later epochs than this is later than its state.
    pub kept: Epoch,
    /// The epoch of the manifest that the restore has published.
    pub published_as: Epoch,
}

/// Where the checkpoint of an origin stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginPlace {
    /// In the same log.
    ThisLog,
    /// In another place, as text for people.
    Elsewhere(String),
}

impl Origin {
    /// Whether this checkpoint is the one that was restored.
    pub fn is_of(&self, manifest: &Manifest) -> bool {
        let is = (self.epoch, self.generation, self.nonce);
        is == (manifest.epoch, manifest.generation, manifest.nonce)
    }
}

impl Manifest {
    /// The origin of a manifest that a restore has published; `None` for one that a run has taken.
    pub fn republished(&self) -> Option<&Origin> {
        let last = self.origins.last()?;
        (last.published_as == self.epoch).then_some(last)
    }

    /// The last epoch whose output belongs to its state.
    pub fn kept_output(&self) -> Epoch {
        self.republished().map_or(self.epoch, |origin| origin.kept)
    }

    /// The same state as a checkpoint of `author`'s log, under the epoch `published_as`.
    #[must_use]
    pub fn republish(
        &self,
        place: OriginPlace,
        (generation, nonce): (Generation, u64),
        published_as: Epoch,
    ) -> Self {
        let mut origins = self.origins.clone();
        if let OriginPlace::Elsewhere(_) = &place {
            // What was the same log there is another one here.
            for origin in &mut origins {
                if origin.place == OriginPlace::ThisLog {
                    origin.place = place.clone();
                }
            }
        }
        origins.push(Origin {
            place,
            epoch: self.epoch,
            generation: self.generation,
            nonce: self.nonce,
            kept: self.kept_output(),
            published_as,
        });
        let too_many = origins.len().saturating_sub(MOST_ORIGINS);
        origins.drain(..too_many);
        Self {
            generation,
            nonce,
            epoch: published_as,
            kind: crate::protocol::CheckpointKind::Checkpoint,
            origins,
            ..self.clone()
        }
    }

    /// Whether output of this epoch may have been taken back by one of the restores behind which it stands.
    pub fn may_have_taken_back(&self, epoch: Epoch) -> bool {
        let took_back = |origin: &Origin| origin.kept < epoch && epoch < origin.published_as;
        self.origins.iter().any(took_back)
    }

    /// Whether a checkpoint of this epoch, of the same log, was given up when an older one was restored: this
    /// manifest does not descend from it, and output of it may be gone.
    pub fn has_left_behind(&self, epoch: Epoch) -> bool {
        self.origins.iter().any(|origin| match origin.place {
            OriginPlace::ThisLog => origin.epoch < epoch && epoch < origin.published_as,
            OriginPlace::Elsewhere(_) => epoch < origin.published_as,
        })
    }
}
