//! Values that are read by their schema alone, without the type.
//!
//! The codec of snapshots says nothing of itself: what stands where follows from the calls that a
//! type's `Deserialize` makes. A schema knows enough to make the same calls.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::shape::DEEPEST;
use super::{Around, Datum, Field, Plain, Schema, Shape};
use crate::error::{Error, Result};

thread_local! {
    /// What the sequence that is being read holds: `Deserialize` has no place for an argument.
    static ITEM: RefCell<Option<Schema>> = const { RefCell::new(None) };
    /// How many items without a byte may still come.
    static EMPTY: Cell<usize> = const { Cell::new(0) };
}

/// Decodes a sequence of values of one schema, as `bitcode` wrote it.
///
/// # Errors
///
/// `Corrupt` where the bytes do not fit the schema; `Incompatible` where the schema names a type that
/// only its own code can read.
pub(crate) fn read_items(bytes: &[u8], item: &Schema) -> Result<Vec<Datum>> {
    check_known(item)?;
    ITEM.set(Some(item.clone()));
    EMPTY.set(MOST_EMPTY);
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
pub(crate) fn take_item<'b>(bytes: &'b [u8], item: &Schema) -> Result<(Datum, &'b [u8])> {
    let shape = Shape::of(item);
    EMPTY.set(MOST_EMPTY);
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
pub(crate) fn first_unknown(schema: &Schema) -> Option<&str> {
    match schema {
        Schema::Plain(name) => (Plain::named(name).is_none()).then_some(name),
        Schema::Recursive(_) => None,
        Schema::Option(of) | Schema::List(of) => first_unknown(of),
        Schema::Map(key, value) => first_unknown(key).or_else(|| first_unknown(value)),
        Schema::Tuple(parts) => parts.iter().find_map(first_unknown),
        Schema::Struct(_, fields) => fields.iter().find_map(|field| first_unknown(&field.schema)),
        Schema::Enum(_, variants) => variants
            .iter()
            .flat_map(|(_, fields)| fields)
            .find_map(|field| first_unknown(&field.schema)),
    }
}

struct Items(Vec<Datum>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let item = ITEM
            .take()
            .ok_or_else(|| D::Error::custom("no schema was given"))?;
        deserializer
            .deserialize_seq(Parts(Repeat(Shape::of(&item))))
            .map(Items)
    }
}

/// Items without a byte in the lists and maps that are read at once, at most: their number alone would be believed, and
/// the number of such lists.
const MOST_EMPTY: usize = 1 << 16;

/// Counts an item without a byte.
fn count_empty<E: serde::de::Error>() -> Result<(), E> {
    match EMPTY.get().checked_sub(1) {
        Some(left) => {
            EMPTY.set(left);
            Ok(())
        }
        None => Err(E::custom(format!(
            "its lists hold more than {MOST_EMPTY} items without a byte"
        ))),
    }
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Datum;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Datum, D::Error> {
        if self.depth > DEEPEST {
            let message = format!("a value is inside itself or others more than {DEEPEST} times");
            return Err(D::Error::custom(message));
        }
        match self.schema {
            Schema::Plain(name) => match Plain::named(name) {
                Some(plain) => plain.deserialize(deserializer),
                None => Err(D::Error::custom(format!("`{name}` is not known"))),
            },
            Schema::Recursive(name) => match self.unfolded(name) {
                Some(shape) => shape.deserialize(deserializer),
                None => Err(D::Error::custom(format!("`{name}` is not around"))),
            },
            Schema::Option(of) => deserializer.deserialize_option(Maybe(self.part(of))),
            Schema::List(of) => deserializer
                .deserialize_seq(Parts(Repeat(self.part(of))))
                .map(Datum::Many),
            Schema::Map(key, value) => deserializer
                .deserialize_map(Pairs(self.part(key), self.part(value)))
                .map(Datum::Pairs),
            Schema::Tuple(parts) => {
                let shapes = parts.iter().map(|part| self.part(part)).collect();
                deserializer
                    .deserialize_tuple(parts.len(), Parts(Each(shapes)))
                    .map(Datum::Many)
            }
            Schema::Struct(name, fields) => {
                let around = self.inside(name);
                let visitor = Parts(Each(fields_of(self, fields, &around)));
                deserializer
                    .deserialize_tuple(fields.len(), visitor)
                    .map(Datum::Many)
            }
            Schema::Enum(name, variants) => {
                let around = self.inside(name);
                let variants = Variants {
                    each: variants,
                    of: self,
                    around: &around,
                };
                deserializer.deserialize_enum("", &[], variants)
            }
        }
    }
}

fn fields_of<'s>(of: Shape<'s>, fields: &'s [Field], around: &'s Around<'s>) -> Vec<Shape<'s>> {
    fields.iter().map(|field| of.field(field, around)).collect()
}

/// The shapes of the parts of a sequence, one after the other.
trait Shapes<'s> {
    fn at(&self, index: usize) -> Option<Shape<'s>>;

    /// The shape of each, if there is no end of them.
    fn of_each(&self) -> Option<Shape<'s>>;
}

/// The same for each.
struct Repeat<'s>(Shape<'s>);

impl<'s> Shapes<'s> for Repeat<'s> {
    fn at(&self, _: usize) -> Option<Shape<'s>> {
        Some(self.0)
    }

    fn of_each(&self) -> Option<Shape<'s>> {
        Some(self.0)
    }
}

/// One for each.
struct Each<'s>(Vec<Shape<'s>>);

impl<'s> Shapes<'s> for Each<'s> {
    fn at(&self, index: usize) -> Option<Shape<'s>> {
        self.0.get(index).copied()
    }

    fn of_each(&self) -> Option<Shape<'s>> {
        None
    }
}

struct Parts<S>(S);

impl<'de, 's, S: Shapes<'s>> Visitor<'de> for Parts<S> {
    type Value = Vec<Datum>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Datum>, A::Error> {
        let mut values = Vec::new();
        let of_each = self.0.of_each();
        let pays_nothing = of_each.is_some_and(|shape| is_empty(shape.schema));
        while let Some(shape) = self.0.at(values.len()) {
            if pays_nothing {
                count_empty()?;
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
    type Value = Vec<(Datum, Datum)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        let pays_nothing = is_empty(self.0.schema) && is_empty(self.1.schema);
        while let Some(pair) = map.next_entry_seed(self.0, self.1)? {
            if pays_nothing {
                count_empty()?;
            }
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

struct Maybe<'s>(Shape<'s>);

impl<'de> Visitor<'de> for Maybe<'_> {
    type Value = Datum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an option")
    }

    fn visit_none<E>(self) -> Result<Datum, E> {
        Ok(Datum::Option(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Datum, D::Error> {
        let value = self.0.deserialize(deserializer)?;
        Ok(Datum::Option(Some(Box::new(value))))
    }
}

/// Whether values of the schema take no byte, however many there are.
fn is_empty(schema: &Schema) -> bool {
    match schema {
        Schema::Plain(name) => Plain::named(name) == Some(Plain::Unit),
        Schema::Tuple(parts) => parts.iter().all(is_empty),
        Schema::Struct(_, fields) => fields.iter().all(|field| is_empty(&field.schema)),
        Schema::Enum(_, variants) => match &variants[..] {
            [] => true,
            [(_, fields)] => fields.iter().all(|field| is_empty(&field.schema)),
            _ => false,
        },
        Schema::Option(_) | Schema::List(_) | Schema::Map(..) | Schema::Recursive(_) => false,
    }
}

/// The variants of an enum, each with its fields.
struct Variants<'s> {
    each: &'s [(String, Vec<Field>)],
    of: Shape<'s>,
    around: &'s Around<'s>,
}

impl<'de> Visitor<'de> for Variants<'_> {
    type Value = Datum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an enum")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Datum, A::Error> {
        let (index, variant) = data.variant_seed(VariantIndex)?;
        let Some((_, fields)) = self.each.get(index as usize) else {
            return Err(A::Error::custom(format!("there is no variant {index}")));
        };
        let shapes = fields_of(self.of, fields, self.around);
        let values = match shapes[..] {
            [] => {
                variant.unit_variant()?;
                Vec::new()
            }
            [shape] => vec![variant.newtype_variant_seed(shape)?],
            _ => variant.tuple_variant(fields.len(), Parts(Each(shapes)))?,
        };
        Ok(Datum::Variant(index, values))
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
