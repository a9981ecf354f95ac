use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::ids::Generation;
use crate::protocol::Drain;
use crate::storage::MemoryStorage;

fn name(generation: u64) -> RequestName {
    RequestName {
        to: Addressee {
            generation: Generation(generation),
            nonce: 7,
        },
        id: 9,
    }
}

#[test]
fn a_request_is_taken_once_and_its_reply_too() {
    let storage = MemoryStorage::new();
    let wish = Wish::StopWithSavepoint {
        to: "/saved".to_owned(),
        drain: Drain::Yes,
    };
    send(&storage, name(1), &wish).expect("memory");
    assert_eq!(list(&storage).expect("memory").requests, [name(1)]);
    assert!(is_waiting(&storage, name(1)).expect("memory"));
    assert_eq!(
        take(&storage, name(2)).expect("memory"),
        None,
        "of another run"
    );
    assert_eq!(take(&storage, name(1)).expect("memory"), Some(wish));
    assert_eq!(take(&storage, name(1)).expect("memory"), None);
    let done = Reply::Done {
        epoch: Some(Epoch(5)),
    };
    reply(&storage, name(1), &done).expect("memory");
    assert_eq!(take_reply(&storage, name(1)).expect("memory"), Some(done));
    assert_eq!(list(&storage).expect("memory"), Listed::default());
}

/// It was copied under the name of another run.
#[test]
fn a_request_that_was_addressed_to_another_run_is_none() {
    let storage = MemoryStorage::new();
    send(&storage, name(1), &Wish::Stop).expect("memory");
    let bytes = storage
        .read(&names::request(name(1)))
        .expect("memory")
        .expect("it is there");
    storage
        .write(&names::request(name(2)), &bytes)
        .expect("memory");
    let refused = take(&storage, name(2)).expect_err("it says so");
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(
        !is_waiting(&storage, name(2)).expect("memory"),
        "it is gone"
    );
}

/// The bytes of a request, written down once.
#[test]
fn golden_request() {
    let storage = MemoryStorage::new();
    let wish = Wish::Savepoint {
        to: "s3://bucket/saved".to_owned(),
    };
    send(&storage, name(3), &wish).expect("memory");
    let object = names::request(name(3));
    assert_eq!(
        object,
        "requests/g0000000003-0000000000000007-0000000000000009.request"
    );
    let bytes = storage.read(&object).expect("memory").expect("it is there");
    assert_eq!(
        &bytes[frame::HEADER_LEN..],
        br#"{"savepoint":{"to":"s3://bucket/saved"}}"#
    );
}

proptest! {
    #[test]
    fn bytes_that_are_no_request_are_refused_and_nothing_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        flip in any::<usize>(),
    ) {
        prop_assert!(decode::<Wish>(&bytes, FrameKind::Request, name(1).to).is_err());
        let header = FrameHeader {
            kind: FrameKind::Request,
            generation: Generation(1),
            epoch: Epoch(0),
            nonce: 7,
        };
        // What is inside of a whole frame is somebody's JSON.
        let _ = decode::<Wish>(&frame::encode(&header, &bytes), FrameKind::Request, name(1).to);
        let mut request = frame::encode(&header, br#"{"savepoint":{"to":"x"}}"#);
        let at = flip % (request.len() * 8);
        request[at / 8] ^= 1 << (at % 8);
        prop_assert!(decode::<Wish>(&request, FrameKind::Request, name(1).to).is_err());
    }
}
