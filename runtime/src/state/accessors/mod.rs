//! Named states of a key: what a `process` stage declares, and what its handler reads and writes.
//!
//! A stage declares its states once, by name; the handler sees those of the present key. The name
//! is part of the schema and of every snapshot, so that the order in a program means nothing. What is
//! declared is a type, so that an access is a plain call: nothing is boxed, cast or cloned for it.

mod list;
mod map;
mod tuples;
mod value;

pub use self::list::{ListOf, ListState, list_state};
pub use self::map::{MapOf, MapState, map_state};
pub use self::value::{ValueOf, ValueState, value_state};
#[cfg(test)]
pub(crate) use self::{list::KeptList, map::KeptMap, value::KeptValue};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::key::Key;
use crate::schema::Schema;

use super::backend::StageBackend;
use super::compaction::TableType;
use super::frames::{Namespace, StoredTable};
use super::logic::{FrozenChunk, SnapshotScope};
use super::span::HashSpan;
use super::ttl::Now;

/// The key whose record or timer is handled, and when that is.
pub struct Present<'a, K> {
    pub(crate) key: &'a K,
    pub(crate) hash: u64,
    pub(crate) now: Now,
}

/// States that a stage declares: one, or a tuple of them.
pub trait Declared<K: Key>: 'static {
    /// What the stage keeps of them, for all keys.
    type Kept: Kept<K>;

    /// The states, of which nothing is known of any key yet.
    fn keep(self) -> Self::Kept;
}

/// The states of a stage, for all of its keys.
///
/// Users only name it: what it does is between the stage and its snapshots.
#[expect(
    private_interfaces,
    reason = "nobody outside calls or implements what is hidden here"
)]
pub trait Kept<K: Key>: 'static {
    /// What a handler sees: the states of one key.
    type View<'a>
    where
        Self: 'a;

    /// The states of the present key.
    fn view<'a>(&'a mut self, present: &'a Present<'a, K>) -> Self::View<'a>;

    /// Says what there is.
    #[doc(hidden)]
    fn describe(&self, names: &mut Names);

    /// Says where they are kept, before anything else.
    #[doc(hidden)]
    fn open(&mut self, backend: &StageBackend);

    /// Goes on with what the backend holds of a table already, if it is one of these.
    #[doc(hidden)]
    fn resume(&mut self, namespace: Namespace) -> Result<Known>;

    /// Readies the states of the keys that come next; returns of how many.
    #[doc(hidden)]
    fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K> + Clone) -> usize
    where
        K: 'k;

    /// The number of entries.
    #[doc(hidden)]
    fn entry_count(&self) -> usize;

    /// Removes some of what has expired.
    #[doc(hidden)]
    fn clean_up(&mut self, now: &Now);

    /// Has the tables of the states give memory back to each other.
    #[doc(hidden)]
    fn give_back(&mut self);

    #[doc(hidden)]
    fn freeze(&mut self, scope: SnapshotScope, now: &Now, cleared: &mut Vec<(Namespace, HashSpan)>);

    #[doc(hidden)]
    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk>;

    /// Adds the tables of the states, with their types.
    #[doc(hidden)]
    fn table_types(&self, tables: &mut Vec<(Namespace, TableType)>);

    /// Takes in a frame, or gives it back if it is of another state.
    #[doc(hidden)]
    fn restore<'s>(
        &mut self,
        stored: StoredTable<'s>,
        owned: HashSpan,
    ) -> Result<Option<StoredTable<'s>>>;
}

/// Whether a table is one of those that a stage declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

/// All states of a key, or one of them.
pub trait ClearState {
    /// Forgets what is known of the key.
    fn clear(&mut self);
}

/// The checksum by which snapshots know a name.
pub(crate) fn checksum(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// What a stage declares, by name.
#[derive(Debug)]
pub(crate) struct Names {
    is_timed: bool,
    states: Vec<(String, Schema)>,
    wrong: Vec<String>,
}

impl Names {
    pub(crate) fn of<K: Key>(kept: &impl Kept<K>, is_timed: bool) -> Self {
        let mut names = Self {
            is_timed,
            states: Vec::new(),
            wrong: Vec::new(),
        };
        kept.describe(&mut names);
        // The order in the program means nothing.
        names.states.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }

    fn add(
        &mut self,
        name: &str,
        lifetime: &impl super::ttl::Lifetime,
        kind: &str,
        parts: Vec<(String, Schema)>,
    ) {
        if name.is_empty() {
            self.wrong.push("a state has no name".to_owned());
        }
        let same = |(other, _): &&(String, Schema)| checksum(other) == checksum(name);
        if let Some((other, _)) = self.states.iter().find(same) {
            let why = if other == name {
                format!("two states are named `{name}`")
            } else {
                format!("snapshots cannot tell the names `{other}` and `{name}` apart: change one")
            };
            self.wrong.push(why);
        }
        if let Err(error) = lifetime.check(self.is_timed) {
            self.wrong
                .push(format!("state `{name}`: {}", error.message()));
        }
        self.states
            .push((name.to_owned(), Schema::of_fields(kind, parts)));
    }

    /// What is wrong with the states, if anything is.
    pub(crate) fn error(&self) -> Option<Error> {
        (!self.wrong.is_empty()).then(|| Error::invalid(self.wrong.join("; ")))
    }

    pub(crate) fn schema(self) -> Schema {
        Schema::of_fields("States", self.states)
    }

    /// Why a frame cannot be restored that none of the states has taken.
    pub(crate) fn refuse(&self, namespace: Namespace) -> Error {
        let what = match namespace {
            Namespace::Value(_) => "a value of another name",
            Namespace::Map(_) => "a map of another name",
            Namespace::Bounds(_) | Namespace::Items(_) => "a list of another name",
            Namespace::Whole | Namespace::Waiting(_) | Namespace::Fired(_) | Namespace::Timers => {
                "a table of another stage"
            }
        };
        let names: Vec<_> = self
            .states
            .iter()
            .map(|(name, schema)| format!("`{name}`: {schema}"))
            .collect();
        Error::incompatible(format!(
            "the snapshot holds {what}; this stage declares {}",
            if names.is_empty() {
                "no state".to_owned()
            } else {
                names.join(", ")
            }
        ))
    }
}
