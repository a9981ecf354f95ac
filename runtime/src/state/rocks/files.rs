//! A snapshot of a database: RocksDB's own checkpoint, file by file, there and back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use rocksdb::checkpoint::Checkpoint;

use super::encode::corrupt;
use super::store::{Store, of_rocksdb};
use crate::error::{Error, Result};
use crate::ids::{Epoch, SubtaskId};
use crate::metrics::Metrics;
use crate::protocol::{Location, SnapshotKind, SnapshotRef, Verification};
use crate::state::StateStore;
use crate::state::catalogue::names_of;
use crate::storage::snapshots::{read_foreign, verify_object};
use crate::storage::{CheckpointStorage, WorkDir};

/// Which snapshot the files belong to, and where they go.
pub(crate) struct Upload<'a> {
    pub(crate) subtask: &'a SubtaskId,
    pub(crate) epoch: Epoch,
    pub(crate) store: &'a StateStore,
    /// The number of the first part that is free.
    pub(crate) part: u32,
    /// Who counts the bytes.
    pub(crate) metrics: &'a Metrics,
}

/// A checkpoint of RocksDB's: the files as they were, in a directory that goes with it.
#[derive(Debug)]
pub(crate) struct Taken(WorkDir);

impl Store {
    /// Takes RocksDB's checkpoint of all that was written, and ends the window.
    ///
    /// The caches take what was handed over for written. If some of it was not, nothing that is taken
    /// from there on may become a checkpoint.
    pub(crate) fn take(&self, epoch: Epoch) -> Result<Taken> {
        // Each has a directory of its own: the files of the one before may still be on their way.
        let dir = self.dir.expect(&format!("checkpoint-{epoch}"));
        let taken = Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(dir.path()))
            .map_err(of_rocksdb);
        self.close_window();
        taken?;
        self.check()?;
        Ok(Taken(dir))
    }

    /// Uploads the files that no snapshot before has uploaded; in the order in which they were taken.
    ///
    /// A file that was uploaded for an epoch that came to nothing is not uploaded again: all later
    /// snapshots name it for as long as the database has it, and no file comes back that the
    /// database has dropped. So the first manifest behind its epoch names it, and until that is
    /// there, retention leaves everything of its epoch alone.
    pub(crate) fn upload(
        &self,
        Taken(dir): &Taken,
        upload: &Upload<'_>,
    ) -> Result<Vec<SnapshotRef>> {
        let mut uploaded = self.uploaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = dir.files()?;
        // Opening a database needs neither its options nor its log, to which nothing is written.
        names.retain(|name| is_table(name) || name == "CURRENT" || name.starts_with("MANIFEST-"));
        uploaded.retain(|name, _| names.binary_search(name).is_ok());
        let mut refs = Vec::new();
        let put = |part, kind, bytes: &[u8]| {
            let Upload {
                subtask,
                epoch,
                store,
                metrics,
                ..
            } = upload;
            metrics.add_state_written(bytes.len() as u64);
            store.write_foreign(subtask, *epoch, upload.part + part, kind, bytes)
        };
        let catalogue = bitcode::serialize(&names)
            .map_err(|e| Error::internal(format!("names do not encode: {e}")))?;
        refs.push(put(0, SnapshotKind::RocksCatalogue, &catalogue)?);
        for (name, part) in names.iter().zip(1..) {
            if let Some(reference) = uploaded.get(name) {
                refs.push(reference.clone());
                continue;
            }
            let reference = put(part, SnapshotKind::RocksFile, &dir.read(name)?)?;
            // Only tables never change under their names.
            if is_table(name) {
                uploaded.insert(name.clone(), reference.clone());
            }
            refs.push(reference);
        }
        Ok(refs)
    }
}

/// The files of a snapshot, by the names that RocksDB gives them.
pub(super) type Files = BTreeMap<String, SnapshotRef>;

/// Whether the bytes of a snapshot's files were checked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// When the checkpoint was chosen.
    Before,
    /// Not yet: that is to be done while they are put into the directory.
    Now,
}

/// Puts the files of a snapshot into a directory, in which RocksDB can open them: tables under a
/// second name where the file system has that, and copies of all others, as RocksDB appends to some.
pub(super) fn put_files(
    refs: &[SnapshotRef],
    storage: &dyn CheckpointStorage,
    dir: &WorkDir,
    checked: Checked,
) -> Result<Files> {
    let of_kind = |kind| refs.iter().filter(move |reference| reference.kind == kind);
    let catalogue = of_kind(SnapshotKind::RocksCatalogue)
        .next()
        .ok_or_else(|| corrupt("a snapshot has no catalogue of files"))?;
    let names = names_of(&read_foreign(storage, catalogue)?)?;
    if names.len() != of_kind(SnapshotKind::RocksFile).count() {
        return Err(corrupt("the catalogue of files is that of other files"));
    }
    let mut files = Files::new();
    for (name, reference) in names.into_iter().zip(of_kind(SnapshotKind::RocksFile)) {
        if is_table(&name) && link(reference, storage, &dir.path().join(&name))? {
            if checked == Checked::Now {
                check(reference, storage)?;
            }
        } else {
            dir.write(&name, &read_foreign(storage, reference)?)?;
        }
        files.insert(name, reference.clone());
    }
    Ok(files)
}

/// Gives a file a name in the file system; false where it has to be copied.
fn link(reference: &SnapshotRef, storage: &dyn CheckpointStorage, to: &Path) -> Result<bool> {
    match &reference.location {
        Location::Inline(_) => Ok(false),
        Location::Object { name, .. } => storage.link(name, to),
    }
}

fn check(reference: &SnapshotRef, storage: &dyn CheckpointStorage) -> Result<()> {
    match verify_object(storage, reference)? {
        Verification::Whole => Ok(()),
        Verification::Damaged { object, reason } => Err(Error::corrupt(format!(
            "the state object `{object}` is damaged: {reason}"
        ))),
    }
}

/// Whether a file is a table, which never changes once it is written.
pub(super) fn is_table(name: &str) -> bool {
    name.strip_suffix(".sst").is_some()
}
