//! The names of all stored objects: made here and nowhere else.
//!
//! A name has one directory and one file name of plain characters, so that any storage can hold
//! it. The name of a slot depends on its number alone, or "create if absent" could not fence. The
//! name of a state object carries generation and epoch: *the epoch is that of the first manifest
//! that may name the object*, which is what retention relies on.

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
        generation: Generation(generation.parse().ok()?),
        epoch: Epoch(epoch.parse().ok()?),
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

/// The name of the object by which an object store shows that it creates only what is absent.
#[cfg(feature = "object-store")]
pub(super) const fn probe() -> &'static str {
    "probe/create-if-absent"
}

/// The name of an unfinished file: `unique` tells runs apart, `count` the files of one run.
pub fn temporary(unique: u64, count: u64) -> String {
    format!("{TEMPORARY_DIR}/{unique:016x}-{count}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{StageId, WorkerIndex};

    fn subtask(stage: &str) -> SubtaskId {
        SubtaskId {
            stage: StageId::new(stage),
            worker: WorkerIndex(3),
        }
    }

    #[test]
    fn the_name_of_a_slot_depends_on_its_number_alone_and_sorts_by_it() {
        assert_eq!(slot(SlotNumber(7)), "log/00000000000000000007");
        assert!(slot(SlotNumber(9)) < slot(SlotNumber(10)));
        for number in [0, 7, u64::MAX] {
            assert_eq!(
                parse_slot(&slot(SlotNumber(number))),
                Some(SlotNumber(number))
            );
        }
        for other in [
            "log/7",
            "log/.tmp",
            "state/00000000000000000007",
            "log/+0000000000000000007",
        ] {
            assert_eq!(parse_slot(other), None, "{other}");
        }
    }

    #[test]
    fn a_state_object_is_named_by_generation_epoch_and_subtask() {
        let name = state_object(Generation(2), Epoch(41), &subtask("hourly"), 0);
        assert_eq!(
            name,
            "state/g0000000002-e00000000000000000041-hourly-w3-0.snap"
        );
    }

    #[test]
    fn a_compacted_object_is_named_by_its_epoch_too_and_never_as_a_snapshot_is() {
        let name = compacted_object(Generation(2), Epoch(41), &subtask("hourly"), (7, 0));
        assert_eq!(
            name,
            "state/g0000000002-e00000000000000000041-hourly-w3-c7-0.snap"
        );
        let parsed = parse_state_object(&name).expect("a name of ours");
        assert_eq!(
            (parsed.generation, parsed.epoch),
            (Generation(2), Epoch(41))
        );
        assert!(is_plain(&name));
    }

    #[test]
    fn parts_of_one_snapshot_have_a_name_in_common_that_no_other_snapshot_has() {
        let subtask = subtask("a-1");
        let snapshot = |epoch, part| state_object(Generation(2), Epoch(epoch), &subtask, part);
        let compacted =
            |number, part| compacted_object(Generation(2), Epoch(41), &subtask, (number, part));
        let alike = [
            [snapshot(41, 0), snapshot(41, 17)],
            [snapshot(42, 0), snapshot(42, 1)],
            [compacted(7, 0), compacted(7, 1)],
            [compacted(8, 0), compacted(8, 10)],
        ];
        let common = alike.each_ref().map(|names| {
            let [first, second] = names.each_ref().map(|name| common_to_parts(name));
            assert_eq!(first, second);
            first.expect("a name of ours")
        });
        let distinct: std::collections::BTreeSet<_> = common.iter().collect();
        assert_eq!(distinct.len(), alike.len());
    }

    #[test]
    fn any_stage_id_makes_a_plain_name_from_which_generation_and_epoch_are_read_back() {
        let long = "x".repeat(300);
        let stages = [
            "hourly",
            "a/b",
            "../../etc",
            "-e5-",
            "café ☃",
            "100%",
            "",
            long.as_str(),
        ];
        let names: Vec<String> = stages
            .iter()
            .map(|s| state_object(Generation(5), Epoch(6), &subtask(s), 1))
            .collect();
        for name in &names {
            assert!(is_plain(name), "{name}");
            assert!(name.len() < 200, "{name}");
            let parsed = parse_state_object(name).expect("a name of ours");
            assert_eq!(
                (parsed.generation, parsed.epoch),
                (Generation(5), Epoch(6)),
                "{name}"
            );
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), stages.len());
    }

    #[test]
    fn a_foreign_file_is_a_state_object_that_carries_its_epoch() {
        let name = foreign_file(Generation(2), Epoch(41), &subtask("hourly"), 7);
        assert_eq!(
            name,
            "state/g0000000002-e00000000000000000041-hourly-w3-7.file"
        );
        let parsed = parse_state_object(&name).expect("a name of ours");
        assert_eq!(
            (parsed.generation, parsed.epoch),
            (Generation(2), Epoch(41))
        );
    }

    #[test]
    fn entries_of_the_history_sort_by_name_as_they_happened() {
        let key = |run, event| HistoryKey {
            generation: Generation(run),
            event,
        };
        let keys = [
            key(9, HistoryEvent::Began),
            key(9, HistoryEvent::Checkpoint(Epoch(9))),
            key(9, HistoryEvent::Checkpoint(Epoch(10))),
            key(9, HistoryEvent::Ended),
            key(10, HistoryEvent::Began),
        ];
        let names = keys.map(history);
        assert_eq!(names[1], "history/g0000000009-e00000000000000000009");
        assert!(keys.is_sorted() && names.is_sorted(), "{names:?}");
        for (key, name) in keys.iter().zip(&names) {
            assert!(is_plain(name));
            assert_eq!(parse_history(name), Some(*key));
        }
        for other in ["history/g1-began", "history/g0000000001-e1", "history/x"] {
            assert_eq!(parse_history(other), None, "{other}");
        }
    }

    #[test]
    fn the_name_of_a_request_says_whom_it_is_addressed_to() {
        let name = RequestName {
            to: Addressee {
                generation: Generation(7),
                nonce: u64::MAX,
            },
            id: 3,
        };
        assert_eq!(parse_request(&request(name)), Some(name));
        assert_eq!(parse_reply(&reply(name)), Some(name));
        assert_eq!(parse_request(&reply(name)), None);
        assert!(is_plain(&request(name)));
        for other in [
            "requests/x.request",
            "requests/g1-2-3.request",
            "requests/g1-2-3-4.request",
            "requests/.request",
        ] {
            assert_eq!(parse_request(other), None, "{other}");
        }
    }

    #[test]
    fn an_imported_object_keeps_apart_what_was_apart() {
        let subtask = subtask("hourly");
        let import = |name: &str| imported(Generation(9), Epoch(50), name).expect("a name of ours");
        let first = import(&state_object(Generation(2), Epoch(41), &subtask, 0));
        let second = import(&state_object(Generation(2), Epoch(41), &subtask, 1));
        let later = import(&state_object(Generation(2), Epoch(42), &subtask, 0));
        assert_eq!(common_to_parts(&first), common_to_parts(&second));
        assert_ne!(first, second);
        assert_ne!(common_to_parts(&first), common_to_parts(&later));
        let parsed = parse_state_object(&first).expect("a name of ours");
        assert_eq!(
            (parsed.generation, parsed.epoch),
            (Generation(9), Epoch(50))
        );
        assert!(is_plain(&first));
        assert_eq!(import(&first).len(), first.len(), "a copy of a copy");
        let file = import(&foreign_file(Generation(2), Epoch(41), &subtask, 7));
        assert!(file.ends_with("-7.file"), "{file}");
        for other in [
            "state/x",
            "log/00000000000000000007",
            "state/g1-e2-x-w3-b.snap",
        ] {
            assert_eq!(imported(Generation(9), Epoch(50), other), None, "{other}");
        }
    }

    #[test]
    fn the_work_directories_of_older_runs_of_the_same_job_are_stale() {
        let dir = |job: &str, place, generation| work_dir(job, place, Generation(generation), 5);
        let is_stale = |name: String| is_stale_work_dir(&name, "a b", 1, Generation(3));
        assert!(is_stale(dir("a b", 1, 2)));
        assert!(!is_stale(dir("a b", 1, 3)), "this run's own");
        assert!(
            !is_stale(dir("a b", 2, 2)),
            "of another checkpoint directory"
        );
        assert!(!is_stale(dir("a", 1, 2)), "of another job");
        assert!(!is_stale("what else is there".to_owned()));
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_plain() {
        for name in [
            "",
            "state",
            "state/",
            "/etc/passwd",
            "state/../x",
            "state/a/b",
            "../x",
            "state/.x",
            "a b/c",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
