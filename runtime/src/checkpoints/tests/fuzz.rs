//! Manifests that nobody wrote, whose checksums are right: everything that is to be known of a checkpoint is asked, and
//! answered or refused.

use std::sync::Arc;

use proptest::prelude::*;

use super::chained;
use crate::checkpoints::{Checkpoint, Checkpoints};
use crate::error::ErrorKind;
use crate::fuzz::slots::with_checksums;
use crate::fuzz::{cases, changed};
use crate::protocol::{Location, Manifest, SlotNumber, StageKind, VersionRules, compare_plans};
use crate::storage::frame::HEADER_LEN;
use crate::storage::log::encode_manifest;
use crate::storage::{CheckpointStorage, names};

/// Entries that are read of a stage.
const ENTRIES: usize = 5_000;

/// The bodies of a manifest with all of a state in itself, and of one that names objects.
fn manifests() -> (Arc<dyn CheckpointStorage>, Vec<Manifest>) {
    let (small, _) = chained(1, 1, 30);
    let (large, _) = chained(2, 2, 2_000);
    let storage = Arc::clone(&large.storage) as Arc<dyn CheckpointStorage>;
    (storage, vec![small.manifest, large.manifest])
}

fn ask_all(checkpoint: &Checkpoint<'_>) {
    let manifest = checkpoint.manifest();
    let may = |kind| {
        assert!(
            kind != ErrorKind::Internal && kind != ErrorKind::Panicked && kind != ErrorKind::Fenced,
            "{kind:?}"
        );
    };
    let summary = checkpoint.summary();
    assert_eq!(summary.epoch, manifest.epoch);
    drop(serde_json::to_string(&summary).expect("plain data"));
    drop(checkpoint.files());
    match checkpoint.verify() {
        Ok(damaged) => assert!(damaged.iter().all(|file| !file.reason.is_empty())),
        Err(error) => may(error.kind()),
    }
    let rules = VersionRules::default();
    drop(compare_plans(&manifest.plan, &manifest.plan, rules));
    for stage in &manifest.plan.stages {
        match stage.kind {
            StageKind::Source => drop(checkpoint.source(&stage.id).map_err(|e| may(e.kind()))),
            StageKind::TransactionalSink => {
                drop(checkpoint.sink(&stage.id).map_err(|e| may(e.kind())));
            }
            StageKind::Keyed => match checkpoint.state(&stage.id) {
                Ok(entries) => {
                    drop(entries.watermarks());
                    for entry in entries.take(ENTRIES) {
                        let _ = entry.map_err(|e| may(e.kind()));
                    }
                }
                Err(error) => may(error.kind()),
            },
            StageKind::Stateless | StageKind::Sink => {}
        }
        let key = serde_json::json!(7);
        let of_key = checkpoint.state_of(&stage.id, &key);
        if let Ok(entries) = of_key.map_err(|e| may(e.kind())) {
            let _ = entries.take(ENTRIES).count();
        }
    }
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn whatever_a_manifest_says_is_answered_or_refused(change in any::<u64>(), body in {
        let (_, manifests) = manifests();
        let bodies = manifests.iter().map(|m| encode_manifest(m)[HEADER_LEN..].to_vec());
        changed(bodies.collect())
    }) {
        let (storage, manifests) = (STORED.with(Clone::clone), MANIFESTS.with(Clone::clone));
        let header = encode_manifest(&manifests[(change % 2) as usize])[..HEADER_LEN].to_vec();
        let slot = with_checksums([header, body].concat());
        let name = names::slot(SlotNumber(1));
        storage.write(&name, &slot).expect("memory answers");
        let checkpoints = Checkpoints::open_in(storage).expect("a job has begun there");
        drop(checkpoints.damaged_slots());
        drop(checkpoints.files());
        for checkpoint in checkpoints.iter() {
            ask_all(&checkpoint);
        }
    }

    #[test]
    fn whatever_stands_in_a_small_snapshot_is_answered_or_refused(body in {
        let (_, manifests) = manifests();
        let bodies = manifests[0].snapshots[0].refs.iter().filter_map(|r| match &r.location {
            Location::Inline(body) => Some(body.clone()),
            Location::Object { .. } => None,
        });
        changed(bodies.collect())
    }) {
        let (storage, manifests) = (STORED.with(Clone::clone), MANIFESTS.with(Clone::clone));
        let mut manifest = manifests[0].clone();
        manifest.snapshots[0].refs[0].location = Location::Inline(body);
        let checkpoint = Checkpoint {
            storage: &*storage,
            work_dir: &std::env::temp_dir(),
            slot: SlotNumber(1),
            manifest: &manifest,
        };
        ask_all(&checkpoint);
    }
}

thread_local! {
    static STORED: Arc<dyn CheckpointStorage> = manifests().0;
    static MANIFESTS: Vec<Manifest> = manifests().1;
}
