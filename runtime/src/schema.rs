//! The schema of a state type: what a manifest records of it, and what a new version is compared to.

mod convert;
mod datum;
mod decode;
mod depth;
mod encode;
mod from_json;
mod json;
mod plain;
#[cfg(test)]
mod round_trips;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

pub(crate) use convert::Convert;
pub(crate) use datum::Datum;
#[cfg(feature = "rocksdb")]
pub(crate) use decode::{check_known, take_item};
pub(crate) use decode::{first_unknown, read_items};
pub(crate) use encode::write_items;
pub(crate) use from_json::from_json;
pub(crate) use json::to_json;
pub(crate) use plain::Plain;
pub(crate) use shape::{Around, Shape};

/// The shape of a type whose values stand in snapshots.
///
/// It is read from manifests, which are bytes: one that is deeper than [`DEEPEST`](Self::DEEPEST) is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub enum Schema {
    /// A type that needs no parts: `u64`, `String`, `bool`.
    Plain(String),
    /// `Option<T>`.
    Option(Box<Schema>),
    /// `Vec<T>`, a set, a queue: any sequence of one type.
    List(Box<Schema>),
    /// A map.
    Map(Box<Schema>, Box<Schema>),
    /// A tuple or an array, part by part.
    Tuple(Vec<Schema>),
    /// A struct: its name and its fields in order.
    Struct(String, Vec<Field>),
    /// An enum: its name and its variants in order, each with its fields.
    Enum(String, Vec<(String, Vec<Field>)>),
    /// A type inside itself, by name.
    Recursive(String),
}

/// A field of a struct or of a variant.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, or its number.
    pub name: String,
    /// The schema of its type.
    pub schema: Schema,
    /// What it is in values that were stored without it. No manifest has it, and fields that differ in it
    /// only are equal.
    pub default: Option<DefaultValue>,
}

/// Makes the default of a field: bitcode of a sequence that it is the only item of.
pub type DefaultValue = fn() -> Result<Vec<u8>>;

/// A default as a [`Field`] has it.
///
/// # Errors
///
/// `Invalid` if its type refuses to be encoded.
pub fn default_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    bitcode::serialize(std::slice::from_ref(value))
        .map_err(|e| Error::invalid(format!("a default refuses to be encoded: {e}")))
}

impl Schema {
    /// A plain type with this name.
    pub fn plain(name: &str) -> Self {
        Self::Plain(name.to_owned())
    }

    /// A struct with these fields.
    pub fn of_fields<F: Into<Field>>(name: &str, fields: impl IntoIterator<Item = F>) -> Self {
        Self::Struct(
            name.to_owned(),
            fields.into_iter().map(Into::into).collect(),
        )
    }
}

/// The clock of the stamps that the values of a schema carry, if what is kept in it expires.
pub(crate) fn stamps_of(value: &Schema) -> Option<&str> {
    match stamp_and_value(value)? {
        (Schema::Plain(clock), _) if clock == "processing time" || clock == "event time" => {
            Some(clock)
        }
        _ => None,
    }
}

/// The schema of a value without its stamp.
pub(crate) fn unstamped_schema(value: &Schema) -> &Schema {
    match stamp_and_value(value) {
        Some((_, of)) if stamps_of(value).is_some() => of,
        _ => value,
    }
}

fn stamp_and_value(value: &Schema) -> Option<(&Schema, &Schema)> {
    match value {
        Schema::Struct(name, fields) if name == "Stamped" => match &fields[..] {
            [stamp, of] => Some((&stamp.schema, &of.schema)),
            _ => None,
        },
        _ => None,
    }
}

impl<N: Into<String>> From<(N, Schema)> for Field {
    fn from((name, schema): (N, Schema)) -> Self {
        Self {
            name: name.into(),
            schema,
            default: None,
        }
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.schema) == (&other.name, &other.schema)
    }
}

impl Eq for Field {}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.name, &self.schema).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <(String, Schema)>::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, fields: &[Field]| {
            f.write_str(" {")?;
            for (at, Field { name, schema, .. }) in fields.iter().enumerate() {
                write!(f, "{} {name}: {schema}", if at == 0 { "" } else { "," })?;
            }
            f.write_str(" }")
        };
        match self {
            Self::Plain(name) | Self::Recursive(name) => f.write_str(name),
            Self::Option(of) => write!(f, "Option<{of}>"),
            Self::List(of) => write!(f, "[{of}]"),
            Self::Map(key, value) => write!(f, "Map<{key}, {value}>"),
            Self::Tuple(parts) => {
                f.write_str("(")?;
                for (at, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            Self::Struct(name, of) => {
                f.write_str(name)?;
                fields(f, of)
            }
            Self::Enum(name, variants) => {
                write!(f, "enum {name} {{")?;
                for (at, (variant, of)) in variants.iter().enumerate() {
                    write!(f, "{} {variant}", if at == 0 { "" } else { "," })?;
                    if !of.is_empty() {
                        fields(f, of)?;
                    }
                }
                f.write_str(" }")
            }
        }
    }
}
