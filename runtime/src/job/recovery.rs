//! What happens before the first record: claim the log, choose a checkpoint, put the sinks in order.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::start::{Environment, Versions};
use crate::connector::{
    Committable, SinkContext, SinkSnapshot, SourceSnapshot, SplitProgress, Transactional,
};
use crate::dataflow::{Blueprint, Restored, former_ids};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, WorkerIndex};
use crate::protocol::{
    ChosenCheckpoint, Claimant, CommitPermit, Keep, Location, LogView, Manifest, PlanDiff,
    RecoveryDecision, RecoveryFacts, RecoveryOptions, RestorePlan, SinkFacts, SlotNumber,
    SnapshotRef, StageChange, StageKind, Verification, VersionRules, choose_checkpoint,
    may_restore, rename_stages,
};
use crate::settings::Options;
use crate::storage::CheckpointStorage;
use crate::storage::log::{ClaimRequest, Claimed, LogWriter, claim, is_unclaimed};
use crate::storage::snapshots::verify_newest_first;

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
}

/// A transactional sink with what it needs to act outside of the flow.
struct SinkEnd {
    stage: StageId,
    sink: Arc<dyn Transactional>,
    context: SinkContext,
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
    let request = ClaimRequest {
        job: begin.job,
        fresh: options.fresh,
        started_unix_ms: begin.environment.clock.unix_millis(),
    };
    if claimant.is_new()
        && is_unclaimed(&*storage)?
        && let Err(refused) = begin.refuse_wrong_place()
        // Otherwise another run has begun meanwhile, and the output is its own.
        && is_unclaimed(&*storage)?
    {
        return Err(refused);
    }
    let Claimed { next_epoch, writer } = claim(Arc::clone(&storage), &request, claimant)?;
    let sinks = begin.sinks(writer.generation());
    let verified = if options.fresh {
        Vec::new()
    } else {
        verify_newest_first(&*storage, writer.log())?
    };
    let facts = facts_of(&sinks)?;
    // Whoever slept until here may have been overtaken, and what it has read is gone since: it must not
    // take an emptied log for that of a job that never was.
    writer.check_not_overtaken()?;
    // Above what is visible, too: output whose checkpoints are lost keeps its names.
    let visible = facts.iter().filter_map(|sink| sink.newest_epoch).max();
    let first_epoch = visible.map_or(next_epoch, |newest| next_epoch.max(newest.next()));
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
            let manifest = begin.as_named_now(manifest_of(&writer, &chosen)?)?;
            let plan = begin.check(&manifest)?;
            for skipped in &chosen.skipped {
                let epoch = chosen.epoch;
                tracing::warn!("{skipped}; falling back to the checkpoint of epoch {epoch}");
            }
            restore_sinks(&sinks, &manifest, &chosen)?;
            let damaged = verified.iter().filter_map(|(slot, verification)| {
                matches!(verification, Verification::Damaged { .. }).then_some(*slot)
            });
            Ok(Recovered {
                writer,
                first_epoch,
                key_groups: manifest.key_groups,
                restored: Arc::new(begin.discover(read_manifest(&manifest, &plan)?)?),
                from: Some(chosen.epoch),
                finished: manifest.finished,
                damaged: damaged.collect(),
            })
        }
    }
}

fn facts_of(sinks: &[SinkEnd]) -> Result<Vec<SinkFacts>> {
    sinks.iter().map(SinkEnd::facts).collect()
}

impl Beginning<'_> {
    /// Refuses a place without a log beside output of the job, as the choice of a checkpoint would, before
    /// anything is written there: it is mistyped, or its disk is away.
    fn refuse_wrong_place(&self) -> Result<()> {
        let facts = facts_of(&self.sinks(Generation::default()))?;
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
        })
    }

    /// Whether this flow, on so many workers, can go on from a checkpoint.
    fn check(&self, manifest: &Manifest) -> Result<RestorePlan> {
        let rules = VersionRules {
            migrations: &self.versions.migrations,
            allow_dropped: &self.options.allow_dropped,
        };
        let restore = may_restore(manifest, &self.blueprint.plan, manifest.key_groups, rules)?;
        self.tell(&restore.diff);
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

impl SinkEnd {
    fn facts(&self) -> Result<SinkFacts> {
        let output = self
            .sink
            .inspect(&self.context)
            .map_err(|e| e.in_stage(&self.stage))?;
        Ok(SinkFacts {
            stage: self.stage.clone(),
            place: output.place,
            visible: output.visible,
            newest_epoch: output.newest_epoch,
            can_take_back: true,
        })
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

/// Discards, takes back and commits, so that what is visible is what the checkpoint says.
///
/// CRASH: every step may be repeated: the next run claims the log, chooses the same checkpoint and
/// begins again.
fn restore_sinks(sinks: &[SinkEnd], manifest: &Manifest, chosen: &ChosenCheckpoint) -> Result<()> {
    for SinkEnd {
        stage,
        sink,
        context,
    } in sinks
    {
        let in_stage = |e: Error| e.in_stage(stage);
        let snapshots = manifest
            .snapshots
            .iter()
            .filter(|s| s.subtask.stage == *stage);
        let (mut named, mut unfinished) = (Vec::new(), Vec::new());
        for reference in snapshots.flat_map(|snapshot| &snapshot.refs) {
            let snapshot = SinkSnapshot::decode(inline(reference)?).map_err(in_stage)?;
            named.extend(
                snapshot
                    .committables
                    .into_iter()
                    .map(|(_, committable)| committable),
            );
            unfinished.extend(snapshot.unfinished);
        }
        // CRASH: discarded first, and only then looked at what is visible. An older run that is still
        // alive may commit what it has a permit for until nothing is staged any more, and the checkpoint that
        // permitted it may be one that was passed over.
        sink.discard_staged(context, &named, &unfinished)
            .map_err(in_stage)?;
        sink.take_back(context, chosen.epoch).map_err(in_stage)?;
        let Some(permit) = CommitPermit::of_published(manifest) else {
            continue;
        };
        let mut due: Vec<Committable> = named;
        for rest in &unfinished {
            due.extend(sink.finish(context, rest).map_err(in_stage)?);
        }
        let committer = sink.committer(context);
        for committable in &due {
            committer.commit(&permit, committable).map_err(in_stage)?;
        }
    }
    Ok(())
}

/// Sources and sinks stand in the manifest itself.
fn inline(reference: &SnapshotRef) -> Result<&[u8]> {
    match &reference.location {
        Location::Inline(bytes) => Ok(bytes),
        Location::Object { name, .. } => Err(Error::corrupt(format!(
            "the snapshot of a source or sink stands in the object `{name}`, not in the manifest"
        ))),
    }
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
        if plan.diff.drops(stage) {
            continue;
        }
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
