//! Keys and their fixed routing hash.
//!
//! The hash decides which worker owns a key, now and in every checkpoint ever written, so it is
//! our own, over a canonical encoding, with golden values in `tests/formats/v1`: what
//! `std::hash::Hash` feeds to a hasher may change with the compiler. Types without one canonical
//! encoding (floats, hash maps) have no `Key`, and are refused at compile time.

use crate::state::State;

/// Where every hash begins.
const START: u64 = 0x2D35_8DCC_AA6C_78A5;
/// 2^64 divided by the golden ratio: multiples of it are spread evenly in their top bits, and so are
/// integers in a row, in which keys most often come.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

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
    const fn new() -> Self {
        Self { state: START }
    }

    /// Feeds one word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word) * u128::from(GOLDEN);
        self.state = (wide as u64) ^ ((wide >> 64) as u64);
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

    #[inline]
    const fn finish(self) -> u64 {
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
