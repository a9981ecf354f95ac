//! Numbers that no other run has: the only randomness in the runtime.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A number that no other run, process or machine has, by chance of 1 in 2^64.
///
/// The standard library seeds its hash maps from the operating system, each with another key.
pub(crate) fn fresh_nonce() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
