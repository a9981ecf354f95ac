//! Commands that look: what they say to people and to programs.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::stored::{Stored, check_refused, text};

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
