//! An object store, behind the gate.

use std::sync::Arc;

use flowdsl::runtime::storage::{CheckpointStorage, Creation};
use flowdsl::{Error, Result};

use crate::gate::{Gate, Side};
use crate::points;

/// Checkpoint storage all of whose changes go through the gate.
#[derive(Debug)]
pub(crate) struct GuardedStorage {
    pub(crate) gate: Arc<Gate>,
    pub(crate) storage: Arc<dyn CheckpointStorage>,
}

impl GuardedStorage {
    fn act<T>(&self, act: &str, perform: impl FnOnce() -> Result<T>) -> Result<T> {
        let pass = |side| {
            let passed = self.gate.pass(side, act);
            passed.map_err(|e| Error::unavailable(format!("{act}: {e}")))
        };
        pass(Side::Before)?;
        let performed = perform();
        if performed.is_err() {
            self.gate.failed();
        }
        pass(Side::After)?;
        performed
    }
}

impl CheckpointStorage for GuardedStorage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.act(points::create_slot(bytes), || {
            self.storage.create(name, bytes)
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.act("write state", || self.storage.write(name, bytes))
    }

    fn note(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.act("write history", || self.storage.note(name, bytes))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.storage.read(name)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        let of_log = names.iter().any(|name| name.starts_with("log/"));
        let of_history = names.iter().all(|name| name.starts_with("history/"));
        let act = match (of_log, of_history) {
            (true, _) => "remove log",
            (false, true) => "remove history",
            (false, false) => "remove state",
        };
        self.act(act, || self.storage.delete(names))
    }

    fn place(&self) -> String {
        self.storage.place()
    }
}
