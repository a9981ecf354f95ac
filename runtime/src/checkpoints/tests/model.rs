//! What a stage with a value, a list, a map and timers remembers, by plain maps.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoints::{StateClock, StateEntry, StatePlace};

/// Something that a record does to the state of its key.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Set(u64),
    Forget,
    Push(i64),
    PopFirst,
    Insert(u8, u64),
    Remove(u8),
    Timer(i64),
    NoTimer(i64),
}

#[derive(Debug, Default)]
pub(super) struct Model {
    values: BTreeMap<u64, u64>,
    lists: BTreeMap<u64, Vec<i64>>,
    maps: BTreeMap<(u64, u8), u64>,
    timers: BTreeSet<(u64, i64)>,
}

impl Model {
    pub(super) fn handle(&mut self, key: u64, op: &Op) {
        match *op {
            Op::Set(to) => drop(self.values.insert(key, to)),
            Op::Forget => {
                self.values.remove(&key);
                self.lists.remove(&key);
                self.maps.retain(|(of, _), _| *of != key);
            }
            Op::Push(item) => self.lists.entry(key).or_default().push(item),
            Op::PopFirst => {
                let list = self.lists.entry(key).or_default();
                list.drain(..list.len().min(1));
            }
            Op::Insert(at, to) => drop(self.maps.insert((key, at), to)),
            Op::Remove(at) => drop(self.maps.remove(&(key, at))),
            Op::Timer(at) => drop(self.timers.insert((key, at))),
            Op::NoTimer(at) => drop(self.timers.remove(&(key, at))),
        }
    }

    /// Each entry as a line; an item of a list without its place.
    pub(super) fn shown(&self) -> BTreeSet<String> {
        let values = self.values.iter().map(|(key, v)| format!("{key} v {v}"));
        let maps = self.maps.iter();
        let maps = maps.map(|((key, at), v)| format!("{key} m {at} {v}"));
        let timers = self.timers.iter().map(|(key, at)| format!("{key} t {at}"));
        let items = self.lists.iter().flat_map(|(key, list)| {
            // Items are unique in these tests, and in order.
            list.iter().map(move |item| format!("{key} l {item}"))
        });
        values.chain(maps).chain(timers).chain(items).collect()
    }
}

/// The line of an entry.
pub(super) fn shown(entry: &StateEntry) -> String {
    let StateEntry {
        key, place, value, ..
    } = entry;
    match place {
        StatePlace::Map { name, map_key } => format!("{key} {name} {map_key} {value}"),
        StatePlace::State { name } | StatePlace::List { name, .. } => {
            format!("{key} {name} {value}")
        }
        StatePlace::Timer { clock, time } => {
            assert_eq!(*clock, StateClock::Event);
            format!("{key} t {time}")
        }
        StatePlace::Value | StatePlace::Window { .. } | StatePlace::Session { .. } => {
            panic!("the stage has no {place:?}")
        }
    }
}

/// Random operations on keys: on many at first, on few later, so that increments are smaller.
pub(super) fn ops(seed: u64, keys: u64) -> Vec<(u64, Op)> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let count = if seed.is_multiple_of(10) {
        keys * 3
    } else {
        keys / 2
    };
    let op = |n: u64| {
        let key = draw(keys);
        let op = match draw(10) {
            0 | 1 => Op::Set(draw(1_000)),
            2 => Op::Forget,
            3 | 4 => Op::Push((seed * 1_000_000 + n).cast_signed()),
            5 => Op::PopFirst,
            6 => Op::Insert(draw(8) as u8, draw(1_000)),
            7 => Op::Remove(draw(8) as u8),
            8 => Op::Timer(draw(5).cast_signed()),
            _ => Op::NoTimer(draw(5).cast_signed()),
        };
        (key, op)
    };
    (0..count).map(op).collect()
}
