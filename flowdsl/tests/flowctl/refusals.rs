//! What is refused, in one line and with the exit code 2.

use std::fs;
use std::path::Path;
use std::process::Command;

use flowdsl::runtime::ids::{Epoch, Generation};
use flowdsl::runtime::storage::frame::{FrameHeader, FrameKind, encode};
use tempfile::TempDir;

use crate::stored::{Stored, check_refused, flowctl};

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
