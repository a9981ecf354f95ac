//! A place where checkpoints are looked for, and what is said where there are none.
//!
//! Looking makes nothing: a directory whose name was mistyped is as absent as before.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::Checkpoints;
use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{Claim, Manifest, SlotContent, SlotNumber};
use crate::storage::{
    CheckpointLocation, Disk, LocalStorage, RealDisk, TransferLimits, log::is_unclaimed, names,
};

impl Checkpoints {
    /// Reads what checkpoints there are at a location.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no checkpoint directory; `Unavailable` if the storage does not answer.
    pub fn open(location: &CheckpointLocation) -> Result<Self> {
        if let Some(dir) = location.dir() {
            look_for(&dir)?;
        }
        Self::open_in(location.open_to_read(Arc::new(RealDisk), &TransferLimits::default())?)
    }

    /// The place that they are in.
    pub fn place(&self) -> String {
        self.storage.place()
    }

    /// The name of the job that they belong to; `None` if no slot reads.
    pub fn job(&self) -> Option<&str> {
        self.log
            .slots
            .iter()
            .rev()
            .find_map(|slot| match &slot.content {
                SlotContent::Claim(claim) => Some(claim.job.as_str()),
                SlotContent::Manifest(manifest) => Some(manifest.job.as_str()),
                SlotContent::Damaged { .. } | SlotContent::OtherVersion { .. } => None,
            })
    }

    /// The claims that read, oldest first: one for each start of the job.
    pub fn claims(&self) -> impl Iterator<Item = (SlotNumber, &Claim)> {
        self.log
            .slots
            .iter()
            .filter_map(|slot| match &slot.content {
                SlotContent::Claim(claim) => Some((slot.number, claim)),
                SlotContent::Manifest(_)
                | SlotContent::Damaged { .. }
                | SlotContent::OtherVersion { .. } => None,
            })
    }

    /// The name of a slot, relative to the place.
    pub fn name_of(slot: SlotNumber) -> String {
        names::slot(slot)
    }

    pub(super) fn no_checkpoint(&self) -> Error {
        Error::invalid(format!("there is no checkpoint yet in {}", self.place()))
    }

    pub(super) fn no_such_checkpoint(&self, epoch: Epoch) -> Error {
        let epochs: Vec<String> = self
            .log
            .manifests_newest_first()
            .map(|(_, Manifest { epoch, .. })| epoch.to_string())
            .collect();
        let has = if epochs.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", epochs.join(", "))
        };
        Error::invalid(format!(
            "there is no checkpoint of epoch {epoch} in {}: {has}",
            self.place()
        ))
    }
}

/// Says what a directory is that is no checkpoint directory.
fn look_for(dir: &Path) -> Result<()> {
    let shown = dir.display();
    match RealDisk.len(dir) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Error::invalid(format!(
                "there is no directory {shown}: is it mistyped?"
            )));
        }
        Err(e) => {
            return Err(Error::unavailable(format!("cannot look at {shown}: {e}")));
        }
    }
    match RealDisk.list(dir) {
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(Error::invalid(format!(
                "{shown} is a file: name the checkpoint directory"
            )));
        }
        // Who may not list it may still read the log.
        Ok(_) | Err(_) => {}
    }
    let has_log =
        |dir: &Path| is_unclaimed(&LocalStorage::new(Arc::new(RealDisk), dir)).map(|no| !no);
    if has_log(dir)? {
        return Ok(());
    }
    let below = dir.join("checkpoints");
    let hint = if has_log(&below).unwrap_or(false) {
        format!(": did you mean {}?", below.display())
    } else {
        ": no job has begun there".to_owned()
    };
    Err(Error::invalid(format!(
        "{shown} is no checkpoint directory{hint}"
    )))
}
