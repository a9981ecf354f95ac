//! What snapshots hold, and what cleaning up does at a time.

use std::time::Duration;

use crate::record::{Keyed, Rec, Untimed};
use crate::state::testing::snapshot;
use crate::state::{
    Context, KeyedLogic, NoTimers, Process, Progress, SnapshotScope, Ttl, list_state, map_state,
    value_state,
};

fn rec<T>(key: u64, value: T) -> Rec<Keyed<u64>, Untimed, T> {
    Rec {
        key: Keyed(key),
        time: Untimed,
        value,
    }
}

fn run<L: KeyedLogic>(logic: &mut L, batch: impl IntoIterator<Item = L::In>) {
    let mut batch = batch.into_iter().collect();
    logic.process(&mut batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
}

type Ctx<'a> = Context<'a, u64, Untimed, ()>;

#[test]
fn an_increment_holds_the_one_entry_that_changed_of_a_map_of_100_000() {
    let mut logic = Process::new(
        map_state::<u64, u64>("map"),
        |_: &mut Ctx<'_>, map, (at, to): (u64, u64)| _ = map.insert(at, to),
        NoTimers,
    );
    run(&mut logic, (0..100_000).map(|at| rec(1, (at, at))));
    // Of keys that are neighbours of it in the table.
    run(&mut logic, (0..10_000).map(|key| rec(key, (1, 1))));
    let full = snapshot(&mut logic, SnapshotScope::Full);
    run(&mut logic, [rec(1, (77_777, 5))]);
    let increment = snapshot(&mut logic, SnapshotScope::Increment);
    assert!(full.len() > 100_000, "{} bytes", full.len());
    assert!(increment.len() < 120, "{} bytes", increment.len());
}

#[test]
fn an_increment_holds_what_was_pushed_to_a_list_of_100_000_and_its_bounds() {
    let mut logic = Process::new(
        list_state::<u64>("list"),
        |_: &mut Ctx<'_>, list, item: u64| list.push(item),
        NoTimers,
    );
    run(&mut logic, (0..100_000).map(|item| rec(1, item)));
    let full = snapshot(&mut logic, SnapshotScope::Full);
    run(&mut logic, [rec(1, 5)]);
    let increment = snapshot(&mut logic, SnapshotScope::Increment);
    assert!(full.len() > 100_000, "{} bytes", full.len());
    assert!(increment.len() < 200, "{} bytes", increment.len());
}

#[test]
fn what_has_expired_is_cleaned_up_a_little_at_each_tick_and_is_in_no_full_snapshot() {
    let ttl = Ttl::on_write(Duration::from_millis(10));
    let mut logic = Process::new(
        value_state::<u64>("value").ttl(ttl),
        |_: &mut Ctx<'_>, value, to: u64| _ = value.set(to),
        NoTimers,
    );
    let out = &mut Vec::new();
    assert_eq!(logic.tick(0, out, 1), Progress::Done);
    run(&mut logic, (0..20_000).map(|key| rec(key, key)));
    assert_eq!(logic.tick(9, out, 1), Progress::Done);
    assert_eq!(logic.len(), 20_000, "nothing has expired");

    assert_eq!(logic.tick(10, out, 1), Progress::Done);
    let kept = logic.len();
    assert!((19_000..20_000).contains(&kept), "{kept} are left");
    let full = snapshot(&mut logic, SnapshotScope::Full);
    assert!(full.len() < 100, "{} bytes of nothing", full.len());

    // What is written meanwhile stays.
    run(&mut logic, (0..100).map(|key| rec(key, key)));
    for _ in 0..1_000 {
        assert_eq!(logic.tick(11, out, 1), Progress::Done);
    }
    assert_eq!(logic.len(), 100);
}

#[test]
fn bounds_of_lists_that_have_expired_are_cleaned_up_with_their_items() {
    let ttl = Ttl::on_create(Duration::from_millis(10));
    let mut logic = Process::new(
        list_state::<u64>("list").ttl(ttl),
        |_: &mut Ctx<'_>, list, item: u64| list.push(item),
        NoTimers,
    );
    let out = &mut Vec::new();
    assert_eq!(logic.tick(0, out, 1), Progress::Done);
    run(&mut logic, (0..1_000).map(|key| rec(key, key)));
    for _ in 0..100 {
        assert_eq!(logic.tick(10, out, 1), Progress::Done);
    }
    assert_eq!(logic.len(), 0);
    let empty = snapshot(&mut logic, SnapshotScope::Increment);
    run(&mut logic, (0..1_000).map(|key| rec(key, key)));
    let full = snapshot(&mut logic, SnapshotScope::Full);
    assert!(empty.len() < 100, "{} bytes of nothing", empty.len());
    assert!(full.len() > 1_000, "{} bytes", full.len());
}
