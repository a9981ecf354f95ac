//! A job that runs is looked at, saved and stopped from another terminal.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn monitor(output: &Path, command: &[&str], args: &[&str]) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_flights_monitor"));
    process.env_remove("RUST_LOG").args(command);
    process.arg("--output").arg(output).args(args);
    process
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(mut command: Command) -> Output {
    let ran = command.output().expect("the example can be started");
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    ran
}

/// A job that has work for longer than the test takes, and has completed a checkpoint.
fn running(output: &Path) -> (Child, BufReader<std::process::ChildStderr>) {
    let args = [
        "--rate",
        "500",
        "--checkpoint-interval",
        "100ms",
        "--progress-interval",
        "20ms",
    ];
    let mut command = monitor(output, &["run"], &args);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example can be started");
    let mut log = BufReader::new(child.stderr.take().expect("it was asked for"));
    let mut line = String::new();
    while log.read_line(&mut line).expect("it is text") > 0 {
        let logged: Value = serde_json::from_str(&line).expect("it logs JSON");
        if logged["checkpoints"].as_u64() > Some(0) {
            return (child, log);
        }
        line.clear();
    }
    let ended = child.wait().expect("it was started here");
    panic!("it has ended without a checkpoint: {ended}");
}

#[test]
fn a_running_job_is_looked_at_saved_and_stopped_by_another_process() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path().join("output");
    let (mut job, log) = running(&output);
    // Whoever logs must be read, or it waits.
    let reader = std::thread::spawn(move || log.lines().map_while(Result::ok).last());
    let listed = succeeds(monitor(&output, &["checkpoints", "list"], &["--json"]));
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["job"], "flights_monitor");
    let saved = dir.path().join("saved").display().to_string();
    let said = succeeds(monitor(&output, &["savepoint"], &["--to", &saved]));
    assert!(
        text(&said.stdout).starts_with("savepoint of epoch "),
        "{}",
        text(&said.stdout)
    );
    assert!(
        job.try_wait().expect("it was started here").is_none(),
        "the job goes on"
    );
    let saved_at = ["--checkpoint-dir", &saved, "--json"];
    let verified = succeeds(monitor(&output, &["checkpoints", "verify"], &saved_at));
    let verified: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
    assert_eq!(verified["whole"], true);
    let stopped = succeeds(monitor(&output, &["stop"], &["--json"]));
    let stopped: Value = serde_json::from_slice(&stopped.stdout).expect("JSON");
    assert!(stopped["epoch"].as_u64().is_some(), "{stopped}");
    let ended = job.wait().expect("it was started here");
    assert!(ended.success(), "{ended}");
    reader.join().expect("the log is read to its end");
    let listed = succeeds(monitor(&output, &["checkpoints", "list"], &["--json"]));
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["checkpoints"][0]["epoch"], stopped["epoch"]);
}

#[test]
fn a_job_that_never_ran_is_not_waited_for_and_looking_makes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path().join("output");
    let refused = monitor(&output, &["stop"], &[])
        .output()
        .expect("it starts");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("there is no directory"),
        "{}",
        text(&refused.stderr)
    );
    assert!(!output.exists(), "looking makes nothing");
}
