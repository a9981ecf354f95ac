use super::*;
use crate::ids::{StageId, WorkerIndex};

fn subtask(stage: &str) -> SubtaskId {
    SubtaskId {
        stage: StageId::new(stage),
        worker: WorkerIndex(3),
    }
}

#[test]
fn the_name_of_a_slot_depends_on_its_number_alone_and_sorts_by_it() {
    assert_eq!(slot(SlotNumber(7)), "log/00000000000000000007");
    assert!(slot(SlotNumber(9)) < slot(SlotNumber(10)));
    for number in [0, 7, u64::MAX] {
        assert_eq!(
            parse_slot(&slot(SlotNumber(number))),
            Some(SlotNumber(number))
        );
    }
    for other in [
        "log/7",
        "log/.tmp",
        "state/00000000000000000007",
        "log/+0000000000000000007",
    ] {
        assert_eq!(parse_slot(other), None, "{other}");
    }
}

#[test]
fn a_state_object_is_named_by_generation_epoch_and_subtask() {
    let name = state_object(Generation(2), Epoch(41), &subtask("hourly"), 0);
    assert_eq!(
        name,
        "state/g0000000002-e00000000000000000041-hourly-w3-0.snap"
    );
}

#[test]
fn a_compacted_object_is_named_by_its_epoch_too_and_never_as_a_snapshot_is() {
    let name = compacted_object(Generation(2), Epoch(41), &subtask("hourly"), (7, 0));
    assert_eq!(
        name,
        "state/g0000000002-e00000000000000000041-hourly-w3-c7-0.snap"
    );
    let parsed = parse_state_object(&name).expect("a name of ours");
    assert_eq!(
        (parsed.generation, parsed.epoch),
        (Generation(2), Epoch(41))
    );
    assert!(is_plain(&name));
}

#[test]
fn parts_of_one_snapshot_have_a_name_in_common_that_no_other_snapshot_has() {
    let subtask = subtask("a-1");
    let snapshot = |epoch, part| state_object(Generation(2), Epoch(epoch), &subtask, part);
    let compacted =
        |number, part| compacted_object(Generation(2), Epoch(41), &subtask, (number, part));
    let alike = [
        [snapshot(41, 0), snapshot(41, 17)],
        [snapshot(42, 0), snapshot(42, 1)],
        [compacted(7, 0), compacted(7, 1)],
        [compacted(8, 0), compacted(8, 10)],
    ];
    let common = alike.each_ref().map(|names| {
        let [first, second] = names.each_ref().map(|name| common_to_parts(name));
        assert_eq!(first, second);
        first.expect("a name of ours")
    });
    let distinct: std::collections::BTreeSet<_> = common.iter().collect();
    assert_eq!(distinct.len(), alike.len());
}

#[test]
fn any_stage_id_makes_a_plain_name_from_which_generation_and_epoch_are_read_back() {
    let long = "x".repeat(300);
    let stages = [
        "hourly",
        "a/b",
        "../../etc",
        "-e5-",
        "café ☃",
        "100%",
        "",
        long.as_str(),
    ];
    let names: Vec<String> = stages
        .iter()
        .map(|s| state_object(Generation(5), Epoch(6), &subtask(s), 1))
        .collect();
    for name in &names {
        assert!(is_plain(name), "{name}");
        assert!(name.len() < 200, "{name}");
        let parsed = parse_state_object(name).expect("a name of ours");
        assert_eq!(
            (parsed.generation, parsed.epoch),
            (Generation(5), Epoch(6)),
            "{name}"
        );
    }
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), stages.len());
}

#[test]
fn a_foreign_file_is_a_state_object_that_carries_its_epoch() {
    let name = foreign_file(Generation(2), Epoch(41), &subtask("hourly"), 7);
    assert_eq!(
        name,
        "state/g0000000002-e00000000000000000041-hourly-w3-7.file"
    );
    let parsed = parse_state_object(&name).expect("a name of ours");
    assert_eq!(
        (parsed.generation, parsed.epoch),
        (Generation(2), Epoch(41))
    );
}

#[test]
fn entries_of_the_history_sort_by_name_as_they_happened() {
    let key = |run, event| HistoryKey {
        generation: Generation(run),
        event,
    };
    let keys = [
        key(9, HistoryEvent::Began),
        key(9, HistoryEvent::Checkpoint(Epoch(9))),
        key(9, HistoryEvent::Checkpoint(Epoch(10))),
        key(9, HistoryEvent::Ended),
        key(10, HistoryEvent::Began),
    ];
    let names = keys.map(history);
    assert_eq!(names[1], "history/g0000000009-e00000000000000000009");
    assert!(keys.is_sorted() && names.is_sorted(), "{names:?}");
    for (key, name) in keys.iter().zip(&names) {
        assert!(is_plain(name));
        assert_eq!(parse_history(name), Some(*key));
    }
    for other in ["history/g1-began", "history/g0000000001-e1", "history/x"] {
        assert_eq!(parse_history(other), None, "{other}");
    }
}

#[test]
fn the_name_of_a_request_says_whom_it_is_addressed_to() {
    let name = RequestName {
        to: Addressee {
            generation: Generation(7),
            nonce: u64::MAX,
        },
        id: 3,
    };
    assert_eq!(parse_request(&request(name)), Some(name));
    assert_eq!(parse_reply(&reply(name)), Some(name));
    assert_eq!(parse_request(&reply(name)), None);
    assert!(is_plain(&request(name)));
    for other in [
        "requests/x.request",
        "requests/g1-2-3.request",
        "requests/g1-2-3-4.request",
        "requests/.request",
    ] {
        assert_eq!(parse_request(other), None, "{other}");
    }
}

#[test]
fn an_imported_object_keeps_apart_what_was_apart() {
    let subtask = subtask("hourly");
    let import = |name: &str| imported(Generation(9), Epoch(50), name).expect("a name of ours");
    let first = import(&state_object(Generation(2), Epoch(41), &subtask, 0));
    let second = import(&state_object(Generation(2), Epoch(41), &subtask, 1));
    let later = import(&state_object(Generation(2), Epoch(42), &subtask, 0));
    assert_eq!(common_to_parts(&first), common_to_parts(&second));
    assert_ne!(first, second);
    assert_ne!(common_to_parts(&first), common_to_parts(&later));
    let parsed = parse_state_object(&first).expect("a name of ours");
    assert_eq!(
        (parsed.generation, parsed.epoch),
        (Generation(9), Epoch(50))
    );
    assert!(is_plain(&first));
    assert_eq!(import(&first).len(), first.len(), "a copy of a copy");
    let file = import(&foreign_file(Generation(2), Epoch(41), &subtask, 7));
    assert!(file.ends_with("-7.file"), "{file}");
    for other in [
        "state/x",
        "log/00000000000000000007",
        "state/g1-e2-x-w3-b.snap",
    ] {
        assert_eq!(imported(Generation(9), Epoch(50), other), None, "{other}");
    }
}

#[test]
fn the_work_directories_of_older_runs_of_the_same_job_are_stale() {
    let dir = |job: &str, place, generation| work_dir(job, place, Generation(generation), 5);
    let is_stale = |name: String| is_stale_work_dir(&name, "a b", 1, Generation(3));
    assert!(is_stale(dir("a b", 1, 2)));
    assert!(!is_stale(dir("a b", 1, 3)), "this run's own");
    assert!(
        !is_stale(dir("a b", 2, 2)),
        "of another checkpoint directory"
    );
    assert!(!is_stale(dir("a", 1, 2)), "of another job");
    assert!(!is_stale("what else is there".to_owned()));
}

#[test]
fn names_that_lead_elsewhere_are_not_plain() {
    for name in [
        "",
        "state",
        "state/",
        "/etc/passwd",
        "state/../x",
        "state/a/b",
        "../x",
        "state/.x",
        "a b/c",
    ] {
        assert!(!is_plain(name), "{name}");
    }
}
