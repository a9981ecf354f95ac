//! What a stage is restored from, and which of it stands where.

use super::logic::KeyedLogic;
use super::restore::{Former, restore_from};
#[cfg(feature = "rocksdb")]
use super::rocks::Part;
use super::share::Share;
#[cfg(feature = "rocksdb")]
use super::span::HashSpan;
use super::store::StateStore;
use crate::error::Result;
use crate::ids::SubtaskId;
use crate::protocol::{Evolving, SnapshotKind, SnapshotRef};

/// What a stage is to be restored from.
pub(crate) struct Restoring<'a> {
    pub(crate) subtask: &'a SubtaskId,
    /// The key groups that the subtask owns.
    pub(crate) share: Share<'a>,
    pub(crate) former: Vec<Former<'a>>,
    pub(crate) store: &'a StateStore,
    /// What becomes of it, if its types have changed since.
    pub(crate) evolving: Option<&'a Evolving>,
}

impl<'a> Restoring<'a> {
    /// Restores all that is written in frames: whole snapshots of stages in memory, and the heads of
    /// those of databases.
    pub(super) fn frames<L: KeyedLogic>(&self, logic: &mut L) -> Result<()> {
        let former = self.former.iter().map(|former| Former {
            range: former.range,
            refs: head_of(former.refs),
        });
        restore_from(logic, self.share, former, |reference| {
            self.store.read(reference)
        })
    }

    /// The former subtasks whose state was in a database, and concerns this one.
    pub(super) fn databases(&self) -> Vec<Former<'a>> {
        let former = self.former.iter();
        former
            .filter(|former| {
                head_of(former.refs).len() < former.refs.len()
                    && former.range.overlaps(self.share.range())
            })
            .map(|former| Former {
                range: former.range,
                refs: former.refs,
            })
            .collect()
    }

    #[cfg(feature = "rocksdb")]
    pub(super) fn part<'b>(&self, former: &Former<'b>) -> Option<Part<'b>> {
        let whole = HashSpan::of_groups(self.share.groups(), former.range)?;
        let wanted = self.share.span()?;
        wanted.overlaps(whole).then(|| Part {
            refs: former.refs,
            whole,
            wanted: HashSpan {
                first: whole.first.max(wanted.first),
                last: whole.last.min(wanted.last),
            },
        })
    }
}

/// The references before those of a database.
pub(super) fn head_of(refs: &[SnapshotRef]) -> &[SnapshotRef] {
    let is_head = |reference: &&SnapshotRef| match reference.kind {
        SnapshotKind::Operator | SnapshotKind::KeyedFull | SnapshotKind::KeyedIncrement => true,
        SnapshotKind::RocksCatalogue | SnapshotKind::RocksFile => false,
    };
    &refs[..refs.iter().take_while(is_head).count()]
}
