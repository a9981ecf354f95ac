//! Reading Parquet: row groups as splits, columns in batches, rows by serde.
//!
//! A row group that is larger than a split is cut into ranges of rows, so that several workers can
//! share it. Only the columns that the record names are read.

mod columns;
mod fields;
mod row;

#[cfg(test)]
mod tests;

use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::columns::Column;
use self::fields::Fields;
use self::row::{Row, RowError, RowProblem};
use super::discover::{InputFile, failed, input_files, open_again};
use crate::connector::{Fill, Offset, Split, SplitReader};
use crate::error::{Error, Result};
use crate::record::RecordError;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 1024;

/// What a split of a Parquet file stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ParquetSplit {
    /// The file's name.
    file: String,
    /// Its length when it was discovered.
    file_len: u64,
    /// The row group that holds the split.
    row_group: usize,
    /// The rows of the row group before the split.
    skip: u64,
    /// The rows of the split.
    rows: u64,
    /// The rows of the file before the split.
    rows_before: u64,
}

/// Finds the splits of the files at `path`.
pub(super) fn discover(path: &Path, split_rows: u64) -> Result<Vec<Split>> {
    let mut splits = Vec::new();
    for input in input_files(path, "parquet")? {
        let file = fs::File::open(&input.path).map_err(|e| failed(&input.path, &e))?;
        let reader = SerializedFileReader::new(file).map_err(|e| unreadable(&input.path, &e))?;
        let rows = reader
            .metadata()
            .row_groups()
            .iter()
            .map(|group| group.num_rows().max(0) as u64);
        splits.extend(cut_row_groups(
            &input,
            &rows.collect::<Vec<_>>(),
            split_rows,
        ));
    }
    Ok(splits)
}

/// Cuts row groups into ranges of at most `split_rows` rows of about the same length.
fn cut_row_groups(input: &InputFile, rows: &[u64], split_rows: u64) -> Vec<Split> {
    let mut splits = Vec::new();
    let mut group_start = 0;
    for (row_group, rows) in rows.iter().copied().enumerate() {
        let parts = rows.div_ceil(split_rows);
        for part in 0..parts {
            let (skip, end) = (part * rows / parts, (part + 1) * rows / parts);
            let rows_before = group_start + skip;
            let (file, file_len) = (input.name.clone(), input.len);
            let spec = ParquetSplit {
                file,
                file_len,
                row_group,
                skip,
                rows: end - skip,
                rows_before,
            };
            splits.push(Split::new(input.split_id(rows_before), &spec));
        }
        group_start += rows;
    }
    splits
}

/// The error of a file that is no good Parquet, or cannot be read.
fn unreadable(path: &Path, error: &ParquetError) -> Error {
    let io = match error {
        ParquetError::External(e) => e.downcast_ref::<std::io::Error>(),
        _ => None,
    };
    io.map_or_else(
        || {
            Error::invalid(format!(
                "cannot read {} as Parquet: {error}",
                path.display()
            ))
        },
        |e| failed(path, e),
    )
}

/// An open split of a Parquet file.
pub(super) struct ParquetReader<T> {
    path: PathBuf,
    split: ParquetSplit,
    columns: Vec<Column>,
    /// The names of all columns of the file, for messages.
    names: String,
    /// The rows of the split before the next record.
    at: u64,
    /// The place of the next record in the decoded batch, and the batch's length.
    in_batch: usize,
    batch_rows: usize,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> ParquetReader<T> {
    /// Opens a split of the source at `path`.
    pub(super) fn open(path: &Path, split: &Split, from: Option<&Offset>) -> Result<Self> {
        let split: ParquetSplit = split.decode_spec()?;
        let at = from.map_or(Ok(0), Offset::decode::<u64>)?;
        let (path, file) = open_again(path, &split.file, split.file_len)?;
        let reader = SerializedFileReader::new(file).map_err(|e| unreadable(&path, &e))?;
        let group = reader
            .get_row_group(split.row_group)
            .map_err(|e| unreadable(&path, &e))?;
        let rows = group.metadata().num_rows().max(0) as u64;
        if split.skip + split.rows > rows || at > split.rows {
            let (n, wanted) = (split.row_group, split.skip + split.rows);
            let message = format!(
                "{} was changed: row group {n} had {wanted} rows, and now has {rows}",
                path.display()
            );
            return Err(Error::invalid(message));
        }
        let mut columns = columns::open(&path, &*group, &Fields::of::<T>())?;
        for column in &mut columns {
            column
                .skip(split.skip + at)
                .map_err(|e| unreadable(&path, &e))?;
        }
        let schema = group.metadata().schema_descr();
        let names = fields::listed(
            schema
                .columns()
                .iter()
                .map(|c| c.path().parts()[0].as_str()),
        );
        Ok(Self {
            path,
            split,
            columns,
            names,
            at,
            in_batch: 0,
            batch_rows: 0,
            item: PhantomData,
        })
    }

    fn next_batch(&mut self) -> Result<()> {
        let rows = (self.split.rows - self.at).min(BATCH_ROWS as u64) as usize;
        let first = self.row_number();
        for column in &mut self.columns {
            let read = column.read(rows).map_err(|e| unreadable(&self.path, &e))?;
            if read != rows {
                let (name, row) = (&column.name, first + read as u64);
                return Err(Error::invalid(format!(
                    "{}: column `{name}` ends before row {row}",
                    self.path.display()
                )));
            }
        }
        (self.in_batch, self.batch_rows) = (0, rows);
        Ok(())
    }

    /// The number of the next record in the file, from 1.
    fn row_number(&self) -> u64 {
        self.split.rows_before + self.at + 1
    }

    /// An error of the record, if others may be right, or of the file.
    fn error(&self, error: &RowError) -> Result<RecordError> {
        let path = self.path.display();
        let column = error.column.map(|i| &self.columns[i]);
        match (&*error.problem, column) {
            (RowProblem::Value(message), _) => {
                let message = column.map_or(message.clone(), |c| {
                    format!("column `{}`: {message}", c.name)
                });
                let raw = String::new();
                Ok(RecordError {
                    origin: path.to_string(),
                    line: self.row_number(),
                    column: None,
                    message,
                    raw,
                })
            }
            (RowProblem::Missing(field), _) => {
                let names = &self.names;
                Err(Error::invalid(format!(
                    "{path} has no column `{field}`, which the record needs; it has {names}"
                )))
            }
            (RowProblem::Type { found, wanted }, Some(c)) => {
                let (name, of) = (&c.name, &c.type_name);
                Err(Error::invalid(format!(
                    "{path}: column `{name}` is {of}, read as {found}; the record wants {wanted}"
                )))
            }
            (RowProblem::Type { found, wanted }, None) => Err(Error::invalid(format!(
                "{path}: a row is {found}, the record wants {wanted}"
            ))),
        }
    }
}

impl<T: DeserializeOwned> SplitReader for ParquetReader<T> {
    type Item = T;

    fn fill(
        &mut self,
        out: &mut Vec<T>,
        errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill> {
        let mut left = limit;
        while left > 0 && self.at < self.split.rows {
            if self.in_batch == self.batch_rows {
                self.next_batch()?;
            }
            let n = left.min(self.batch_rows - self.in_batch);
            out.reserve(n);
            for row in self.in_batch..self.in_batch + n {
                match T::deserialize(Row {
                    columns: &self.columns,
                    row,
                }) {
                    Ok(item) => out.push(item),
                    Err(error) => errors.push(self.error(&error)?),
                }
                self.at += 1;
            }
            self.in_batch += n;
            left -= n;
        }
        Ok(if self.at == self.split.rows {
            Fill::Finished
        } else {
            Fill::More
        })
    }

    fn offset(&self) -> Offset {
        Offset::encode(&self.at)
    }
}
