//! The names of all stored objects: made here and nowhere else.
//!
//! A name has one directory and one file name of plain characters, so that any storage can hold
//! it. The name of a slot depends on its number alone, or "create if absent" could not fence. The
//! name of a state object carries generation and epoch: *the epoch is that of the first manifest
//! that may name the object*, which is what retention relies on.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{Epoch, Generation, SubtaskId};
use crate::protocol::{Addressee, HistoryEvent, HistoryKey, RequestName, SlotNumber, StateObject};

/// The directory of the checkpoint log.
pub const LOG_DIR: &str = "log";

/// The directory of the state objects.
pub const STATE_DIR: &str = "state";

/// The directory of the job's history.
pub const HISTORY_DIR: &str = "history";

/// The directory of requests to runs, and of their replies.
pub const REQUESTS_DIR: &str = "requests";

/// The directory of unfinished files (local storage only).
pub const TEMPORARY_DIR: &str = "tmp";

/// The directory of what runs have for their own (local storage only).
pub const WORK_DIR: &str = "work";

/// How the name of a snapshot's part ends.
const SNAPSHOT: &str = ".snap";

/// How the name of another program's file ends.
const FOREIGN: &str = ".file";

/// Stage ids longer than this (escaped) are cut, and told apart by a hash.
const MAX_STAGE_LEN: usize = 96;

/// The name of a slot of the log.
pub fn slot(number: SlotNumber) -> String {
    format!("{LOG_DIR}/{:020}", number.0)
}

/// The slot that has this name; `None` for what is not a slot.
pub fn parse_slot(name: &str) -> Option<SlotNumber> {
    let number = SlotNumber(
        name.strip_prefix(LOG_DIR)?
            .strip_prefix('/')?
            .parse()
            .ok()?,
    );
    (slot(number) == name).then_some(number)
}

/// The name of part `part` of a subtask's snapshot.
pub fn state_object(
    generation: Generation,
    epoch: Epoch,
    subtask: &SubtaskId,
    part: u32,
) -> String {
    let stage = escape(subtask.stage.as_str());
    let SubtaskId { worker, .. } = subtask;
    format!("{STATE_DIR}/g{generation:010}-e{epoch:020}-{stage}-w{worker}-{part}{SNAPSHOT}")
}

/// The name of a file of another program (RocksDB) that is part `part` of a subtask's snapshot. Later
/// snapshots of the subtask name it, too, for as long as the other program keeps it.
pub fn foreign_file(
    generation: Generation,
    epoch: Epoch,
    subtask: &SubtaskId,
    part: u32,
) -> String {
    let name = state_object(generation, epoch, subtask, part);
    let stem = name.strip_suffix(SNAPSHOT).unwrap_or(&name);
    format!("{stem}{FOREIGN}")
}

/// The name of a part of what a compaction of a subtask's snapshots has made. The epoch is that of the
/// first manifest that may name it, as for any object: so it is chosen before there is such a manifest.
pub fn compacted_object(
    generation: Generation,
    epoch: Epoch,
    subtask: &SubtaskId,
    (number, part): (u32, u32),
) -> String {
    let stage = escape(subtask.stage.as_str());
    let SubtaskId { worker, .. } = subtask;
    format!("{STATE_DIR}/g{generation:010}-e{epoch:020}-{stage}-w{worker}-c{number}-{part}.snap")
}

/// The name of a part of a snapshot, or of what a compaction has made, up to the number of the part: what
/// all of its parts have in common.
pub fn common_to_parts(name: &str) -> Option<&str> {
    let (common, _part) = name.strip_suffix(SNAPSHOT)?.rsplit_once('-')?;
    Some(common)
}

/// The name of the copy of a state object that a restore has brought in from elsewhere. Parts of one snapshot have
/// names with as much in common as before; and a copy of a copy has no longer name.
pub fn imported(generation: Generation, epoch: Epoch, name: &str) -> Option<String> {
    parse_state_object(name).filter(|_| is_plain(name))?;
    let suffix = if name.ends_with(SNAPSHOT) {
        SNAPSHOT
    } else {
        FOREIGN
    };
    let (common, part) = name.strip_suffix(suffix)?.rsplit_once('-')?;
    let part: u32 = part.parse().ok()?;
    let common = xxh3_64(common.as_bytes());
    Some(format!(
        "{STATE_DIR}/g{generation:010}-e{epoch:020}-i{common:016x}-{part}{suffix}"
    ))
}

/// What the name of a state object says; `None` for what is none of ours.
pub fn parse_state_object(name: &str) -> Option<StateObject> {
    let rest = name.strip_prefix(STATE_DIR)?.strip_prefix("/g")?;
    let rest = rest
        .strip_suffix(SNAPSHOT)
        .or_else(|| rest.strip_suffix(FOREIGN))?;
    let (generation, rest) = rest.split_once("-e")?;
    let (epoch, _) = rest.split_once('-')?;
    Some(StateObject {
        name: name.to_owned(),
        generation: Generation(padded(generation, 10)?),
        epoch: Epoch(padded(epoch, 20)?),
    })
}

/// The name of an entry of the history.
pub fn history(key: HistoryKey) -> String {
    let HistoryKey { generation, event } = key;
    let run = format!("{HISTORY_DIR}/g{generation:010}");
    match event {
        HistoryEvent::Began => format!("{run}-began"),
        HistoryEvent::Checkpoint(epoch) => format!("{run}-e{epoch:020}"),
        HistoryEvent::Ended => format!("{run}-ended"),
    }
}

/// The entry of the history that has this name; `None` for what is none of ours.
pub fn parse_history(name: &str) -> Option<HistoryKey> {
    let rest = name.strip_prefix(HISTORY_DIR)?.strip_prefix("/g")?;
    let (generation, event) = rest.split_once('-')?;
    let key = HistoryKey {
        generation: Generation(generation.parse().ok()?),
        event: match event {
            "began" => HistoryEvent::Began,
            "ended" => HistoryEvent::Ended,
            epoch => HistoryEvent::Checkpoint(Epoch(epoch.strip_prefix('e')?.parse().ok()?)),
        },
    };
    (history(key) == name).then_some(key)
}

/// The name of a request.
pub fn request(name: RequestName) -> String {
    in_requests(name, "request")
}

/// The name of the reply to a request.
pub fn reply(name: RequestName) -> String {
    in_requests(name, "reply")
}

fn in_requests(RequestName { to, id }: RequestName, what: &str) -> String {
    let Addressee { generation, nonce } = to;
    format!("{REQUESTS_DIR}/g{generation:010}-{nonce:016x}-{id:016x}.{what}")
}

/// The request that has this name; `None` for what is none.
pub fn parse_request(name: &str) -> Option<RequestName> {
    parse_in_requests(name.strip_suffix(".request")?).filter(|parsed| request(*parsed) == name)
}

/// The request whose reply has this name; `None` for what is none.
pub fn parse_reply(name: &str) -> Option<RequestName> {
    parse_in_requests(name.strip_suffix(".reply")?).filter(|parsed| reply(*parsed) == name)
}

fn parse_in_requests(stem: &str) -> Option<RequestName> {
    let mut parts = stem
        .strip_prefix(REQUESTS_DIR)?
        .strip_prefix("/g")?
        .split('-');
    let generation = Generation(parts.next()?.parse().ok()?);
    let nonce = u64::from_str_radix(parts.next()?, 16).ok()?;
    let id = u64::from_str_radix(parts.next()?, 16).ok()?;
    let to = Addressee { generation, nonce };
    parts.next().is_none().then_some(RequestName { to, id })
}

/// A number that was written with this many digits at least: one with a sign, say, is none of ours.
fn padded(digits: &str, width: usize) -> Option<u64> {
    let number = digits.parse().ok()?;
    (format!("{number:0width$}") == digits).then_some(number)
}

/// The name of the object by which an object store shows that it creates only what is absent.
#[cfg(feature = "object-store")]
pub(super) const fn probe() -> &'static str {
    "probe/create-if-absent"
}

/// The name of an unfinished file: `unique` tells runs apart, `count` the files of one run.
pub fn temporary(unique: u64, count: u64) -> String {
    format!("{TEMPORARY_DIR}/{unique:016x}-{count}")
}

/// Whether a file of that directory is called as unfinished files are: others are not ours.
pub fn is_temporary(file: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    file.split_once('-').is_some_and(|(unique, count)| {
        unique.len() == 16 && unique.chars().all(is_hex) && count.parse::<u64>().is_ok()
    })
}

/// The work directory of a run. `place` tells the checkpoint directories of jobs of one name apart.
pub fn work_dir(job: &str, place: u64, generation: Generation, nonce: u64) -> String {
    format!(
        "{}-{place:016x}-g{generation:010}-{nonce:016x}",
        escape(job)
    )
}

/// The directory of a database that is read without its job.
pub fn inspection_dir(nonce: u64) -> String {
    format!("flowdsl-inspection-{nonce:016x}")
}

/// The directory of a subtask in the work directory of its run.
pub fn stage_dir(subtask: &SubtaskId) -> String {
    format!("{}-w{}", escape(subtask.stage.as_str()), subtask.worker)
}

/// Whether a work directory is that of an older run of the job: one that has ended, or is fenced.
pub fn is_stale_work_dir(name: &str, job: &str, place: u64, generation: Generation) -> bool {
    let mine = format!("{}-{place:016x}-g", escape(job));
    name.strip_prefix(&mine)
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(older, _)| older.parse().ok())
        .is_some_and(|older| Generation(older) < generation)
}

/// Whether a name is one that this module could have made; names in manifests are bytes, too.
pub fn is_plain(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| is_unescaped(c) || c == '%')
    };
    name.split_once('/')
        .is_some_and(|(dir, file)| plain(dir) && plain(file))
}

/// Text as a part of a file name: other characters than `A-Z a-z 0-9 _ - .` become `%` and hex digits.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unescaped(c) {
            escaped.push(c);
        } else {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                write!(escaped, "%{byte:02X}").expect("writing to a string never fails");
            }
        }
    }
    if escaped.len() > MAX_STAGE_LEN {
        // Escaped text is ASCII: any cut is between characters. `%%` is never part of escaped text.
        escaped.truncate(MAX_STAGE_LEN);
        write!(escaped, "%%{:016x}", xxh3_64(text.as_bytes()))
            .expect("writing to a string never fails");
    }
    escaped
}

fn is_unescaped(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}
