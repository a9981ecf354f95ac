//! What becomes of output before the first record: looked at, taken back, discarded, finished, committed.

use std::sync::Arc;

use crate::connector::{Committable, OutputFacts, SinkContext, SinkSnapshot, Transactional};
use crate::error::{Error, Result};
use crate::ids::StageId;
use crate::protocol::{ChosenCheckpoint, CommitPermit, Location, Manifest, SinkFacts, SnapshotRef};

/// A transactional sink with what it needs to act outside of the flow.
pub(super) struct SinkEnd {
    pub(super) stage: StageId,
    pub(super) sink: Arc<dyn Transactional>,
    pub(super) context: SinkContext,
}

pub(super) fn facts_of(sinks: &[SinkEnd]) -> Result<Vec<SinkFacts>> {
    Ok(outputs_of(sinks)?.iter().map(sink_facts).collect())
}

pub(super) fn outputs_of(sinks: &[SinkEnd]) -> Result<Vec<(StageId, OutputFacts)>> {
    let look = |end: &SinkEnd| {
        let output = end.sink.inspect(&end.context);
        let output = output.map_err(|e| e.in_stage(&end.stage))?;
        Ok((end.stage.clone(), output))
    };
    sinks.iter().map(look).collect()
}

pub(super) fn sink_facts((stage, output): &(StageId, OutputFacts)) -> SinkFacts {
    SinkFacts {
        stage: stage.clone(),
        place: output.place.clone(),
        visible: output.visible,
        newest_epoch: output.newest_epoch,
        can_take_back: true,
    }
}

/// Discards, takes back and commits, so that what is visible is what the checkpoint says.
///
/// CRASH: every step may be repeated: the next run claims the log, chooses the same checkpoint and
/// begins again.
pub(super) fn restore_sinks(
    sinks: &[SinkEnd],
    manifest: &Manifest,
    chosen: &ChosenCheckpoint,
) -> Result<()> {
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
        sink.take_back(context, chosen.kept).map_err(in_stage)?;
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
pub(super) fn inline(reference: &SnapshotRef) -> Result<&[u8]> {
    match &reference.location {
        Location::Inline(bytes) => Ok(bytes),
        Location::Object { name, .. } => Err(Error::corrupt(format!(
            "the snapshot of a source or sink stands in the object `{name}`, not in the manifest"
        ))),
    }
}
