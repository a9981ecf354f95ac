//! Text files as splits: ranges of bytes that begin and end between records.
//!
//! A file that is larger than a split is read once, when its splits are discovered; so a split
//! knows the number of its first line, and errors can name lines whichever worker reads them.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::discover::{InputFile, failed};
use crate::connector::{Offset, Split};
use crate::error::{Error, Result};
use crate::record::RecordError;

/// Bytes that are read at once.
pub(super) const READ_BYTES: usize = 256 << 10;

/// The length to which a record is cut in an error.
const RAW_BYTES: usize = 1024;

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// What a split of a text file stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextSplit {
    /// The file's name.
    pub(super) file: String,
    /// Its length when it was discovered; a file may grow, but not shrink.
    pub(super) file_len: u64,
    /// Where the split begins.
    pub(super) start: TextPosition,
    /// The byte behind its last.
    pub(super) end: u64,
    /// The names of the columns, if a header names them.
    pub(super) header: Option<Vec<String>>,
}

/// A place in a text file; also the offset of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextPosition {
    /// The byte, from 0.
    pub(super) byte: u64,
    /// The line that begins there, from 1.
    pub(super) line: u64,
}

/// Where the records of a file begin: behind its byte order mark, if it has one.
pub(super) fn first_position(file: &mut fs::File) -> io::Result<TextPosition> {
    let mut head = Vec::with_capacity(BOM.len());
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file)
        .take(BOM.len() as u64)
        .read_to_end(&mut head)?;
    let byte = if head == BOM { BOM.len() as u64 } else { 0 };
    Ok(TextPosition { byte, line: 1 })
}

/// The splits of a file whose records begin at the given positions, in order.
pub(super) fn splits_at(
    file: &InputFile,
    starts: &[TextPosition],
    header: Option<&Vec<String>>,
) -> Vec<Split> {
    let ends = starts
        .iter()
        .skip(1)
        .map(|next| next.byte)
        .chain([file.len]);
    let splits = starts
        .iter()
        .zip(ends)
        .filter(|(start, end)| start.byte < *end)
        .map(|(start, end)| {
            let (file_len, header) = (file.len, header.cloned());
            let spec = TextSplit {
                file: file.name.clone(),
                file_len,
                start: *start,
                end,
                header,
            };
            Split::new(file.split_id(start.byte), &spec)
        });
    splits.collect()
}

/// What a line break within quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// The end of a record, as anywhere.
    Ignored,
    /// A part of the record: lines alone do not tell where records begin.
    HideLineBreaks,
}

/// Cuts `[start, end)` behind line breaks into parts of at least `size` bytes, and gives where
/// each part begins. `None` if there is a quote that might hide a line break.
pub(super) fn cut_at_lines(
    file: &mut fs::File,
    start: TextPosition,
    end: u64,
    size: u64,
    quotes: Quotes,
) -> io::Result<Option<Vec<TextPosition>>> {
    let mut starts = vec![start];
    if end.saturating_sub(start.byte) <= size {
        return Ok(Some(starts));
    }
    file.seek(SeekFrom::Start(start.byte))?;
    let mut input = Read::by_ref(file).take(end - start.byte);
    let mut buffer = vec![0; READ_BYTES];
    let mut at = start;
    let mut target = start.byte + size;
    loop {
        let n = input.read(&mut buffer)?;
        let mut chunk = &buffer[..n];
        if n == 0 {
            return Ok(Some(starts));
        }
        if quotes == Quotes::HideLineBreaks && chunk.contains(&b'"') {
            return Ok(None);
        }
        while !chunk.is_empty() {
            // The first line break at or behind the byte before the target ends the part.
            let from = (target.saturating_sub(at.byte + 1)).min(chunk.len() as u64) as usize;
            let found = chunk[from..]
                .iter()
                .position(|b| *b == b'\n')
                .map(|i| from + i + 1);
            let (passed, rest) = chunk.split_at(found.unwrap_or(chunk.len()));
            at.byte += passed.len() as u64;
            at.line += count_lines(passed);
            if found.is_some() && at.byte < end {
                starts.push(at);
                target = at.byte + size;
            }
            chunk = rest;
        }
    }
}

/// The number of line breaks in `bytes`.
#[expect(
    clippy::naive_bytecount,
    reason = "compilers make SIMD of it, and the disk is slower"
)]
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// Opens a split's range of bytes for reading, from `from` or from its start.
pub(super) fn open_range(
    path: &Path,
    mut file: fs::File,
    split: &TextSplit,
    from: Option<&Offset>,
) -> Result<(io::Take<fs::File>, TextPosition)> {
    let at = from.map_or(Ok(split.start), Offset::decode::<TextPosition>)?;
    if at.byte < split.start.byte || at.byte > split.end {
        let (start, end) = (split.start.byte, split.end);
        let message = format!(
            "the offset {} of {} is outside its split {start}..{end}",
            at.byte,
            path.display()
        );
        return Err(Error::corrupt(message));
    }
    file.seek(SeekFrom::Start(at.byte))
        .map_err(|e| failed(path, &e))?;
    Ok((file.take(split.end - at.byte), at))
}

/// The error of a record, with the place where it begins.
pub(super) fn record_error(
    path: &Path,
    line: u64,
    column: Option<u64>,
    message: String,
    raw: &[u8],
) -> RecordError {
    let raw = String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES)]).into_owned();
    RecordError {
        origin: path.display().to_string(),
        line,
        column,
        message,
        raw,
    }
}

/// The most bytes of a record that an error shows.
pub(super) fn shown(len: u64) -> usize {
    len.min(RAW_BYTES as u64) as usize
}
