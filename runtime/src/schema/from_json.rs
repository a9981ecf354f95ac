//! Values that people write as JSON, as they are shown.

use std::str::FromStr;

use serde_json::Value;

use super::json::may_be_null;
use super::{Datum, Field, Plain, Schema, Shape};

/// The datum that [`to_json`](super::to_json) shows so; `None` if there is none of the schema.
pub(crate) fn from_json(value: &Value, schema: &Schema) -> Option<Datum> {
    datum(value, Shape::of(schema))
}

fn datum(value: &Value, shape: Shape<'_>) -> Option<Datum> {
    match shape.schema {
        Schema::Recursive(name) => datum(value, shape.unfolded(name)?),
        Schema::Plain(name) => plain(value, Plain::named(name)?),
        Schema::Option(of) => {
            let inner = match value {
                Value::Null => return Some(Datum::Option(None)),
                some if may_be_null(of) => some.get("Some")?,
                some => some,
            };
            let inner = datum(inner, shape.part(of))?;
            Some(Datum::Option(Some(Box::new(inner))))
        }
        Schema::List(of) => {
            let items = value.as_array()?.iter();
            let items = items.map(|item| datum(item, shape.part(of)));
            items.collect::<Option<_>>().map(Datum::Many)
        }
        Schema::Map(key, of) => {
            let pair = |pair: &Value| {
                let [k, v] = &pair.as_array()?[..] else {
                    return None;
                };
                Some((datum(k, shape.part(key))?, datum(v, shape.part(of))?))
            };
            let pairs = value.as_array()?.iter().map(pair);
            pairs.collect::<Option<_>>().map(Datum::Pairs)
        }
        Schema::Tuple(parts) => {
            let values = value
                .as_array()
                .filter(|values| values.len() == parts.len())?;
            let pairs = values.iter().zip(parts);
            let parts = pairs.map(|(value, part)| datum(value, shape.part(part)));
            parts.collect::<Option<_>>().map(Datum::Many)
        }
        Schema::Struct(name, fields) => object(value, fields, shape, name).map(Datum::Many),
        Schema::Enum(name, variants) => {
            let (variant, fields) = match value {
                Value::String(variant) => (variant, None),
                Value::Object(variant) => {
                    let (variant, fields) = variant.iter().next()?;
                    (variant, Some(fields))
                }
                _ => return None,
            };
            let number = variants.iter().position(|(name, _)| name == variant)?;
            let parts = match (fields, &variants[number].1[..]) {
                (None, []) => Vec::new(),
                (Some(fields), of) => object(fields, of, shape, name)?,
                (None, _) => return None,
            };
            Some(Datum::Variant(u32::try_from(number).ok()?, parts))
        }
    }
}

fn object(value: &Value, fields: &[Field], of: Shape<'_>, name: &str) -> Option<Vec<Datum>> {
    let values = value
        .as_object()
        .filter(|values| values.len() == fields.len())?;
    let around = of.inside(name);
    let field = |field: &Field| datum(values.get(&field.name)?, of.field(field, &around));
    fields.iter().map(field).collect()
}

fn plain(value: &Value, plain: Plain) -> Option<Datum> {
    match plain {
        Plain::U8 => unsigned::<u8>(value),
        Plain::U16 => unsigned::<u16>(value),
        Plain::U32 => unsigned::<u32>(value),
        Plain::U64 => unsigned::<u64>(value),
        Plain::U128 => unsigned::<u128>(value),
        Plain::I8 => signed::<i8>(value),
        Plain::I16 => signed::<i16>(value),
        Plain::I32 => signed::<i32>(value),
        Plain::I64 => signed::<i64>(value),
        Plain::I128 => signed::<i128>(value),
        // No key has one, and only keys are written by people.
        Plain::F32 | Plain::F64 => None,
        Plain::Bool => value.as_bool().map(Datum::Bool),
        Plain::Char => {
            let mut chars = value.as_str()?.chars();
            let (char, rest) = (chars.next()?, chars.next());
            rest.is_none().then_some(Datum::Char(char))
        }
        Plain::Text => value.as_str().map(|text| Datum::Text(text.to_owned())),
        Plain::Unit => value.is_null().then_some(Datum::Unit),
    }
}

fn unsigned<T: TryFrom<u128>>(value: &Value) -> Option<Datum> {
    let number: u128 = whole(value)?;
    T::try_from(number).ok().map(|_| Datum::Unsigned(number))
}

fn signed<T: TryFrom<i128>>(value: &Value) -> Option<Datum> {
    let number: i128 = whole(value)?;
    T::try_from(number).ok().map(|_| Datum::Signed(number))
}

/// A whole number; one that JSON has no number for is text.
fn whole<T: FromStr + TryFrom<i128>>(value: &Value) -> Option<T> {
    if let Some(digits) = value.as_str() {
        return digits.parse().ok();
    }
    let signed = value.as_i64().map(i128::from);
    let wide = signed.or_else(|| value.as_u64().map(i128::from));
    T::try_from(wide?).ok()
}
