//! `checkpoints history`.

use std::io::Write;

use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::protocol::CheckpointRecord;

use super::args::HistoryArgs;
use super::out::{End, Form, Verdict, document};
use super::table::{Align, Table};
use crate::Error;
use crate::checkpoints::Checkpoints;
use crate::cli::numbers::{short, size, utc};

pub(super) fn history(
    checkpoints: &Checkpoints,
    args: &HistoryArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let history = checkpoints.history()?;
    if let Some(epoch) = args.epoch {
        // Behind a failure an epoch may have been closed once more.
        let of_epoch = |record: &&CheckpointRecord| record.epoch == Epoch(epoch);
        let record = history.checkpoints.iter().rfind(of_epoch).ok_or_else(|| {
            Error::invalid(format!(
                "the history of {} says nothing of the checkpoint of epoch {epoch}: without an epoch this lists what it \
                 tells of",
                checkpoints.place()
            ))
        })?;
        match form {
            Form::Json => document(out, record)?,
            Form::Text => one(record, out)?,
        }
        return Ok(Verdict::Fine);
    }
    match form {
        Form::Json => document(out, &history)?,
        Form::Text => {
            for run in &history.runs {
                writeln!(out, "{run}")?;
                let of_run = |record: &&CheckpointRecord| record.generation == run.generation;
                for record in history.checkpoints.iter().filter(of_run) {
                    writeln!(out, "  {} {record}", utc(record.at_unix_ms.cast_signed()))?;
                }
            }
            for damaged in &history.damaged {
                writeln!(out, "damaged: {}: {}", damaged.name, damaged.reason)?;
            }
        }
    }
    Ok(Verdict::Fine)
}

/// What one checkpoint cost, subtask by subtask.
fn one(record: &CheckpointRecord, out: &mut dyn Write) -> Result<(), End> {
    writeln!(
        out,
        "{record}\npublished in {}\n",
        short(record.cost.publish)
    )?;
    let mut table = Table::of(&[
        ("STAGE", Align::Left),
        ("WORKER", Align::Right),
        ("START", Align::Right),
        ("STASH", Align::Right),
        ("PAUSE", Align::Right),
        ("COPY", Align::Right),
        ("ENCODE", Align::Right),
        ("UPLOAD", Align::Right),
        ("TOOK", Align::Right),
        ("NEW", Align::Right),
        ("SIZE", Align::Right),
        ("NEW FILES", Align::Right),
        ("FILES", Align::Right),
    ]);
    for subtask in &record.cost.subtasks {
        let times = [
            subtask.start_delay,
            subtask.stash,
            subtask.pause,
            subtask.copy,
            subtask.encode,
            subtask.upload,
            subtask.took,
        ];
        let weight = &subtask.weight;
        let row = [subtask.stage.to_string(), subtask.worker.to_string()];
        let row = row.into_iter().chain(times.map(short)).chain([
            size(weight.new_bytes),
            size(weight.total_bytes),
            weight.new_files.to_string(),
            weight.total_files.to_string(),
        ]);
        table.row(row);
    }
    Ok(table.write(out)?)
}
