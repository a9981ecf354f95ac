//! The bytes that version 1 of each format has had since it was first written. A change that
//! breaks one of these tests needs a new version, and a reader for the old one.
//!
//! `FLOWDSL_BLESS=1 cargo test -p flowdsl-runtime golden` writes files that are missing, and only those.

use std::path::{Path, PathBuf};

use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId, WorkerIndex};
use crate::protocol::{
    CheckpointKind, Claim, Location, Manifest, PlanEdge, PlanStage, SlotContent, SnapshotKind,
    SnapshotRef, StageKind, StoredPlan, SubtaskSnapshot,
};
use crate::schema::Schema;
use crate::storage::frame::{self, FrameHeader, FrameKind};
use crate::storage::log::{decode_slot, encode_claim, encode_manifest};

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/formats/v1")
        .join(name);
    if !path.exists() && std::env::var_os("FLOWDSL_BLESS").is_some() {
        std::fs::write(&path, written).expect("the golden file is written");
    }
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn claim() -> Claim {
    Claim {
        job: "flights".to_owned(),
        generation: Generation(3),
        nonce: 0x0123_4567_89AB_CDEF,
        known_epoch: Epoch(41),
        fresh: false,
        started_unix_ms: 1_700_000_000_000,
    }
}

fn manifest() -> Manifest {
    let stage = |id: &str, operation: &str, kind, schema| PlanStage {
        id: StageId::new(id),
        operation: operation.to_owned(),
        detail: format!("{operation} of {id}"),
        kind,
        schema,
    };
    let subtask = |id: &str| SubtaskId {
        stage: StageId::new(id),
        worker: WorkerIndex(1),
    };
    let fields = vec![
        ("count".to_owned(), Schema::plain("u64")),
        (
            "worst".to_owned(),
            Schema::Option(Box::new(Schema::plain("i64"))),
        ),
    ];
    let inline = Location::Inline(vec![1, 2, 3]);
    let object = Location::Object {
        name: "state/g-e".to_owned(),
        len: 70,
        checksum: u64::MAX,
    };
    Manifest {
        job: "flights".to_owned(),
        generation: Generation(3),
        nonce: 0x0123_4567_89AB_CDEF,
        epoch: Epoch(42),
        kind: CheckpointKind::Checkpoint,
        finished: false,
        worker_count: 2,
        key_groups: KeyGroupCount::DEFAULT,
        written_unix_ms: 1_700_000_000_500,
        plan: StoredPlan {
            stages: vec![
                stage("flights", "source", StageKind::Source, None),
                stage(
                    "hourly",
                    "window",
                    StageKind::Keyed,
                    Some(Schema::of_fields("Delay", fields)),
                ),
                stage("out", "sink", StageKind::TransactionalSink, None),
            ],
            edges: vec![
                PlanEdge {
                    from: 0,
                    to: 1,
                    exchange: true,
                },
                PlanEdge {
                    from: 1,
                    to: 2,
                    exchange: false,
                },
            ],
        },
        snapshots: vec![
            SubtaskSnapshot {
                subtask: subtask("flights"),
                refs: vec![SnapshotRef {
                    kind: SnapshotKind::Operator,
                    location: inline,
                }],
            },
            SubtaskSnapshot {
                subtask: subtask("hourly"),
                refs: vec![SnapshotRef {
                    kind: SnapshotKind::KeyedIncrement,
                    location: object,
                }],
            },
        ],
    }
}

#[test]
fn golden_claim() {
    let written = encode_claim(&claim());
    let stored = golden("claim.slot", &written);
    assert_eq!(decode_slot(&stored), SlotContent::Claim(claim()));
    assert_eq!(written, stored);
}

#[test]
fn golden_manifest() {
    let written = encode_manifest(&manifest());
    let stored = golden("manifest.slot", &written);
    assert_eq!(
        decode_slot(&stored),
        SlotContent::Manifest(Box::new(manifest()))
    );
    assert_eq!(written, stored);
}

/// The manifest, with state in RocksDB.
fn manifest_of_rocksdb() -> Manifest {
    let reference = |kind, location| SnapshotRef { kind, location };
    let file = |number: u32| Location::Object {
        name: format!("state/g-e-{number}.file"),
        len: 1_000_000,
        checksum: 7,
    };
    let mut manifest = manifest();
    manifest.snapshots[1].refs = vec![
        reference(SnapshotKind::KeyedFull, Location::Inline(vec![1, 10])),
        reference(SnapshotKind::RocksCatalogue, Location::Inline(vec![2, 3])),
        reference(SnapshotKind::RocksFile, file(2)),
        reference(SnapshotKind::RocksFile, file(3)),
    ];
    manifest
}

#[test]
fn golden_manifest_of_rocksdb() {
    let written = encode_manifest(&manifest_of_rocksdb());
    let stored = golden("manifest-rocksdb.slot", &written);
    assert_eq!(
        decode_slot(&stored),
        SlotContent::Manifest(Box::new(manifest_of_rocksdb()))
    );
    assert_eq!(written, stored);
}

#[test]
fn golden_snapshot_frame() {
    let header = FrameHeader {
        kind: FrameKind::Snapshot,
        generation: Generation(3),
        epoch: Epoch(42),
        nonce: 0x0123_4567_89AB_CDEF,
    };
    let written = frame::encode(&header, b"state of one subtask");
    let stored = golden("frame.snap", &written);
    assert_eq!(
        frame::decode(&stored),
        Ok((header, &b"state of one subtask"[..]))
    );
    assert_eq!(written, stored);
}
