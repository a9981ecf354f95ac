//! Bytes that nobody wrote, for the readers of every format: valid ones with a few changes, and any at all.
//!
//! What a checksum protects is changed below it, so that the readers behind it are reached. A reader may refuse bytes,
//! with an error that says whose fault it is, or make something else of them; it never panics, never goes on for
//! ever and never believes a number for the size of an allocation. `FLOWDSL_FUZZ=100` runs a hundred times as many
//! cases.

mod deep;
mod frames;
mod golden_tests;
mod history;
mod names;
pub(crate) mod slots;
mod values;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::error::{Error, ErrorKind};

/// So many cases, or a multiple of them in longer runs.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let times = std::env::var("FLOWDSL_FUZZ").ok();
    let times = times.and_then(|times| times.parse().ok()).unwrap_or(1_u32);
    ProptestConfig::with_cases(usual.saturating_mul(times))
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    /// A number, as lengths and counts are written.
    Number(Index, Number),
    Cut(Index, Index),
    Truncate(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    /// A part of other bytes, over these.
    Splice(Index, Index, Index),
}

/// A number that is rarely right.
#[derive(Clone, Copy, Debug)]
struct Number {
    width: usize,
    value: u64,
}

fn number() -> impl Strategy<Value = Number> {
    let values = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        Just(1 << 40),
        Just(1 << 63),
        0..300_u64,
        any::<u64>(),
    ];
    (prop_oneof![Just(1), Just(2), Just(4), Just(8)], values)
        .prop_map(|(width, value)| Number { width, value })
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        3 => (at(), any::<u8>()).prop_map(|(at, to)| Change::Set(at, to)),
        3 => (at(), number()).prop_map(|(at, number)| Change::Number(at, number)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        1 => at().prop_map(Change::Truncate),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        1 => (at(), at(), at()).prop_map(|(at, from, to)| Change::Splice(at, from, to)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        let range = |from: &Index, to: &Index, bytes: &[u8]| {
            let (from, to) = (place(from, bytes), place(to, bytes));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Flip(at, bit) => {
                let at = place(at, bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Set(at, to) => {
                let at = place(at, bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *to;
                }
            }
            Self::Number(at, Number { width, value }) => {
                let at = place(at, bytes);
                let written = value.to_le_bytes();
                for (byte, to) in bytes[at..].iter_mut().zip(&written[..*width]) {
                    *byte = *to;
                }
            }
            Self::Cut(from, to) => drop(bytes.drain(range(from, to, bytes))),
            Self::Truncate(at) => bytes.truncate(place(at, bytes)),
            Self::Insert(at, new) => {
                let at = place(at, bytes);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Repeat(from, to) => {
                let range = range(from, to, bytes);
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, again);
            }
            Self::Splice(at, from, to) => {
                let at = place(at, bytes);
                let part = &other[range(from, to, other)];
                let end = bytes.len().min(at + part.len());
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
}

/// Some of these bytes with a few changes, or any bytes.
pub(crate) fn changed(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    assert!(!valid.is_empty(), "there is something to change");
    let changed = (
        any::<Index>(),
        any::<Index>(),
        prop::collection::vec(change(), 1..6),
    )
        .prop_map(move |(which, other, changes)| {
            let (mut bytes, other) = (which.get(&valid).clone(), other.get(&valid));
            for change in &changes {
                change.apply(&mut bytes, other);
            }
            bytes
        });
    prop_oneof![
        6 => changed,
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ]
}

/// What was refused says whose fault it is.
#[track_caller]
pub(crate) fn is_refused_well<T>(read: Result<T, Error>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            let kind = error.kind();
            let blames_bytes = matches!(kind, ErrorKind::Corrupt | ErrorKind::Incompatible);
            assert!(blames_bytes, "{error:?}");
            assert!(!error.message().is_empty());
            None
        }
    }
}
