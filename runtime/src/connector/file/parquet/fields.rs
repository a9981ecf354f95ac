//! Which columns a record type needs, asked from its `Deserialize` implementation.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The columns that a record type needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// Those with these names (a struct).
    Named(&'static [&'static str]),
    /// The first ones, in the order of the file (a tuple).
    First(usize),
    /// All (a map, a struct with a flattened field).
    All,
}

impl Fields {
    /// Asks the type what it would like to be given, and gives it nothing.
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        match T::deserialize(Asking) {
            Err(Answer(fields)) => fields,
            Ok(_) => Self::First(0),
        }
    }
}

/// A comma-separated list for messages.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

struct Asking;

/// The answer, which comes as an error because nothing is deserialized.
#[derive(Debug)]
struct Answer(Fields);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Answer {}

impl de::Error for Answer {
    fn custom<M: fmt::Display>(_message: M) -> Self {
        Self(Fields::All)
    }
}

impl<'de> Deserializer<'de> for Asking {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Answer> {
        Err(Answer(Fields::All))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(Fields::Named(fields)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        _visitor: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(Fields::First(len)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        _visitor: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(Fields::First(len)))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq map enum identifier ignored_any
    }
}
