//! A stage whose states are in RocksDB, with a cache that holds next to nothing.

use std::time::Duration;

use super::stage::{Op, rec};
use super::team::{Snapshots, Team, World, tiny_rocksdb};
use crate::error::ErrorKind;
use crate::record::{Keyed, Rec, Untimed};
use crate::settings::StateBackend;
use crate::state::{
    Context, Declared, Kept, KeyedLogic, ListState, MapState, NoTimers, Process, Ttl, list_state,
    map_state, value_state,
};

type Ctx<'a, U> = Context<'a, u64, Untimed, U>;

fn run<L: KeyedLogic>(team: &mut Team<L>, batch: impl IntoIterator<Item = L::In>) -> Vec<L::Out> {
    let (mut batch, mut out) = (batch.into_iter().collect(), Vec::new());
    team.logics[0].process(&mut batch, i64::MIN, &mut out, &mut Vec::new());
    out
}

fn untimed<T>(key: u64, value: T) -> Rec<Keyed<u64>, Untimed, T> {
    Rec {
        key: Keyed(key),
        time: Untimed,
        value,
    }
}

/// A stage that does nothing with its states.
fn idle<D: Declared<u64>>(declared: D) -> impl KeyedLogic {
    Process::new(
        declared,
        |_: &mut Ctx<'_, ()>, _: &mut <D::Kept as Kept<u64>>::View<'_>, (): ()| {},
        NoTimers,
    )
}

type Held<'a> = (MapState<'a, u64, u64, String>, ListState<'a, u64, u64>);

/// Adds to the states of a key, or looks at all of them at once.
fn hold(ctx: &mut Ctx<'_, ()>, (map, list): &mut Held<'_>, at: Option<u64>) {
    if let Some(at) = at {
        map.insert(at, at.to_string());
        list.push(at);
        return;
    }
    let held: Vec<_> = (0..3_000).map(|at| map.get(&at)).collect();
    let all = map.iter().count();
    let items: Vec<&u64> = list.iter().collect();
    assert_eq!((all, items.len()), (3_000, 3_000));
    for (value, at) in held.into_iter().zip(0..3_000_u64) {
        assert!(value.is_some_and(|text| *text == at.to_string() || at == 7));
    }
    assert!(items.into_iter().copied().eq(0..3_000));
    map.insert(7, "changed".to_owned());
    let changed = map.iter().filter(|(_, value)| *value == "changed");
    assert_eq!(changed.count(), 1);
    ctx.emit(());
}

#[test]
fn values_that_are_held_stay_while_others_are_read_from_rocksdb() {
    let make = || {
        let states = (map_state::<u64, String>("map"), list_state::<u64>("list"));
        Process::new(states, hold, NoTimers)
    };
    let mut world = World::new();
    let mut team = world
        .try_team(make, &tiny_rocksdb(), 1, &Snapshots::new())
        .expect("a database is opened");
    // Of keys around it, too.
    run(&mut team, (0..2_000).map(|key| untimed(key, Some(9_999))));
    run(&mut team, (0..3_000).map(|at| untimed(1 << 40, Some(at))));
    assert_eq!(run(&mut team, [untimed(1 << 40, None)]).len(), 1);
    // All of it in RocksDB.
    let chains = team.snapshot().clone();
    let mut team = world
        .try_team(make, &tiny_rocksdb(), 1, &chains)
        .expect("it is restored");
    assert_eq!(run(&mut team, [untimed(1 << 40, None)]).len(), 1);
}

#[test]
fn what_has_expired_is_cleaned_up_wherever_it_stands() {
    let mut world = World::new();
    let mut team = world.team(&tiny_rocksdb(), 1, &Snapshots::new());
    team.tick(0, &mut Vec::new());
    let ops = [Op::SetValue(1), Op::Push(2)];
    let ops = (0..1_500).flat_map(|key| ops.map(|op| rec(key, 0, op)));
    run(&mut team, ops);
    let whole = team.snapshot().clone();
    let kept = |world: &mut World, chains: &Snapshots| {
        let team = world.team(&StateBackend::Memory, 1, chains);
        team.logics[0].len()
    };
    assert_eq!(kept(&mut world, &whole), 3_000);
    (0..600).for_each(|_| team.tick(100, &mut Vec::new()));
    let cleaned = team.snapshot().clone();
    assert_eq!(kept(&mut world, &cleaned), 0);
}

#[test]
fn states_of_other_names_in_rocksdb_are_refused_and_the_declared_ones_named() {
    let make = || {
        Process::new(
            value_state::<u64>("a").ttl(Ttl::on_write(Duration::from_secs(1))),
            |_: &mut Ctx<'_, ()>, a, to: u64| _ = a.set(to),
            NoTimers,
        )
    };
    let mut world = World::new();
    let mut team = world
        .try_team(make, &tiny_rocksdb(), 1, &Snapshots::new())
        .expect("a database is opened");
    run(&mut team, (0..100).map(|key| untimed(key, key)));
    let chains = team.snapshot().clone();
    let other = || idle((value_state::<u64>("b"), map_state::<u64, u64>("a")));
    for backend in [StateBackend::Memory, tiny_rocksdb()] {
        let refused = world.try_team(other, &backend, 1, &chains).map(|_| ());
        let error = refused.expect_err("the names differ");
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        assert!(error.to_string().contains("`b`: ValueState"), "{error}");
    }
    let again = world.try_team(make, &tiny_rocksdb(), 1, &chains);
    assert!(again.is_ok());
}
