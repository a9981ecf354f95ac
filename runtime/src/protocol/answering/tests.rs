use super::*;
use crate::error::ErrorKind;
use crate::protocol::testing::bare_manifest;

const SETTINGS: AnsweringSettings = AnsweringSettings {
    first_epoch: Epoch(1),
    commit_timeout: Duration::from_secs(10),
    first_pause: Duration::from_millis(20),
};

type Operator = Answering<&'static str>;
type Effect = AnsweringEffect<&'static str>;

fn operator(participants: Participants) -> Operator {
    let mut operator = Answering::new(participants, SETTINGS);
    operator.owe(Epoch(1));
    operator
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn stored(epoch: u64, prepared: Option<&[&'static str]>) -> SnapshotOutcome<&'static str> {
    SnapshotOutcome {
        epoch: Epoch(epoch),
        failure: None,
        prepared: prepared.map(|committables| (committables.to_vec(), None)),
    }
}

fn failed(epoch: u64, prepared: Option<&[&'static str]>) -> SnapshotOutcome<&'static str> {
    SnapshotOutcome {
        failure: Some("the disk is full".to_owned()),
        ..stored(epoch, prepared)
    }
}

fn output(committables: &[(u64, &'static str)]) -> Output<&'static str> {
    let with_epoch = |(epoch, c): &(u64, &'static str)| (Epoch(*epoch), *c);
    Output {
        committables: committables.iter().map(with_epoch).collect(),
        unfinished: None,
    }
}

fn answered(effect: Option<Effect>) -> Answer<&'static str> {
    match effect {
        Some(AnsweringEffect::Answer(answer)) => answer,
        other => panic!("{other:?} is no answer"),
    }
}

fn aborted(epoch: u64) -> Decided {
    Decided {
        aborted: Epoch(epoch),
        permit: None,
    }
}

fn permitted(epoch: u64) -> Decided {
    Decided {
        aborted: Epoch(0),
        permit: CommitPermit::of_published(&bare_manifest(1, epoch)),
    }
}

fn polled(operator: &mut Operator, now: Duration, decided: &Decided) -> Vec<Effect> {
    operator.poll(now, decided).expect("no commit hangs")
}

/// The committables that a commit was begun of, which is looked after until it would be given up.
fn commits(effects: &[Effect]) -> Vec<&'static str> {
    match effects {
        [AnsweringEffect::Commit(due, _), AnsweringEffect::AskAt(_)] => {
            due.iter().map(|(_, c)| *c).collect()
        }
        other => panic!("{other:?} is no commit"),
    }
}

/// A sink with this output, of which a commit begins at once.
fn committing(committables: &[&'static str]) -> Operator {
    let mut sink = operator(Participants::Sink);
    let _ = sink.took_snapshot(stored(1, Some(committables)));
    assert_eq!(
        commits(&polled(&mut sink, millis(0), &permitted(1))),
        committables
    );
    sink
}

fn unavailable() -> Result<()> {
    Err(Error::unavailable("the place of output does not answer"))
}

#[test]
fn a_stored_snapshot_is_answered_for_each_participant() {
    let mut stage = operator(Participants::Stage);
    let answer = answered(stage.took_snapshot(stored(1, None)));
    assert_eq!((answer.stage, answer.sink), (Some(Ok(())), None));
    let mut sink = operator(Participants::Sink);
    let answer = answered(sink.took_snapshot(stored(1, Some(&["a"]))));
    assert_eq!(
        (answer.stage, answer.sink),
        (None, Some(Ok(output(&[(1, "a")]))))
    );
    let mut both = operator(Participants::StageAndSink);
    let answer = answered(both.took_snapshot(stored(1, Some(&["a"]))));
    assert_eq!(answer.stage, Some(Ok(())));
    assert_eq!(answer.sink, Some(Ok(output(&[(1, "a")]))));
    assert_eq!(
        polled(&mut both, millis(0), &aborted(1)),
        [],
        "once is enough"
    );
}

#[test]
fn a_snapshot_that_could_not_be_stored_fails_for_the_stage_and_not_for_the_sink() {
    let mut both = operator(Participants::StageAndSink);
    let answer = answered(both.took_snapshot(failed(1, Some(&["a"]))));
    assert!(matches!(answer.stage, Some(Err(why)) if why.contains("full")));
    assert_eq!(answer.sink, Some(Ok(output(&[(1, "a")]))));
}

#[test]
fn what_was_given_up_is_answered_at_once_and_in_order() {
    let mut both = operator(Participants::StageAndSink);
    both.owe(Epoch(2));
    both.owe(Epoch(3));
    let effects = polled(&mut both, millis(0), &aborted(2));
    let epochs: Vec<u64> = effects
        .into_iter()
        .map(|effect| {
            let answer = answered(Some(effect));
            assert!(matches!(answer.stage, Some(Err(_))));
            assert_eq!(answer.sink, Some(Ok(output(&[]))), "it has staged nothing");
            answer.epoch.0
        })
        .collect();
    assert_eq!(epochs, [1, 2]);
    assert_eq!(polled(&mut both, millis(0), &aborted(2)), []);
    let mut sink = operator(Participants::Sink);
    let answer = answered(polled(&mut sink, millis(0), &aborted(1)).pop());
    assert!(
        matches!(answer.sink, Some(Err(_))),
        "it does not know yet what it holds"
    );
}

#[test]
fn a_snapshot_behind_its_answer_gives_no_second_one_and_its_output_is_in_the_next() {
    let mut both = operator(Participants::StageAndSink);
    both.owe(Epoch(2));
    let _ = polled(&mut both, millis(0), &aborted(1));
    assert_eq!(both.took_snapshot(stored(1, Some(&["a"]))), None);
    let answer = answered(both.took_snapshot(stored(2, Some(&["b"]))));
    assert_eq!(answer.epoch, Epoch(2));
    assert_eq!(answer.sink, Some(Ok(output(&[(1, "a"), (2, "b")]))));
}

#[test]
fn what_goes_on_in_the_next_epoch_is_replaced_by_each_snapshot() {
    let mut sink = operator(Participants::Sink);
    sink.owe(Epoch(2));
    let mut first = stored(1, Some(&[]));
    first.prepared = Some((Vec::new(), Some(vec![7])));
    let answer = answered(sink.took_snapshot(first));
    assert!(matches!(answer.sink, Some(Ok(output)) if output.unfinished == Some(vec![7])));
    let answer = answered(sink.took_snapshot(stored(2, Some(&["a"]))));
    assert_eq!(answer.sink, Some(Ok(output(&[(2, "a")]))));
}

#[test]
fn a_permit_commits_what_is_pending_up_to_its_epoch_one_commit_at_a_time() {
    let mut sink = operator(Participants::Sink);
    sink.owe(Epoch(2));
    assert_eq!(
        polled(&mut sink, millis(0), &Decided::default()),
        [],
        "without a permit"
    );
    let _ = sink.took_snapshot(stored(1, Some(&["a", "b"])));
    let _ = sink.took_snapshot(stored(2, Some(&["c"])));
    assert_eq!(
        commits(&polled(&mut sink, millis(0), &permitted(1))),
        ["a", "b"]
    );
    let wait = [AnsweringEffect::AskAt(millis(10_000))];
    assert_eq!(
        polled(&mut sink, millis(1), &permitted(2)),
        wait,
        "one is under way"
    );
    let done = [(Epoch(1), "a"), (Epoch(1), "b")];
    assert_eq!(
        sink.committed(&done, Ok(()), millis(2)).expect("well"),
        None
    );
    assert_eq!(commits(&polled(&mut sink, millis(2), &permitted(2))), ["c"]);
}

#[test]
fn that_all_is_committed_is_reported_once_for_each_permit_and_not_before() {
    let mut sink = operator(Participants::Sink);
    let _ = sink.took_snapshot(stored(1, Some(&["a"])));
    assert_eq!(commits(&polled(&mut sink, millis(0), &permitted(1))), ["a"]);
    let wait = [AnsweringEffect::AskAt(millis(10_000))];
    assert_eq!(polled(&mut sink, millis(1), &permitted(1)), wait);
    let done = [(Epoch(1), "a")];
    assert_eq!(
        sink.committed(&done, Ok(()), millis(2)).expect("well"),
        None
    );
    let report = AnsweringEffect::ReportCommitted(Epoch(1));
    assert_eq!(polled(&mut sink, millis(2), &permitted(1)), [report]);
    assert_eq!(polled(&mut sink, millis(3), &permitted(1)), []);
    let report = AnsweringEffect::ReportCommitted(Epoch(2));
    assert_eq!(polled(&mut sink, millis(4), &permitted(2)), [report]);
}

#[test]
fn a_stage_without_a_sink_commits_and_reports_nothing() {
    let mut stage = operator(Participants::Stage);
    assert_eq!(polled(&mut stage, millis(0), &permitted(1)), []);
}

#[test]
fn a_commit_that_failed_is_tried_again_behind_a_pause_that_doubles() {
    let mut sink = operator(Participants::Sink);
    let _ = sink.took_snapshot(stored(1, Some(&["a", "b"])));
    assert_eq!(
        commits(&polled(&mut sink, millis(0), &permitted(1))),
        ["a", "b"]
    );
    let done = [(Epoch(1), "a")];
    let again = sink.committed(&done, unavailable(), millis(100));
    assert_eq!(
        again.expect("not for long"),
        Some(AnsweringEffect::AskAt(millis(120)))
    );
    let wait = [AnsweringEffect::AskAt(millis(120))];
    assert_eq!(polled(&mut sink, millis(119), &permitted(1)), wait);
    assert_eq!(
        commits(&polled(&mut sink, millis(120), &permitted(1))),
        ["b"],
        "the rest"
    );
    let again = sink.committed(&[], unavailable(), millis(200));
    assert_eq!(
        again.expect("not for long"),
        Some(AnsweringEffect::AskAt(millis(240)))
    );
    // A success ends the count.
    assert_eq!(
        commits(&polled(&mut sink, millis(240), &permitted(1))),
        ["b"]
    );
    let done = [(Epoch(1), "b")];
    assert_eq!(
        sink.committed(&done, Ok(()), millis(250)).expect("well"),
        None
    );
    sink.owe(Epoch(2));
    let _ = sink.took_snapshot(stored(2, Some(&["c"])));
    assert_eq!(
        commits(&polled(&mut sink, millis(260), &permitted(2))),
        ["c"]
    );
    let again = sink.committed(&[], unavailable(), millis(300));
    assert_eq!(
        again.expect("the first"),
        Some(AnsweringEffect::AskAt(millis(320)))
    );
}

#[test]
fn commits_that_fail_for_too_long_end_the_job_and_the_output_stays_pending() {
    let mut sink = operator(Participants::Sink);
    let _ = sink.took_snapshot(stored(1, Some(&["a"])));
    let mut now = millis(0);
    let error = loop {
        assert_eq!(commits(&polled(&mut sink, now, &permitted(1))), ["a"]);
        match sink.committed(&[], unavailable(), now) {
            Ok(Some(AnsweringEffect::AskAt(next))) => {
                assert!(next <= now + LONGEST_PAUSE);
                now = next;
            }
            Ok(other) => panic!("{other:?} after a failure"),
            Err(error) => break error,
        }
    };
    assert!(now > SETTINGS.commit_timeout, "not before {now:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    sink.owe(Epoch(2));
    let answer = answered(sink.took_snapshot(stored(2, Some(&[]))));
    assert_eq!(answer.sink, Some(Ok(output(&[(1, "a")]))));
}

/// A rename that hangs returns no error: its output was invisible for good while the job called itself healthy.
#[test]
fn a_commit_that_hangs_is_given_up_at_the_time_that_was_asked_for() {
    let mut sink = committing(&["a"]);
    let at = SETTINGS.commit_timeout;
    let just_before = at.saturating_sub(millis(1));
    let wait = [AnsweringEffect::AskAt(at)];
    assert_eq!(polled(&mut sink, just_before, &permitted(1)), wait);
    let error = sink.poll(at, &permitted(1)).expect_err("it hangs");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("has not got on for 10s"),
        "{error}"
    );
}

#[test]
fn a_commit_that_is_slow_is_not_given_up_while_it_gets_on() {
    let mut sink = committing(&["a", "b", "c"]);
    for second in [9_u64, 18, 27] {
        sink.commit_got_on(millis(1_000 * second));
        let at = millis(1_000 * second + 9_999);
        let wait = [AnsweringEffect::AskAt(millis(1_000 * second + 10_000))];
        assert_eq!(polled(&mut sink, at, &permitted(1)), wait);
    }
    sink.poll(millis(37_000), &permitted(1))
        .expect_err("it hangs in the end");
}

#[test]
fn a_commit_that_returns_late_is_none_that_hangs() {
    let mut sink = committing(&["a"]);
    let done = [(Epoch(1), "a")];
    let late = SETTINGS.commit_timeout * 2;
    assert_eq!(sink.committed(&done, Ok(()), late).expect("well"), None);
    let report = AnsweringEffect::ReportCommitted(Epoch(1));
    assert_eq!(polled(&mut sink, late, &permitted(1)), [report]);
}
