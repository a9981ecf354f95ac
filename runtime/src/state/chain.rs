//! The references that make up a subtask's keyed state, and when the next snapshot is a full one.

use super::SnapshotScope;
use crate::protocol::{Location, SnapshotKind, SnapshotRef};

/// The most increments behind a full snapshot: a restore reads at most this many objects more.
const MOST_INCREMENTS: usize = 16;

/// The references of one subtask's keyed state, oldest first: a full snapshot and increments.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    refs: Vec<SnapshotRef>,
    broken: bool,
}

impl Chain {
    /// The chain that a restored subtask goes on with.
    pub(crate) fn restored(refs: Vec<SnapshotRef>) -> Self {
        Self {
            refs,
            broken: false,
        }
    }

    /// What the next snapshot has to hold: increments bound neither the number of objects nor their
    /// bytes, so that a full snapshot follows when they outweigh the one before.
    pub(crate) fn next_scope(&self) -> SnapshotScope {
        let increments = self
            .refs
            .iter()
            .filter(|r| r.kind == SnapshotKind::KeyedIncrement)
            .count();
        let bytes = |kind| {
            self.refs
                .iter()
                .filter(|r| r.kind == kind)
                .map(len_of)
                .sum::<u64>()
        };
        if self.broken
            || self.refs.is_empty()
            || increments >= MOST_INCREMENTS
            || bytes(SnapshotKind::KeyedIncrement) > bytes(SnapshotKind::KeyedFull).max(1 << 16)
        {
            SnapshotScope::Full
        } else {
            SnapshotScope::Increment
        }
    }

    /// Whether a snapshot can follow what is there: an increment cannot, behind an image that was
    /// not stored.
    pub(crate) fn takes(&self, scope: SnapshotScope) -> bool {
        match scope {
            SnapshotScope::Full => true,
            SnapshotScope::Increment => !self.broken,
        }
    }

    /// Adds the references of a snapshot that is durable.
    pub(crate) fn extend(&mut self, scope: SnapshotScope, refs: Vec<SnapshotRef>) {
        match scope {
            SnapshotScope::Full => {
                self.refs = refs;
                self.broken = false;
            }
            SnapshotScope::Increment => self.refs.extend(refs),
        }
    }

    /// Notes that a frozen image was not stored: what it held is in no object.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    pub(crate) fn refs(&self) -> &[SnapshotRef] {
        &self.refs
    }
}

fn len_of(reference: &SnapshotRef) -> u64 {
    match &reference.location {
        Location::Inline(bytes) => bytes.len() as u64,
        Location::Object { len, .. } => *len,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: SnapshotKind, len: u64) -> SnapshotRef {
        SnapshotRef {
            kind,
            location: Location::Object {
                name: String::new(),
                len,
                checksum: 0,
            },
        }
    }

    #[test]
    fn the_first_snapshot_is_full_and_then_increments_follow_until_they_outweigh_it() {
        let mut chain = Chain::default();
        assert_eq!(chain.next_scope(), SnapshotScope::Full);
        chain.extend(
            SnapshotScope::Full,
            vec![object(SnapshotKind::KeyedFull, 1_000_000)],
        );
        assert_eq!(chain.next_scope(), SnapshotScope::Increment);
        chain.extend(
            SnapshotScope::Increment,
            vec![object(SnapshotKind::KeyedIncrement, 600_000)],
        );
        assert_eq!(chain.next_scope(), SnapshotScope::Increment);
        chain.extend(
            SnapshotScope::Increment,
            vec![object(SnapshotKind::KeyedIncrement, 600_000)],
        );
        assert_eq!(chain.next_scope(), SnapshotScope::Full);
        chain.extend(
            SnapshotScope::Full,
            vec![object(SnapshotKind::KeyedFull, 1_000_000)],
        );
        assert_eq!(chain.refs().len(), 1);
    }

    #[test]
    fn a_chain_names_a_bounded_number_of_objects() {
        let mut chain = Chain::default();
        chain.extend(
            SnapshotScope::Full,
            vec![object(SnapshotKind::KeyedFull, 1 << 40)],
        );
        for _ in 0..MOST_INCREMENTS {
            assert_eq!(chain.next_scope(), SnapshotScope::Increment);
            chain.extend(
                SnapshotScope::Increment,
                vec![object(SnapshotKind::KeyedIncrement, 1)],
            );
        }
        assert_eq!(chain.next_scope(), SnapshotScope::Full);
    }

    #[test]
    fn a_broken_chain_is_mended_by_a_full_snapshot_only() {
        let mut chain = Chain::default();
        chain.extend(
            SnapshotScope::Full,
            vec![object(SnapshotKind::KeyedFull, 1)],
        );
        chain.break_off();
        assert_eq!(chain.next_scope(), SnapshotScope::Full);
        assert!(
            !chain.takes(SnapshotScope::Increment),
            "one may be under way already"
        );
        chain.extend(
            SnapshotScope::Full,
            vec![object(SnapshotKind::KeyedFull, 1)],
        );
        assert_eq!(chain.next_scope(), SnapshotScope::Increment);
    }
}
