//! What a stage is given back of a snapshot, and whether anybody still waits for it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::span::HashSpan;
use crate::error::{Error, Result};
use crate::ids::{KeyGroupCount, KeyGroupRange};

/// The part of a snapshot that a subtask is restored from: the keys of its key groups, for as long as its
/// job goes on.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    groups: KeyGroupCount,
    range: KeyGroupRange,
    given_up: &'a AtomicBool,
}

impl<'a> Share<'a> {
    /// The keys in `range` of so many key groups, until the restore is given up.
    pub const fn new(
        groups: KeyGroupCount,
        range: KeyGroupRange,
        given_up: &'a AtomicBool,
    ) -> Self {
        Self {
            groups,
            range,
            given_up,
        }
    }

    /// The key groups.
    pub const fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Their number in the whole job.
    pub const fn groups(&self) -> KeyGroupCount {
        self.groups
    }

    /// The hashes of the keys; `None` if there are none.
    pub(crate) fn span(&self) -> Option<HashSpan> {
        HashSpan::of_groups(self.groups, self.range)
    }

    /// Whether to go on: a restore may take long, and a job that has failed waits for its end before it
    /// begins again.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the restore was given up.
    pub(crate) fn check(&self) -> Result<()> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(Error::unavailable(
                "the restore was given up, since the job has failed elsewhere",
            ));
        }
        Ok(())
    }
}
