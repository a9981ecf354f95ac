use std::time::Duration;

use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::metrics::MetricsSnapshot;

use super::args::with_command;
use super::ending::sentence;
use super::numbers::{grouped, short};
use super::progress::line;
use super::values::bytes;
use super::*;
use crate::{CheckpointMode, Options, Outcome, RestartStrategy, RocksDbSettings, StateBackend};

fn run_args(args: &[&str]) -> Result<RunArgs, String> {
    let cli = Cli::<NoArgs>::try_parse_from(std::iter::once(&"job").chain(args))
        .map_err(|e| e.to_string())?;
    match cli.command {
        Command::Run(Run { run, .. }) => Ok(run),
        Command::Plan(_) | Command::Operation(_) => Err("this is no run".to_owned()),
    }
}

#[test]
fn no_command_means_run() {
    let check = |args: &[&str], expected: &[&str]| {
        let args = with_command(args.iter().map(Into::into));
        assert_eq!(
            args,
            expected.iter().map(OsString::from).collect::<Vec<_>>()
        );
    };
    check(&["job"], &["job", "run"]);
    check(&["job", "--fresh"], &["job", "run", "--fresh"]);
    check(&["job", "run", "--fresh"], &["job", "run", "--fresh"]);
    check(&["job", "plan"], &["job", "plan"]);
    check(&["job", "--help"], &["job", "--help"]);
    check(&["job", "rum"], &["job", "rum"]);
}

#[test]
fn every_option_of_run_reaches_the_options_of_the_job() {
    let args = [
        "run",
        "--workers",
        "3",
        "--checkpoint-dir",
        "c",
        "--checkpoint-interval",
        "50ms",
        "--checkpoint-timeout",
        "5s",
        "--min-pause",
        "20ms",
        "--max-concurrent",
        "2",
        "--tolerable-failures",
        "7",
        "--retained",
        "9",
        "--mode",
        "at-least-once",
        "--restart",
        "none",
        "--fresh",
        "--accept-duplicates",
        "--allow-dropped",
        "delays",
        "--allow-dropped",
        "delays_out",
        "--rate",
        "1000.5",
        "--state-backend",
        "rocksdb",
        "--state-memory",
        "64MiB",
        "--state-dir",
        "w",
    ];
    let mut expected = Options::new()
        .workers(3)
        .checkpoint_dir("c")
        .checkpoint_interval(Duration::from_millis(50))
        .fresh()
        .accept_duplicates()
        .allow_dropped("delays")
        .allow_dropped("delays_out")
        .rate(1000.5)
        .backend(StateBackend::RocksDb(RocksDbSettings {
            memory_budget: 64 << 20,
            work_dir: Some("w".into()),
        }))
        .restart(RestartStrategy::None);
    let checkpoints = &mut expected.checkpoints;
    checkpoints.timeout = Duration::from_secs(5);
    checkpoints.min_pause = Duration::from_millis(20);
    (checkpoints.max_concurrent, checkpoints.tolerable_failures) = (2, 7);
    checkpoints.retained = 9;
    checkpoints.mode = CheckpointMode::AtLeastOnce;
    assert_eq!(
        run_args(&args).expect("the arguments are right").options(),
        expected
    );
}

#[test]
fn sizes_have_units() {
    for (text, size) in [("7B", 7), ("64KiB", 65_536), ("2 GB", 2_000_000_000)] {
        assert_eq!(bytes(text), Ok(size), "{text}");
    }
    for wrong in [
        "",
        "7",
        "MiB",
        "-1MiB",
        "1.5GiB",
        "99999999999999999999GiB",
        "99999999999GiB",
    ] {
        assert!(bytes(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_defaults_of_the_command_line_are_those_of_options() {
    assert_eq!(
        run_args(&[]).expect("no option is needed").options(),
        Options::new()
    );
}

#[test]
fn a_default_checkpoint_directory_gives_way_to_the_one_on_the_command_line() {
    let check = |args: &[&str], expected: &str| {
        let cli = Cli::<NoArgs>::try_parse_from(args)
            .expect("the arguments are right")
            .default_checkpoint_dir("mine");
        let Command::Run(Run { run, .. }) = cli.command else {
            panic!("this is a run")
        };
        assert_eq!(run.checkpoint_dir, Some(expected.into()));
    };
    check(&["job"], "mine");
    check(&["job", "--checkpoint-dir", "theirs"], "theirs");
}

#[test]
fn wrong_values_are_refused_with_what_to_write_instead() {
    let check = |args: &[&str], expected: &str| {
        let error = run_args(args).expect_err("the value is wrong");
        assert!(error.contains(expected), "{error}");
    };
    check(
        &["--checkpoint-interval", "50"],
        "`50` has no unit: write `50ms`",
    );
    check(&["--checkpoint-interval", "5m"], "write `5min` for minutes");
    check(
        &["--checkpoint-interval", "5d"],
        "the units are `ms`, `s`, `min` and `h`",
    );
    check(
        &["--checkpoint-interval", "soon"],
        "write a whole number with a unit",
    );
    check(
        &["--checkpoint-interval", "0s"],
        "write `off`, or at least `1ms`",
    );
    check(
        &["--checkpoint-interval", "99999999999999999999h"],
        "longer than time lasts",
    );
    check(&["--rate", "0"], "more than zero");
    check(&["--rate", "fast"], "records a second");
}

#[test]
fn restart_strategies_are_read_from_a_word_and_its_numbers() {
    let s = Duration::from_secs;
    let check = |text: &str, expected| {
        let args = run_args(&["--restart", text]).expect("it is a strategy");
        assert_eq!(args.options().restart, Some(expected), "{text}");
    };
    check("none", RestartStrategy::None);
    check("exponential", RestartStrategy::default());
    check("exponential:1s:1min", RestartStrategy::default());
    let (attempts, failures) = (3, 4);
    let delay = s(10);
    check(
        "fixed:3:10s",
        RestartStrategy::FixedDelay { attempts, delay },
    );
    let within = s(300);
    let rate = RestartStrategy::FailureRate {
        failures,
        within,
        delay,
    };
    check("rate:4:5min:10s", rate);
    let refused = |text: &str, expected: &str| {
        let error = run_args(&["--restart", text]).expect_err("it is no strategy");
        assert!(error.contains(expected), "{error}");
    };
    refused("always", "write `none`");
    refused("fixed:3", "`fixed:3:10s`");
    refused("fixed:some:10s", "`some` is no number");
    refused("fixed:3:10", "`10` has no unit");
    refused("fixed:3:off", "write a time");
}

#[test]
fn intervals_have_four_units_and_can_be_off() {
    let check = |text: &str, expected: Option<u64>| {
        let every: Every = text.parse().expect("it is an interval");
        assert_eq!(
            every.interval(),
            expected.map(Duration::from_millis),
            "{text}"
        );
    };
    check("50ms", Some(50));
    check("1s", Some(1_000));
    check("5min", Some(300_000));
    check("5 min", Some(300_000));
    check("2h", Some(7_200_000));
    check("off", None);
}

#[test]
fn times_and_numbers_are_written_for_people() {
    assert_eq!(utc(0), "1970-01-01 00:00:00");
    assert_eq!(utc(-1), "1969-12-31 23:59:59");
    assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
    assert_eq!(utc(4_107_542_399_000), "2100-02-28 23:59:59");
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
    assert_eq!(
        [12, 1_500, 300_000].map(Duration::from_millis).map(short),
        ["12.0 ms", "1.5 s", "5 min"]
    );
}

#[test]
fn the_line_on_a_terminal_says_how_far_the_job_is() {
    let mut metrics = MetricsSnapshot {
        records_in: 50_000,
        ..MetricsSnapshot::default()
    };
    assert_eq!(line(&metrics, 1_234), "50,000 records, 1,234/s");
    metrics.watermark = Some(978_328_860_000);
    (
        metrics.checkpoints,
        metrics.last_checkpoint,
        metrics.last_checkpoint_micros,
    ) = (2, 7, 4_100);
    metrics.checkpoints_failed = 1;
    let expected = "50,000 records, 1,234/s | watermark 2001-01-01 06:01:00 | checkpoint 7 in 4.1 ms | 1 failed";
    assert_eq!(line(&metrics, 1_234), expected);
}

#[test]
fn the_end_of_a_run_says_how_to_go_on() {
    let metrics = MetricsSnapshot {
        records_in: 10,
        checkpoints: 1,
        late_dropped: 2,
        ..MetricsSnapshot::default()
    };
    let check = |outcome, restored_from, options: &Options, expected: &str| {
        let report = JobReport {
            outcome,
            restored_from,
            restarts: 0,
            metrics,
        };
        assert_eq!(sentence(&report, Duration::from_secs(2), options), expected);
    };
    let (kept, not_kept) = (Options::new().checkpoint_dir("c"), Options::new());
    let did = "10 records in 2.0 s (5/s), 1 checkpoint";
    check(
        Outcome::Finished,
        None,
        &kept,
        &format!("finished: {did}, 2 late records dropped"),
    );
    check(
        Outcome::Stopped,
        Some(Epoch(4)),
        &kept,
        &format!(
            "stopped: {did}, from checkpoint 4 on, 2 late records dropped. The same command goes on from here"
        ),
    );
    check(
        Outcome::Stopped,
        None,
        &not_kept,
        &format!(
            "stopped: {did}, 2 late records dropped. Without `--checkpoint-dir` nothing is kept: the next run begins anew"
        ),
    );
    check(
        Outcome::Stopped,
        None,
        &kept.clone().fresh(),
        &format!(
            "stopped: {did}, 2 late records dropped. The same command without `--fresh` goes on from here"
        ),
    );
    check(
        Outcome::AlreadyFinished,
        Some(Epoch(4)),
        &kept,
        "had finished already: there was nothing left to do (`--fresh` runs it anew)",
    );
}
