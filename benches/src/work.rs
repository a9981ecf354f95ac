//! The works that every system does, and what each must come to.
//!
//! A work is a pure function of the record number, so any length can be run, and a plain loop of
//! the same length says what the checksum must be. With P workers, worker p makes the records
//! whose number is p modulo P.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A work of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Work {
    /// Stateless chain: map, filter, map, sum.
    W0,
    /// Running count per key, a million keys.
    W1,
    /// Tumbling event-time sum and count per key, ten thousand keys.
    W2,
}

impl Work {
    /// The length whose checksum is known beforehand.
    pub(crate) const fn records(self) -> u64 {
        match self {
            Self::W0 => 100_000_000,
            Self::W1 | Self::W2 => 20_000_000,
        }
    }

    /// The checksum of [`Work::records`] records, which peers of other projects reach too.
    pub(crate) const fn known_checksum(self) -> Checksum {
        let (sum, results) = match self {
            Self::W0 => (7_500_698_351_002_502, 50_000_000),
            Self::W1 => (219_966_839, 20_000_000),
            Self::W2 => (9_990_941_685, 200_000),
        };
        Checksum { sum, results }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::W0 => "W0",
            Self::W1 => "W1",
            Self::W2 => "W2",
        })
    }
}

/// What the results of a work come to, in whatever order they are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksum {
    /// Wrapping sum of the results: W0 the values kept, W1 the running counts, W2 the sums of the
    /// windows.
    pub sum: u64,
    /// Number of results: W0 values kept, W1 counts, W2 windows.
    pub results: u64,
}

impl Checksum {
    /// The checksum of both parts.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            sum: self.sum.wrapping_add(other.sum),
            results: self.results + other.results,
        }
    }
}

/// One run of one system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Records that the sources made, all workers together.
    pub records: u64,
    /// From before the first worker starts until the last has ended.
    pub elapsed: Duration,
    /// What the results came to.
    pub checksum: Checksum,
    /// Checkpoints completed while the run went on; 0 for a system without them.
    pub checkpoints_completed: u64,
}

impl Measured {
    /// Records per second.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.elapsed.as_secs_f64()
    }
}

/// First map of W0.
#[inline]
pub(crate) const fn triple(x: u64) -> u64 {
    x.wrapping_mul(3).wrapping_add(1)
}

/// Filter of W0.
#[inline]
pub(crate) const fn is_even(x: u64) -> bool {
    x.is_multiple_of(2)
}

/// Second map of W0.
#[inline]
pub(crate) const fn fold(x: u64) -> u64 {
    x ^ (x >> 7)
}

/// The whole chain of W0 over a batch, fused: both peers that fuse by hand run this.
#[inline]
pub(crate) fn chain(batch: &[u64]) -> Checksum {
    let mut checksum = Checksum::default();
    for x in batch {
        let x = triple(*x);
        if is_even(x) {
            checksum.sum = checksum.sum.wrapping_add(fold(x));
            checksum.results += 1;
        }
    }
    checksum
}

/// Key of record `i` in W1.
#[inline]
pub(crate) const fn key(i: u64) -> u64 {
    hash(i) % 1_000_000
}

/// A record of W2.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// One of ten thousand.
    pub key: u64,
    /// Event time in milliseconds; a thousand records share one.
    pub at_ms: u64,
    /// What the windows add up.
    pub value: u64,
}

/// Size of the windows of W2.
pub(crate) const WINDOW_MS: u64 = 1_000;

/// Record `i` of W2.
#[inline]
pub(crate) const fn reading(i: u64) -> Reading {
    let hash = hash(i);
    Reading {
        key: hash % 10_000,
        at_ms: at_ms(i),
        value: (hash >> 32) % 1_000,
    }
}

/// Event time of record `i` in W2.
#[inline]
pub(crate) const fn at_ms(i: u64) -> u64 {
    i / 1_000
}

/// Splitmix64 of the record number.
#[inline]
const fn hash(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
