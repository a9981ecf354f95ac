//! The owner record: which job and stage an output directory belongs to.
//!
//! Two writers in one directory would take back and discard each other's files, so the second one
//! is refused. The record is created once, whole and durable, or not at all.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::place::{Place, failed};
use crate::connector::SinkContext;
use crate::error::{Error, Result};

/// The first word of an owner record, with the version of its format.
const MAGIC: &str = "flowdsl-owner-1";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    job: String,
    stage: String,
}

impl Owner {
    fn of(context: &SinkContext) -> Self {
        Self {
            job: context.job.to_string(),
            stage: context.stage.to_string(),
        }
    }

    /// Magic, length and checksum on the first line, the record as JSON on the second.
    fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).expect("two strings have a form in JSON");
        format!(
            "{MAGIC} {} {:016x}\n{json}\n",
            json.len(),
            xxh3_64(json.as_bytes())
        )
        .into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, json) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let json = json.strip_suffix('\n')?;
        let expected = format!("{MAGIC} {} {:016x}", json.len(), xxh3_64(json.as_bytes()));
        if head == expected {
            serde_json::from_str(json).ok()
        } else {
            None
        }
    }
}

/// Makes the directory this stage's own, with all its subdirectories.
///
/// # Errors
///
/// `Invalid` if it belongs to another stage or job.
pub(super) fn claim(place: &Place, context: &SinkContext) -> Result<()> {
    let staging = place.staging();
    place
        .disk
        .create_dir_all(&staging)
        .map_err(|e| failed("make", &staging, &e))?;
    if check(place, context)? == Claim::Ours {
        return Ok(());
    }
    let temporary = place.hidden().join(format!(
        "owner-g{:06}-w{:04}",
        context.generation.0, context.worker.0
    ));
    let created = place.disk.create(&temporary).and_then(|mut file| {
        file.write_all(&Owner::of(context).encode())?;
        file.sync()
    });
    created.map_err(|e| failed("write", &temporary, &e))?;
    // CRASH: the name is given to a file that is whole, so that no half record is ever read.
    match place.disk.hard_link(&temporary, &path(place)) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            check(place, context)?;
        }
        Err(e) => return Err(failed("make", &path(place), &e)),
    }
    place.remove(&temporary)?;
    place.sync_dir(&place.hidden())?;
    place.sync_dir(&place.dir)
}

/// Whose the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Ours,
    Free,
}

/// Looks whether the directory is free or belongs to this stage.
///
/// # Errors
///
/// `Invalid` if it belongs to another stage or job.
pub(super) fn check(place: &Place, context: &SinkContext) -> Result<Claim> {
    let path = path(place);
    let bytes = match place.disk.read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Claim::Free),
        Err(e) => return Err(failed("read", &path, &e)),
    };
    let Some(owner) = Owner::decode(&bytes) else {
        return Err(Error::corrupt(format!(
            "{} is damaged: it does not tell whose the output is",
            path.display()
        )));
    };
    // The record keeps the name that the stage had: a version before the renaming may come back.
    let names = [&context.stage].into_iter().chain(&context.formerly);
    let is_of_stage = names
        .map(ToString::to_string)
        .any(|name| name == owner.stage);
    if owner.job == *context.job && is_of_stage {
        return Ok(Claim::Ours);
    }
    Err(Error::invalid(format!(
        "{} holds the output of stage `{}` of job `{}`; stage `{}` of job `{}` needs a directory of its own",
        place.dir.display(),
        owner.stage,
        owner.job,
        context.stage,
        context.job
    )))
}

fn path(place: &Place) -> PathBuf {
    place.hidden().join("owner")
}
