//! `fold` and `reduce` on a keyed stream without windows: every record gives the value after it.
//!
//! Both keep one value for each key ever seen, for the life of the job. A record's own time, where
//! it has one, is the time of the result; nothing is ever late, and no watermark is waited for.

use std::marker::PhantomData;

use crate::error::Result;
use crate::key::Key;
use crate::record::{KeyValue, Keyed, Rec, Unkeyed};
use crate::schema::Schema;

use super::backend::StageBackend;
use super::compaction::TableTypes;
use super::frames::{self, Frame, LogicKind, Namespace, Preamble};
use super::logic::{FrozenChunk, KeyedLogic, Progress, SnapshotScope};
use super::share::Share;
use super::tables::{Begun, Piece, StateTable};
use super::types::State;

/// A table whose snapshots stand alone: one value for each key.
struct Values<K, V> {
    table: StateTable<K, V>,
    preamble: Option<Preamble>,
}

impl<K: Key, V: State> Values<K, V> {
    fn new() -> Self {
        Self {
            table: StateTable::new(&StageBackend::default(), Namespace::Whole),
            preamble: None,
        }
    }

    fn resume(&mut self) -> Result<()> {
        self.table.resume()
    }

    fn open(&mut self, backend: &StageBackend) {
        self.table = StateTable::new(backend, Namespace::Whole);
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        let cleared = self
            .table
            .freeze(scope)
            .map(|span| (Namespace::Whole, span))
            .into_iter()
            .collect();
        self.preamble = Some(Preamble {
            kind: LogicKind::Values,
            watermark: i64::MIN,
            cleared,
        });
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        let preamble = self.preamble.take();
        let piece = self.table.copy_frozen(budget);
        let size = piece.as_ref().map_or(0, Piece::size);
        (preamble.is_some() || piece.is_some()).then(|| {
            FrozenChunk::new(move |bytes| {
                if let Some(preamble) = preamble {
                    preamble.encode(bytes);
                }
                piece.map_or(Ok(()), |piece| piece.encode(Namespace::Whole, bytes))
            })
            .of_size(size)
        })
    }

    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()> {
        let table = &mut self.table;
        frames::read(object, LogicKind::Values, share, |frame| match frame {
            Frame::Watermark(_) => {}
            Frame::Clear(_, span) => table.restore_clear(span),
            Frame::Removed(_, keys) => keys
                .iter()
                .for_each(|(hash, key)| table.restore_removal(*hash, key)),
            Frame::Entries(_, entries) => table.restore_entries(entries),
        })
    }
}

/// A value for each key, to which each record is added; emits the value after each record.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::record::{Keyed, Rec, Untimed};
/// use flowdsl_runtime::state::{Fold, KeyedLogic};
///
/// let mut count = Fold::new(0_u64, |n: &mut u64, _: u32| *n += 1);
/// let mut batch = vec![Rec { key: Keyed(7_u64), time: Untimed, value: 1 }; 2];
/// let (mut out, mut late) = (Vec::new(), Vec::new());
/// count.process(&mut batch, i64::MIN, &mut out, &mut late);
/// assert_eq!(out.iter().map(|rec| rec.value.value).collect::<Vec<_>>(), [1, 2]);
/// ```
pub struct Fold<K, E, T, A, F> {
    values: Values<K, A>,
    init: A,
    add: F,
    records: PhantomData<fn(E, T)>,
}

impl<K: Key, E, T, A: State, F: Fn(&mut A, T)> Fold<K, E, T, A, F> {
    /// A fold from `init`, by `fold`.
    pub fn new(init: A, fold: F) -> Self {
        Self {
            values: Values::new(),
            init,
            add: fold,
            records: PhantomData,
        }
    }
}

impl<K, E, T, A, F> KeyedLogic for Fold<K, E, T, A, F>
where
    K: Key,
    E: 'static,
    T: 'static,
    A: State,
    F: Fn(&mut A, T) + 'static,
{
    type In = Rec<Keyed<K>, E, T>;
    type Out = Rec<Unkeyed, E, KeyValue<K, A>>;

    fn schema(&self) -> Schema {
        values_schema(K::schema(), A::schema())
    }

    fn open(&mut self, backend: &StageBackend) {
        self.values.open(backend);
    }

    fn resume(&mut self) -> Result<()> {
        self.values.resume()
    }

    #[inline]
    fn process(
        &mut self,
        batch: &mut Vec<Self::In>,
        _: i64,
        out: &mut Vec<Self::Out>,
        _: &mut Vec<Self::In>,
    ) {
        let (table, init, fold) = (&mut self.values.table, &self.init, &self.add);
        out.reserve(batch.len());
        table.take_in(
            &mut batch.drain(..),
            |Rec {
                 key: Keyed(key),
                 time,
                 value,
             }| (key, (time, value)),
            |rec| &rec.key.0,
            |sum, (time, value)| {
                fold(sum, value);
                (time, sum.clone())
            },
            |key, (time, value)| {
                let mut sum = init.clone();
                fold(&mut sum, value);
                Begun {
                    key: key.clone(),
                    value: sum.clone(),
                    said: Some((key, (time, sum))),
                }
            },
            |key, (time, value)| {
                out.push(Rec {
                    key: Unkeyed,
                    time,
                    value: KeyValue { key, value },
                });
            },
        );
    }

    fn fire(&mut self, _: i64, _: &mut Vec<Self::Out>, _: usize) -> Progress {
        Progress::Done
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        self.values.freeze(scope);
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        self.values.copy_frozen(budget)
    }

    fn table_types(&self) -> Option<TableTypes> {
        Some(TableTypes::alike::<K, A>(LogicKind::Values))
    }

    fn len(&self) -> usize {
        self.values.table.len()
    }

    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()> {
        self.values.restore(object, share)
    }
}

/// One record for each key, into which each later one is merged; emits it after each record.
///
/// The first record of a key is its first result, as it is.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::record::{Keyed, Rec, Timed};
/// use flowdsl_runtime::state::{KeyedLogic, Reduce};
///
/// let mut greatest = Reduce::new(|max: &mut i32, next: i32| *max = next.max(*max));
/// let mut batch: Vec<_> = [3, 1, 4].iter().map(|v| Rec { key: Keyed(()), time: Timed(0), value: *v }).collect();
/// let (mut out, mut late) = (Vec::new(), Vec::new());
/// greatest.process(&mut batch, i64::MIN, &mut out, &mut late);
/// assert_eq!(out.iter().map(|rec| rec.value).collect::<Vec<_>>(), [3, 3, 4]);
/// ```
pub struct Reduce<K, E, T, F> {
    values: Values<K, T>,
    merge: F,
    records: PhantomData<fn(E)>,
}

impl<K: Key, E, T: State, F: Fn(&mut T, T)> Reduce<K, E, T, F> {
    /// A reduction by `reduce`, which merges its second argument into its first.
    pub fn new(reduce: F) -> Self {
        Self {
            values: Values::new(),
            merge: reduce,
            records: PhantomData,
        }
    }
}

impl<K, E, T, F> KeyedLogic for Reduce<K, E, T, F>
where
    K: Key,
    E: 'static,
    T: State,
    F: Fn(&mut T, T) + 'static,
{
    type In = Rec<Keyed<K>, E, T>;
    type Out = Rec<Unkeyed, E, T>;

    fn schema(&self) -> Schema {
        values_schema(K::schema(), T::schema())
    }

    fn open(&mut self, backend: &StageBackend) {
        self.values.open(backend);
    }

    fn resume(&mut self) -> Result<()> {
        self.values.resume()
    }

    #[inline]
    fn process(
        &mut self,
        batch: &mut Vec<Self::In>,
        _: i64,
        out: &mut Vec<Self::Out>,
        _: &mut Vec<Self::In>,
    ) {
        let (table, reduce) = (&mut self.values.table, &self.merge);
        out.reserve(batch.len());
        table.take_in(
            &mut batch.drain(..),
            |Rec {
                 key: Keyed(key),
                 time,
                 value,
             }| (key, (time, value)),
            |rec| &rec.key.0,
            |merged, (time, value)| {
                reduce(merged, value);
                (time, merged.clone())
            },
            |key, (time, first)| Begun {
                key: key.clone(),
                value: first.clone(),
                said: Some((key, (time, first))),
            },
            |_, (time, value)| {
                out.push(Rec {
                    key: Unkeyed,
                    time,
                    value,
                });
            },
        );
    }

    fn fire(&mut self, _: i64, _: &mut Vec<Self::Out>, _: usize) -> Progress {
        Progress::Done
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        self.values.freeze(scope);
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        self.values.copy_frozen(budget)
    }

    fn table_types(&self) -> Option<TableTypes> {
        Some(TableTypes::alike::<K, T>(LogicKind::Values))
    }

    fn len(&self) -> usize {
        self.values.table.len()
    }

    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()> {
        self.values.restore(object, share)
    }
}

fn values_schema(key: Schema, value: Schema) -> Schema {
    Schema::of_fields("Values", [("key", key), ("value", value)])
}

#[cfg(test)]
#[path = "running_tests.rs"]
mod tests;
