//! The one public error type, whose kind tells the user what to do.

use std::fmt;

/// The result of everything that meets the world.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Fix the program, its settings or its input.
    Invalid,
    /// Stored state does not fit this flow: change the flow back, migrate, or start afresh.
    Incompatible,
    /// Stored bytes are wrong: restore them, or fall back to an older checkpoint.
    Corrupt,
    /// The world did not answer: try again.
    Unavailable,
    /// A newer run of the job has taken over: stop.
    Fenced,
    /// A user's closure panicked; the message names the stage.
    Panicked,
    /// A bug in flowdsl: report it.
    Internal,
}

impl ErrorKind {
    /// The word for this kind in messages and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Incompatible => "incompatible",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
            Self::Fenced => "fenced",
            Self::Panicked => "panicked",
            Self::Internal => "internal",
        }
    }
}

/// An error of a job, with the place where it happened and what to do about it.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::{Error, ErrorKind};
///
/// let error = Error::invalid("the interval is zero").in_stage("hourly");
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.to_string(), "stage `hourly`: the interval is zero");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    stage: Option<String>,
}

impl Error {
    /// An error of `kind` with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            stage: None,
        }))
    }

    /// The user's program, settings or input are wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Stored state does not fit this flow.
    pub fn incompatible(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Incompatible, message)
    }

    /// Stored bytes are wrong.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// The world did not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A newer run of the job has taken over.
    pub fn fenced(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fenced, message)
    }

    /// A user's closure panicked.
    pub fn panicked(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Panicked, message)
    }

    /// A bug in flowdsl.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same error, naming the stage in which it happened (the innermost name stays).
    #[must_use]
    pub fn in_stage(mut self, stage: impl fmt::Display) -> Self {
        if self.0.stage.is_none() {
            self.0.stage = Some(stage.to_string());
        }
        self
    }

    /// The same error with `context: ` before its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// The same error with `; more` behind its message.
    #[must_use]
    pub fn and(mut self, more: impl fmt::Display) -> Self {
        self.0.message = format!("{}; {more}", self.0.message);
        self
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stage in which it happened, where that is known.
    pub fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// The message without the stage.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = &self.0.stage {
            write!(f, "stage `{stage}`: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind.as_str())
    }
}

impl std::error::Error for Error {}
