//! Savepoints: epochs whose checkpoint goes elsewhere.

use super::play::*;
use crate::error::Error;
use crate::protocol::coordination::*;

impl Play {
    fn savepoint(&mut self, asker: u64) {
        self.hear(Heard::SavepointAsked(Asker(asker)));
    }

    fn copied(&mut self, asker: u64) {
        self.hear(Heard::Copied(Asker(asker), Ok(())));
    }

    fn not_copied(&mut self, asker: u64) {
        let error = Error::unavailable("no route to the place");
        self.hear(Heard::Copied(Asker(asker), Err(error)));
    }

    fn stop_with_savepoint(&mut self, asker: u64, drain: Drain) {
        self.hear(Heard::StopWithSavepoint(Asker(asker), drain));
    }
}

#[test]
fn a_savepoint_is_neither_published_nor_committed_and_is_copied_behind_a_later_checkpoint() {
    let mut play = Play::begin(|_| ());
    play.savepoint(1);
    play.expect(&["trigger 5"]);
    play.answer(5);
    play.expect(&["keep 5 for 1", "trigger 6"]);
    play.answer(6);
    play.expect(&["publish 6"]);
    play.durable();
    play.expect(&["6 took 0ns", "permit 6", "copy 5 for 1"]);
    play.ask(2);
    play.expect(&["trigger 7"]);
    play.copied(1);
    play.expect(&["savepoint 5", "tell 1 5"]);
}

/// A run that died there would be followed by one that closes another epoch 5, and discards what 5 had staged.
#[test]
fn a_savepoint_is_not_copied_while_the_checkpoint_behind_it_fails() {
    let mut play = Play::begin(|_| ());
    play.savepoint(1);
    play.answer(5);
    play.answer_failed(6);
    play.expect(&["trigger 5", "keep 5 for 1", "trigger 6", "6 failed"]);
    play.until(1);
    play.expect(&["trigger 7"]);
    play.answer(7);
    play.durable();
    play.expect(&["publish 7", "7 took 0ns", "permit 7", "copy 5 for 1"]);
}

/// Whoever asked for a checkpoint was once told the epoch of a savepoint that was opened first.
#[test]
fn a_checkpoint_that_is_asked_for_together_with_a_savepoint_is_another_epoch() {
    let mut play = Play::begin(|settings| settings.max_concurrent = 2);
    play.ask(0);
    play.savepoint(1);
    play.ask(2);
    play.expect(&["trigger 5", "trigger 6"]);
    play.answer(5);
    play.durable();
    play.expect(&["publish 5", "5 took 0ns", "permit 5", "trigger 7"]);
    play.answer(6);
    // The one that is under way serves the savepoint.
    play.expect(&["keep 6 for 1"]);
    play.answer(7);
    play.durable();
    play.expect(&["publish 7", "7 took 0ns", "permit 7", "copy 6 for 1"]);
}

#[test]
fn a_savepoint_that_fails_tells_its_asker_and_is_no_failed_checkpoint() {
    let mut play = Play::begin(|settings| settings.tolerable_failures = 0);
    for asker in [1, 2] {
        play.savepoint(asker);
        play.actions.clear();
        let epoch = 4 + asker;
        play.answer_failed(epoch);
        let failed = format!("savepoint {epoch} failed");
        play.expect(&[&format!("tell {asker} it failed"), &failed]);
    }
    play.savepoint(3);
    play.answer(7);
    play.answer(8);
    play.durable();
    play.actions.clear();
    play.not_copied(3);
    play.expect(&["savepoint 7 failed", "tell 3 it failed"]);
    assert_eq!(play.machine.health(play.now), Health::Healthy);
}

#[test]
fn a_savepoint_that_hangs_before_its_answers_is_given_up_as_a_checkpoint_is() {
    let mut play = Play::begin(|_| ());
    play.savepoint(1);
    play.until(60);
    play.expect(&[
        "trigger 5",
        "abort 5",
        "tell 1 it failed",
        "savepoint 5 failed",
        "trigger 6",
    ]);
}

#[test]
fn a_job_that_stops_with_a_savepoint_publishes_and_commits_and_ends_when_it_is_copied() {
    let mut play = Play::begin(|_| ());
    play.stop_with_savepoint(1, Drain::No);
    play.expect(&["trigger 5 as the last"]);
    play.answer(5);
    play.durable();
    play.expect(&[
        "publish 5",
        "5 took 0ns",
        "permit 5",
        "keep 5 for 1",
        "copy 5 for 1",
    ]);
    play.committed(5);
    play.expect(&[]);
    play.copied(1);
    play.expect(&["savepoint 5", "tell 1 5", "finish"]);
    assert_eq!(play.machine.job_end(), Some(JobEnd::Cancel));
}

/// A state that took longer to copy than a checkpoint may take was never saved at a stop.
#[test]
fn a_copy_is_waited_for_while_it_moves_and_the_last_checkpoint_stays_where_it_fails() {
    let mut play = Play::begin(|_| ());
    play.stop_with_savepoint(1, Drain::No);
    play.answer(5);
    play.durable();
    play.committed(5);
    play.actions.clear();
    for second in [50, 100, 150] {
        play.until(second);
        play.hear(Heard::Copying(Asker(1)));
    }
    play.until(209);
    play.expect(&[]);
    assert!(!play.machine.must_keep_last());
    play.until(210);
    play.expect(&["savepoint 5 failed", "tell 1 it failed", "finish"]);
    assert!(play.machine.must_keep_last(), "it is to be exported");
}

#[test]
fn a_job_that_drains_is_finished() {
    let mut play = Play::begin(|_| ());
    play.stop_with_savepoint(1, Drain::Yes);
    play.expect(&["trigger 5 as the last, draining"]);
    // It stops, and loses nothing of what was promised.
    play.hear(Heard::Stop);
    play.answer(5);
    play.expect(&["publish 5 as finished"]);
    play.durable();
    play.committed(5);
    play.copied(1);
    assert_eq!(play.machine.job_end(), Some(JobEnd::Success));
}

#[test]
fn a_last_checkpoint_that_fails_is_followed_by_another_for_the_savepoint() {
    let mut play = Play::begin(|_| ());
    play.stop_with_savepoint(1, Drain::Yes);
    play.answer_failed(5);
    play.until(1);
    play.expect(&[
        "trigger 5 as the last, draining",
        "5 failed",
        "trigger 6 as the last, draining",
    ]);
    play.answer(6);
    play.durable();
    play.expect(&[
        "publish 6 as finished",
        "6 took 0ns",
        "permit 6",
        "keep 6 for 1",
        "copy 6 for 1",
    ]);
}

#[test]
fn a_stop_that_has_begun_is_not_turned_into_draining() {
    let mut play = Play::begin(|_| ());
    play.hear(Heard::Stop);
    play.stop_with_savepoint(1, Drain::Yes);
    play.expect(&["trigger 5 as the last", "tell 1 it failed"]);
    play.savepoint(2);
    play.answer(5);
    play.durable();
    play.expect(&[
        "publish 5",
        "5 took 0ns",
        "permit 5",
        "keep 5 for 2",
        "copy 5 for 2",
    ]);
    play.savepoint(3);
    play.expect(&["tell 3 it failed"]);
}

#[test]
fn a_copy_that_hangs_at_the_end_is_waited_for_no_longer_than_a_checkpoint() {
    let mut play = Play::begin(|_| ());
    play.stop_with_savepoint(1, Drain::No);
    play.answer(5);
    play.durable();
    play.committed(5);
    play.actions.clear();
    play.until(59);
    play.expect(&[]);
    play.until(60);
    play.expect(&["savepoint 5 failed", "tell 1 it failed", "finish"]);
}

#[test]
fn only_so_many_savepoints_are_under_way() {
    let mut play = Play::begin(|_| ());
    for asker in 1..=5 {
        play.savepoint(asker);
    }
    play.expect(&["trigger 5", "tell 5 it failed"]);
    play.answer(5);
    // The second one came when the epoch of the first was open.
    play.expect(&["keep 5 for 1", "trigger 6"]);
    play.answer(6);
    play.expect(&["keep 6 for 2", "keep 6 for 3", "keep 6 for 4", "trigger 7"]);
}

/// A stop and the question for its checkpoint were once two things, and the job could end between them.
#[test]
fn whoever_asks_for_a_stop_is_told_of_the_last_checkpoint() {
    let mut play = Play::begin(|_| ());
    play.hear(Heard::StopAsked(Asker(1)));
    play.expect(&["trigger 5 as the last"]);
    play.answer(5);
    play.durable();
    play.committed(5);
    play.expect(&["publish 5", "5 took 0ns", "permit 5", "tell 1 5", "finish"]);
}
