//! `savepoint`, `stop`, `restore` and `checkpoints export`: what moves a job, or a copy of it.

use std::io::Write;

use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::storage::export::export as copy;
use serde_json::json;

use super::args::{ExportArgs, RestoreArgs, SavepointArgs, StopArgs};
use super::out::{End, Form, Verdict, document};
use crate::{
    CheckpointLocation, Drain, Error, JobClient, RestoreFrom, RestoreMode, restore as bring_in,
};

pub(super) fn savepoint(
    location: &CheckpointLocation,
    args: &SavepointArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let epoch = JobClient::open(location)?.savepoint(&args.to)?;
    let to = args.to.to_string();
    match (form, epoch) {
        (Form::Json, _) => document(out, &json!({"epoch": epoch, "to": to}))?,
        (Form::Text, Some(epoch)) => writeln!(out, "savepoint of epoch {epoch} in {to}")?,
        (Form::Text, None) => writeln!(out, "savepoint in {to}")?,
    }
    Ok(Verdict::Fine)
}

pub(super) fn stop(
    location: &CheckpointLocation,
    args: &StopArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let client = JobClient::open(location)?;
    let drain = if args.drain { Drain::Yes } else { Drain::No };
    let epoch = match &args.savepoint {
        None => client.stop()?,
        Some(to) => client.stop_with_savepoint(to, drain)?,
    };
    let to = args.savepoint.as_ref().map(ToString::to_string);
    match (form, epoch) {
        (Form::Json, _) => document(out, &json!({"epoch": epoch, "savepoint": to}))?,
        (Form::Text, Some(epoch)) => {
            let savepoint = to.map_or_else(String::new, |to| format!(", savepoint in {to}"));
            writeln!(out, "stopped with checkpoint {epoch}{savepoint}")?;
        }
        (Form::Text, None) => writeln!(out, "stopped without a new checkpoint")?,
    }
    Ok(Verdict::Fine)
}

pub(super) fn restore(
    location: &CheckpointLocation,
    args: &RestoreArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    if !args.offline {
        return Err(Error::invalid(
            "does the job run? It would end, as a restore takes its log over. If it does not run, add `--offline`",
        )
        .into());
    }
    let from = RestoreFrom {
        location: args.from.clone(),
        epoch: args.epoch.map(Epoch),
        mode: RestoreMode::NoClaim,
    };
    let restored = bring_in(location, &from)?;
    match form {
        Form::Json => {
            let (job, from, epoch) = (&restored.job, restored.from, restored.epoch);
            document(out, &json!({"job": job, "from": from, "epoch": epoch}))?;
        }
        Form::Text => writeln!(
            out,
            "the next run of `{}` begins from checkpoint {}, now checkpoint {} of {location}",
            restored.job, restored.from, restored.epoch
        )?,
    }
    Ok(Verdict::Fine)
}

pub(super) fn export(
    location: &CheckpointLocation,
    args: &ExportArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let epoch = copy(location, args.epoch.map(Epoch), &args.to)?;
    let to = args.to.to_string();
    match form {
        Form::Json => document(out, &json!({"epoch": epoch, "to": to}))?,
        Form::Text => writeln!(out, "checkpoint {epoch} is a savepoint in {to}")?,
    }
    Ok(Verdict::Fine)
}
