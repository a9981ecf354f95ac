//! Who may make output visible.

use crate::ids::{Epoch, Generation};
use crate::protocol::Manifest;

/// Proof that a manifest is durable and that its writer was the current generation.
///
/// It permits all committables of epochs up to its own. Only a published manifest makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPermit {
    epoch: Epoch,
    generation: Generation,
}

impl CommitPermit {
    /// The permit that a published checkpoint gives; `None` for a savepoint, which permits nothing.
    pub fn of_published(manifest: &Manifest) -> Option<Self> {
        match manifest.kind {
            crate::protocol::CheckpointKind::Checkpoint => Some(Self {
                epoch: manifest.epoch,
                generation: manifest.generation,
            }),
            crate::protocol::CheckpointKind::Savepoint => None,
        }
    }

    /// The last epoch whose committables may become visible.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The generation that published the manifest.
    pub fn generation(&self) -> Generation {
        self.generation
    }
}
