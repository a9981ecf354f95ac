//! Copying a checkpoint from one storage to another: savepoints, exports, and what a restore brings in.
//!
//! Each object is read whole, compared with what the manifest says of it, and written. No thread holds more than
//! one of them, and snapshots are stored in parts of bounded size: so is the memory for it, however large the state.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};
use std::{io, iter};

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{CheckpointKind, Claim, Location, Manifest, SlotNumber};
use crate::storage::log::{encode_claim, encode_manifest, read_log};
use crate::storage::names;
use crate::storage::nonce::fresh_nonce;
use crate::storage::snapshots::read_object;
use crate::storage::{
    CheckpointLocation, CheckpointStorage, Creation, Disk, RealDisk, TransferLimits,
};

/// Threads that copy at most: each holds an object in memory.
const MOST_THREADS: usize = 4;

/// Bytes below which objects are copied before other threads have begun.
const WORTH_THREADS: u64 = 8 << 20;

/// Where a savepoint's claim and its manifest stand.
const CLAIM: SlotNumber = SlotNumber(0);
const MANIFEST: SlotNumber = SlotNumber(1);

/// A place for a savepoint, in which there was nothing.
#[derive(Clone, Debug)]
pub struct Target {
    storage: Arc<dyn CheckpointStorage>,
}

impl Target {
    /// Opens a place for a savepoint of a job whose checkpoints are in `own`.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is anything in it, or it is a part of the job's own checkpoint directory; `Unavailable`
    /// if it does not answer.
    pub fn open(
        to: &CheckpointLocation,
        own: Option<&CheckpointLocation>,
        disk: &Arc<dyn Disk>,
        limits: &TransferLimits,
    ) -> Result<Self> {
        if let Some(own) = own.filter(|own| own.overlaps(to)) {
            return Err(Error::invalid(format!(
                "a savepoint cannot be put to {to}: the job keeps its own checkpoints in {own}, and a savepoint belongs \
                 to whoever asked for it"
            )));
        }
        let target = Self {
            storage: to.open_to_read(Arc::clone(disk), limits)?,
        };
        if let Some(dir) = to.dir() {
            match disk.list(&dir) {
                Ok(files) if files.is_empty() => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(files) => return Err(target.occupied(&format!("it holds `{}`", files[0]))),
                Err(error) => {
                    return Err(Error::unavailable(format!(
                        "{to} cannot be listed: {error}"
                    )));
                }
            }
        }
        target.check_empty()?;
        // Now it is written to: what does not outlive the process is made, and rights are looked at.
        let storage = to.open(Arc::clone(disk), limits)?;
        Ok(Self { storage })
    }

    fn check_empty(&self) -> Result<()> {
        let slots = self.storage.list(names::LOG_DIR)?;
        let objects = self.storage.list(names::STATE_DIR)?;
        if slots.is_empty() && objects.is_empty() {
            return Ok(());
        }
        let has_manifest = read_log(&*self.storage)?
            .slots
            .iter()
            .any(|slot| slot.manifest().is_some());
        Err(self.occupied(if has_manifest {
            "it holds a checkpoint"
        } else {
            "it holds what an interrupted savepoint has left, which is of no use and may be removed"
        }))
    }

    fn occupied(&self, what: &str) -> Error {
        Error::invalid(format!(
            "a savepoint cannot be put to {}: {what}. Name a place that is empty, or is not there",
            self.storage.place()
        ))
    }

    /// Copies what a manifest of `from` names, and publishes it there. `go_on` is asked before each object and before
    /// the manifest: whether anybody still waits for it.
    ///
    /// # Errors
    ///
    /// `Corrupt` if an object is not what was written; `Unavailable` if a storage does not answer; `Invalid` if
    /// somebody else has taken the place meanwhile. What had been written is removed then, unless the manifest may be there.
    pub fn fill(
        &self,
        from: &dyn CheckpointStorage,
        manifest: &Manifest,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        // CRASH: the claim first: whoever else wants the place finds it taken. The manifest last: what was cut short
        // has none, and is no savepoint.
        if self.create_slot(CLAIM, &encode_claim(&claim_for(manifest)))? == Slot::Others {
            return Err(self.occupied("somebody has just begun to write there"));
        }
        let copied = self.copy(from, manifest, go_on);
        if copied.is_err() {
            self.remove_all(manifest);
            return copied;
        }
        let published = Manifest {
            kind: CheckpointKind::Savepoint,
            ..manifest.clone()
        };
        // CRASH: a create without an answer may come true later. What the manifest names stays then.
        let published = self.create_slot(MANIFEST, &encode_manifest(&published));
        match published.map_err(|e| e.and("whether the savepoint is complete is unknown"))? {
            Slot::Ours => Ok(()),
            Slot::Others => {
                self.remove_all(manifest);
                Err(self.occupied("somebody else has written there meanwhile"))
            }
        }
    }

    fn copy(
        &self,
        from: &dyn CheckpointStorage,
        manifest: &Manifest,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let is_wanted = || {
            if go_on() {
                Ok(())
            } else {
                let error = "nobody waits for the savepoint any more";
                Err(Error::unavailable(error))
            }
        };
        let same_name = |name: &str| {
            is_wanted()?;
            // Names in manifests are bytes, too: one of a slot would be written over the log.
            names::parse_state_object(name)
                .map(|object| object.name)
                .ok_or_else(|| not_of_state(name))
        };
        copy_objects(from, &*self.storage, manifest, same_name)?;
        is_wanted()
    }

    /// Creates a slot, and says whose it is. Of two tries, the first one may have succeeded; the store itself may
    /// have made them.
    fn create_slot(&self, slot: SlotNumber, bytes: &[u8]) -> Result<Slot> {
        let name = names::slot(slot);
        let created = self.storage.create(&name, bytes);
        let created = created.or_else(|_| self.storage.create(&name, bytes))?;
        let is_ours = match created {
            Creation::Created => true,
            Creation::AlreadyExists => self.storage.read(&name)?.as_deref() == Some(bytes),
        };
        Ok(if is_ours { Slot::Ours } else { Slot::Others })
    }

    /// Removes what a copy that has failed has left, as far as that is possible. Its manifest was not created.
    fn remove_all(&self, manifest: &Manifest) {
        if let Err(error) = self.try_remove_all(manifest) {
            let place = self.storage.place();
            tracing::warn!(%error, place, "what a failed savepoint has left could not be removed");
        }
    }

    fn try_remove_all(&self, manifest: &Manifest) -> Result<()> {
        let objects = crate::protocol::objects_of(manifest).map(str::to_owned);
        let objects = objects.filter(|name| names::parse_state_object(name).is_some());
        self.storage.delete(&objects.collect::<Vec<_>>())?;
        // CRASH: the claim last of all, since it keeps others away. A run may have begun behind it all the same: there
        // was no manifest that said whose the place is. Then it is a part of that run's log.
        if self.storage.list(names::LOG_DIR)? == [names::slot(CLAIM)] {
            self.storage.delete(&[names::slot(CLAIM)])?;
        }
        Ok(())
    }
}

/// Whose a slot is that was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Ours,
    Others,
}

/// The claim in front of a savepoint. No two of them are the same.
fn claim_for(manifest: &Manifest) -> Claim {
    Claim {
        job: manifest.job.clone(),
        generation: manifest.generation,
        nonce: fresh_nonce(),
        known_epoch: Epoch(manifest.epoch.0.saturating_sub(1)),
        fresh: false,
        started_unix_ms: manifest.written_unix_ms,
    }
}

fn not_of_state(name: &str) -> Error {
    Error::corrupt(format!("`{name}` is not the name of a state object"))
}

/// Copies a checkpoint to a place of its own, as a savepoint: the newest one, or that of an epoch. The job that it
/// belongs to may run meanwhile. Its epoch.
///
/// # Errors
///
/// `Invalid` if there is no such checkpoint, or the place is not empty; `Corrupt` if the checkpoint is damaged, or has
/// been deleted meanwhile; `Unavailable` if a storage does not answer.
pub fn export(
    from: &CheckpointLocation,
    epoch: Option<Epoch>,
    to: &CheckpointLocation,
) -> Result<Epoch> {
    export_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), from, epoch, to)
}

/// As [`export`], with directories on this disk.
///
/// # Errors
///
/// Those of [`export`].
pub fn export_on(
    disk: &Arc<dyn Disk>,
    from: &CheckpointLocation,
    epoch: Option<Epoch>,
    to: &CheckpointLocation,
) -> Result<Epoch> {
    let limits = TransferLimits::default();
    let storage = from.open_to_read(Arc::clone(disk), &limits)?;
    let mut log = read_log(&*storage)?;
    log.leave_out_latecomers();
    let manifest = log
        .manifests_on_line()
        .map(|(_, manifest)| manifest)
        .find(|manifest| epoch.is_none_or(|epoch| manifest.epoch == epoch))
        .ok_or_else(|| {
            let which = epoch.map_or(String::new(), |epoch| format!(" of epoch {epoch}"));
            Error::invalid(format!("there is no checkpoint{which} in {from}"))
        })?;
    let target = Target::open(to, Some(from), disk, &limits)?;
    target.fill(&*storage, manifest, &|| true)?;
    Ok(manifest.epoch)
}

/// Copies what a manifest of another storage names, under names of this generation and epoch; the manifest that
/// names the copies.
///
/// # Errors
///
/// `Corrupt` if an object is not what was written; `Unavailable` if a storage does not answer.
pub fn import(
    from: &dyn CheckpointStorage,
    to: &dyn CheckpointStorage,
    manifest: Manifest,
    (generation, epoch): (Generation, Epoch),
) -> Result<Manifest> {
    let renamed =
        |name: &str| names::imported(generation, epoch, name).ok_or_else(|| not_of_state(name));
    let mut taken = BTreeMap::new();
    for name in crate::protocol::objects_of(&manifest) {
        if let Some(other) = taken
            .insert(renamed(name)?, name)
            .filter(|other| *other != name)
        {
            return Err(Error::internal(format!(
                "`{name}` and `{other}` would have one name"
            )));
        }
    }
    copy_objects(from, to, &manifest, renamed)?;
    let mut imported = manifest;
    for reference in imported
        .snapshots
        .iter_mut()
        .flat_map(|snapshot| &mut snapshot.refs)
    {
        if let Location::Object { name, .. } = &mut reference.location {
            *name = renamed(name)?;
        }
    }
    Ok(imported)
}

/// Removes a savepoint that a restore has made its own: its manifest, what that names, and its claim.
///
/// # Errors
///
/// `Invalid` if the place holds anything but this savepoint; `Unavailable` if it does not answer.
pub fn remove(place: &dyn CheckpointStorage, savepoint: &Manifest) -> Result<()> {
    let log = read_log(place)?;
    let is_alone = log.slots.len() == 2
        && log
            .slots
            .iter()
            .any(|slot| slot.manifest() == Some(savepoint));
    if !is_alone || savepoint.kind != CheckpointKind::Savepoint {
        return Err(Error::invalid(format!(
            "{} holds something else than the savepoint that was restored: it stays",
            place.place()
        )));
    }
    let objects = crate::protocol::objects_of(savepoint).map(str::to_owned);
    place.delete(&[names::slot(MANIFEST)])?;
    place.delete(&objects.collect::<Vec<_>>())?;
    place.delete(&[names::slot(CLAIM)])
}

/// Copies every object that a manifest names, each once.
fn copy_objects(
    from: &dyn CheckpointStorage,
    to: &dyn CheckpointStorage,
    manifest: &Manifest,
    renamed: impl Fn(&str) -> Result<String> + Sync,
) -> Result<()> {
    let mut objects = BTreeMap::new();
    for snapshot in &manifest.snapshots {
        for reference in &snapshot.refs {
            if let Location::Object {
                name,
                len,
                checksum,
            } = &reference.location
            {
                objects.insert(name.as_str(), (*len, *checksum));
            }
        }
    }
    let objects: Vec<_> = objects.into_iter().collect();
    let next = AtomicUsize::new(0);
    let copy_some = || -> Result<()> {
        while let Some((name, (len, checksum))) = objects.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let copied = read_object(from, name, *len, *checksum)
                .and_then(|bytes| to.write(&renamed(name)?, &bytes));
            if let Err(error) = copied {
                // Whatever the others do: this one is missing.
                next.store(objects.len(), Ordering::Relaxed);
                return Err(error.context(format!("copying `{name}` to {}", to.place())));
            }
        }
        Ok(())
    };
    let bytes: u64 = objects.iter().map(|(_, (len, _))| len).sum();
    if bytes < WORTH_THREADS {
        return copy_some();
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.clamp(2, MOST_THREADS);
    thread::scope(|scope| {
        // What no thread can be started for, this one does.
        let others: Vec<_> = (1..threads)
            .map_while(|_| Builder::new().spawn_scoped(scope, copy_some).ok())
            .collect();
        let joined = others
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let all: Vec<Result<()>> = iter::once(copy_some()).chain(joined).collect();
        all.into_iter().collect()
    })
}
