//! Keys and their fixed routing hash.
//!
//! The hash decides which worker owns a key, now and in every checkpoint ever written, so it is
//! our own, over a canonical encoding, with golden values in `tests/formats/v1`: what
//! `std::hash::Hash` feeds to a hasher may change with the compiler. Types without one canonical
//! encoding (floats, hash maps) have no `Key`, and are refused at compile time.

use crate::state::State;

/// Multiples of it are spread evenly over the top bits: those of integers in a row, in which keys
/// most often come, more evenly than chance would, and those of other steps about as chance would.
const FACTOR: u64 = 0xA076_1D64_78BD_642F;

/// A key of a stream: equal keys meet on one worker.
///
/// Implemented for integers, `bool`, `char`, `String`, `()`, and for tuples, options, vectors and
/// arrays of keys; `#[derive(Key)]` implements it for structs and enums of keys.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::key::hash_of;
///
/// assert_eq!(hash_of(&("ABE".to_string(), 7_u32)), hash_of(&("ABE".to_string(), 7_u32)));
/// assert_ne!(hash_of(&1_u64), hash_of(&2_u64));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a stream",
    label = "not a key",
    note = "keys are integers, `bool`, `char`, `String`, and tuples, options, vectors and arrays of them; put `#[derive(Key)]` on a type of your own",
    note = "floats and hash maps have no single canonical encoding: key by an integer or a string made from them"
)]
pub trait Key: State + Eq {
    /// Feeds the canonical encoding of the key to the hasher.
    fn hash_key(&self, hasher: &mut KeyHasher);
}

/// The routing hash of a key.
#[inline]
pub fn hash_of<K: Key>(key: &K) -> u64 {
    let mut hasher = KeyHasher::new();
    key.hash_key(&mut hasher);
    hasher.finish()
}

/// Our own fixed hash: one multiply-and-fold a word.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    state: u64,
}

impl KeyHasher {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { state: 0 }
    }

    /// Feeds one word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word) * u128::from(FACTOR);
        self.state = (wide as u64) ^ ((wide >> 64) as u64).rotate_left(16);
    }

    /// Feeds bytes, preceded by their length, so that `("a", "bc")` and `("ab", "c")` differ.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// Puts a hash in the place of all that was fed: where a part of a key's state lies.
    #[inline]
    pub(crate) const fn place(&mut self, hash: u64) {
        self.state = hash;
    }

    #[inline]
    pub(crate) const fn finish(self) -> u64 {
        self.state
    }
}

macro_rules! integer_keys {
    ($($t:ty),* => $word:expr) => {$(
        impl Key for $t {
            #[inline]
            fn hash_key(&self, hasher: &mut KeyHasher) {
                let word: fn($t) -> u64 = $word;
                hasher.word(word(*self));
            }
        }
    )*};
}
integer_keys!(u8, u16, u32, u64, bool, char => u64::from);
integer_keys!(usize, i8, i16, i32, i64, isize => |key| key as u64);

impl Key for u128 {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        hasher.word(*self as u64);
        hasher.word((*self >> 64) as u64);
    }
}

impl Key for i128 {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        (*self as u128).hash_key(hasher);
    }
}

impl Key for String {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        hasher.bytes(self.as_bytes());
    }
}

impl Key for () {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        hasher.word(0);
    }
}

impl<K: Key> Key for Option<K> {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        hasher.word(u64::from(self.is_some()));
        if let Some(key) = self {
            key.hash_key(hasher);
        }
    }
}

impl<K: Key> Key for Vec<K> {
    #[inline]
    fn hash_key(&self, hasher: &mut KeyHasher) {
        hasher.word(self.len() as u64);
        for key in self {
            key.hash_key(hasher);
        }
    }
}

macro_rules! tuple_keys {
    ($($name:ident . $at:tt),+) => {
        impl<$($name: Key),+> Key for ($($name,)+) {
            #[inline]
            fn hash_key(&self, hasher: &mut KeyHasher) {
                $(self.$at.hash_key(hasher);)+
            }
        }
    };
}
tuple_keys!(A.0);
tuple_keys!(A.0, B.1);
tuple_keys!(A.0, B.1, C.2);
tuple_keys!(A.0, B.1, C.2, D.3);
tuple_keys!(A.0, B.1, C.2, D.3, E.4);
tuple_keys!(A.0, B.1, C.2, D.3, E.4, F.5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_every_version() {
        // Checkpoints are laid out by these: they never change.
        assert_eq!(hash_of(&0_u64), 0x0000_0000_0000_0000);
        assert_eq!(hash_of(&1_u64), 0xA076_1D64_78BD_642F);
        assert_eq!(hash_of(&-1_i32), 0x42ED_9A26_E36C_3BA7);
        assert_eq!(hash_of(&'x'), 0x375D_C718_988D_F608);
        assert_eq!(hash_of(&u128::MAX), 0xFF88_6452_44FB_1AAA);
        assert_eq!(hash_of(&String::new()), 0x0000_0000_0000_0000);
        assert_eq!(hash_of(&"ABE".to_owned()), 0x0673_E35D_DC30_8A31);
        assert_eq!(
            hash_of(&"longer than a word".to_owned()),
            0x71EF_771D_60E8_B719
        );
        assert_eq!(hash_of(&("ABE".to_owned(), 7_u32)), 0x2F58_CC06_DCC2_73E1);
        assert_eq!(hash_of(&vec![Some(1_u8), None]), 0x8796_FF18_8BA7_4006);
    }

    /// Asserts that keys are spread over the key groups, and within them.
    fn check<K: Key>(what: &str, keys: impl Iterator<Item = K>) {
        const KEYS: usize = 256 * 256;
        let (mut groups, mut places) = ([0_u32; 256], vec![0_u32; 2 * KEYS]);
        for key in keys.take(KEYS) {
            let hash = hash_of(&key);
            groups[(hash >> 56) as usize] += 1;
            places[(hash >> 47) as usize] += 1;
        }
        let fullest = groups.into_iter().max().unwrap_or(0);
        assert!(
            fullest <= 256 * 7 / 4,
            "{what}: {fullest} keys in a group of 256"
        );
        // Random hashes would take four fifths as many places as there are keys, with 9 in the fullest.
        let taken = places.iter().filter(|keys| **keys > 0).count();
        assert!(
            taken >= KEYS * 2 / 5,
            "{what}: {taken} places for {KEYS} keys"
        );
        let fullest = places.into_iter().max().unwrap_or(0);
        assert!(fullest <= 16, "{what}: {fullest} keys in one place");
    }

    #[test]
    fn keys_in_patterns_are_spread_evenly() {
        check("in a row", 0_u64..);
        check("from a large number", 1_000_000_000_000_u64..);
        check("downwards", (0_i64..).map(|i| -i));
        for bits in 1..=47 {
            check(&format!("each 2^{bits}"), (0_u64..).map(|i| i << bits));
        }
        for step in [7, 10, 60, 100, 1_000, 3_600, 60_000, 1_000_000, 86_400_000] {
            check(&format!("each {step}"), (0_u64..).map(|i| i * step));
        }
        check("with their bits reversed", (0_u64..).map(u64::reverse_bits));
        check(
            "the bits of floats",
            (0_u32..).map(|i| (f64::from(i) * 0.1).to_bits()),
        );
        check("words", (0_u64..).map(|i| format!("key {i}")));
        check(
            "long words",
            (0_u64..).map(|i| format!("customer-{i:012}-account")),
        );
        check("pairs", (0_u64..).map(|i| (i % 256, i / 256)));
    }
}
