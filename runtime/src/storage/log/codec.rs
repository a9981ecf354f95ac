//! The bytes of a slot: a frame around a claim or a manifest.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::ids::{Epoch, Generation, KeyGroupCount};
use crate::protocol::{
    CheckpointKind, Claim, Manifest, SlotAuthor, SlotContent, SlotRole, StoredPlan, SubtaskSnapshot,
};
use crate::storage::frame::{self, FrameError, FrameHeader, FrameKind};

/// The bytes of a slot that holds a claim.
#[expect(
    clippy::missing_panics_doc,
    reason = "a claim is numbers and a string, which always encode"
)]
pub fn encode_claim(claim: &Claim) -> Vec<u8> {
    let header = FrameHeader {
        kind: FrameKind::Claim,
        generation: claim.generation,
        epoch: claim.known_epoch,
        nonce: claim.nonce,
    };
    frame::encode(
        &header,
        &bitcode::serialize(claim).expect("a claim is numbers and a string"),
    )
}

/// The bytes of a slot that holds a manifest.
#[expect(
    clippy::missing_panics_doc,
    reason = "a manifest is plain data, which always encodes"
)]
pub fn encode_manifest(manifest: &Manifest) -> Vec<u8> {
    let header = FrameHeader {
        kind: FrameKind::Manifest,
        generation: manifest.generation,
        epoch: manifest.epoch,
        nonce: manifest.nonce,
    };
    frame::encode(
        &header,
        &bitcode::serialize(manifest).expect("a manifest is plain data of known shape"),
    )
}

/// What is in the bytes of a slot, whatever they are.
pub fn decode_slot(bytes: &[u8]) -> SlotContent {
    let damaged = |author, reason: String| SlotContent::Damaged { author, reason };
    let (header, body) = match frame::decode(bytes) {
        Ok(frame) => frame,
        Err(error @ FrameError::UnknownVersion { .. }) => {
            return SlotContent::OtherVersion {
                reason: error.to_string(),
            };
        }
        Err(error) => return damaged(author_of(bytes).ok(), error.to_string()),
    };
    let author = slot_author(&header);
    let content = match header.kind {
        FrameKind::Claim => decode_body(body).map(SlotContent::Claim),
        FrameKind::Manifest => {
            decode_manifest(bytes, body).map(|manifest| SlotContent::Manifest(Box::new(manifest)))
        }
        other @ (FrameKind::Snapshot
        | FrameKind::History
        | FrameKind::Request
        | FrameKind::Reply) => Err(FrameError::OtherKind(other).to_string()),
    };
    match content {
        Ok(content) if author == content_author(&content) => content,
        Ok(_) => damaged(author, "header and body do not belong together".to_owned()),
        Err(reason) => damaged(author, reason),
    }
}

/// Who wrote a slot, from the header alone.
pub(super) fn author_of(bytes: &[u8]) -> Result<SlotAuthor, String> {
    let header = frame::decode_header(bytes).map_err(|e| e.to_string())?;
    slot_author(&header).ok_or_else(|| FrameError::OtherKind(header.kind).to_string())
}

fn slot_author(header: &FrameHeader) -> Option<SlotAuthor> {
    let role = match header.kind {
        FrameKind::Claim => SlotRole::Claim,
        FrameKind::Manifest => SlotRole::Manifest,
        FrameKind::Snapshot | FrameKind::History | FrameKind::Request | FrameKind::Reply => {
            return None;
        }
    };
    Some(SlotAuthor {
        generation: header.generation,
        nonce: header.nonce,
        epoch: header.epoch,
        role,
    })
}

fn content_author(content: &SlotContent) -> Option<SlotAuthor> {
    match content {
        SlotContent::Claim(claim) => Some(SlotAuthor {
            generation: claim.generation,
            nonce: claim.nonce,
            epoch: claim.known_epoch,
            role: SlotRole::Claim,
        }),
        SlotContent::Manifest(manifest) => Some(SlotAuthor {
            generation: manifest.generation,
            nonce: manifest.nonce,
            epoch: manifest.epoch,
            role: SlotRole::Manifest,
        }),
        SlotContent::Damaged { .. } | SlotContent::OtherVersion { .. } => None,
    }
}

/// The body of a manifest of any version that there has been.
fn decode_manifest(frame: &[u8], body: &[u8]) -> Result<Manifest, String> {
    match frame::version_of(frame) {
        Some(1) => decode_body::<ManifestV1>(body).map(ManifestV1::into_manifest),
        _ => decode_body(body),
    }
}

/// A manifest as version 1 had it.
#[derive(Deserialize)]
struct ManifestV1 {
    job: String,
    generation: Generation,
    nonce: u64,
    epoch: Epoch,
    kind: CheckpointKind,
    finished: bool,
    worker_count: u32,
    key_groups: KeyGroupCount,
    written_unix_ms: u64,
    plan: StoredPlan,
    snapshots: Vec<SubtaskSnapshot>,
}

impl ManifestV1 {
    fn into_manifest(self) -> Manifest {
        Manifest {
            job: self.job,
            generation: self.generation,
            nonce: self.nonce,
            epoch: self.epoch,
            kind: self.kind,
            finished: self.finished,
            worker_count: self.worker_count,
            key_groups: self.key_groups,
            written_unix_ms: self.written_unix_ms,
            plan: self.plan,
            snapshots: self.snapshots,
            origins: Vec::new(),
        }
    }
}

fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    bitcode::deserialize(body).map_err(|e| format!("the body does not decode: {e}"))
}
