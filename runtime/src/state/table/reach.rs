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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash_of;
    use crate::state::part::{Part, parts_span};

    type Table = KeyedTable<Part<u64, u64>, u64>;

    /// A few parts of some keys, and very many of one.
    fn table(light: u64, heavy: u64) -> Table {
        let mut table = Table::new();
        let parts = (0..light).map(|key| (key, key % 3));
        for (key, part) in parts.chain((0..heavy).map(|part| (u64::MAX, part))) {
            let part = Part::new(key, part);
            table.insert(hash_of(&part), part, key);
        }
        table
    }

    /// Without a directory that tells the parts of one key from others they would stand in a row.
    #[test]
    fn parts_of_a_key_with_very_many_are_found_among_those_of_others_in_a_few_steps() {
        for (light, heavy) in [
            (0, 50_000),
            (100, 50_000),
            (5_000, 50_000),
            (50_000, 50_000),
        ] {
            let table = table(light, heavy);
            let steps = |part| {
                let hash = hash_of(&Part::new(u64::MAX, part));
                table.near(HashSpan::of(hash)).count()
            };
            let steps: usize = (0..heavy).step_by(50).map(steps).sum();
            let mean = steps / 1_000;
            assert!(mean < 60, "{light} others: about {mean} steps each");
            assert!(table.directory.len() <= 4 * table.len());
        }
    }

    #[test]
    fn near_a_key_are_all_of_its_parts_and_few_others() {
        let table = table(40_000, 1_000);
        for (key, count) in [(u64::MAX, 1_000), (7, 1), (40_001, 0)] {
            let span = parts_span(hash_of(&key));
            let near: Vec<_> = table.near(span).map(|(part, _)| *part.key()).collect();
            let own = near.iter().filter(|of| **of == key).count();
            assert_eq!(own, count, "of key {key}");
            assert!(near.len() < count + 200, "{} near {key}", near.len());
        }
        assert_eq!(table.near(HashSpan::ALL).count(), 41_000);
        assert_eq!(Table::new().near(HashSpan::ALL).count(), 0);
    }

    #[test]
    fn a_walk_round_the_table_passes_every_entry_once_and_begins_anew() {
        let table = table(30_000, 0);
        let (mut cursor, mut seen) = (Cursor::default(), std::collections::HashSet::new());
        let mut calls = 0;
        while seen.len() < 30_000 {
            calls += 1;
            assert!(calls < 2_000, "{} seen", seen.len());
            table.walk(&mut cursor, 100, |part, _| {
                assert!(seen.insert(*part.key()));
            });
        }
        // Empty places at the end, and then from the beginning again.
        let mut again = 0;
        (0..1_000).for_each(|_| table.walk(&mut cursor, 100, |_, _| again += 1));
        assert!(again > 30_000, "{again}");
    }
}
