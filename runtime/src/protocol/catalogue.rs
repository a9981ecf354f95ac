//! The catalogue of state files: every object that the manifests of a log name, and which of them do.
//!
//! It is read off the manifests alone, whatever triggered them and whichever backend wrote the files.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::{Epoch, SubtaskId};
use crate::protocol::{Location, LogView, Manifest, SnapshotKind};

/// An object of the checkpoint directory that manifests name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateFile {
    /// Its name, relative to the checkpoint directory.
    pub name: String,
    /// What its bytes are.
    pub kind: SnapshotKind,
    /// Its length in bytes.
    pub len: u64,
    /// xxh3-64 of all its bytes.
    pub checksum: u64,
    /// The subtask whose state it holds, as the oldest manifest that names it says.
    pub subtask: SubtaskId,
    /// The checkpoints that name it, oldest first.
    pub named_by: Vec<Epoch>,
}

/// Lists the state files of all manifests that read, by name.
pub fn catalogue(log: &LogView) -> Vec<StateFile> {
    let mut files: BTreeMap<String, StateFile> = BTreeMap::new();
    for manifest in log.slots.iter().filter_map(|slot| slot.manifest()) {
        for file in files_of(manifest) {
            files
                .entry(file.name.clone())
                .or_insert_with(|| StateFile {
                    named_by: Vec::new(),
                    ..file
                })
                .named_by
                .push(manifest.epoch);
        }
    }
    files.into_values().collect()
}

/// Lists the state files of one manifest, in the order in which a restore reads them.
pub fn files_of(manifest: &Manifest) -> impl Iterator<Item = StateFile> {
    manifest.snapshots.iter().flat_map(move |snapshot| {
        snapshot
            .refs
            .iter()
            .filter_map(move |reference| match &reference.location {
                Location::Inline(_) => None,
                Location::Object {
                    name,
                    len,
                    checksum,
                } => Some(StateFile {
                    name: name.clone(),
                    kind: reference.kind,
                    len: *len,
                    checksum: *checksum,
                    subtask: snapshot.subtask.clone(),
                    named_by: vec![manifest.epoch],
                }),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{StageId, WorkerIndex};
    use crate::protocol::testing::{bare_manifest, claim, log_of};
    use crate::protocol::{SlotContent, SnapshotRef, SubtaskSnapshot};

    fn manifest_naming(epoch: u64, names: &[&str]) -> SlotContent {
        let object = |name: &&str| SnapshotRef {
            kind: SnapshotKind::KeyedFull,
            location: Location::Object {
                name: (*name).to_owned(),
                len: 10,
                checksum: 1,
            },
        };
        let subtask = SubtaskId {
            stage: StageId::new("hourly"),
            worker: WorkerIndex(0),
        };
        let mut manifest = bare_manifest(1, epoch);
        manifest.snapshots.push(SubtaskSnapshot {
            subtask,
            refs: names.iter().map(object).collect(),
        });
        SlotContent::Manifest(Box::new(manifest))
    }

    #[test]
    fn a_file_that_two_checkpoints_share_stands_once_in_the_catalogue() {
        let log = log_of([
            claim(1),
            manifest_naming(4, &["a", "b"]),
            manifest_naming(5, &["b", "c"]),
        ]);
        let files = catalogue(&log);
        let named: Vec<(&str, Vec<u64>)> = files
            .iter()
            .map(|file| {
                let epochs = file.named_by.iter().map(|epoch| epoch.0);
                (file.name.as_str(), epochs.collect())
            })
            .collect();
        assert_eq!(named, [("a", vec![4]), ("b", vec![4, 5]), ("c", vec![5])]);
    }
}
