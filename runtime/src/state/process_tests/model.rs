//! What the definition says, with plain maps, nothing clever and nothing cleaned up in time.

use std::collections::{BTreeMap, BTreeSet};

use super::stage::{LIST_MS, Op, Seen, TIMED_MS, VALUE_MS};
use crate::state::TimerKind;

/// Something that was written, and the time from which its life counts.
#[derive(Clone, Copy, Debug)]
struct Written<V> {
    value: V,
    stamp: i64,
}

impl<V: Copy> Written<V> {
    fn live(&self, ttl_ms: u64, reading: i64) -> Option<V> {
        let ends = self.stamp.saturating_add(ttl_ms.cast_signed());
        (ends > reading).then_some(self.value)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) watermark: i64,
    pub(super) clock: i64,
    values: BTreeMap<u64, Written<u64>>,
    map: BTreeMap<(u64, u8), i64>,
    timed: BTreeMap<(u64, u8), Written<i64>>,
    lists: BTreeMap<u64, Vec<Written<i64>>>,
    /// Whether it is in processing time, its time, its key.
    pub(super) timers: BTreeSet<(bool, i64, u64)>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            watermark: i64::MIN,
            clock: 0,
            values: BTreeMap::new(),
            map: BTreeMap::new(),
            timed: BTreeMap::new(),
            lists: BTreeMap::new(),
            timers: BTreeSet::new(),
        }
    }

    /// Entries that have not expired.
    pub(super) fn live(&self) -> usize {
        let values = self
            .values
            .values()
            .filter(|v| v.live(VALUE_MS, self.clock).is_some());
        let timed = self
            .timed
            .values()
            .filter(|v| v.live(TIMED_MS, self.watermark).is_some());
        let items = self
            .lists
            .values()
            .flatten()
            .filter(|v| v.live(LIST_MS, self.clock).is_some());
        values.count() + self.map.len() + timed.count() + items.count() + self.timers.len()
    }

    pub(super) fn handle(&mut self, key: u64, time: i64, op: Op) -> Seen {
        let mut returned = None;
        match op {
            Op::Look => {}
            Op::AddToValue(by) => {
                let value = self.value(key).unwrap_or(100) + by;
                self.write(key, value);
            }
            Op::SetValue(to) => {
                returned = self.value(key).map(u64::cast_signed);
                self.write(key, to);
            }
            Op::ClearValue => drop(self.values.remove(&key)),
            Op::Insert(at, to) => returned = self.map.insert((key, at), to),
            Op::AddToMap(at, by) => *self.map.entry((key, at)).or_insert(100) += by,
            Op::Remove(at) => returned = self.map.remove(&(key, at)),
            Op::InsertTimed(at, to) => {
                returned = self.timed(key, at);
                self.write_timed(key, at, to, time);
            }
            Op::AddTimed(at, by) => {
                if let Some(value) = self.timed(key, at) {
                    self.write_timed(key, at, value + by, time);
                }
            }
            Op::ClearMap => self.map.retain(|(of, _), _| *of != key),
            Op::Push(item) => self.push(key, item),
            Op::PopFirst => {
                let clock = self.clock;
                let list = self.lists.entry(key).or_default();
                list.retain(|item| item.live(LIST_MS, clock).is_some());
                returned = (!list.is_empty()).then(|| list.remove(0).value);
            }
            Op::ClearList => drop(self.lists.remove(&key)),
            Op::ClearAll => {
                self.values.remove(&key);
                self.map.retain(|(of, _), _| *of != key);
                self.timed.retain(|(of, _), _| *of != key);
                self.lists.remove(&key);
            }
            Op::Set(kind, at) => {
                self.timers.insert((is_processing(kind), at, key));
            }
            Op::Delete(kind, at) => {
                self.timers.remove(&(is_processing(kind), at, key));
            }
        }
        self.see(key, time, None, returned)
    }

    /// Lets all timers of a kind ring that are due, the first first.
    pub(super) fn ring(&mut self, kind: TimerKind) -> Vec<Seen> {
        let processing = is_processing(kind);
        let until = if processing {
            self.clock
        } else {
            self.watermark
        };
        let mut rung = Vec::new();
        while let Some(due) = self
            .timers
            .iter()
            .find(|(of, time, _)| *of == processing && *time <= until)
            .copied()
        {
            self.timers.remove(&due);
            let (_, time, key) = due;
            let event_time = if processing { self.watermark } else { time };
            self.write_timed(key, 200, time, event_time);
            self.push(key, time);
            if time % 3 == 0 {
                self.timers.insert((processing, time + 7, key));
            }
            rung.push(self.see(key, event_time, Some((processing, time)), None));
        }
        rung
    }

    fn value(&self, key: u64) -> Option<u64> {
        self.values.get(&key)?.live(VALUE_MS, self.clock)
    }

    /// The value lives from its last write on.
    fn write(&mut self, key: u64, value: u64) {
        let stamp = self.clock;
        self.values.insert(key, Written { value, stamp });
    }

    fn timed(&self, key: u64, at: u8) -> Option<i64> {
        self.timed.get(&(key, at))?.live(TIMED_MS, self.watermark)
    }

    /// An entry lives from the latest event time on that has written it since it was there.
    fn write_timed(&mut self, key: u64, at: u8, value: i64, event_time: i64) {
        let before = self.timed.get(&(key, at));
        let before = before.filter(|entry| entry.live(TIMED_MS, self.watermark).is_some());
        let stamp = before.map_or(event_time, |entry| entry.stamp.max(event_time));
        self.timed.insert((key, at), Written { value, stamp });
    }

    fn push(&mut self, key: u64, item: i64) {
        let written = Written {
            value: item,
            stamp: self.clock,
        };
        self.lists.entry(key).or_default().push(written);
    }

    fn see(&self, key: u64, at: i64, timer: Option<(bool, i64)>, returned: Option<i64>) -> Seen {
        let of_key = |of: &u64| *of == key;
        Seen {
            key,
            at,
            timer,
            returned,
            value: self.value(key),
            map: self
                .map
                .iter()
                .filter(|((of, _), _)| of_key(of))
                .map(|((_, at), value)| (*at, *value))
                .collect(),
            timed: self
                .timed
                .keys()
                .filter(|(of, _)| of_key(of))
                .filter_map(|(_, at)| Some((*at, self.timed(key, *at)?)))
                .collect(),
            list: self
                .lists
                .get(&key)
                .into_iter()
                .flatten()
                .filter_map(|item| item.live(LIST_MS, self.clock))
                .collect(),
        }
    }
}

const fn is_processing(kind: TimerKind) -> bool {
    matches!(kind, TimerKind::Processing)
}
