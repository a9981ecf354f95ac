//! Reading and writing the objects that snapshots consist of.

use crate::error::Result;
use crate::ids::{Epoch, SubtaskId};
use crate::protocol::Location;

/// Where the state of subtasks is written to and read from; durable when a write returns.
pub trait SnapshotStore: Send + Sync {
    /// Writes the `part`-th object of a subtask's snapshot.
    fn write(&self, subtask: &SubtaskId, epoch: Epoch, part: u32, bytes: &[u8]) -> Result<Location>;

    /// Reads what a reference points to, and checks length and checksum.
    fn read(&self, location: &Location) -> Result<Vec<u8>>;
}
