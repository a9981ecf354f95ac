//! Checkpoints and publications that fail or hang.

use super::play::*;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::ids::Generation;
use crate::protocol::coordination::*;

#[test]
fn a_last_checkpoint_that_fails_is_taken_again() {
    let mut play = Play::begin(|_| ());
    play.source_finished();
    play.answer_failed(5);
    play.expect(&["trigger 5 as the last", "5 failed"]);
    play.until(1);
    play.expect(&["trigger 6 as the last"]);
    play.answer(6);
    play.durable();
    play.committed(6);
    play.expect(&["publish 6 as finished", "6 took 0ns", "permit 6", "finish"]);
}

#[test]
fn whoever_asked_is_told_of_a_failure() {
    let mut play = Play::begin(|_| ());
    play.ask(1);
    play.answer_failed(5);
    play.expect(&["trigger 5", "tell 1 it failed", "5 failed"]);
}

#[test]
fn a_checkpoint_without_all_answers_is_given_up_and_the_next_one_is_taken() {
    let mut play = Play::begin(|_| ());
    play.open_first();
    play.ack("source", 5, durable());
    play.until(59);
    play.expect(&[]);
    play.until(60);
    play.expect(&["abort 5", "tell 0 it failed", "5 failed"]);
    assert!(
        play.machine.failures[0].1.contains("from count/0, sink/0"),
        "{:?}",
        play.machine.failures
    );
    play.until(61);
    play.expect(&["trigger 6"]);
    // The answers for the one that was given up come late, and change nothing.
    play.answer(5);
    play.expect(&[]);
    play.answer(6);
    play.expect(&["publish 6"]);
}

#[test]
fn more_failures_in_a_row_than_are_tolerable_end_the_run_with_all_causes() {
    let mut play = Play::begin(|c| (c.tolerable_failures, c.interval) = (2, Some(S)));
    for epoch in 5..8 {
        play.until(10 * epoch as u32);
        play.answer_failed(epoch);
    }
    let fails = |action: Action| match action {
        Action::Fail(error) => Some(error),
        _ => None,
    };
    let error = play.actions.drain(..).find_map(fails);
    let error = error.expect("three failures are too many");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.message(),
        "3 checkpoints failed in a row, and 2 may: epoch 5: count/0: disk full; epoch 6: count/0: disk full; \
         epoch 7: count/0: disk full"
    );
    play.until(1_000);
    play.expect(&[]);
}

#[test]
fn a_completed_checkpoint_forgives_the_failures_before_it() {
    let mut play = Play::begin(|c| (c.tolerable_failures, c.interval) = (1, Some(S * 5)));
    for epoch in [5, 7, 9] {
        play.until(10 * epoch as u32);
        play.answer_failed(epoch);
        play.until(10 * epoch as u32 + 10);
        play.answer(epoch + 1);
        play.durable();
    }
    assert!(!play.actions.iter().any(|a| matches!(a, Action::Fail(_))));
}

#[test]
fn the_pause_behind_failures_grows_with_them() {
    let mut play = Play::begin(|c| c.interval = Some(S / 10));
    play.open_first();
    play.answer_failed(5);
    play.expect(&["tell 0 it failed", "5 failed"]);
    play.until(1);
    play.expect(&["trigger 6"]);
    play.answer_failed(6);
    play.until(2);
    play.expect(&["6 failed"]);
    play.until(3);
    play.expect(&["trigger 7"]);
}

#[test]
fn an_earlier_failure_does_not_fail_a_later_checkpoint() {
    let mut play = Play::begin(|c| c.max_concurrent = 2);
    play.open_first();
    play.until(10);
    play.expect(&["trigger 6"]);
    play.answer_failed(5);
    play.expect(&["tell 0 it failed", "5 failed"]);
    play.answer(6);
    play.expect(&["publish 6"]);
    play.durable();
    play.expect(&["6 took 0ns", "permit 6"]);
}

#[test]
fn a_publication_with_an_unknown_outcome_is_a_failure_and_the_next_one_goes_on() {
    let mut play = Play::begin(|_| ());
    play.open_first();
    play.answer(5);
    play.published(unavailable());
    play.expect(&["publish 5", "tell 0 it failed", "5 failed"]);
    play.until(10);
    play.expect(&["trigger 6"]);
    play.answer(6);
    play.durable();
    play.expect(&["publish 6", "6 took 0ns", "permit 6"]);
}

#[test]
fn a_publication_that_hangs_is_told_and_then_ends_the_run() {
    let mut play = Play::begin(|_| ());
    play.open_first();
    play.answer(5);
    play.expect(&["publish 5"]);
    play.until(29);
    assert_eq!(play.machine.health(play.now), Health::Healthy);
    play.until(30);
    assert_ne!(play.machine.health(play.now), Health::Healthy);
    play.until(59);
    play.expect(&[]);
    play.until(60);
    play.expect(&["fail unavailable"]);
    // Its outcome comes too late to permit anything: this run has ended.
    play.durable();
    play.expect(&["5 took 60s"]);
}

#[test]
fn a_newer_run_and_a_damaged_slot_end_the_run_at_once() {
    let by = Generation(8);
    let corrupt = PublicationOutcome::Failed(Error::corrupt("the slot is taken"));
    for (outcome, expected) in [
        (PublicationOutcome::Fenced { by }, "fail fenced"),
        (corrupt, "fail corrupt"),
    ] {
        let mut play = Play::begin(|_| ());
        play.open_first();
        play.answer(5);
        play.published(outcome);
        play.expect(&["publish 5", expected]);
        play.until(1_000);
        play.expect(&[]);
    }
}

#[test]
fn failures_make_a_run_unhealthy_until_a_checkpoint_completes() {
    let mut play = Play::begin(|_| ());
    play.open_first();
    play.answer_failed(5);
    assert_ne!(play.machine.health(play.now), Health::Healthy);
    play.until(10);
    play.answer(6);
    play.durable();
    assert_eq!(play.machine.health(play.now), Health::Healthy);
}

/// A run whose snapshots fail publishes nothing, and the log alone tells who is the newest.
#[test]
fn a_failed_checkpoint_of_a_run_that_was_overtaken_ends_it() {
    let mut play = Play::begin(|_| ());
    play.log = Some(Err(Error::fenced("another run has taken over")));
    play.open_first();
    play.answer_failed(5);
    play.expect(&["tell 0 it failed", "5 failed", "fail fenced"]);
    play.until(1_000);
    play.expect(&[]);
}

#[test]
fn a_log_that_cannot_be_read_ends_no_run_and_is_looked_at_again() {
    let mut play = Play::begin(|_| ());
    play.log = Some(Err(Error::unavailable("no route to the storage")));
    play.open_first();
    play.answer_failed(5);
    play.until(10);
    play.answer_failed(6);
    play.expect(&["tell 0 it failed", "5 failed", "trigger 6", "6 failed"]);
    assert_eq!(play.looks, 2);
}

#[test]
fn there_is_one_look_at_the_log_at_a_time() {
    let mut play = Play::begin(|_| ());
    play.log = None;
    play.open_first();
    play.answer_failed(5);
    play.until(10);
    play.answer_failed(6);
    assert_eq!(play.looks, 1, "the first one hangs");
    play.hear(Heard::LookedAtLog(Ok(())));
    play.until(20);
    play.answer_failed(7);
    assert_eq!(play.looks, 2);
}
