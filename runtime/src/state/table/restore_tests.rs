//! How much room a restore makes, and whether it has to make any twice.

use super::*;
use crate::protocol::SnapshotKind;
use crate::state::SnapshotScope;
use crate::state::compaction::TableTypes;
use crate::state::frames::{self, FRAME_LIMIT, Frame, LogicKind, Namespace, Preamble};
use crate::state::part::Part;
use crate::state::segment::Segment;
use crate::state::testing::{compacted, share_of_all};

/// A frame of hashes of this distance, of which some stand elsewhere.
fn frame(count: usize, distance: u64, elsewhere: usize) -> Vec<(u64, (), ())> {
    let mut entries: Vec<_> = (0..count as u64)
        .map(|at| (at * distance, (), ()))
        .collect();
    for (at, entry) in entries.iter_mut().take(elsewhere).enumerate() {
        entry.0 = u64::MAX / 2 - at as u64;
    }
    entries
}

#[test]
fn a_few_entries_that_stand_elsewhere_do_not_make_a_frame_sparse() {
    for elsewhere in [0, 1, 20, 100] {
        let crowd = Crowd::of(&frame(1_024, 1 << 40, elsewhere)).expect("it has entries");
        let density = crowd.density * 2.0_f64.powi(40);
        assert!((0.85..1.15).contains(&density), "{elsewhere}: {density}");
    }
}

#[test]
fn how_dense_a_frame_is_says_nothing_of_where_only_a_few_of_its_entries_stand() {
    let whole = HashSpan {
        first: 0,
        last: 1_023 << 40,
    };
    let even = Crowd::of(&frame(1_024, 1 << 40, 0)).expect("it has entries");
    assert_eq!((even.span, even.dense), (whole, whole));
    let crowd = Crowd::of(&frame(1_024, 1 << 40, 74)).expect("it has entries");
    assert_eq!(crowd.span.last, u64::MAX / 2);
    assert!(crowd.dense.last < 1_300 << 40, "{:?}", crowd.dense);
    assert_eq!(Crowd::of::<(), ()>(&[]), None);
}

type Parts = KeyedTable<Part<u64, u64>, u64>;

/// The table of so many parts of each of some keys, from a full snapshot that was compacted.
fn restored_from_compacted(keys: u64, parts: u64) -> Parts {
    let mut table = Parts::new();
    for part in (0..keys).flat_map(|key| (0..parts).map(move |part| Part::new(key, part))) {
        table.insert(hash_of(&part), part, 1);
    }
    table.freeze(SnapshotScope::Full);
    let mut object = Vec::new();
    let preamble = Preamble {
        kind: LogicKind::Process,
        watermark: 0,
        cleared: Vec::new(),
    };
    preamble.encode(&mut object);
    while let Some(piece) = table.copy_frozen(5_000) {
        let encoded = piece.encode(Namespace::Map(1), &mut object);
        encoded.expect("integers encode");
    }
    let types = TableTypes::alike::<Part<u64, u64>, u64>(LogicKind::Process);
    let mut restored = Parts::new();
    for object in compacted(&types, &[object], SnapshotKind::KeyedFull, 64 << 20) {
        frames::read(&object, LogicKind::Process, share_of_all(), |frame| {
            if let Frame::Entries(_, entries) = frame {
                restored.restore_entries(entries);
            }
        })
        .expect("it is whole");
    }
    assert_eq!(restored.len() as u64, keys * parts);
    restored
}

/// A frame that held the last parts of one key and the first of another had the whole gap between them
/// split and made room in as if the parts lay there, too: some gigabytes for 160,000 entries. And where a
/// key had only about as many parts as a frame, a segment was made room in for those of ten.
#[test]
fn a_restore_makes_no_room_between_the_parts_of_keys_that_have_many() {
    for (keys, parts) in [(8, 20_000), (150, 1_000)] {
        let table = restored_from_compacted(keys, parts);
        let buckets: usize = table.segments.iter().map(Segment::bucket_count).sum();
        assert!(
            buckets <= 2 * table.len(),
            "{keys} keys: {buckets} buckets for {} entries",
            table.len()
        );
        let directory = table.directory.len();
        assert!(directory <= 4 * table.len(), "{keys} keys: {directory}");
    }
}

#[test]
fn entries_that_are_spread_evenly_find_room_at_their_homes() {
    let mut keys: Vec<u64> = (0..200_000).collect();
    keys.sort_unstable_by_key(hash_of);
    let mut table = KeyedTable::<u64, u64>::new();
    let mut far = 0;
    for keys in keys.chunks(FRAME_LIMIT) {
        let entries: Vec<_> = keys.iter().map(|key| (hash_of(key), *key, *key)).collect();
        table.ready(&Crowd::of(&entries).expect("it has entries"));
        for (hash, key, value) in entries {
            let index = table.directory[table.index_of(hash)] as usize;
            let mark = table.mark;
            let restored = table.segments[index].restore(hash, (key, value), UNCHANGED, mark);
            if let Err(entry) = restored {
                far += 1;
                table.restore_far(hash, entry);
            }
        }
    }
    assert!(far <= keys.len() / 1_000, "{far} of {}", keys.len());
    let buckets: usize = table.segments.iter().map(Segment::bucket_count).sum();
    assert!(buckets <= 2 * keys.len(), "{buckets}");
}
