//! Bringing another checkpoint into a job's own log, behind its claim.
//!
//! CRASH: first the objects under names of this generation, then the manifest that names them, and only then is output
//! taken back: by whoever recovers from that manifest, as often as it takes. Objects without their manifest are
//! deleted behind the next checkpoint.

use std::sync::Arc;

use super::recovery::Beginning;
use super::stop_sign::{StopSign, UntilStopped};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::{
    CheckpointKind, Insist, LogView, Manifest, OriginPlace, RestoreDecision, SlotContent,
    SlotNumber, SlotRole, Verification, Wanted, judge_restore,
};
use crate::settings::{RestoreFrom, RestoreMode};
use crate::storage::log::{
    ClaimRequest, Claimed, LogWriter, Publication, claim, new_claimant, read_log,
};
use crate::storage::snapshots::verify;
use crate::storage::{
    CheckpointLocation, CheckpointStorage, Disk, RealDisk, TransferLimits, export,
};

/// A checkpoint that is to be restored, as it was found.
pub(super) struct Sought {
    from: RestoreFrom,
    elsewhere: Option<Elsewhere>,
    insist: Insist,
}

/// What was found in another place.
struct Elsewhere {
    place: String,
    found: Result<Found>,
}

/// A checkpoint of another place.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) storage: Arc<dyn CheckpointStorage>,
    pub(super) manifest: Manifest,
}

impl Sought {
    /// Looks for it.
    pub(super) fn look(
        from: &RestoreFrom,
        insist: Insist,
        disk: &Arc<dyn Disk>,
        limits: &TransferLimits,
    ) -> Self {
        let elsewhere = from.location.as_ref().map(|location| Elsewhere {
            place: location.to_string(),
            found: Found::at(location, from.epoch, disk, limits),
        });
        Self {
            from: from.clone(),
            elsewhere,
            insist,
        }
    }

    /// The generation that wrote it: that of the log it is brought into must be a later one.
    pub(super) fn generation(&self) -> Generation {
        let found = self.elsewhere.as_ref().and_then(|e| e.found.as_ref().ok());
        found.map_or(Generation(0), |found| found.manifest.generation)
    }

    /// What is to be done about it, by this log.
    fn judge(&self, log: &LogView, place: &str) -> RestoreDecision {
        let wanted = match &self.elsewhere {
            None => Wanted::Own(self.from.epoch.unwrap_or_default()),
            Some(Elsewhere { place, found }) => Wanted::Elsewhere {
                place,
                epoch: self.from.epoch,
                found: found.as_ref().map(|found| &found.manifest),
            },
        };
        judge_restore(log, wanted, self.insist, place)
    }

    /// Refuses what can be refused before anything is written.
    pub(super) fn refuse(&self, own: &dyn CheckpointStorage, begin: Beginning<'_>) -> Result<()> {
        let mut log = read_log(own)?;
        log.leave_out_latecomers();
        match self.judge(&log, &own.place()) {
            RestoreDecision::GoOn => Ok(()),
            RestoreDecision::Refuse(error) => Err(error),
            RestoreDecision::GoBack(slot) => begin.refuse_unfit(manifest_in(&log, slot)?),
            RestoreDecision::Import => {
                let found = self.found()?;
                found.check(begin.job, self.from.mode)?;
                begin.refuse_unfit(&found.manifest)
            }
        }
    }

    /// Brings it in, unless that was done before; where its manifest stands then. Gives it up for a stop.
    pub(super) fn apply(
        &self,
        writer: &mut LogWriter,
        next_epoch: Epoch,
        now_unix_ms: u64,
        stop: &StopSign,
    ) -> Result<Option<SlotNumber>> {
        let storage = Arc::clone(writer.storage());
        let author = (writer.generation(), writer.nonce());
        let manifest = match self.judge(writer.log(), &storage.place()) {
            RestoreDecision::GoOn => return Ok(None),
            RestoreDecision::Refuse(error) => return Err(error),
            RestoreDecision::GoBack(slot) => {
                let manifest = manifest_in(writer.log(), slot)?.clone();
                let storage = &*storage;
                refuse_damaged(&UntilStopped { storage, stop }, &manifest)?;
                manifest.republish(OriginPlace::ThisLog, author, next_epoch)
            }
            RestoreDecision::Import => {
                let Found {
                    storage: from,
                    manifest,
                } = self.found()?;
                let epoch = next_epoch.max(manifest.epoch.next());
                let place = self
                    .elsewhere
                    .as_ref()
                    .map(|e| e.place.clone())
                    .unwrap_or_default();
                let from = UntilStopped {
                    storage: &**from,
                    stop,
                };
                let imported =
                    export::import(&from, &*storage, manifest.clone(), (author.0, epoch))
                        .map_err(|e| e.context(format!("restoring from {place}")))?;
                stop.check()?;
                imported.republish(OriginPlace::Elsewhere(place), author, epoch)
            }
        };
        let manifest = Manifest {
            written_unix_ms: now_unix_ms,
            ..manifest
        };
        match writer.publish(&manifest)? {
            Publication::Published { slot } => Ok(Some(slot)),
            Publication::Fenced { by } => Err(Error::fenced(format!(
                "generation {by} of the job `{}` has taken over: nothing is restored",
                manifest.job
            ))),
        }
    }

    fn found(&self) -> Result<&Found> {
        match self.elsewhere.as_ref().map(|elsewhere| &elsewhere.found) {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Error::internal("nothing was looked for in another place")),
        }
    }

    /// The savepoint that is to be deleted when the run has a checkpoint of its own.
    pub(super) fn into_claimed(self) -> Option<Found> {
        let found = self.elsewhere.and_then(|elsewhere| elsewhere.found.ok())?;
        (self.from.mode == RestoreMode::Claim).then_some(found)
    }
}

impl Found {
    /// The newest checkpoint of a place, or the one of an epoch.
    fn at(
        location: &CheckpointLocation,
        epoch: Option<Epoch>,
        disk: &Arc<dyn Disk>,
        limits: &TransferLimits,
    ) -> Result<Self> {
        let storage = location.open_to_read(Arc::clone(disk), limits)?;
        let mut log = read_log(&*storage)?;
        log.leave_out_latecomers();
        let is_it = |manifest: &Manifest| epoch.is_none_or(|epoch| manifest.epoch == epoch);
        let found = log
            .manifests_on_line()
            .find(|(_, manifest)| is_it(manifest));
        let newest = found.map(|(slot, _)| slot);
        if epoch.is_none()
            && let Some(damaged) = damaged_behind(&log, newest)
        {
            return Err(Error::corrupt(format!(
                "the newest checkpoint in {location} is damaged ({damaged}): name the epoch of an older one"
            )));
        }
        let Some((_, manifest)) = found else {
            let which = epoch.map_or(String::new(), |epoch| format!(" of epoch {epoch}"));
            return Err(Error::invalid(format!(
                "there is no checkpoint{which} in {location}"
            )));
        };
        Ok(Self {
            manifest: manifest.clone(),
            storage,
        })
    }

    fn check(&self, job: &str, mode: RestoreMode) -> Result<()> {
        if self.manifest.job != job {
            return Err(Error::invalid(format!(
                "{} holds checkpoints of the job `{}`, not of `{job}`",
                self.storage.place(),
                self.manifest.job
            )));
        }
        if mode == RestoreMode::Claim && self.manifest.kind != CheckpointKind::Savepoint {
            return Err(Error::invalid(format!(
                "{} holds checkpoints of a run, which cannot be claimed: only a savepoint can",
                self.storage.place()
            )));
        }
        Ok(())
    }

    /// Deletes the savepoint: the job has a checkpoint of its own.
    pub(super) fn delete(&self) {
        let place = self.storage.place();
        match export::remove(&*self.storage, &self.manifest) {
            Ok(()) => tracing::info!(place, "the savepoint that the job has claimed is deleted"),
            Err(error) => {
                tracing::warn!(%error, place, "the savepoint that the job has claimed stays");
            }
        }
    }
}

fn damaged_behind(log: &LogView, newest: Option<SlotNumber>) -> Option<String> {
    let later = log
        .since_fresh_start()
        .iter()
        .filter(|slot| newest.is_none_or(|newest| slot.number > newest));
    later.rev().find_map(|slot| match &slot.content {
        SlotContent::Damaged { author, reason }
            if author.is_none_or(|a| a.role == SlotRole::Manifest) =>
        {
            Some(reason.clone())
        }
        SlotContent::OtherVersion { reason } => Some(reason.clone()),
        SlotContent::Damaged { .. } | SlotContent::Claim(_) | SlotContent::Manifest(_) => None,
    })
}

fn refuse_damaged(storage: &dyn CheckpointStorage, manifest: &Manifest) -> Result<()> {
    match verify(storage, manifest)? {
        Verification::Whole => Ok(()),
        Verification::Damaged { object, reason } => Err(Error::corrupt(format!(
            "the checkpoint of epoch {} cannot be restored: `{object}`: {reason}",
            manifest.epoch
        ))),
    }
}

fn manifest_in(log: &LogView, slot: SlotNumber) -> Result<&Manifest> {
    log.slot(slot)
        .and_then(|slot| slot.manifest())
        .ok_or_else(|| Error::internal(format!("slot {slot} was chosen and holds no manifest")))
}

/// What a restore has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// The job.
    pub job: String,
    /// The epoch of the checkpoint that was restored.
    pub from: Epoch,
    /// Its epoch in the job's own directory, from which the next run begins.
    pub epoch: Epoch,
}

/// Makes a checkpoint the one that the next run of the job in `own` begins from, whatever it holds. Runs nothing, and
/// needs none of the job's code; a run that is under way ends, fenced. Output that is later than the checkpoint is
/// taken back by the next run.
///
/// # Errors
///
/// `Invalid` if there is no such checkpoint, or it is of another job; `Corrupt` if it is damaged; `Unavailable` if a
/// storage does not answer.
pub fn restore(own: &CheckpointLocation, from: &RestoreFrom) -> Result<Restoration> {
    restore_on(Arc::new(RealDisk), own, from)
}

/// As [`restore`], with directories on this disk.
///
/// # Errors
///
/// Those of [`restore`].
pub fn restore_on(
    disk: Arc<dyn Disk>,
    own: &CheckpointLocation,
    from: &RestoreFrom,
) -> Result<Restoration> {
    let mut wrong = Vec::new();
    from.wrong(Some(own), &mut wrong);
    if from.mode == RestoreMode::Claim {
        wrong.push("a savepoint is claimed by the run that begins from it: use `run`".to_owned());
    }
    if !wrong.is_empty() {
        return Err(Error::invalid(wrong.join("; ")));
    }
    let limits = TransferLimits::default();
    let sought = Sought::look(from, Insist::Always, &disk, &limits);
    let reading = own.open_to_read(Arc::clone(&disk), &limits)?;
    let mut log = read_log(&*reading)?;
    log.leave_out_latecomers();
    let job = match sought.judge(&log, &reading.place()) {
        RestoreDecision::Refuse(error) => return Err(error),
        RestoreDecision::GoBack(slot) => {
            let manifest = manifest_in(&log, slot)?;
            refuse_damaged(&*reading, manifest)?;
            manifest.job.clone()
        }
        RestoreDecision::Import => sought.found()?.manifest.job.clone(),
        RestoreDecision::GoOn => return Err(Error::internal("a restore that insists goes on")),
    };
    let storage = own.open(disk, &limits)?;
    sought.bring_in(&job, storage, crate::clock::Clock::system().unix_millis())
}

impl Sought {
    /// One that is at hand: the simulation has no places.
    pub(super) fn at_hand(from: &RestoreFrom, found: Option<Found>) -> Self {
        let elsewhere = found.map(|found| Elsewhere {
            place: found.storage.place(),
            found: Ok(found),
        });
        Self {
            from: from.clone(),
            elsewhere,
            insist: Insist::Always,
        }
    }

    /// Claims the log for nothing but this.
    pub(super) fn bring_in(
        &self,
        job: &str,
        storage: Arc<dyn CheckpointStorage>,
        now: u64,
    ) -> Result<Restoration> {
        let request = ClaimRequest {
            job,
            fresh: false,
            above: self.generation(),
            started_unix_ms: now,
        };
        let Claimed {
            next_epoch,
            mut writer,
        } = claim(storage, &request, &mut new_claimant())?;
        let slot = self.apply(&mut writer, next_epoch, now, &StopSign::default())?;
        let slot =
            slot.ok_or_else(|| Error::internal("a restore that insists has published nothing"))?;
        let manifest = manifest_in(writer.log(), slot)?;
        let origin = manifest
            .republished()
            .ok_or_else(|| Error::internal("it has no origin"))?;
        Ok(Restoration {
            job: job.to_owned(),
            from: origin.epoch,
            epoch: manifest.epoch,
        })
    }
}
