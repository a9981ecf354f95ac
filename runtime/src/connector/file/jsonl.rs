//! Reading JSON lines. A line break is always the end of a record.

use std::fs;
use std::io::{BufRead, BufReader, Read, Take};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::discover::{failed, input_files, open_again, shrunk};
use super::lines::{
    Quotes, READ_BYTES, TextPosition, TextSplit, cut_at_lines, first_position, open_range,
    record_error, splits_at,
};
use crate::connector::{Fill, Offset, Split, SplitReader};
use crate::error::{Error, Result};
use crate::record::RecordError;

/// A line as long as this is no record, but another kind of file.
const MAX_LINE_BYTES: u64 = 256 << 20;

/// Finds the splits of the files at `path`.
pub(super) fn discover(path: &Path, split_size: u64) -> Result<Vec<Split>> {
    let mut splits = Vec::new();
    for input in input_files(path, "jsonl")? {
        let starts = fs::File::open(&input.path).and_then(|mut file| {
            let start = first_position(&mut file)?;
            cut_at_lines(&mut file, start, input.len, split_size, Quotes::Ignored)
        });
        let starts = starts.map_err(|e| failed(&input.path, &e))?;
        splits.extend(splits_at(&input, &starts.unwrap_or_default(), None));
    }
    Ok(splits)
}

/// An open split of a file of JSON lines.
pub(super) struct JsonlReader<T> {
    path: PathBuf,
    input: BufReader<Take<fs::File>>,
    split: TextSplit,
    at: TextPosition,
    line: Vec<u8>,
    item: PhantomData<fn() -> T>,
}

impl<T> JsonlReader<T> {
    /// Opens a split of the source at `path`.
    pub(super) fn open(path: &Path, split: &Split, from: Option<&Offset>) -> Result<Self> {
        let split: TextSplit = split.decode_spec()?;
        let (path, file) = open_again(path, &split.file, split.file_len)?;
        let (range, at) = open_range(&path, file, &split, from)?;
        let input = BufReader::with_capacity(READ_BYTES, range);
        Ok(Self {
            path,
            input,
            split,
            at,
            line: Vec::new(),
            item: PhantomData,
        })
    }
}

impl<T: DeserializeOwned> SplitReader for JsonlReader<T> {
    type Item = T;

    fn fill(
        &mut self,
        out: &mut Vec<T>,
        errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill> {
        let mut read = 0;
        while read < limit {
            self.line.clear();
            let mut input = (&mut self.input).take(MAX_LINE_BYTES);
            let n = input
                .read_until(b'\n', &mut self.line)
                .map_err(|e| failed(&self.path, &e))?;
            if n as u64 == MAX_LINE_BYTES {
                let (path, line) = (self.path.display(), self.at.line);
                return Err(Error::invalid(format!(
                    "{path}:{line}: the line is longer than {MAX_LINE_BYTES} bytes"
                )));
            }
            if n == 0 {
                if self.at.byte < self.split.end {
                    return Err(shrunk(&self.path, self.split.file_len, self.at.byte));
                }
                return Ok(Fill::Finished);
            }
            let line = self.line.trim_ascii();
            if !line.is_empty() {
                read += 1;
                match serde_json::from_slice(line) {
                    Ok(item) => out.push(item),
                    Err(e) => errors.push(json_error(&self.path, self.at.line, &e, &self.line)),
                }
            }
            self.at = TextPosition {
                byte: self.at.byte + n as u64,
                line: self.at.line + 1,
            };
        }
        Ok(Fill::More)
    }

    fn offset(&self) -> Offset {
        Offset::encode(&self.at)
    }
}

fn json_error(path: &Path, line: u64, error: &serde_json::Error, raw: &[u8]) -> RecordError {
    // serde_json ends its messages with its own line, which here is always 1.
    let message = error.to_string();
    let message = message
        .split(" at line 1 column")
        .next()
        .unwrap_or_default()
        .to_owned();
    let indent = raw.len() - raw.trim_ascii_start().len();
    let column = (error.column() > 0).then_some((error.column() + indent) as u64);
    record_error(path, line, column, message, raw.trim_ascii_end())
}
