//! `checkpoints diff`.

use std::collections::BTreeMap;
use std::io::Write;

use flowdsl_runtime::connector::SplitProgress;
use flowdsl_runtime::ids::{Epoch, SplitId, StageId};
use flowdsl_runtime::protocol::{PlanStage, StageKind};
use serde_json::json;

use super::args::DiffArgs;
use super::out::{End, Form, Verdict, document, line};
use super::show::stage_word;
use super::table::{Align, Table};
use crate::Error;
use crate::checkpoints::{Checkpoint, Checkpoints, StateChange};
use crate::cli::numbers::grouped;

/// How much of a stage differs.
struct StageChanges {
    stage: StageId,
    kind: StageKind,
    counts: Counts,
    /// What else is to be said.
    note: Option<&'static str>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    added: u64,
    removed: u64,
    changed: u64,
}

pub(super) fn diff(
    checkpoints: &Checkpoints,
    args: &DiffArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let earlier = checkpoints.of_epoch(Epoch(args.earlier))?;
    let later = checkpoints.of_epoch(Epoch(args.later))?;
    if let Some(stage) = &args.entries {
        let stage = StageId::new(stage.as_str());
        for change in earlier.state(&stage)?.changes_to(later.state(&stage)?) {
            line(out, &change?)?;
        }
        return Ok(Verdict::Fine);
    }
    let stages = stages(&earlier, &later)?;
    match form {
        Form::Json => {
            let each = |stage: &StageChanges| {
                json!({
                    "stage": stage.stage,
                    "kind": stage_word(stage.kind),
                    "added": stage.counts.added,
                    "removed": stage.counts.removed,
                    "changed": stage.counts.changed,
                    "note": stage.note,
                })
            };
            let document_of = json!({
                "place": checkpoints.place(),
                "from": args.earlier,
                "to": args.later,
                "worker_counts": [earlier.summary().worker_count, later.summary().worker_count],
                "stages": stages.iter().map(each).collect::<Vec<_>>(),
            });
            document(out, &document_of)?;
        }
        Form::Text => as_text(&earlier, &later, &stages, out)?,
    }
    Ok(Verdict::Fine)
}

fn as_text(
    earlier: &Checkpoint<'_>,
    later: &Checkpoint<'_>,
    stages: &[StageChanges],
    out: &mut dyn Write,
) -> Result<(), End> {
    let [from, to] = [earlier, later].map(Checkpoint::summary);
    writeln!(
        out,
        "from checkpoint {} to checkpoint {}",
        from.epoch, to.epoch
    )?;
    if from.worker_count != to.worker_count {
        writeln!(out, "workers: {} -> {}", from.worker_count, to.worker_count)?;
    }
    let mut table = Table::of(&[
        ("STAGE", Align::Left),
        ("OF WHAT", Align::Left),
        ("ADDED", Align::Right),
        ("REMOVED", Align::Right),
        ("CHANGED", Align::Right),
        ("", Align::Left),
    ]);
    for stage in stages {
        let counts = stage.counts;
        table.row([
            stage.stage.to_string(),
            if stage.kind == StageKind::Source {
                "splits"
            } else {
                "entries"
            }
            .to_owned(),
            grouped(counts.added),
            grouped(counts.removed),
            grouped(counts.changed),
            stage.note.unwrap_or_default().to_owned(),
        ]);
    }
    writeln!(out)?;
    Ok(table.write(out)?)
}

/// The sources and the keyed stages of both, each with what differs.
fn stages(earlier: &Checkpoint<'_>, later: &Checkpoint<'_>) -> Result<Vec<StageChanges>, Error> {
    let [before, after] = [earlier, later].map(|of| &of.manifest().plan.stages);
    let find = |stages: &'_ [PlanStage], stage: &PlanStage| {
        stages
            .iter()
            .any(|other| (&other.id, other.kind) == (&stage.id, stage.kind))
    };
    let mut found = Vec::new();
    for stage in after {
        let was = before.iter().find(|other| other.id == stage.id);
        let note = match was {
            None => Some("is new"),
            Some(was) if was.kind != stage.kind => Some("was another kind of stage"),
            Some(was) if was.schema != stage.schema => Some("its schema has changed"),
            Some(_) => None,
        };
        let from = find(before, stage).then_some(earlier);
        found.extend(changes(stage, from, Some(later), note)?);
    }
    for stage in before.iter().filter(|stage| !find(after, stage)) {
        found.extend(changes(stage, Some(earlier), None, Some("is gone"))?);
    }
    Ok(found)
}

/// What differs in a stage between two checkpoints, of which one may not have it.
fn changes(
    stage: &PlanStage,
    earlier: Option<&Checkpoint<'_>>,
    later: Option<&Checkpoint<'_>>,
    note: Option<&'static str>,
) -> Result<Option<StageChanges>, Error> {
    let counts = match stage.kind {
        StageKind::Keyed => entries(&stage.id, earlier, later)?,
        StageKind::Source => splits(&stage.id, earlier, later)?,
        StageKind::Stateless | StageKind::Sink | StageKind::TransactionalSink => return Ok(None),
    };
    Ok(Some(StageChanges {
        stage: stage.id.clone(),
        kind: stage.kind,
        counts,
        note,
    }))
}

fn entries(
    stage: &StageId,
    earlier: Option<&Checkpoint<'_>>,
    later: Option<&Checkpoint<'_>>,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let (Some(before), Some(after)) = (earlier, later) else {
        for (of, count) in [(earlier, &mut counts.removed), (later, &mut counts.added)] {
            for entry in of
                .map(|of| of.state(stage))
                .transpose()?
                .into_iter()
                .flatten()
            {
                entry?;
                *count += 1;
            }
        }
        return Ok(counts);
    };
    for change in before.state(stage)?.changes_to(after.state(stage)?) {
        match change? {
            StateChange::Added(_) => counts.added += 1,
            StateChange::Removed(_) => counts.removed += 1,
            StateChange::Changed { .. } => counts.changed += 1,
        }
    }
    Ok(counts)
}

fn splits(
    stage: &StageId,
    earlier: Option<&Checkpoint<'_>>,
    later: Option<&Checkpoint<'_>>,
) -> Result<Counts, Error> {
    let read = |of: Option<&Checkpoint<'_>>| -> Result<BTreeMap<SplitId, SplitProgress>, Error> {
        let subtasks = of.map(|of| of.source(stage)).transpose()?;
        let splits = subtasks
            .into_iter()
            .flatten()
            .flat_map(|subtask| subtask.splits);
        Ok(splits
            .map(|split| (split.split.id.clone(), split))
            .collect())
    };
    let (before, after) = (read(earlier)?, read(later)?);
    let mut counts = Counts::default();
    for (id, split) in &after {
        match before.get(id) {
            None => counts.added += 1,
            Some(was) if was != split => counts.changed += 1,
            Some(_) => {}
        }
    }
    counts.removed = before.keys().filter(|id| !after.contains_key(id)).count() as u64;
    Ok(counts)
}
