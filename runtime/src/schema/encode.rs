//! Values that are written by their schema alone, with the calls that their type's `Serialize` would make:
//! so the bytes are those that the type reads.

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer};
use serde::ser::{SerializeStruct, SerializeTupleVariant};

use super::{Around, Datum, Field, Plain, Schema, Shape};
use crate::error::{Error, Result};

/// Encodes values of one schema, as `bitcode` writes a sequence of them.
///
/// # Errors
///
/// `Internal` where a datum is none of the schema.
pub(crate) fn write_items(items: &[Datum], schema: &Schema) -> Result<Vec<u8>> {
    let shape = Shape::of(schema);
    let items: Vec<Shaped<'_>> = items.iter().map(|datum| Shaped { datum, shape }).collect();
    bitcode::serialize(&items)
        .map_err(|e| Error::internal(format!("a value is not written as {schema}: {e}")))
}

/// A datum with the schema that it is one of.
#[derive(Clone, Copy)]
pub(super) struct Shaped<'a> {
    pub(super) datum: &'a Datum,
    pub(super) shape: Shape<'a>,
}

impl Serialize for Shaped<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { datum, shape } = *self;
        let with = |datum, shape| Shaped { datum, shape };
        match (shape.schema, datum) {
            (Schema::Plain(name), _) => match Plain::named(name) {
                Some(plain) => plain.serialize(datum, to),
                None => Err(S::Error::custom(format!("`{name}` is not known"))),
            },
            (Schema::Recursive(name), _) => match shape.unfolded(name) {
                Some(shape) => with(datum, shape).serialize(to),
                None => Err(S::Error::custom(format!("`{name}` is not around"))),
            },
            (Schema::Option(_), Datum::Option(None)) => to.serialize_none(),
            (Schema::Option(of), Datum::Option(Some(value))) => {
                to.serialize_some(&with(value, shape.part(of)))
            }
            (Schema::List(of), Datum::Many(items)) => {
                let mut seq = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(&with(item, shape.part(of)))?;
                }
                seq.end()
            }
            (Schema::Map(key, value), Datum::Pairs(pairs)) => {
                let mut map = to.serialize_map(Some(pairs.len()))?;
                for (k, v) in pairs {
                    map.serialize_entry(&with(k, shape.part(key)), &with(v, shape.part(value)))?;
                }
                map.end()
            }
            (Schema::Tuple(of), Datum::Many(parts)) if parts.len() == of.len() => {
                let mut tuple = to.serialize_tuple(parts.len())?;
                for (part, of) in parts.iter().zip(of) {
                    tuple.serialize_element(&with(part, shape.part(of)))?;
                }
                tuple.end()
            }
            (Schema::Struct(name, fields), Datum::Many(parts)) if parts.len() == fields.len() => {
                let around = shape.inside(name);
                let mut to = to.serialize_struct("", parts.len())?;
                for part in shaped(parts, fields, shape, &around) {
                    to.serialize_field("", &part)?;
                }
                to.end()
            }
            (Schema::Enum(name, variants), Datum::Variant(number, parts)) => {
                let fields = variants.get(*number as usize).map(|(_, fields)| fields);
                let Some(fields) = fields.filter(|fields| fields.len() == parts.len()) else {
                    return Err(S::Error::custom(format!("a value is no {name}")));
                };
                let around = shape.inside(name);
                let parts: Vec<_> = shaped(parts, fields, shape, &around).collect();
                match parts[..] {
                    [] => to.serialize_unit_variant("", *number, ""),
                    [part] => to.serialize_newtype_variant("", *number, "", &part),
                    _ => {
                        let mut to = to.serialize_tuple_variant("", *number, "", parts.len())?;
                        for part in &parts {
                            to.serialize_field(part)?;
                        }
                        to.end()
                    }
                }
            }
            (schema, _) => Err(S::Error::custom(format!("a value is no {schema}"))),
        }
    }
}

fn shaped<'a>(
    parts: &'a [Datum],
    fields: &'a [Field],
    of: Shape<'a>,
    around: &'a Around<'a>,
) -> impl Iterator<Item = Shaped<'a>> {
    let part = move |(datum, field)| Shaped {
        datum,
        shape: of.field(field, around),
    };
    parts.iter().zip(fields).map(part)
}
