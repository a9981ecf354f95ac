//! Sinks that write at once: after a crash they see some records again.

use std::fmt::Display;
use std::io::{self, Stdout as Terminal, Write};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::connector::{Barrier, PendingCommit, Sink, SinkContext, SinkGuarantee, SinkWriter};
use crate::error::{Error, Result};
use crate::ids::Epoch;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 8 << 10;

/// The longest that a line waits while others follow it.
const MAX_DELAY: Duration = Duration::from_millis(50);

/// Prints records, one a line: as JSON, or as they display themselves.
///
/// Lines appear in blocks, and all of them at each checkpoint.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::connector::{Sink, Stdout};
///
/// assert_eq!(Sink::<(u64, String)>::describe(&Stdout::new()), "stdout");
/// assert_eq!(Sink::<String>::describe(&Stdout::display()), "stdout");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stdout<F = JsonLines> {
    pub(super) format: F,
}

/// Lines of JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonLines;

/// Lines as [`Display`] gives them.
#[derive(Clone, Copy, Debug)]
pub struct Displayed;

impl Stdout<JsonLines> {
    /// Prints records as JSON.
    pub fn new() -> Self {
        Self { format: JsonLines }
    }
}

impl Default for Stdout<JsonLines> {
    fn default() -> Self {
        Self::new()
    }
}

impl Stdout<Displayed> {
    /// Prints records as they display themselves.
    pub fn display() -> Self {
        Self { format: Displayed }
    }
}

/// How a record becomes a line.
pub trait LineFormat<T>: Copy + 'static {
    /// Appends the record to `out`, without the line break.
    fn append(self, record: &T, out: &mut Vec<u8>) -> io::Result<()>;
}

impl<T: Serialize> LineFormat<T> for JsonLines {
    fn append(self, record: &T, out: &mut Vec<u8>) -> io::Result<()> {
        Ok(serde_json::to_writer(out, record)?)
    }
}

impl<T: Display> LineFormat<T> for Displayed {
    fn append(self, record: &T, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "{record}")
    }
}

impl<T: 'static, F: LineFormat<T>> Sink<T> for Stdout<F> {
    type Writer = LineWriter<F, Terminal>;

    fn describe(&self) -> String {
        "stdout".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::Plain
    }

    fn open(&self, context: &SinkContext) -> Result<Self::Writer> {
        Ok(LineWriter::new(
            self.format,
            io::stdout(),
            context.clock.clone(),
        ))
    }
}

/// A [`Stdout`] that is open on one worker.
pub struct LineWriter<F, W> {
    format: F,
    output: W,
    buffer: Vec<u8>,
    clock: Clock,
    written: Duration,
}

impl<F, W: Write> LineWriter<F, W> {
    pub(super) fn new(format: F, output: W, clock: Clock) -> Self {
        let written = clock.now();
        Self {
            format,
            output,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            clock,
            written,
        }
    }

    fn flush(&mut self) -> Result<()> {
        let flushed = self
            .output
            .write_all(&self.buffer)
            .and_then(|()| self.output.flush());
        self.buffer.clear();
        self.written = self.clock.now();
        flushed.map_err(|e| Error::unavailable(format!("cannot write to standard output: {e}")))
    }
}

impl<T, F: LineFormat<T>, W: Write + 'static> SinkWriter<T> for LineWriter<F, W> {
    fn write(&mut self, record: T) -> Result<()> {
        let appended = self.format.append(&record, &mut self.buffer);
        appended.map_err(|e| Error::invalid(format!("a record cannot be printed: {e}")))?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES
            || self.clock.now().saturating_sub(self.written) >= MAX_DELAY
        {
            return self.flush();
        }
        Ok(())
    }

    fn prepare_commit(
        &mut self,
        _epoch: Epoch,
        _barrier: Barrier,
    ) -> Result<Option<PendingCommit>> {
        self.flush()?;
        Ok(None)
    }
}

/// Drops every record: for measuring what stands before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Discard {
    /// A sink that drops every record.
    pub fn new() -> Self {
        Self
    }
}

impl<T: 'static> Sink<T> for Discard {
    type Writer = Self;

    fn describe(&self) -> String {
        "discard".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::Plain
    }

    fn open(&self, _context: &SinkContext) -> Result<Self> {
        Ok(*self)
    }
}

impl<T> SinkWriter<T> for Discard {
    #[inline]
    fn write(&mut self, _record: T) -> Result<()> {
        Ok(())
    }

    fn prepare_commit(
        &mut self,
        _epoch: Epoch,
        _barrier: Barrier,
    ) -> Result<Option<PendingCommit>> {
        Ok(None)
    }
}

/// Calls a function with every record.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::connector::{ForEach, Sink};
///
/// let print = ForEach::new(|delay: i64| println!("{delay} min"));
/// assert_eq!(Sink::<i64>::describe(&print), "for each");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ForEach<F> {
    call: F,
}

impl<F> ForEach<F> {
    /// A sink that calls `call` with every record, on the worker that has it.
    pub fn new(call: F) -> Self {
        Self { call }
    }
}

impl<T: 'static, F: Fn(T) + Clone + 'static> Sink<T> for ForEach<F> {
    type Writer = Self;

    fn describe(&self) -> String {
        "for each".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::Plain
    }

    fn open(&self, _context: &SinkContext) -> Result<Self> {
        Ok(self.clone())
    }
}

impl<T, F: Fn(T) + 'static> SinkWriter<T> for ForEach<F> {
    #[inline]
    fn write(&mut self, record: T) -> Result<()> {
        (self.call)(record);
        Ok(())
    }

    fn prepare_commit(
        &mut self,
        _epoch: Epoch,
        _barrier: Barrier,
    ) -> Result<Option<PendingCommit>> {
        Ok(None)
    }
}
