//! Ways to entries of a table other than by their whole key: by parts of it, by an interval of
//! hashes, and round the table a few at a time.

use super::{KeyedTable, Slot};
use crate::key::Key;
use crate::state::State;
use crate::state::span::HashSpan;

/// Where a walk round a table goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    segment: usize,
    bucket: usize,
}

impl<K: Key, V: State> KeyedTable<K, V> {
    /// The place of the key with this hash for which `is` holds: a look-up that needs no owned key.
    #[inline]
    pub(crate) fn find_by(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<Slot> {
        let segment = *self.directory.get(self.index_of(hash))?;
        let bucket = self.segments[segment as usize].find_by(hash, is)?;
        Some(Slot {
            segment,
            bucket: bucket as u32,
        })
    }

    /// The value at a place, to be read.
    #[inline]
    pub(crate) fn peek(&self, slot: Slot) -> Option<&V> {
        self.segments
            .get(slot.segment as usize)?
            .value(slot.bucket as usize)
    }

    /// The entries whose hashes are in a span, and some of their neighbours, in no order.
    pub(crate) fn near(&self, span: HashSpan) -> impl Iterator<Item = (&K, &V)> {
        let places = match self.directory.len() {
            0 => 0..0,
            _ => self.index_of(span.first)..self.index_of(span.last) + 1,
        };
        // A segment has several neighbouring places, of which the first counts.
        let first = places.start;
        places
            .filter(move |at| *at == first || self.directory[*at] != self.directory[*at - 1])
            .flat_map(move |at| self.segments[self.directory[at] as usize].near(span))
    }

    /// Goes on round the table by `steps` places, of which some are empty, and shows the entries there.
    ///
    /// An entry that moves meanwhile may be left out of a round, and comes in a later one.
    pub(crate) fn walk(&self, from: &mut Cursor, steps: usize, mut visit: impl FnMut(&K, &V)) {
        for _ in 0..steps {
            let Some(segment) = self.segments.get(from.segment) else {
                *from = Cursor::default();
                return;
            };
            if let (Some(key), Some(value)) = (segment.key(from.bucket), segment.value(from.bucket))
            {
                visit(key, value);
            }
            from.bucket += 1;
            if from.bucket >= segment.bucket_count() {
                *from = Cursor {
                    segment: from.segment + 1,
                    bucket: 0,
                };
            }
        }
    }
}
