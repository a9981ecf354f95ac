//! What a chain of snapshots makes of one that has ended.

use super::Chain;
use crate::error::Result;
use crate::protocol::SnapshotRef;
use crate::state::SnapshotScope;

impl Chain {
    /// Takes in a snapshot; why its checkpoint fails, if it does.
    pub(crate) fn take(
        &mut self,
        scope: SnapshotScope,
        snapshot: Result<Vec<SnapshotRef>>,
    ) -> Option<String> {
        match snapshot {
            Ok(refs) if self.takes(scope) => {
                self.extend(scope, refs);
                None
            }
            // The checkpoint before was given up while its image was being written, and this one was frozen
            // before anybody knew that the image would not be stored.
            Ok(_) => Some("the snapshot before this one could not be stored".to_owned()),
            Err(error) => {
                self.break_off();
                Some(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::ids::Epoch;
    use crate::protocol::{Location, SnapshotKind};

    fn stored(kind: SnapshotKind) -> Vec<SnapshotRef> {
        let location = Location::Inline(vec![1]);
        vec![SnapshotRef { kind, location }]
    }

    /// An increment that was frozen behind an image which then could not be stored holds too little, and
    /// so does every one up to the next full snapshot.
    #[test]
    fn an_increment_behind_an_image_that_was_not_stored_fails_its_checkpoint() {
        let mut chain = Chain::default();
        let full = stored(SnapshotKind::KeyedFull);
        assert_eq!(chain.take(SnapshotScope::Full, Ok(full)), None);
        let lost = Err(Error::unavailable("the disk is full"));
        let why = chain.take(SnapshotScope::Increment, lost);
        assert!(why.is_some_and(|why| why.contains("full")));
        for _ in 0..2 {
            let increment = stored(SnapshotKind::KeyedIncrement);
            assert!(
                chain
                    .take(SnapshotScope::Increment, Ok(increment))
                    .is_some()
            );
        }
        let full = stored(SnapshotKind::KeyedFull);
        assert_eq!(chain.take(SnapshotScope::Full, Ok(full)), None);
        let increment = stored(SnapshotKind::KeyedIncrement);
        assert_eq!(chain.take(SnapshotScope::Increment, Ok(increment)), None);
        assert_eq!(chain.answer(Epoch(1)).len(), 2);
    }
}
