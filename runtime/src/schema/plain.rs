//! Types without parts.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error as _, Serializer};

use super::Datum;

/// A type without parts, by the name that its schema gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
    Bool,
    Char,
    Text,
    Unit,
}

impl Plain {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" | "usize" => Self::U64,
            "u128" => Self::U128,
            "i8" => Self::I8,
            "i16" => Self::I16,
            "i32" => Self::I32,
            // The last two are the stamps of what expires, by their clocks.
            "i64" | "isize" | "processing time" | "event time" => Self::I64,
            "i128" => Self::I128,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "bool" => Self::Bool,
            "char" => Self::Char,
            "String" => Self::Text,
            "()" => Self::Unit,
            _ => return None,
        })
    }

    /// Whether every value of the other type, which is another, is one of this type: both are integers, and this
    /// one is wider.
    pub(crate) fn holds(self, other: Self) -> bool {
        match (self.width(), other.width()) {
            (Some((false, width)), Some((false, other)))
            | (Some((true, width)), Some((_, other))) => width > other,
            (Some((false, _)), Some((true, _))) | (None, _) | (_, None) => false,
        }
    }

    /// Whether an integer has a sign, and its bits.
    const fn width(self) -> Option<(bool, u32)> {
        Some(match self {
            Self::U8 => (false, 8),
            Self::U16 => (false, 16),
            Self::U32 => (false, 32),
            Self::U64 => (false, 64),
            Self::U128 => (false, 128),
            Self::I8 => (true, 8),
            Self::I16 => (true, 16),
            Self::I32 => (true, 32),
            Self::I64 => (true, 64),
            Self::I128 => (true, 128),
            Self::F32 | Self::F64 | Self::Bool | Self::Char | Self::Text | Self::Unit => {
                return None;
            }
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(self, from: D) -> Result<Datum, D::Error> {
        Ok(match self {
            Self::U8 => Datum::Unsigned(u8::deserialize(from)?.into()),
            Self::U16 => Datum::Unsigned(u16::deserialize(from)?.into()),
            Self::U32 => Datum::Unsigned(u32::deserialize(from)?.into()),
            Self::U64 => Datum::Unsigned(u64::deserialize(from)?.into()),
            Self::U128 => Datum::Unsigned(u128::deserialize(from)?),
            Self::I8 => Datum::Signed(i8::deserialize(from)?.into()),
            Self::I16 => Datum::Signed(i16::deserialize(from)?.into()),
            Self::I32 => Datum::Signed(i32::deserialize(from)?.into()),
            Self::I64 => Datum::Signed(i64::deserialize(from)?.into()),
            Self::I128 => Datum::Signed(i128::deserialize(from)?),
            Self::F32 => Datum::F32(f32::deserialize(from)?),
            Self::F64 => Datum::F64(f64::deserialize(from)?),
            Self::Bool => Datum::Bool(bool::deserialize(from)?),
            Self::Char => Datum::Char(char::deserialize(from)?),
            Self::Text => Datum::Text(String::deserialize(from)?),
            Self::Unit => {
                <()>::deserialize(from)?;
                Datum::Unit
            }
        })
    }

    /// Serialises a datum as a value of this type; an integer that another type has written, if it fits.
    pub(super) fn serialize<S: Serializer>(self, datum: &Datum, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::U8 => to.serialize_u8(integer(datum)?),
            Self::U16 => to.serialize_u16(integer(datum)?),
            Self::U32 => to.serialize_u32(integer(datum)?),
            Self::U64 => to.serialize_u64(integer(datum)?),
            Self::U128 => to.serialize_u128(integer(datum)?),
            Self::I8 => to.serialize_i8(integer(datum)?),
            Self::I16 => to.serialize_i16(integer(datum)?),
            Self::I32 => to.serialize_i32(integer(datum)?),
            Self::I64 => to.serialize_i64(integer(datum)?),
            Self::I128 => to.serialize_i128(integer(datum)?),
            Self::F32 | Self::F64 | Self::Bool | Self::Char | Self::Text | Self::Unit => {
                match (self, datum) {
                    (Self::F32, Datum::F32(number)) => to.serialize_f32(*number),
                    (Self::F64, Datum::F64(number)) => to.serialize_f64(*number),
                    (Self::Bool, Datum::Bool(is)) => to.serialize_bool(*is),
                    (Self::Char, Datum::Char(char)) => to.serialize_char(*char),
                    (Self::Text, Datum::Text(text)) => to.serialize_str(text),
                    (Self::Unit, Datum::Unit) => to.serialize_unit(),
                    _ => Err(S::Error::custom(format!("a value is no {self:?}"))),
                }
            }
        }
    }
}

fn integer<T, E: serde::ser::Error>(datum: &Datum) -> Result<T, E>
where
    T: TryFrom<u128> + TryFrom<i128>,
{
    let fitting = match datum {
        Datum::Unsigned(number) => T::try_from(*number).ok(),
        Datum::Signed(number) => T::try_from(*number).ok(),
        _ => None,
    };
    fitting.ok_or_else(|| E::custom("an integer does not fit its type"))
}
