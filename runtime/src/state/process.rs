//! `process`: a stage that the user writes, with named states and timers for each key.
//!
//! The handlers are types, so that a record costs a plain call. They see the states of one key at a
//! time, set timers, and emit any number of results. Nothing is late here: every record is handled.

use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::key::{Key, hash_of};
use crate::record::{Keyed, Rec, Unkeyed};
use crate::schema::Schema;

use super::accessors::{Declared, Kept, Known, Names, Present};
use super::backend::StageBackend;
use super::compaction::TableTypes;
use super::context::{Context, RecordTime};
use super::frames::{self, LogicKind, Namespace, Preamble, Stored};
use super::logic::{FrozenChunk, KeyedLogic, Progress, SnapshotScope};
use super::share::Share;
use super::timers::{Timer, TimerKind, Timers};
use super::ttl::Now;

/// Handles the timers of a stage.
///
/// Implemented for closures; [`NoTimers`] is for stages that set none.
pub trait OnTimer<K: Key, E, U, S: Kept<K>>: 'static {
    /// Whether timers may be set.
    const MAY_SET: bool;

    /// Handles a timer that is due.
    fn on_timer(&self, context: &mut Context<'_, K, E, U>, states: &mut S::View<'_>, timer: Timer);
}

impl<K: Key, E, U, S: Kept<K>, F> OnTimer<K, E, U, S> for F
where
    F: Fn(&mut Context<'_, K, E, U>, &mut S::View<'_>, Timer) + 'static,
{
    const MAY_SET: bool = true;

    #[inline]
    fn on_timer(&self, context: &mut Context<'_, K, E, U>, states: &mut S::View<'_>, timer: Timer) {
        self(context, states, timer);
    }
}

/// The handler of a stage without timers.
#[derive(Clone, Copy, Debug)]
pub struct NoTimers;

impl<K: Key, E, U, S: Kept<K>> OnTimer<K, E, U, S> for NoTimers {
    const MAY_SET: bool = false;

    fn on_timer(&self, _: &mut Context<'_, K, E, U>, _: &mut S::View<'_>, _: Timer) {}
}

/// The stage of `process`.
///
/// Its state is what the user declares, and the timers. It is restored by the names of the states.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::record::{Keyed, Rec, Timed};
/// use flowdsl_runtime::state::{Context, KeyedLogic, NoTimers, Process, value_state};
///
/// // Emits what differs from the value before.
/// let mut changes = Process::<u64, Timed, i64, (i64, i64), _, _, _>::new(
///     value_state::<i64>("last"),
///     |ctx, last, value| match last.set(value) {
///         Some(before) if before != value => ctx.emit((before, value)),
///         _ => {}
///     },
///     NoTimers,
/// );
/// let rec = |time, value| Rec { key: Keyed(7_u64), time: Timed(time), value };
/// let (mut out, mut late) = (Vec::new(), Vec::new());
/// changes.process(&mut vec![rec(1, 5), rec(2, 5), rec(3, 6)], i64::MIN, &mut out, &mut late);
/// assert_eq!(out.iter().map(|rec| (rec.time.0, rec.value)).collect::<Vec<_>>(), [(3, (5, 6))]);
/// ```
pub struct Process<K, E, T, U, S, F, G> {
    states: S,
    timers: Timers<K>,
    on_record: F,
    on_timer: G,
    watermark: i64,
    processing: i64,
    backend: StageBackend,
    preamble: Option<Preamble>,
    records: PhantomData<fn(E, T) -> U>,
}

impl<K, E, T, U, S, F, G> Process<K, E, T, U, S, F, G>
where
    K: Key,
    E: RecordTime,
    S: Kept<K>,
    F: Fn(&mut Context<'_, K, E, U>, &mut S::View<'_>, T) + 'static,
    G: OnTimer<K, E, U, S>,
{
    /// A stage with these states and handlers.
    pub fn new<D>(declared: D, on_record: F, on_timer: G) -> Self
    where
        D: Declared<K, Kept = S>,
    {
        Self {
            states: declared.keep(),
            timers: Timers::new(),
            on_record,
            on_timer,
            watermark: i64::MIN,
            processing: i64::MIN,
            backend: StageBackend::default(),
            preamble: None,
            records: PhantomData,
        }
    }

    /// What is wrong with the declared states, if anything is: two have one name, or a time-to-live
    /// cannot be counted.
    pub fn error(&self) -> Option<Error> {
        Names::of(&self.states, E::IS_TIMED).error()
    }

    fn now(&self, event_time: Option<i64>) -> Now {
        Now {
            processing: self.processing,
            watermark: self.watermark,
            event_time: event_time.unwrap_or(self.watermark),
        }
    }

    /// Handles the timers of a kind that are due, `budget` at most.
    fn ring(
        &mut self,
        kind: TimerKind,
        at: i64,
        out: &mut Vec<Rec<Unkeyed, E, U>>,
        budget: usize,
    ) -> Progress {
        // A timer that emits nothing counts as well: it is work.
        for _ in 0..budget.max(1) {
            let Some((timer, hash, key)) = self.timers.pop(kind, at) else {
                return Progress::Done;
            };
            let event_time = match kind {
                TimerKind::Event => timer.time,
                TimerKind::Processing => self.watermark,
            };
            let present = Present {
                key: &key,
                hash,
                now: self.now(Some(event_time)),
            };
            let mut context = Context {
                present: &present,
                time: E::at(event_time),
                timers: G::MAY_SET.then_some(&mut self.timers),
                out,
            };
            self.on_timer
                .on_timer(&mut context, &mut self.states.view(&present), timer);
        }
        Progress::More
    }
}

impl<K, E, T, U, S, F, G> KeyedLogic for Process<K, E, T, U, S, F, G>
where
    K: Key,
    E: RecordTime,
    T: 'static,
    U: 'static,
    S: Kept<K>,
    F: Fn(&mut Context<'_, K, E, U>, &mut S::View<'_>, T) + 'static,
    G: OnTimer<K, E, U, S>,
{
    type In = Rec<Keyed<K>, E, T>;
    type Out = Rec<Unkeyed, E, U>;

    const USES_CLOCK: bool = true;

    fn schema(&self) -> Schema {
        let states = Names::of(&self.states, E::IS_TIMED).schema();
        let parts = vec![
            ("key".to_owned(), K::schema()),
            ("states".to_owned(), states),
        ];
        Schema::of_fields("Process", parts)
    }

    fn open(&mut self, backend: &StageBackend) {
        self.backend = backend.clone();
        self.states.open(backend);
        self.timers.open(backend);
    }

    fn resume(&mut self) -> Result<()> {
        for namespace in self.backend.namespaces()? {
            if namespace == Namespace::Timers {
                self.timers.resume()?;
            } else if self.states.resume(namespace)? == Known::No {
                return Err(Names::of(&self.states, E::IS_TIMED).refuse(namespace));
            }
        }
        Ok(())
    }

    fn process(
        &mut self,
        batch: &mut Vec<Self::In>,
        watermark: i64,
        out: &mut Vec<Self::Out>,
        _: &mut Vec<Self::In>,
    ) {
        self.watermark = self.watermark.max(watermark);
        let mut records = batch.drain(..);
        while let coming = records.as_slice()
            && !coming.is_empty()
        {
            let ready = self.states.look_ahead(coming.iter().map(|rec| &rec.key.0));
            for Rec {
                key: Keyed(key),
                time,
                value,
            } in records.by_ref().take(ready)
            {
                let present = Present {
                    key: &key,
                    hash: hash_of(&key),
                    now: self.now(time.event_time()),
                };
                let mut context = Context {
                    present: &present,
                    time,
                    timers: G::MAY_SET.then_some(&mut self.timers),
                    out,
                };
                (self.on_record)(&mut context, &mut self.states.view(&present), value);
            }
        }
    }

    fn fire(&mut self, watermark: i64, out: &mut Vec<Self::Out>, budget: usize) -> Progress {
        self.watermark = self.watermark.max(watermark);
        self.ring(TimerKind::Event, self.watermark, out, budget)
    }

    fn tick(&mut self, now: i64, out: &mut Vec<Self::Out>, budget: usize) -> Progress {
        // The system's clock may be put back; the stage's time is not.
        self.processing = self.processing.max(now);
        let now = self.now(None);
        self.states.clean_up(&now);
        self.ring(TimerKind::Processing, self.processing, out, budget)
    }

    fn next_tick(&mut self) -> Option<i64> {
        self.timers.first(TimerKind::Processing)
    }

    fn give_back(&mut self) {
        self.states.give_back();
        self.timers.give_back();
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        let (now, mut cleared) = (self.now(None), Vec::new());
        self.states.freeze(scope, &now, &mut cleared);
        self.timers.freeze(scope, &mut cleared);
        self.preamble = Some(Preamble {
            kind: LogicKind::Process,
            watermark: self.watermark,
            cleared,
        });
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        let preamble = self.preamble.take();
        let piece = self.states.copy_frozen(budget);
        let piece = piece.or_else(|| self.timers.copy_frozen(budget));
        let size = piece.as_ref().map_or(0, FrozenChunk::size);
        (preamble.is_some() || piece.is_some()).then(|| {
            FrozenChunk::new(move |bytes| {
                if let Some(preamble) = preamble {
                    preamble.encode(bytes);
                }
                piece.map_or(Ok(()), |piece| piece.encode(bytes))
            })
            .of_size(size)
        })
    }

    fn table_types(&self) -> Option<TableTypes> {
        let mut tables = vec![self.timers.table_type()];
        self.states.table_types(&mut tables);
        Some(TableTypes::named(LogicKind::Process, tables))
    }

    fn len(&self) -> usize {
        self.states.entry_count() + self.timers.len()
    }

    fn watermark(&mut self) -> Option<&mut i64> {
        Some(&mut self.watermark)
    }

    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()> {
        let Some(owned) = share.span() else {
            return Ok(());
        };
        let (states, timers, watermark) = (&mut self.states, &mut self.timers, &mut self.watermark);
        frames::read_stored(object, LogicKind::Process, owned, |stored| {
            share.check()?;
            let table = match stored {
                Stored::Watermark(stored) => {
                    *watermark = stored.max(*watermark);
                    return Ok(());
                }
                Stored::Table(table) => table,
            };
            if table.namespace == Namespace::Timers {
                return timers.restore(table, owned);
            }
            states.restore(table, owned)?.map_or(Ok(()), |table| {
                let error: Error = Names::of(states, E::IS_TIMED).refuse(table.namespace);
                Err(error)
            })
        })
    }
}

#[cfg(test)]
#[path = "process_tests/mod.rs"]
mod tests;
