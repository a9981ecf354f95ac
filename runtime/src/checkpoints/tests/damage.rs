//! Bytes that are not what was written: an error that says where, and never a panic.

use super::chained;
use super::stored::Stored;
use crate::error::ErrorKind;
use crate::protocol::{Location, SnapshotKind, SnapshotRef};
use crate::state::frames::HEADER_LEN;
use crate::storage::CheckpointStorage as _;

/// A small checkpoint, which stands in the manifest as a whole.
fn inline() -> (Stored, Vec<u8>) {
    let (mut stored, _) = chained(1, 1, 30);
    let refs = stored.refs();
    refs.truncate(1);
    let Location::Inline(body) = refs[0].location.clone() else {
        panic!("so few keys stand in the manifest");
    };
    (stored, body)
}

/// What the walk makes of a body that no checksum protects.
fn read(stored: &mut Stored, body: Vec<u8>) -> Option<crate::Error> {
    stored.refs()[0].location = Location::Inline(body);
    stored.read().err()
}

#[test]
fn each_flipped_bit_of_a_snapshot_without_checksum_gives_an_error_with_its_place_or_other_values() {
    let (mut stored, body) = inline();
    let mut refused = 0;
    for bit in 0..body.len() * 8 {
        let mut flipped = body.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Some(error) = read(&mut stored, flipped) else {
            continue;
        };
        refused += 1;
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible),
            "bit {bit}: {error}"
        );
        let text = error.to_string();
        assert!(text.contains("stage `stage`"), "bit {bit}: {text}");
        let is_entry = text.contains("is none of the schema");
        assert!(is_entry || text.contains("at byte"), "bit {bit}: {text}");
    }
    assert!(
        refused * 2 > body.len() * 8,
        "{refused} of {} bits",
        body.len() * 8
    );
}

#[test]
fn a_snapshot_that_was_cut_off_is_refused_unless_a_frame_ends_there() {
    let (mut stored, body) = inline();
    let mut whole = 0;
    for len in 1..body.len() {
        match read(&mut stored, body[..len].to_vec()) {
            None => whole += 1,
            Some(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{len}: {error}"),
        }
    }
    assert!(whole < 10, "{whole} frames");
}

#[test]
fn a_damaged_object_is_named_by_verification_and_by_the_walk() {
    let (stored, _) = chained(2, 1, 3_000);
    let checkpoints = stored.open();
    let newest = checkpoints.newest().expect("one was published");
    assert_eq!(newest.verify().expect("memory answers"), []);
    let name = newest.files()[2].name.clone();
    let mut bytes = stored.storage.read(&name).expect("read").expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    stored.storage.write(&name, &bytes).expect("memory answers");
    let damaged = newest.verify().expect("memory answers");
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].name, name);
    let state = newest.state(&crate::ids::StageId::new("stage"));
    let error = state.expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&name), "{error}");
}

#[test]
fn an_object_that_changes_under_the_walk_is_found_out() {
    let (stored, _) = chained(2, 1, 12_000);
    let checkpoints = stored.open();
    let newest = checkpoints.newest().expect("one was published");
    let stage = crate::ids::StageId::new("stage");
    let state = newest.state(&stage).expect("it is whole");
    let last = newest.files().pop().expect("it has files");
    let mut bytes = stored
        .storage
        .read(&last.name)
        .expect("read")
        .expect("there");
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    stored
        .storage
        .write(&last.name, &bytes)
        .expect("memory answers");
    let error = { state }.find_map(Result::err).expect("it changed");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&last.name), "{error}");
    let state = newest.state(&stage).expect_err("now it is damaged");
    assert_eq!(state.kind(), ErrorKind::Corrupt);
    stored.storage.delete(&[last.name]).expect("memory answers");
    assert!(
        newest.verify().expect("it answers")[0]
            .reason
            .contains("missing")
    );
}

/// A snapshot with a catalogue of files in RocksDB that is none.
fn catalogued() -> Stored {
    let (mut stored, _) = inline();
    let Location::Inline(body) = stored.refs()[0].location.clone() else {
        panic!("it stands in the manifest");
    };
    stored.refs()[0].location = Location::Inline(body[..HEADER_LEN].to_vec());
    stored.refs().push(SnapshotRef {
        kind: SnapshotKind::RocksCatalogue,
        location: Location::Inline(vec![0xFF; 20]),
    });
    stored
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn without_the_feature_state_in_rocksdb_is_refused_and_the_feature_named() {
    let error = catalogued().read().expect_err("it cannot be read");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.message().contains("the feature `rocksdb`"), "{error}");
    assert!(error.to_string().contains("stage `stage`"), "{error}");
}

#[cfg(feature = "rocksdb")]
#[test]
fn a_catalogue_that_does_not_decode_is_corrupt_and_its_subtask_named() {
    let error = catalogued().read().expect_err("it does not decode");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let text = error.to_string();
    assert!(text.contains("the database of stage"), "{text}");
    assert!(text.contains("the catalogue of files"), "{text}");
}

#[test]
fn a_snapshot_with_entries_in_frames_and_a_catalogue_is_corrupt() {
    let (mut stored, _) = inline();
    let catalogue = catalogued().refs().pop().expect("it has one");
    stored.refs().push(catalogue);
    let error = stored.read().expect_err("the state is in two places");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
