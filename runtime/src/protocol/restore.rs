//! Whether a run brings in another checkpoint before it begins, and what that leaves behind.
//!
//! A run is started with the same command line again and again, and so `run --restore-from X` must bring in X once:
//! behind that, its own log has checkpoints that descend from X, and it goes on from the newest of them.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::ids::Epoch;
use crate::protocol::{
    CheckpointKind, LogView, Manifest, OriginPlace, SlotContent, SlotNumber, SlotRole,
};

/// The checkpoint that is to be restored.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// An older one of the same log.
    Own(Epoch),
    /// One of another place.
    Elsewhere {
        /// The place, as text.
        place: &'a str,
        /// Its epoch; `None` is the newest one there.
        epoch: Option<Epoch>,
        /// What was found there.
        found: Result<&'a Manifest, &'a Error>,
    },
}

/// How much is meant by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insist {
    /// A run that may have begun before: what was restored once is not restored again.
    OnceOnly,
    /// Whatever the log holds is given up.
    Always,
}

/// What is done before a run begins.
#[derive(Clone, Debug)]
pub enum RestoreDecision {
    /// Nothing: the log descends from the checkpoint.
    GoOn,
    /// What was found elsewhere is brought in.
    Import,
    /// The checkpoint in this slot is published again.
    GoBack(SlotNumber),
    /// Nothing, and no run.
    Refuse(Error),
}

/// Decides what is done to restore a checkpoint into the place of this log.
pub fn judge_restore(
    log: &LogView,
    wanted: Wanted<'_>,
    insist: Insist,
    own_place: &str,
) -> RestoreDecision {
    let newest = log.manifests_newest_first().next().map(|(_, m)| m);
    if insist == Insist::OnceOnly {
        match newest {
            Some(newest) if descends_from(newest, wanted) => return RestoreDecision::GoOn,
            // Recovery says what is damaged.
            None if has_damaged_manifest(log) => return RestoreDecision::GoOn,
            Some(_) | None => {}
        }
    }
    match wanted {
        Wanted::Own(epoch) => go_back(log, epoch, own_place),
        Wanted::Elsewhere {
            found: Err(error), ..
        } => RestoreDecision::Refuse(error.clone()),
        Wanted::Elsewhere {
            place,
            found: Ok(found),
            ..
        } => match newest {
            Some(newest) if insist == Insist::OnceOnly => {
                let epoch = newest.epoch;
                RestoreDecision::Refuse(Error::invalid(format!(
                    "{own_place} holds checkpoints of its own (the newest is that of epoch {epoch}), which do not \
                     descend from {place}: give the run a checkpoint directory of its own, leave `--restore-from` \
                     away to go on from them, or give them up with the command `restore`"
                )))
            }
            Some(newest) if newest.may_have_taken_back(found.epoch) && is_of(log, found) => {
                RestoreDecision::Refuse(Error::invalid(format!(
                    "{place} cannot be restored here any more: output of epochs up to {} was taken back when an older \
                     checkpoint was restored, and would be missing",
                    found.epoch
                )))
            }
            Some(_) | None => RestoreDecision::Import,
        },
    }
}

/// Whether a run of this log, or of the one that it descends from, has written a checkpoint.
fn is_of(log: &LogView, found: &Manifest) -> bool {
    let run = (found.generation, found.nonce);
    let claimed = log.slots.iter().any(|slot| match &slot.content {
        SlotContent::Claim(claim) => (claim.generation, claim.nonce) == run,
        SlotContent::Manifest(_)
        | SlotContent::Damaged { .. }
        | SlotContent::OtherVersion { .. } => false,
    });
    let newest = log.manifests_newest_first().next();
    let origins = newest.map_or(&[][..], |(_, newest)| &newest.origins);
    claimed
        || origins
            .iter()
            .any(|origin| (origin.generation, origin.nonce) == run)
}

fn descends_from(newest: &Manifest, wanted: Wanted<'_>) -> bool {
    newest
        .origins
        .iter()
        .any(|origin| match (wanted, &origin.place) {
            (Wanted::Own(epoch), OriginPlace::ThisLog) => origin.epoch == epoch,
            (
                Wanted::Elsewhere {
                    place,
                    epoch,
                    found: Ok(found),
                },
                OriginPlace::Elsewhere(from),
            ) => {
                // The job there goes on: its newest checkpoint is another one each time.
                let is_newest_of_run = epoch.is_none() && found.kind == CheckpointKind::Checkpoint;
                origin.is_of(found) || is_newest_of_run && place == from
            }
            // It may have been deleted when it had done its service.
            (
                Wanted::Elsewhere {
                    place,
                    found: Err(_),
                    ..
                },
                OriginPlace::Elsewhere(from),
            ) => place == from,
            (Wanted::Own(_), OriginPlace::Elsewhere(_))
            | (Wanted::Elsewhere { .. }, OriginPlace::ThisLog) => false,
        })
}

fn go_back(log: &LogView, epoch: Epoch, place: &str) -> RestoreDecision {
    let slot_of = |(slot, m): (SlotNumber, &Manifest)| (m.epoch == epoch).then_some(slot);
    if let Some(slot) = log.manifests_on_line().find_map(slot_of) {
        return RestoreDecision::GoBack(slot);
    }
    let there: Vec<String> = log
        .manifests_on_line()
        .map(|(_, m)| m.epoch.to_string())
        .collect();
    let there = match there.as_slice() {
        [] => "it holds none".to_owned(),
        some => format!("it holds those of {}", some.join(", ")),
    };
    RestoreDecision::Refuse(Error::invalid(format!(
        "{place} holds no checkpoint of epoch {epoch}: {there}"
    )))
}

fn has_damaged_manifest(log: &LogView) -> bool {
    log.since_fresh_start()
        .iter()
        .any(|slot| match &slot.content {
            SlotContent::Damaged { author, .. } => {
                author.is_none_or(|a| a.role == SlotRole::Manifest)
            }
            SlotContent::OtherVersion { .. } => true,
            SlotContent::Claim(_) | SlotContent::Manifest(_) => false,
        })
}

/// The slots of the checkpoints that were given up when an older one was restored: they go before the output behind
/// it is taken back, since nobody must fall back to one of them then.
///
/// The newest manifest says which those are, also where what it names is damaged and a run begins from an older one: that
/// one knows nothing of the restore, and what the run publishes will not either.
pub fn left_behind(log: &LogView) -> Vec<SlotNumber> {
    let newest = log.manifests_newest_first().next().map(|(_, m)| m);
    let slots = log.slots.iter();
    slots
        .filter(|slot| {
            let older = slot.manifest().zip(newest);
            older.is_some_and(|(m, newest)| {
                m.epoch < newest.epoch && newest.has_left_behind(m.epoch)
            })
        })
        .map(|slot| slot.number)
        .collect()
}

impl LogView {
    /// As [`manifests_newest_first`](Self::manifests_newest_first), without those that the newest one has left
    /// behind.
    pub fn manifests_on_line(&self) -> impl Iterator<Item = (SlotNumber, &Manifest)> {
        let newest = self.manifests_newest_first().next().map(|(_, m)| m);
        self.manifests_newest_first()
            .filter(move |(_, m)| newest.is_none_or(|newest| !newest.has_left_behind(m.epoch)))
    }
}
