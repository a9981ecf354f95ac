//! The contract of storage, and what remains of it when requests fail.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flowdsl::runtime::ErrorKind;
use flowdsl::runtime::storage::{CheckpointStorage, Creation, RealDisk, TransferLimits};
use flowdsl_tests::contract::{self, pattern};
use flowdsl_tests::s3::{Fault, Operation, S3};

const MIB: usize = 1 << 20;
/// An object of three parts under [`small_parts`].
const THREE_PARTS: usize = 11 * MIB + 17;
const NAME: &str = "state/g0000000001-e00000000000000000001-stage-w0-0.snap";
const SLOT: &str = "log/00000000000000000000";

fn small_parts() -> TransferLimits {
    TransferLimits {
        part_bytes: 5 * MIB,
        ..TransferLimits::default()
    }
}

fn open(s3: &S3, limits: &TransferLimits) -> Arc<dyn CheckpointStorage> {
    s3.location("job/checkpoints")
        .open(Arc::new(RealDisk), limits)
        .expect("the server answers")
}

#[test]
fn the_contract_of_storage_holds() {
    let s3 = S3::start();
    contract::check(&open(&s3, &small_parts()), THREE_PARTS);
    assert_eq!(s3.wire().begun(Operation::BeginUpload), 2, "in parts");
    assert_eq!(s3.unfinished_parts(), 0);
}

#[test]
fn the_contract_of_storage_holds_where_every_kind_of_request_is_refused_twice() {
    let s3 = S3::start();
    let storage = open(&s3, &small_parts());
    let operations = [
        Operation::Create,
        Operation::Put,
        Operation::BeginUpload,
        Operation::Part,
        Operation::Complete,
        Operation::Get,
        Operation::List,
        Operation::Delete,
    ];
    for operation in operations {
        s3.wire().next(operation, Fault::Refuse(503));
        s3.wire().next(operation, Fault::Refuse(500));
    }
    contract::check(&storage, THREE_PARTS);
}

#[test]
fn more_keys_than_a_page_holds_are_listed_and_deleted() {
    let s3 = S3::start();
    let storage = open(&s3, &TransferLimits::default());
    let names: Vec<String> = (0..1_050).map(|n| format!("state/{n:06}")).collect();
    for name in &names {
        storage.write(name, b"x").expect("written");
    }
    assert_eq!(storage.list("state").expect("listed"), names);
    storage.delete(&names).expect("deleted");
    assert_eq!(storage.list("state").expect("listed"), Vec::<String>::new());
}

#[test]
fn a_create_whose_answer_is_lost_is_never_made_a_second_time() {
    for fault in [Fault::LoseAnswer, Fault::Cut] {
        let s3 = S3::start();
        let storage = open(&s3, &TransferLimits::default());
        let _ = storage.create(SLOT, b"probe first").expect("created");
        let slot = "log/00000000000000000001";
        s3.wire().next(Operation::Create, fault);
        // The client may try again by itself, and then finds the name taken: by whom, the log reads.
        match (fault, storage.create(slot, b"mine")) {
            (_, Err(e)) => assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}"),
            (Fault::LoseAnswer, Ok(creation)) => assert_eq!(creation, Creation::AlreadyExists),
            (_, Ok(creation)) => assert_eq!(creation, Creation::Created),
        }
        let _ = storage.create(slot, b"other").expect("answered");
        let read = storage.read(slot).expect("read");
        if fault == Fault::LoseAnswer {
            assert_eq!(read.as_deref(), Some(&b"mine"[..]));
        }
    }
}

/// S3 refuses one of two creates that are on their way together before it knows which one wins.
#[test]
fn a_conflict_of_two_creates_is_in_doubt_and_not_a_name_that_is_taken() {
    let s3 = S3::start();
    let storage = open(&s3, &TransferLimits::default());
    let _ = storage.create(SLOT, b"probe first").expect("created");
    let slot = "log/00000000000000000001";
    s3.wire().next(Operation::Create, Fault::Refuse(409));
    let error = storage.create(slot, b"mine").expect_err("a conflict");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let again = storage.create(slot, b"mine").expect("answered");
    assert_eq!(again, Creation::Created);
}

#[test]
fn a_create_that_hangs_and_yet_succeeds_is_in_doubt_when_its_time_is_up() {
    let s3 = S3::start();
    let patient = open(&s3, &TransferLimits::default());
    let _ = patient.create(SLOT, b"probe first").expect("created");
    let impatient = open(
        &s3,
        &TransferLimits {
            timeout: Duration::from_secs(10),
            ..TransferLimits::default()
        },
    );
    let slot = "log/00000000000000000001";
    // Of the probe the answer comes: it was made before.
    s3.wire().next(Operation::Create, Fault::Slow);
    s3.wire().next(Operation::Create, Fault::Hang);
    let error = impatient.create(slot, b"mine").expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("no answer in time"), "{error}");
    // The probe and the first slot of the patient one, the probe of the other, and the slot.
    s3.wire().wait_for_effects(Operation::Create, 5);
    let again = patient.create(slot, b"mine").expect("answered");
    assert_eq!(again, Creation::AlreadyExists);
}

#[test]
fn an_upload_of_which_a_part_fails_is_aborted_and_leaves_nothing() {
    let s3 = S3::start();
    let storage = open(&s3, &small_parts());
    s3.wire().next(Operation::Part, Fault::Slow);
    s3.wire().next(Operation::Part, Fault::Refuse(403));
    let error = storage
        .write(NAME, &pattern(THREE_PARTS))
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(NAME), "{error}");
    assert_eq!(s3.wire().begun(Operation::Abort), 1);
    assert_eq!(s3.wire().begun(Operation::Complete), 0);
    assert_eq!(s3.unfinished_parts(), 0);
    assert_eq!(storage.list("state").expect("listed"), Vec::<String>::new());
}

#[test]
fn an_upload_whose_completion_fails_is_aborted_and_may_be_repeated() {
    let s3 = S3::start();
    let storage = open(&s3, &small_parts());
    let bytes = pattern(THREE_PARTS);
    s3.wire().next(Operation::Complete, Fault::Refuse(403));
    let error = storage.write(NAME, &bytes).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(s3.unfinished_parts(), 0);
    assert_eq!(storage.read(NAME).expect("read"), None);
    storage.write(NAME, &bytes).expect("written");
    assert!(storage.read(NAME).expect("read") == Some(bytes));
}

#[test]
fn an_upload_whose_completion_is_not_answered_is_whole_or_reported_and_may_be_repeated() {
    let s3 = S3::start();
    let storage = open(&s3, &small_parts());
    let bytes = pattern(THREE_PARTS);
    s3.wire().next(Operation::Complete, Fault::LoseAnswer);
    // The upload is complete; the client asks again and hears that there is no such upload.
    if let Err(e) = storage.write(NAME, &bytes) {
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    }
    assert!(s3.wire().begun(Operation::Complete) >= 1);
    storage.write(NAME, &bytes).expect("written");
    assert!(storage.read(NAME).expect("read") == Some(bytes));
    assert_eq!(storage.list("state").expect("listed"), [NAME]);
}

#[test]
fn an_upload_that_is_neither_completed_nor_aborted_leaves_no_object_and_may_be_repeated() {
    let s3 = S3::start();
    let storage = open(&s3, &small_parts());
    let bytes = pattern(THREE_PARTS);
    // As if the process had ended between two parts: the server hears no abort either.
    s3.wire().next(Operation::Part, Fault::Slow);
    s3.wire().next(Operation::Part, Fault::Refuse(403));
    s3.wire().next(Operation::Abort, Fault::Refuse(403));
    let _ = storage.write(NAME, &bytes).expect_err("refused");
    assert!(
        s3.unfinished_parts() > 0,
        "for the lifecycle rule of the bucket"
    );
    assert_eq!(storage.list("state").expect("listed"), Vec::<String>::new());
    assert_eq!(storage.read(NAME).expect("read"), None);
    let next = open(&s3, &small_parts());
    next.write(NAME, &bytes).expect("written");
    assert!(next.read(NAME).expect("read") == Some(bytes));
}

/// The most requests and bytes that three uploads at a time have on their way under these limits.
fn most_on_the_way(limits: &TransferLimits) -> (usize, usize) {
    let s3 = S3::start();
    let threads: Vec<_> = (0..3)
        .map(|n| {
            let storage = open(&s3, limits);
            thread::spawn(move || {
                storage
                    .write(&format!("state/{n}"), &pattern(2 * THREE_PARTS))
                    .expect("written");
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    s3.wire().most_on_the_way()
}

#[test]
fn what_is_on_the_way_stays_within_the_limits_of_the_process() {
    let few_requests = TransferLimits {
        requests: 2,
        ..small_parts()
    };
    let (requests, _) = most_on_the_way(&few_requests);
    assert!(requests <= 2, "{requests} requests");
    let few_bytes = TransferLimits {
        bytes: 11 * MIB,
        ..small_parts()
    };
    let (_, bytes) = most_on_the_way(&few_bytes);
    assert!(bytes <= 11 * MIB, "{bytes} bytes");
}
