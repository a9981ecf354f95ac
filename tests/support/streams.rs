//! Streams with disorder, for tests over random input.
//!
//! The generator is a function of its seed, so a failure is repeated by printing one number. Event
//! times run forward on the whole and jump back by at most the disorder: a stream that an
//! `event_time` with that bound must take without one late record, and one with a smaller bound
//! may not.

/// What a stream should look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Decides everything else.
    pub seed: u64,
    /// Number of records.
    pub records: usize,
    /// Keys are below this; small ones meet more often.
    pub keys: u32,
    /// Event time of the first record, before disorder.
    pub start_ms: i64,
    /// The longest step of event time between neighbours, before disorder.
    pub step_ms: u32,
    /// How far a record may be behind the greatest event time before it.
    pub disorder_ms: u32,
}

/// One record of a test stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its key.
    pub key: u32,
    /// Its event time.
    pub at_ms: i64,
    /// Its value, from -500 to 499.
    pub value: i64,
}

/// The stream of a shape.
///
/// # Examples
///
/// ```
/// use flowdsl_tests::streams::{Shape, readings};
///
/// let shape = Shape { seed: 7, records: 100, keys: 3, start_ms: 0, step_ms: 10, disorder_ms: 25 };
/// let stream = readings(shape);
/// assert_eq!(stream, readings(shape));
/// ```
pub fn readings(shape: Shape) -> Vec<Reading> {
    let mut draws = Draws(shape.seed);
    let mut now_ms = shape.start_ms;
    (0..shape.records)
        .map(|_| {
            now_ms += i64::from(draws.at_most(shape.step_ms));
            Reading {
                key: draws.at_most(shape.keys.saturating_sub(1)),
                at_ms: now_ms - i64::from(draws.at_most(shape.disorder_ms)),
                value: i64::from(draws.at_most(999)) - 500,
            }
        })
        .collect()
}

/// The greatest distance of a record behind the greatest event time before it.
pub fn disorder_of(readings: &[Reading]) -> i64 {
    let mut greatest = i64::MIN;
    let mut disorder = 0;
    for reading in readings {
        greatest = greatest.max(reading.at_ms);
        disorder = disorder.max(greatest - reading.at_ms);
    }
    disorder
}

/// Splitmix64: the same numbers on every machine and in every release.
struct Draws(u64);

impl Draws {
    /// A number from 0 to `most`.
    fn at_most(&mut self, most: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // Below `most + 1`, without the bias towards small numbers of a remainder.
        let wide = u128::from(z ^ (z >> 31)) * (u128::from(most) + 1);
        u32::try_from(wide >> 64).expect("a number times a fraction below one is at most `most`")
    }
}
