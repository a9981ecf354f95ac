//! The database of a stored snapshot, for whoever only looks at it.
//!
//! Its files are checked, byte by byte, while they are put into a directory of their own. The files of the
//! checkpoint are not written to: tables are linked or copied, and RocksDB opens them to read.

use std::ops::ControlFlow;

use rocksdb::DB;

use super::encode::parse;
use super::files::{Checked, Files, put_files};
use super::store::{namespaces_of, open_to_read};
use super::takeover::for_each_of;
use crate::error::{Error, Result};
use crate::protocol::{Location, SnapshotRef};
use crate::state::frames::Namespace;
use crate::state::span::HashSpan;
use crate::storage::{CheckpointStorage, WorkDir};

/// The tables of a stage on one worker, as a snapshot has them.
pub(crate) struct StoredTables {
    db: DB,
    files: Files,
    /// Goes last: the database has its files open.
    _dir: WorkDir,
}

impl StoredTables {
    /// Opens the database of a snapshot in a directory that is empty, and goes with it.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the object, where bytes are not those that were written; `Unavailable` if the storage or
    /// the directory does not answer.
    pub(crate) fn open(
        refs: &[SnapshotRef],
        storage: &dyn CheckpointStorage,
        dir: WorkDir,
    ) -> Result<Self> {
        let files = put_files(refs, storage, &dir, Checked::Now)?;
        let db = open_to_read(dir.path()).map_err(|e| naming(&files, e))?;
        Ok(Self {
            db,
            files,
            _dir: dir,
        })
    }

    /// The namespaces that hold anything.
    pub(crate) fn namespaces(&self) -> Result<Vec<Namespace>> {
        namespaces_of(&self.db).map_err(|e| naming(&self.files, e))
    }

    /// Goes through the entries of a namespace in a span, in the order of their hashes, up to where it is told
    /// to stop: with the hash, and what RocksDB has of key and value.
    pub(crate) fn for_each(
        &self,
        namespace: Namespace,
        span: HashSpan,
        mut see: impl FnMut(u64, &[u8], &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for_each_of(&self.db, namespace, span, |_, key, value| {
            let (_, hash, key) = parse(key)?;
            see(hash, key, value)
        })
        .map_err(|e| naming(&self.files, e))
    }
}

/// An error of RocksDB names a file in the directory that we have made: says which object that is.
fn naming(files: &Files, error: Error) -> Error {
    let named = files.iter().find(|(name, reference)| {
        error.message().contains(name.as_str())
            && matches!(reference.location, Location::Object { .. })
    });
    match named.map(|(_, reference)| &reference.location) {
        Some(Location::Object { name, .. }) => error.context(format!("the state object `{name}`")),
        Some(Location::Inline(_)) | None => error,
    }
}

impl std::fmt::Debug for StoredTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredTables")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
