//! Reading CSV: `csv` parses, this file knows where records begin and where they are wrong.
//!
//! Quotes may hide line breaks. A file without any quote is cut at line breaks; one that has
//! quotes and is larger than a split is parsed once, when its splits are discovered.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Take};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ::csv::{ByteRecord, DeserializeError, ErrorKind, Reader, ReaderBuilder};
use serde::de::DeserializeOwned;

use super::Header;
use super::discover::{InputFile, failed, input_files, open_again, shrunk};
use super::lines::{
    Quotes, READ_BYTES, TextPosition, TextSplit, count_lines, cut_at_lines, first_position,
    open_range, record_error, shown, splits_at,
};
use crate::connector::{Fill, Offset, Split, SplitReader};
use crate::error::{Error, Result};
use crate::record::RecordError;

/// Finds the splits of the files at `path`.
pub(super) fn discover(path: &Path, header: Header, split_size: u64) -> Result<Vec<Split>> {
    let mut splits = Vec::new();
    for input in input_files(path, "csv")? {
        splits.extend(discover_file(&input, header, split_size)?);
    }
    Ok(splits)
}

fn discover_file(input: &InputFile, header: Header, split_size: u64) -> Result<Vec<Split>> {
    let unreadable = |e| failed(&input.path, &e);
    let mut file = fs::File::open(&input.path).map_err(unreadable)?;
    let mut start = first_position(&mut file).map_err(unreadable)?;
    let mut names = None;
    if header == Header::Present {
        let mut records = Records::open(&input.path, &mut file, start, input.len)?;
        let mut record = ByteRecord::new();
        if !records.read(&mut record)? {
            return Ok(Vec::new());
        }
        names = Some(column_names(&input.path, &record)?);
        start = records.position();
    }
    let cut = cut_at_lines(
        &mut file,
        start,
        input.len,
        split_size,
        Quotes::HideLineBreaks,
    )
    .map_err(unreadable)?;
    let starts = match cut {
        Some(starts) => starts,
        None => cut_at_records(&input.path, &mut file, start, input.len, split_size)?,
    };
    Ok(splits_at(input, &starts, names.as_ref()))
}

fn column_names(path: &Path, record: &ByteRecord) -> Result<Vec<String>> {
    let names = record
        .iter()
        .map(|name| std::str::from_utf8(name).map(str::to_owned));
    names
        .collect::<Result<_, _>>()
        .map_err(|_| Error::invalid(format!("the header of {} is not UTF-8", path.display())))
}

/// Cuts `[start, end)` into parts of at least `size` bytes that begin with a record, by parsing it.
fn cut_at_records(
    path: &Path,
    file: &mut fs::File,
    start: TextPosition,
    end: u64,
    size: u64,
) -> Result<Vec<TextPosition>> {
    let mut starts = vec![start];
    let mut target = start.byte + size;
    let mut records = Records::open(path, file, start, end)?;
    let mut record = ByteRecord::new();
    while records.read(&mut record)? {
        let at = records.position();
        if at.byte >= target && at.byte < end {
            starts.push(at);
            target = at.byte + size;
        }
    }
    Ok(starts)
}

/// The records of a range of a file, with their places in the file.
struct Records<'a, R> {
    path: &'a Path,
    reader: Reader<R>,
    start: TextPosition,
}

impl<'a> Records<'a, Take<&'a mut fs::File>> {
    fn open(path: &'a Path, file: &'a mut fs::File, start: TextPosition, end: u64) -> Result<Self> {
        file.seek(SeekFrom::Start(start.byte))
            .map_err(|e| failed(path, &e))?;
        Ok(Self {
            path,
            reader: csv_reader(file.take(end - start.byte)),
            start,
        })
    }

    fn read(&mut self, record: &mut ByteRecord) -> Result<bool> {
        self.reader
            .read_byte_record(record)
            .map_err(|e| unreadable(self.path, &e))
    }

    fn position(&self) -> TextPosition {
        position_of(&self.reader, self.start)
    }
}

/// The place of the next record; behind a carriage return it may be that of its line feed.
fn position_of<R: Read>(reader: &Reader<R>, start: TextPosition) -> TextPosition {
    let position = reader.position();
    TextPosition {
        byte: start.byte + position.byte(),
        line: start.line + position.line() - 1,
    }
}

fn csv_reader<R: Read>(input: R) -> Reader<R> {
    // The number of fields is checked by us, against the header, so that a record of the wrong
    // length is an error of that record.
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(READ_BYTES)
        .from_reader(input)
}

fn unreadable(path: &Path, error: &::csv::Error) -> Error {
    match error.kind() {
        ErrorKind::Io(e) => failed(path, e),
        _ => Error::invalid(format!("cannot read {}: {error}", path.display())),
    }
}

/// An open split of a CSV file.
pub(super) struct CsvReader<T> {
    path: PathBuf,
    reader: Reader<Take<fs::File>>,
    split: TextSplit,
    header: Option<ByteRecord>,
    opened_at: TextPosition,
    record: ByteRecord,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> CsvReader<T> {
    /// Opens a split of the source at `path`.
    pub(super) fn open(path: &Path, split: &Split, from: Option<&Offset>) -> Result<Self> {
        let split: TextSplit = split.decode_spec()?;
        let (path, file) = open_again(path, &split.file, split.file_len)?;
        let (range, opened_at) = open_range(&path, file, &split, from)?;
        let header = split
            .header
            .as_ref()
            .map(|names| ByteRecord::from(names.as_slice()));
        let reader = csv_reader(range);
        Ok(Self {
            path,
            reader,
            split,
            header,
            opened_at,
            record: ByteRecord::new(),
            item: PhantomData,
        })
    }

    fn decode(&self) -> Result<T, Problem> {
        let Some(header) = &self.header else {
            return self
                .record
                .deserialize(None)
                .map_err(|e| Problem::of(&e, &self.split));
        };
        if self.record.len() != header.len() {
            let (found, wanted) = (self.record.len(), header.len());
            let message = format!("the record has {found} fields, the header has {wanted}");
            return Err(Problem {
                column: None,
                message,
            });
        }
        self.record
            .deserialize(Some(header))
            .map_err(|e| Problem::of(&e, &self.split))
    }

    fn error(&self, problem: Problem) -> Result<RecordError> {
        let begin = self.record.position().map_or(0, ::csv::Position::byte) + self.opened_at.byte;
        let line =
            self.record.position().map_or(1, ::csv::Position::line) + self.opened_at.line - 1;
        let len = position_of(&self.reader, self.opened_at)
            .byte
            .saturating_sub(begin);
        let raw = read_at(&self.path, begin, shown(len)).map_err(|e| failed(&self.path, &e))?;
        // Line breaks before the record (the line feed of the line before, empty lines) are not in it.
        let skipped = raw
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        let line = line + count_lines(&raw[..skipped]);
        Ok(record_error(
            &self.path,
            line,
            problem.column,
            problem.message,
            raw[skipped..].trim_ascii_end(),
        ))
    }
}

impl<T: DeserializeOwned> SplitReader for CsvReader<T> {
    type Item = T;

    fn fill(
        &mut self,
        out: &mut Vec<T>,
        errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill> {
        for _ in 0..limit {
            if !self
                .reader
                .read_byte_record(&mut self.record)
                .map_err(|e| unreadable(&self.path, &e))?
            {
                let at = position_of(&self.reader, self.opened_at).byte;
                if at < self.split.end {
                    return Err(shrunk(&self.path, self.split.file_len, at));
                }
                return Ok(Fill::Finished);
            }
            match self.decode() {
                Ok(item) => out.push(item),
                Err(problem) => errors.push(self.error(problem)?),
            }
        }
        Ok(Fill::More)
    }

    fn offset(&self) -> Offset {
        Offset::encode(&position_of(&self.reader, self.opened_at))
    }
}

/// What is wrong with a record.
struct Problem {
    column: Option<u64>,
    message: String,
}

impl Problem {
    fn of(error: &::csv::Error, split: &TextSplit) -> Self {
        let ErrorKind::Deserialize { err, .. } = error.kind() else {
            return Self {
                column: None,
                message: error.to_string(),
            };
        };
        let column = err.field().map(|field| field + 1);
        Self {
            column,
            message: in_column(err, split),
        }
    }
}

fn in_column(error: &DeserializeError, split: &TextSplit) -> String {
    let names = split.header.as_ref();
    let name = error.field().and_then(|field| names?.get(field as usize));
    name.map_or(error.kind().to_string(), |name| {
        format!("column `{name}`: {}", error.kind())
    })
}

fn read_at(path: &Path, begin: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::with_capacity(len);
    file.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
