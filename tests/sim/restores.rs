//! Savepoints that are taken of running processes, and checkpoints that are restored before one starts.
//!
//! A savepoint holds the effect of the records before its barrier and of no other, whatever the job goes on to do; and
//! whoever restores one, or an older checkpoint of the log, has every record in the output once in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use flowdsl_runtime::Result;
use flowdsl_runtime::error::ErrorKind;
use flowdsl_runtime::job::internals::{RestoredFrom, restore};
use flowdsl_runtime::protocol::{Asker, Heard, Manifest, objects_of};
use flowdsl_runtime::storage::{CheckpointStorage, MemoryStorage};

use crate::build::JOB;
use crate::contents;
use crate::event::{Event, Inside, ProcessId};
use crate::oracle::Check;
use crate::storage::SimStorage;
use crate::store::Store;
use crate::world::World;

/// What has come of a savepoint.
pub(crate) struct Saved {
    pub(crate) manifest: Box<Manifest>,
    pub(crate) objects: Result<BTreeMap<String, Arc<[u8]>>>,
}

impl Saved {
    /// Reads what a manifest names, on a fiber, as a copy does.
    pub(crate) fn read(manifest: Box<Manifest>) -> Self {
        let read = |name: &str| {
            let bytes = SimStorage.read(name)?;
            let bytes =
                bytes.ok_or_else(|| flowdsl_runtime::Error::corrupt(format!("{name} is gone")))?;
            Ok((name.to_owned(), Arc::from(bytes)))
        };
        let objects = objects_of(&manifest).map(read).collect();
        Self { manifest, objects }
    }
}

/// Restores a checkpoint, before the process that asks for it starts; whatever comes of it.
pub(crate) fn try_restore(from: RestoredFrom) {
    let _ = restore(JOB, Arc::new(SimStorage), from);
}

impl World {
    /// Asks a process for savepoints, now and then.
    pub(crate) fn may_ask_for_savepoints(&mut self, id: ProcessId) {
        let cases = self.scenario.faults.savepoint;
        for asker in 0..3 {
            if self.kernel_has_luck(cases) {
                let wait = self.kernel.rng.millis(0, 900);
                let heard = Box::new(Heard::SavepointAsked(Asker(asker)));
                self.kernel
                    .after(wait, Event::Inside(id, Inside::Hear(heard)));
            }
        }
    }

    /// Draws nothing where there is no chance: such a seed goes on as it always did.
    fn kernel_has_luck(&mut self, cases: u64) -> bool {
        cases > 0 && self.kernel.rng.per_mille(cases)
    }

    /// What is restored before a process starts, if anything is.
    pub(crate) fn restores(&mut self) -> Option<RestoredFrom> {
        let cases = self.scenario.faults.restore;
        if self.scenario.is_calm(self.kernel.now()) || !self.kernel_has_luck(cases) {
            return None;
        }
        let own = self.oracle.epochs();
        let n = (own.len() + self.savepoints.len()) as u64;
        if n == 0 {
            return None;
        }
        let at = self.kernel.rng.below(n) as usize;
        let from = if let Some(epoch) = own.get(at) {
            RestoredFrom::Own(*epoch)
        } else {
            let (manifest, objects) = &self.savepoints[at - own.len()];
            let storage: Arc<dyn CheckpointStorage> = Arc::new(objects.clone());
            RestoredFrom::Savepoint(storage, manifest.clone())
        };
        self.kernel.note(|| format!("somebody restores {from:?}"));
        self.kernel.reach(match from {
            RestoredFrom::Own(_) => "an older checkpoint that is wanted",
            RestoredFrom::Savepoint(..) => "a savepoint that is wanted",
        });
        Some(from)
    }

    /// A process has copied a savepoint, or failed to.
    pub(crate) fn saved(&mut self, id: ProcessId, saved: Saved) -> Check {
        let Saved { manifest, objects } = saved;
        let objects = match objects {
            Ok(objects) => objects,
            Err(error) if error.kind() == ErrorKind::Corrupt && self.oracle.is_newest(id) => {
                return Err(format!(
                    "invariant 12: a savepoint of epoch {} is copied: {error}",
                    manifest.epoch
                ));
            }
            Err(_) => return Ok(()),
        };
        let names: Vec<&String> = objects.keys().collect();
        if names
            .iter()
            .any(|name| self.oracle.damaged.contains_key(*name))
        {
            return Ok(());
        }
        self.kernel.reach("a savepoint");
        let store = Store::Objects(objects.clone());
        contents::is_of_its_records(&manifest, &self.scenario, &store)
            .map_err(|why| format!("the savepoint of epoch {}: {why}", manifest.epoch))?;
        let copy = MemoryStorage::new();
        for (name, bytes) in &objects {
            copy.write(name, bytes).map_err(|error| error.to_string())?;
        }
        self.savepoints.push((manifest, copy));
        Ok(())
    }
}
