//! That the job was asked to stop, for what takes long before the first record.
//!
//! From the first record on a stop is an event of the coordinator, and ends with a last checkpoint. Before it nothing
//! was done yet that a checkpoint could keep: reading is given up, and the next run begins where this one would have.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::storage::{CheckpointStorage, Creation};

/// Whether the job was asked to stop, and whether something was given up for it.
#[derive(Debug, Default)]
pub(super) struct StopSign {
    asked: AtomicBool,
    obeyed: AtomicBool,
}

impl StopSign {
    pub(super) fn raise(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Whether reading has failed for no other reason than this.
    pub(super) fn was_obeyed(&self) -> bool {
        self.obeyed.load(Ordering::Acquire)
    }

    /// Fails if the job was asked to stop.
    pub(super) fn check(&self) -> Result<()> {
        if self.asked.load(Ordering::Acquire) {
            self.obeyed.store(true, Ordering::Release);
            return Err(Error::unavailable("the job was asked to stop"));
        }
        Ok(())
    }
}

/// Storage whose objects are read until the job is asked to stop.
#[derive(Debug)]
pub(super) struct UntilStopped<'a> {
    pub(super) storage: &'a dyn CheckpointStorage,
    pub(super) stop: &'a StopSign,
}

impl CheckpointStorage for UntilStopped<'_> {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.storage.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.storage.write(name, bytes)
    }

    fn note(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.storage.note(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.stop.check()?;
        self.storage.read(name)
    }

    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        self.stop.check()?;
        self.storage.read_range(name, range)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.storage.delete(names)
    }

    fn link(&self, name: &str, to: &Path) -> Result<bool> {
        self.storage.link(name, to)
    }

    fn repeats_creates(&self) -> bool {
        self.storage.repeats_creates()
    }

    fn place(&self) -> String {
        self.storage.place()
    }
}
