//! The bytes of keys and values in RocksDB.
//!
//! ```text
//! key   := namespace, hash: u64 big-endian, key        so that key groups are contiguous ranges
//! namespace := 0                                       the only table of the stage
//!            | 1, end: i64                             the pane that ends at `end`: what has not fired
//!            | 2, end: i64                             of it, what has fired
//!            | 3, name: u64                            the value whose name has this checksum
//!            | 4, name: u64                            the map
//!            | 5, name: u64                            the bounds of the list
//!            | 6, name: u64                            the items of the list
//!            | 7                                       the timers
//! value := value, extra                                extra: what a stage remembers beside it
//! ```
//!
//! `end` is big-endian with its highest bit flipped, so that ends are in order; `name` is big-endian. Keys and values are
//! in the `postcard` encoding (version 1), which has one encoding for equal keys.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::state::frames::Namespace;
use crate::state::span::HashSpan;

const WHOLE: u8 = 0;
const WAITING: u8 = 1;
const FIRED: u8 = 2;
const VALUE: u8 = 3;
const MAP: u8 = 4;
const BOUNDS: u8 = 5;
const ITEMS: u8 = 6;
const TIMERS: u8 = 7;

/// What the keys of a namespace begin with.
pub(crate) fn prefix_of(namespace: Namespace) -> Vec<u8> {
    let pane = |tag: u8, end: i64| {
        let mut prefix = vec![tag];
        prefix.extend((end ^ i64::MIN).to_be_bytes());
        prefix
    };
    let named = |tag: u8, name: u64| [&[tag][..], &name.to_be_bytes()].concat();
    match namespace {
        Namespace::Whole => vec![WHOLE],
        Namespace::Waiting(end) => pane(WAITING, end),
        Namespace::Fired(end) => pane(FIRED, end),
        Namespace::Value(name) => named(VALUE, name),
        Namespace::Map(name) => named(MAP, name),
        Namespace::Bounds(name) => named(BOUNDS, name),
        Namespace::Items(name) => named(ITEMS, name),
        Namespace::Timers => vec![TIMERS],
    }
}

/// The namespace of a key, its hash, and its own bytes.
pub(crate) fn parse(stored: &[u8]) -> Result<(Namespace, u64, &[u8])> {
    let parts = || {
        let (tag, rest) = stored.split_first()?;
        let (namespace, rest) = match *tag {
            WHOLE => (Namespace::Whole, rest),
            TIMERS => (Namespace::Timers, rest),
            VALUE | MAP | BOUNDS | ITEMS => {
                let (name, rest) = rest.split_first_chunk()?;
                let name = u64::from_be_bytes(*name);
                let namespace = match *tag {
                    VALUE => Namespace::Value(name),
                    MAP => Namespace::Map(name),
                    BOUNDS => Namespace::Bounds(name),
                    _ => Namespace::Items(name),
                };
                (namespace, rest)
            }
            WAITING | FIRED => {
                let (end, rest) = rest.split_first_chunk()?;
                let end = i64::from_be_bytes(*end) ^ i64::MIN;
                let namespace = if *tag == WAITING {
                    Namespace::Waiting(end)
                } else {
                    Namespace::Fired(end)
                };
                (namespace, rest)
            }
            _ => return None,
        };
        let (hash, key) = rest.split_first_chunk()?;
        Some((namespace, u64::from_be_bytes(*hash), key))
    };
    parts().ok_or_else(|| corrupt("a key has no namespace of ours"))
}

/// The least key behind all that begin with a prefix of ours.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut behind = prefix.to_vec();
    while let Some(last) = behind.pop() {
        if last < u8::MAX {
            behind.push(last + 1);
            break;
        }
    }
    behind
}

/// The keys of a namespace whose hashes are in a span: from the first to before the second.
pub(crate) fn range_of(prefix: &[u8], span: HashSpan) -> (Vec<u8>, Vec<u8>) {
    let at = |hash: u64| [prefix, &hash.to_be_bytes()].concat();
    let end = span.last.checked_add(1).map_or_else(|| behind(prefix), at);
    (at(span.first), end)
}

/// Appends a whole key.
pub(crate) fn put_key<K: Serialize>(
    prefix: &[u8],
    hash: u64,
    key: &K,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    bytes.extend_from_slice(prefix);
    bytes.extend_from_slice(&hash.to_be_bytes());
    put(key, bytes)
}

/// Appends an encoding.
pub(crate) fn put<T: Serialize>(item: &T, bytes: &mut Vec<u8>) -> Result<()> {
    let taken = std::mem::take(bytes);
    *bytes = postcard::to_extend(item, taken)
        .map_err(|e| Error::invalid(format!("a state type refuses to be encoded: {e}")))?;
    Ok(())
}

/// Decodes what `bytes` begin with; the rest is returned.
pub(crate) fn take<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8])> {
    postcard::take_from_bytes(bytes).map_err(|e| corrupt(format!("an entry does not decode: {e}")))
}

pub(crate) fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("state in RocksDB: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_namespace_and_hash_and_are_parsed_back() {
        let namespaces = [
            Namespace::Whole,
            Namespace::Waiting(i64::MIN),
            Namespace::Waiting(-1),
            Namespace::Waiting(0),
            Namespace::Waiting(i64::MAX),
            Namespace::Fired(-5),
            Namespace::Fired(7),
            Namespace::Value(1),
            Namespace::Value(u64::MAX),
            Namespace::Map(0),
            Namespace::Bounds(7),
            Namespace::Items(7),
            Namespace::Timers,
        ];
        let mut keys = Vec::new();
        for namespace in namespaces {
            for hash in [0, 1, 1 << 40, u64::MAX] {
                let mut key = Vec::new();
                put_key(&prefix_of(namespace), hash, &"key", &mut key).expect("text encodes");
                let (found, at, rest) = parse(&key).expect("a key of ours");
                assert_eq!((found, at), (namespace, hash));
                assert_eq!(take::<String>(rest).expect("text").0, "key");
                let (first, end) = range_of(&prefix_of(namespace), HashSpan::of(hash));
                assert!(first <= key && key < end, "{namespace:?} {hash}");
                keys.push(key);
            }
        }
        assert!(keys.is_sorted());
    }

    #[test]
    fn keys_and_values_are_those_of_every_version() {
        let mut bytes = Vec::new();
        let prefix = prefix_of(Namespace::Fired(-2));
        put_key(&prefix, 0x0102_0304, &(300_u32, "ab"), &mut bytes).expect("it encodes");
        let end = [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE];
        let key = [0xAC, 0x02, 2, b'a', b'b'];
        assert_eq!(
            bytes,
            [&[2][..], &end, &[0, 0, 0, 0, 1, 2, 3, 4], &key].concat()
        );
        bytes.clear();
        put(&(Some(-1_i64), 1.0_f64), &mut bytes).expect("it encodes");
        assert_eq!(bytes, [1, 1, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F]);
    }

    #[test]
    fn bytes_that_are_no_key_are_corrupt() {
        for bytes in [
            &[][..],
            &[0],
            &[8; 20],
            &[1; 16],
            &[3; 16],
            &[0; 8],
            &[7; 8],
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
