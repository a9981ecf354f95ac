//! `checkpoints list`.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use super::out::{End, Form, Verdict, document};
use super::table::{Align, Table};
use crate::checkpoints::{Checkpoint, CheckpointSummary, Checkpoints};
use crate::cli::numbers::{counted, size, utc};
use flowdsl_runtime::protocol::CheckpointKind;

/// A checkpoint of the list.
struct Listed {
    summary: CheckpointSummary,
    /// Bytes that no older checkpoint names; `None` if the one before is not there any more.
    new_bytes: Option<u64>,
}

pub(super) fn list(
    checkpoints: &Checkpoints,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let listed = listed(checkpoints);
    match form {
        Form::Json => document(out, &as_json(checkpoints, &listed))?,
        Form::Text => as_text(checkpoints, &listed, out)?,
    }
    Ok(Verdict::Fine)
}

/// The checkpoints, newest first.
fn listed(checkpoints: &Checkpoints) -> Vec<Listed> {
    let all: Vec<Checkpoint<'_>> = checkpoints.iter().collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut listed = Vec::new();
    for (at, checkpoint) in all.iter().rev().enumerate() {
        let summary = checkpoint.summary();
        let new_files = checkpoint.files().into_iter();
        let new_bytes: u64 = new_files
            .filter(|file| named.insert(file.name.clone()))
            .map(|file| file.len)
            .sum();
        // What the first one that is left shares with one that is gone is not known, unless there was none.
        let is_known = at > 0 || is_first_ever(checkpoints, checkpoint);
        let new_bytes = is_known.then_some(new_bytes + summary.holds.inline_bytes);
        listed.push(Listed { summary, new_bytes });
    }
    listed.reverse();
    listed
}

/// Whether a checkpoint stands right behind the first claim that counts.
fn is_first_ever(checkpoints: &Checkpoints, checkpoint: &Checkpoint<'_>) -> bool {
    let claims = checkpoints.claims().filter(|(_, claim)| claim.fresh);
    let first = claims.last().or_else(|| checkpoints.claims().next());
    first.is_some_and(|(slot, _)| slot.next() == checkpoint.summary().slot)
}

fn as_text(checkpoints: &Checkpoints, listed: &[Listed], out: &mut dyn Write) -> Result<(), End> {
    let job = checkpoints.job().unwrap_or("?");
    let count = counted(listed.len() as u64, "checkpoint");
    writeln!(out, "job `{job}`, {count} in {}", checkpoints.place())?;
    let mut table = Table::of(&[
        ("EPOCH", Align::Right),
        ("KIND", Align::Left),
        ("TAKEN (UTC)", Align::Left),
        ("SIZE", Align::Right),
        ("NEW", Align::Right),
        ("GENERATION", Align::Right),
        ("WORKERS", Align::Right),
        ("INPUT", Align::Left),
    ]);
    for Listed { summary, new_bytes } in listed {
        table.row([
            summary.epoch.to_string(),
            word(summary.kind).to_owned(),
            utc(summary.written_unix_ms.cast_signed()),
            size(summary.holds.file_bytes + summary.holds.inline_bytes),
            new_bytes.map_or_else(|| "?".to_owned(), size),
            summary.generation.to_string(),
            summary.worker_count.to_string(),
            if summary.finished { "all read" } else { "" }.to_owned(),
        ]);
    }
    if !table.is_empty() {
        writeln!(out)?;
        table.write(out)?;
    }
    if let Some((_, claim)) = checkpoints.claims().last() {
        let started = counted(checkpoints.claims().count() as u64, "time");
        let last = utc(claim.started_unix_ms.cast_signed());
        let generation = claim.generation;
        writeln!(
            out,
            "\nstarted {started}, last at {last} (generation {generation})"
        )?;
    }
    for damaged in checkpoints.damaged_slots() {
        writeln!(out, "damaged: {}: {}", damaged.name, damaged.reason)?;
    }
    Ok(())
}

fn as_json(checkpoints: &Checkpoints, listed: &[Listed]) -> Value {
    let each = |listed: &Listed| {
        let Listed { summary, new_bytes } = listed;
        let mut outline = outline(summary);
        outline["files"] = summary.holds.files.into();
        outline["new_bytes"] = json!(new_bytes);
        outline
    };
    let claims = checkpoints.claims().map(|(slot, claim)| {
        json!({
            "slot": slot,
            "generation": claim.generation,
            "started_unix_ms": claim.started_unix_ms,
            "known_epoch": claim.known_epoch,
            "fresh": claim.fresh,
        })
    });
    json!({
        "place": checkpoints.place(),
        "job": checkpoints.job(),
        "checkpoints": listed.iter().map(each).collect::<Vec<_>>(),
        "claims": claims.collect::<Vec<_>>(),
        "damaged_slots": checkpoints.damaged_slots(),
    })
}

/// What is said of a checkpoint wherever it is told of.
pub(super) fn outline(summary: &CheckpointSummary) -> Value {
    json!({
        "epoch": summary.epoch,
        "slot": summary.slot,
        "kind": word(summary.kind),
        "finished": summary.finished,
        "generation": summary.generation,
        "written_unix_ms": summary.written_unix_ms,
        "worker_count": summary.worker_count,
        "key_groups": summary.key_groups,
        "subtasks": summary.holds.subtasks,
        "file_bytes": summary.holds.file_bytes,
        "inline_bytes": summary.holds.inline_bytes,
    })
}

/// The word for a kind of checkpoint.
pub(super) const fn word(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Checkpoint => "checkpoint",
        CheckpointKind::Savepoint => "savepoint",
    }
}
