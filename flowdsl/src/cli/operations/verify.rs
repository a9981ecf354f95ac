//! `checkpoints verify`.

use std::io::Write;

use flowdsl_runtime::ids::Epoch;
use serde_json::json;

use super::args::VerifyArgs;
use super::out::{End, Form, Verdict, document};
use crate::Error;
use crate::checkpoints::{Checkpoint, Checkpoints, DamagedFile, DamagedSlot, Verified};
use crate::cli::numbers::{counted, size};

/// What was found of one checkpoint.
struct Found<'a> {
    checkpoint: Checkpoint<'a>,
    damaged: Vec<DamagedFile>,
}

pub(super) fn verify(
    checkpoints: &Checkpoints,
    args: &VerifyArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let slots = slots(checkpoints, args.epoch);
    let mut verified = Verified::default();
    let mut found = Vec::new();
    for checkpoint in chosen(checkpoints, args, &slots)? {
        let damaged = checkpoint.verify_beside(&mut verified)?;
        if form == Form::Text {
            say(&checkpoint, &damaged, out)?;
        }
        found.push(Found {
            checkpoint,
            damaged,
        });
    }
    match form {
        Form::Json => document(out, &as_json(checkpoints, &found, &slots))?,
        Form::Text => {
            for slot in &slots {
                writeln!(out, "damaged: {}: {}", slot.name, slot.reason)?;
            }
        }
    }
    let is_whole = slots.is_empty() && found.iter().all(|found| found.damaged.is_empty());
    Ok(if is_whole {
        Verdict::Fine
    } else {
        Verdict::Damaged
    })
}

/// The damaged slots that concern the question: those that may be of this epoch, or all.
fn slots(checkpoints: &Checkpoints, epoch: Option<u64>) -> Vec<DamagedSlot> {
    let mut slots = checkpoints.damaged_slots();
    if let Some(epoch) = epoch {
        slots.retain(|slot| slot.epoch.is_none_or(|of| of == Epoch(epoch)));
    }
    slots
}

fn chosen<'a>(
    checkpoints: &'a Checkpoints,
    args: &VerifyArgs,
    slots: &[DamagedSlot],
) -> Result<Vec<Checkpoint<'a>>, Error> {
    let one = match args.epoch {
        _ if args.all => return Ok(checkpoints.iter().collect()),
        Some(epoch) => checkpoints.of_epoch(Epoch(epoch)),
        None => checkpoints.newest(),
    };
    match one {
        Ok(checkpoint) => Ok(vec![checkpoint]),
        // It may be the one whose manifest does not read: that is the answer.
        Err(_) if !slots.is_empty() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn say(
    checkpoint: &Checkpoint<'_>,
    damaged: &[DamagedFile],
    out: &mut dyn Write,
) -> Result<(), End> {
    let summary = checkpoint.summary();
    let (epoch, holds) = (summary.epoch, summary.holds);
    if damaged.is_empty() {
        let files = counted(holds.files as u64, "file");
        let bytes = size(holds.file_bytes + holds.inline_bytes);
        writeln!(out, "checkpoint {epoch}: whole ({files}, {bytes})")?;
    }
    for file in damaged {
        writeln!(
            out,
            "checkpoint {epoch}: damaged: {}: {}",
            file.name, file.reason
        )?;
    }
    Ok(())
}

fn as_json(
    checkpoints: &Checkpoints,
    found: &[Found<'_>],
    slots: &[DamagedSlot],
) -> serde_json::Value {
    let each = |found: &Found<'_>| {
        let summary = found.checkpoint.summary();
        json!({
            "epoch": summary.epoch,
            "slot": summary.slot,
            "files": summary.holds.files,
            "file_bytes": summary.holds.file_bytes,
            "inline_bytes": summary.holds.inline_bytes,
            "damaged": found.damaged,
        })
    };
    let is_whole = slots.is_empty() && found.iter().all(|found| found.damaged.is_empty());
    json!({
        "place": checkpoints.place(),
        "whole": is_whole,
        "checkpoints": found.iter().map(each).collect::<Vec<_>>(),
        "damaged_slots": slots,
    })
}
