//! Commands that change what is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::stored::{Stored, check_refused, flowctl, text};

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
