//! Values that are read by their schema alone, without the type: for people who look into a checkpoint.
//!
//! The codec of snapshots says nothing of itself: what stands where follows from the calls that a
//! type's `Deserialize` makes. A schema knows enough to make the same calls.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Value;

use super::Schema;
use crate::error::{Error, Result};

thread_local! {
    /// What the sequence that is being read holds: `Deserialize` has no place for an argument.
    static ITEM: RefCell<Option<Schema>> = const { RefCell::new(None) };
}

/// Decodes a sequence of values of one schema, as `bitcode` wrote it.
///
/// What JSON has no number for (integers beyond 64 bits, infinite floats) becomes text.
///
/// # Errors
///
/// `Corrupt` where the bytes do not fit the schema; `Incompatible` where the schema names a type that
/// only its own code can read.
pub(crate) fn read_items(bytes: &[u8], item: &Schema) -> Result<Vec<Value>> {
    if let Some(name) = first_unknown(item) {
        return Err(Error::incompatible(format!(
            "values of the type `{name}` cannot be read without its code"
        )));
    }
    ITEM.set(Some(item.clone()));
    let items = bitcode::deserialize::<Items>(bytes);
    ITEM.set(None);
    items
        .map(|items| items.0)
        .map_err(|e| Error::corrupt(format!("an item does not decode as {item}: {e}")))
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
}

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
                let visitor = Parts(Each(fields_of(fields, &around)));
                let values = deserializer.deserialize_tuple(fields.len(), visitor)?;
                Ok(object(fields, values))
            }
            Schema::Enum(name, variants) => {
                let around = Around {
                    name,
                    schema: self.schema,
                    outer: self.around,
                };
                deserializer.deserialize_enum("", &[], Variants(variants, &around))
            }
        }
    }
}

fn fields_of<'s>(fields: &'s [(String, Schema)], around: &'s Around<'s>) -> Vec<Shape<'s>> {
    let shape = |(_, schema): &'s (String, Schema)| Shape {
        schema,
        around: Some(around),
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
        self.0.deserialize(deserializer)
    }
}

/// The variants of an enum, each with its fields.
struct Variants<'s>(
    &'s [(String, Vec<(String, Schema)>)],
    &'s Around<'s>,
);

impl<'de> Visitor<'de> for Variants<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an enum")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (index, variant) = data.variant_seed(VariantIndex)?;
        let Some((name, fields)) = self.0.get(index as usize) else {
            return Err(A::Error::custom(format!("there is no variant {index}")));
        };
        let values = match fields.as_slice() {
            [] => {
                variant.unit_variant()?;
                return Ok(Value::String(name.clone()));
            }
            [(_, schema)] => vec![variant.newtype_variant_seed(Shape {
                schema,
                around: Some(self.1),
            })?],
            _ => variant.tuple_variant(fields.len(), Parts(Each(fields_of(fields, self.1))))?,
        };
        let fields = object(fields, values);
        Ok(Value::Object([(name.clone(), fields)].into_iter().collect()))
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

/// A type without parts, by the name that its schema gives it.
#[derive(Clone, Copy)]
enum Plain {
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
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" | "usize" => Self::U64,
            "u128" => Self::U128,
            "i8" => Self::I8,
            "i16" => Self::I16,
            "i32" => Self::I32,
            "i64" | "isize" => Self::I64,
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

    fn deserialize<'de, D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
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
            Self::F32 => float(f32::deserialize(from)?.into()),
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Serialize;
    use serde_json::json;

    use super::*;

    fn plain(name: &str) -> Schema {
        Schema::plain(name)
    }

    fn fields(fields: &[(&str, Schema)]) -> Vec<(String, Schema)> {
        fields
            .iter()
            .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
            .collect()
    }

    #[track_caller]
    fn check<T: Serialize>(values: &[T], schema: &Schema, expected: &Value) {
        let bytes = bitcode::serialize(values).expect("the values serialise");
        let read = read_items(&bytes, schema).expect("the values read");
        assert_eq!(Value::Array(read), *expected);
    }

    #[test]
    fn plain_values_read_as_what_they_are() {
        check(&[1_u8, 2], &plain("u8"), &json!([1, 2]));
        check(&[-1_i16], &plain("i16"), &json!([-1]));
        check(&[u64::MAX], &plain("u64"), &json!([u64::MAX]));
        check(&[u128::MAX], &plain("u128"), &json!([u128::MAX.to_string()]));
        check(&[-5_i128], &plain("i128"), &json!([-5]));
        check(&[1.5_f64, f64::INFINITY], &plain("f64"), &json!([1.5, "inf"]));
        check(&['x'], &plain("char"), &json!(["x"]));
        check(&[true, false], &plain("bool"), &json!([true, false]));
        check(&["a".to_owned()], &plain("String"), &json!(["a"]));
    }

    #[test]
    fn compound_values_read_with_the_names_of_their_fields() {
        #[derive(Serialize)]
        struct Delay {
            count: u64,
            worst: Option<i64>,
            airports: BTreeMap<String, u32>,
            seen: BTreeSet<u8>,
        }
        let values = [
            Delay {
                count: 3,
                worst: Some(-4),
                airports: BTreeMap::from([("ORD".to_owned(), 7)]),
                seen: BTreeSet::from([1, 2]),
            },
            Delay {
                count: 0,
                worst: None,
                airports: BTreeMap::new(),
                seen: BTreeSet::new(),
            },
        ];
        let schema = Schema::Struct(
            "Delay".to_owned(),
            fields(&[
                ("count", plain("u64")),
                ("worst", Schema::Option(Box::new(plain("i64")))),
                (
                    "airports",
                    Schema::Map(Box::new(plain("String")), Box::new(plain("u32"))),
                ),
                ("seen", Schema::List(Box::new(plain("u8")))),
            ]),
        );
        let expected = json!([
            {"count": 3, "worst": -4, "airports": [["ORD", 7]], "seen": [1, 2]},
            {"count": 0, "worst": null, "airports": [], "seen": []},
        ]);
        check(&values, &schema, &expected);
    }

    #[test]
    fn enums_and_types_inside_themselves_read() {
        #[derive(Serialize)]
        enum Tree {
            Leaf,
            Named(String),
            Fork { left: Box<Tree>, right: Box<Tree> },
        }
        let recursive = || Schema::Recursive("Tree".to_owned());
        let schema = Schema::Enum(
            "Tree".to_owned(),
            vec![
                ("Leaf".to_owned(), Vec::new()),
                ("Named".to_owned(), fields(&[("0", plain("String"))])),
                (
                    "Fork".to_owned(),
                    fields(&[("left", recursive()), ("right", recursive())]),
                ),
            ],
        );
        let tree = Tree::Fork {
            left: Box::new(Tree::Leaf),
            right: Box::new(Tree::Named("x".to_owned())),
        };
        let expected = json!([{"Fork": {"left": "Leaf", "right": {"Named": {"0": "x"}}}}]);
        check(&[tree], &schema, &expected);
    }

    #[test]
    fn a_type_that_no_schema_describes_is_named() {
        let schema = Schema::Tuple(vec![plain("u8"), plain("chrono::DateTime")]);
        let error = read_items(&[], &schema).expect_err("it cannot be read");
        assert_eq!(error.kind(), crate::error::ErrorKind::Incompatible);
        assert!(error.message().contains("chrono::DateTime"), "{error}");
    }

    #[test]
    fn bytes_that_do_not_fit_the_schema_are_an_error() {
        let bytes = bitcode::serialize(&vec![(1_u64, "x".to_owned())]).expect("it serialises");
        for end in 0..bytes.len() {
            let schema = Schema::Tuple(vec![plain("u64"), plain("String")]);
            assert!(read_items(&bytes[..end], &schema).is_err(), "cut at {end}");
        }
    }
}
