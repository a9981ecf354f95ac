//! A database made from those of former subtasks.
//!
//! The one that holds the most of what is wanted becomes the new one, file by file; what it holds
//! beyond that is deleted by range, and the ranges of the others are copied.

use std::ops::ControlFlow;
use std::sync::Arc;

use rocksdb::{DB, ReadOptions, WriteBatch};

use super::encode::{behind, parse, prefix_of, range_of};
use super::files::{Checked, Files, is_table, put_files};
use super::store::{Store, Stores, namespaces_of, of_rocksdb, open_to_read};
use crate::error::Result;
use crate::protocol::SnapshotRef;
use crate::state::StateStore;
use crate::state::frames::{self, Namespace};
use crate::state::span::HashSpan;
use crate::storage::WorkDir;

/// Bytes in a batch of entries that are copied.
const BATCH: usize = 1 << 20;
/// Entries in a frame.
const FRAME: usize = 1_024;

/// The database of a former subtask, and what of it is wanted.
pub(crate) struct Part<'a> {
    pub(crate) refs: &'a [SnapshotRef],
    /// All that it may hold.
    pub(crate) whole: HashSpan,
    pub(crate) wanted: HashSpan,
}

impl Part<'_> {
    fn share(&self) -> u64 {
        self.wanted.last - self.wanted.first
    }
}

/// Opens the database `name`, with what is wanted of former ones.
pub(crate) fn take_over(
    stores: &Arc<Stores>,
    name: &str,
    mut parts: Vec<Part<'_>>,
    from: &StateStore,
) -> Result<Store> {
    let dir = stores.dir().make(name)?;
    parts.sort_by_key(Part::share);
    let Some(base) = parts.pop() else {
        return Store::open(Arc::clone(stores), dir, Files::new());
    };
    // The directory goes with that of the store.
    let files = {
        let db = std::mem::ManuallyDrop::new(dir.make("db")?);
        put_files(base.refs, from.storage(), &db, Checked::Before)?
    };
    let tables = files.into_iter().filter(|(name, _)| is_table(name));
    let store = Store::open(Arc::clone(stores), dir, tables.collect())?;
    delete_unwanted(&store, &base)?;
    for (at, part) in parts.iter().enumerate() {
        let dir = store.dir.make(&format!("former-{at}"))?;
        let other = open_former(part, from, &dir)?;
        copy(&store, &other, part.wanted)?;
    }
    Ok(store)
}

fn open_former(part: &Part<'_>, from: &StateStore, dir: &WorkDir) -> Result<DB> {
    put_files(part.refs, from.storage(), dir, Checked::Before)?;
    open_to_read(dir.path())
}

fn delete_unwanted(store: &Store, base: &Part<'_>) -> Result<()> {
    let Part { whole, wanted, .. } = base;
    let before = (whole.first < wanted.first).then(|| HashSpan {
        first: whole.first,
        last: wanted.first - 1,
    });
    let after = (wanted.last < whole.last).then(|| HashSpan {
        first: wanted.last + 1,
        last: whole.last,
    });
    if before.is_none() && after.is_none() {
        return Ok(());
    }
    let mut batch = WriteBatch::default();
    for namespace in store.namespaces()? {
        for span in [before, after].into_iter().flatten() {
            let (first, end) = range_of(&prefix_of(namespace), span);
            batch.delete_range(first, end);
        }
    }
    store.write(batch)
}

fn copy(store: &Store, other: &DB, wanted: HashSpan) -> Result<()> {
    let mut batch = WriteBatch::default();
    for_each(other, wanted, |_, _, key, value| {
        batch.put(key, value);
        if batch.size_in_bytes() >= BATCH {
            store.write(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    store.write(batch)
}

/// Goes through the entries in a span, namespace by namespace: with the hash and the whole key.
fn for_each(
    db: &DB,
    wanted: HashSpan,
    mut apply: impl FnMut(Namespace, u64, &[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    for namespace in namespaces_of(db)? {
        for_each_of(db, namespace, wanted, |hash, key, value| {
            apply(namespace, hash, key, value)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(())
}

/// Goes through the entries of a namespace in a span, up to where it is told to stop: with the hash and the
/// whole key.
pub(super) fn for_each_of(
    db: &DB,
    namespace: Namespace,
    wanted: HashSpan,
    mut apply: impl FnMut(u64, &[u8], &[u8]) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (first, end) = range_of(&prefix_of(namespace), wanted);
    let mut once = ReadOptions::default();
    once.fill_cache(false);
    let mut entries = db.raw_iterator_opt(once);
    entries.seek(&first);
    while let Some((key, value)) = entries.item().filter(|(key, _)| **key < end[..]) {
        let (_, hash, _) = parse(key)?;
        if apply(hash, key, value)?.is_break() {
            return Ok(());
        }
        entries.next();
    }
    entries.status().map_err(of_rocksdb)
}

/// Reads what is wanted of a former database, as frames that any backend restores. `head` is what
/// each object begins with.
pub(crate) fn read_into(
    part: &Part<'_>,
    from: &StateStore,
    dir: &WorkDir,
    head: &[u8],
    mut restore: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let db = open_former(part, from, dir)?;
    let mut raw = frames::RawEntries::default();
    let mut present = Namespace::Whole;
    let mut object = Vec::new();
    let mut hand_over = |raw: &mut frames::RawEntries, namespace| {
        object.clear();
        object.extend_from_slice(head);
        raw.encode(namespace, &mut object);
        restore(&object)
    };
    for_each(&db, part.wanted, |namespace, hash, key, value| {
        if (namespace != present || raw.len() == FRAME) && raw.len() > 0 {
            hand_over(&mut raw, present)?;
        }
        present = namespace;
        let (_, _, key) = parse(key)?;
        raw.push(hash, key, value);
        Ok(())
    })?;
    if raw.len() > 0 {
        hand_over(&mut raw, present)?;
    }
    Ok(())
}

impl Store {
    /// Deletes all keys that begin with a prefix.
    pub(super) fn delete_all(&self, prefix: &[u8]) -> Result<()> {
        let mut batch = WriteBatch::default();
        batch.delete_range(prefix.to_vec(), behind(prefix));
        self.write(batch)
    }
}
