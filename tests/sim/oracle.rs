//! What must always hold, looked at from outside after each change: the invariants of `ARCHITECTURE.md`.

mod claims;
mod visible;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use flowdsl_runtime::ids::{Epoch, Generation};
use flowdsl_runtime::protocol::{
    Location, Manifest, SlotContent, SlotNumber, SnapshotKind, SnapshotRef,
};
use flowdsl_runtime::storage::log::decode_slot;
use flowdsl_runtime::storage::names;
use xxhash_rust::xxh3::xxh3_64;

use crate::contents;
use crate::event::ProcessId;
use crate::output::{Output, Part};
use crate::scenario::Scenario;
use crate::store::Store;

/// A part of the names of what compactions have made.
pub(crate) const COMPACTED: &str = "-c";

pub(crate) type Check = Result<(), String>;

pub(crate) struct Oracle {
    scenario: Rc<Scenario>,
    /// The slots that are there, durable or not.
    slots: BTreeMap<SlotNumber, Found>,
    /// The last claim in the log: whose it is, is the newest run.
    newest: Option<Author>,
    /// Parts that a durable manifest has named.
    named: BTreeSet<Part>,
    /// Where each record of the visible output is.
    visible: BTreeMap<u32, Part>,
    /// Slots of manifests that were created by a request that came late, in a hole that retention had left. They
    /// are older than what is retained, and what they name may be gone.
    late: BTreeSet<SlotNumber>,
    /// Slots of claims that were created in such a hole, and so count for nothing.
    hole_claims: BTreeSet<SlotNumber>,
    /// The first attempt of each process whose run has begun anew.
    first_attempts: BTreeMap<ProcessId, ProcessId>,
    /// Processes that have begun, and those since whose beginning another one has claimed the log.
    begun: BTreeSet<ProcessId>,
    overtaken: BTreeSet<ProcessId>,
    /// What has happened that the simulation is there for.
    pub(crate) reached: Vec<&'static str>,
    /// What went bad, with the bytes as they were.
    pub(crate) damaged: BTreeMap<String, Arc<[u8]>>,
    /// Processes that have seen that they are the newest, and have deleted nothing since.
    confirmed: BTreeSet<ProcessId>,
    /// Damaged files of checkpoints that a run has passed over, and whose output is gone since.
    pub(crate) passed_over: BTreeSet<String>,
    /// The greatest epoch of any manifest.
    last_epoch: Epoch,
    /// The greatest epoch of any manifest that no loss of power takes back.
    last_durable_epoch: Epoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) process: ProcessId,
    pub(crate) slot: SlotNumber,
    pub(crate) generation: Generation,
    pub(crate) nonce: u64,
}

struct Found {
    bytes: Arc<[u8]>,
    durable: bool,
    content: Content,
}

enum Content {
    Claim(Author),
    Manifest(Box<Manifest>),
}

impl Found {
    fn manifest(&self) -> Option<&Manifest> {
        match &self.content {
            Content::Claim(_) => None,
            Content::Manifest(manifest) => Some(manifest),
        }
    }
}

impl Oracle {
    pub(crate) fn new(scenario: Rc<Scenario>) -> Self {
        Self {
            scenario,
            slots: BTreeMap::new(),
            newest: None,
            named: BTreeSet::new(),
            visible: BTreeMap::new(),
            late: BTreeSet::new(),
            hole_claims: BTreeSet::new(),
            first_attempts: BTreeMap::new(),
            begun: BTreeSet::new(),
            overtaken: BTreeSet::new(),
            reached: Vec::new(),
            passed_over: BTreeSet::new(),
            damaged: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            last_epoch: Epoch(0),
            last_durable_epoch: Epoch(0),
        }
    }

    /// Looks at the store after an operation of a process has changed something there.
    pub(crate) fn look(&mut self, process: ProcessId, store: &Store, output: &Output) -> Check {
        let there: BTreeSet<SlotNumber> = store
            .names(names::LOG_DIR)
            .iter()
            .filter_map(|name| names::parse_slot(name))
            .collect();
        let gone: Vec<SlotNumber> = self
            .slots
            .keys()
            .filter(|slot| !there.contains(slot))
            .copied()
            .collect();
        for slot in gone {
            self.is_gone(process, slot)?;
        }
        for slot in there {
            self.is_there(process, slot, store, output)?;
        }
        self.named_objects_are_there(store)
    }

    /// Invariant 12, for manifests: enough newer ones stay. Claims are never deleted.
    fn is_gone(&mut self, process: ProcessId, slot: SlotNumber) -> Check {
        let Some(found) = self.slots.remove(&slot) else {
            return Ok(());
        };
        let was_damaged = self.damaged.remove(&names::slot(slot)).is_some();
        if !found.durable {
            // A power loss: whoever made it had not been answered, and its epoch may come again.
            self.find_newest();
            let there = self.slots.values().filter_map(Found::manifest);
            let last = there.map(|manifest| manifest.epoch).max();
            self.last_epoch = last.unwrap_or(Epoch(0)).max(self.last_durable_epoch);
            return Ok(());
        }
        let Some(manifest) = found.manifest() else {
            if self.hole_claims.remove(&slot) {
                return Ok(());
            }
            return Err(format!("invariant 6: the claim in slot {slot} was deleted"));
        };
        if !self.is_newest(process) {
            // It was the newest when it last looked, and slept before it deleted: what it leaves is
            // enough for its own checkpoints, and a newer run may have fallen back behind them.
            self.reached.push("a deletion by a run that was overtaken");
            return Ok(());
        }
        let newer = self
            .slots
            .range(slot..)
            .filter(|(_, found)| found.manifest().is_some())
            .count();
        let newest = self.slots.values().rev().find_map(Found::manifest);
        if newest.is_some_and(|newest| newest.has_left_behind(manifest.epoch)) {
            self.reached.push("a checkpoint that was left behind");
            return Ok(());
        }
        if newer < self.scenario.retained.get() && !was_damaged && !self.is_damaged(slot, manifest)
        {
            return Err(format!(
                "invariant 12: the manifest of epoch {} (slot {slot}) was deleted, and only {newer} newer ones are \
                 there",
                manifest.epoch
            ));
        }
        Ok(())
    }

    fn is_there(
        &mut self,
        process: ProcessId,
        slot: SlotNumber,
        store: &Store,
        output: &Output,
    ) -> Check {
        let name = names::slot(slot);
        let (live, durable) = (store.live(&name), store.durable(&name));
        let Some(bytes) = live.clone().or_else(|| durable.clone()) else {
            return Ok(());
        };
        if self.late.contains(&slot) {
            return Ok(());
        }
        if let Some(found) = self.slots.get_mut(&slot) {
            let bytes = self.damaged.get(&name).unwrap_or(&bytes);
            if found.bytes != *bytes {
                return Err(format!("invariant 3: slot {slot} was changed"));
            }
            if durable.is_some() && !found.durable {
                found.durable = true;
                if let Content::Manifest(manifest) = &found.content {
                    self.last_durable_epoch = self.last_durable_epoch.max(manifest.epoch);
                    let parts = contents::named_parts(manifest)?;
                    self.named.extend(parts);
                }
            }
            return Ok(());
        }
        let content = match decode_slot(&bytes) {
            SlotContent::Claim(claim) => {
                let others = self.begun.iter().filter(|other| **other != process);
                self.overtaken.extend(others);
                if self.slots.range(slot..).next().is_some() {
                    self.hole_claims.insert(slot);
                    self.reached.push("a claim in a hole of the log");
                } else {
                    self.may_claim(process, slot)?;
                }
                Content::Claim(Author {
                    process,
                    slot,
                    generation: claim.generation,
                    nonce: claim.nonce,
                })
            }
            SlotContent::Manifest(_) if self.slots.range(slot..).next().is_some() => {
                self.late.insert(slot);
                self.reached.push("a manifest in a hole of the log");
                return Ok(());
            }
            SlotContent::Manifest(manifest) => {
                self.is_new(slot, &manifest, store, output)?;
                if durable.is_some() {
                    self.last_durable_epoch = self.last_durable_epoch.max(manifest.epoch);
                    self.named.extend(contents::named_parts(&manifest)?);
                }
                Content::Manifest(manifest)
            }
            SlotContent::Damaged { reason, .. } | SlotContent::OtherVersion { reason } => {
                return Err(format!("slot {slot} does not read: {reason}"));
            }
        };
        let found = Found {
            bytes,
            durable: durable.is_some(),
            content,
        };
        self.slots.insert(slot, found);
        self.find_newest();
        Ok(())
    }

    /// Invariants 3, 5 and 6 of a manifest that has just been created.
    fn is_new(
        &mut self,
        slot: SlotNumber,
        manifest: &Manifest,
        store: &Store,
        output: &Output,
    ) -> Check {
        let of = format!("the manifest of epoch {} (slot {slot})", manifest.epoch);
        let author = (manifest.generation, manifest.nonce);
        match self.newest {
            Some(newest) if (newest.generation, newest.nonce) == author && newest.slot < slot => {}
            newest => {
                return Err(format!(
                    "invariant 6: generation {} published {of}, but the newest run is {newest:?}",
                    manifest.generation
                ));
            }
        }
        if manifest.epoch <= self.last_epoch {
            return Err(format!("{of} is not above epoch {}", self.last_epoch));
        }
        self.last_epoch = manifest.epoch;
        self.has_snapshots(manifest);
        for (name, len, checksum) in objects(manifest) {
            if self.damaged.contains_key(name) {
                continue;
            }
            for (bytes, how) in [
                (store.live(name), "there"),
                (store.durable(name), "durable"),
            ] {
                if bytes.is_none_or(|b| (b.len() as u64, xxh3_64(&b)) != (len, checksum)) {
                    return Err(format!(
                        "invariant 3: {of} names {name}, which is not {how}"
                    ));
                }
            }
        }
        if !self.is_damaged(slot, manifest) {
            let is_right = if manifest.republished().is_some() {
                self.reached
                    .push("a checkpoint that was restored from elsewhere, or from before");
                // Later output is visible until a run begins from it.
                contents::is_of_its_records(manifest, &self.scenario, store)
            } else {
                contents::check(manifest, &self.scenario, store, output)
            };
            is_right.map_err(|why| format!("{of}: {why}"))?;
        }
        Ok(())
    }

    fn has_snapshots(&mut self, manifest: &Manifest) {
        for snapshot in &manifest.snapshots {
            let is = |kind| move |reference: &&SnapshotRef| reference.kind == kind;
            let increments = snapshot
                .refs
                .iter()
                .filter(is(SnapshotKind::KeyedIncrement));
            if increments.count() > 0 {
                self.reached.push("an increment");
            }
            for reference in &snapshot.refs {
                if let Location::Object { name, .. } = &reference.location
                    && name.contains(COMPACTED)
                {
                    self.reached.push(match reference.kind {
                        SnapshotKind::KeyedFull => "a full snapshot that was compacted",
                        _ => "increments that were compacted",
                    });
                }
            }
            let parts = snapshot.refs.iter().filter(is(SnapshotKind::KeyedFull));
            if parts.count() > 1 {
                self.reached.push("a snapshot in several objects");
            }
        }
    }

    /// Invariants 3 and 12, for objects: whatever a manifest that is there names is there, too.
    fn named_objects_are_there(&self, store: &Store) -> Check {
        for (slot, found) in &self.slots {
            let Some(manifest) = found.manifest() else {
                continue;
            };
            if self.is_damaged(*slot, manifest) {
                continue;
            }
            for (name, len, _) in objects(manifest) {
                for (bytes, how) in [
                    (store.live(name), "gone"),
                    (store.durable(name), "not durable"),
                ] {
                    if bytes.is_none_or(|bytes| bytes.len() as u64 != len) {
                        return Err(format!(
                            "invariant 12: {name} is {how}, and the manifest of epoch {} (slot {slot}) names it",
                            manifest.epoch
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a manifest, or an object that it names, was damaged by the world.
    fn is_damaged(&self, slot: SlotNumber, manifest: &Manifest) -> bool {
        self.damaged.contains_key(&names::slot(slot))
            || objects(manifest).any(|(name, ..)| self.damaged.contains_key(name))
    }

    /// The epochs of all checkpoints that are there.
    pub(crate) fn epochs(&self) -> Vec<Epoch> {
        let there = self.slots.values().filter_map(Found::manifest);
        there.map(|manifest| manifest.epoch).collect()
    }

    /// The checkpoints that are whole, oldest first, with what each of them names.
    pub(crate) fn whole(&self) -> Vec<(SlotNumber, Vec<String>)> {
        let whole = |(slot, found): (&SlotNumber, &Found)| {
            let manifest = found.manifest()?;
            let names = objects(manifest)
                .map(|(name, ..)| name.to_owned())
                .collect();
            (!self.is_damaged(*slot, manifest)).then_some((*slot, names))
        };
        self.slots.iter().filter_map(whole).collect()
    }
}

fn objects(manifest: &Manifest) -> impl Iterator<Item = (&str, u64, u64)> {
    let refs = manifest.snapshots.iter().flat_map(|s| &s.refs);
    refs.filter_map(|reference| match &reference.location {
        Location::Object {
            name,
            len,
            checksum,
        } => Some((name.as_str(), *len, *checksum)),
        Location::Inline(_) => None,
    })
}
