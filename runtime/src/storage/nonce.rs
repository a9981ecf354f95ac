//! Numbers that no other run has: the only randomness in the runtime.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

thread_local! {
    /// The next nonce of this thread, where a simulation has planned it.
    static PLANNED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes the nonces of this thread follow from `seed`, so that a simulation can be repeated.
pub(crate) fn plan_nonces(seed: u64) {
    PLANNED.set(Some(seed));
}

/// A number that no other run, process or machine has, by chance of 1 in 2^64.
///
/// The standard library seeds its hash maps from the operating system, each with another key.
pub(crate) fn fresh_nonce() -> u64 {
    if let Some(planned) = PLANNED.get() {
        // Multiples of an odd number: none comes twice.
        let next = planned.wrapping_add(0x9E37_79B9_7F4A_7C15);
        PLANNED.set(Some(next));
        return next;
    }
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
