//! What a fiber asks of the world, and what it is told.

use std::cell::RefCell;
use std::rc::Rc;

use flowdsl_runtime::error::{Error, Result};
use flowdsl_runtime::protocol::{Asker, Manifest};

use crate::restores::Saved;
use flowdsl_runtime::storage::Creation;
use flowdsl_runtime::storage::log::Publication;

use crate::output::{Part, Row};
use crate::subtask::Outcome;
use flowdsl_runtime::job::internals::{Publisher, Recovered};

pub(crate) enum Request {
    /// Something that waits for the world, and may fail.
    Act(Act),
    /// Something for the own process: answered at once.
    Tell(Told),
    /// The next task, when there is one.
    Next,
}

pub(crate) enum Answer {
    Told,
    Task(Task),
    Created(Result<Creation>),
    Done(Result<()>),
    Bytes(Result<Option<Vec<u8>>>),
    Names(Result<Vec<String>>),
    Parts(Result<Vec<Part>>),
}

/// An operation of the checkpoint storage or of the sink's output.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Create {
        name: String,
        bytes: Vec<u8>,
    },
    Write {
        name: String,
        bytes: Vec<u8>,
    },
    Read {
        name: String,
    },
    List {
        dir: String,
    },
    Delete {
        names: Vec<String>,
    },
    /// Writes output that nobody sees yet.
    Stage {
        part: Part,
        rows: Vec<Row>,
    },
    /// Makes staged output visible.
    Commit {
        part: Part,
    },
    /// Staged output, or visible output, as of now.
    ListStaged,
    ListVisible,
    RemoveStaged {
        part: Part,
    },
    RemoveVisible {
        part: Part,
    },
}

/// What a fiber reports to its own process.
pub(crate) enum Told {
    Recovered(Result<(Rc<Recovered>, Rc<RefCell<Publisher>>)>),
    Published(Box<Manifest>, Result<Publication>),
    LookedAtLog(Result<()>),
    /// What a savepoint is made of was read, or could not be.
    Copied(Asker, Box<Saved>),
    /// The outcome of a task, for the operator at this position.
    Outcome(usize, Outcome),
}

/// Work for a fiber.
pub(crate) type Task = Box<dyn FnOnce()>;

impl Act {
    /// The answer if the operation fails.
    pub(crate) fn failed(&self, why: &str) -> Answer {
        let error = Error::unavailable(format!("{}: {why}", self.describe()));
        match self {
            Self::Create { .. } => Answer::Created(Err(error)),
            Self::Read { .. } => Answer::Bytes(Err(error)),
            Self::List { .. } => Answer::Names(Err(error)),
            Self::ListStaged | Self::ListVisible => Answer::Parts(Err(error)),
            Self::Write { .. }
            | Self::Delete { .. }
            | Self::Stage { .. }
            | Self::Commit { .. }
            | Self::RemoveStaged { .. }
            | Self::RemoveVisible { .. } => Answer::Done(Err(error)),
        }
    }

    /// Whether it is an operation of the checkpoint storage, and not of the output.
    pub(crate) fn is_of_storage(&self) -> bool {
        match self {
            Self::Create { .. }
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::List { .. }
            | Self::Delete { .. } => true,
            Self::Stage { .. }
            | Self::Commit { .. }
            | Self::ListStaged
            | Self::ListVisible
            | Self::RemoveStaged { .. }
            | Self::RemoveVisible { .. } => false,
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Create { name, bytes } => format!("create {name} ({} bytes)", bytes.len()),
            Self::Write { name, bytes } => format!("write {name} ({} bytes)", bytes.len()),
            Self::Read { name } => format!("read {name}"),
            Self::List { dir } => format!("list {dir}"),
            Self::Delete { names } => format!("delete {}", names.join(" ")),
            Self::Stage { part, rows } => format!("stage {part} ({} rows)", rows.len()),
            Self::Commit { part } => format!("commit {part}"),
            Self::ListStaged => "list staged output".to_owned(),
            Self::ListVisible => "list visible output".to_owned(),
            Self::RemoveStaged { part } => format!("remove staged {part}"),
            Self::RemoveVisible { part } => format!("remove visible {part}"),
        }
    }
}
