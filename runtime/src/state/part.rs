//! The parts of a key's state, each an entry of its own: of a map by its key, of a list by its place.
//!
//! The routing hash of a part begins with the bits of its key's, and goes on with bits of both. So
//! a part goes wherever its key goes, all parts of a key lie in one narrow interval of hashes, and
//! those of a key with very many of them are spread within it.

use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyHasher, hash_of};
use crate::schema::Schema;

use super::span::HashSpan;
use super::tables::Sought;
use super::types::State;

/// Bits that the parts of a key have in common with it: those of the most key groups that may be, and
/// one more.
const COMMON: u32 = 16;

/// A part of a key's state. The part stands first since neighbours in a table most often are of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part<K, P> {
    part: P,
    key: K,
}

impl<K: Key, P: Key> Part<K, P> {
    pub(crate) fn new(key: K, part: P) -> Self {
        Self { part, key }
    }

    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn part(&self) -> &P {
        &self.part
    }
}

/// A part that is looked for.
#[derive(Debug, Serialize)]
pub(crate) struct PartOf<'a, K, P> {
    part: &'a P,
    key: &'a K,
}

impl<'a, K: Key, P: Key> PartOf<'a, K, P> {
    pub(crate) fn new(key: &'a K, part: &'a P) -> Self {
        Self { part, key }
    }
}

impl<K, P> Clone for PartOf<'_, K, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, P> Copy for PartOf<'_, K, P> {}

impl<K: Key, P: Key> Sought<Part<K, P>> for PartOf<'_, K, P> {
    #[inline]
    fn is(&self, other: &Part<K, P>) -> bool {
        other.part == *self.part && other.key == *self.key
    }

    #[inline]
    fn to_key(&self) -> Part<K, P> {
        Part::new(self.key.clone(), self.part.clone())
    }
}

/// The routing hash of a part of the key with the hash `of`.
#[inline]
pub(crate) fn part_hash<P: Key>(of: u64, part: &P) -> u64 {
    part_hash_from(of, hash_of(part))
}

/// The same, by the hash of the part.
#[inline]
pub(crate) fn part_hash_from(of: u64, part: u64) -> u64 {
    let mut hasher = KeyHasher::new();
    hasher.word(of);
    hasher.word(part);
    let common = u64::MAX << (64 - COMMON);
    (of & common) | (hasher.finish() >> COMMON)
}

/// Where all parts of the key with the hash `of` lie.
#[inline]
pub(crate) const fn parts_span(of: u64) -> HashSpan {
    let rest = u64::MAX >> COMMON;
    HashSpan {
        first: of & !rest,
        last: of | rest,
    }
}

impl<K: Key, P: Key> Key for Part<K, P> {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        hasher.place(part_hash(hash_of(&self.key), &self.part));
    }
}

impl<K: Key, P: Key> State for Part<K, P> {
    fn schema() -> Schema {
        Schema::Tuple(vec![P::schema(), K::schema()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::KeyGroupCount;

    #[test]
    fn parts_go_where_their_key_goes_whatever_the_number_of_key_groups() {
        let most = KeyGroupCount::new(32_768).expect("a power of two");
        for key in 0..2_000_u64 {
            let of = hash_of(&key);
            for part in ["", "a", "b"].map(String::from) {
                let hash = hash_of(&Part::new(key, part));
                assert_eq!(most.group_of(hash), most.group_of(of));
                assert!(parts_span(of).contains(hash));
            }
        }
    }

    #[test]
    fn a_part_that_is_looked_for_is_encoded_as_the_part() {
        let (key, part) = ("ABE".to_owned(), 7_u64);
        let (sought, whole) = (PartOf::new(&key, &part), Part::new(key.clone(), part));
        assert!(sought.is(&whole) && sought.to_key() == whole);
        let encoded = bitcode::serialize(&sought).expect("it encodes");
        assert_eq!(encoded, bitcode::serialize(&whole).expect("it encodes"));
    }

    #[test]
    fn the_hash_of_a_part_is_the_one_in_every_checkpoint_ever_written() {
        let hash = hash_of(&Part::new("ABE".to_owned(), 7_u64));
        assert_eq!(hash, part_hash(hash_of(&"ABE".to_owned()), &7));
        assert_eq!(hash, 0x0673_15f0_18b0_62b1);
    }
}
