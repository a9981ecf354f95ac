//! `checkpoints prune`.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::PruneArgs;
use super::out::{End, Form, Verdict, document};
use crate::checkpoints::{self, Checkpoints, Pruning};
use crate::cli::numbers::counted;
use crate::{CheckpointLocation, Error};

pub(super) fn prune(
    location: &CheckpointLocation,
    looked: &Checkpoints,
    args: &PruneArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    if !args.dry_run && !args.offline {
        return Err(Error::invalid(
            "does the job run? It would end, as pruning takes its log over. If it does not run, add `--offline`; `--dry-run` \
             says what would be removed. A job that runs keeps as many checkpoints as its `--retained` says",
        )
        .into());
    }
    let pruning = if args.dry_run {
        looked.plan_pruning(args.keep)?
    } else {
        checkpoints::prune(location, args.keep, unix_ms())?
    };
    match form {
        Form::Json => document(
            out,
            &json!({
                "place": looked.place(),
                "dry_run": args.dry_run,
                "checkpoints": pruning.checkpoints,
                "objects": pruning.objects,
                "kept": pruning.kept,
            }),
        )?,
        Form::Text => as_text(&pruning, args, out)?,
    }
    Ok(Verdict::Fine)
}

fn as_text(pruning: &Pruning, args: &PruneArgs, out: &mut dyn Write) -> Result<(), End> {
    if pruning.is_nothing() {
        return Ok(writeln!(out, "nothing to remove")?);
    }
    let act = if args.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let epochs = |epochs: &[flowdsl_runtime::ids::Epoch]| {
        let epochs: Vec<String> = epochs.iter().map(ToString::to_string).collect();
        epochs.join(", ")
    };
    if !pruning.checkpoints.is_empty() {
        let count = counted(pruning.checkpoints.len() as u64, "checkpoint");
        writeln!(out, "{act} {count}: {}", epochs(&pruning.checkpoints))?;
    }
    if !pruning.objects.is_empty() {
        writeln!(
            out,
            "{act} {}",
            counted(pruning.objects.len() as u64, "file")
        )?;
        if args.dry_run {
            for object in &pruning.objects {
                writeln!(out, "  {object}")?;
            }
        }
    }
    Ok(writeln!(out, "kept: {}", epochs(&pruning.kept))?)
}

/// The time, for people who look at the log.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
