//! Migrations, made of functions between types.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::State;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::protocol::{Migrated, Migration};
use crate::schema::{Convert, Schema, read_items, write_items};

impl Migration {
    /// Makes each value of a stage anew: of `fold` and `reduce` the running value, of windows and sessions the
    /// accumulator.
    pub fn value<Old: State, New: State>(
        migrate: impl Fn(Old) -> New + Send + Sync + 'static,
    ) -> Self {
        Self::of(Migrated::Value, (Old::schema(), New::schema()), migrate)
    }

    /// Makes each key of a stage anew. What was kept of a key is kept of the new one, and no two keys may become one.
    pub fn key<Old: Key, New: Key>(migrate: impl Fn(Old) -> New + Send + Sync + 'static) -> Self {
        Self::of(Migrated::Key, (Old::schema(), New::schema()), migrate)
    }

    /// Makes each key of a `fold`, a `reduce` or a window anew, with its value.
    pub fn entry<OldKey: Key, Old: State, NewKey: Key, New: State>(
        migrate: impl Fn(OldKey, Old) -> (NewKey, New) + Send + Sync + 'static,
    ) -> Self {
        let schemas = (<(OldKey, Old)>::schema(), <(NewKey, New)>::schema());
        Self::of(Migrated::Entry, schemas, move |(key, value)| {
            migrate(key, value)
        })
    }

    /// Makes a state of a `process` stage anew, by its name: the value, each value of the map, or each item of the
    /// list.
    pub fn state<Old: State, New: State>(
        name: &str,
        migrate: impl Fn(Old) -> New + Send + Sync + 'static,
    ) -> Self {
        let of = Migrated::State(name.to_owned());
        Self::of(of, (Old::schema(), New::schema()), migrate)
    }

    fn of<Old: DeserializeOwned + 'static, New: Serialize + 'static>(
        of: Migrated,
        (old, new): (Schema, Schema),
        migrate: impl Fn(Old) -> New + Send + Sync + 'static,
    ) -> Self {
        Self {
            of,
            convert: convert(old.clone(), new.clone(), migrate),
            old,
            new,
        }
    }
}

/// A function between types as one between values of their schemas.
fn convert<Old: DeserializeOwned + 'static, New: Serialize + 'static>(
    old: Schema,
    new: Schema,
    migrate: impl Fn(Old) -> New + Send + Sync + 'static,
) -> Convert {
    Convert::new(move |datum| {
        let bytes = write_items(std::slice::from_ref(&datum), &old)?;
        let values: Vec<Old> =
            bitcode::deserialize(&bytes).map_err(|e| misfit(&old, &e.to_string()))?;
        let made: Vec<New> = values.into_iter().map(&migrate).collect();
        let bytes = bitcode::serialize(&made)
            .map_err(|e| Error::invalid(format!("a state type refuses to be encoded: {e}")))?;
        let made: Result<Vec<_>> = read_items(&bytes, &new);
        made?.pop().ok_or_else(|| misfit(&new, "there is none"))
    })
}

fn misfit(schema: &Schema, why: &str) -> Error {
    Error::incompatible(format!(
        "a migration has a type that is not stored as its schema {schema} says: {why}"
    ))
}
