//! `flowctl` as people run it: exit codes, what it says, and JSON that programs read.

#![cfg(feature = "cli")]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flowdsl::prelude::*;
use flowdsl::runtime::ids::{Epoch, Generation};
use flowdsl::runtime::storage::frame::{FrameHeader, FrameKind, encode};
use serde_json::Value;
use tempfile::TempDir;

/// The checkpoints of a job that was run twice, with more words the second time.
struct Stored {
    dir: TempDir,
}

impl Stored {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let checkpoints = dir.path().join("checkpoints");
        for words in [1_000, 2_000] {
            let job = Job::new("words", move |flow| {
                let words = (0..words).map(|n| format!("word {}", n % 1_500)).collect();
                flow.source("words", Memory::new(words))
                    .key_by(|word: &String| word.clone())
                    .at("counts")
                    .fold(0_u64, |count, _| *count += 1)
                    .sink(Discard::new());
            });
            // A finished job does nothing any more: the second run begins anew, beside what was there.
            let mut options = Options::new().workers(2).checkpoint_dir(&checkpoints);
            options.checkpoints.interval = None;
            let options = if words == 2_000 {
                options.fresh()
            } else {
                options
            };
            job.run(options).expect("no fault");
        }
        Self { dir }
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join("checkpoints")
    }

    fn run(&self, args: &[&str]) -> Output {
        flowctl(&self.place(), args)
    }

    /// The document that a command writes with `--json`.
    fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8(ran.stdout).expect("JSON is UTF-8");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
    }

    fn epoch(&self) -> String {
        self.json(&["list"])["checkpoints"][0]["epoch"].to_string()
    }

    /// The files of the checkpoint directory, by their names there.
    fn files(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place().join(dir)).expect("it is there");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        let mut names: Vec<String> = names
            .map(|name| format!("{dir}/{}", name.to_string_lossy()))
            .collect();
        names.sort();
        names
    }
}

fn flowctl(place: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowctl"));
    command
        .arg("checkpoints")
        .args(args)
        .arg("--checkpoint-dir")
        .arg(place);
    command.output().expect("flowctl can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line on stderr that says this, nothing on stdout, and exit code 2.
#[track_caller]
fn check_refused(ran: &Output, expected: &str) {
    let said = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("error: ") && said.contains(expected),
        "{said}"
    );
    assert_eq!(text(&ran.stdout), "");
}

#[test]
fn what_is_no_checkpoint_directory_is_refused_in_one_line_and_none_is_made() {
    let stored = Stored::new();
    let dir = stored.dir.path();
    let nowhere = dir.join("chekpoints");
    for args in [
        &["list"][..],
        &["show"],
        &["verify", "--all"],
        &["diff", "1", "2"],
        &["prune", "--keep", "1", "--offline"],
    ] {
        check_refused(&flowctl(&nowhere, args), "is it mistyped?");
        assert!(!nowhere.exists(), "{args:?}");
    }
    check_refused(&flowctl(dir, &["list"]), "did you mean");
    let empty = TempDir::new().expect("a temporary directory");
    check_refused(&flowctl(empty.path(), &["list"]), "no job has begun there");
    assert_eq!(fs::read_dir(empty.path()).expect("it is there").count(), 0);
    let file = stored.place().join("log/00000000000000000000");
    check_refused(&flowctl(&file, &["list"]), "is a file");
    check_refused(
        &flowctl(Path::new("s4://bucket"), &["list"]),
        "`s4` is not known",
    );
    check_refused(&flowctl(Path::new("s3://"), &["list"]), "names no bucket");
    let unnamed = Command::new(env!("CARGO_BIN_EXE_flowctl"))
        .args(["checkpoints", "list"])
        .output();
    check_refused(&unnamed.expect("it starts"), "`--checkpoint-dir`");
}

#[test]
fn an_unknown_epoch_stage_or_key_is_refused_and_what_there_is_named() {
    let stored = Stored::new();
    let epoch = stored.epoch();
    let has = format!("it has {epoch}");
    check_refused(&stored.run(&["show", "77"]), &has);
    check_refused(&stored.run(&["verify", "77"]), &has);
    check_refused(&stored.run(&["diff", "77", &epoch]), &has);
    check_refused(&stored.run(&["show", "--state", "count"]), "it has `words`");
    check_refused(&stored.run(&["show", "--state", "words"]), "not a Keyed");
    check_refused(
        &stored.run(&["show", "--state", "counts", "--key", "7"]),
        "its keys are String",
    );
    check_refused(
        &stored.run(&["show", "--state", "counts", "--key", "word"]),
        "is no JSON",
    );
}

#[test]
fn a_slot_of_a_newer_version_is_refused_by_every_command() {
    let stored = Stored::new();
    let newest = stored.files("log").pop().expect("there are slots");
    let path = stored.place().join(&newest);
    let header = FrameHeader {
        kind: FrameKind::Manifest,
        generation: Generation(1),
        epoch: Epoch(1),
        nonce: 0,
    };
    let mut bytes = encode(&header, b"of another time");
    // A version of which this program knows nothing, in a header that is whole.
    bytes[10] = 99;
    let checksum = xxhash(&bytes[..56]);
    bytes[56..64].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).expect("it is writable");
    for args in [
        &["list"][..],
        &["show"],
        &["verify"],
        &["prune", "--keep", "1", "--offline"],
    ] {
        check_refused(
            &stored.run(args),
            "another version of flowdsl (kind 2, version 99",
        );
    }
}

/// The checksum of a header.
fn xxhash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

#[cfg(unix)]
#[test]
fn a_directory_that_may_not_be_read_is_refused_in_one_line() {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let stored = Stored::new();
    // Root reads everything, so that it becomes nobody; who is not root may stay.
    let binary = stored.dir.path().join("flowctl");
    fs::copy(env!("CARGO_BIN_EXE_flowctl"), &binary).expect("it can be copied");
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    set(stored.dir.path(), 0o755);
    set(&binary, 0o755);
    let log = stored.place().join("log");
    set(&log, 0o000);
    let run = |mut command: Command| {
        command.args(["checkpoints", "list", "--checkpoint-dir"]);
        command.arg(stored.place());
        loop {
            match command.output() {
                // A process that another test starts just now has the copy open until it is that other program.
                Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => {}
                ran => return ran,
            }
        }
    };
    let mut as_nobody = Command::new(&binary);
    as_nobody.uid(65_534);
    let ran = match run(as_nobody) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => run(Command::new(&binary)),
        ran => ran,
    };
    set(&log, 0o755);
    check_refused(&ran.expect("flowctl can be started"), "Permission denied");
}

#[test]
fn a_list_says_what_there_is_to_people_and_to_programs() {
    let stored = Stored::new();
    let listed = stored.json(&["list"]);
    let newest = &listed["checkpoints"][0];
    assert_eq!(listed["job"], "words");
    assert_eq!(newest["kind"], "checkpoint");
    assert_eq!(newest["finished"], true);
    assert_eq!(
        (&newest["generation"], &newest["worker_count"]),
        (&2.into(), &2.into())
    );
    assert_eq!(listed["claims"][1]["fresh"], true);
    assert_eq!(listed["damaged_slots"], Value::Array(Vec::new()));
    let shown = text(&stored.run(&["list"]).stdout);
    let columns = "EPOCH  KIND        TAKEN (UTC)";
    assert!(
        shown.contains(columns) && shown.contains("all read"),
        "{shown}"
    );
    assert!(
        !shown.contains('\u{1b}'),
        "no colours where nobody sees them"
    );
}

#[test]
fn a_checkpoint_is_shown_with_its_stages_and_its_state_line_by_line() {
    let stored = Stored::new();
    let shown = stored.json(&["show"]);
    let stages = shown["stages"].as_array().expect("it has stages");
    assert!(
        stages
            .iter()
            .any(|stage| stage["stage"] == "counts" && stage["kind"] == "keyed")
    );
    assert_eq!(shown["sources"][0]["splits"][0]["offset"], 2_000);
    let files = shown["files"].as_array().expect("it has files");
    assert_eq!(files.len(), stored.files("state").len());
    let epoch = stored.epoch();
    let state = |args: &[&str]| -> Vec<Value> {
        let ran = stored.run(&[&["show", &epoch, "--state", "counts"], args].concat());
        let lines = text(&ran.stdout);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    assert_eq!(state(&[]).len(), 1_500);
    assert_eq!(state(&["--limit", "7"]).len(), 7);
    let of_key = state(&["--key", "\"word 299\""]);
    assert_eq!(of_key.len(), 1, "{of_key:?}");
    assert_eq!(
        (&of_key[0]["key"], &of_key[0]["value"]),
        (&"word 299".into(), &2.into())
    );
    assert_eq!(state(&["--key", "\"word 1500\""]), Vec::<Value>::new());
    let ran = stored.run(&["show"]);
    let said = text(&ran.stdout);
    assert!(
        said.contains("`counts` keeps Values { key: String, value: u64 }"),
        "{said}"
    );
}

#[test]
fn what_is_damaged_is_named_and_the_exit_code_is_1() {
    let stored = Stored::new();
    let whole = stored.run(&["verify"]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stdout));
    assert!(
        text(&whole.stdout).contains("whole ("),
        "{}",
        text(&whole.stdout)
    );
    assert_eq!(stored.json(&["verify", "--all"])["whole"], true);
    let slots = stored.files("log").into_iter();
    // What stands before a fresh start counts no more.
    let counting = slots.skip_while(|name| !name.ends_with(&stored.claim_of_fresh_start()));
    let files: Vec<String> = counting.chain(stored.files("state")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for name in files {
        let path = stored.place().join(&name);
        let before = fs::read(&path).expect("it is there");
        let mut bytes = before.clone();
        let at = bytes.len() / 2;
        bytes[at] = !bytes[at];
        fs::write(&path, &bytes).expect("it is writable");
        for args in [&["verify"][..], &["verify", "--all"]] {
            let ran = stored.run(args);
            let said = text(&ran.stdout);
            assert_eq!(ran.status.code(), Some(1), "{name}: {said}");
            assert!(
                said.contains(&format!("damaged: {name}: ")),
                "{name}: {said}"
            );
            assert_eq!(text(&ran.stderr), "");
        }
        let document = stored.json(&["verify", "--all"]);
        assert_eq!(document["whole"], false);
        assert!(document.to_string().contains(&name), "{document}");
        fs::write(&path, before).expect("it is writable");
    }
}

impl Stored {
    fn claim_of_fresh_start(&self) -> String {
        let listed = self.json(&["list"]);
        let claims = listed["claims"]
            .as_array()
            .expect("there are claims")
            .iter();
        let fresh = claims.rev().find(|claim| claim["fresh"] == true);
        format!(
            "{:020}",
            fresh.expect("one was fresh")["slot"]
                .as_u64()
                .expect("a number")
        )
    }
}

#[test]
fn advice_comes_of_what_checkpoints_have_cost() {
    let stored = Stored::new();
    let advice = stored.json(&["advise", "--recovery", "30s", "--storage", "1GiB"]);
    assert!(advice["interval_us"].as_u64() > Some(0), "{advice}");
    assert!(advice["facts"]["measured"].as_u64() > Some(0), "{advice}");
    let said = text(&stored.run(&["advise"]).stdout);
    assert!(said.starts_with("take a checkpoint every "), "{said}");
    fs::remove_dir_all(stored.place().join("history")).expect("it is there");
    check_refused(&stored.run(&["advise"]), "has told what it cost");
    let never = stored.run(&["advise", "--replay-speed", "0"]);
    assert_eq!(never.status.code(), Some(2));
}

#[test]
fn what_checkpoints_have_cost_is_told_beside_what_they_should_have() {
    let stored = Stored::new();
    let history = stored.json(&["history"]);
    let records = history["checkpoints"].as_array().expect("a list");
    let newest = records.last().expect("there is one");
    let epoch = newest["epoch"].to_string();
    let of_epoch = stored.json(&["history", &epoch]);
    assert_eq!(&of_epoch, newest);
    let subtasks = of_epoch["cost"]["subtasks"].as_array().expect("a list");
    let said = text(&stored.run(&["history"]).stdout);
    let lines = said.lines().filter(|line| line.contains("(estimated "));
    assert_eq!(lines.count(), records.len(), "{said}");
    assert!(said.lines().any(|line| line.starts_with("run ")), "{said}");
    let said = text(&stored.run(&["history", &epoch]).stdout);
    let table = said.lines().skip_while(|line| !line.starts_with("STAGE"));
    assert_eq!(table.count(), 1 + subtasks.len(), "{said}");
    check_refused(&stored.run(&["history", "999999"]), "epoch 999999");
}

#[test]
fn a_checkpoint_that_was_exported_is_restored_and_what_is_not_there_is_not_asked() {
    let stored = Stored::new();
    let place = stored.place();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowctl"));
        let command = command.args(args).arg("--checkpoint-dir").arg(&place);
        command.output().expect("flowctl can be started")
    };
    let to = stored.dir.path().join("exported");
    let to = to.to_str().expect("it is text");
    let exported = run(&["checkpoints", "export", "--to", to]);
    assert_eq!(
        exported.status.code(),
        Some(0),
        "{}",
        text(&exported.stderr)
    );
    let verified = flowctl(Path::new(to), &["verify", "--all"]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}",
        text(&verified.stdout)
    );
    let again = run(&["checkpoints", "export", "--to", to]);
    assert_eq!(again.status.code(), Some(2), "the place is taken");
    check_refused(&run(&["restore", "--from", to]), "`--offline`");
    let restored = run(&["restore", "--from", to, "--offline"]);
    assert_eq!(
        restored.status.code(),
        Some(0),
        "{}",
        text(&restored.stderr)
    );
    assert!(text(&restored.stdout).starts_with("the next run of `words`"));
    let verified = stored.run(&["verify", "--all"]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}",
        text(&verified.stdout)
    );
}

#[test]
fn pruning_asks_whether_the_job_runs_and_leaves_what_a_start_needs() {
    let stored = Stored::new();
    let orphan = "state/g0000000001-e00000000000000000001-counts-w0-9.snap";
    fs::write(stored.place().join(orphan), b"of a run that died").expect("it is writable");
    check_refused(&stored.run(&["prune", "--keep", "1"]), "`--offline`");
    let planned = stored.json(&["prune", "--keep", "1", "--dry-run"]);
    assert_eq!(planned["objects"], serde_json::json!([orphan]));
    assert!(
        stored.place().join(orphan).exists(),
        "a plan removes nothing"
    );
    let slots = stored.files("log");
    let pruned = stored.run(&["prune", "--keep", "1", "--offline"]);
    assert_eq!(pruned.status.code(), Some(0), "{}", text(&pruned.stderr));
    assert!(!stored.place().join(orphan).exists());
    assert_eq!(
        stored.files("log").len(),
        slots.len() + 1,
        "the log was claimed"
    );
    assert_eq!(stored.json(&["verify", "--all"])["whole"], true);
    let again = stored.run(&["prune", "--keep", "1", "--offline"]);
    assert_eq!(text(&again.stdout), "nothing to remove\n");
    assert_eq!(
        stored.files("log").len(),
        slots.len() + 1,
        "nothing to do claims nothing"
    );
}

#[test]
fn pruning_leaves_all_while_the_newest_checkpoint_is_damaged() {
    let stored = Stored::new();
    let name = stored.files("state").pop().expect("there is a file");
    let path = stored.place().join(&name);
    let mut bytes = fs::read(&path).expect("it is there");
    bytes.pop();
    fs::write(&path, bytes).expect("it is writable");
    let before = stored.files("log");
    let ran = stored.run(&["prune", "--keep", "1", "--offline"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains(&name), "{}", text(&ran.stderr));
    assert_eq!(stored.files("log"), before);
}

#[cfg(unix)]
#[test]
fn a_reader_who_has_seen_enough_ends_it_quietly() {
    let stored = Stored::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowctl"));
    command.args([
        "checkpoints",
        "show",
        "--state",
        "counts",
        "--checkpoint-dir",
    ]);
    command
        .arg(stored.place())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("flowctl can be started");
    drop(child.stdout.take());
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it was asked for");
    stderr.read_to_string(&mut said).expect("it is text");
    assert_eq!(
        child.wait().expect("it was started").code(),
        Some(0),
        "{said}"
    );
    assert_eq!(said, "");
}

#[test]
fn every_command_has_help_with_an_example() {
    for args in [&["list"][..], &["show"], &["verify"], &["diff"], &["prune"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowctl"));
        let ran = command.arg("checkpoints").args(args).arg("--help").output();
        let said = text(&ran.expect("flowctl can be started").stdout);
        let example = format!("flowctl checkpoints {}", args[0]);
        assert!(
            said.contains("Example") && said.contains(&example),
            "{said}"
        );
    }
}
