//! The history of a job: small objects beside its checkpoints, which nothing depends on.
//!
//! What it is for is decided in [`crate::protocol`]. An entry is a frame around JSON, so that fields may be
//! added: readers pass over fields that they do not know, and do without those that are missing. None is
//! synced: a power loss may take the last ones.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{HistoryEntry, HistoryEvent, HistoryKey, surplus};
use crate::storage::frame::{self, FrameHeader, FrameKind};
use crate::storage::names;
use crate::storage::objects::CheckpointStorage;

/// An entry that does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedEntry {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a history holds.
#[derive(Clone, Debug, Default)]
pub struct StoredHistory {
    /// The entries with the runs that wrote them, in the order of what happened.
    pub entries: Vec<(Generation, HistoryEntry)>,
    /// Those that do not read.
    pub damaged: Vec<DamagedEntry>,
}

/// Reads all that is kept.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn read_history(storage: &dyn CheckpointStorage) -> Result<StoredHistory> {
    let mut history = StoredHistory::default();
    for key in list(storage)? {
        let name = names::history(key);
        // One that another run has removed meanwhile is no news.
        let Some(bytes) = storage.read(&name)? else {
            continue;
        };
        match decode(key, &bytes) {
            Ok(entry) => history.entries.push((key.generation, entry)),
            Err(reason) => history.damaged.push(DamagedEntry { name, reason }),
        }
    }
    Ok(history)
}

/// The entries that are there, in the order of what happened.
fn list(storage: &dyn CheckpointStorage) -> Result<Vec<HistoryKey>> {
    let names = storage.list(names::HISTORY_DIR)?;
    let mut keys: Vec<HistoryKey> = names
        .iter()
        .filter_map(|name| names::parse_history(name))
        .collect();
    keys.sort_unstable();
    Ok(keys)
}

/// Writes the entries of one run.
#[derive(Debug)]
pub struct HistoryWriter {
    storage: Arc<dyn CheckpointStorage>,
    generation: Generation,
    nonce: u64,
    /// How many checkpoints, and runs, are kept.
    keep: usize,
    /// Entries until it is looked for surplus ones again.
    until_look: usize,
}

/// So many entries are written between two looks for surplus ones.
const LOOK: usize = 16;

impl HistoryWriter {
    /// The history of the run with this generation and nonce, of which so many checkpoints are kept.
    pub fn new(
        storage: Arc<dyn CheckpointStorage>,
        (generation, nonce): (Generation, u64),
        keep: usize,
    ) -> Self {
        Self {
            storage,
            generation,
            nonce,
            keep,
            // What runs before have left too much of, a short one removes, too.
            until_look: 1,
        }
    }

    /// Writes an entry. It is durable some time later, or never.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not take it: then it is missing.
    pub fn write(&mut self, entry: &HistoryEntry) -> Result<()> {
        let event = event_of(entry);
        let key = HistoryKey {
            generation: self.generation,
            event,
        };
        let header = FrameHeader {
            kind: FrameKind::History,
            generation: self.generation,
            epoch: match event {
                HistoryEvent::Checkpoint(epoch) => epoch,
                HistoryEvent::Began | HistoryEvent::Ended => Epoch::default(),
            },
            nonce: self.nonce,
        };
        let body = serde_json::to_vec(entry).map_err(|e| {
            Error::internal(format!("an entry of the history does not encode: {e}"))
        })?;
        self.until_look = self.until_look.saturating_sub(1);
        self.storage
            .note(&names::history(key), &frame::encode(&header, &body))
    }

    /// The names of entries that are to be removed. Most of the time that is not looked for, since
    /// it takes a list of all of them.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not answer.
    pub fn surplus(&mut self) -> Result<Vec<String>> {
        if self.until_look > 0 {
            return Ok(Vec::new());
        }
        self.until_look = LOOK;
        let surplus = surplus(list(&*self.storage)?, self.keep);
        Ok(surplus.into_iter().map(names::history).collect())
    }
}

fn event_of(entry: &HistoryEntry) -> HistoryEvent {
    match entry {
        HistoryEntry::Began(_) => HistoryEvent::Began,
        HistoryEntry::Checkpoint(checkpoint) => HistoryEvent::Checkpoint(checkpoint.epoch),
        HistoryEntry::Ended(_) => HistoryEvent::Ended,
    }
}

fn decode(key: HistoryKey, bytes: &[u8]) -> Result<HistoryEntry, String> {
    let (header, body) =
        frame::decode_kind(bytes, FrameKind::History).map_err(|e| e.to_string())?;
    let entry: HistoryEntry =
        serde_json::from_slice(body).map_err(|e| format!("it does not decode: {e}"))?;
    if header.generation != key.generation || event_of(&entry) != key.event {
        return Err("it is another entry than its name says".to_owned());
    }
    Ok(entry)
}
