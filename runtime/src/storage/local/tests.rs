use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::ErrorKind;
use crate::storage::{CheckpointStorage, Creation, Disk, FaultyDisk, MemoryStorage};

const NAME: &str = "log/00000000000000000000";

fn on(disk: &FaultyDisk) -> LocalStorage {
    LocalStorage::open(Arc::new(disk.clone()), "ckpt").expect("no fault is planned")
}

#[test]
fn every_storage_creates_only_what_is_absent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let real = LocalStorage::open(Arc::new(RealDisk), dir.path().join("ckpt")).expect("opened");
    let storages: [&dyn CheckpointStorage; 3] =
        [&real, &on(&FaultyDisk::new()), &MemoryStorage::new()];
    for storage in storages {
        assert_eq!(storage.read(NAME).expect("read"), None, "{storage:?}");
        assert_eq!(
            storage.create(NAME, b"first").expect("created"),
            Creation::Created
        );
        assert_eq!(
            storage.create(NAME, b"second").expect("created"),
            Creation::AlreadyExists
        );
        assert_eq!(
            storage.read(NAME).expect("read").as_deref(),
            Some(&b"first"[..])
        );
        storage.write("state/a", b"a").expect("written");
        assert_eq!(storage.list("state").expect("listed"), ["state/a"]);
        assert_eq!(storage.list("log").expect("listed"), [NAME]);
        let names = ["state/a".to_owned(), "state/b".to_owned()];
        storage.delete(&names).expect("what is not there is fine");
        assert_eq!(storage.list("state").expect("listed"), Vec::<String>::new());
    }
}

/// Loses power right after `act` has returned, and gives back the content of the slot.
fn after_power_loss(act: impl FnOnce(&FaultyDisk, &LocalStorage)) -> Option<Vec<u8>> {
    let disk = FaultyDisk::new();
    act(&disk, &on(&disk));
    disk.restart();
    on(&disk).read(NAME).expect("the disk works again")
}

#[test]
fn what_was_created_or_written_is_durable_on_return() {
    let created = after_power_loss(|_, storage| {
        let _ = storage.create(NAME, b"bytes").expect("created");
    });
    let written = after_power_loss(|_, storage| storage.write(NAME, b"bytes").expect("written"));
    assert_eq!(
        (created.as_deref(), written.as_deref()),
        (Some(&b"bytes"[..]), Some(&b"bytes"[..]))
    );
}

#[test]
fn what_was_deleted_is_durably_gone_on_return() {
    let left = after_power_loss(|_, storage| {
        storage.write(NAME, b"bytes").expect("written");
        storage.delete(&[NAME.to_owned()]).expect("deleted");
    });
    assert_eq!(left, None);
}

#[test]
fn a_name_that_is_found_taken_is_durable_although_its_writer_failed_to_sync_it() {
    let left = after_power_loss(|disk, storage| {
        // The last operation of a create is the sync of the directory.
        let begin = disk.operations();
        let _ = storage
            .create("log/00000000000000000001", b"other")
            .expect("created");
        let n_operations = disk.operations() - begin;
        // The directories are known by now: a create takes as many operations fewer as that took.
        let begin = disk.operations();
        let _ = storage
            .create("log/00000000000000000002", b"other")
            .expect("created");
        let n_later = disk.operations() - begin;
        assert!(n_later < n_operations);
        disk.fail_at(disk.operations() + n_later);
        let error = storage.create(NAME, b"bytes").expect_err("the sync fails");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            storage.create(NAME, b"bytes").expect("answered"),
            Creation::AlreadyExists
        );
    });
    assert_eq!(left.as_deref(), Some(&b"bytes"[..]));
}

#[test]
fn opening_removes_the_unfinished_files_of_former_runs() {
    let disk = FaultyDisk::new();
    disk.create_dir_all(Path::new("ckpt/tmp")).expect("made");
    let names = ["ckpt/tmp/0123456789abcdef-4", "ckpt/tmp/notes-2026"];
    for name in names {
        disk.create(Path::new(name)).expect("made");
    }
    let _ = on(&disk);
    // A savepoint was once put beside a directory `tmp` that was full of somebody's files.
    assert_eq!(names.map(|name| disk.peek(name).is_some()), [false, true]);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let storage = on(&FaultyDisk::new());
    for name in ["../x", "/etc/passwd", "state/../../x"] {
        assert_eq!(
            storage.read(name).expect_err("refused").kind(),
            ErrorKind::Corrupt,
            "{name}"
        );
    }
}

#[test]
fn a_real_disk_keeps_the_contract_of_files() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (nested, file) = (dir.path().join("a/b"), dir.path().join("a/b/f"));
    assert_eq!(
        RealDisk.list(&nested).expect("no directory is no names"),
        Vec::<String>::new()
    );
    RealDisk.create_dir_all(&nested).expect("made");
    RealDisk.create_dir_all(&nested).expect("there already");
    let mut open = RealDisk.create(&file).expect("made");
    open.write_all(b"0123456789").expect("written");
    open.sync().expect("synced");
    let mut open = RealDisk.open_at(&file, 4).expect("cut");
    open.write_all(b"x").expect("written");
    drop(open);
    assert_eq!(RealDisk.read(&file).expect("read"), b"0123x");
    assert_eq!(RealDisk.len(&file).expect("there"), 5);
    assert!(RealDisk.open_at(&file, 6).is_err(), "the file is shorter");
    RealDisk
        .create_dir_all(&nested.join("not a file"))
        .expect("made");
    assert_eq!(RealDisk.list(&nested).expect("listed"), ["f"]);
    RealDisk.rename(&file, &nested.join("g")).expect("renamed");
    RealDisk.sync_dir(&nested).expect("synced");
    RealDisk.remove(&nested.join("g")).expect("removed");
    assert_eq!(
        RealDisk.read(&file).expect_err("gone").kind(),
        std::io::ErrorKind::NotFound
    );
}
