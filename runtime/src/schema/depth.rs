//! How deep a schema may be: whoever goes through it does so on the stack.

use std::cell::Cell;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Schema;

thread_local! {
    /// How many schemas are around the one that is being read.
    static AROUND: Cell<usize> = const { Cell::new(0) };
}

/// One more schema around what is read, until it is dropped.
struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        AROUND.set(AROUND.get() - 1);
    }
}

impl Schema {
    /// So many types may be around one another. A type that is inside itself counts once.
    pub const DEEPEST: usize = 128;

    /// How many types are around one another, this one with them.
    pub fn depth(&self) -> usize {
        let deepest = |of: &mut dyn Iterator<Item = &Self>| of.map(Self::depth).max().unwrap_or(0);
        1 + match self {
            Self::Plain(_) | Self::Recursive(_) => 0,
            Self::Option(of) | Self::List(of) => of.depth(),
            Self::Map(key, value) => key.depth().max(value.depth()),
            Self::Tuple(parts) => deepest(&mut parts.iter()),
            Self::Struct(_, fields) => deepest(&mut fields.iter().map(|field| &field.schema)),
            Self::Enum(_, variants) => {
                let fields = variants.iter().flat_map(|(_, fields)| fields);
                deepest(&mut fields.map(|field| &field.schema))
            }
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let around = AROUND.get() + 1;
        if around > Self::DEEPEST {
            let message = format!("a schema is deeper than {}", Self::DEEPEST);
            return Err(D::Error::custom(message));
        }
        AROUND.set(around);
        let _inside = Inside;
        Self::deserialize(from)
    }
}
