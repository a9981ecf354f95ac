//! One test for each row of the table of semantics.

use super::*;
use crate::state::SnapshotScope;
use crate::state::testing::{restore, snapshot};
use crate::window::{ByFold, ByReduce, Session, Sliding, Tumbling, WindowSpec};

fn tumbling(size: i64, lateness: i64) -> impl Stage {
    Tumbling::new(size)
        .expect("a size")
        .logic(lateness, stats())
}

fn session(gap: i64, lateness: i64) -> impl Stage {
    Session::new(gap).expect("a gap").logic(lateness, stats())
}

#[test]
fn a_window_fires_when_the_watermark_reaches_its_end_and_not_before() {
    let mut logic = tumbling(10, 0);
    assert_eq!(
        add(&mut logic, i64::MIN, &[(1, 0, 5), (1, 9, 7), (2, 10, 1)]),
        (vec![], vec![])
    );
    assert_eq!(fire_all(&mut logic, 9, 100), []);
    assert_eq!(fire_all(&mut logic, 10, 100), [(1, 0, 10, (2, 12, 7))]);
    assert_eq!(fire_all(&mut logic, 10, 100), [], "only once");
    assert_eq!(logic.len(), 1);
    assert_eq!(
        fire_all(&mut logic, i64::MAX, 100),
        [(2, 10, 20, (1, 1, 1))]
    );
    assert!(logic.is_empty());
}

#[test]
fn a_record_whose_window_has_fired_is_late_and_changes_nothing() {
    let mut logic = tumbling(10, 0);
    add(&mut logic, i64::MIN, &[(1, 0, 5)]);
    assert_eq!(add(&mut logic, 9, &[(1, 1, 1)]).1, []);
    assert_eq!(add(&mut logic, 10, &[(1, 9, 9), (1, 10, 1)]).1, [(1, 9, 9)]);
    assert_eq!(
        fire_all(&mut logic, 20, 100),
        [(1, 0, 10, (2, 6, 5)), (1, 10, 20, (1, 1, 1))]
    );
}

#[test]
fn a_late_but_allowed_record_fires_at_once_with_the_full_value() {
    let mut logic = tumbling(10, 5);
    add(&mut logic, i64::MIN, &[(1, 0, 5)]);
    assert_eq!(fire_all(&mut logic, 14, 100), [(1, 0, 10, (1, 5, 5))]);
    let (fired, late) = add(&mut logic, 14, &[(1, 3, 7), (2, 4, 1)]);
    assert_eq!(fired, [(1, 0, 10, (2, 12, 7)), (2, 0, 10, (1, 1, 1))]);
    assert_eq!(late, []);
    assert_eq!(
        fire_all(&mut logic, 15, 100),
        [],
        "what has fired does not fire when its lateness is over"
    );
    assert!(logic.is_empty());
    assert_eq!(add(&mut logic, 15, &[(1, 3, 7)]).1, [(1, 3, 7)]);
}

#[test]
fn a_record_of_several_windows_is_late_only_if_it_is_for_all() {
    let mut logic = Sliding::new(10, 5).expect("a size").logic(0, stats());
    assert_eq!(add(&mut logic, 10, &[(1, 7, 1)]).1, []);
    assert_eq!(fire_all(&mut logic, 15, 100), [(1, 5, 15, (1, 1, 1))]);
    assert_eq!(add(&mut logic, 15, &[(1, 7, 1)]).1, [(1, 7, 1)]);
}

#[test]
fn sessions_exactly_a_gap_apart_do_not_merge_and_closer_ones_do() {
    let mut logic = session(10, 0);
    add(
        &mut logic,
        i64::MIN,
        &[(1, 0, 1), (1, 10, 2), (2, 0, 1), (2, 9, 2)],
    );
    let expected = [
        (1, 0, 10, (1, 1, 1)),
        (1, 10, 20, (1, 2, 2)),
        (2, 0, 19, (2, 3, 2)),
    ];
    assert_eq!(fire_all(&mut logic, 20, 1), expected);
    assert!(logic.is_empty());
}

#[test]
fn a_record_between_two_sessions_merges_them() {
    let mut logic = session(10, 0);
    add(&mut logic, i64::MIN, &[(1, 0, 1), (1, 15, 2), (1, 8, 4)]);
    assert_eq!(fire_all(&mut logic, i64::MAX, 1), [(1, 0, 25, (3, 7, 4))]);
}

#[test]
fn a_session_that_fired_and_grows_beyond_the_watermark_fires_again_at_its_new_end() {
    // Its timer then waits for the allowed lateness to be over, which is later than the new end.
    let mut logic = session(10, 100);
    add(&mut logic, i64::MIN, &[(1, 0, 1)]);
    assert_eq!(fire_all(&mut logic, 12, 1), [(1, 0, 10, (1, 1, 1))]);
    assert_eq!(add(&mut logic, 12, &[(1, 9, 1)]), (vec![], vec![]));
    assert_eq!(fire_all(&mut logic, 18, 1), []);
    assert_eq!(fire_all(&mut logic, 19, 1), [(1, 0, 19, (2, 2, 1))]);
    assert_eq!(add(&mut logic, 30, &[(1, 5, 1)]).0, [(1, 0, 19, (3, 3, 1))]);
    assert_eq!(fire_all(&mut logic, 118, 1), []);
    assert_eq!(logic.len(), 1);
    assert_eq!(fire_all(&mut logic, 119, 1), []);
    assert!(logic.is_empty());
}

#[test]
fn times_at_the_ends_of_time_neither_overflow_nor_get_lost() {
    let times = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1];
    let records = times.map(|time| (time as u64, time, 1));
    let mut logic = tumbling(1_000, i64::MAX);
    assert_eq!(add(&mut logic, i64::MIN, &records).1, []);
    assert_eq!(fire_all(&mut logic, i64::MAX, 1).len(), 5);
    let mut logic = session(1_000, 0);
    assert_eq!(add(&mut logic, i64::MIN, &records).1, []);
    assert_eq!(fire_all(&mut logic, i64::MAX, 1).len(), 5);
    assert!(logic.is_empty());
}

#[test]
fn a_late_record_stays_late_after_a_restart() {
    let make = || Tumbling::new(10).expect("a size").logic(0, stats());
    let mut logic = make();
    add(&mut logic, i64::MIN, &[(1, 0, 1)]);
    assert_eq!(fire_all(&mut logic, 10, 1).len(), 1);
    let object = snapshot(&mut logic, SnapshotScope::Full);
    for mut worker in restore(make, &[object], 2) {
        assert!(worker.is_empty());
        assert_eq!(add(&mut worker, i64::MIN, &[(1, 9, 1)]).1, [(1, 9, 1)]);
        assert_eq!(fire_all(&mut worker, i64::MAX, 1), []);
    }
}

#[test]
fn firing_goes_on_in_the_middle_of_a_window_after_a_restart() {
    let make = || Tumbling::new(10).expect("a size").logic(0, stats());
    let records: Vec<_> = (0..50).map(|key| (key, 0, 1)).collect();
    for scope in [SnapshotScope::Full, SnapshotScope::Increment] {
        let mut logic = make();
        add(&mut logic, i64::MIN, &records);
        let mut chain = vec![snapshot(&mut logic, SnapshotScope::Full)];
        let mut out = Vec::new();
        assert_eq!(logic.fire(10, &mut out, 20), Progress::More);
        if scope == SnapshotScope::Full {
            chain.clear();
        }
        chain.push(snapshot(&mut logic, scope));
        let mut fired = take(&mut out);
        assert_eq!(fired.len(), 20);
        for mut worker in restore(make, &chain, 2) {
            fired.extend(fire_all(&mut worker, i64::MIN, 3));
        }
        fired.sort_unstable();
        let expected: Vec<_> = (0..50).map(|key| (key, 0, 10, (1, 1, 1))).collect();
        assert_eq!(fired, expected);
    }
}

#[test]
fn a_window_that_closed_is_gone_after_a_restart_but_only_for_the_worker_that_closed_it() {
    let make = || Tumbling::new(10).expect("a size").logic(0, stats());
    let keys: Vec<_> = (0..100).map(|key| (key, 0, 1)).collect();
    let mut logic = make();
    add(&mut logic, i64::MIN, &keys);
    let full = snapshot(&mut logic, SnapshotScope::Full);
    // Two workers go on from there; only the first sees the watermark move before the next barrier.
    let mut workers = restore(make, &[full], 2);
    let chains: Vec<Vec<Vec<u8>>> = workers
        .iter_mut()
        .enumerate()
        .map(|(at, worker)| {
            let first = snapshot(worker, SnapshotScope::Full);
            let watermark = if at == 0 { 10 } else { 0 };
            assert_eq!(fire_all(worker, watermark, 1).is_empty(), at == 1);
            vec![first, snapshot(worker, SnapshotScope::Increment)]
        })
        .collect();
    let waiting = workers[1].len();
    for order in [[0, 1], [1, 0]] {
        let chain: Vec<Vec<u8>> = order.iter().flat_map(|at| chains[*at].clone()).collect();
        let mut joined = restore(make, &chain, 1);
        assert_eq!(joined[0].len(), waiting);
        assert_eq!(
            fire_all(&mut joined[0], i64::MIN, 1).len(),
            waiting,
            "due against the greatest stored watermark"
        );
    }
}

#[test]
fn windows_reduce_and_fold() {
    let greatest = ByReduce(|max: &mut i64, next: i64| *max = next.max(*max));
    let mut logic =
        WindowSpec::<u64, i64, _>::logic(Sliding::new(10, 5).expect("a size"), 0, greatest);
    let texts = ByFold::new(String::new(), |text: &mut String, next: i64| {
        *text += &next.to_string();
    });
    let mut folded = WindowSpec::<u64, i64, _>::logic(Tumbling::new(10).expect("a size"), 0, texts);
    let records = || vec![rec(1, 6, 3), rec(1, 7, 9), rec(1, 8, 4)];
    let (mut out, mut late) = (Vec::new(), Vec::new());
    logic.process(&mut records(), i64::MIN, &mut out, &mut late);
    assert_eq!(logic.fire(i64::MAX, &mut out, 100), Progress::Done);
    assert_eq!(
        out.iter()
            .map(|r| (r.value.end, r.value.value))
            .collect::<Vec<_>>(),
        [(10, 9), (15, 9)]
    );
    let mut out = Vec::new();
    folded.process(&mut records(), i64::MIN, &mut out, &mut late);
    assert_eq!(folded.fire(i64::MAX, &mut out, 100), Progress::Done);
    assert_eq!(out[0].value.value, "394");
}
