//! Files: CSV and JSON lines to read and to write, Parquet to read.
//!
//! One value, [`File`], is a source or a sink, whichever the flow asks for. Reading is cut into
//! splits that are fixed when they are discovered; writing is exactly-once: rows are staged in a
//! hidden directory and appear by an atomic rename once a checkpoint holds them.

mod csv;
mod discover;
mod encode;
mod jsonl;
mod lines;
mod output;
#[cfg(feature = "parquet")]
mod parquet;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use encode::{RowEncoder, RowFormat};
pub use output::FileWriter;

use crate::connector::{Offset, Sink, SinkContext, SinkGuarantee, Source, Split, SplitReader};
use crate::error::Result;

/// Bytes of text in a split unless the source says otherwise.
const SPLIT_BYTES: u64 = 32 << 20;

/// Rows of Parquet in a split unless the source says otherwise.
#[cfg(feature = "parquet")]
const SPLIT_ROWS: u64 = 1 << 18;

/// Files of records of type `T`: a source or an exactly-once sink.
///
/// As a source, the path is a file, or a directory whose files with the format's extension are
/// read in the order of their names. As a sink, it is a directory, in which only complete files of
/// committed rows are ever visible:
/// `part-g000001-e0000000003-0000000007-w0000-n000000.csv` is a file that worker 0 of the job's
/// first run began in epoch 3 and finished in epoch 7. The directory belongs to one stage of one
/// job; what is staged stands in `.flowdsl/` below it.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::connector::{File, Roll, Source};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Flight {
///     origin: String,
///     delay: i64,
/// }
///
/// let flights = File::csv::<Flight>("flights.csv");
/// assert_eq!(flights.describe(), "csv flights.csv");
/// let alarms = File::jsonl::<Flight>("alarms").roll(Roll::Size(64 << 20));
/// # let _ = alarms;
/// ```
pub struct File<T, F> {
    path: PathBuf,
    format: F,
    split_size: u64,
    roll: Roll,
    item: PhantomData<fn() -> T>,
}

/// Comma-separated values, with a header line unless it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Csv {
    header: Header,
}

/// One JSON value a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jsonl;

/// Parquet, read by row groups. It is no sink.
#[cfg(feature = "parquet")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parquet;

/// Whether the first line of a CSV file names the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Present,
    Absent,
}

/// When a file sink finishes a file and begins the next one.
///
/// A finished file becomes visible when the next checkpoint completes; an unfinished one when it
/// is finished, or when the job has read all its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roll {
    /// At every checkpoint: rows are visible soonest, in the most files.
    #[default]
    EveryCheckpoint,
    /// When the file has this many bytes.
    Size(u64),
    /// At the first checkpoint at which the file is this old.
    Time(Duration),
}

impl File<(), ()> {
    /// CSV files. A record is a struct whose fields are named like the columns; without a header,
    /// a struct or tuple in the order of the columns.
    ///
    /// A file that is larger than a split is read once when the splits are discovered, to cut it
    /// between records (a line break in quotes is none) and to count its lines.
    pub fn csv<T>(path: impl AsRef<Path>) -> File<T, Csv> {
        File::new(
            path.as_ref(),
            Csv {
                header: Header::Present,
            },
            SPLIT_BYTES,
        )
    }

    /// Files of JSON lines. Empty lines are no records.
    pub fn jsonl<T>(path: impl AsRef<Path>) -> File<T, Jsonl> {
        File::new(path.as_ref(), Jsonl, SPLIT_BYTES)
    }

    /// Parquet files, to be read.
    ///
    /// A record is a struct whose fields are named like the columns; columns that it does not name
    /// are not read. Integers, floats, booleans and strings are read as such, nulls as `Option`;
    /// timestamps of any unit, and dates at midnight, as `i64` milliseconds since the Unix epoch;
    /// times of day as integers in their own unit; other byte arrays as bytes. Decimals, 16-bit
    /// floats and nested columns are refused when the record names them.
    #[cfg(feature = "parquet")]
    pub fn parquet<T>(path: impl AsRef<Path>) -> File<T, Parquet> {
        File::new(path.as_ref(), Parquet, SPLIT_ROWS)
    }
}

impl<T, F> File<T, F> {
    fn new(path: &Path, format: F, split_size: u64) -> Self {
        let path = path.to_owned();
        Self {
            path,
            format,
            split_size,
            roll: Roll::default(),
            item: PhantomData,
        }
    }

    /// Cuts what is read into splits of about this many bytes (CSV, JSON lines) or rows
    /// (Parquet, where a split is never larger than a row group). It holds for jobs that start
    /// afresh: splits are fixed when they are first discovered.
    pub fn split_size(mut self, size: u64) -> Self {
        self.split_size = size.max(1);
        self
    }
}

impl<T, F: RowFormat> File<T, F> {
    /// Sets when a written file is finished and the next one begun.
    pub fn roll(mut self, roll: Roll) -> Self {
        self.roll = roll;
        self
    }
}

impl<T> File<T, Csv> {
    /// Reads and writes files without a header line.
    pub fn no_header(mut self) -> Self {
        self.format.header = Header::Absent;
        self
    }
}

impl<T, F: Clone> Clone for File<T, F> {
    fn clone(&self) -> Self {
        let Self {
            path,
            format,
            split_size,
            roll,
            item,
        } = self;
        Self {
            path: path.clone(),
            format: format.clone(),
            split_size: *split_size,
            roll: *roll,
            item: *item,
        }
    }
}

impl<T: DeserializeOwned + 'static> Source for File<T, Csv> {
    type Item = T;

    fn describe(&self) -> String {
        format!("csv {}", self.path.display())
    }

    fn discover(&self) -> Result<Vec<Split>> {
        csv::discover(&self.path, self.format.header, self.split_size)
    }

    fn open(&self, split: &Split, from: Option<&Offset>) -> Result<Box<dyn SplitReader<Item = T>>> {
        Ok(Box::new(csv::CsvReader::open(&self.path, split, from)?))
    }
}

impl<T: DeserializeOwned + 'static> Source for File<T, Jsonl> {
    type Item = T;

    fn describe(&self) -> String {
        format!("jsonl {}", self.path.display())
    }

    fn discover(&self) -> Result<Vec<Split>> {
        jsonl::discover(&self.path, self.split_size)
    }

    fn open(&self, split: &Split, from: Option<&Offset>) -> Result<Box<dyn SplitReader<Item = T>>> {
        Ok(Box::new(jsonl::JsonlReader::open(&self.path, split, from)?))
    }
}

#[cfg(feature = "parquet")]
impl<T: DeserializeOwned + 'static> Source for File<T, Parquet> {
    type Item = T;

    fn describe(&self) -> String {
        format!("parquet {}", self.path.display())
    }

    fn discover(&self) -> Result<Vec<Split>> {
        parquet::discover(&self.path, self.split_size)
    }

    fn open(&self, split: &Split, from: Option<&Offset>) -> Result<Box<dyn SplitReader<Item = T>>> {
        Ok(Box::new(parquet::ParquetReader::open(
            &self.path, split, from,
        )?))
    }
}

impl<T: Serialize + 'static, F: RowFormat> Sink<T> for File<T, F> {
    type Writer = FileWriter<F>;

    fn describe(&self) -> String {
        format!("{} {}", F::EXTENSION, self.path.display())
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::ExactlyOnce(output::transactional(&self.path, F::EXTENSION))
    }

    fn open(&self, context: &SinkContext) -> Result<FileWriter<F>> {
        FileWriter::open(&self.path, self.format.clone(), self.roll, context)
    }
}
