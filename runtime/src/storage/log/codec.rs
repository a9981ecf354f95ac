//! The bytes of a slot: a frame around a claim or a manifest.

use serde::de::DeserializeOwned;

use crate::protocol::{Claim, Manifest, SlotAuthor, SlotContent, SlotRole};
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
            decode_body(body).map(|manifest| SlotContent::Manifest(Box::new(manifest)))
        }
        kind @ (FrameKind::Snapshot | FrameKind::History) => {
            Err(FrameError::OtherKind(kind).to_string())
        }
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
        FrameKind::Snapshot | FrameKind::History => return None,
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

fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    bitcode::deserialize(body).map_err(|e| format!("the body does not decode: {e}"))
}
