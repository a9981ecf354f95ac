//! How a quantity is spread: counts in buckets that grow with the quantity.
//!
//! Each power of two is cut in eight, so that a quantile is right to an eighth of itself. A recorded
//! value costs one atomic addition, and a histogram always takes the same 4 KB.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each power of two has so many buckets, as a power of two.
const PARTS: u32 = 3;
/// Buckets for every 64-bit number.
const BUCKETS: usize = ((65 - PARTS as usize) << PARTS) + (1 << PARTS);

/// Counts of durations, written by many threads.
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    greatest: AtomicU64,
}

/// What a histogram says of the durations that it has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How many were counted.
    pub count: u64,
    /// Half of them took no longer, within an eighth.
    pub p50: Duration,
    /// All but one in a hundred took no longer, within an eighth.
    pub p99: Duration,
    /// The longest, to the nanosecond.
    pub max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            greatest: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(nanos)].fetch_add(1, Ordering::Relaxed);
        self.greatest.fetch_max(nanos, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let count: u64 = counts.iter().sum();
        let max = self.greatest.load(Ordering::Relaxed);
        let quantile = |hundredths: u64| {
            let rank = (count * hundredths).div_ceil(100).max(1);
            let mut below = 0;
            let found = counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            Duration::from_nanos(found.map_or(0, last_of).min(max))
        };
        Quantiles {
            count,
            p50: quantile(50),
            p99: quantile(99),
            max: Duration::from_nanos(max),
        }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.quantiles().fmt(f)
    }
}

/// The bucket of a number: its highest bit, and the few behind it.
fn bucket_of(number: u64) -> usize {
    let Some(high) = number.checked_ilog2().filter(|high| *high >= PARTS) else {
        return number as usize;
    };
    let parts = (number >> (high - PARTS)) as usize & ((1 << PARTS) - 1);
    (((high - PARTS + 1) as usize) << PARTS) + parts
}

/// The greatest number of a bucket.
fn last_of(bucket: usize) -> u64 {
    let Some(shift) = (bucket >> PARTS).checked_sub(1) else {
        return bucket as u64;
    };
    let first = ((bucket & ((1 << PARTS) - 1)) + (1 << PARTS)) as u128;
    let behind = (first + 1) << shift;
    u64::try_from(behind - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_in_a_bucket_whose_last_is_within_an_eighth_of_it() {
        let powers = (0..64).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        for number in powers.chain(0..5_000).chain([u64::MAX]) {
            let bucket = bucket_of(number);
            assert!(bucket < BUCKETS, "{number}");
            let last = last_of(bucket);
            assert!(
                last >= number && last - number <= number / 8,
                "{number} up to {last}"
            );
            assert!(bucket == 0 || last_of(bucket - 1) < number, "{number}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_durations_within_an_eighth() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        for micros in 1..=1_000 {
            histogram.add(Duration::from_micros(micros));
        }
        let Quantiles {
            count,
            p50,
            p99,
            max,
        } = histogram.quantiles();
        assert_eq!((count, max), (1_000, Duration::from_millis(1)));
        for (found, wanted) in [(p50, 500), (p99, 990)] {
            let wanted = Duration::from_micros(wanted);
            assert!(
                found >= wanted && found <= wanted * 9 / 8,
                "{found:?} for {wanted:?}"
            );
        }
    }
}
