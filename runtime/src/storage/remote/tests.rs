use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::RemoteStorage;
use super::client::{Answer, start};
use crate::ErrorKind;
use crate::storage::{CheckpointStorage, Creation, TransferLimits};

const SLOT: &str = "log/00000000000000000000";

fn tiny_parts() -> TransferLimits {
    TransferLimits {
        requests: 3,
        bytes: 40,
        part_bytes: 10,
        ..TransferLimits::default()
    }
}

fn on(store: &Arc<InMemory>, prefix: &str) -> RemoteStorage {
    let store: Arc<dyn ObjectStore> = store.clone();
    RemoteStorage::new(store, prefix, "memory", tiny_parts()).expect("a plain prefix")
}

fn keys(store: &Arc<InMemory>) -> Vec<String> {
    let mut objects = store.list(None);
    let listed = start(async move {
        let mut keys = Vec::new();
        while let Ok(Some(object)) = objects.try_next().await {
            keys.push(object.location.to_string());
        }
        keys
    });
    let mut keys = listed.and_then(Answer::wait).expect("listed");
    keys.sort();
    keys
}

#[test]
fn a_key_is_the_prefix_and_the_name_byte_by_byte() {
    for (prefix, expected) in [("", ""), ("a/b=1", "a/b=1/")] {
        let store = Arc::new(InMemory::new());
        let storage = on(&store, prefix);
        storage
            .write("state/a%20b%%01-0.snap", b"x")
            .expect("written");
        assert_eq!(keys(&store), [format!("{expected}state/a%20b%%01-0.snap")]);
        let listed = storage.list("state").expect("listed");
        assert_eq!(listed, ["state/a%20b%%01-0.snap"]);
    }
}

#[test]
fn a_prefix_that_another_begins_with_is_another_place() {
    let store = Arc::new(InMemory::new());
    on(&store, "job").write("state/a", b"1").expect("written");
    on(&store, "job2").write("state/b", b"2").expect("written");
    on(&store, "job/state")
        .write("state/c", b"3")
        .expect("written");
    assert_eq!(
        on(&store, "job").list("state").expect("listed"),
        ["state/a"]
    );
    assert_eq!(
        on(&store, "jo").list("state").expect("listed"),
        Vec::<String>::new()
    );
}

#[test]
fn the_probe_stays_and_is_made_once() {
    let store = Arc::new(InMemory::new());
    for slot in [SLOT, "log/00000000000000000001"] {
        let created = on(&store, "job").create(slot, b"x").expect("created");
        assert_eq!(created, Creation::Created);
    }
    let expected = [SLOT, "log/00000000000000000001", "probe/create-if-absent"];
    assert_eq!(keys(&store), expected.map(|name| format!("job/{name}")));
}

#[test]
fn an_object_of_any_length_around_a_part_is_read_as_it_was_written() {
    let store = Arc::new(InMemory::new());
    let storage = on(&store, "job");
    for len in [0, 1, 9, 10, 11, 20, 21, 95, 200] {
        let bytes: Vec<u8> = (0..len).collect();
        storage.write("state/a", &bytes).expect("written");
        assert_eq!(storage.read("state/a").expect("read"), Some(bytes), "{len}");
    }
}

/// Parts that had arrived before the one that they are behind were in nobody's count: as many as there may be
/// requests, for each reader.
#[test]
fn a_part_that_has_arrived_counts_until_it_is_consumed() {
    let store = Arc::new(InMemory::new());
    let mut storage = on(&store, "job");
    storage.gate = Arc::default();
    storage.write("state/a", &[7; 30]).expect("written");
    let key = storage.key("state/a").expect("a plain name");
    let pass = storage.gate.enter(10, &storage.limits);
    let arrived = storage.get(&key, Some(0..10), (10, pass)).expect("begun");
    let arrived = arrived.wait().expect("answered");
    assert!(matches!(&arrived.outcome, Some(Ok(part)) if part.bytes == Some(vec![7; 10])));
    assert_eq!(storage.gate.bytes(), 10);
    drop(arrived);
    assert_eq!(storage.gate.bytes(), 0);
}

#[test]
fn many_readers_of_objects_in_parts_do_not_wait_for_each_other() {
    let store = Arc::new(InMemory::new());
    let bytes: Vec<u8> = (0..200).collect();
    on(&store, "job").write("state/a", &bytes).expect("written");
    // Room for three parts at a time, of all.
    let gate = Arc::default();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut storage = on(&store, "job");
                storage.gate = Arc::clone(&gate);
                for _ in 0..50 {
                    let read = storage.read("state/a").expect("read");
                    assert_eq!(read.as_ref(), Some(&bytes));
                }
            });
        }
    });
    assert_eq!(gate.bytes(), 0);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let storage = on(&Arc::new(InMemory::new()), "job");
    for name in ["../x", "/etc/passwd", "state/../../x", "state/a/b"] {
        let error = storage.read(name).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
    }
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let wrong = RemoteStorage::new(store, "a//b", "memory", tiny_parts());
    assert_eq!(wrong.expect_err("refused").kind(), ErrorKind::Invalid);
}

#[test]
fn requests_may_be_made_on_a_thread_of_another_runtime() {
    let other = tokio::runtime::Builder::new_multi_thread()
        .build()
        .expect("threads");
    let storage = on(&Arc::new(InMemory::new()), "job");
    let read = other.block_on(async { storage.read("state/a") });
    assert_eq!(read.expect("answered"), None);
}
