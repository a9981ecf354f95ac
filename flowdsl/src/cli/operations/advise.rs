//! `checkpoints advise`.

use std::io::Write;

use super::args::AdviseArgs;
use super::out::{End, Form, Verdict, document};
use crate::checkpoints::Checkpoints;
use flowdsl_runtime::protocol::Objectives;

pub(super) fn advise(
    checkpoints: &Checkpoints,
    args: &AdviseArgs,
    form: Form,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let usual = Objectives::default();
    let objectives = Objectives {
        recovery: args.recovery,
        output_delay: args.output_delay,
        storage_bytes: args.storage.map(|bytes| bytes as u64),
        replay_speed: args.replay_speed.unwrap_or(usual.replay_speed),
    };
    let advice = checkpoints.advise(&objectives)?;
    match form {
        Form::Json => document(out, &advice)?,
        Form::Text => writeln!(out, "{}", advice.to_string().trim_end())?,
    }
    Ok(Verdict::Fine)
}
