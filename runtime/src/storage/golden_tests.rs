//! The bytes that version 1 of each format has had since it was first written. A change that
//! breaks one of these tests needs a new version, and a reader for the old one.
//!
//! `FLOWDSL_BLESS=1 cargo test -p flowdsl-runtime golden` writes files that are missing, and only those.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId, WorkerIndex};
use crate::protocol::{
    CheckpointCost, CheckpointRecord, CheckpointTimes, HistoryEntry, RunBegan, RunEnd, RunEnded,
    SignOfLife, SnapshotCost, Weight,
};
use crate::protocol::{
    CheckpointKind, Claim, Location, Manifest, Origin, OriginPlace, PlanEdge, PlanStage,
    SlotContent, SnapshotKind, SnapshotRef, StageKind, StoredPlan, SubtaskSnapshot,
};
use crate::schema::Schema;
use crate::storage::frame::{self, FrameHeader, FrameKind};
use crate::storage::history::{HistoryWriter, read_history};
use crate::storage::log::{decode_slot, encode_claim, encode_manifest};
use crate::storage::{CheckpointStorage, MemoryStorage, names};

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    golden_of("v1", name, written)
}

fn golden_of(version: &str, name: &str, written: &[u8]) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/formats")
        .join(version)
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
        origins: Vec::new(),
    }
}

#[test]
fn golden_claim() {
    let written = encode_claim(&claim());
    let stored = golden("claim.slot", &written);
    assert_eq!(decode_slot(&stored), SlotContent::Claim(claim()));
    assert_eq!(written, stored);
}

/// The same manifest, with the restores behind which it stands.
fn restored_manifest() -> Manifest {
    let origin = |place, epoch, published_as| Origin {
        place,
        epoch: Epoch(epoch),
        generation: Generation(2),
        nonce: 0xFEDC_BA98_7654_3210,
        kept: Epoch(epoch),
        published_as: Epoch(published_as),
    };
    Manifest {
        origins: vec![
            origin(
                OriginPlace::Elsewhere("s3://savepoints/monday".to_owned()),
                17,
                18,
            ),
            origin(OriginPlace::ThisLog, 30, 41),
        ],
        ..manifest()
    }
}

#[test]
fn golden_manifest() {
    let written = encode_manifest(&restored_manifest());
    let stored = golden_of("v2", "manifest.slot", &written);
    assert_eq!(
        decode_slot(&stored),
        SlotContent::Manifest(Box::new(restored_manifest()))
    );
    assert_eq!(written, stored);
}

#[test]
fn manifests_of_version_1_are_read() {
    for (name, expected) in [
        ("manifest.slot", manifest()),
        ("manifest-rocksdb.slot", manifest_of_rocksdb()),
    ] {
        let stored = golden(name, &[]);
        assert_eq!(
            decode_slot(&stored),
            SlotContent::Manifest(Box::new(expected)),
            "{name}"
        );
    }
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
    let stored = golden_of("v2", "manifest-rocksdb.slot", &written);
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

fn history() -> [HistoryEntry; 3] {
    let began = RunBegan {
        at_unix_ms: 1_700_000_000_100,
        from: Some(Epoch(41)),
        restarts: 1,
        recovery: Duration::from_micros(1_500),
        worker_count: 2,
        cores: 4,
        interval: Some(Duration::from_secs(10)),
        retained: 3,
        before: Some(SignOfLife {
            generation: Generation(2),
            at_unix_ms: 1_699_999_999_000,
        }),
    };
    let subtask = SubtaskId {
        stage: StageId::new("hourly"),
        worker: WorkerIndex(1),
    };
    let ms = Duration::from_millis;
    let cost = SnapshotCost {
        passed_at: ms(1_002),
        copied_at: ms(1_003),
        durable_at: ms(1_040),
        stash: ms(1),
        pause: ms(2),
        encode: ms(10),
        upload: ms(25),
        weight: Weight {
            new_bytes: 1_000,
            total_bytes: 5_000,
            new_files: 1,
            total_files: 4,
        },
    };
    let times = CheckpointTimes {
        triggered: ms(1_000),
        published: Some(ms(1_041)),
        ended: ms(1_050),
    };
    let checkpoint = CheckpointRecord {
        generation: Generation(3),
        epoch: Epoch(42),
        at_unix_ms: 1_700_000_000_500,
        failure: Some("disk full".to_owned()),
        restore: ms(12),
        cost: CheckpointCost::of(times, [(&subtask, &cost)]),
    };
    let ended = RunEnded {
        at_unix_ms: 1_700_000_000_900,
        how: RunEnd::Failed {
            kind: "unavailable".to_owned(),
            reason: "disk full".to_owned(),
        },
    };
    [
        HistoryEntry::Began(began),
        HistoryEntry::Checkpoint(Box::new(checkpoint)),
        HistoryEntry::Ended(ended),
    ]
}

/// What is stored is read; what is written today may have more fields.
#[test]
fn golden_history() {
    let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let run = (Generation(3), 0x0123_4567_89AB_CDEF);
    let mut writer = HistoryWriter::new(Arc::clone(&storage), run, 100);
    for entry in history() {
        writer.write(&entry).expect("memory takes everything");
    }
    let written = storage.list(names::HISTORY_DIR).expect("memory answers");
    for (name, golden_name) in written.iter().zip([
        "history-began.entry",
        "history-checkpoint.entry",
        "history-ended.entry",
    ]) {
        let bytes = storage.read(name).expect("memory answers");
        let stored = golden(golden_name, &bytes.expect("it was written"));
        storage
            .note(name, &stored)
            .expect("memory takes everything");
    }
    let read = read_history(&*storage).expect("memory answers");
    assert_eq!(read.damaged, []);
    let entries: Vec<_> = read.entries.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(entries, history());
}
