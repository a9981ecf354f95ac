//! Values that are read by their schema alone, without the type: for people who look into a checkpoint.
//!
//! The codec of snapshots says nothing of itself: what stands where follows from the calls that a
//! type's `Deserialize` makes. A schema knows enough to make the same calls.

mod plain;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Value;

use super::Schema;
use crate::error::{Error, Result};

pub(crate) use plain::Plain;

thread_local! {
    /// What the sequence that is being read holds: `Deserialize` has no place for an argument.
    static ITEM: RefCell<Option<Schema>> = const { RefCell::new(None) };
}

/// Decodes a sequence of values of one schema, as `bitcode` wrote it.
///
/// What JSON has no number for (integers beyond 64 bits, infinite floats) becomes text, a map a list of
/// pairs, and a value within an option that could itself be `null` `{"Some": value}`, so that different
/// values stay different.
///
/// # Errors
///
/// `Corrupt` where the bytes do not fit the schema; `Incompatible` where the schema names a type that
/// only its own code can read.
pub(crate) fn read_items(bytes: &[u8], item: &Schema) -> Result<Vec<Value>> {
    check_known(item)?;
    ITEM.set(Some(item.clone()));
    let items = bitcode::deserialize::<Items>(bytes);
    ITEM.set(None);
    items
        .map(|items| items.0)
        .map_err(|e| Error::corrupt(format!("an item does not decode as {item}: {e}")))
}

/// Decodes the value that `bytes` begin with, as `postcard` wrote it: the same as [`read_items`] makes of it. The
/// rest of the bytes is returned.
///
/// # Errors
///
/// `Corrupt` where the bytes do not fit the schema, which is [known](check_known).
#[cfg(feature = "rocksdb")]
pub(crate) fn take_item<'b>(bytes: &'b [u8], item: &Schema) -> Result<(Value, &'b [u8])> {
    let shape = Shape {
        schema: item,
        around: None,
        depth: 0,
    };
    let mut from = postcard::Deserializer::from_bytes(bytes);
    let value = shape.deserialize(&mut from);
    value
        .and_then(|value| Ok((value, from.finalize()?)))
        .map_err(|e| Error::corrupt(format!("it does not decode as {item}: {e}")))
}

/// Checks that values of a schema can be read by it.
///
/// # Errors
///
/// `Incompatible` where it names a type that only its own code can read.
pub(crate) fn check_known(schema: &Schema) -> Result<()> {
    match first_unknown(schema) {
        None => Ok(()),
        Some(name) => Err(Error::incompatible(format!(
            "values of the type `{name}` cannot be read without its code"
        ))),
    }
}

/// The first type that a schema names and does not describe.
fn first_unknown(schema: &Schema) -> Option<&str> {
    match schema {
        Schema::Plain(name) => (Plain::named(name).is_none()).then_some(name),
        Schema::Recursive(_) => None,
        Schema::Option(of) | Schema::List(of) => first_unknown(of),
        Schema::Map(key, value) => first_unknown(key).or_else(|| first_unknown(value)),
        Schema::Tuple(parts) => parts.iter().find_map(first_unknown),
        Schema::Struct(_, fields) => fields.iter().find_map(|(_, field)| first_unknown(field)),
        Schema::Enum(_, variants) => variants
            .iter()
            .flat_map(|(_, fields)| fields)
            .find_map(|(_, field)| first_unknown(field)),
    }
}

struct Items(Vec<Value>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let item = ITEM
            .take()
            .ok_or_else(|| D::Error::custom("no schema was given"))?;
        let shape = Shape {
            schema: &item,
            around: None,
            depth: 0,
        };
        deserializer
            .deserialize_seq(Parts(Repeat(shape)))
            .map(Items)
    }
}

/// A schema where it stands: inside the named types around it.
#[derive(Clone, Copy)]
struct Shape<'s> {
    schema: &'s Schema,
    around: Option<&'s Around<'s>>,
    /// How often a type stood inside itself on the way here.
    depth: usize,
}

/// A value inside itself more often than this would take too much of the stack.
const DEEPEST: usize = 128;

/// Items without a byte in one list, at most: their number alone would be believed.
const MOST_EMPTY: usize = 1 << 16;

/// A named type, and what is around that.
struct Around<'s> {
    name: &'s str,
    schema: &'s Schema,
    outer: Option<&'s Around<'s>>,
}

impl<'s> Shape<'s> {
    fn part(self, schema: &'s Schema) -> Self {
        Self { schema, ..self }
    }

    /// The enclosing type that a recursive one stands for.
    fn unfolded(self, name: &str) -> Option<Self> {
        let mut around = self.around;
        while let Some(named) = around {
            if named.name == name {
                return Some(Shape {
                    schema: named.schema,
                    around: named.outer,
                    depth: self.depth + 1,
                });
            }
            around = named.outer;
        }
        None
    }
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.schema {
            Schema::Plain(name) => match Plain::named(name) {
                Some(plain) => plain.deserialize(deserializer),
                None => Err(D::Error::custom(format!("`{name}` is not known"))),
            },
            Schema::Recursive(name) => match self.unfolded(name) {
                Some(shape) if shape.depth > DEEPEST => {
                    let message = format!("`{name}` is inside itself more than {DEEPEST} times");
                    Err(D::Error::custom(message))
                }
                Some(shape) => shape.deserialize(deserializer),
                None => Err(D::Error::custom(format!("`{name}` is not around"))),
            },
            Schema::Option(of) => deserializer.deserialize_option(Maybe(self.part(of))),
            Schema::List(of) => deserializer
                .deserialize_seq(Parts(Repeat(self.part(of))))
                .map(Value::Array),
            Schema::Map(key, value) => deserializer
                .deserialize_map(Pairs(self.part(key), self.part(value)))
                .map(Value::Array),
            Schema::Tuple(parts) => {
                let shapes = parts.iter().map(|part| self.part(part)).collect();
                deserializer
                    .deserialize_tuple(parts.len(), Parts(Each(shapes)))
                    .map(Value::Array)
            }
            Schema::Struct(name, fields) => {
                let around = Around {
                    name,
                    schema: self.schema,
                    outer: self.around,
                };
                let visitor = Parts(Each(fields_of(fields, &around, self.depth)));
                let values = deserializer.deserialize_tuple(fields.len(), visitor)?;
                Ok(object(fields, values))
            }
            Schema::Enum(name, variants) => {
                let around = Around {
                    name,
                    schema: self.schema,
                    outer: self.around,
                };
                let variants = Variants {
                    each: variants,
                    around: &around,
                    depth: self.depth,
                };
                deserializer.deserialize_enum("", &[], variants)
            }
        }
    }
}

fn fields_of<'s>(
    fields: &'s [(String, Schema)],
    around: &'s Around<'s>,
    depth: usize,
) -> Vec<Shape<'s>> {
    let shape = |(_, schema): &'s (String, Schema)| Shape {
        schema,
        around: Some(around),
        depth,
    };
    fields.iter().map(shape).collect()
}

fn object(fields: &[(String, Schema)], values: Vec<Value>) -> Value {
    let names = fields.iter().map(|(name, _)| name.clone());
    Value::Object(names.zip(values).collect())
}

/// The shapes of the parts of a sequence, one after the other.
trait Shapes<'s> {
    fn at(&self, index: usize) -> Option<Shape<'s>>;
}

/// The same for each.
struct Repeat<'s>(Shape<'s>);

impl<'s> Shapes<'s> for Repeat<'s> {
    fn at(&self, _: usize) -> Option<Shape<'s>> {
        Some(self.0)
    }
}

/// One for each.
struct Each<'s>(Vec<Shape<'s>>);

impl<'s> Shapes<'s> for Each<'s> {
    fn at(&self, index: usize) -> Option<Shape<'s>> {
        self.0.get(index).copied()
    }
}

struct Parts<S>(S);

impl<'de, 's, S: Shapes<'s>> Visitor<'de> for Parts<S> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Value>, A::Error> {
        let mut values = Vec::new();
        while let Some(shape) = self.0.at(values.len()) {
            if values.len() >= MOST_EMPTY && is_empty(shape.schema) {
                let message = format!("a list holds more than {MOST_EMPTY} items without a byte");
                return Err(A::Error::custom(message));
            }
            match seq.next_element_seed(shape)? {
                Some(value) => values.push(value),
                None => break,
            }
        }
        Ok(values)
    }
}

struct Pairs<'s>(Shape<'s>, Shape<'s>);

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Value>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry_seed(self.0, self.1)? {
            pairs.push(Value::Array(vec![key, value]));
        }
        Ok(pairs)
    }
}

struct Maybe<'s>(Shape<'s>);

impl<'de> Visitor<'de> for Maybe<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an option")
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let is_null = may_be_null(self.0.schema);
        let value = self.0.deserialize(deserializer)?;
        Ok(if is_null {
            Value::Object([("Some".to_owned(), value)].into_iter().collect())
        } else {
            value
        })
    }
}

/// Whether a value of the schema may become `null`.
pub(crate) fn may_be_null(schema: &Schema) -> bool {
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

/// Whether values of the schema take no byte, however many there are.
fn is_empty(schema: &Schema) -> bool {
    match schema {
        Schema::Plain(name) => Plain::named(name) == Some(Plain::Unit),
        Schema::Tuple(parts) => parts.iter().all(is_empty),
        Schema::Struct(_, fields) => fields.iter().all(|(_, field)| is_empty(field)),
        Schema::Enum(_, variants) => variants.len() < 2,
        Schema::Option(_) | Schema::List(_) | Schema::Map(..) | Schema::Recursive(_) => false,
    }
}

/// The variants of an enum, each with its fields.
struct Variants<'s> {
    each: &'s [(String, Vec<(String, Schema)>)],
    around: &'s Around<'s>,
    depth: usize,
}

impl<'de> Visitor<'de> for Variants<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an enum")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (index, variant) = data.variant_seed(VariantIndex)?;
        let Some((name, fields)) = self.each.get(index as usize) else {
            return Err(A::Error::custom(format!("there is no variant {index}")));
        };
        let shapes = fields_of(fields, self.around, self.depth);
        let values = match shapes[..] {
            [] => {
                variant.unit_variant()?;
                return Ok(Value::String(name.clone()));
            }
            [shape] => vec![variant.newtype_variant_seed(shape)?],
            _ => variant.tuple_variant(fields.len(), Parts(Each(shapes)))?,
        };
        let fields = object(fields, values);
        Ok(Value::Object(
            [(name.clone(), fields)].into_iter().collect(),
        ))
    }
}

struct VariantIndex;

impl<'de> DeserializeSeed<'de> for VariantIndex {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u32, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for VariantIndex {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a variant")
    }

    fn visit_u64<E: serde::de::Error>(self, index: u64) -> Result<u32, E> {
        u32::try_from(index).map_err(E::custom)
    }
}
