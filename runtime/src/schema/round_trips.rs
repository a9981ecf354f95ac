//! What is read by a schema, and written by it again, has the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;

use proptest::prelude::*;

use super::{Datum, Field, Schema, read_items, write_items};
use crate::state::State;

/// Checks some values of a type, all at once and one by one, with the bytes of both codecs.
#[track_caller]
fn check<T: State>(values: impl IntoIterator<Item = T>) {
    let values: Vec<T> = values.into_iter().collect();
    let schema = T::schema();
    for values in [&values[..]].into_iter().chain(values.chunks(1)) {
        let bytes = bitcode::serialize(values).expect("the values serialise");
        let read = read_items(&bytes, &schema).expect("they read by their schema");
        let written = write_items(&read, &schema).expect("they are written by it");
        assert_eq!(written, bytes, "{schema}");
        #[cfg(feature = "rocksdb")]
        for (value, datum) in values.iter().zip(&read) {
            let shape = super::Shape::of(&schema);
            let by_schema = postcard::to_stdvec(&super::encode::Shaped { datum, shape });
            let by_type = postcard::to_stdvec(value).expect("the value serialises");
            assert_eq!(
                by_schema.expect("it is written by its schema"),
                by_type,
                "{schema}"
            );
        }
    }
}

macro_rules! check_integers {
    ($($t:ty),*) => {$(check([0, 1, <$t>::MIN, <$t>::MAX, <$t>::MAX / 3]);)*};
}

#[test]
fn values_of_every_type_of_the_library_are_written_as_they_were() {
    check_integers!(
        u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
    );
    check([
        0.0_f32,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        0.1,
        f32::MIN_POSITIVE,
    ]);
    check([0.0_f64, -0.0, f64::NAN, f64::NEG_INFINITY, 0.1, f64::MAX]);
    check([true, false, true]);
    check(['a', 'ü', '\u{10ffff}', '\0']);
    check(["", "a", "a longer text than a word"].map(String::from));
    check([(), ()]);
    check([None, Some(7_u8), Some(0)]);
    check([None, Some(None), Some(Some(()))]);
    check([Box::new(5_i16)]);
    check([vec![], vec![1_u32, 2], vec![3]]);
    check([VecDeque::from([1_u64]), VecDeque::new()]);
    check([BTreeSet::from(["a".to_owned(), "b".to_owned()])]);
    check([HashSet::from([1_u8]), HashSet::new()]);
    check([BTreeMap::from([(1_u8, vec!['x']), (2, vec![])])]);
    check([HashMap::from([("a".to_owned(), 0.5_f64)]), HashMap::new()]);
    check([(1_u8,), (2,)]);
    check([(1_u8, -1_i64, "x".to_owned(), None::<bool>)]);
    check([(1_u8, 2_u8, 3_u8, 4_u8, 5_u8, 6_u8, 7_u8, (8_u8, 'x'))]);
}

/// A schema, and values of it.
fn schemas_and_values() -> impl Strategy<Value = (Schema, Vec<Datum>)> {
    schemas().prop_flat_map(|schema| {
        let values = prop::collection::vec(values_of(&schema), 0..5);
        (Just(schema), values)
    })
}

const PLAIN: [&str; 16] = [
    "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "f32", "f64", "bool",
    "char", "String", "()",
];

fn schemas() -> impl Strategy<Value = Schema> {
    let plain = prop::sample::select(&PLAIN[..]).prop_map(Schema::plain);
    plain.prop_recursive(4, 24, 4, |inner| {
        let fields = |of: BoxedStrategy<Schema>| {
            prop::collection::vec(of, 0..4).prop_map(|fields| {
                let fields = fields.into_iter().enumerate();
                let field = |(at, schema): (usize, Schema)| Field::from((at.to_string(), schema));
                fields.map(field).collect::<Vec<_>>()
            })
        };
        let inner = inner.boxed();
        let variants = prop::collection::vec(fields(inner.clone()), 1..4);
        prop_oneof![
            inner.clone().prop_map(|of| Schema::Option(Box::new(of))),
            inner.clone().prop_map(|of| Schema::List(Box::new(of))),
            (inner.clone(), inner.clone())
                .prop_map(|(key, value)| Schema::Map(Box::new(key), Box::new(value))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Schema::Tuple),
            fields(inner).prop_map(|fields| Schema::Struct("S".to_owned(), fields)),
            variants.prop_map(|variants| {
                let variants = variants.into_iter().enumerate();
                let named = variants.map(|(at, fields)| (at.to_string(), fields));
                Schema::Enum("E".to_owned(), named.collect())
            }),
        ]
    })
}

fn values_of(schema: &Schema) -> BoxedStrategy<Datum> {
    match schema {
        Schema::Plain(name) => plain_of(name),
        Schema::Option(of) => prop::option::of(values_of(of))
            .prop_map(|value| Datum::Option(value.map(Box::new)))
            .boxed(),
        Schema::List(of) => prop::collection::vec(values_of(of), 0..4)
            .prop_map(Datum::Many)
            .boxed(),
        Schema::Map(key, value) => prop::collection::vec((values_of(key), values_of(value)), 0..3)
            .prop_map(Datum::Pairs)
            .boxed(),
        Schema::Tuple(parts) => {
            let parts: Vec<_> = parts.iter().map(values_of).collect();
            parts.prop_map(Datum::Many).boxed()
        }
        Schema::Struct(_, fields) => fields_of(fields).prop_map(Datum::Many).boxed(),
        Schema::Enum(_, variants) => {
            let variant = |(at, (_, fields)): (u32, &(String, Vec<Field>))| {
                fields_of(fields).prop_map(move |parts| Datum::Variant(at, parts))
            };
            let variants: Vec<_> = (0..).zip(variants).map(variant).collect();
            prop::strategy::Union::new(variants).boxed()
        }
        Schema::Recursive(_) => unreachable!("none is made"),
    }
}

fn fields_of(fields: &[Field]) -> Vec<BoxedStrategy<Datum>> {
    fields
        .iter()
        .map(|field| values_of(&field.schema))
        .collect()
}

fn plain_of(name: &str) -> BoxedStrategy<Datum> {
    fn made<T: Arbitrary + Debug + 'static>(make: fn(T) -> Datum) -> BoxedStrategy<Datum> {
        any::<T>().prop_map(make).boxed()
    }
    match name {
        "u8" => made(|n: u8| Datum::Unsigned(n.into())),
        "u16" => made(|n: u16| Datum::Unsigned(n.into())),
        "u32" => made(|n: u32| Datum::Unsigned(n.into())),
        "u64" => made(|n: u64| Datum::Unsigned(n.into())),
        "u128" => made(Datum::Unsigned),
        "i8" => made(|n: i8| Datum::Signed(n.into())),
        "i16" => made(|n: i16| Datum::Signed(n.into())),
        "i32" => made(|n: i32| Datum::Signed(n.into())),
        "i64" => made(|n: i64| Datum::Signed(n.into())),
        "i128" => made(Datum::Signed),
        "f32" => made(Datum::F32),
        "f64" => made(Datum::F64),
        "bool" => made(Datum::Bool),
        "char" => made(Datum::Char),
        "String" => made(Datum::Text),
        _ => Just(Datum::Unit).boxed(),
    }
}

proptest! {
    #[test]
    fn what_is_written_by_a_schema_is_read_by_it((schema, values) in schemas_and_values()) {
        let bytes = write_items(&values, &schema).expect("they are written");
        let read = read_items(&bytes, &schema).expect("they are read");
        prop_assert_eq!(read, values);
    }
}
