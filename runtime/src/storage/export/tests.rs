use std::sync::Mutex;

use super::*;
use crate::ids::{StageId, SubtaskId, WorkerIndex};
use crate::protocol::testing::bare_manifest;
use crate::protocol::{SlotContent, SnapshotKind, SubtaskSnapshot, Verification};
use crate::storage::MemoryStorage;
use crate::storage::log::{ClaimRequest, claim, new_claimant};
use crate::storage::snapshots::{SnapshotPart, verify, write_snapshot};

/// What befalls a place while it is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// A run of the job begins there behind the first object.
    RunBegins,
    /// The store repeats each create, and answers the second one.
    CreatesAreRepeated,
    /// No create of the manifest has an answer.
    ManifestUnanswered,
    /// Objects cannot be written.
    Full,
}

#[derive(Debug)]
struct Place {
    memory: MemoryStorage,
    mishap: Mutex<Option<Mishap>>,
}

impl Place {
    fn is(&self, mishap: Mishap) -> bool {
        *self.mishap.lock().expect("no panic") == Some(mishap)
    }
}

impl CheckpointStorage for Place {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        let created = self.memory.create(name, bytes)?;
        if self.is(Mishap::ManifestUnanswered) && name == names::slot(MANIFEST) {
            return Err(Error::unavailable("no answer"));
        }
        if self.is(Mishap::CreatesAreRepeated) {
            return self.memory.create(name, bytes);
        }
        Ok(created)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.is(Mishap::Full) {
            return Err(Error::unavailable("no space left"));
        }
        if self.is(Mishap::RunBegins) {
            *self.mishap.lock().expect("no panic") = None;
            run_begins(Arc::new(self.memory.clone()));
        }
        self.memory.write(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.memory.read(name)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.memory.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.memory.delete(names)
    }

    fn place(&self) -> String {
        "the place".to_owned()
    }
}

fn run_begins(storage: Arc<dyn CheckpointStorage>) {
    let request = ClaimRequest {
        job: "job",
        fresh: false,
        above: Generation(0),
        started_unix_ms: 0,
    };
    claim(storage, &request, &mut new_claimant()).expect("nothing is in the way");
}

/// A storage with one object, and the manifest that names it.
fn source() -> (MemoryStorage, Manifest) {
    let (storage, mut manifest) = (MemoryStorage::new(), bare_manifest(3, 17));
    let subtask = SubtaskId {
        stage: StageId::new("count"),
        worker: WorkerIndex(0),
    };
    let part = SnapshotPart {
        generation: Generation(3),
        nonce: 3,
        epoch: Epoch(17),
        subtask: &subtask,
        part: 0,
        kind: SnapshotKind::KeyedFull,
    };
    let written = write_snapshot(&storage, &part, &[7; 10_000]).expect("memory never fails");
    manifest.snapshots.push(SubtaskSnapshot {
        subtask: subtask.clone(),
        refs: vec![written],
    });
    (storage, manifest)
}

fn fill(mishap: Mishap) -> (Result<()>, MemoryStorage) {
    let (from, manifest) = source();
    let place = Place {
        memory: MemoryStorage::new(),
        mishap: Mutex::new(Some(mishap)),
    };
    let memory = place.memory.clone();
    let target = Target {
        storage: Arc::new(place),
    };
    (target.fill(&from, &manifest, &|| true), memory)
}

fn names_in(storage: &MemoryStorage) -> Vec<String> {
    let list = |dir| storage.list(dir).expect("memory never fails");
    [list(names::LOG_DIR), list(names::STATE_DIR)].concat()
}

/// The claim of a run that had begun there was removed as if it were the savepoint's manifest, and nothing
/// fenced that run any more.
#[test]
fn a_run_that_begins_in_the_place_of_a_savepoint_keeps_its_claim() {
    let (filled, place) = fill(Mishap::RunBegins);
    let error = filled.expect_err("the place is another's");
    assert!(error.message().contains("somebody else"), "{error}");
    let log = read_log(&place).expect("memory never fails");
    let claims = log
        .slots
        .iter()
        .filter(|slot| matches!(slot.content, SlotContent::Claim(_)));
    assert_eq!(claims.count(), 2);
    assert_eq!(names_in(&place).len(), 2, "nothing else is left");
}

#[test]
fn a_store_that_repeats_creates_is_filled() {
    let (filled, place) = fill(Mishap::CreatesAreRepeated);
    filled.expect("what is there is its own");
    assert_eq!(names_in(&place).len(), 3);
}

/// It may be there, or come there late: then it is whole.
#[test]
fn what_a_manifest_may_name_stays_where_its_creation_has_no_answer() {
    let (filled, place) = fill(Mishap::ManifestUnanswered);
    let error = filled.expect_err("nobody knows");
    assert!(error.message().contains("is unknown"), "{error}");
    let log = read_log(&place).expect("memory never fails");
    let (_, manifest) = log.manifests_newest_first().next().expect("it is there");
    let verified = verify(&place, manifest).expect("memory never fails");
    assert_eq!(verified, Verification::Whole);
}

#[test]
fn a_copy_that_fails_leaves_the_place_empty() {
    let (filled, place) = fill(Mishap::Full);
    filled.expect_err("there is no space");
    assert_eq!(names_in(&place), Vec::<String>::new());
}

/// Names in manifests are bytes that anybody may have written.
#[test]
fn a_manifest_that_names_a_slot_as_its_state_is_not_copied() {
    let (from, mut manifest) = source();
    let bytes = vec![1; 100];
    let name = names::slot(CLAIM);
    from.write(&name, &bytes).expect("memory never fails");
    manifest.snapshots[0].refs[0].location = Location::Object {
        name,
        len: 100,
        checksum: xxhash_rust::xxh3::xxh3_64(&bytes),
    };
    let place = MemoryStorage::new();
    let target = Target {
        storage: Arc::new(place.clone()),
    };
    let error = target.fill(&from, &manifest, &|| true);
    assert_eq!(
        error.expect_err("it is no state").kind(),
        crate::ErrorKind::Corrupt
    );
    assert_eq!(names_in(&place), Vec::<String>::new());
}
