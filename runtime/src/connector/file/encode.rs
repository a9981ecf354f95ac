//! Records as rows of bytes.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use ::csv::{Writer, WriterBuilder};
use serde::Serialize;

use super::{Csv, Header, Jsonl};
use crate::error::{Error, Result};

/// A format in which a [`File`](super::File) can be written.
pub trait RowFormat: Clone + Send + Sync + 'static {
    /// The extension of its files.
    const EXTENSION: &'static str;

    /// What encodes the rows of one file.
    type Encoder: RowEncoder;

    /// An encoder for a new file.
    fn encoder(&self) -> Self::Encoder;
}

/// Encodes the rows of one file, one after the other.
pub trait RowEncoder: 'static {
    /// Appends a record to `out`, with what has to stand before the first one.
    ///
    /// # Errors
    ///
    /// `Invalid` if the record has no form in this format, such as a list within CSV. Nothing is
    /// appended then.
    fn encode<T: Serialize>(&mut self, record: &T, out: &mut Vec<u8>) -> Result<()>;
}

impl RowFormat for Jsonl {
    const EXTENSION: &'static str = "jsonl";

    type Encoder = JsonlEncoder;

    fn encoder(&self) -> JsonlEncoder {
        JsonlEncoder
    }
}

/// Encodes JSON lines.
#[derive(Debug)]
pub struct JsonlEncoder;

impl RowEncoder for JsonlEncoder {
    fn encode<T: Serialize>(&mut self, record: &T, out: &mut Vec<u8>) -> Result<()> {
        let len = out.len();
        if let Err(e) = serde_json::to_writer(&mut *out, record) {
            out.truncate(len);
            return Err(Error::invalid(format!(
                "a record cannot be written as JSON: {e}"
            )));
        }
        out.push(b'\n');
        Ok(())
    }
}

impl RowFormat for Csv {
    const EXTENSION: &'static str = "csv";

    type Encoder = CsvEncoder;

    fn encoder(&self) -> CsvEncoder {
        let rows = Rows::default();
        let mut builder = WriterBuilder::new();
        builder
            .has_headers(self.header == Header::Present)
            .buffer_capacity(1024);
        CsvEncoder {
            writer: builder.from_writer(rows.clone()),
            rows,
        }
    }
}

/// Encodes CSV rows, after a header where one is wanted and the record has field names.
pub struct CsvEncoder {
    writer: Writer<Rows>,
    rows: Rows,
}

impl RowEncoder for CsvEncoder {
    fn encode<T: Serialize>(&mut self, record: &T, out: &mut Vec<u8>) -> Result<()> {
        let written = self
            .writer
            .serialize(record)
            .and_then(|()| Ok(self.writer.flush()?));
        let mut rows = self.rows.0.borrow_mut();
        written.map_err(|e| Error::invalid(format!("a record cannot be written as CSV: {e}")))?;
        out.append(&mut rows);
        Ok(())
    }
}

/// What a `csv` writer has written, shared with its owner, since the writer does not lend it out.
#[derive(Clone, Default)]
struct Rows(Rc<RefCell<Vec<u8>>>);

impl io::Write for Rows {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
