//! What happens before the first record: claim the log, choose a checkpoint, put the sinks in order.

mod sinks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use self::sinks::{SinkEnd, facts_of, inline, outputs_of, restore_sinks, sink_facts};
use super::restoring::{Found, Sought};
use super::start::{Environment, Versions};
use super::stop_sign::{StopSign, UntilStopped};
use crate::connector::{OutputFacts, SinkContext, SourceSnapshot, SplitProgress, Transactional};
use crate::dataflow::{Blueprint, Restored, former_ids};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, WorkerIndex};
use crate::protocol::{
    ChosenCheckpoint, Claimant, CleanupPlan, Insist, Keep, LogView, Manifest, Origin, PlanDiff,
    RecoveryDecision, RecoveryFacts, RecoveryOptions, RestorePlan, SinkFacts, SlotNumber,
    StageChange, StageKind, Verification, VersionRules, choose_checkpoint, may_restore,
    rename_stages,
};
use crate::settings::Options;
use crate::storage::log::{ClaimRequest, Claimed, LogWriter, claim, is_unclaimed};
use crate::storage::snapshots::verify_newest_first;
use crate::storage::{CheckpointStorage, cleanup};

/// What a run begins with.
pub(super) struct Recovered {
    pub(super) writer: LogWriter,
    pub(super) first_epoch: Epoch,
    pub(super) key_groups: KeyGroupCount,
    pub(super) restored: Arc<Restored>,
    /// The checkpoint that the run begins from.
    pub(super) from: Option<Epoch>,
    /// All input was read in an earlier run.
    pub(super) finished: bool,
    /// Manifests that name damaged objects.
    pub(super) damaged: BTreeSet<SlotNumber>,
    /// The restores that the checkpoint descends from.
    pub(super) origins: Vec<Origin>,
    /// A savepoint that is deleted behind the first checkpoint.
    pub(super) claimed: Option<Found>,
    /// The newest checkpoint, where the run begins from it and not from an older one.
    pub(super) newest: Option<SlotNumber>,
}

/// A run that wants to begin.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub(super) job: &'a Arc<str>,
    pub(super) blueprint: &'a Blueprint,
    pub(super) options: &'a Options,
    pub(super) environment: &'a Environment,
    pub(super) worker_count: usize,
    pub(super) versions: &'a Versions,
}

/// Claims the log and puts everything in its place.
pub(super) fn recover(
    begin: Beginning<'_>,
    claimant: &mut Claimant,
    storage: Arc<dyn CheckpointStorage>,
) -> Result<Recovered> {
    let options = begin.options;
    let now = begin.environment.clock.unix_millis();
    let sought = begin.sought();
    let request = ClaimRequest {
        job: begin.job,
        fresh: options.fresh,
        above: begin.refuse_early(&*storage, claimant, sought.as_ref())?,
        started_unix_ms: now,
    };
    let claimed = claim(Arc::clone(&storage), &request, claimant)?;
    let Claimed {
        next_epoch,
        mut writer,
    } = claimed;
    let stop = begin.environment.handle.stop_sign();
    let brought_in = match &sought {
        Some(sought) => sought.apply(&mut writer, next_epoch, now, stop)?,
        None => None,
    };
    let sinks = begin.sinks(writer.generation());
    let verified = match brought_in {
        _ if options.fresh => Vec::new(),
        // Each object was compared with what the manifest says.
        Some(slot) => vec![(slot, Verification::Whole)],
        None => {
            let storage = &*storage;
            verify_newest_first(&UntilStopped { storage, stop }, writer.log())?
        }
    };
    let facts = facts_of(&sinks)?;
    // Whoever slept until here may have been overtaken, and what it has read is gone since: it must not
    // take an emptied log for that of a job that never was.
    writer.check_not_overtaken()?;
    // Above what is visible, too: output whose checkpoints are lost keeps its names.
    let visible = facts.iter().filter_map(|sink| sink.newest_epoch).max();
    let published = writer.log().known_epoch(&[]).next();
    let first_epoch = visible.map_or(next_epoch, |newest| next_epoch.max(newest.next()));
    let first_epoch = first_epoch.max(published);
    let decision = choose_checkpoint(&RecoveryFacts {
        log: writer.log(),
        verified: &verified,
        sinks: &facts,
        options: begin.allowed(),
    });
    match decision {
        RecoveryDecision::Refuse(error) => Err(error),
        RecoveryDecision::Fresh => {
            for sink in &sinks {
                sink.sink
                    .discard_staged(&sink.context, &[], &[])
                    .map_err(|e| e.in_stage(&sink.stage))?;
            }
            begin.afresh(writer, first_epoch)
        }
        RecoveryDecision::FreshAfterClearing => {
            for sink in &sinks {
                sink.sink
                    .clear(&sink.context)
                    .map_err(|e| e.in_stage(&sink.stage))?;
            }
            begin.afresh(writer, first_epoch)
        }
        RecoveryDecision::Restore(chosen) | RecoveryDecision::Finished(chosen) => {
            let damaged = verified.iter().filter_map(|(slot, verification)| {
                matches!(verification, Verification::Damaged { .. }).then_some(*slot)
            });
            let recovered = begin.begin_at(writer, &sinks, &chosen, stop)?;
            Ok(Recovered {
                first_epoch,
                damaged: damaged.collect(),
                claimed: sought.and_then(Sought::into_claimed),
                ..recovered
            })
        }
    }
}

impl Beginning<'_> {
    /// The checkpoint that is to be brought in first, unless an earlier attempt or run has done so.
    fn sought(&self) -> Option<Sought> {
        let from = self.options.restore_from.as_ref()?;
        let limits = &self.options.limits.transfers;
        Some(Sought::look(
            from,
            Insist::OnceOnly,
            &self.environment.disk,
            limits,
        ))
    }

    /// Refuses what can be refused before anything is written; otherwise the generation that this run must be later
    /// than. Output may be of a later one than the log: that of another checkpoint directory.
    fn refuse_early(
        &self,
        storage: &dyn CheckpointStorage,
        claimant: &Claimant,
        sought: Option<&Sought>,
    ) -> Result<Generation> {
        let is_first = claimant.is_new() && is_unclaimed(storage)?;
        let outputs = outputs_of(&self.sinks(Generation::default()))?;
        if let Some(sought) = sought {
            sought.refuse(storage, *self)?;
        } else if is_first
            && let Err(refused) = self.refuse_wrong_place(&outputs)
            // Otherwise another run has begun meanwhile, and the output is its own.
            && is_unclaimed(storage)?
        {
            return Err(refused);
        }
        let of_output = outputs
            .iter()
            .filter_map(|(_, output)| output.newest_generation)
            .max();
        let of_sought = sought.map(Sought::generation);
        Ok(of_output.max(of_sought).unwrap_or_default())
    }

    /// Refuses a place without a log beside output of the job, as the choice of a checkpoint would, before
    /// anything is written there: it is mistyped, or its disk is away.
    fn refuse_wrong_place(&self, outputs: &[(StageId, OutputFacts)]) -> Result<()> {
        let facts: Vec<SinkFacts> = outputs.iter().map(sink_facts).collect();
        let decision = choose_checkpoint(&RecoveryFacts {
            log: &LogView::default(),
            verified: &[],
            sinks: &facts,
            options: self.allowed(),
        });
        match decision {
            RecoveryDecision::Refuse(error) => Err(error),
            RecoveryDecision::Fresh
            | RecoveryDecision::FreshAfterClearing
            | RecoveryDecision::Restore(_)
            | RecoveryDecision::Finished(_) => Ok(()),
        }
    }

    fn allowed(&self) -> RecoveryOptions {
        RecoveryOptions {
            fresh: self.options.fresh,
            accept_duplicates: self.options.accept_duplicates,
        }
    }

    fn sinks(&self, generation: Generation) -> Vec<SinkEnd> {
        let end = |(stage, sink): &(StageId, Arc<dyn Transactional>)| SinkEnd {
            stage: stage.clone(),
            sink: Arc::clone(sink),
            context: SinkContext {
                job: Arc::clone(self.job),
                stage: stage.clone(),
                worker: WorkerIndex(0),
                worker_count: self.worker_count,
                generation,
                disk: Arc::clone(&self.environment.disk),
                clock: self.environment.clock.clone(),
                formerly: former_ids(&self.versions.renamed, stage),
            },
        };
        self.blueprint.sinks.iter().map(end).collect()
    }

    fn afresh(&self, writer: LogWriter, first_epoch: Epoch) -> Result<Recovered> {
        Ok(Recovered {
            writer,
            first_epoch,
            key_groups: self.options.key_groups,
            restored: Arc::new(self.discover(Restored::default())?),
            from: None,
            finished: false,
            damaged: BTreeSet::new(),
            origins: Vec::new(),
            claimed: None,
            newest: None,
        })
    }

    /// Puts output into the state of a checkpoint, and reads where everybody stands.
    fn begin_at(
        &self,
        mut writer: LogWriter,
        sinks: &[SinkEnd],
        chosen: &ChosenCheckpoint,
        stop: &StopSign,
    ) -> Result<Recovered> {
        let mut manifest = self.as_named_now(manifest_of(&writer, chosen)?)?;
        let plan = self.check(&manifest)?;
        // A finished job has nothing left to do that takes long.
        if !manifest.finished {
            stop.check()?;
        }
        for skipped in &chosen.skipped {
            let epoch = chosen.epoch;
            tracing::warn!("{skipped}; falling back to the checkpoint of epoch {epoch}");
        }
        // CRASH: before output is taken back behind them.
        let left_behind = CleanupPlan::of_left_behind(writer.log());
        cleanup::execute(&left_behind, &mut writer)?;
        // What is dropped is nobody's: the stage may be a sink now, and was none.
        let snapshots = &mut manifest.snapshots;
        snapshots.retain(|snapshot| !plan.diff.drops(&snapshot.subtask.stage));
        restore_sinks(sinks, &manifest, chosen)?;
        let newest = writer.log().manifests_newest_first().next();
        let newest = newest.map(|(slot, _)| slot);
        Ok(Recovered {
            newest: newest.filter(|slot| *slot == chosen.slot),
            writer,
            first_epoch: manifest.epoch.next(),
            key_groups: manifest.key_groups,
            restored: Arc::new(self.discover(read_manifest(&manifest, &plan)?)?),
            from: Some(chosen.epoch),
            finished: manifest.finished,
            damaged: BTreeSet::new(),
            origins: manifest.origins,
            claimed: None,
        })
    }

    /// Whether this flow, on so many workers, can go on from a checkpoint.
    fn check(&self, manifest: &Manifest) -> Result<RestorePlan> {
        let restore = self.fits(manifest)?;
        self.tell(&restore.diff);
        Ok(restore)
    }

    /// Refuses a checkpoint that this flow cannot go on from.
    pub(super) fn refuse_unfit(&self, manifest: &Manifest) -> Result<()> {
        let manifest = self.as_named_now(manifest.clone())?;
        self.fits(&manifest).map(drop)
    }

    fn fits(&self, manifest: &Manifest) -> Result<RestorePlan> {
        let rules = VersionRules {
            migrations: &self.versions.migrations,
            allow_dropped: &self.options.allow_dropped,
        };
        let restore = may_restore(manifest, &self.blueprint.plan, manifest.key_groups, rules)?;
        let groups = manifest.key_groups.get() as usize;
        if self.worker_count > groups {
            return Err(Error::invalid(format!(
                "{} workers share {groups} key groups, whose number is fixed for the job's life: use fewer workers",
                self.worker_count
            )));
        }
        Ok(restore)
    }

    /// Says what has changed since the checkpoint, if anything has.
    fn tell(&self, diff: &PlanDiff) {
        if !diff.is_same() {
            tracing::info!("since the checkpoint the flow has changed:\n{diff}");
        }
        let needless = self.options.allow_dropped.iter().filter(|stage| {
            let stage = diff.stages.iter().find(|diff| diff.id == **stage);
            stage.is_none_or(|stage| stage.change == StageChange::Same)
        });
        for stage in needless {
            tracing::info!("the state of `{stage}` may be dropped, and nothing of it is");
        }
    }

    /// A manifest, with its stages called what they are called now.
    fn as_named_now(&self, manifest: Manifest) -> Result<Manifest> {
        rename_stages(manifest, &self.versions.renamed, &self.blueprint.plan)
    }

    /// Finds the splits of sources that the checkpoint does not know, and sorts all of them.
    fn discover(&self, mut restored: Restored) -> Result<Restored> {
        restored.renamed.clone_from(&self.versions.renamed);
        for (stage, discover) in &self.blueprint.sources {
            if !restored.splits.contains_key(stage) {
                let splits = discover().map_err(|e| e.in_stage(stage))?;
                restored.splits.insert(
                    stage.clone(),
                    splits.into_iter().map(SplitProgress::unread).collect(),
                );
            }
        }
        for splits in restored.splits.values_mut() {
            splits.sort_by(|a, b| a.split.id.cmp(&b.split.id));
        }
        Ok(restored)
    }
}

fn manifest_of(writer: &LogWriter, chosen: &ChosenCheckpoint) -> Result<Manifest> {
    let slot = writer
        .log()
        .slot(chosen.slot)
        .and_then(|slot| slot.manifest());
    slot.cloned().ok_or_else(|| {
        Error::internal(format!(
            "slot {} was chosen and holds no manifest",
            chosen.slot
        ))
    })
}

/// Sorts the snapshots of a manifest by what reads them.
fn read_manifest(manifest: &Manifest, plan: &RestorePlan) -> Result<Restored> {
    let kinds: BTreeMap<&StageId, StageKind> = manifest
        .plan
        .stages
        .iter()
        .map(|s| (&s.id, s.kind))
        .collect();
    let mut restored = Restored {
        worker_count: manifest.worker_count as usize,
        evolved: plan.evolved.clone(),
        ..Restored::default()
    };
    for snapshot in &manifest.snapshots {
        let stage = &snapshot.subtask.stage;
        match kinds.get(stage) {
            Some(StageKind::Source) => {
                let splits = restored.splits.entry(stage.clone()).or_default();
                for reference in &snapshot.refs {
                    splits.extend(
                        SourceSnapshot::decode(inline(reference)?)
                            .map_err(|e| e.in_stage(stage))?
                            .splits,
                    );
                }
            }
            Some(StageKind::Keyed) => {
                let keyed = restored.keyed.entry(stage.clone()).or_default();
                keyed.push((snapshot.subtask.worker, snapshot.refs.clone()));
            }
            Some(StageKind::TransactionalSink | StageKind::Sink | StageKind::Stateless) | None => {}
        }
    }
    Ok(restored)
}

/// The checkpoints to keep while the job runs, as the settings were checked.
pub(super) fn kept_while_running(options: &Options) -> Keep {
    Keep::Newest(NonZeroUsize::new(options.checkpoints.retained).unwrap_or(NonZeroUsize::MIN))
}
