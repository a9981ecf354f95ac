//! A snapshot that is only looked at: on a real file system, where tables are linked.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::state::rocks::StoredTables;
use crate::storage::{LocalStorage, RealDisk};

/// A checkpoint directory with the snapshot of a table, and a work directory beside it.
struct Looked {
    dir: tempfile::TempDir,
    storage: LocalStorage,
    refs: Vec<SnapshotRef>,
}

impl Looked {
    fn new(keys: u64) -> Self {
        let mut run = Run::new();
        run.append(0, keys);
        run.step(&Step::Freeze);
        run.settle();
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(dir.path().join("checkpoints/state")).expect("a directory");
        fs::create_dir(dir.path().join("work")).expect("a directory");
        let storage = LocalStorage::new(Arc::new(RealDisk), dir.path().join("checkpoints"));
        let refs = run.snapshot.take().expect("it was taken").0;
        for reference in &refs {
            if let Location::Object { name, .. } = &reference.location {
                let bytes = run.world.storage.read(name).expect("memory").expect("it");
                storage.write(name, &bytes).expect("the disk answers");
            }
        }
        Self { dir, storage, refs }
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn open(&self) -> crate::Result<StoredTables> {
        let dir = WorkDir::create_private(&self.work(), "database").expect("it was removed");
        StoredTables::open(&self.refs, &self.storage, dir)
    }

    /// The number of entries.
    fn read(&self) -> crate::Result<usize> {
        let tables = self.open()?;
        let mut found = 0;
        for namespace in tables.namespaces()? {
            tables.for_each(namespace, ALL, |_, _, _| {
                found += 1;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(found)
    }

    /// The reference to the largest table, and where its object is.
    fn table(&mut self) -> (&mut SnapshotRef, PathBuf) {
        let largest = self.refs.iter_mut().max_by_key(|reference| reference.len());
        let reference = largest.expect("there are files");
        let Location::Object { name, .. } = &reference.location else {
            panic!("a table is larger than what stands in a manifest");
        };
        let path = self.dir.path().join("checkpoints").join(name);
        (reference, path)
    }

    fn stored(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.dir.path().join("checkpoints/state")).expect("it is there");
        let mut files: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| (path.clone(), fs::read(path).expect("a file")))
            .collect();
        files.sort();
        files
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).expect("it is there").next().is_none()
}

#[test]
fn a_snapshot_is_read_from_links_and_left_as_it_was() {
    let mut looked = Looked::new(3_000);
    let before = looked.stored();
    assert_eq!(looked.read().expect("it is whole"), 3_000);
    assert!(looked.stored() == before);
    assert!(is_empty(&looked.work()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let tables = looked.open().expect("it is whole");
        let (_, object) = looked.table();
        let links = fs::metadata(object).expect("it is there").nlink();
        assert_eq!(links, 2, "a table of the same file system is not copied");
        let dir = fs::metadata(looked.work().join("database")).expect("it is there");
        assert_eq!(
            dir.permissions().mode() & 0o777,
            0o700,
            "it holds the state"
        );
        drop(tables);
        assert!(is_empty(&looked.work()));
    }
}

#[test]
fn a_damaged_byte_of_a_table_is_named_with_its_object_before_anything_is_read() {
    let mut looked = Looked::new(3_000);
    let (reference, path) = looked.table();
    let Location::Object { name, .. } = reference.location.clone() else {
        panic!("it has an object");
    };
    let mut bytes = fs::read(&path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("it is written");
    let error = looked.open().map(|_| ()).expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains(&name), "{error}");
    assert!(is_empty(&looked.work()));
}

/// No checksum of ours is wrong: what is left is what RocksDB knows of its own files.
#[test]
fn a_table_that_was_damaged_before_it_was_stored_is_refused_and_never_a_panic() {
    let mut looked = Looked::new(400);
    let (_, path) = looked.table();
    let whole = fs::read(&path).expect("it is there");
    let mut named = 0;
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&path, &bytes).expect("it is written");
        let (reference, _) = looked.table();
        let Location::Object { name, checksum, .. } = &mut reference.location else {
            panic!("it has an object");
        };
        *checksum = xxh3_64(&bytes);
        let name = name.clone();
        match looked.read() {
            // A byte of what RocksDB does not need to read.
            Ok(found) => assert_eq!(found, 400, "byte {at}"),
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::Unavailable];
                assert!(kinds.contains(&error.kind()), "byte {at}: {error}");
                named += usize::from(error.message().contains(&name));
            }
        }
    }
    assert!(named > 5, "{named}");
}

/// The second one was written into the first, which is a link to the file of the checkpoint.
#[test]
fn a_catalogue_with_a_name_twice_changes_no_file_of_the_checkpoint() {
    let mut looked = Looked::new(3_000);
    let before = looked.stored();
    let is_table = |reference: &&SnapshotRef| {
        reference.kind == SnapshotKind::RocksFile
            && matches!(reference.location, Location::Object { .. })
    };
    let table = looked.refs.iter().find(is_table).expect("one").clone();
    let other = SnapshotRef {
        kind: SnapshotKind::RocksFile,
        location: Location::Inline(b"another".to_vec()),
    };
    let names = ["000007.sst"; 2];
    let catalogue = SnapshotRef {
        kind: SnapshotKind::RocksCatalogue,
        location: Location::Inline(bitcode::serialize(&names).expect("names encode")),
    };
    looked.refs = vec![catalogue, table, other];
    let error = looked.open().map(|_| ()).expect_err("it has a name twice");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(looked.stored() == before);
}
