//! Entries on their way to RocksDB, in the order of their keys: it takes those in much faster, since
//! each finds its place near that of the one before.

use std::ops::Range;

use rocksdb::WriteBatch;

use super::encode::{put, put_key};
use crate::error::Result;
use crate::key::{Key, hash_of};
use crate::state::State;
use crate::state::tables::Extra;

/// Encoded entries of a table, each key once.
#[derive(Default)]
pub(super) struct Changes {
    bytes: Vec<u8>,
    changes: Vec<Changed>,
}

struct Changed {
    key: Range<usize>,
    /// What follows the key; `None` for a key that was removed.
    value: Option<Range<usize>>,
}

impl Changes {
    /// The bytes of all encodings.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds an entry, with its value if it is not removed.
    pub(super) fn push<K: Key, V: State>(
        &mut self,
        prefix: &[u8],
        (key, value): (&K, Option<&V>),
        extra: Option<Extra<V>>,
    ) -> Result<()> {
        let begin = self.bytes.len();
        put_key(prefix, hash_of(key), key, &mut self.bytes)?;
        let end = self.bytes.len();
        if let Some(value) = value {
            put(value, &mut self.bytes)?;
            if let Some(extra) = extra {
                (extra.save)(value, &mut self.bytes);
            }
        }
        self.changes.push(Changed {
            key: begin..end,
            value: value.is_some().then_some(end..self.bytes.len()),
        });
        Ok(())
    }

    /// All of them, as one batch.
    pub(super) fn in_order(mut self) -> WriteBatch {
        let bytes = &self.bytes;
        let key = |change: &Changed| &bytes[change.key.clone()];
        self.changes.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        let mut batch = WriteBatch::default();
        for change in &self.changes {
            match &change.value {
                Some(value) => batch.put(key(change), &bytes[value.clone()]),
                None => batch.delete(key(change)),
            }
        }
        batch
    }
}
