//! The schema of a state type: what a manifest records of it, and what a new version is compared to.

mod values;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use values::{Plain, may_be_null, read_items};
#[cfg(feature = "rocksdb")]
pub(crate) use values::{check_known, take_item};

/// The shape of a type whose values stand in snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    Struct(String, Vec<(String, Schema)>),
    /// An enum: its name and its variants in order, each with its fields.
    Enum(String, Vec<(String, Vec<(String, Schema)>)>),
    /// A type inside itself, by name.
    Recursive(String),
}

impl Schema {
    /// A plain type with this name.
    pub fn plain(name: &str) -> Self {
        Self::Plain(name.to_owned())
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, fields: &[(String, Self)]| {
            f.write_str(" {")?;
            for (at, (name, schema)) in fields.iter().enumerate() {
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
