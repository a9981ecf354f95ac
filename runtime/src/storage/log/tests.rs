mod again;
mod doubt;

use std::sync::Mutex;

use super::*;
use crate::ErrorKind;
use crate::protocol::testing::bare_manifest;
use crate::storage::MemoryStorage;

const REQUEST: ClaimRequest<'_> = ClaimRequest {
    job: "job",
    fresh: false,
    above: Generation(0),
    started_unix_ms: 0,
};

fn claimed(storage: &Arc<dyn CheckpointStorage>) -> LogWriter {
    claim_anew(storage).expect("nothing else runs").writer
}

/// A claim of a process that has claimed nothing before.
fn claim_anew(storage: &Arc<dyn CheckpointStorage>) -> Result<Claimed> {
    claim(Arc::clone(storage), &REQUEST, &mut new_claimant())
}

fn memory() -> Arc<dyn CheckpointStorage> {
    Arc::new(MemoryStorage::new())
}

fn manifest_of(writer: &LogWriter, epoch: u64) -> Manifest {
    Manifest {
        nonce: writer.nonce(),
        ..bare_manifest(writer.generation().0, epoch)
    }
}

#[track_caller]
fn publish(writer: &mut LogWriter, epoch: u64) -> Publication {
    let manifest = manifest_of(writer, epoch);
    writer.publish(&manifest).expect("the storage answers")
}

fn slots(storage: &Arc<dyn CheckpointStorage>) -> Vec<u64> {
    list_slots(&**storage)
        .expect("the storage answers")
        .into_iter()
        .map(|slot| slot.0)
        .collect()
}

type Script = Box<dyn FnOnce() -> Result<()> + Send>;

/// Storage in memory that runs a script, once, just before or after a create, or before a read.
struct Interrupted {
    inner: MemoryStorage,
    reading: Mutex<Option<Script>>,
    before: Mutex<Option<Script>>,
    after: Mutex<Option<Script>>,
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupted")
    }
}

impl Interrupted {
    fn new(inner: &MemoryStorage) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            reading: Mutex::default(),
            before: Mutex::default(),
            after: Mutex::default(),
        })
    }

    fn run(script: &Mutex<Option<Script>>) -> Result<()> {
        let script = script.lock().expect("no script panics").take();
        script.map_or(Ok(()), |script| script())
    }

    fn reading(&self, script: impl FnOnce() -> Result<()> + Send + 'static) {
        *self.reading.lock().expect("no script panics") = Some(Box::new(script));
    }

    fn before(&self, script: impl FnOnce() -> Result<()> + Send + 'static) {
        *self.before.lock().expect("no script panics") = Some(Box::new(script));
    }

    fn after(&self, script: impl FnOnce() -> Result<()> + Send + 'static) {
        *self.after.lock().expect("no script panics") = Some(Box::new(script));
    }
}

impl CheckpointStorage for Interrupted {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        Self::run(&self.before)?;
        let creation = self.inner.create(name, bytes)?;
        Self::run(&self.after)?;
        Ok(creation)
    }
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.inner.write(name, bytes)
    }
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Self::run(&self.reading)?;
        self.inner.read(name)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.inner.list(dir)
    }
    fn delete(&self, names: &[String]) -> Result<()> {
        self.inner.delete(names)
    }
    fn place(&self) -> String {
        self.inner.place()
    }
}

#[test]
fn what_was_published_is_read_by_the_next_run_which_counts_on() {
    let storage = memory();
    let mut first = claimed(&storage);
    assert_eq!(
        publish(&mut first, 1),
        Publication::Published {
            slot: SlotNumber(1)
        }
    );
    assert_eq!(
        publish(&mut first, 4),
        Publication::Published {
            slot: SlotNumber(2)
        }
    );
    let next = claim_anew(&storage).expect("nothing else runs");
    assert_eq!(
        (next.writer.generation(), next.next_epoch),
        (Generation(2), Epoch(5))
    );
    let epochs: Vec<Epoch> = next
        .writer
        .log()
        .manifests_newest_first()
        .map(|(_, m)| m.epoch)
        .collect();
    assert_eq!(epochs, [Epoch(4), Epoch(1)]);
    assert_eq!(*next.writer.log(), read_log(&*storage).expect("read"));
}

#[test]
fn a_run_that_was_overtaken_is_fenced_and_stays_fenced() {
    let storage = memory();
    let mut old = claimed(&storage);
    let _ = publish(&mut old, 1);
    let mut new = claimed(&storage);
    for _ in 0..2 {
        assert_eq!(
            publish(&mut old, 2),
            Publication::Fenced { by: Generation(2) }
        );
    }
    assert_eq!(
        old.check_newest().expect_err("overtaken").kind(),
        ErrorKind::Fenced
    );
    assert_eq!(
        publish(&mut new, 2),
        Publication::Published {
            slot: SlotNumber(3)
        }
    );
}

#[test]
fn a_run_that_slept_through_many_checkpoints_and_their_deletion_is_fenced_by_the_claim() {
    let storage = memory();
    let mut sleeper = claimed(&storage);
    let _ = publish(&mut sleeper, 1);
    let mut new = claimed(&storage);
    for epoch in 2..50 {
        let _ = publish(&mut new, epoch);
    }
    // Retention deletes every manifest but the newest.
    let old: Vec<SlotNumber> = new
        .log()
        .manifests_newest_first()
        .skip(1)
        .map(|(slot, _)| slot)
        .collect();
    new.delete_slots(&old).expect("deleted");
    assert_eq!(slots(&storage), [0, 2, 50]);
    assert_eq!(
        publish(&mut sleeper, 2),
        Publication::Fenced { by: Generation(2) }
    );
    assert_eq!(slots(&storage), [0, 2, 50]);
}

#[test]
fn a_claim_that_races_with_a_publication_comes_behind_it() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(memory.clone());
    let mut old = claimed(&storage);
    let racing = Interrupted::new(&memory);
    let published = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&published);
    // The claimant has read the log and is about to create slot 1; then the old run publishes there.
    racing.before(move || {
        let _ = publish(&mut old, 1);
        *seen.lock().expect("no panic") = Some(old);
        Ok(())
    });
    let new = claim(racing, &REQUEST, &mut new_claimant())
        .expect("claimed")
        .writer;
    assert_eq!(
        new.log().manifests_newest_first().count(),
        1,
        "the checkpoint that won the race is seen"
    );
    let mut old = published.lock().expect("no panic").take().expect("it ran");
    assert_eq!(
        publish(&mut old, 2),
        Publication::Fenced {
            by: new.generation()
        }
    );
}

#[test]
fn of_two_runs_that_claim_at_once_the_later_slot_is_the_newer_generation() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(memory.clone());
    let racing = Interrupted::new(&memory);
    let other = Arc::new(Mutex::new(None));
    let (seen, same) = (Arc::clone(&other), Arc::clone(&storage));
    racing.before(move || {
        *seen.lock().expect("no panic") = Some(claimed(&same));
        Ok(())
    });
    let mut late = claim(racing, &REQUEST, &mut new_claimant())
        .expect("claimed")
        .writer;
    let mut early = other.lock().expect("no panic").take().expect("it ran");
    assert_eq!(
        (early.generation(), late.generation()),
        (Generation(1), Generation(2))
    );
    assert_eq!(
        publish(&mut early, 1),
        Publication::Fenced { by: Generation(2) }
    );
    assert_eq!(
        publish(&mut late, 1),
        Publication::Published {
            slot: SlotNumber(2)
        }
    );
}

#[test]
fn a_claim_that_lands_in_a_hole_is_repeated_at_the_end_and_stops_the_other_run() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(memory.clone());
    let mut old = claimed(&storage);
    let racing = Interrupted::new(&memory);
    let done = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&done);
    // The claimant sleeps before it creates slot 1; meanwhile the old run uses slot 1 and deletes it.
    racing.before(move || {
        for epoch in 1..=3 {
            let _ = publish(&mut old, epoch);
        }
        old.delete_slots(&[SlotNumber(1), SlotNumber(2)])?;
        *seen.lock().expect("no panic") = Some(old);
        Ok(())
    });
    let mut new = claim(racing, &REQUEST, &mut new_claimant())
        .expect("claimed")
        .writer;
    assert_eq!(
        slots(&storage),
        [0, 1, 3, 4],
        "the claim in the hole, and the one that counts"
    );
    let mut old = done.lock().expect("no panic").take().expect("it ran");
    assert_eq!(
        old.check_newest()
            .expect_err("a slot it does not know")
            .kind(),
        ErrorKind::Fenced
    );
    assert_eq!(
        publish(&mut old, 4),
        Publication::Fenced {
            by: new.generation()
        }
    );
    assert_eq!(
        publish(&mut new, 5),
        Publication::Published {
            slot: SlotNumber(5)
        }
    );
    new.check_newest().expect("the newest");
}

#[test]
fn a_publication_that_succeeded_though_the_storage_failed_is_recognised() {
    let memory = MemoryStorage::new();
    let failing = Interrupted::new(&memory);
    let storage: Arc<dyn CheckpointStorage> = failing.clone();
    let mut writer = claimed(&storage);
    failing.after(|| Err(Error::unavailable("the answer was lost")));
    assert_eq!(
        publish(&mut writer, 1),
        Publication::Published {
            slot: SlotNumber(1)
        }
    );
    assert_eq!(
        publish(&mut writer, 2),
        Publication::Published {
            slot: SlotNumber(2)
        }
    );
}

#[test]
fn a_damaged_slot_is_classified_and_never_written_over() {
    let storage = memory();
    let mut writer = claimed(&storage);
    let _ = publish(&mut writer, 7);
    let name = names::slot(SlotNumber(1));
    let mut bytes = storage.read(&name).expect("read").expect("there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    storage.write(&name, &bytes).expect("written");
    let log = read_log(&*storage).expect("read");
    match &log.slots[1].content {
        SlotContent::Damaged {
            author: Some(author),
            reason,
        } => {
            assert_eq!((author.epoch, author.role), (Epoch(7), SlotRole::Manifest));
            assert_eq!(reason, "the checksum of the body is wrong");
        }
        other => panic!("{other:?}"),
    }
    let next = claim_anew(&storage).expect("claimed");
    assert_eq!(next.next_epoch, Epoch(8), "above the damaged one");
    assert_eq!(slots(&storage), [0, 1, 2]);
}

#[test]
fn the_directory_of_another_job_is_left_alone() {
    let storage = memory();
    let _ = claimed(&storage);
    let other = ClaimRequest {
        job: "other",
        ..REQUEST
    };
    let error =
        claim(Arc::clone(&storage), &other, &mut new_claimant()).expect_err("another job's");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(slots(&storage), [0]);
}
