//! Publications whose outcome is unknown, and what newer runs make of them meanwhile.

use super::*;
use crate::ids::{StageId, SubtaskId, WorkerIndex};

/// Makes the next publication's outcome unknown, with the manifest written or not.
pub(super) fn publish_in_doubt(
    failing: &Arc<Interrupted>,
    writer: &mut LogWriter,
    epoch: u64,
    is_written: bool,
) {
    let again = Arc::downgrade(failing);
    let fail_again = move || {
        if let Some(storage) = again.upgrade() {
            storage.before(|| Err(Error::unavailable("still away")));
        }
        Err(Error::unavailable("the answer was lost"))
    };
    if is_written {
        failing.after(fail_again);
    } else {
        failing.before(fail_again);
    }
    let manifest = manifest_of(writer, epoch);
    let error = writer.publish(&manifest).expect_err("twice no answer");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("unknown"), "{error}");
    assert!(
        writer
            .unknown_epochs()
            .any(|unknown| unknown == Epoch(epoch))
    );
    writer
        .check_newest()
        .expect("its own slot is no other run's");
}

#[test]
fn a_publication_in_doubt_is_repeated_with_the_same_manifest() {
    for is_written in [true, false] {
        let failing = Interrupted::new(&MemoryStorage::new());
        let storage: Arc<dyn CheckpointStorage> = failing.clone();
        let mut writer = claimed(&storage);
        publish_in_doubt(&failing, &mut writer, 1, is_written);
        assert_eq!(
            publish(&mut writer, 1),
            Publication::Published {
                slot: SlotNumber(1)
            }
        );
        assert_eq!(writer.unknown_epochs().count(), 0);
        assert_eq!(slots(&storage), [0, 1]);
    }
}

#[test]
fn a_publication_in_doubt_is_settled_by_that_of_a_later_epoch() {
    for (is_written, expected) in [(true, vec![0, 1, 2]), (false, vec![0, 1])] {
        let failing = Interrupted::new(&MemoryStorage::new());
        let storage: Arc<dyn CheckpointStorage> = failing.clone();
        let mut writer = claimed(&storage);
        publish_in_doubt(&failing, &mut writer, 1, is_written);
        let published = publish(&mut writer, 2);
        assert!(matches!(published, Publication::Published { .. }));
        assert_eq!(slots(&storage), expected);
        assert_eq!(*writer.log(), read_log(&*storage).expect("read"));
        assert_eq!(writer.unknown_epochs().count(), 0);
    }
}

/// The simulation's seed 1760: epoch 1 was written and its answer lost, epoch 2 was not written, and the
/// writer remembered epoch 2 alone. Epoch 1 in the slot then looked like a bug, and the job ended.
#[test]
fn of_several_publications_in_doubt_the_one_that_was_written_is_found() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut writer = claimed(&storage);
    publish_in_doubt(&failing, &mut writer, 1, true);
    publish_in_doubt(&failing, &mut writer, 2, false);
    let published = publish(&mut writer, 3);
    assert!(matches!(published, Publication::Published { .. }));
    assert_eq!(slots(&storage), [0, 1, 2]);
    assert_eq!(*writer.log(), read_log(&*storage).expect("read"));
    assert_eq!(writer.unknown_epochs().count(), 0);
}

/// What a newer run does meanwhile: it takes over, completes a checkpoint and deletes all older ones.
fn overtake(storage: &Arc<dyn CheckpointStorage>, epoch: u64) -> LogWriter {
    let mut newer = claimed(storage);
    let _ = publish(&mut newer, epoch);
    let older = newer.log().manifests_newest_first().skip(1);
    let older: Vec<SlotNumber> = older.map(|(slot, _)| slot).collect();
    newer.delete_slots(&older).expect("deleted");
    newer
}

/// The simulation's seed 9422: the answer of a create was lost, and the run slept. A newer run took over
/// from that very checkpoint, went on and deleted it. The old run woke up, found its slot free, published the next
/// epoch into the hole and committed output that the newer run had committed, too.
#[test]
fn a_run_in_doubt_does_not_publish_into_the_hole_that_a_newer_run_has_left() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut writer = claimed(&storage);
    publish_in_doubt(&failing, &mut writer, 1, true);
    let newer = overtake(&storage, 2);
    assert_eq!(slots(&storage), [0, 2, 3]);
    let by = newer.generation();
    assert_eq!(publish(&mut writer, 2), Publication::Fenced { by });
    newer
        .check_newest()
        .expect("what was made in the hole is no newer run");
    let found = claimed(&storage);
    let epochs: Vec<u64> = found
        .log()
        .manifests_newest_first()
        .map(|(_, manifest)| manifest.generation.0)
        .collect();
    assert_eq!(epochs, [by.0], "nor is it a checkpoint");
}

/// What a compaction writes for an epoch to come.
fn write_ahead(storage: &Arc<dyn CheckpointStorage>, writer: &LogWriter, epoch: u64) {
    let subtask = SubtaskId {
        stage: StageId::new("sums"),
        worker: WorkerIndex(0),
    };
    let name = names::compacted_object(writer.generation(), Epoch(epoch), &subtask, (1, 0));
    storage.write(&name, b"merged").expect("written");
}

/// An object is named by the epoch of the first manifest that may name it, and written before: by a compaction
/// many epochs before. Were a claim to know of such an epoch, what its run left out as a latecomer
/// would be a checkpoint.
#[test]
fn a_claim_knows_of_no_epoch_that_only_an_object_is_named_by() {
    let storage = memory();
    let mut old = claimed(&storage);
    let _ = publish(&mut old, 1);
    write_ahead(&storage, &old, 40);
    let latecomer = manifest_of(&old, 2);
    let newer = overtake(&storage, 41);
    assert_eq!(slots(&storage), [0, 2, 3]);
    let created = storage.create(&names::slot(SlotNumber(1)), &encode_manifest(&latecomer));
    assert_eq!(created.expect("created"), Creation::Created);
    let next = claim_anew(&storage).expect("nothing else runs");
    let manifests = next.writer.log().manifests_newest_first();
    let found: Vec<_> = manifests.map(|(_, m)| (m.generation, m.epoch)).collect();
    assert_eq!(found, [(newer.generation(), Epoch(41))]);
}

#[test]
fn a_run_begins_above_every_epoch_that_an_object_is_named_by() {
    let storage = memory();
    let mut old = claimed(&storage);
    let _ = publish(&mut old, 1);
    write_ahead(&storage, &old, 40);
    let next = claim_anew(&storage).expect("nothing else runs");
    assert_eq!(next.next_epoch, Epoch(41));
}

/// The simulation's seeds 108 and 7851: a run that slept while it recovered must notice that it was overtaken, and must
/// not take for a newer run what another claimant made in a hole.
#[test]
fn a_run_is_overtaken_by_a_claim_behind_its_own_and_by_no_other() {
    let storage = memory();
    let mut first = claimed(&storage);
    let _ = publish(&mut first, 1);
    let second = claimed(&storage);
    first.delete_slots(&[SlotNumber(1)]).expect("deleted");
    let in_the_hole = encode_claim(&crate::protocol::testing::bare_claim(9));
    let created = storage.create(&names::slot(SlotNumber(1)), &in_the_hole);
    assert_eq!(created.expect("created"), Creation::Created);
    second.check_not_overtaken().expect("nobody is behind it");
    let _third = claimed(&storage);
    let error = second.check_not_overtaken().expect_err("overtaken");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

/// The simulation's seed 659: as above, but it is the second attempt of the same create that finds the hole.
#[test]
fn a_second_attempt_does_not_publish_into_a_hole() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut writer = claimed(&storage);
    let world = Arc::downgrade(&failing);
    failing.after(move || {
        let storage: Arc<dyn CheckpointStorage> = world.upgrade().expect("it is in use");
        let _ = overtake(&storage, 2);
        Err(Error::unavailable("the answer was lost"))
    });
    assert_eq!(
        publish(&mut writer, 1),
        Publication::Fenced { by: Generation(2) }
    );
}

/// Memory behind a client that repeats a request which took effect and was refused all the same.
struct Repeating {
    inner: MemoryStorage,
    /// What happens before the client tries again.
    meanwhile: Mutex<Option<Script>>,
}

impl std::fmt::Debug for Repeating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Repeating")
    }
}

impl CheckpointStorage for Repeating {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        let first = self.inner.create(name, bytes)?;
        match self.meanwhile.lock().expect("no script panics").take() {
            Some(script) => script().and_then(|()| self.inner.create(name, bytes)),
            None => Ok(first),
        }
    }
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.inner.write(name, bytes)
    }
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.inner.read(name)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.inner.list(dir)
    }
    fn delete(&self, names: &[String]) -> Result<()> {
        self.inner.delete(names)
    }
    fn repeats_creates(&self) -> bool {
        true
    }
    fn place(&self) -> String {
        self.inner.place()
    }
}

/// As above, but it is the client of the object store that tries again, and says nothing of it.
#[test]
fn a_create_that_the_client_repeats_does_not_publish_into_a_hole() {
    let memory = MemoryStorage::new();
    let repeating = Arc::new(Repeating {
        inner: memory.clone(),
        meanwhile: Mutex::default(),
    });
    let storage: Arc<dyn CheckpointStorage> = repeating.clone();
    let mut writer = claimed(&storage);
    assert!(matches!(
        publish(&mut writer, 1),
        Publication::Published { .. }
    ));
    let others: Arc<dyn CheckpointStorage> = Arc::new(memory);
    *repeating.meanwhile.lock().expect("no script panics") = Some(Box::new(move || {
        let _ = overtake(&others, 3);
        Ok(())
    }));
    assert_eq!(
        publish(&mut writer, 2),
        Publication::Fenced { by: Generation(2) }
    );
}

#[test]
fn a_run_in_doubt_that_was_overtaken_deletes_nothing_and_is_fenced() {
    let failing = Interrupted::new(&MemoryStorage::new());
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut writer = claimed(&storage);
    publish_in_doubt(&failing, &mut writer, 1, false);
    let new = claimed(&storage);
    assert_eq!(
        writer.check_newest().expect_err("overtaken").kind(),
        ErrorKind::Fenced
    );
    let by = new.generation();
    assert_eq!(publish(&mut writer, 1), Publication::Fenced { by });
}
