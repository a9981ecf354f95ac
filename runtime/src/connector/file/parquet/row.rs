//! A row of decoded columns as serde sees it.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::columns::{Cell, Column};

/// A row of the batch that the columns hold.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) columns: &'a [Column],
    pub(super) row: usize,
}

/// Why a row is no record. It is boxed, since a result is made for each value.
#[derive(Debug)]
pub(super) struct RowError {
    /// The column, as a place in the row.
    pub(super) column: Option<usize>,
    pub(super) problem: Box<RowProblem>,
}

/// What is wrong with a row.
#[derive(Debug)]
pub(super) enum RowProblem {
    /// The record needs a column that the file does not have: so it is for all rows.
    Missing(&'static str),
    /// The column has another type than the record's field: so it is for all rows.
    Type {
        /// What the column gave.
        found: String,
        /// What the record wants.
        wanted: String,
    },
    /// This row's value does not fit.
    Value(String),
}

impl RowError {
    fn new(problem: RowProblem) -> Self {
        Self {
            column: None,
            problem: Box::new(problem),
        }
    }

    fn in_column(self, column: usize) -> Self {
        let column = self.column.or(Some(column));
        Self { column, ..self }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.problem {
            RowProblem::Missing(field) => write!(f, "there is no column `{field}`"),
            RowProblem::Type { found, wanted } => write!(f, "found {found}, expected {wanted}"),
            RowProblem::Value(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for RowError {}

impl de::Error for RowError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::new(RowProblem::Value(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        match found {
            Unexpected::Unit | Unexpected::Option => {
                Self::custom(format_args!("is null, expected {wanted}"))
            }
            found => Self::new(RowProblem::Type {
                found: found.to_string(),
                wanted: wanted.to_string(),
            }),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(RowProblem::Missing(field))
    }
}

impl<'de> Deserializer<'de> for Row<'_> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_map(Columns { row: self, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_seq(Columns { row: self, next: 0 })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct struct map enum identifier
    }
}

/// The columns of a row one after the other, as a map or as a sequence.
struct Columns<'a> {
    row: Row<'a>,
    next: usize,
}

impl Columns<'_> {
    #[inline]
    fn value<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, RowError> {
        let column = self.next;
        self.next += 1;
        seed.deserialize(self.row.columns[column].cell(self.row.row))
            .map_err(|e| e.in_column(column))
    }
}

impl<'de> MapAccess<'de> for Columns<'_> {
    type Error = RowError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, RowError> {
        let Some(column) = self.row.columns.get(self.next) else {
            return Ok(None);
        };
        seed.deserialize(column.name.as_str().into_deserializer())
            .map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, RowError> {
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.row.columns.len() - self.next)
    }
}

impl<'de> SeqAccess<'de> for Columns<'_> {
    type Error = RowError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, RowError> {
        if self.next == self.row.columns.len() {
            Ok(None)
        } else {
            self.value(seed).map(Some)
        }
    }
}

impl Cell<'_> {
    #[inline]
    fn text(bytes: &[u8]) -> Result<&str, RowError> {
        std::str::from_utf8(bytes).map_err(|_| de::Error::custom("is not UTF-8"))
    }
}

impl<'de> Deserializer<'de> for Cell<'_> {
    type Error = RowError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(v) => visitor.visit_bool(v),
            Self::Int(v) => visitor.visit_i64(v),
            Self::Unsigned(v) => visitor.visit_u64(v),
            Self::Float(v) => visitor.visit_f32(v),
            Self::Double(v) => visitor.visit_f64(v),
            Self::Text(v) => visitor.visit_str(Self::text(v)?),
            Self::Bytes(v) => visitor.visit_bytes(v),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self {
            Self::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        match self {
            Self::Text(v) | Self::Bytes(v) => {
                let variant: de::value::StrDeserializer<'_, RowError> =
                    Self::text(v)?.into_deserializer();
                variant.deserialize_enum(name, variants, visitor)
            }
            other => other.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier
    }
}
