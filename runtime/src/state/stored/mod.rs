//! The stored state of a stage, read by its schema without its code: table by table, and each in the
//! order of the hashes.
//!
//! Whoever looks into a checkpoint walks through it, and so does a restore whose types have changed. What has been
//! replaced, removed or cleared since it was stored is left out. In memory are an index of the stored frames, some
//! pages of the objects, and the entries of one slice of a table.

mod chain;
#[cfg_attr(not(feature = "rocksdb"), path = "no_database.rs")]
mod database;
mod pages;
mod routing;
mod shape;
mod slices;
mod subtask;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) use self::chain::Live;
use self::pages::Pages;
pub(crate) use self::routing::{hash_of_datum, hash_of_key, hash_of_stored};
pub(crate) use self::shape::{StageShape, Table, What};
use self::subtask::{Rest, StoredSubtask};
use super::part::parts_span;
use super::span::HashSpan;
use crate::error::{Error, Result};
use crate::ids::WorkerIndex;
use crate::protocol::SubtaskSnapshot;
use crate::schema::{Datum, Schema, stamps_of, to_json};
use crate::storage::{CheckpointStorage, WorkDir};

/// Where state is stored.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a, 'w> {
    pub(crate) storage: &'a dyn CheckpointStorage,
    /// Makes a directory in which a database is put together.
    pub(crate) dirs: &'w dyn Fn() -> Result<WorkDir>,
}

/// The state of a stage that is walked through. The databases of state in RocksDB go with it.
#[derive(Debug)]
pub(crate) struct StoredStage<'a> {
    pages: Pages<'a>,
    /// By their key groups.
    subtasks: Vec<(WorkerIndex, StoredSubtask<'a>)>,
    /// What of each table is wanted.
    wanted: HashSpan,
    /// Tables that are still to be walked through.
    tables: VecDeque<Step>,
    at: Option<At>,
}

/// A table; for the items of a list with that of its bounds.
#[derive(Debug)]
struct Step {
    table: Table,
    bounds: Option<Table>,
}

/// Where the walk is.
#[derive(Debug)]
struct At {
    step: Step,
    subtask: usize,
    rest: Rest,
}

impl<'a> StoredStage<'a> {
    /// Opens the snapshots of a stage's subtasks, each with the hashes that it owned, and verifies them.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with the place, where they are not what was written; `Invalid` if they are in RocksDB, and that is
    /// not built in; `Unavailable` if the storage does not answer.
    pub(crate) fn open(
        stored: Stored<'a, '_>,
        shape: &StageShape<'_>,
        snapshots: impl IntoIterator<Item = (&'a SubtaskSnapshot, HashSpan)>,
    ) -> Result<Self> {
        let mut subtasks = Vec::new();
        for (snapshot, span) in snapshots {
            let subtask = StoredSubtask::open(stored, snapshot, span, shape)?;
            subtasks.push((snapshot.subtask.worker, subtask));
        }
        subtasks.sort_by_key(|(_, subtask)| subtask.span.first);
        let mut opened = Self {
            pages: Pages::of(stored.storage),
            subtasks,
            wanted: HashSpan::ALL,
            tables: VecDeque::new(),
            at: None,
        };
        opened.walk(shape, HashSpan::ALL)?;
        Ok(opened)
    }

    /// Begins a walk through what is in a span.
    pub(crate) fn walk(&mut self, shape: &StageShape<'_>, wanted: HashSpan) -> Result<()> {
        self.tables = steps(shape, &self.subtasks)?;
        (self.wanted, self.at) = (wanted, None);
        Ok(())
    }

    /// Ends the walk: there is nothing more.
    pub(crate) fn end(&mut self) {
        (self.at, self.tables) = (None, VecDeque::new());
    }

    /// The watermark of each subtask at the barrier, by worker; `None` of those that keep none.
    pub(crate) fn watermarks(&self) -> impl Iterator<Item = (WorkerIndex, Option<i64>)> {
        let subtasks = self.subtasks.iter();
        subtasks.map(|(worker, subtask)| (*worker, subtask.watermark()))
    }

    /// What is alive in the next slice, with its table; `None` if there is none.
    pub(crate) fn next_slice(&mut self) -> Option<Result<(&Table, Live)>> {
        loop {
            let Some(at) = &mut self.at else {
                let step = self.tables.pop_front()?;
                self.at = At::begin(step, 0, &self.subtasks, self.wanted);
                continue;
            };
            let (_, subtask) = &self.subtasks[at.subtask];
            match read_slice(&mut self.pages, subtask, &at.step, &mut at.rest) {
                Ok(None) => {
                    let At { step, subtask, .. } = self.at.take()?;
                    self.at = At::begin(step, subtask + 1, &self.subtasks, self.wanted);
                }
                Ok(Some(live)) => {
                    let at = self.at.as_ref()?;
                    return Some(Ok((&at.step.table, live)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl At {
    fn begin(
        step: Step,
        subtask: usize,
        subtasks: &[(WorkerIndex, StoredSubtask<'_>)],
        wanted: HashSpan,
    ) -> Option<Self> {
        let (_, stored) = subtasks.get(subtask)?;
        let rest = stored.begin(step.table.namespace, wanted);
        Some(Self {
            step,
            subtask,
            rest,
        })
    }
}

/// The tables that a stage has anything in, in order.
fn steps(
    shape: &StageShape<'_>,
    subtasks: &[(WorkerIndex, StoredSubtask<'_>)],
) -> Result<VecDeque<Step>> {
    let mut namespaces = BTreeSet::new();
    for (_, subtask) in subtasks {
        namespaces.extend(subtask.namespaces(shape)?);
    }
    let tables = namespaces
        .into_iter()
        .filter_map(|namespace| shape.table(namespace))
        .map(|table| (table.what.clone(), table));
    let (bounds, tables): (BTreeMap<What, Table>, BTreeMap<What, Table>) =
        tables.partition(|(what, _)| matches!(what, What::Bounds(_)));
    let step = |(what, table)| Step {
        table,
        bounds: match what {
            What::Items(name) => bounds.get(&What::Bounds(name)).cloned(),
            _ => None,
        },
    };
    let all = tables.into_iter().map(step);
    let bounds = bounds.values().map(|table| Step {
        table: table.clone(),
        bounds: None,
    });
    Ok(bounds.chain(all).collect())
}

/// What is alive in the next slice, if there is one: of the items of a list, those within its bounds.
fn read_slice(
    pages: &mut Pages<'_>,
    subtask: &StoredSubtask<'_>,
    step: &Step,
    rest: &mut Rest,
) -> Result<Option<Live>> {
    let Some(mut live) = subtask.next_slice(pages, &step.table, rest)? else {
        return Ok(None);
    };
    if !matches!(step.table.what, What::Items(_)) {
        return Ok(Some(live));
    }
    let (Some(table), Some((first, _)), Some((last, _))) =
        (&step.bounds, live.first_key_value(), live.last_key_value())
    else {
        return Ok(Some(Live::new()));
    };
    // The bounds stand under the hash of the key, and each item somewhere in the span of its parts.
    let span = HashSpan {
        first: parts_span(first.0).first,
        last: parts_span(last.0).last,
    };
    let bounds = subtask.live_within(pages, table, span)?;
    let mut of_keys = BTreeMap::new();
    for ((_, key), (_, stored)) in bounds {
        let (bounds, _) = unstamped(table, &stored).ok_or_else(|| misfit(table))?;
        let [first, behind] = [0, 1].map(|at| bounds.part(at).and_then(Datum::as_u64));
        let (Some(first), Some(behind)) = (first, behind) else {
            return Err(misfit(table));
        };
        of_keys.insert(key, first..behind);
    }
    live.retain(|_, (stored, _)| {
        let key = stored.part(1).map(|key| to_json(key, &step.table.key));
        let bounds = key.and_then(|key| of_keys.get(&key.to_string()));
        let place = stored.part(0).and_then(Datum::as_u64);
        bounds.is_some_and(|bounds| place.is_some_and(|place| bounds.contains(&place)))
    });
    Ok(Some(live))
}

/// A value without its stamp, and that stamp.
pub(crate) fn unstamped<'d>(table: &Table, value: &'d Datum) -> Option<(&'d Datum, Option<i64>)> {
    if stamps_of(&table.value).is_none() {
        return Some((value, None));
    }
    match value.parts()? {
        [Datum::Signed(stamp), value] => Some((value, Some(i64::try_from(*stamp).ok()?))),
        _ => None,
    }
}

/// That an entry is not what the schema says.
pub(crate) fn misfit(table: &Table) -> Error {
    let schema: Schema = table.stored_entry();
    Error::corrupt(format!(
        "an entry of the table {:?} is none of the schema {schema}",
        table.namespace
    ))
}
