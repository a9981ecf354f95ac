//! Who asked for a checkpoint, and has no answer yet.

use std::mem;

use super::Asker;
use crate::ids::Epoch;

/// Those who asked, in the order in which they did.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// For a checkpoint that has not been triggered.
    asked: Vec<Asker>,
    /// Who waits for the checkpoint of an epoch, and then for its output to be visible.
    waiting: Vec<(Epoch, Asker)>,
}

impl Askers {
    pub(super) fn ask(&mut self, asker: Asker) {
        self.asked.push(asker);
    }

    pub(super) fn wait_for(&mut self, epoch: Epoch, asker: Asker) {
        self.waiting.push((epoch, asker));
    }

    pub(super) fn any_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The checkpoint of `epoch` is the one that was asked for.
    pub(super) fn opened(&mut self, epoch: Epoch) {
        let asked = mem::take(&mut self.asked);
        self.waiting
            .extend(asked.into_iter().map(|asker| (epoch, asker)));
    }

    /// Those whose checkpoint is the one of `epoch`.
    pub(super) fn take_of(&mut self, epoch: Epoch) -> Vec<Asker> {
        let of_epoch = self.waiting.extract_if(.., |(of, _)| *of == epoch);
        of_epoch.map(|(_, asker)| asker).collect()
    }

    /// Those whose checkpoint is of an epoch up to this one.
    pub(super) fn take_up_to(&mut self, epoch: Epoch) -> Vec<(Epoch, Asker)> {
        self.waiting
            .extract_if(.., |(of, _)| *of <= epoch)
            .collect()
    }
}
