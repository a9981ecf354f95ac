//! Ways to entries of a segment other than by their whole key.

use super::{Bucket, Segment};
use crate::key::Key;
use crate::state::State;
use crate::state::span::HashSpan;

impl<K: Key, V: State> Segment<K, V> {
    /// The bucket of the key with this hash for which `is` holds.
    #[inline]
    pub(in crate::state) fn find_by(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            match self.buckets.get(at) {
                Some(Bucket::Full { tag, key, .. }) if *tag == hash as u16 && is(key) => {
                    return Some(at);
                }
                Some(Bucket::Full { .. }) => at += 1,
                Some(Bucket::Empty) => return None,
                None if at == 0 => return None,
                None => at = 0,
            }
        }
    }

    /// The entries whose hashes are in a span, and some of their neighbours.
    pub(in crate::state) fn near(&self, span: HashSpan) -> impl Iterator<Item = (&K, &V)> {
        let (from, to) = (self.home(span.first), self.home(span.last));
        let (count, sure) = (self.buckets.len(), to.saturating_sub(from));
        (0..count)
            .map(move |step| (step, &self.buckets[(from + step) % count]))
            // An entry stands at its home, or behind it with no empty bucket in between.
            .take_while(move |(step, bucket)| *step <= sure || !matches!(bucket, Bucket::Empty))
            .filter_map(|(_, bucket)| match bucket {
                Bucket::Full { key, value, .. } => Some((key, value)),
                Bucket::Empty => None,
            })
    }
}
