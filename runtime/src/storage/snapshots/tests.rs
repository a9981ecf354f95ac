use super::*;
use crate::ErrorKind;
use crate::ids::{StageId, WorkerIndex};
use crate::protocol::SubtaskSnapshot;
use crate::protocol::testing::bare_manifest;
use crate::storage::MemoryStorage;

fn written(storage: &MemoryStorage, body: &[u8]) -> SnapshotRef {
    let subtask = subtask();
    let part = SnapshotPart {
        generation: Generation(1),
        nonce: 5,
        epoch: Epoch(2),
        subtask: &subtask,
        part: 0,
        kind: SnapshotKind::KeyedFull,
    };
    write_snapshot(storage, &part, body).expect("memory answers")
}

fn subtask() -> SubtaskId {
    SubtaskId {
        stage: StageId::new("hourly"),
        worker: WorkerIndex(0),
    }
}

fn big() -> Vec<u8> {
    (0..=INLINE_LIMIT).map(|at| at as u8).collect()
}

const NAME: &str = "state/g0000000001-e00000000000000000002-hourly-w0-0.snap";

#[test]
fn a_small_snapshot_stands_in_the_manifest_and_a_big_one_in_an_object() {
    let storage = MemoryStorage::new();
    let small = written(&storage, b"small");
    assert_eq!(small.location, Location::Inline(b"small".to_vec()));
    assert_eq!(
        storage.list(names::STATE_DIR).expect("listed"),
        Vec::<String>::new()
    );
    let reference = written(&storage, &big());
    assert_eq!(storage.list(names::STATE_DIR).expect("listed"), [NAME]);
    for (reference, body) in [(small, b"small".to_vec()), (reference, big())] {
        assert_eq!(read_snapshot(&storage, &reference).expect("whole"), body);
    }
}

/// Damages the only object of a manifest; reading and verifying name it, with these words.
fn check_damaged(damage: impl FnOnce(&MemoryStorage, Vec<u8>), words: &str) {
    let storage = MemoryStorage::new();
    let reference = written(&storage, &big());
    let subtask = SubtaskId {
        stage: StageId::new("hourly"),
        worker: WorkerIndex(0),
    };
    let snapshots = vec![SubtaskSnapshot {
        subtask,
        refs: vec![reference.clone()],
    }];
    let manifest = Manifest {
        snapshots,
        ..bare_manifest(1, 2)
    };
    assert_eq!(
        verify(&storage, &manifest).expect("memory answers"),
        Verification::Whole
    );
    damage(
        &storage,
        storage
            .read(NAME)
            .expect("memory answers")
            .expect("written"),
    );
    match verify(&storage, &manifest).expect("memory answers") {
        Verification::Damaged { object, reason } => {
            assert_eq!(object, NAME);
            assert!(reason.contains(words), "{reason}");
        }
        Verification::Whole => panic!("the damage was not found"),
    }
    let error = read_snapshot(&storage, &reference).expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.message().contains(NAME) && error.message().contains(words),
        "{error}"
    );
}

#[test]
fn a_missing_truncated_or_flipped_object_is_named_with_what_is_wrong() {
    check_damaged(
        |storage, _| storage.delete(&[NAME.to_owned()]).expect("deleted"),
        "missing",
    );
    check_damaged(
        |storage, bytes| storage.write(NAME, &bytes[..100]).expect("written"),
        "100 bytes instead of",
    );
    check_damaged(
        |storage, mut bytes| {
            bytes[2_000] ^= 4;
            storage.write(NAME, &bytes).expect("written");
        },
        "checksum",
    );
}

#[test]
fn a_name_in_a_manifest_never_leads_out_of_the_directory() {
    let location = Location::Object {
        name: "../../etc/passwd".to_owned(),
        len: 1,
        checksum: 1,
    };
    let reference = SnapshotRef {
        kind: SnapshotKind::Operator,
        location,
    };
    let error = read_snapshot(&MemoryStorage::new(), &reference).expect_err("not a name");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// So many bytes that they are verified on several threads.
#[test]
fn of_many_large_objects_each_is_verified() {
    let storage = MemoryStorage::new();
    let refs: Vec<SnapshotRef> = (0..9)
        .map(|part| {
            let subtask = subtask();
            let part = SnapshotPart {
                generation: Generation(1),
                nonce: 1,
                epoch: Epoch(1),
                subtask: &subtask,
                part,
                kind: SnapshotKind::KeyedFull,
            };
            write_snapshot(&storage, &part, &vec![part.part as u8; 1 << 20]).expect("in memory")
        })
        .collect();
    let mut manifest = bare_manifest(1, 1);
    manifest.snapshots = vec![SubtaskSnapshot {
        subtask: subtask(),
        refs: refs.clone(),
    }];
    assert_eq!(
        verify(&storage, &manifest).expect("in memory"),
        Verification::Whole
    );
    for reference in &refs {
        let Location::Object { name, .. } = &reference.location else {
            panic!("a megabyte is no part of a manifest");
        };
        let bytes = storage.read(name).expect("in memory").expect("it is there");
        storage
            .delete(std::slice::from_ref(name))
            .expect("in memory");
        let reason = "it is missing".to_owned();
        let object = name.clone();
        let verified = verify(&storage, &manifest).expect("in memory");
        assert_eq!(verified, Verification::Damaged { object, reason });
        storage.write(name, &bytes).expect("in memory");
    }
}
