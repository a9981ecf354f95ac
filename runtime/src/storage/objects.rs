//! Checkpoint storage: a flat set of named, immutable objects with "create if absent".
//!
//! Small enough that a local directory, memory and an object store can all be one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// Whether a name was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Creation {
    /// The object is there now, durably.
    Created,
    /// The name was taken; the object that has it is durable.
    AlreadyExists,
}

/// Where checkpoints are: named objects, relative to a checkpoint directory.
///
/// All names come from [`crate::storage::names`]. Errors are `Unavailable`; after one the outcome
/// of a create is unknown until the object is read back, or the create is repeated.
pub trait CheckpointStorage: fmt::Debug + Send + Sync {
    /// Creates an object unless its name is taken. Whatever has the name is durable and whole on
    /// return, and no reader ever sees a part of it.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation>;

    /// Writes an object under a name that nobody else uses; durable on return.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// Writes an object that nothing depends on. No reader sees a part of it, but it may be lost, or damaged,
    /// with the power. A storage that spares something by that says so; the others write it like any.
    fn note(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes)
    }

    /// The bytes of an object; `None` if there is none of this name.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Bytes of an object, fewer where it ends before the range does; `None` if there is none of this
    /// name. A storage that can read a part says so; the others read the whole.
    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        Ok(self.read(name)?.map(|bytes| part_of(&bytes, range)))
    }

    /// The names of all objects in a directory, sorted. An object that is there during the whole
    /// call is listed; one that comes or goes during the call may be.
    fn list(&self, dir: &str) -> Result<Vec<String>>;

    /// Deletes objects: slots of the log first and in this order, then the others in any. They are
    /// durably gone on return. A name that is not there is fine.
    fn delete(&self, names: &[String]) -> Result<()>;

    /// Gives an object a second name in the file system, for somebody who only reads it; false where
    /// the storage is no directory of the same file system.
    fn link(&self, _name: &str, _to: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Whether one call of `create` may make more than one request: that it says `Created` may then be the answer to
    /// a second one, and the name free again because somebody has deleted what the first one made.
    fn repeats_creates(&self) -> bool {
        false
    }

    /// The place, for messages.
    fn place(&self) -> String;
}

/// The bytes of a range, as far as there are any.
pub(super) fn part_of(bytes: &[u8], range: Range<u64>) -> Vec<u8> {
    let at = |bound: u64| usize::try_from(bound).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes
        .get(at(range.start)..at(range.end))
        .unwrap_or_default()
        .to_vec()
}

/// Checkpoint storage in memory, for jobs without a checkpoint directory; clones share the objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    objects: Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>,
}

impl MemoryStorage {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        // Nothing panics while the map is locked.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointStorage for MemoryStorage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        let mut objects = self.lock();
        if objects.contains_key(name) {
            return Ok(Creation::AlreadyExists);
        }
        objects.insert(name.to_owned(), bytes.into());
        Ok(Creation::Created)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.lock().insert(name.to_owned(), bytes.into());
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().get(name).map(|bytes| bytes.to_vec()))
    }

    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().get(name).map(|bytes| part_of(bytes, range)))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let in_dir = |name: &&String| {
            name.strip_prefix(dir)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        Ok(self.lock().keys().filter(in_dir).cloned().collect())
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        let mut objects = self.lock();
        for name in names {
            objects.remove(name);
        }
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
