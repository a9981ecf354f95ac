//! The stored state of one keyed subtask in RocksDB: its entries, decoded by the schema.

use std::ops::ControlFlow;

use super::chain::{Live, is_of_rocksdb};
use super::routing::hash_of_stored;
use super::shape::{Table, What};
use super::slices::ENTRIES;
use crate::error::{Error, Result};
use crate::ids::SubtaskId;
use crate::protocol::{SnapshotRef, SubtaskSnapshot};
use crate::schema::{Datum, Schema, check_known, take_item, to_json};
use crate::state::frames::Namespace;
use crate::state::rocks::StoredTables;
use crate::state::span::HashSpan;
use crate::storage::{CheckpointStorage, WorkDir};

/// Stored bytes that are looked at together, about.
const BYTES: usize = 8 << 20;

/// Bytes of the time of a session's timer, which stand behind the sessions of a key.
const TIMER: usize = 8;

/// The database of one subtask.
#[derive(Debug)]
pub(super) struct StoredDatabase {
    tables: StoredTables,
    subtask: SubtaskId,
}

impl StoredDatabase {
    /// Puts the database of a snapshot together in a directory that is empty, and goes with it.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the object, where bytes are not those that were written; `Unavailable` if the storage or
    /// the directory does not answer.
    pub(super) fn open(
        storage: &dyn CheckpointStorage,
        snapshot: &SubtaskSnapshot,
        dir: WorkDir,
    ) -> Result<Self> {
        let of_rocksdb = |reference: &&SnapshotRef| is_of_rocksdb(reference);
        let refs: Vec<SnapshotRef> = snapshot.refs.iter().filter(of_rocksdb).cloned().collect();
        let subtask = snapshot.subtask.clone();
        match StoredTables::open(&refs, storage, dir) {
            Ok(tables) => Ok(Self { tables, subtask }),
            Err(error) => Err(error.context(place_of(&subtask))),
        }
    }

    /// The tables of which there is anything.
    pub(super) fn namespaces(&self) -> Result<Vec<Namespace>> {
        let namespaces = self.tables.namespaces();
        namespaces.map_err(|e| e.context(place_of(&self.subtask)))
    }

    /// All of a table in a span.
    pub(super) fn live_within(&self, table: &Table, span: HashSpan) -> Result<Live> {
        self.read(table, span, |_, _| false).map(|(live, _)| live)
    }

    /// The first entries of a table in a span, and where there are more.
    pub(super) fn slice(&self, table: &Table, span: HashSpan) -> Result<(Live, Option<HashSpan>)> {
        let is_enough = |entries, bytes| entries as f64 >= ENTRIES || bytes >= BYTES;
        self.read(table, span, is_enough)
    }

    fn read(
        &self,
        table: &Table,
        span: HashSpan,
        is_enough: impl Fn(usize, usize) -> bool,
    ) -> Result<(Live, Option<HashSpan>)> {
        let entries = Entries::of(table)?;
        let (mut live, mut rest) = (Live::new(), None);
        let (mut bytes, mut present) = (0, None);
        let namespace = table.namespace;
        let read = self.tables.for_each(namespace, span, |hash, key, value| {
            // Keys with one hash stay together: their order is that of their texts, not of their bytes.
            if present != Some(hash) && is_enough(live.len(), bytes) {
                let (first, last) = (hash, span.last);
                rest = Some(HashSpan { first, last });
                return Ok(ControlFlow::Break(()));
            }
            present = Some(hash);
            bytes += key.len() + value.len();
            let (key, value) = entries.decode(hash, key, value).map_err(|e| {
                e.context(format!(
                    "the entry of the table {namespace:?} with the hash {hash:016x}"
                ))
            })?;
            live.insert((hash, entries.text(&key)), (key, value));
            Ok(ControlFlow::Continue(()))
        });
        read.map_err(|e| e.context(place_of(&self.subtask)))?;
        Ok((live, rest))
    }
}

/// The types of a table's entries.
struct Entries<'t> {
    table: &'t Table,
    key: Schema,
}

impl<'t> Entries<'t> {
    fn of(table: &'t Table) -> Result<Self> {
        let key = table.stored_key();
        check_known(&key)?;
        check_known(&table.value)?;
        Ok(Self { table, key })
    }

    fn text(&self, key: &Datum) -> String {
        to_json(key, &self.key).to_string()
    }

    fn decode(&self, hash: u64, key: &[u8], value: &[u8]) -> Result<(Datum, Datum)> {
        let (key, behind_key) = take_item(key, &self.key).map_err(|e| e.context("its key"))?;
        let (value, extra) = take_item(value, &self.table.value)
            .map_err(|e| e.context(format!("the value of {}", self.text(&key))))?;
        let expected = match (&self.table.what, &value) {
            (What::Sessions, Datum::Many(sessions)) => sessions.len() * TIMER,
            _ => 0,
        };
        if !behind_key.is_empty() || extra.len() != expected {
            return Err(Error::corrupt(format!(
                "{} and {} bytes stand behind the key {2} and its value, instead of none and {expected}",
                behind_key.len(),
                extra.len(),
                self.text(&key)
            )));
        }
        if hash_of_stored(&key, self.table)? != hash {
            return Err(Error::corrupt(format!(
                "the key {} has another hash; if its type has a `Key` of its own, it can be read with its code \
                 only",
                self.text(&key)
            )));
        }
        Ok((key, value))
    }
}

fn place_of(subtask: &SubtaskId) -> String {
    format!("the database of {subtask}")
}
