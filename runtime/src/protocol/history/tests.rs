use super::*;
use crate::ids::StageId;
use crate::protocol::{Last, Why};

const fn generation(n: u64) -> Generation {
    Generation(n)
}

fn began(at_unix_ms: u64, before: Option<(u64, u64)>) -> HistoryEntry {
    HistoryEntry::Began(RunBegan {
        at_unix_ms,
        before: before.map(|(run, at_unix_ms)| SignOfLife {
            generation: generation(run),
            at_unix_ms,
        }),
        ..RunBegan::default()
    })
}

fn checkpoint(at_unix_ms: u64) -> HistoryEntry {
    HistoryEntry::Checkpoint(Box::new(CheckpointRecord {
        at_unix_ms,
        ..CheckpointRecord::default()
    }))
}

fn ended(at_unix_ms: u64, how: RunEnd) -> HistoryEntry {
    HistoryEntry::Ended(RunEnded { at_unix_ms, how })
}

/// Runs claim the log at 1,000, 2,000 and so on; of each there are its end and how long it ran in milliseconds.
#[track_caller]
fn check(claims: u64, entries: &[(u64, HistoryEntry)], expected: &[(u64, RunEnd, u64)]) {
    let claims = (1..=claims).map(|n| (generation(n), n * 1_000)).collect();
    let entries: Vec<_> = entries
        .iter()
        .map(|(run, entry)| (generation(*run), entry.clone()))
        .collect();
    let runs = runs_of(&claims, &entries, &[]);
    let found: Vec<(u64, RunEnd, u64)> = runs
        .iter()
        .map(|run| {
            (
                run.generation.0,
                run.end.clone(),
                run.ran().as_millis() as u64,
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_run_that_says_how_it_ended_did_so() {
    let failed = RunEnd::failed(ErrorKind::Unavailable, "disk full".to_owned());
    check(
        2,
        &[
            (1, began(1_010, None)),
            (1, ended(1_500, failed.clone())),
            (2, began(2_010, None)),
            (2, ended(2_800, RunEnd::Finished)),
        ],
        &[(1, failed, 490), (2, RunEnd::Finished, 790)],
    );
}

#[test]
fn a_run_without_an_end_was_killed_if_another_one_followed() {
    check(
        2,
        &[
            (1, began(1_010, None)),
            (1, checkpoint(1_400)),
            (2, began(2_010, None)),
            (2, checkpoint(2_100)),
        ],
        &[(1, RunEnd::Killed, 390), (2, RunEnd::Open, 90)],
    );
}

#[test]
fn a_claim_that_followed_shows_a_killed_run_before_its_own_run_begins() {
    check(
        2,
        &[(1, began(1_010, None)), (1, checkpoint(1_400))],
        &[(1, RunEnd::Killed, 390)],
    );
}

#[test]
fn a_run_that_only_claimed_has_not_worked() {
    check(3, &[(2, began(2_010, None))], &[(2, RunEnd::Killed, 0)]);
}

#[test]
fn what_a_run_knew_of_the_one_before_outlives_the_entries_of_checkpoints() {
    check(
        2,
        &[(1, began(1_010, None)), (2, began(2_010, Some((1, 1_910))))],
        &[(1, RunEnd::Killed, 900), (2, RunEnd::Open, 0)],
    );
}

#[test]
fn a_run_whose_beginning_is_lost_counts_from_its_claim() {
    check(
        1,
        &[(1, ended(1_700, RunEnd::Stopped))],
        &[(1, RunEnd::Stopped, 700)],
    );
}

/// It had run since 1970, and had the job fail once in decades.
#[test]
fn a_run_whose_beginning_and_claim_are_lost_counts_from_its_first_sign_of_life() {
    let at = 1_700_000_000_000;
    check(
        0,
        &[(1, checkpoint(at + 500)), (1, checkpoint(at))],
        &[(1, RunEnd::Open, 500)],
    );
}

#[test]
fn a_manifest_is_a_sign_of_life_too() {
    let claims = BTreeMap::from([(generation(1), 1_000)]);
    let seen = [SignOfLife {
        generation: generation(1),
        at_unix_ms: 1_900,
    }];
    let runs = runs_of(&claims, &[(generation(1), began(1_000, None))], &seen);
    assert_eq!(runs[0].ran(), Duration::from_millis(900));
}

#[test]
fn failures_are_runs_that_failed_or_were_killed() {
    let failed = RunEnd::failed(ErrorKind::Panicked, "oh".to_owned());
    let run = |n: u64, end| RunRecord {
        generation: generation(n),
        started_unix_ms: 0,
        last_seen_unix_ms: 1_000 * n,
        began: None,
        end,
    };
    let runs = [
        run(1, failed),
        run(2, RunEnd::Killed),
        run(3, RunEnd::Finished),
        run(4, RunEnd::Stopped),
        run(5, RunEnd::Open),
    ];
    let observed = Observed::of(&runs);
    assert_eq!(observed.failures, 2);
    assert_eq!(observed.running, Duration::from_secs(15));
}

#[test]
fn entries_sort_in_the_order_of_what_happened() {
    let key = |run, event| HistoryKey {
        generation: generation(run),
        event,
    };
    let mut keys = [
        key(2, HistoryEvent::Began),
        key(1, HistoryEvent::Ended),
        key(1, HistoryEvent::Checkpoint(Epoch(10))),
        key(1, HistoryEvent::Checkpoint(Epoch(9))),
        key(1, HistoryEvent::Began),
    ];
    keys.sort_unstable();
    let events = keys.map(|key| key.event);
    assert_eq!(
        events,
        [
            HistoryEvent::Began,
            HistoryEvent::Checkpoint(Epoch(9)),
            HistoryEvent::Checkpoint(Epoch(10)),
            HistoryEvent::Ended,
            HistoryEvent::Began
        ]
    );
}

#[test]
fn the_oldest_entries_are_surplus_checkpoints_and_runs_by_themselves() {
    let checkpoints = |n: u64| {
        (1..=n).map(|e| HistoryKey {
            generation: generation(9),
            event: HistoryEvent::Checkpoint(Epoch(e)),
        })
    };
    let runs = |n: u64| {
        (1..=n).flat_map(|run| {
            [HistoryEvent::Began, HistoryEvent::Ended].map(|event| HistoryKey {
                generation: generation(run),
                event,
            })
        })
    };
    let surplus_of = |c: u64, r: u64| surplus(runs(r).chain(checkpoints(c)).collect(), 100);
    assert_eq!(surplus_of(100, 100), []);
    assert_eq!(surplus_of(108, 100), checkpoints(8).collect::<Vec<_>>());
    assert_eq!(surplus_of(100, 108), runs(8).collect::<Vec<_>>());
}

#[test]
fn fields_that_a_later_version_adds_or_leaves_out_do_no_harm() {
    let entry: HistoryEntry =
        serde_json::from_str(r#"{"checkpoint":{"epoch":7,"moons":[1,2],"cost":{"took_us":9}}}"#)
            .expect("an entry of another version is read");
    let HistoryEntry::Checkpoint(checkpoint) = entry else {
        panic!("{entry:?}");
    };
    assert_eq!(checkpoint.epoch, Epoch(7));
    assert_eq!(checkpoint.cost.took, Duration::from_micros(9));
}

#[test]
fn a_line_of_the_history_says_what_it_took_and_why() {
    let mut record = CheckpointRecord {
        epoch: Epoch(42),
        cost: CheckpointCost {
            took: Duration::from_millis(50),
            estimate: Duration::from_millis(49),
            last: Some(Last {
                stage: StageId::new("hourly"),
                worker: 1,
                why: Why::Upload,
            }),
            ..CheckpointCost::default()
        },
        ..CheckpointRecord::default()
    };
    assert_eq!(
        record.to_string(),
        "epoch 42 took 50.0 ms (estimated 49.0 ms), 0 B new of 0 B; last was hourly/1: upload"
    );
    record.failure = Some("disk full".to_owned());
    record.cost.last = None;
    assert_eq!(
        record.to_string(),
        "epoch 42 failed behind 50.0 ms: disk full"
    );
    let run = RunRecord {
        generation: generation(3),
        started_unix_ms: 1_000,
        last_seen_unix_ms: 61_000,
        began: Some(RunBegan {
            at_unix_ms: 1_000,
            from: Some(Epoch(41)),
            ..RunBegan::default()
        }),
        end: RunEnd::Killed,
    };
    assert_eq!(
        run.to_string(),
        "run 3 from epoch 41 ran for 60.0 s: killed"
    );
}
