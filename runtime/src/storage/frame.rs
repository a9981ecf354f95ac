//! The envelope around every file of ours: magic, version, length, checksums.
//!
//! Reading trusts no byte: any flipped bit and any truncation is found before the body is decoded.
//! The header has a checksum of its own, so that a damaged body still tells which generation and
//! epoch it belonged to. The layout stands in `docs/formats.md`.

#[cfg(test)]
mod tests;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{Epoch, Generation};

/// The first bytes of every file of ours.
pub const MAGIC: [u8; 8] = *b"FLOWDSL\0";

/// The length of a frame's header in bytes.
pub const HEADER_LEN: usize = 64;

/// The oldest version of any body that this build reads.
const OLDEST_VERSION: u16 = 1;

/// What the body of a frame is, each with its own version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A slot of the log that holds a generation claim.
    Claim,
    /// A slot of the log that holds a manifest.
    Manifest,
    /// The state of one subtask, or a part of it.
    Snapshot,
    /// An entry of the job's history.
    History,
    /// What another process asks of a run.
    Request,
    /// What the run says to that.
    Reply,
}

impl FrameKind {
    const ALL: [Self; 6] = [
        Self::Claim,
        Self::Manifest,
        Self::Snapshot,
        Self::History,
        Self::Request,
        Self::Reply,
    ];

    const fn code(self) -> u16 {
        match self {
            Self::Claim => 1,
            Self::Manifest => 2,
            Self::Snapshot => 3,
            Self::History => 4,
            Self::Request => 5,
            Self::Reply => 6,
        }
    }

    /// The version of the body that this build writes; it reads this and older ones.
    pub const fn version(self) -> u16 {
        match self {
            Self::Claim | Self::Snapshot | Self::History | Self::Request | Self::Reply => 1,
            Self::Manifest => 2,
        }
    }
}

/// What a frame says of itself before its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body is.
    pub kind: FrameKind,
    /// The generation that wrote it.
    pub generation: Generation,
    /// The epoch it belongs to; of a claim, the last epoch that the claimant knew of.
    pub epoch: Epoch,
    /// The writer's nonce, by which it knows its own write again.
    pub nonce: u64,
}

/// Why bytes are not a frame of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There are fewer bytes than a header has.
    #[error("{0} bytes are too few for a header of {HEADER_LEN}")]
    TooShort(usize),
    /// The first bytes are not ours.
    #[error("it is not a file of flowdsl (wrong magic)")]
    WrongMagic,
    /// The header's checksum does not fit.
    #[error("the checksum of the header is wrong")]
    HeaderDamaged,
    /// The header is whole, but of a kind or version that this build does not know.
    #[error(
        "kind {kind}, version {version}: written by another version of flowdsl, which can read it"
    )]
    UnknownVersion {
        /// The code of the kind.
        kind: u16,
        /// The version of the body.
        version: u16,
    },
    /// It is a frame, but of another kind than it should be.
    #[error("it holds a {0:?}")]
    OtherKind(FrameKind),
    /// The body is shorter or longer than the header says.
    #[error("the body has {found} bytes instead of {expected}")]
    WrongLength {
        /// As the header says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// The body's checksum does not fit.
    #[error("the checksum of the body is wrong")]
    BodyDamaged,
}

/// Bytes with a header in front.
pub fn encode(header: &FrameHeader, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_LEN + body.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&header.kind.code().to_le_bytes());
    frame.extend_from_slice(&header.kind.version().to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    for word in [
        body.len() as u64,
        header.generation.0,
        header.epoch.0,
        header.nonce,
        xxh3_64(body),
    ] {
        frame.extend_from_slice(&word.to_le_bytes());
    }
    let checksum = xxh3_64(&frame);
    frame.extend_from_slice(&checksum.to_le_bytes());
    debug_assert_eq!(frame.len(), HEADER_LEN, "the layout in docs/formats.md");
    frame.extend_from_slice(body);
    frame
}

/// Reads the header alone; the body may be damaged.
///
/// # Errors
///
/// Whatever is wrong with the header.
pub fn decode_header(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(FrameError::TooShort(bytes.len()));
    };
    if header[..8] != MAGIC {
        return Err(FrameError::WrongMagic);
    }
    if xxh3_64(&header[..56]) != word(header, 56) {
        return Err(FrameError::HeaderDamaged);
    }
    let code = u16::from_le_bytes([header[8], header[9]]);
    let version = u16::from_le_bytes([header[10], header[11]]);
    let kind = FrameKind::ALL.into_iter().find(|kind| {
        let readable = OLDEST_VERSION..=kind.version();
        kind.code() == code && readable.contains(&version)
    });
    let kind = kind.ok_or(FrameError::UnknownVersion {
        kind: code,
        version,
    })?;
    Ok(FrameHeader {
        kind,
        generation: Generation(word(header, 24)),
        epoch: Epoch(word(header, 32)),
        nonce: word(header, 40),
    })
}

/// The version of the body of a frame whose header has been read.
pub fn version_of(bytes: &[u8]) -> Option<u16> {
    let version = bytes.get(10..12)?.try_into().ok()?;
    Some(u16::from_le_bytes(version))
}

/// Reads a frame: its header and its body, both checked.
///
/// # Errors
///
/// Whatever is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<(FrameHeader, &[u8]), FrameError> {
    let header = decode_header(bytes)?;
    let (head, body) = bytes.split_at(HEADER_LEN);
    let expected = word(head, 16);
    if expected != body.len() as u64 {
        return Err(FrameError::WrongLength {
            expected,
            found: body.len() as u64,
        });
    }
    if word(head, 48) != xxh3_64(body) {
        return Err(FrameError::BodyDamaged);
    }
    Ok((header, body))
}

/// Reads a frame that must be of this kind.
///
/// # Errors
///
/// Whatever is wrong with the bytes.
pub fn decode_kind(bytes: &[u8], kind: FrameKind) -> Result<(FrameHeader, &[u8]), FrameError> {
    let (header, body) = decode(bytes)?;
    if header.kind == kind {
        Ok((header, body))
    } else {
        Err(FrameError::OtherKind(header.kind))
    }
}

fn word(header: &[u8], at: usize) -> u64 {
    let bytes = header[at..at + 8]
        .try_into()
        .expect("eight bytes of a header of 64");
    u64::from_le_bytes(bytes)
}
