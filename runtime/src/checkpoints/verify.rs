//! Whether what is stored is what was written: every slot of the log, every object, and what they hold.
//!
//! Each byte of a checkpoint is under a checksum: a slot's under those of its frame, and with it the small snapshots that
//! stand in a manifest; an object's under that of its reference in the manifest. No checksum says that bytes stand
//! under the name that they were written to, or that they mean anything: so the order of the slots is looked at, and
//! whatever can be decoded without the types of the job.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Checkpoint, Checkpoints};
use crate::connector::{SinkSnapshot, SourceSnapshot};
use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{
    Location, Manifest, PlanStage, Slot, SlotContent, SlotNumber, SnapshotKind, SnapshotRef,
    StageKind, SubtaskSnapshot,
};
use crate::state::catalogue::names_of;
use crate::state::frames::untyped::{RawFrame, scan};
use crate::state::stored::StageShape;
use crate::storage::snapshots::read_whole;
use crate::storage::{frame, names};

/// A slot of the log that does not read, or stands where it was not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedSlot {
    /// Its position.
    pub slot: SlotNumber,
    /// Its name, relative to the checkpoint directory.
    pub name: String,
    /// The epoch that it tells of, if its header is whole.
    pub epoch: Option<Epoch>,
    /// What is wrong with it.
    pub reason: String,
}

/// Something that a checkpoint names and that is not what was written: a state object, or a snapshot in the manifest
/// itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// The name of the object, or that of the slot with the manifest.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found of objects, so that those which several checkpoints name are read once.
#[derive(Debug, Default)]
pub struct Verified(BTreeMap<(String, u64, u64), Option<String>>);

impl Checkpoints {
    /// The slots that do not read, that another version has written, or that do not stand where they were written.
    pub fn damaged_slots(&self) -> Vec<DamagedSlot> {
        let counting = self.log.since_fresh_start();
        let damaged = |slot: &Slot| {
            let (epoch, reason) = match &slot.content {
                SlotContent::Damaged { author, reason } => (author.map(|a| a.epoch), reason),
                SlotContent::OtherVersion { reason } => (None, reason),
                SlotContent::Claim(_) | SlotContent::Manifest(_) => return None,
            };
            Some(damaged_slot(slot.number, epoch, reason))
        };
        // A slot that was left out as a latecomer may be the one that does not stand where it was written.
        let first = counting.first().filter(|_| self.log.was_started_fresh());
        let first = first.map(|slot| slot.number);
        let misplaced = self.misplaced.iter();
        let misplaced = misplaced
            .filter(|misplaced| Some(misplaced.slot) >= first)
            .map(|misplaced| {
                let reason = format!(
                    "it does not stand where it was written: {}",
                    misplaced.reason
                );
                damaged_slot(misplaced.slot, Some(misplaced.epoch), &reason)
            });
        let mut all: Vec<DamagedSlot> = counting
            .iter()
            .filter_map(damaged)
            .chain(misplaced)
            .collect();
        all.sort_by_key(|damaged| damaged.slot);
        all
    }

    /// Checks that no slot that counts was written by another version.
    ///
    /// # Errors
    ///
    /// `Incompatible`, naming the slot: what this version can read is not all that there is.
    pub fn check_version(&self) -> Result<()> {
        let mut slots = self.log.since_fresh_start().iter().rev();
        let other = slots.find_map(|slot| match &slot.content {
            SlotContent::OtherVersion { reason } => Some((slot.number, reason)),
            SlotContent::Claim(_) | SlotContent::Manifest(_) | SlotContent::Damaged { .. } => None,
        });
        other.map_or(Ok(()), |(slot, reason)| {
            Err(Error::incompatible(format!(
                "`{}` in {} is of another version of flowdsl ({reason}): use a program that was built with that \
                 version",
                names::slot(slot),
                self.place()
            )))
        })
    }
}

fn damaged_slot(slot: SlotNumber, epoch: Option<Epoch>, reason: &str) -> DamagedSlot {
    DamagedSlot {
        slot,
        name: names::slot(slot),
        epoch,
        reason: reason.to_owned(),
    }
}

impl Checkpoint<'_> {
    /// Reads everything that the checkpoint names, and says what of it is not what was written.
    ///
    /// Whatever can be decoded without the types of the job is: what sources and sinks left, the frames of keyed state,
    /// the list of RocksDB's files. The entries in the frames are not: [`state`](Self::state) decodes them.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not answer: that says nothing about the bytes.
    pub fn verify(&self) -> Result<Vec<DamagedFile>> {
        self.verify_beside(&mut Verified::default())
    }

    /// As [`verify`](Self::verify), without reading again what `verified` has from other checkpoints.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_beside(&self, verified: &mut Verified) -> Result<Vec<DamagedFile>> {
        let mut damaged = Vec::new();
        for snapshot in &self.manifest.snapshots {
            for (at, reference) in snapshot.refs.iter().enumerate() {
                damaged.extend(self.verify_reference(snapshot, at, reference, verified)?);
            }
            if let Err(reason) = fits_together(self.manifest, snapshot) {
                damaged.push(self.in_manifest(snapshot, &reason));
            }
        }
        Ok(damaged)
    }

    fn verify_reference(
        &self,
        snapshot: &SubtaskSnapshot,
        at: usize,
        reference: &SnapshotRef,
        verified: &mut Verified,
    ) -> Result<Option<DamagedFile>> {
        let look = || {
            let bytes = read_whole(self.storage, reference)?;
            Ok(bytes
                .and_then(|bytes| self.decode(snapshot, reference, &bytes))
                .err())
        };
        match &reference.location {
            Location::Inline(_) => {
                let place = format!("reference {at}");
                let reason: Option<String> = look()?;
                Ok(reason.map(|reason| self.in_manifest(snapshot, &format!("{place}: {reason}"))))
            }
            Location::Object {
                name,
                len,
                checksum,
            } => {
                let key = (name.clone(), *len, *checksum);
                let reason = match verified.0.get(&key) {
                    Some(known) => known.clone(),
                    None => verified.0.entry(key).or_insert(look()?).clone(),
                };
                let name = name.clone();
                Ok(reason.map(|reason| DamagedFile { name, reason }))
            }
        }
    }

    fn in_manifest(&self, snapshot: &SubtaskSnapshot, reason: &str) -> DamagedFile {
        DamagedFile {
            name: names::slot(self.slot),
            reason: format!("the snapshot of {}: {reason}", snapshot.subtask),
        }
    }

    /// Decodes what needs no types, or says what is wrong with it.
    fn decode(
        &self,
        snapshot: &SubtaskSnapshot,
        reference: &SnapshotRef,
        bytes: &[u8],
    ) -> Result<(), String> {
        let is_file = reference.kind == SnapshotKind::RocksFile
            || reference.kind == SnapshotKind::RocksCatalogue;
        let body = match &reference.location {
            Location::Object { .. } if !is_file => self.body_of(bytes)?,
            Location::Object { .. } | Location::Inline(_) => bytes,
        };
        let stage = stage_of(self.manifest, snapshot);
        match (reference.kind, stage.map(|stage| stage.kind)) {
            (SnapshotKind::Operator, Some(StageKind::Source)) => {
                SourceSnapshot::decode(body).map(drop).map_err(text)
            }
            (SnapshotKind::Operator, Some(StageKind::TransactionalSink)) => {
                SinkSnapshot::decode(body).map(drop).map_err(text)
            }
            (SnapshotKind::KeyedFull | SnapshotKind::KeyedIncrement, Some(StageKind::Keyed)) => {
                scan_frames(stage, body).map_err(text)
            }
            (SnapshotKind::RocksCatalogue, Some(StageKind::Keyed)) => {
                names_of(body).map(drop).map_err(text)
            }
            (SnapshotKind::RocksFile, Some(StageKind::Keyed)) => Ok(()),
            (kind, Some(stage)) => Err(format!("it holds {kind:?}, and the stage is a {stage:?}")),
            (_, None) => Err("the plan of the checkpoint has no such stage".to_owned()),
        }
    }

    /// The body of an object of ours, which no later run can have written.
    fn body_of<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], String> {
        let (header, body) = frame::decode_kind(bytes, frame::FrameKind::Snapshot).map_err(text)?;
        if header.generation > self.manifest.generation || header.epoch > self.manifest.epoch {
            return Err(format!(
                "it was written by generation {} for epoch {}, behind the checkpoint that names it",
                header.generation, header.epoch
            ));
        }
        Ok(body)
    }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn stage_of<'m>(manifest: &'m Manifest, snapshot: &SubtaskSnapshot) -> Option<&'m PlanStage> {
    let mut stages = manifest.plan.stages.iter();
    stages.find(|stage| stage.id == snapshot.subtask.stage)
}

/// Looks through the frames of keyed state, and that each is of a table which the stage has.
fn scan_frames(stage: Option<&PlanStage>, body: &[u8]) -> Result<()> {
    let schema = stage.and_then(|stage| stage.schema.as_ref());
    // Without a schema nothing is known of the stage: its frames are frames all the same.
    let shape = schema.and_then(StageShape::of);
    scan(body, |_, found| {
        let Some(shape) = &shape else {
            return Ok(());
        };
        match found {
            RawFrame::Header { logic, .. } if logic != shape.logic() => {
                Err(Error::corrupt(format!(
                    "the plan says that {:?} are stored, and here are {logic:?}",
                    shape.logic()
                )))
            }
            RawFrame::Table(change) if shape.table(change.namespace).is_none() => {
                Err(Error::corrupt(format!(
                    "it is of a table, {:?}, of which the schema in the manifest knows nothing",
                    change.namespace
                )))
            }
            RawFrame::Header { .. } | RawFrame::Table(_) => Ok(()),
        }
    })
}

/// Whether the references of a subtask make one snapshot.
fn fits_together(manifest: &Manifest, snapshot: &SubtaskSnapshot) -> Result<(), String> {
    if snapshot.subtask.worker.0 >= manifest.worker_count {
        return Err(format!(
            "there were {} workers, and it is of worker {}",
            manifest.worker_count, snapshot.subtask.worker
        ));
    }
    let count = |kind| {
        snapshot
            .refs
            .iter()
            .filter(|reference| reference.kind == kind)
            .count()
    };
    match (
        count(SnapshotKind::RocksCatalogue),
        count(SnapshotKind::RocksFile),
    ) {
        (0, 0) => Ok(()),
        (1, files) => {
            let of_kind = |reference: &&SnapshotRef| reference.kind == SnapshotKind::RocksCatalogue;
            let catalogue = snapshot.refs.iter().find(of_kind);
            match catalogue.map(|reference| &reference.location) {
                // One that does not decode has been said.
                Some(Location::Inline(bytes)) => match names_of(bytes) {
                    Ok(names) if names.len() != files => Err(format!(
                        "its catalogue lists {} files, and there are {files}",
                        names.len()
                    )),
                    Ok(_) | Err(_) => Ok(()),
                },
                Some(Location::Object { .. }) | None => Ok(()),
            }
        }
        (catalogues, files) => Err(format!(
            "it has {catalogues} catalogues for {files} files of RocksDB"
        )),
    }
}
