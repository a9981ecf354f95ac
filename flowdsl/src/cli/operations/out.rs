//! What commands write, and how they end.

use std::io::{self, Write};

use serde::Serialize;

use crate::Error;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// What was looked at is damaged, which has been said.
    Damaged,
}

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum End {
    Failed(Error),
    /// Nobody reads any more.
    Unread,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Unread
        } else {
            Self::Failed(Error::unavailable(format!(
                "the output cannot be written: {error}"
            )))
        }
    }
}

/// Writes one document.
pub(super) fn document(out: &mut dyn Write, value: &impl Serialize) -> Result<(), End> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Writes one line of a stream.
pub(super) fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<(), End> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}
