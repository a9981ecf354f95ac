//! The walk through the keyed state of a stage: table by table, and each in the order of the hashes.

use std::collections::VecDeque;
use std::path::Path;

use serde_json::Value;

use super::entry::{StateEntry, entries_of};
use crate::error::{Error, Result};
use crate::ids::{KeyGroupCount, StageId};
use crate::protocol::{Manifest, PlanStage};
use crate::schema::from_json;
use crate::state::part::parts_span;
use crate::state::span::HashSpan;
use crate::state::stored::{Live, StageShape, Stored, StoredStage, Table, hash_of_datum, misfit};
use crate::storage::nonce::fresh_nonce;
use crate::storage::{CheckpointStorage, WorkDir, names};

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
    stored: StoredStage<'a>,
    ready: VecDeque<StateEntry>,
    /// The only key whose entries are asked for.
    only: Option<Value>,
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
        let of_stage = manifest
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.subtask.stage == stage.id);
        // A worker beyond the key groups owns nothing.
        let owning = of_stage.filter_map(|snapshot| {
            let range = manifest.key_groups.range_of(
                snapshot.subtask.worker,
                manifest.worker_count.max(1) as usize,
            );
            let span = HashSpan::of_groups(manifest.key_groups, range)?;
            Some((snapshot, span))
        });
        let dirs = || WorkDir::create_private(work_dir, &names::inspection_dir(fresh_nonce()));
        let stored = Stored {
            storage,
            dirs: &dirs,
        };
        Ok(Self {
            stage: stage.id.clone(),
            groups: manifest.key_groups,
            stored: StoredStage::open(stored, &shape, owning)?,
            ready: VecDeque::new(),
            only: None,
        })
    }

    /// The same, for one key: only what lies where its entries are is looked at.
    ///
    /// # Errors
    ///
    /// `Invalid` if the stage has no such keys.
    pub(super) fn of_key(mut self, key: &Value, shape: &StageShape<'_>) -> Result<Self> {
        let datum = from_json(key, shape.key());
        let hash = datum.and_then(|datum| hash_of_datum(&datum, shape.key()));
        let hash = hash.ok_or_else(|| {
            let schema = shape.key();
            Error::invalid(format!(
                "{key} is no key of the stage: its keys are {schema}"
            ))
        })?;
        self.stored.walk(shape, parts_span(hash))?;
        self.only = Some(key.clone());
        Ok(self)
    }

    /// The watermark of each subtask at the barrier, by worker; `None` of those that keep none.
    pub fn watermarks(&self) -> Vec<Option<i64>> {
        let watermarks = self.stored.watermarks();
        watermarks
            .map(|(_, watermark)| watermark.filter(|watermark| *watermark > i64::MIN))
            .collect()
    }

    /// Looks at the next slice; `None` if there is none.
    fn advance(&mut self) -> Option<Result<()>> {
        let found = self
            .stored
            .next_slice()?
            .and_then(|(table, live)| entries(table, live, self.groups));
        let asked = |entry: &StateEntry| self.only.as_ref().is_none_or(|only| *only == entry.key);
        Some(found.map(|entries| self.ready.extend(entries.into_iter().filter(asked))))
    }
}

impl Iterator for StateEntries<'_> {
    type Item = Result<StateEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            if let Err(error) = self.advance()? {
                self.stored.end();
                return Some(Err(error.in_stage(&self.stage)));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

fn entries(table: &Table, live: Live, groups: KeyGroupCount) -> Result<Vec<StateEntry>> {
    let mut entries = Vec::with_capacity(live.len());
    for (place, stored) in live {
        let group = groups.group_of(place.0);
        let found = entries_of(table, place, group, &stored);
        entries.extend(found.ok_or_else(|| misfit(table))?);
    }
    Ok(entries)
}
