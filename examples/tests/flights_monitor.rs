//! `flights_monitor` as a user runs it: a process, its exit code, what it says and what it writes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use flowdsl_tests::data::Golden;
use flowdsl_tests::digest::{digest_of, sorted_lines};
use flowdsl_tests::reference::Windows;
use serde_json::Value;

fn monitor(output: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flights_monitor"));
    command
        .env_remove("RUST_LOG")
        .arg("run")
        .arg("--output")
        .arg(output)
        .args(args);
    command
}

fn run(output: &Path, args: &[&str]) -> Output {
    monitor(output, args)
        .output()
        .expect("the example can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(output: &Path, args: &[&str]) -> Output {
    let ran = run(output, args);
    assert!(ran.status.success(), "{args:?}: {}", text(&ran.stderr));
    ran
}

/// The lines of JSON that a process logs.
fn logged(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("`{line}` is no JSON: {e}"))
}

fn assert_golden(output: &Path) {
    for (folder, windows) in [("hourly", Windows::Hourly), ("sliding", Windows::Sliding)] {
        let mut rows = sorted_lines(&output.join(folder)).expect("committed files can be read");
        rows.sort_by_key(|row| key_of(row));
        let golden = Golden::of_extract(windows);
        assert_eq!(
            (rows.len(), digest_of(&rows)),
            (golden.rows, golden.digest),
            "{folder}"
        );
    }
}

fn key_of(row: &str) -> (String, i64) {
    let mut columns = row.split(',');
    let (origin, start) = (columns.next(), columns.next());
    let start = start.and_then(|start| start.parse().ok());
    (
        origin.unwrap_or_default().to_owned(),
        start.unwrap_or_else(|| panic!("`{row}` has no time")),
    )
}

#[test]
fn the_extract_gives_the_golden_rows_and_a_table() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ran = succeeds(
        dir.path(),
        &["--workers", "2", "--checkpoint-interval", "20ms"],
    );
    assert_golden(dir.path());
    let table = text(&ran.stdout);
    let alarms = sorted_lines(&dir.path().join("alarms")).expect("committed files can be read");
    let first = format!("50000 flights from 223 airports, {} alarms", alarms.len());
    assert!(table.contains(&first), "{table}");
    assert_eq!(logged(&alarms[0])["origin"], "ABQ");
}

#[test]
fn a_finished_job_says_so_and_shows_the_same_table() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = succeeds(dir.path(), &[]);
    let again = succeeds(dir.path(), &[]);
    assert_eq!(text(&first.stdout), text(&again.stdout));
    assert!(
        text(&again.stderr).contains("had finished already"),
        "{}",
        text(&again.stderr)
    );
    let anew = succeeds(dir.path(), &["--fresh"]);
    assert_eq!(text(&first.stdout), text(&anew.stdout));
    assert!(
        text(&anew.stderr).contains("50,000 records"),
        "{}",
        text(&anew.stderr)
    );
    assert_golden(dir.path());
}

#[test]
fn another_number_of_workers_gives_the_same_table() {
    let table = |workers: &str| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        text(&succeeds(dir.path(), &["--workers", workers]).stdout)
            .replace(&dir.path().display().to_string(), "")
    };
    assert_eq!(table("1"), table("4"));
}

#[test]
fn a_mistyped_checkpoint_directory_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    succeeds(dir.path(), &[]);
    let mistyped = dir.path().join("chekpoints").display().to_string();
    let refused = run(dir.path(), &["--checkpoint-dir", &mistyped]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("is the checkpoint directory mistyped?"),
        "{}",
        text(&refused.stderr)
    );
    assert_golden(dir.path());
}

#[test]
fn wrong_settings_exit_with_2_and_touch_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let check = |args: &[&str], expected: &str| {
        let output = dir.path().join("output");
        let refused = run(&output, args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        assert!(
            text(&refused.stderr).contains(expected),
            "{args:?}: {}",
            text(&refused.stderr)
        );
        assert!(!output.exists(), "{args:?}");
    };
    check(&["--workers", "1000"], "1000 workers");
    check(&["--checkpoint-interval", "50"], "write `50ms`");
    check(&["--rate", "0"], "more than zero");
    check(&["--paralelism", "2"], "--paralelism");
}

#[test]
fn input_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let failed = run(dir.path(), &["--input", "no-such.parquet"]);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(
        said.contains("error: stage `flights.source`: cannot read no-such.parquet"),
        "{said}"
    );
}

#[test]
fn the_plan_is_printed_and_nothing_runs() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let check = |format: &str, expected: &str| {
        let mut plan = Command::new(env!("CARGO_BIN_EXE_flights_monitor"));
        plan.args(["plan", "--format", format])
            .current_dir(dir.path());
        let ran = plan.output().expect("the example can be started");
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        assert!(
            text(&ran.stdout).starts_with(expected),
            "{}",
            text(&ran.stdout)
        );
    };
    check("mermaid", "flowchart TD\n");
    check("dot", "digraph plan {\n");
    check("json", "{\n  \"stages\": [");
    assert_eq!(dir.path().read_dir().expect("it is there").count(), 0);
}

/// Runs slowly until the second checkpoint is complete, and hands over the process and the rest of its log.
#[cfg(unix)]
fn run_to_the_second_checkpoint(output: &Path) -> (Child, impl Iterator<Item = Value> + use<>) {
    let args = [
        // The whole input would take a minute.
        "--rate",
        "800",
        "--checkpoint-interval",
        "20ms",
        "--progress-interval",
        "5ms",
    ];
    let mut command = monitor(output, &args);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example can be started");
    let log = BufReader::new(child.stderr.take().expect("it was asked for"));
    let mut log = log
        .lines()
        .map(|line| logged(&line.expect("the log is text")));
    let reached =
        log.any(|line| line["message"] == "progress" && line["checkpoint"].as_u64() >= Some(2));
    assert!(reached, "the job ended before its second checkpoint");
    (child, log)
}

#[cfg(unix)]
fn send(signals: &[&str], child: &Child) {
    let pid = child.id();
    let script: Vec<String> = signals
        .iter()
        .map(|signal| format!("kill -{signal} {pid}"))
        .collect();
    let sent = Command::new("sh")
        .arg("-c")
        .arg(script.join("; "))
        .status()
        .expect("there is a shell");
    assert!(sent.success(), "{signals:?} could not be sent");
}

#[cfg(unix)]
#[test]
fn a_signal_stops_with_a_last_checkpoint_and_the_next_run_goes_on() {
    for signal in ["INT", "TERM"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (mut child, log) = run_to_the_second_checkpoint(dir.path());
        send(&[signal], &child);
        let last = log.last().expect("the job says how it ended");
        assert_eq!(last["outcome"], "stopped", "{last}");
        let said = last["message"].as_str().unwrap_or_default();
        assert!(
            said.ends_with("The same command goes on from here"),
            "{said}"
        );
        assert_eq!(child.wait().expect("it was started here").code(), Some(0));

        let rest = succeeds(dir.path(), &[]);
        let last = text(&rest.stderr)
            .lines()
            .last()
            .map(logged)
            .expect("the job says how it ended");
        assert!(last["restored_from"].as_u64() >= Some(2), "{last}");
        assert_golden(dir.path());
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_the_process_at_once_and_the_next_run_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut child, _log) = run_to_the_second_checkpoint(dir.path());
    // Both are there before the last checkpoint can be: the process stands still meanwhile.
    send(&["STOP", "INT", "TERM", "CONT"], &child);
    assert_eq!(child.wait().expect("it was started here").code(), Some(130));
    succeeds(dir.path(), &[]);
    assert_golden(dir.path());
}
