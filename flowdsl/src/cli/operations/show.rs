//! `checkpoints show`.

use std::io::Write;

use flowdsl_runtime::connector::{SinkSnapshot, SourceSnapshot};
use flowdsl_runtime::ids::{Epoch, StageId};
use flowdsl_runtime::protocol::{SnapshotKind, StageKind};
use serde_json::{Value, json};

use super::args::ShowArgs;
use super::list::{outline, word};
use super::offsets::offset_of;
use super::out::{End, Form, Verdict, document, line};
use super::table::{Align, Table};
use crate::Error;
use crate::checkpoints::{Checkpoint, CheckpointSummary, Checkpoints};
use crate::cli::numbers::{counted, grouped, size, utc};

pub(super) fn show(
    checkpoints: &Checkpoints,
    args: &ShowArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let checkpoint = match args.epoch {
        Some(epoch) => checkpoints.of_epoch(Epoch(epoch))?,
        None => checkpoints.newest()?,
    };
    if let Some(stage) = &args.state {
        state(&checkpoint, stage, args, out)?;
        return Ok(Verdict::Fine);
    }
    let shown = Shown::of(&checkpoint)?;
    match form {
        Form::Json => document(out, &shown.as_json(checkpoints))?,
        Form::Text => shown.as_text(checkpoints, args, out)?,
    }
    Ok(Verdict::Fine)
}

/// Writes entries of the state of a stage.
fn state(
    checkpoint: &Checkpoint<'_>,
    stage: &str,
    args: &ShowArgs,
    out: &mut dyn Write,
) -> Result<(), End> {
    let stage = StageId::new(stage);
    let entries = match &args.key {
        None => checkpoint.state(&stage)?,
        Some(key) => {
            let key: Value = serde_json::from_str(key).map_err(|e| {
                Error::invalid(format!(
                    "`--key {key}` is no JSON ({e}): write a key as it stands in the entries, such as `7` or `'\"ORD\"'`"
                ))
            })?;
            checkpoint.state_of(&stage, &key)?
        }
    };
    let limit = args.limit.unwrap_or(u64::MAX);
    for (_, entry) in (0..limit).zip(entries) {
        line(out, &entry?)?;
    }
    Ok(())
}

/// What there is to say of a checkpoint.
struct Shown<'a> {
    checkpoint: &'a Checkpoint<'a>,
    summary: CheckpointSummary,
    sources: Vec<(StageId, Vec<SourceSnapshot>)>,
    sinks: Vec<(StageId, Vec<SinkSnapshot>)>,
}

impl<'a> Shown<'a> {
    fn of(checkpoint: &'a Checkpoint<'a>) -> Result<Self, Error> {
        let mut shown = Self {
            checkpoint,
            summary: checkpoint.summary(),
            sources: Vec::new(),
            sinks: Vec::new(),
        };
        for stage in &shown.summary.stages {
            let id = stage.stage.clone();
            match stage.kind {
                StageKind::Source => shown.sources.push((id, checkpoint.source(&stage.stage)?)),
                StageKind::TransactionalSink => {
                    shown.sinks.push((id, checkpoint.sink(&stage.stage)?));
                }
                StageKind::Keyed | StageKind::Stateless | StageKind::Sink => {}
            }
        }
        Ok(shown)
    }

    fn as_json(&self, checkpoints: &Checkpoints) -> Value {
        let summary = &self.summary;
        let stages = summary.stages.iter().map(|stage| {
            json!({
                "stage": stage.stage,
                "operation": stage.operation,
                "detail": stage.detail,
                "kind": stage_word(stage.kind),
                "schema": stage.schema,
                "subtasks": stage.holds.subtasks,
                "files": stage.holds.files,
                "file_bytes": stage.holds.file_bytes,
                "inline_bytes": stage.holds.inline_bytes,
            })
        });
        let files = self.checkpoint.files();
        let files = files.iter().map(|file| {
            json!({
                "name": file.name,
                "kind": file_word(file.kind),
                "bytes": file.len,
                "xxh3_64": format!("{:016x}", file.checksum),
                "stage": file.subtask.stage,
                "worker": file.subtask.worker,
            })
        });
        let sources = self.sources.iter().map(|(stage, subtasks)| {
            let splits = subtasks.iter().flat_map(|subtask| &subtask.splits);
            let splits = splits.map(|split| {
                json!({
                    "split": split.split.id,
                    "offset": split.offset.as_ref().map(offset_of),
                    "greatest_event_time": split.greatest_event_time,
                    "promised_watermark": split.promised_watermark,
                    "finished": split.finished,
                })
            });
            json!({"stage": stage, "splits": splits.collect::<Vec<_>>()})
        });
        let sinks = self.sinks.iter().map(|(stage, subtasks)| {
            let committables = subtasks.iter().flat_map(|subtask| &subtask.committables);
            let committables = committables
                .map(|(epoch, staged)| json!({"epoch": epoch, "bytes": staged.0.len()}));
            json!({"stage": stage, "committables": committables.collect::<Vec<_>>()})
        });
        let mut shown = outline(summary);
        shown["place"] = checkpoints.place().into();
        shown["job"] = json!(summary.job);
        shown["stages"] = stages.collect();
        shown["sources"] = sources.collect();
        shown["sinks"] = sinks.collect();
        shown["files"] = files.collect();
        shown
    }

    fn as_text(
        &self,
        checkpoints: &Checkpoints,
        args: &ShowArgs,
        out: &mut dyn Write,
    ) -> Result<(), End> {
        self.head(checkpoints, out)?;
        self.stages(out)?;
        self.splits(out)?;
        self.staged(out)?;
        if args.files {
            self.files(out)?;
        }
        Ok(())
    }

    fn head(&self, checkpoints: &Checkpoints, out: &mut dyn Write) -> Result<(), End> {
        let summary = &self.summary;
        let (kind, epoch, job) = (word(summary.kind), summary.epoch, &summary.job);
        writeln!(
            out,
            "{kind} {epoch} of the job `{job}` in {}",
            checkpoints.place()
        )?;
        let taken = utc(summary.written_unix_ms.cast_signed());
        let (generation, slot) = (summary.generation, Checkpoints::name_of(summary.slot));
        writeln!(
            out,
            "  taken    {taken} UTC by generation {generation}, as {slot}"
        )?;
        let workers = counted(u64::from(summary.worker_count), "worker");
        let groups = counted(u64::from(summary.key_groups), "key group");
        writeln!(out, "  job      {workers}, {groups}")?;
        let (files, inline) = (summary.holds.file_bytes, summary.holds.inline_bytes);
        let count = counted(summary.holds.files as u64, "file");
        writeln!(
            out,
            "  holds    {} in {count}, {} in the manifest",
            size(files),
            size(inline)
        )?;
        let input = if summary.finished {
            "all read: a start finds the job finished"
        } else {
            "a start goes on from here"
        };
        writeln!(out, "  input    {input}")?;
        Ok(())
    }

    fn stages(&self, out: &mut dyn Write) -> Result<(), End> {
        let mut table = Table::of(&[
            ("STAGE", Align::Left),
            ("OPERATION", Align::Left),
            ("KIND", Align::Left),
            ("SUBTASKS", Align::Right),
            ("FILES", Align::Right),
            ("SIZE", Align::Right),
            ("DETAIL", Align::Left),
        ]);
        for stage in &self.summary.stages {
            table.row([
                stage.stage.to_string(),
                stage.operation.clone(),
                stage_word(stage.kind).to_owned(),
                stage.holds.subtasks.to_string(),
                stage.holds.files.to_string(),
                size(stage.holds.file_bytes + stage.holds.inline_bytes),
                stage.detail.clone(),
            ]);
        }
        writeln!(out)?;
        table.write(out)?;
        for stage in &self.summary.stages {
            if let Some(schema) = &stage.schema {
                writeln!(out, "\n`{}` keeps {schema}", stage.stage)?;
            }
        }
        Ok(())
    }

    fn splits(&self, out: &mut dyn Write) -> Result<(), End> {
        let mut table = Table::of(&[
            ("SOURCE", Align::Left),
            ("SPLIT", Align::Left),
            ("OFFSET", Align::Right),
            ("LATEST EVENT TIME (UTC)", Align::Left),
            ("INPUT", Align::Left),
        ]);
        for (stage, subtasks) in &self.sources {
            for split in subtasks.iter().flat_map(|subtask| &subtask.splits) {
                let offset = split
                    .offset
                    .as_ref()
                    .map(|offset| offset_of(offset).to_string());
                table.row([
                    stage.to_string(),
                    split.split.id.to_string(),
                    offset.unwrap_or_else(|| "not begun".to_owned()),
                    split.greatest_event_time.map_or_else(String::new, utc),
                    if split.finished { "all read" } else { "" }.to_owned(),
                ]);
            }
        }
        if !table.is_empty() {
            writeln!(out)?;
            table.write(out)?;
        }
        Ok(())
    }

    fn staged(&self, out: &mut dyn Write) -> Result<(), End> {
        for (stage, subtasks) in &self.sinks {
            let staged: usize = subtasks
                .iter()
                .map(|subtask| subtask.committables.len())
                .sum();
            let staged = counted(staged as u64, "committable");
            writeln!(
                out,
                "\n`{stage}` had staged {staged} that it had not reported as committed"
            )?;
        }
        Ok(())
    }

    fn files(&self, out: &mut dyn Write) -> Result<(), End> {
        let mut table = Table::of(&[
            ("FILE", Align::Left),
            ("KIND", Align::Left),
            ("BYTES", Align::Right),
            ("SUBTASK", Align::Left),
        ]);
        for file in self.checkpoint.files() {
            let kind = file_word(file.kind).to_owned();
            table.row([file.name, kind, grouped(file.len), file.subtask.to_string()]);
        }
        writeln!(out)?;
        Ok(table.write(out)?)
    }
}

/// The word for what a stage is to a checkpoint.
pub(super) const fn stage_word(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Source => "source",
        StageKind::Stateless => "stateless",
        StageKind::Keyed => "keyed",
        StageKind::Sink => "sink",
        StageKind::TransactionalSink => "transactional_sink",
    }
}

const fn file_word(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Operator => "operator",
        SnapshotKind::KeyedFull => "keyed_full",
        SnapshotKind::KeyedIncrement => "keyed_increment",
        SnapshotKind::RocksCatalogue => "rocksdb_catalogue",
        SnapshotKind::RocksFile => "rocksdb_file",
    }
}
