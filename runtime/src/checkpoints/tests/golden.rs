//! Bodies of keyed snapshots as version 1 wrote them: they are read, for ever.
//!
//! `FLOWDSL_BLESS=1 cargo test -p flowdsl-runtime golden` writes files that are missing, and only those.

use std::collections::BTreeSet;
use std::path::Path;

use super::model::{Model, ops, shown};
use super::stored::{Stage, Stored};
use crate::error::ErrorKind;
use crate::ids::Epoch;
use crate::protocol::{Location, SnapshotKind, SnapshotRef};
use crate::state::frames::HEADER_LEN;

/// The objects of the golden snapshots: of a full one, and of an increment.
const OBJECTS: [(SnapshotKind, &str); 5] = [
    (SnapshotKind::KeyedFull, "keyed-full-0.body"),
    (SnapshotKind::KeyedFull, "keyed-full-1.body"),
    (SnapshotKind::KeyedFull, "keyed-full-2.body"),
    (SnapshotKind::KeyedIncrement, "keyed-increment-0.body"),
    (SnapshotKind::KeyedIncrement, "keyed-increment-1.body"),
];

/// A checkpoint of 40 keys whose state stands in the golden files.
fn golden() -> (Stored, BTreeSet<String>) {
    let (mut stage, mut model) = (Stage::new(1), Model::default());
    stage.object_len = 150;
    for round in 0..2 {
        let ops = ops(round, 40);
        for (key, op) in &ops {
            model.handle(*key, op);
        }
        stage.process(ops);
        stage.snapshot(Epoch(round + 1));
    }
    let mut stored = stage.publish();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/formats/v1");
    if std::env::var_os("FLOWDSL_BLESS").is_some() {
        let kinds: Vec<_> = stored.refs().iter().map(|r| r.kind).collect();
        assert_eq!(kinds, OBJECTS.map(|(kind, _)| kind), "so many files");
        for (reference, (_, name)) in stored.refs().iter().zip(OBJECTS) {
            if let Location::Inline(body) = &reference.location
                && !dir.join(name).exists()
            {
                std::fs::write(dir.join(name), body).expect("the golden file is written");
            }
        }
    }
    let read = |(kind, name): (SnapshotKind, &str)| SnapshotRef {
        kind,
        location: Location::Inline(
            std::fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")),
        ),
    };
    *stored.refs() = OBJECTS.map(read).into();
    (stored, model.shown())
}

#[test]
fn golden_keyed_snapshots_in_several_objects_are_read() {
    let (stored, expected) = golden();
    let entries = stored.read().expect("version 1 is read");
    let seen: BTreeSet<String> = entries.iter().map(shown).collect();
    assert_eq!(seen, expected);
}

#[test]
fn each_object_begins_with_the_header_and_one_that_does_not_is_refused() {
    let (mut stored, _) = golden();
    let header = |reference: &SnapshotRef| match &reference.location {
        Location::Inline(body) => body[..HEADER_LEN].to_vec(),
        Location::Object { .. } => panic!("a golden body stands in the manifest"),
    };
    let headers: Vec<_> = stored.refs().iter().map(header).collect();
    assert_eq!(headers[0], headers[1]);
    assert_eq!(headers[0][..6], [1, 10, 0, 0, 0, 1], "tag, length, layout");
    if let Location::Inline(body) = &mut stored.refs()[1].location {
        body.drain(..HEADER_LEN);
    }
    let error = stored.read().expect_err("it does not begin with a header");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("reference 1"), "{error}");
    assert!(error.message().contains("header"), "{error}");
}
