//! A stage that does what its records say, with a state of each kind and lifetime, and workers of it.

use std::time::Duration;

use crate::key::hash_of;
use crate::record::{Keyed, Rec, Timed};
use crate::state::accessors::{
    KeptList, KeptMap, KeptValue, ListState, MapState, ValueState, list_state, map_state,
    value_state,
};
use crate::state::testing::{GROUPS, compacted_somewhere, ranges, share};
use crate::state::{
    ClearState, Context, Forever, KeyedLogic, Process, SnapshotScope, Timer, TimerKind, Ttl,
};

/// What a record does to the states of its key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Look,
    AddToValue(u64),
    SetValue(u64),
    ClearValue,
    Insert(u8, i64),
    AddToMap(u8, i64),
    Remove(u8),
    InsertTimed(u8, i64),
    AddTimed(u8, i64),
    ClearMap,
    Push(i64),
    PopFirst,
    ClearList,
    ClearAll,
    Set(TimerKind, i64),
    Delete(TimerKind, i64),
}

/// All that is seen of a key after an operation, or when a timer rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) key: u64,
    pub(super) at: i64,
    pub(super) timer: Option<(bool, i64)>,
    pub(super) returned: Option<i64>,
    pub(super) value: Option<u64>,
    pub(super) map: Vec<(u8, i64)>,
    pub(super) timed: Vec<(u8, i64)>,
    pub(super) list: Vec<i64>,
}

pub(super) const VALUE_MS: u64 = 10;
pub(super) const TIMED_MS: u64 = 20;
pub(super) const LIST_MS: u64 = 15;

type States = (
    KeptValue<u64, u64, Ttl>,
    KeptMap<u64, u8, i64, Forever>,
    KeptMap<u64, u8, i64, Ttl>,
    KeptList<u64, i64, Ttl>,
);
type View<'a> = (
    ValueState<'a, u64, u64, Ttl>,
    MapState<'a, u64, u8, i64>,
    MapState<'a, u64, u8, i64, Ttl>,
    ListState<'a, u64, i64, Ttl>,
);
type Ctx<'a> = Context<'a, u64, Timed, Seen>;
type OnRecord = fn(&mut Ctx<'_>, &mut View<'_>, Op);
type OnTime = fn(&mut Ctx<'_>, &mut View<'_>, Timer);
pub(super) type Stage = Process<u64, Timed, Op, Seen, States, OnRecord, OnTime>;

pub(super) fn stage() -> Stage {
    let ms = Duration::from_millis;
    let states = (
        value_state("value").ttl(Ttl::on_write(ms(VALUE_MS))),
        map_state("map"),
        map_state("timed").ttl(Ttl::on_write(ms(TIMED_MS)).in_event_time()),
        list_state("list").ttl(Ttl::on_create(ms(LIST_MS))),
    );
    Process::new(states, on_record as OnRecord, on_timer as OnTime)
}

fn on_record(ctx: &mut Ctx<'_>, states: &mut View<'_>, op: Op) {
    let mut returned = None;
    let (value, map, timed, list) = states;
    match op {
        Op::Look => {}
        Op::AddToValue(by) => *value.or_insert(100) += by,
        Op::SetValue(to) => returned = value.set(to).map(u64::cast_signed),
        Op::ClearValue => value.clear(),
        Op::Insert(at, to) => returned = map.insert(at, to),
        Op::AddToMap(at, by) => *map.or_insert_with(&at, || 100) += by,
        Op::Remove(at) => returned = map.remove(&at),
        Op::InsertTimed(at, to) => returned = timed.insert(at, to),
        Op::AddTimed(at, by) => {
            if let Some(value) = timed.get_mut(&at) {
                *value += by;
            }
        }
        Op::ClearMap => map.clear(),
        Op::Push(item) => list.push(item),
        Op::PopFirst => returned = list.pop_first(),
        Op::ClearList => list.clear(),
        Op::ClearAll => states.clear(),
        Op::Set(TimerKind::Event, at) => ctx.set_timer(at),
        Op::Set(TimerKind::Processing, at) => ctx.set_processing_timer(at),
        Op::Delete(TimerKind::Event, at) => ctx.delete_timer(at),
        Op::Delete(TimerKind::Processing, at) => ctx.delete_processing_timer(at),
    }
    see(ctx, states, None, returned);
}

/// A timer writes, and some of them set another.
fn on_timer(ctx: &mut Ctx<'_>, states: &mut View<'_>, timer: Timer) {
    states.2.insert(200, timer.time);
    states.3.push(timer.time);
    if timer.time % 3 == 0 {
        match timer.kind {
            TimerKind::Event => ctx.set_timer(timer.time + 7),
            TimerKind::Processing => ctx.set_processing_timer(timer.time + 7),
        }
    }
    let place = (timer.kind == TimerKind::Processing, timer.time);
    see(ctx, states, Some(place), None);
}

fn see(
    ctx: &mut Ctx<'_>,
    (value, map, timed, list): &mut View<'_>,
    timer: Option<(bool, i64)>,
    returned: Option<i64>,
) {
    let sorted = |map: Vec<(&u8, &i64)>| {
        let mut entries: Vec<_> = map.into_iter().map(|(at, value)| (*at, *value)).collect();
        entries.sort_unstable();
        entries
    };
    let seen = Seen {
        key: *ctx.key(),
        at: ctx.event_time(),
        timer,
        returned,
        value: value.get().copied(),
        map: sorted(map.iter().collect()),
        timed: sorted(timed.iter().collect()),
        list: list.iter().copied().collect(),
    };
    assert_eq!(seen.list.len(), list.len());
    assert_eq!(seen.map.is_empty(), map.is_empty());
    ctx.emit(seen);
}

pub(super) fn rec(key: u64, time: i64, op: Op) -> Rec<Keyed<u64>, Timed, Op> {
    Rec {
        key: Keyed(key),
        time: Timed(time),
        value: op,
    }
}

/// The workers of a run, each with the snapshots of its chain.
pub(super) struct Workers<L> {
    pub(super) logics: Vec<L>,
    pub(super) chains: Vec<Vec<Vec<u8>>>,
}

impl<L: KeyedLogic> Workers<L> {
    pub(super) fn new(make: impl Fn() -> L, worker_count: usize) -> Self {
        Self {
            logics: (0..worker_count).map(|_| make()).collect(),
            chains: vec![Vec::new(); worker_count],
        }
    }

    pub(super) fn of(&mut self, key: u64) -> &mut L {
        let worker = GROUPS.worker_of(GROUPS.group_of(hash_of(&key)), self.logics.len());
        &mut self.logics[worker.index()]
    }

    pub(super) fn freeze(&mut self, scope: SnapshotScope) {
        for (logic, chain) in self.logics.iter_mut().zip(&mut self.chains) {
            logic.freeze(scope);
            if scope == SnapshotScope::Full {
                chain.clear();
            }
            chain.push(Vec::new());
        }
    }

    /// Copies some of the frozen images; false when nothing is left of them.
    pub(super) fn copy(&mut self, budget: usize) -> bool {
        let mut more = false;
        for (logic, chain) in self.logics.iter_mut().zip(&mut self.chains) {
            if let Some(chunk) = logic.copy_frozen(budget) {
                let object = chain.last_mut().expect("it was frozen");
                chunk.encode(object).expect("the types of the tests encode");
                more = true;
            }
        }
        more
    }

    /// Other workers, with the state that these chains hold.
    pub(super) fn restored(
        make: impl Fn() -> L,
        chains: &[Vec<Vec<u8>>],
        worker_count: usize,
    ) -> Self {
        let mut workers = Self::new(make, worker_count);
        for (logic, range) in workers.logics.iter_mut().zip(ranges(worker_count)) {
            let types = logic.table_types().expect("the stage has tables");
            let chains = chains
                .iter()
                .map(|chain| compacted_somewhere(&types, chain));
            for object in chains.flatten() {
                logic
                    .restore(&object, share(range))
                    .expect("a whole snapshot is restored");
            }
        }
        workers
    }
}
