//! Values as JSON, for people who look into a checkpoint.

use std::fmt;

use serde_json::Value;

use super::{Datum, Field, Plain, Schema, Shape};

/// A datum of a schema as JSON.
///
/// What JSON has no number for (integers beyond 64 bits, infinite floats) becomes text, a map a list of
/// pairs, and a value within an option that could itself be `null` `{"Some": value}`, so that different
/// values stay different. What does not fit the schema is `null`.
pub(crate) fn to_json(datum: &Datum, schema: &Schema) -> Value {
    json(datum, Shape::of(schema))
}

fn json(datum: &Datum, shape: Shape<'_>) -> Value {
    match (shape.schema, datum) {
        (Schema::Recursive(name), _) => shape
            .unfolded(name)
            .map_or(Value::Null, |shape| json(datum, shape)),
        (Schema::Plain(_), plain) => plain_json(plain),
        (Schema::Option(of), Datum::Option(Some(value))) => {
            let value = json(value, shape.part(of));
            if may_be_null(of) {
                Value::Object([("Some".to_owned(), value)].into_iter().collect())
            } else {
                value
            }
        }
        (Schema::List(of), Datum::Many(items)) => items
            .iter()
            .map(|item| json(item, shape.part(of)))
            .collect(),
        (Schema::Map(key, value), Datum::Pairs(pairs)) => {
            let (key, value) = (shape.part(key), shape.part(value));
            let pair = |(k, v): &(Datum, Datum)| Value::Array(vec![json(k, key), json(v, value)]);
            pairs.iter().map(pair).collect()
        }
        (Schema::Tuple(of), Datum::Many(parts)) => {
            let parts = parts.iter().zip(of);
            parts.map(|(part, of)| json(part, shape.part(of))).collect()
        }
        (Schema::Struct(name, fields), Datum::Many(parts)) => object(parts, fields, shape, name),
        (Schema::Enum(name, variants), Datum::Variant(number, parts)) => {
            match variants.get(*number as usize) {
                None => Value::Null,
                Some((variant, _)) if parts.is_empty() => Value::String(variant.clone()),
                Some((variant, fields)) => {
                    let fields = object(parts, fields, shape, name);
                    Value::Object([(variant.clone(), fields)].into_iter().collect())
                }
            }
        }
        (
            Schema::Option(_)
            | Schema::List(_)
            | Schema::Map(..)
            | Schema::Tuple(_)
            | Schema::Struct(..)
            | Schema::Enum(..),
            _,
        ) => Value::Null,
    }
}

fn object(parts: &[Datum], fields: &[Field], of: Shape<'_>, name: &str) -> Value {
    let around = of.inside(name);
    let field = |(field, part): (&Field, &Datum)| {
        (field.name.clone(), json(part, of.field(field, &around)))
    };
    Value::Object(fields.iter().zip(parts).map(field).collect())
}

/// Whether a value of the schema may become `null`.
pub(super) fn may_be_null(schema: &Schema) -> bool {
    match schema {
        Schema::Option(_) => true,
        Schema::Plain(name) => Plain::named(name) == Some(Plain::Unit),
        Schema::List(_)
        | Schema::Map(..)
        | Schema::Tuple(_)
        | Schema::Struct(..)
        | Schema::Enum(..)
        | Schema::Recursive(_) => false,
    }
}

fn plain_json(datum: &Datum) -> Value {
    match datum {
        Datum::Bool(is) => (*is).into(),
        Datum::Unsigned(number) => whole(*number),
        Datum::Signed(number) => whole(*number),
        // By its digits: `0.1_f32` is no `0.10000000149011612` to a person.
        Datum::F32(number) => float(
            number
                .to_string()
                .parse()
                .unwrap_or_else(|_| (*number).into()),
        ),
        Datum::F64(number) => float(*number),
        Datum::Char(char) => char.to_string().into(),
        Datum::Text(text) => text.as_str().into(),
        Datum::Unit | Datum::Option(_) | Datum::Many(_) | Datum::Pairs(_) | Datum::Variant(..) => {
            Value::Null
        }
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
