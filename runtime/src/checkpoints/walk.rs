//! The walk through the keyed state of a stage: table by table, and each in the order of the hashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use serde_json::Value;

use super::chain::Live;
use super::entry::{StateEntry, entries_of, unstamped};
use super::pages::Pages;
use super::shape::{StageShape, Table, What};
use super::subtask::{Rest, Stored, StoredSubtask};
use crate::error::{Error, Result};
use crate::ids::{KeyGroupCount, StageId};
use crate::protocol::{Manifest, PlanStage};
use crate::state::part::parts_span;
use crate::state::span::HashSpan;
use crate::storage::CheckpointStorage;

/// The entries of a stage's keyed state that are alive, one after the other.
///
/// They come table by table (windows by their ends, named states by their names, timers last), and
/// within a table in the order of the routing hashes: the same order in every checkpoint, whatever the
/// number of workers. What has been replaced, removed or cleared since is left out.
///
/// In memory are an index of the stored frames, some pages of the objects, and the entries of one slice
/// of a table. The databases of state in RocksDB are put together in the
/// [work directory](super::Checkpoints::with_work_dir), one for each subtask; they go with this value. After an
/// error there is nothing more.
#[derive(Debug)]
pub struct StateEntries<'a> {
    stage: StageId,
    groups: KeyGroupCount,
    pages: Pages<'a>,
    /// By their key groups.
    subtasks: Vec<StoredSubtask<'a>>,
    /// Tables that are still to be walked through.
    tables: VecDeque<Step>,
    at: Option<At>,
    ready: VecDeque<StateEntry>,
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

impl<'a> StateEntries<'a> {
    /// The state of a stage of a checkpoint; verifies its objects first.
    pub(super) fn of(
        (storage, work_dir): (&'a dyn CheckpointStorage, &Path),
        manifest: &'a Manifest,
        stage: &PlanStage,
    ) -> Result<Self> {
        let schema = stage.schema.as_ref();
        let shape = schema.and_then(StageShape::of).ok_or_else(|| {
            Error::incompatible("the plan in the manifest has no schema of keyed state for it")
        })?;
        let mut subtasks = Vec::new();
        for snapshot in manifest
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.subtask.stage == stage.id)
        {
            let worker = snapshot.subtask.worker;
            let range = manifest
                .key_groups
                .range_of(worker, manifest.worker_count.max(1) as usize);
            // A worker beyond the key groups owns nothing.
            if let Some(span) = HashSpan::of_groups(manifest.key_groups, range) {
                let stored = Stored {
                    storage,
                    work_dir,
                    snapshot,
                };
                subtasks.push(StoredSubtask::open(stored, span, &shape)?);
            }
        }
        subtasks.sort_by_key(|subtask| subtask.span.first);
        Ok(Self {
            stage: stage.id.clone(),
            groups: manifest.key_groups,
            pages: Pages::of(storage),
            tables: steps(&shape, &subtasks)?,
            subtasks,
            at: None,
            ready: VecDeque::new(),
        })
    }

    /// The watermark of each subtask at the barrier, by worker; `None` of those that keep none.
    pub fn watermarks(&self) -> Vec<Option<i64>> {
        let watermark = |subtask: &StoredSubtask<'_>| {
            let watermark = subtask.watermark();
            watermark.filter(|watermark| *watermark > i64::MIN)
        };
        self.subtasks.iter().map(watermark).collect()
    }

    /// Looks at the next slice; `None` if there is none.
    fn advance(&mut self) -> Option<Result<()>> {
        loop {
            let Some(at) = &mut self.at else {
                let step = self.tables.pop_front()?;
                self.at = At::begin(step, 0, &self.subtasks);
                continue;
            };
            let subtask = &self.subtasks[at.subtask];
            match read_slice(&mut self.pages, subtask, &at.step, &mut at.rest) {
                Ok(None) => {
                    let At { step, subtask, .. } = self.at.take()?;
                    self.at = At::begin(step, subtask + 1, &self.subtasks);
                }
                Ok(Some(live)) => {
                    let entries = entries(&at.step, live, self.groups);
                    return Some(entries.map(|entries| self.ready.extend(entries)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl At {
    fn begin(step: Step, subtask: usize, subtasks: &[StoredSubtask<'_>]) -> Option<Self> {
        let rest = subtasks.get(subtask)?.begin(step.table.namespace);
        Some(Self {
            step,
            subtask,
            rest,
        })
    }
}

impl Iterator for StateEntries<'_> {
    type Item = Result<StateEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            if let Err(error) = self.advance()? {
                (self.at, self.tables) = (None, VecDeque::new());
                return Some(Err(error.in_stage(&self.stage)));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// The tables that a stage has anything in, in order.
fn steps(shape: &StageShape<'_>, subtasks: &[StoredSubtask<'_>]) -> Result<VecDeque<Step>> {
    let mut namespaces = BTreeSet::new();
    for subtask in subtasks {
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
    Ok(tables.into_iter().map(step).collect())
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
        let bounds = unstamped(table, stored)
            .and_then(|(bounds, _)| Some(bounds["first"].as_u64()?..bounds["behind"].as_u64()?));
        of_keys.insert(key, bounds.ok_or_else(|| misfit(table))?);
    }
    live.retain(|_, (stored, _)| {
        let bounds = of_keys.get(&stored[1].to_string());
        let place = stored[0].as_u64();
        bounds.is_some_and(|bounds| place.is_some_and(|place| bounds.contains(&place)))
    });
    Ok(Some(live))
}

fn entries(step: &Step, live: Live, groups: KeyGroupCount) -> Result<Vec<StateEntry>> {
    let mut entries = Vec::with_capacity(live.len());
    for (place, stored) in live {
        let group = groups.group_of(place.0);
        let found = entries_of(&step.table, place, group, stored);
        entries.extend(found.ok_or_else(|| misfit(&step.table))?);
    }
    Ok(entries)
}

fn misfit(table: &Table) -> Error {
    let schema: Value = table.stored_entry().to_string().into();
    Error::corrupt(format!(
        "an entry of the table {:?} is none of the schema {schema}",
        table.namespace
    ))
}
