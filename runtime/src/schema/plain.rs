//! Values without parts, as JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

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

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Ok(match self {
            Self::U8 => u8::deserialize(from)?.into(),
            Self::U16 => u16::deserialize(from)?.into(),
            Self::U32 => u32::deserialize(from)?.into(),
            Self::U64 => u64::deserialize(from)?.into(),
            Self::U128 => whole(u128::deserialize(from)?),
            Self::I8 => i8::deserialize(from)?.into(),
            Self::I16 => i16::deserialize(from)?.into(),
            Self::I32 => i32::deserialize(from)?.into(),
            Self::I64 => i64::deserialize(from)?.into(),
            Self::I128 => whole(i128::deserialize(from)?),
            // By its digits: `0.1_f32` is no `0.10000000149011612` to a person.
            Self::F32 => {
                let number = f32::deserialize(from)?;
                float(number.to_string().parse().unwrap_or_else(|_| number.into()))
            }
            Self::F64 => float(f64::deserialize(from)?),
            Self::Bool => bool::deserialize(from)?.into(),
            Self::Char => char::deserialize(from)?.to_string().into(),
            Self::Text => String::deserialize(from)?.into(),
            Self::Unit => {
                <()>::deserialize(from)?;
                Value::Null
            }
        })
    }
}

fn whole<T: Copy + fmt::Display>(number: T) -> Value
where
    u64: TryFrom<T>,
    i64: TryFrom<T>,
{
    if let Ok(number) = u64::try_from(number) {
        number.into()
    } else if let Ok(number) = i64::try_from(number) {
        number.into()
    } else {
        number.to_string().into()
    }
}

fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}
