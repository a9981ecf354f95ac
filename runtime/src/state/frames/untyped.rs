//! Frames as they are stored, for whoever does not know the types of their keys and values.

use std::ops::Range;

use super::{
    CLEAR, ENTRIES, FRAME_LIMIT, HEADER, LAYOUT, LogicKind, Namespace, REMOVED, Reader, corrupt,
};
use crate::error::{Error, Result};
use crate::state::span::HashSpan;

/// What a frame does to the table that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Forgets the entries in its span.
    Clear,
    /// Forgets the keys that it lists.
    Remove,
    /// Sets the entries that it lists.
    Set,
}

/// A frame whose keys and values are still bytes.
#[derive(Debug)]
pub(crate) enum RawFrame<'a> {
    /// Opens an object.
    Header { logic: LogicKind, watermark: i64 },
    /// Changes a table.
    Table(RawChange<'a>),
}

/// What a frame says of a table.
#[derive(Debug)]
pub(crate) struct RawChange<'a> {
    pub(crate) act: Act,
    pub(crate) namespace: Namespace,
    pub(crate) span: HashSpan,
    /// The number of items.
    pub(crate) count: u32,
    /// bitcode of the keys, or of the pairs of keys and values.
    pub(crate) items: &'a [u8],
}

/// Gives each frame of an object to `see`, with the place where it stands.
///
/// # Errors
///
/// `Corrupt` or `Incompatible`, with the place, where the bytes are no frames that this version writes.
pub(crate) fn scan<'a>(
    object: &'a [u8],
    mut see: impl FnMut(Range<usize>, RawFrame<'a>) -> Result<()>,
) -> Result<()> {
    let (mut at, mut headed) = (0, false);
    while at < object.len() {
        let here = |e: Error| e.context(format!("the frame at byte {at}"));
        let (frame, len) = frame_at(&object[at..]).map_err(here)?;
        headed |= matches!(frame, RawFrame::Header { .. });
        if !headed {
            return Err(here(corrupt("it does not begin with a header")));
        }
        see(at..at + len, frame).map_err(here)?;
        at += len;
    }
    Ok(())
}

/// The frame that bytes begin with, and its length.
pub(crate) fn frame_at(bytes: &[u8]) -> Result<(RawFrame<'_>, usize)> {
    let mut rest = Reader(bytes);
    let tag = rest.u8()?;
    let length = rest.u32()? as usize;
    let mut payload = Reader(rest.take(length)?);
    let len = bytes.len() - rest.0.len();
    let act = match tag {
        HEADER => return Ok((header(&mut payload)?, len)),
        CLEAR => Act::Clear,
        REMOVED => Act::Remove,
        ENTRIES => Act::Set,
        other => return Err(corrupt(format!("there is no frame with tag {other}"))),
    };
    let (namespace, span) = payload.place()?;
    let count = match act {
        Act::Clear => {
            payload.end()?;
            0
        }
        Act::Remove | Act::Set => payload.u32()?,
    };
    if act != Act::Clear && (count == 0 || count as usize > FRAME_LIMIT) {
        return Err(corrupt(format!("a frame holds {count} items")));
    }
    let change = RawChange {
        act,
        namespace,
        span,
        count,
        items: payload.0,
    };
    Ok((RawFrame::Table(change), len))
}

fn header<'a>(payload: &mut Reader<'_>) -> Result<RawFrame<'a>> {
    let (layout, logic, watermark) = (payload.u8()?, payload.u8()?, payload.i64()?);
    payload.end()?;
    let kinds = [
        LogicKind::Values,
        LogicKind::Panes,
        LogicKind::Sessions,
        LogicKind::Process,
    ];
    let known = kinds.into_iter().find(|kind| *kind as u8 == logic);
    match (layout, known) {
        (LAYOUT, Some(logic)) => Ok(RawFrame::Header { logic, watermark }),
        _ => Err(Error::incompatible(format!(
            "keyed snapshot: layout {layout} of a stage of kind {logic} is not known, this version reads layout {LAYOUT}"
        ))),
    }
}
