//! Giving a stage its state back where its types have changed since: entry by entry, through the schema that was
//! stored with it.
//!
//! Only what is alive is read, so that no function of the user's sees what was removed. It is given to the
//! stage as snapshots of its present schema are, frame by frame: the stage knows nothing of it, and its next
//! snapshot is a full one. In memory is what the walk holds: one slice of a table.
//!
//! Where keys have other hashes now, each worker reads the state of all, and keeps what is its own.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::KeyedLogic;
use super::frames::{FRAME_LIMIT, Preamble, put_set};
use super::restoring::Restoring;
use super::span::HashSpan;
use super::stored::{
    StageShape, Stored, StoredStage, Table, What, hash_of_key, hash_of_stored, misfit,
};
use crate::error::{Error, Result};
use crate::ids::{SubtaskId, WorkerIndex};
use crate::protocol::{Evolving, NamedStep, SubtaskSnapshot, Values};
use crate::schema::{Datum, stamps_of, to_json, write_items};
use crate::storage::WorkDir;

/// Keys that are looked at together for two that have become one, at most.
const LOOKED_AT: usize = 1 << 21;

/// Restores the share of a stage from state of another schema. `dirs` makes a directory for each database.
///
/// # Errors
///
/// `Corrupt` where stored bytes do not decode; `Incompatible` where two keys would become one, or keys can be read with
/// their code only; those of migrations; `Unavailable` if the restore is given up meanwhile.
pub(crate) fn restore_evolved<L: KeyedLogic>(
    logic: &mut L,
    evolving: &Evolving,
    restoring: &Restoring<'_>,
    dirs: &dyn Fn() -> Result<WorkDir>,
) -> Result<()> {
    let Some(own) = restoring.share.span() else {
        return Ok(());
    };
    let shapes = (
        StageShape::of(&evolving.stored),
        StageShape::of(&evolving.new),
    );
    let (Some(stored), Some(new)) = shapes else {
        return Err(Error::internal(
            "the plan lets a stage of no known kind evolve",
        ));
    };
    let snapshots = former_snapshots(evolving, restoring);
    let store = Stored {
        storage: restoring.store.storage(),
        dirs,
    };
    let opened = snapshots.iter().map(|(snapshot, span)| (snapshot, *span));
    let mut walk = Walk {
        stage: StoredStage::open(store, &stored, opened)?,
        stored,
        new,
        evolving,
        restoring,
    };
    let watermarks = walk.stage.watermarks();
    let least = watermarks
        .map(|(_, watermark)| watermark.unwrap_or(i64::MIN))
        .min();
    let least = least.unwrap_or(i64::MIN);
    if evolving.evolution.may_merge_keys() {
        walk.check_keys(own, LOOKED_AT)?;
    }
    walk.restore(logic, own, least)?;
    if let Some(watermark) = logic.watermark() {
        *watermark = least;
    }
    Ok(())
}

/// The snapshots that may hold keys of this subtask, with the hashes that they have keys of.
fn former_snapshots(
    evolving: &Evolving,
    restoring: &Restoring<'_>,
) -> Vec<(SubtaskSnapshot, HashSpan)> {
    let share = restoring.share;
    let of_all = !evolving.evolution.keeps_places();
    let former = (0..).zip(&restoring.former);
    let wanted = former.filter(|(_, former)| of_all || former.range.overlaps(share.range()));
    wanted
        .filter_map(|(worker, former)| {
            let subtask = SubtaskId {
                stage: restoring.subtask.stage.clone(),
                worker: WorkerIndex(worker),
            };
            let refs = former.refs.to_vec();
            let span = HashSpan::of_groups(share.groups(), former.range)?;
            Some((SubtaskSnapshot { subtask, refs }, span))
        })
        .collect()
}

/// A walk through what was stored, entry by entry as it is now.
struct Walk<'a, 'r> {
    stage: StoredStage<'a>,
    stored: StageShape<'r>,
    new: StageShape<'r>,
    evolving: &'r Evolving,
    restoring: &'r Restoring<'r>,
}

/// An entry as it is now.
struct Entry {
    hash: u64,
    /// Key and value.
    pair: Datum,
    /// The key that it had, in words, where two might become one.
    was: String,
}

impl Walk<'_, '_> {
    fn restore<L: KeyedLogic>(
        &mut self,
        logic: &mut L,
        own: HashSpan,
        watermark: i64,
    ) -> Result<()> {
        let mut object = Vec::new();
        let preamble = Preamble {
            kind: self.new.logic(),
            watermark,
            cleared: Vec::new(),
        };
        let share = self.restoring.share;
        self.for_each_slice(own, |table, mut entries| {
            entries.sort_by_key(|entry| entry.hash);
            let schema = table.stored_entry();
            for entries in entries.chunks_mut(FRAME_LIMIT) {
                let hashes = entries.iter().map(|entry| HashSpan::of(entry.hash));
                let Some(span) = hashes.reduce(|span, hash| span.with(hash.first)) else {
                    continue;
                };
                let taken = |entry: &mut Entry| std::mem::replace(&mut entry.pair, Datum::Unit);
                let items: Vec<Datum> = entries.iter_mut().map(taken).collect();
                object.clear();
                preamble.encode(&mut object);
                let bytes = write_items(&items, &schema)?;
                put_set(&mut object, table.namespace, span, (items.len(), &bytes));
                logic.restore(&object, share)?;
            }
            Ok(())
        })
    }

    /// Gives what is this subtask's own to `apply`, slice by slice, with the table that it is in now.
    fn for_each_slice(
        &mut self,
        own: HashSpan,
        mut apply: impl FnMut(&Table, Vec<Entry>) -> Result<()>,
    ) -> Result<()> {
        let evolution = &self.evolving.evolution;
        let wanted = if evolution.keeps_places() {
            own
        } else {
            HashSpan::ALL
        };
        self.stage.walk(&self.stored, wanted)?;
        while let Some(slice) = self.stage.next_slice() {
            self.restoring.share.check()?;
            let (table, live) = slice?;
            let Some(new) = self.new.table(table.namespace) else {
                continue;
            };
            let mut entries = Vec::with_capacity(live.len());
            for ((_, text), entry) in live {
                let mut was = String::new();
                if evolution.may_merge_keys() {
                    was = to_json(without_part(table, &entry.0)?, &table.key).to_string();
                }
                let evolved = evolve(self.evolving, (table, &new), entry);
                let evolved = evolved.map_err(|e| e.context(format!("the key {text}")))?;
                let own = evolved.filter(|(hash, _)| own.contains(*hash));
                entries.extend(own.map(|(hash, entry)| Entry {
                    hash,
                    pair: entry,
                    was,
                }));
            }
            apply(&new, entries)?;
        }
        Ok(())
    }

    /// Checks that no two keys have become one, in parts of the hashes that are small enough.
    fn check_keys(&mut self, own: HashSpan, looked_at: usize) -> Result<()> {
        let mut rest = Some(own);
        while let Some(part) = rest {
            let mut last = part.last;
            // By the bytes of a key: its hash, and what it was.
            let mut seen: HashMap<u64, (u64, u64)> = HashMap::new();
            let mut twice = None;
            self.for_each_slice(own, |table, entries| {
                for Entry { pair, was, .. } in entries {
                    let key = key_of(table, &pair)?;
                    let hash = hash_of_key(key, table)?;
                    if hash < part.first || hash > last || twice.is_some() {
                        continue;
                    }
                    let (key, was) = (key_bytes(table, key)?, xxh3_64(was.as_bytes()));
                    let before = seen.insert(xxh3_64(&key), (hash, was));
                    if before.is_some_and(|(_, before)| before != was) {
                        twice = Some(key);
                    }
                }
                while seen.len() > looked_at && last > part.first {
                    last = part.first + (last - part.first) / 2;
                    seen.retain(|_, (hash, _)| *hash <= last);
                }
                Ok(())
            })?;
            if let Some(key) = twice {
                self.refuse_twice(own, &key)?;
            }
            rest = (last < own.last).then(|| HashSpan {
                first: last + 1,
                last: own.last,
            });
        }
        Ok(())
    }

    /// Refuses, with their names, keys that have become this one, if there are two.
    fn refuse_twice(&mut self, own: HashSpan, key: &[u8]) -> Result<()> {
        let (mut found, mut now) = (BTreeSet::new(), String::new());
        self.for_each_slice(own, |table, entries| {
            for Entry { pair, was, .. } in entries {
                let made = key_of(table, &pair)?;
                if key_bytes(table, made)? == key {
                    now = to_json(made, &table.key).to_string();
                    found.insert(was);
                }
            }
            Ok(())
        })?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), Some(other)) => Err(Error::incompatible(format!(
                "its migration makes the key {now} of {one} and of {other}, and what is kept of one of them would be \
                 lost: let it make two keys of two"
            ))),
            _ => Ok(()),
        }
    }
}

/// The key of an entry, without its part.
fn key_of<'e>(table: &Table, entry: &'e Datum) -> Result<&'e Datum> {
    let key = entry.part(0).ok_or_else(|| misfit(table))?;
    without_part(table, key)
}

fn without_part<'e>(table: &Table, key: &'e Datum) -> Result<&'e Datum> {
    match table.part {
        None => Ok(key),
        Some(_) => key.part(1).ok_or_else(|| misfit(table)),
    }
}

fn key_bytes(table: &Table, key: &Datum) -> Result<Vec<u8>> {
    write_items(std::slice::from_ref(key), &table.key)
}

/// What a stored entry is now, with its hash; `None` if it is dropped.
fn evolve(
    evolving: &Evolving,
    (stored, new): (&Table, &Table),
    (key, value): (Datum, Datum),
) -> Result<Option<(u64, Datum)>> {
    let evolution = &evolving.evolution;
    let entry = if let Some(entry) = &evolution.entry {
        entry.apply(Datum::Many(vec![key, value]))?
    } else {
        let Some(value) = evolve_value(&evolution.values, stored, value)? else {
            return Ok(None);
        };
        let key = if stored.part.is_some() {
            let [part, key] = key.into_pair().ok_or_else(|| misfit(stored))?;
            let part = evolve_part(&evolution.values, stored, part)?;
            Datum::Many(vec![part, evolution.key.apply(key)?])
        } else {
            evolution.key.apply(key)?
        };
        Datum::Many(vec![key, value])
    };
    let key = entry.part(0).ok_or_else(|| misfit(new))?;
    let hash = hash_of_stored(key, new)?;
    Ok(Some((hash, entry)))
}

fn named<'v>(values: &'v Values, table: &Table) -> Option<&'v NamedStep> {
    match (values, &table.what) {
        (
            Values::Named(states),
            What::State(name) | What::Map(name) | What::Items(name) | What::Bounds(name),
        ) => states.get(&**name),
        _ => None,
    }
}

/// The part of a key's state: of a map its own key.
fn evolve_part(values: &Values, table: &Table, part: Datum) -> Result<Datum> {
    match named(values, table) {
        Some(NamedStep::Map { key, .. }) => key.apply(part).ok_or_else(|| misfit(table)),
        Some(NamedStep::Kept(_) | NamedStep::Dropped) | None => Ok(part),
    }
}

fn evolve_value(values: &Values, table: &Table, value: Datum) -> Result<Option<Datum>> {
    let step = match (values, named(values, table)) {
        (_, Some(NamedStep::Dropped)) => return Ok(None),
        (_, Some(NamedStep::Kept(step) | NamedStep::Map { value: step, .. }))
        | (Values::One(step), None) => step,
        (Values::Named(_), None) => return Ok(Some(value)),
    };
    match (&table.what, value) {
        (What::Bounds(_), bounds) => Ok(Some(bounds)),
        (What::Sessions, Datum::Many(sessions)) => {
            let sessions = sessions.into_iter().map(|session| match session {
                Datum::Many(mut parts) => {
                    let acc = parts.pop().ok_or_else(|| misfit(table))?;
                    parts.push(step.apply(acc)?);
                    Ok(Datum::Many(parts))
                }
                _ => Err(misfit(table)),
            });
            Ok(Some(Datum::Many(sessions.collect::<Result<_>>()?)))
        }
        (_, value) if stamps_of(&table.value).is_some() => {
            let [stamp, value] = value.into_pair().ok_or_else(|| misfit(table))?;
            Ok(Some(Datum::Many(vec![stamp, step.apply(value)?])))
        }
        (_, value) => step.apply(value).map(Some),
    }
}
