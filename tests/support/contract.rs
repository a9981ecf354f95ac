//! The contract of checkpoint storage, as checks that every storage has to pass.

use std::sync::{Arc, Barrier};
use std::thread;

use flowdsl_runtime::storage::{CheckpointStorage, Creation};

/// Checks the whole contract on an empty storage; `large` is a size at which objects are moved in parts.
///
/// # Panics
///
/// Where the storage breaks the contract, or does not answer.
pub fn check(storage: &Arc<dyn CheckpointStorage>, large: usize) {
    only_what_is_absent_is_created(&**storage);
    what_was_written_is_read_and_listed(&**storage, large);
    what_was_deleted_is_gone(&**storage);
    of_many_that_create_one_name_one_has_created_it(storage);
}

fn only_what_is_absent_is_created(storage: &dyn CheckpointStorage) {
    let name = "log/00000000000000000000";
    let place = storage.place();
    assert_eq!(storage.read(name).expect("read"), None, "{place}");
    let create = |bytes| storage.create(name, bytes).expect("answered");
    assert_eq!(create(b"first"), Creation::Created, "{place}");
    assert_eq!(create(b"second"), Creation::AlreadyExists, "{place}");
    let read = storage.read(name).expect("read");
    assert_eq!(read.as_deref(), Some(&b"first"[..]), "{place}");
}

fn what_was_written_is_read_and_listed(storage: &dyn CheckpointStorage, large: usize) {
    let place = storage.place();
    assert_eq!(storage.list("state").expect("listed"), Vec::<String>::new());
    // Names as they are made of stage ids: escaped, and cut.
    let names = [
        "state/g1-e1-keyed%20stage-w0-0.snap",
        "state/g1-e1-%2E%2E%2Fx%%0123456789abcdef-w0-0.snap",
        "state/g1-e1-plain-w0-0.snap",
    ];
    for (name, len) in names.into_iter().zip([0, 1, large]) {
        let bytes = pattern(len);
        storage.write(name, &bytes).expect("written");
        let read = storage.read(name).expect("read");
        assert!(read == Some(bytes), "{place}: {name} with {len} bytes");
    }
    let of = |range| storage.read_range(names[2], range).expect("read");
    let end = large as u64;
    for range in [0..1, 3..10, 0..end, end - 1..end] {
        let expected = pattern(large)[range.start as usize..range.end as usize].to_vec();
        assert!(of(range.clone()) == Some(expected), "{place}: {range:?}");
    }
    let behind = of(end - 2..end + 1_000);
    assert_eq!(behind.map(|bytes| bytes.len()), Some(2), "{place}");
    let nothing = storage.read_range("state/not-there", 0..1).expect("read");
    assert_eq!(nothing, None, "{place}");
    // What is written again is the same bytes, after an attempt whose outcome is unknown.
    storage.write(names[2], &pattern(large)).expect("written");
    let read = storage.read(names[2]).expect("read");
    assert!(read == Some(pattern(large)), "{place}: written twice");
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    assert_eq!(storage.list("state").expect("listed"), sorted, "{place}");
    let log = storage.list("log").expect("listed");
    assert_eq!(log, ["log/00000000000000000000"], "{place}");
}

fn what_was_deleted_is_gone(storage: &dyn CheckpointStorage) {
    let place = storage.place();
    let slots: Vec<String> = (1..4).map(|n| format!("log/{n:020}")).collect();
    for slot in &slots {
        let _ = storage.create(slot, b"slot").expect("created");
    }
    let mut names = vec![slots[1].clone(), slots[0].clone()];
    names.extend(storage.list("state").expect("listed"));
    names.push("state/not-there".to_owned());
    storage.delete(&names).expect("what is not there is fine");
    storage.delete(&names).expect("none of them is there");
    storage.delete(&[]).expect("nothing is fine");
    assert_eq!(storage.list("state").expect("listed"), Vec::<String>::new());
    let left = storage.list("log").expect("listed");
    assert_eq!(left, ["log/00000000000000000000", &slots[2]], "{place}");
    assert_eq!(storage.read(&slots[0]).expect("read"), None, "{place}");
}

fn of_many_that_create_one_name_one_has_created_it(storage: &Arc<dyn CheckpointStorage>) {
    let place = storage.place();
    for round in 0..10 {
        let name = format!("log/{:020}", 100 + round);
        let begin = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4_u8)
            .map(|who| {
                let (storage, name) = (Arc::clone(storage), name.clone());
                let begin = Arc::clone(&begin);
                thread::spawn(move || {
                    begin.wait();
                    (who, storage.create(&name, &[who; 1_000]).expect("answered"))
                })
            })
            .collect();
        let outcomes: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        let created: Vec<u8> = outcomes
            .iter()
            .filter(|(_, creation)| *creation == Creation::Created)
            .map(|(who, _)| *who)
            .collect();
        assert_eq!(created.len(), 1, "{place}: {outcomes:?}");
        let read = storage.read(&name).expect("read");
        assert_eq!(read, Some(vec![created[0]; 1_000]), "{place}");
    }
}

/// Bytes of which no two parts are alike.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}
