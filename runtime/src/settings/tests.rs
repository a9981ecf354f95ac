use std::time::Duration;

use super::*;
use crate::error::ErrorKind;

const S: Duration = Duration::from_secs(1);

/// Changes one setting, and expects the refusal to say this.
#[track_caller]
fn refused(change: impl FnOnce(&mut Options), expected: &str) {
    let mut options = Options::new();
    change(&mut options);
    let error = options.validate().expect_err("the setting is wrong");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains(expected), "{error}");
}

#[track_caller]
fn refused_checkpoints(change: impl FnOnce(&mut CheckpointSettings), expected: &str) {
    refused(|options| change(&mut options.checkpoints), expected);
}

#[track_caller]
fn refused_restart(strategy: RestartStrategy, expected: &str) {
    refused(|options| options.restart = Some(strategy), expected);
}

#[test]
fn the_defaults_are_right() {
    Options::new()
        .validate()
        .expect("the defaults fit together");
}

#[test]
fn every_wrong_setting_of_checkpoints_is_refused_with_the_reason() {
    refused_checkpoints(|c| c.interval = Some(Duration::ZERO), "interval is zero");
    refused_checkpoints(|c| c.timeout = Duration::ZERO, "timeout is zero");
    refused_checkpoints(|c| c.retained = 0, "no checkpoint is retained");
    refused_checkpoints(|c| c.max_concurrent = 0, "`max_concurrent` is zero");
    refused_checkpoints(
        |c| (c.max_concurrent, c.min_pause) = (2, S),
        "exclude each other",
    );
    refused_checkpoints(
        |c| c.first_within = Some(Duration::ZERO),
        "`first_within` is zero",
    );
    refused_checkpoints(
        |c| c.during_backlog = DuringBacklog::Every(S),
        "shorter than the usual one",
    );
    refused_checkpoints(
        |c| (c.interval, c.during_backlog) = (None, DuringBacklog::Off),
        "set an interval",
    );
}

#[test]
fn every_wrong_restart_strategy_is_refused_with_the_reason() {
    let exponential = |first, longest, factor| RestartStrategy::ExponentialDelay {
        first,
        longest,
        factor,
        reset_after: S,
    };
    refused_restart(
        RestartStrategy::FixedDelay {
            attempts: 0,
            delay: S,
        },
        "0 attempts",
    );
    refused_restart(exponential(Duration::ZERO, S, 2.0), "delay is zero");
    refused_restart(exponential(S * 2, S, 2.0), "longer than the longest");
    refused_restart(exponential(S, S, 0.5), "less than 1");
    refused_restart(exponential(S, S, f64::NAN), "no number");
    let rate = |failures, within| RestartStrategy::FailureRate {
        failures,
        within,
        delay: S,
    };
    refused_restart(rate(0, S), "rate of 0");
    refused_restart(rate(1, Duration::ZERO), "span of the failure rate");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let mut options = Options::new();
    options.checkpoints.retained = 0;
    options.limits.open_splits = 0;
    let text = options.validate().expect_err("two are wrong").to_string();
    assert!(
        text.contains("retained") && text.contains("open_splits"),
        "{text}"
    );
}

#[test]
fn the_first_window_is_the_longest_interval_and_the_timeout_unless_it_is_set() {
    let mut settings = CheckpointSettings::default();
    assert_eq!(settings.first_window(), Some(S * 610));
    settings.during_backlog = DuringBacklog::Every(S * 100);
    assert_eq!(settings.first_window(), Some(S * 700));
    settings.first_within = Some(S * 5);
    assert_eq!(settings.first_window(), Some(S * 5));
    settings.interval = None;
    assert_eq!(settings.first_window(), None);
}
