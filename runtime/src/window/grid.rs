//! The arithmetic of windows that lie on a grid: tumbling and sliding ones.
//!
//! Computed in 128 bits and cut to what an `i64` holds, so that no time overflows. Division rounds
//! down, so that dates before 1970 lie in the windows that they should.

use crate::error::{Error, Result};

/// Windows of `size` ms, one each `slide` ms, aligned to the Unix epoch plus `offset` ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) size: i64,
    pub(crate) slide: i64,
    pub(crate) offset: i64,
}

/// The longest span of time whose records are all in the same windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The first time in the slice.
    pub(crate) from: i64,
    /// The first time behind the slice.
    pub(crate) until: i64,
    /// The ends of the windows, in order.
    pub(crate) ends: Vec<i64>,
}

impl Grid {
    /// A grid, if `0 < slide <= size`.
    pub(crate) fn new(size: i64, slide: i64, offset: i64) -> Result<Self> {
        if size <= 0 {
            return Err(Error::invalid(format!(
                "a window of {size} ms: its size must be at least 1 ms"
            )));
        }
        if slide <= 0 || slide > size {
            let message = format!(
                "a sliding window of {size} ms each {slide} ms: `every` must be at least 1 ms and at most the size"
            );
            return Err(Error::invalid(message));
        }
        Ok(Self {
            size,
            slide,
            offset,
        })
    }

    /// The slice that holds `time`.
    pub(crate) fn slice_of(self, time: i64) -> Slice {
        let (size, slide, offset) = (
            i128::from(self.size),
            i128::from(self.slide),
            i128::from(self.offset),
        );
        let since = i128::from(time) - offset;
        let newest = since.div_euclid(slide);
        let oldest = (since - size).div_euclid(slide) + 1;
        let end_of = |n: i128| offset + n * slide + size;
        let mut ends: Vec<i64> = (oldest..=newest).map(|n| cut(end_of(n))).collect();
        ends.dedup();
        let from = (offset + newest * slide).max(end_of(oldest - 1));
        let until = (offset + (newest + 1) * slide).min(end_of(oldest));
        Slice {
            from: cut(from),
            until: cut(until),
            ends,
        }
    }

    /// The start of the window that ends at `end`.
    pub(crate) fn start_of(self, end: i64) -> i64 {
        cut(i128::from(end) - i128::from(self.size))
    }
}

fn cut(time: i128) -> i64 {
    time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: i64, slide: i64, offset: i64, time: i64, starts: &[i64]) {
        let grid = Grid::new(size, slide, offset).expect("a grid");
        let slice = grid.slice_of(time);
        let found: Vec<i64> = slice.ends.iter().map(|end| grid.start_of(*end)).collect();
        assert_eq!(found, starts, "windows of {time} on {grid:?}");
    }

    #[test]
    fn windows_are_half_open_and_aligned_to_the_epoch_plus_the_offset() {
        check(10, 10, 0, 0, &[0]);
        check(10, 10, 0, 9, &[0]);
        check(10, 10, 0, 10, &[10]);
        check(10, 10, 3, 2, &[-7]);
        check(10, 10, 3, 3, &[3]);
        check(10, 10, -3, 6, &[-3]);
        check(10, 10, 25, 6, &[5]);
    }

    #[test]
    fn times_before_1970_lie_in_the_window_that_begins_before_them() {
        check(10, 10, 0, -1, &[-10]);
        check(10, 10, 0, -10, &[-10]);
        check(10, 10, 0, -11, &[-20]);
    }

    #[test]
    fn a_record_is_in_each_sliding_window_that_covers_it() {
        check(10, 5, 0, 12, &[5, 10]);
        check(10, 4, 0, 9, &[0, 4, 8]);
        check(10, 4, 0, 10, &[4, 8]);
        check(10, 1, 0, 0, &[-9, -8, -7, -6, -5, -4, -3, -2, -1, 0]);
    }

    #[test]
    fn all_times_of_a_slice_are_in_the_same_windows() {
        for (size, slide, offset) in [(10, 10, 3), (10, 4, 0), (10, 3, -2), (7, 7, 0), (9, 2, 1)] {
            let grid = Grid::new(size, slide, offset).expect("a grid");
            for time in -40..40 {
                let slice = grid.slice_of(time);
                assert!(
                    slice.from <= time && time < slice.until,
                    "{time} in {slice:?}"
                );
                for other in -60..60 {
                    let same = grid.slice_of(other).ends == slice.ends;
                    assert_eq!(
                        slice.from <= other && other < slice.until,
                        same,
                        "{other} in {slice:?} of {grid:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_time_overflows() {
        for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            for (size, slide, offset) in [
                (1_000, 1_000, 0),
                (1_000, 300, i64::MIN),
                (i64::MAX, i64::MAX, i64::MAX),
            ] {
                let slice = Grid::new(size, slide, offset)
                    .expect("a grid")
                    .slice_of(time);
                assert!(
                    !slice.ends.is_empty() && slice.from <= time && time <= slice.until,
                    "{time}: {slice:?}"
                );
            }
        }
    }

    #[test]
    fn a_window_without_length_and_one_with_gaps_are_refused() {
        assert!(Grid::new(0, 1, 0).is_err());
        assert!(Grid::new(10, 0, 0).is_err());
        assert!(Grid::new(10, 11, 0).is_err());
    }
}
