//! A record on its way through a flow: a value, with a key and an event time where it has them.

use serde::{Deserialize, Serialize};

/// One user datum with its key and event time; both are zero-sized where the stream has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rec<K, E, T> {
    /// [`Unkeyed`] or [`Keyed`].
    pub key: K,
    /// [`Untimed`] or [`Timed`].
    pub time: E,
    /// What the user sees.
    pub value: T,
}

/// The key of a stream without `key_by`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unkeyed;

/// The key of a record behind `key_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed<K>(pub K);

/// The event time of a stream without `event_time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untimed;

/// The event time of a record, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timed(pub i64);

/// A key with a value that belongs to it: what a running `fold` emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue<K, V> {
    /// The key.
    pub key: K,
    /// The value of the key.
    pub value: V,
}

/// The result of one window of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windowed<K, V> {
    /// The key whose records are in the window.
    pub key: K,
    /// The first millisecond of the window.
    pub start: i64,
    /// The first millisecond behind the window.
    pub end: i64,
    /// What the aggregate made of the window's records.
    pub value: V,
}

/// A record that a source could not read, with its place: what `errors:` receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordError {
    /// The file, topic or generator.
    pub origin: String,
    /// The line (from 1) or row (from 1) of the record.
    pub line: u64,
    /// The column (from 1) where it is known; for tables, the name stands in the message.
    pub column: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// The record as it was read, cut to 1,024 bytes.
    pub raw: String,
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.origin, self.line)?;
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}
