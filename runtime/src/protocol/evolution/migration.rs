//! A function that makes new state of old, where the rules of evolution do not reach.

use std::fmt;

use crate::schema::{Convert, Schema};

/// Makes state of a new type from what was stored as another.
///
/// It is taken for a checkpoint whose stored type is its old one, or can only be read as that, and does nothing
/// where the stored type is the new one already: so it may stay in the program.
#[derive(Clone)]
pub struct Migration {
    pub(crate) of: Migrated,
    /// The schema of what it takes; of a key and its value the tuple of both.
    pub(crate) old: Schema,
    /// The schema of what it makes.
    pub(crate) new: Schema,
    pub(crate) convert: Convert,
}

/// What of the state of a stage a migration is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Migrated {
    Key,
    Value,
    Entry,
    /// The value, the map's values or the list's items of this name.
    State(String),
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, old, new, .. } = self;
        write!(f, "Migration of {of:?} from {old} to {new}")
    }
}
