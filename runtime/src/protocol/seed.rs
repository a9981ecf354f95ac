//! Chance without a generator: numbers that only a seed decides.

/// A number of [0, 1) that the seed decides; neighbouring seeds have nothing in common.
pub(super) fn fraction(seed: u64) -> f64 {
    // The finaliser of splitmix64: every bit of the seed reaches the 53 that are used.
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    (x >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_fill_the_unit_evenly() {
        let mut tenths = [0; 10];
        for seed in 0..10_000 {
            tenths[(fraction(seed) * 10.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|n| (800..1_200).contains(n)),
            "{tenths:?}"
        );
    }
}
