//! Tumbling and sliding windows: a table for each window, found by its end.

use std::collections::VecDeque;
use std::marker::PhantomData;

use crate::error::Result;
use crate::key::{Key, hash_of};
use crate::record::{Keyed, Rec, Timed, Unkeyed, Windowed};
use crate::schema::Schema;
use crate::state::frames::{self, Frame, LogicKind, Namespace, Preamble};
use crate::state::share::Share;
use crate::state::{
    Begun, FrozenChunk, KeyedLogic, Next, Piece, Progress, SnapshotScope, StageBackend, State,
    StateTable, TableTypes,
};

use super::aggregator::Aggregator;
use super::grid::Grid;
use super::pane::Panes;

/// Records that are looked at together: most often all of them are in one window.
const BLOCK: usize = 256;

/// The stage of tumbling and sliding windows.
///
/// Its state is one accumulator for each key in each open window, and the watermark. After a
/// restore it goes on where the snapshot was taken, also in the middle of firing a window. A record
/// of several windows is added to each of them.
pub struct PaneWindows<K, T, G: Aggregator<T>> {
    grid: Grid,
    lateness: i64,
    aggregator: G,
    watermark: i64,
    panes: Panes<K, G::Acc>,
    /// Windows that end here or before have fired.
    fired_until: i64,
    present: Present,
    preamble: Option<Preamble>,
    /// The ends of the windows whose frozen image is still to be copied.
    frozen: VecDeque<i64>,
    records: PhantomData<fn(T)>,
}

/// The windows of the record before: records come nearly in order, so that the next one is most
/// often in the same.
struct Present {
    from: i64,
    until: i64,
    /// The slots of those windows that still take records.
    slots: Vec<usize>,
    /// Whether it is one window, and it has not fired.
    one_open: bool,
}

impl Present {
    const fn none() -> Self {
        Self {
            from: i64::MAX,
            until: i64::MIN,
            slots: Vec::new(),
            one_open: false,
        }
    }

    #[inline]
    fn holds(&self, time: i64) -> bool {
        self.from <= time && time < self.until
    }

    fn forget(&mut self) {
        (self.from, self.until) = (i64::MAX, i64::MIN);
    }
}

impl<K: Key, T: 'static, G: Aggregator<T>> PaneWindows<K, T, G> {
    pub(super) fn new(grid: Grid, lateness: i64, aggregator: G) -> Self {
        Self {
            grid,
            lateness: lateness.max(0),
            aggregator,
            watermark: i64::MIN,
            panes: Panes::new(StageBackend::default()),
            fired_until: i64::MIN,
            present: Present::none(),
            preamble: None,
            frozen: VecDeque::new(),
            records: PhantomData,
        }
    }

    /// Whether a window that ends at `end` takes no more records.
    fn is_closed(&self, end: i64) -> bool {
        end.saturating_add(self.lateness) <= self.watermark
    }

    /// Makes the windows of `time` the present ones.
    #[cold]
    #[inline(never)]
    fn look_up(&mut self, time: i64) {
        let slice = self.grid.slice_of(time);
        (self.present.from, self.present.until) = (slice.from, slice.until);
        self.present.slots.clear();
        for end in slice.ends {
            if !self.is_closed(end) {
                self.present
                    .slots
                    .push(self.panes.open(self.grid.start_of(end), end));
            }
        }
        self.present.one_open = match self.present.slots[..] {
            [slot] => self.panes.at(slot).end > self.watermark,
            _ => false,
        };
    }

    /// Adds a record to its windows.
    fn add(
        &mut self,
        rec: <Self as KeyedLogic>::In,
        out: &mut Vec<<Self as KeyedLogic>::Out>,
        late: &mut Vec<<Self as KeyedLogic>::In>,
    ) {
        if !self.present.holds(rec.time.0) {
            self.look_up(rec.time.0);
        }
        if self.present.one_open {
            let table = &mut self.panes.at(self.present.slots[0]).waiting;
            let (Keyed(key), aggregator) = (rec.key, &self.aggregator);
            let hash = hash_of(&key);
            let added = table.change(hash, &key, rec.value, |acc, value| {
                aggregator.add(acc, value);
            });
            if let Err(value) = added {
                table.insert(hash, key, aggregator.first(value));
            }
        } else if self.present.slots.is_empty() {
            late.push(rec);
        } else {
            self.add_to_each(&rec.key.0, &rec.value, out);
        }
    }

    /// Adds a record to each of the present windows.
    fn add_to_each(&mut self, key: &K, value: &T, out: &mut Vec<<Self as KeyedLogic>::Out>) {
        for slot in &self.present.slots {
            let pane = self.panes.at(*slot);
            if pane.end > self.watermark {
                pane.add(&self.aggregator, key, value);
            } else {
                out.extend(pane.add_due(&self.aggregator, key, value));
            }
        }
    }

    /// Fires the windows that are due, until `budget` results are out.
    fn fire_due(&mut self, out: &mut Vec<<Self as KeyedLogic>::Out>, budget: usize) -> Progress {
        let full = out.len().saturating_add(budget.max(1));
        while let Some(end) = self.panes.first_end(self.fired_until, self.watermark) {
            let keep = !self.is_closed(end);
            let pane = self
                .panes
                .get(end)
                .expect("its end is that of an open window");
            while out.len() < full {
                let Some((key, acc)) = pane.waiting.pop() else {
                    break;
                };
                out.push(pane.result(key.clone(), self.aggregator.finish(&acc)));
                if keep {
                    pane.fired.insert(hash_of(&key), key, acc);
                }
            }
            if !pane.waiting.is_empty() {
                return Progress::More;
            }
            if !keep {
                self.panes.close(end);
            }
            let Some(next) = end.checked_add(1) else {
                break;
            };
            self.fired_until = next;
        }
        Progress::Done
    }

    /// Closes the windows whose allowed lateness is over.
    fn close_late(&mut self) {
        while let Some(end) = self.panes.first_end(i64::MIN, self.watermark) {
            if !self.is_closed(end) {
                break;
            }
            self.panes.close(end);
        }
    }
}

impl<K: Key, T: 'static, G: Aggregator<T>> KeyedLogic for PaneWindows<K, T, G> {
    type In = Rec<Keyed<K>, Timed, T>;
    type Out = Rec<Unkeyed, Timed, Windowed<K, G::Out>>;

    fn schema(&self) -> Schema {
        // The grid belongs to it: accumulators of other windows would be misread.
        let Grid {
            size,
            slide,
            offset,
        } = self.grid;
        let part = |name: &str, value: i64| (name.to_owned(), Schema::plain(&value.to_string()));
        let parts = vec![
            part("size_ms", size),
            part("every_ms", slide),
            part("offset_ms", offset.rem_euclid(slide)),
            ("key".to_owned(), K::schema()),
            ("value".to_owned(), G::Acc::schema()),
        ];
        Schema::of_fields("Windows", parts)
    }

    fn open(&mut self, backend: &StageBackend) {
        self.panes = Panes::new(backend.clone());
    }

    fn resume(&mut self) -> Result<()> {
        for namespace in self.panes.backend().namespaces()? {
            let mut resumed = Ok(());
            restored(&mut self.panes, self.grid, namespace, |table| {
                resumed = table.resume();
            });
            resumed?;
        }
        Ok(())
    }

    #[inline]
    fn process(
        &mut self,
        batch: &mut Vec<Self::In>,
        watermark: i64,
        out: &mut Vec<Self::Out>,
        late: &mut Vec<Self::In>,
    ) {
        self.watermark = self.watermark.max(watermark);
        // Windows may have closed since the last batch.
        self.present.forget();
        let mut records = batch.drain(..);
        while let Some(first) = records.as_slice().first() {
            if !self.present.holds(first.time.0) {
                self.look_up(first.time.0);
            }
            let next = records.as_slice();
            let count = next.len().min(BLOCK);
            let all_here = next[..count]
                .iter()
                .fold(true, |all, rec| all & self.present.holds(rec.time.0));
            let mut next = Next {
                records: &mut records,
                count,
            };
            if all_here && self.present.one_open {
                let table = &mut self.panes.at(self.present.slots[0]).waiting;
                add_to_one(table, &self.aggregator, &mut next);
            } else {
                next.for_each(|rec| self.add(rec, out, late));
            }
        }
    }

    fn fire(&mut self, watermark: i64, out: &mut Vec<Self::Out>, budget: usize) -> Progress {
        self.watermark = self.watermark.max(watermark);
        let progress = self.fire_due(out, budget);
        if progress == Progress::Done {
            self.close_late();
        }
        progress
    }

    fn give_back(&mut self) {
        for pane in self.panes.iter_mut() {
            for (_, table) in pane.tables() {
                table.give_back();
            }
        }
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        let mut cleared = self.panes.take_cleared();
        if scope == SnapshotScope::Full {
            cleared.clear();
        }
        for pane in self.panes.iter_mut() {
            for (namespace, table) in pane.tables() {
                cleared.extend(table.freeze(scope).map(|span| (namespace, span)));
            }
        }
        self.frozen = self.panes.iter().map(|pane| pane.end).collect();
        self.preamble = Some(Preamble {
            kind: LogicKind::Panes,
            watermark: self.watermark,
            cleared,
        });
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        let preamble = self.preamble.take();
        let mut pieces: Vec<(Namespace, Piece<K, G::Acc>)> = Vec::new();
        let mut left = budget.max(1);
        let mut copy = |namespace: Namespace, table: &mut StateTable<K, G::Acc>| {
            while left > 0 {
                let Some(piece) = table.copy_frozen(left) else {
                    return true;
                };
                left = left.saturating_sub(piece.cost().max(1));
                pieces.push((namespace, piece));
            }
            false
        };
        let closed = self.panes.closed();
        while let Some((namespace, table)) = closed.last_mut() {
            if !copy(*namespace, table) {
                break;
            }
            closed.pop();
        }
        while let Some(end) = self.frozen.front() {
            let pane = self.panes.get(*end);
            if !pane.is_none_or(|pane| {
                pane.tables()
                    .into_iter()
                    .all(|(namespace, table)| copy(namespace, table))
            }) {
                break;
            }
            self.frozen.pop_front();
        }
        let size = pieces.iter().map(|(_, piece)| piece.size()).sum();
        (preamble.is_some() || !pieces.is_empty()).then(|| {
            FrozenChunk::new(move |bytes| {
                if let Some(preamble) = preamble {
                    preamble.encode(bytes);
                }
                pieces
                    .into_iter()
                    .try_for_each(|(namespace, piece)| piece.encode(namespace, bytes))
            })
            .of_size(size)
        })
    }

    fn table_types(&self) -> Option<TableTypes> {
        Some(TableTypes::alike::<K, G::Acc>(LogicKind::Panes))
    }

    fn len(&self) -> usize {
        self.panes.len()
    }

    fn watermark(&mut self) -> Option<&mut i64> {
        Some(&mut self.watermark)
    }

    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()> {
        let (grid, panes, watermark) = (self.grid, &mut self.panes, &mut self.watermark);
        frames::read(object, LogicKind::Panes, share, |frame| match frame {
            Frame::Watermark(stored) => *watermark = stored.max(*watermark),
            Frame::Clear(namespace, span) => {
                restored(panes, grid, namespace, |table| table.restore_clear(span));
            }
            Frame::Removed(namespace, keys) => {
                restored(panes, grid, namespace, |table| {
                    for (hash, key) in &keys {
                        table.restore_removal(*hash, key);
                    }
                });
            }
            Frame::Entries(namespace, entries) => {
                restored(panes, grid, namespace, |table| {
                    table.restore_entries(entries);
                });
            }
        })
    }
}

/// Adds records to a window that has not fired.
#[inline]
fn add_to_one<K: Key, T, G: Aggregator<T>>(
    table: &mut StateTable<K, G::Acc>,
    aggregator: &G,
    records: &mut Next<'_, '_, Rec<Keyed<K>, Timed, T>>,
) {
    table.take_in(
        records,
        |rec| (rec.key.0, rec.value),
        |rec| &rec.key.0,
        |acc, value| aggregator.add(acc, value),
        |key, value| Begun {
            key,
            value: aggregator.first(value),
            said: None,
        },
        |_, ()| {},
    );
}

/// Lets `change` restore the table of a namespace, and leaves no empty window behind.
fn restored<K: Key, A: State>(
    panes: &mut Panes<K, A>,
    grid: Grid,
    namespace: Namespace,
    change: impl FnOnce(&mut StateTable<K, A>),
) {
    let end = match namespace {
        // Written by no stage of this kind; there is nothing that it could mean.
        Namespace::Whole
        | Namespace::Value(_)
        | Namespace::Map(_)
        | Namespace::Bounds(_)
        | Namespace::Items(_)
        | Namespace::Timers => return,
        Namespace::Waiting(end) | Namespace::Fired(end) => end,
    };
    let slot = panes.open(grid.start_of(end), end);
    let pane = panes.at(slot);
    change(if matches!(namespace, Namespace::Waiting(_)) {
        &mut pane.waiting
    } else {
        &mut pane.fired
    });
    panes.forget_if_empty(end);
}
