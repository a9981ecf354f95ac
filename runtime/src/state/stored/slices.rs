//! How the walk through a table is cut, so that what is in memory has a bound.

use crate::state::span::HashSpan;

/// About so many stored entries are looked at together.
pub(super) const ENTRIES: f64 = 8_192.0;

/// Where the entries of a frame lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) span: HashSpan,
    /// The number of entries, taken to be spread evenly over the span.
    pub(super) count: u32,
}

/// A part of a table: a span of hashes, and the frames that may say something of it, oldest first.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) span: HashSpan,
    pub(super) frames: Vec<usize>,
}

/// The parts of a table, in the order of the hashes.
#[derive(Debug)]
pub(super) struct Slices {
    /// To be cut further, or looked at; the next one last.
    pending: Vec<Slice>,
}

impl Slices {
    /// The parts within a span of a table with these frames.
    pub(super) fn of(span: HashSpan, frames: &[Extent]) -> Self {
        let all = (0..frames.len()).collect();
        Self {
            pending: vec![within(span, all, frames)],
        }
    }

    /// The next part; the frames are those that the parts were made of.
    pub(super) fn next(&mut self, frames: &[Extent]) -> Option<Slice> {
        loop {
            let slice = self.pending.pop()?;
            if slice.frames.is_empty() {
                continue;
            }
            let HashSpan { first, last } = slice.span;
            if first == last || entries_of(&slice, frames) <= ENTRIES {
                return Some(slice);
            }
            let middle = first + (last - first) / 2;
            let (low, high) = (
                HashSpan {
                    first,
                    last: middle,
                },
                HashSpan {
                    first: middle + 1,
                    last,
                },
            );
            self.pending
                .push(within(high, slice.frames.clone(), frames));
            self.pending.push(within(low, slice.frames, frames));
        }
    }
}

fn within(span: HashSpan, mut of: Vec<usize>, frames: &[Extent]) -> Slice {
    of.retain(|frame| frames[*frame].span.overlaps(span));
    Slice { span, frames: of }
}

/// About how many entries the frames hold in the slice.
fn entries_of(slice: &Slice, frames: &[Extent]) -> f64 {
    let in_slice = |frame: &usize| {
        let Extent { span, count } = frames[*frame];
        let first = span.first.max(slice.span.first);
        let last = span.last.min(slice.span.last);
        f64::from(count) * (width(first, last) / width(span.first, span.last))
    };
    slice.frames.iter().map(in_slice).sum()
}

fn width(first: u64, last: u64) -> f64 {
    (last - first) as f64 + 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices_of(frames: &[Extent]) -> Vec<Slice> {
        let mut slices = Slices::of(HashSpan::ALL, frames);
        std::iter::from_fn(|| slices.next(frames)).collect()
    }

    #[test]
    fn parts_are_small_in_order_and_hold_every_frame_that_reaches_into_them() {
        // A full snapshot in narrow frames, and an increment in wide ones.
        let step = u64::MAX / 100;
        let narrow = (0..100).map(|n| Extent {
            span: HashSpan {
                first: n * step,
                last: n * step + step,
            },
            count: 1_024,
        });
        let wide = Extent {
            span: HashSpan::ALL,
            count: 1_024,
        };
        let frames: Vec<Extent> = narrow.chain([wide; 3]).collect();
        let slices = slices_of(&frames);
        assert!(slices.len() > 100 * 1_024 / ENTRIES as usize, "{slices:?}");
        let mut next = Some(0);
        for slice in &slices {
            assert_eq!(Some(slice.span.first), next, "no gap and no overlap");
            next = slice.span.last.checked_add(1);
            let reach_in = |frame: &usize| frames[*frame].span.overlaps(slice.span);
            let expected: Vec<usize> = (0..frames.len()).filter(reach_in).collect();
            assert_eq!(slice.frames, expected);
            assert!(entries_of(slice, &frames) <= ENTRIES);
        }
        assert_eq!(next, None, "up to the last hash");
    }

    #[test]
    fn a_table_in_one_narrow_span_is_cut_there() {
        let span = HashSpan {
            first: 1 << 20,
            last: (1 << 20) + 1_000_000,
        };
        let frames = vec![Extent { span, count: 1_024 }; 64];
        let slices = slices_of(&frames);
        assert!(slices.len() >= 8, "{}", slices.len());
        assert!(slices.len() < 64, "{}", slices.len());
    }

    #[test]
    fn many_versions_of_one_key_are_one_part() {
        let frames = vec![
            Extent {
                span: HashSpan::of(7),
                count: 1,
            };
            20_000
        ];
        assert_eq!(slices_of(&frames).len(), 1);
    }
}
