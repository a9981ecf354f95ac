//! Logs made of a few words, for the tests of decisions.

use crate::ids::{Epoch, Generation, KeyGroupCount};
use crate::protocol::{
    CheckpointKind, Claim, LogView, Manifest, Slot, SlotAuthor, SlotContent, SlotNumber, SlotRole,
    StoredPlan,
};

pub(crate) fn log_of(contents: impl IntoIterator<Item = SlotContent>) -> LogView {
    let slot = |(at, content)| Slot {
        number: SlotNumber(at),
        content,
    };
    LogView {
        slots: (0..).zip(contents).map(slot).collect(),
    }
}

pub(crate) fn claim(generation: u64) -> SlotContent {
    SlotContent::Claim(bare_claim(generation))
}

pub(crate) fn fresh_claim(generation: u64) -> SlotContent {
    SlotContent::Claim(Claim {
        fresh: true,
        ..bare_claim(generation)
    })
}

pub(crate) fn bare_claim(generation: u64) -> Claim {
    Claim {
        job: "job".to_owned(),
        generation: Generation(generation),
        nonce: generation,
        known_epoch: Epoch(0),
        fresh: false,
        started_unix_ms: 0,
    }
}

pub(crate) fn bare_manifest(generation: u64, epoch: u64) -> Manifest {
    Manifest {
        job: "job".to_owned(),
        generation: Generation(generation),
        nonce: generation,
        epoch: Epoch(epoch),
        kind: CheckpointKind::Checkpoint,
        finished: false,
        worker_count: 1,
        key_groups: KeyGroupCount::DEFAULT,
        written_unix_ms: 0,
        plan: StoredPlan::default(),
        snapshots: Vec::new(),
        origins: Vec::new(),
    }
}

pub(crate) fn manifest(generation: u64, epoch: u64) -> SlotContent {
    SlotContent::Manifest(Box::new(bare_manifest(generation, epoch)))
}

pub(crate) fn damaged_manifest(generation: u64, epoch: u64) -> SlotContent {
    damaged(generation, epoch, SlotRole::Manifest)
}

pub(crate) fn damaged_claim(generation: u64) -> SlotContent {
    damaged(generation, 0, SlotRole::Claim)
}

/// A slot of which not even the header reads.
pub(crate) fn lost_slot() -> SlotContent {
    SlotContent::Damaged {
        author: None,
        reason: "the checksum of the header is wrong".to_owned(),
    }
}

fn damaged(generation: u64, epoch: u64, role: SlotRole) -> SlotContent {
    let author = SlotAuthor {
        generation: Generation(generation),
        nonce: generation,
        epoch: Epoch(epoch),
        role,
    };
    SlotContent::Damaged {
        author: Some(author),
        reason: "the checksum of the body is wrong".to_owned(),
    }
}
