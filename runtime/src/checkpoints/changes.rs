//! What differs between the state of a stage in two checkpoints.
//!
//! Both walks have the same order, so that they are compared as they come, in the memory of two walks.

use std::cmp::Ordering;

use serde::Serialize;

use super::entry::StateEntry;
use super::walk::StateEntries;
use crate::error::Result;

/// A difference.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum StateChange {
    /// It is in the later checkpoint only.
    Added(StateEntry),
    /// It is in the earlier checkpoint only.
    Removed(StateEntry),
    /// It is in both, and not the same.
    Changed {
        /// As it was.
        before: Box<StateEntry>,
        /// As it is.
        after: Box<StateEntry>,
    },
}

/// The differences, in the order of the walk. After an error there is nothing more.
#[derive(Debug)]
pub struct StateChanges<'a> {
    walks: Option<[Walk<'a>; 2]>,
}

#[derive(Debug)]
struct Walk<'a> {
    entries: StateEntries<'a>,
    /// The entry that is next.
    next: Option<StateEntry>,
}

impl<'a> Walk<'a> {
    fn begin(entries: StateEntries<'a>) -> Self {
        let next = None;
        Self { entries, next }
    }

    fn look(&mut self) -> Result<()> {
        if self.next.is_none() {
            self.next = self.entries.next().transpose()?;
        }
        Ok(())
    }
}

impl<'a> StateEntries<'a> {
    /// What differs between this state and a later one of the same stage.
    pub fn changes_to(self, later: StateEntries<'a>) -> StateChanges<'a> {
        StateChanges {
            walks: Some([self, later].map(Walk::begin)),
        }
    }
}

impl Iterator for StateChanges<'_> {
    type Item = Result<StateChange>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let [before, after] = self.walks.as_mut()?;
            if let Err(error) = before.look().and_then(|()| after.look()) {
                self.walks = None;
                return Some(Err(error));
            }
            let order = match (&before.next, &after.next) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.cmp_place(after),
            };
            let before = before.next.take_if(|_| order.is_le());
            let after = after.next.take_if(|_| order.is_ge());
            let change = match (before, after) {
                (Some(before), Some(after)) if before.says_the_same(&after) => continue,
                (Some(before), Some(after)) => StateChange::Changed {
                    before: Box::new(before),
                    after: Box::new(after),
                },
                (Some(before), None) => StateChange::Removed(before),
                (None, Some(after)) => StateChange::Added(after),
                (None, None) => return None,
            };
            return Some(Ok(change));
        }
    }
}
