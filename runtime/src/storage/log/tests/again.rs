//! Processes that claim the log once more, as a run does that begins anew behind a failure.

use super::*;
use crate::protocol::Claimant;

fn again(storage: &Arc<dyn CheckpointStorage>, claimant: &mut Claimant) -> Result<LogWriter> {
    claim(Arc::clone(storage), &REQUEST, claimant).map(|claimed| claimed.writer)
}

/// Two runs on one directory fenced each other for ever: each one's restart took the log back from the other.
#[test]
fn a_process_that_was_overtaken_does_not_claim_again() {
    let storage = memory();
    let mut process = new_claimant();
    let mut first = again(&storage, &mut process).expect("nothing else runs");
    let _ = publish(&mut first, 1);
    again(&storage, &mut process).expect("its own slot is the last");
    let mut newer = claimed(&storage);
    for _ in 0..2 {
        let error = again(&storage, &mut process).expect_err("overtaken");
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    }
    assert_eq!(slots(&storage), [0, 1, 2, 3]);
    newer.check_newest().expect("nobody has disturbed it");
    let _ = publish(&mut newer, 2);
}

#[test]
fn a_process_that_is_overtaken_between_its_look_and_its_claim_does_not_claim_again() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(memory.clone());
    let mut process = new_claimant();
    again(&storage, &mut process).expect("nothing else runs");
    let racing = Interrupted::new(&memory);
    let same = Arc::clone(&storage);
    racing.before(move || {
        let _ = claimed(&same);
        Ok(())
    });
    let error = claim(racing, &REQUEST, &mut process).expect_err("overtaken");
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(slots(&storage), [0, 1]);
}

#[test]
fn a_claim_without_an_answer_does_not_fence_the_process_that_made_it() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut process = new_claimant();
    again(&storage, &mut process).expect("nothing else runs");
    let world = Arc::downgrade(&failing);
    failing.after(move || {
        let failing = world.upgrade().expect("it is in use");
        failing.before(|| Err(Error::unavailable("still away")));
        Err(Error::unavailable("the answer was lost"))
    });
    let error = again(&storage, &mut process).expect_err("twice no answer");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(slots(&storage), [0, 1], "it was written all the same");
    let third = again(&storage, &mut process).expect("nobody else has claimed");
    assert_eq!(third.generation(), Generation(3));
}

#[test]
fn a_claim_behind_which_the_run_failed_at_once_is_known() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut process = new_claimant();
    failing.reading(|| Err(Error::unavailable("away")));
    again(&storage, &mut process).expect_err("it cannot read what it has claimed");
    assert_eq!(slots(&storage), [0]);
    let _ = claimed(&storage);
    let error = again(&storage, &mut process).expect_err("overtaken");
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
}

#[test]
fn a_run_in_doubt_is_not_overtaken_by_its_own_manifest() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut writer = claimed(&storage);
    doubt::publish_in_doubt(&failing, &mut writer, 1, true);
    writer.check_not_overtaken().expect("the slot is its own");
    let _ = claimed(&storage);
    let error = writer.check_not_overtaken().expect_err("overtaken");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}
