//! What follows what where nothing fails.

use super::play::*;
use crate::ids::Generation;
use crate::protocol::coordination::*;
use crate::settings::DuringBacklog;

#[test]
fn a_checkpoint_goes_from_trigger_to_permit() {
    let mut play = Play::begin(|_| ());
    play.until(10);
    play.expect(&["trigger 5"]);
    let triggered = play.machine.last_trigger;
    assert!((S * 5..=S * 10).contains(&triggered), "{triggered:?}");
    play.now = triggered + S * 3;
    play.answer(5);
    play.expect(&["publish 5"]);
    play.durable();
    play.expect(&["5 took 3s", "permit 5"]);
    play.now = triggered + S * 10;
    play.committed(5);
    play.expect(&["trigger 6"]);
}

#[test]
fn the_manifest_says_what_the_run_is() {
    let mut play = Play::begin(|_| ());
    play.open_first();
    play.answer(5);
    let manifest = &play.under_way[0];
    assert_eq!(
        (manifest.job.as_str(), manifest.generation, manifest.nonce),
        ("job", Generation(7), 1)
    );
    let subtasks: Vec<String> = manifest
        .snapshots
        .iter()
        .map(|snapshot| snapshot.subtask.to_string())
        .collect();
    assert_eq!(subtasks, ["count/0", "sink/0", "source/0"]);
}

#[test]
fn a_checkpoint_is_not_complete_before_the_ack_frontier_says_so() {
    let mut play = Play::begin(|_| ());
    play.open_first();
    for stage in ALL {
        play.ack(stage, 5, durable());
    }
    play.expect(&[]);
    play.frontier(6);
    play.expect(&["publish 5"]);
}

#[test]
fn the_end_of_input_is_a_last_checkpoint_and_then_the_end() {
    let mut play = Play::begin(|_| ());
    play.source_finished();
    play.expect(&["trigger 5 as the last"]);
    play.answer(5);
    play.expect(&["publish 5 as finished"]);
    play.durable();
    play.expect(&["5 took 0ns", "permit 5"]);
    assert_eq!(
        play.machine.job_end(),
        None,
        "its output is not visible yet"
    );
    play.committed(5);
    play.expect(&["finish"]);
    assert_eq!(play.machine.job_end(), Some(JobEnd::Success));
    play.until(1_000);
    play.expect(&[]);
}

#[test]
fn a_stop_is_a_last_checkpoint_that_does_not_say_finished() {
    let mut play = Play::begin(|_| ());
    play.hear(Heard::Stop);
    play.expect(&["trigger 5 as the last"]);
    play.answer(5);
    play.expect(&["publish 5"]);
    play.durable();
    play.committed(5);
    play.expect(&["5 took 0ns", "permit 5", "finish"]);
    assert_eq!(play.machine.job_end(), Some(JobEnd::Cancel));
}

/// What is kept at the end may be nothing: whoever asks too early must not be told to delete.
#[test]
fn a_job_has_no_end_before_its_last_checkpoint_is_complete_and_committed() {
    let mut play = Play::begin(|_| ());
    let no_end = |play: &Play| assert_eq!(play.machine.job_end(), None);
    no_end(&play);
    play.open_first();
    play.answer(5);
    play.durable();
    play.committed(5);
    play.source_finished();
    no_end(&play);
    play.answer(6);
    no_end(&play);
    play.published(unavailable());
    play.until(10);
    no_end(&play);
    play.answer(7);
    play.durable();
    no_end(&play);
    play.committed(7);
    assert_eq!(play.machine.job_end(), Some(JobEnd::Success));
}

#[test]
fn the_last_checkpoint_waits_for_those_under_way() {
    let mut play = Play::begin(|c| c.max_concurrent = 3);
    play.open_first();
    play.hear(Heard::Stop);
    play.expect(&[]);
    play.answer(5);
    play.expect(&["publish 5"]);
    play.durable();
    play.expect(&["5 took 0ns", "permit 5", "trigger 6 as the last"]);
}

#[test]
fn whoever_asks_is_answered_when_the_output_is_visible() {
    let mut play = Play::begin(|c| c.interval = None);
    play.ask(1);
    // When this one asks, epoch 5 has been closed: it gets a checkpoint of its own.
    play.ask(2);
    play.expect(&["trigger 5"]);
    play.answer(5);
    play.durable();
    play.expect(&["publish 5", "5 took 0ns", "permit 5", "trigger 6"]);
    play.committed(5);
    play.expect(&["tell 1 5"]);
    play.answer(6);
    play.durable();
    play.committed(6);
    play.expect(&["publish 6", "6 took 0ns", "permit 6", "tell 2 6"]);
}

#[test]
fn whoever_asks_behind_the_last_trigger_gets_the_last_checkpoint() {
    let mut play = Play::begin(|_| ());
    play.hear(Heard::Stop);
    play.ask(1);
    play.answer(5);
    play.durable();
    play.committed(5);
    play.ask(2);
    play.expect(&[
        "trigger 5 as the last",
        "publish 5",
        "5 took 0ns",
        "permit 5",
        "tell 1 5",
        "finish",
        "tell 2 5",
    ]);
}

#[test]
fn checkpoints_that_overlap_complete_in_the_order_of_their_epochs() {
    let mut play = Play::begin(|c| c.max_concurrent = 2);
    play.open_first();
    play.until(10);
    play.expect(&["trigger 6"]);
    play.until(100);
    play.ask(1);
    play.expect(&[
        "abort 5",
        "tell 0 it failed",
        "5 failed",
        "trigger 7",
        "abort 6",
        "6 failed",
        "trigger 8",
    ]);
}

#[test]
fn a_later_checkpoint_that_is_complete_waits_for_the_one_before_to_be_published() {
    let mut play = Play::begin(|c| c.max_concurrent = 2);
    play.open_first();
    play.until(10);
    play.expect(&["trigger 6"]);
    for stage in ALL {
        play.ack(stage, 6, durable());
        play.ack(stage, 5, durable());
    }
    // The frontier passes both at once.
    play.frontier(7);
    play.expect(&["publish 5"]);
    play.durable();
    play.expect(&["5 took 10s", "permit 5", "publish 6"]);
    play.durable();
    play.expect(&["6 took 0ns", "permit 6"]);
}

#[test]
fn a_pause_follows_the_end_of_a_checkpoint_complete_or_not() {
    let mut play = Play::begin(|c| c.min_pause = S * 30);
    play.open_first();
    play.until(20);
    play.answer(5);
    play.durable();
    play.expect(&["publish 5", "5 took 20s", "permit 5"]);
    play.until(49);
    play.expect(&[]);
    play.until(50);
    play.expect(&["trigger 6"]);
    play.until(70);
    play.answer_failed(6);
    play.until(99);
    play.expect(&["6 failed"]);
    play.until(100);
    play.expect(&["trigger 7"]);
}

#[test]
fn a_backlog_slows_checkpoints_down_until_it_is_worked_off() {
    let mut play = Play::begin(|c| c.during_backlog = DuringBacklog::Every(S * 100));
    play.backlog(Backlog::Some);
    play.open_first();
    play.answer(5);
    play.durable();
    play.expect(&["publish 5", "5 took 0ns", "permit 5"]);
    play.until(99);
    play.expect(&[]);
    play.backlog(Backlog::None);
    play.expect(&["trigger 6"]);
    play.answer(6);
    play.durable();
    play.backlog(Backlog::Some);
    // A source that has read everything has no backlog, whatever it said before.
    play.source_finished();
    play.expect(&[
        "publish 6",
        "6 took 0ns",
        "permit 6",
        "trigger 7 as the last",
    ]);
}

#[test]
fn a_restored_run_is_well_when_its_first_checkpoint_is_in_time() {
    let mut play = Play::begin_from(Some(Epoch(4)), |c| c.first_within = Some(S * 20));
    play.open_first();
    play.until(20);
    assert_ne!(play.machine.health(play.now), Health::Healthy);
    play.answer(5);
    play.durable();
    assert_eq!(play.machine.health(play.now), Health::Healthy);
    let mut afresh = Play::begin(|c| c.first_within = Some(S * 20));
    afresh.until(1_000);
    assert_eq!(afresh.machine.restored_at, None);
}

#[test]
fn the_same_run_is_the_same_again() {
    let run = || {
        let mut play = Play::begin(|c| c.max_concurrent = 2);
        play.until(35);
        play.answer(5);
        play.until(500);
        format!("{:?}", play.actions)
    };
    assert_eq!(run(), run());
}
