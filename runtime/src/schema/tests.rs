use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

use serde_json::Value;

use super::*;

fn plain(name: &str) -> Schema {
    Schema::plain(name)
}

fn fields(fields: &[(&str, Schema)]) -> Vec<Field> {
    fields.iter().cloned().map(Field::from).collect()
}

#[track_caller]
fn check<T: Serialize>(values: &[T], schema: &Schema, expected: &Value) {
    let bytes = bitcode::serialize(values).expect("the values serialise");
    let read = read_items(&bytes, schema).expect("the values read");
    let written = write_items(&read, schema).expect("the values are written");
    assert_eq!(written, bytes, "written by the schema {schema}");
    let json: Value = read.iter().map(|datum| to_json(datum, schema)).collect();
    assert_eq!(json, *expected);
    #[cfg(feature = "rocksdb")]
    for (value, read) in values.iter().zip(&read) {
        check_item(value, schema, read);
    }
}

/// Checks that a value reads the same as RocksDB holds it, whatever stands behind it, and that nothing reads
/// where it ends too early.
#[cfg(feature = "rocksdb")]
#[track_caller]
fn check_item<T: Serialize>(value: &T, schema: &Schema, expected: &Datum) {
    let mut bytes = postcard::to_stdvec(value).expect("the value serialises");
    for len in 0..bytes.len() {
        let error = take_item(&bytes[..len], schema).expect_err("its end is missing");
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt, "{error}");
    }
    bytes.extend(b"behind it");
    let (read, behind) = take_item(&bytes, schema).expect("the value reads");
    assert_eq!(behind, b"behind it");
    let json = [&read, expected].map(|datum| to_json(datum, schema));
    assert_eq!(json[0], json[1]);
}

#[test]
fn plain_values_read_as_what_they_are() {
    check(&[1_u8, 2], &plain("u8"), &json!([1, 2]));
    check(&[-1_i16], &plain("i16"), &json!([-1]));
    check(&[u64::MAX], &plain("u64"), &json!([u64::MAX]));
    check(
        &[u128::MAX],
        &plain("u128"),
        &json!([u128::MAX.to_string()]),
    );
    check(&[-5_i128], &plain("i128"), &json!([-5]));
    check(
        &[1.5_f64, f64::INFINITY],
        &plain("f64"),
        &json!([1.5, "inf"]),
    );
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
fn values_that_are_not_the_same_stay_different() {
    let of = |schema| Schema::Option(Box::new(schema));
    check(
        &[None, Some(None), Some(Some(1_u8))],
        &of(of(plain("u8"))),
        &json!([null, {"Some": null}, {"Some": 1}]),
    );
    check(
        &[None, Some(())],
        &of(plain("()")),
        &json!([null, {"Some": null}]),
    );
    check(&[0.1_f32, f32::NAN], &plain("f32"), &json!([0.1, "NaN"]));
}

#[test]
fn variants_of_each_form_read() {
    #[derive(Serialize)]
    enum Form {
        Unit,
        Empty {},
        One { at: u8 },
        Pair(u8, String),
    }
    let schema = Schema::Enum(
        "Form".to_owned(),
        vec![
            ("Unit".to_owned(), Vec::new()),
            ("Empty".to_owned(), Vec::new()),
            ("One".to_owned(), fields(&[("at", plain("u8"))])),
            (
                "Pair".to_owned(),
                fields(&[("0", plain("u8")), ("1", plain("String"))]),
            ),
        ],
    );
    let forms = [
        Form::Unit,
        Form::Empty {},
        Form::One { at: 7 },
        Form::Pair(1, "x".to_owned()),
    ];
    let expected = json!(["Unit", "Empty", {"One": {"at": 7}}, {"Pair": {"0": 1, "1": "x"}}]);
    check(&forms, &schema, &expected);
}

#[test]
fn lists_without_a_byte_and_types_deep_inside_themselves_have_a_bound() {
    #[derive(Serialize)]
    struct Chain(Option<Box<Chain>>);
    #[derive(Clone, Serialize)]
    enum Only {
        Only(u8),
    }
    let error = |bytes: &[u8], schema: &Schema| {
        let error = read_items(bytes, schema).expect_err("it has a bound");
        assert_eq!(error.kind(), crate::error::ErrorKind::Corrupt);
        error.message().to_owned()
    };
    let units = bitcode::serialize(&vec![vec![(); 1 << 17]]).expect("they take no room");
    let schema = Schema::List(Box::new(plain("()")));
    assert!(error(&units, &schema).contains("without a byte"));
    // The fields of the only variant of an enum take room.
    let only = vec![("Only".to_owned(), vec![("0", plain("u8")).into()])];
    let schema = Schema::List(Box::new(Schema::Enum("Of".to_owned(), only)));
    let many = bitcode::serialize(&vec![vec![Only::Only(7); 1 << 17]]).expect("they serialise");
    let read = read_items(&many, &schema).expect("they are many, and no more");
    assert_eq!(read[0].parts().map(<[_]>::len), Some(1 << 17));

    let deep = (0..1_000).fold(Chain(None), |rest, _| Chain(Some(Box::new(rest))));
    let next = Schema::Option(Box::new(Schema::Recursive("Chain".to_owned())));
    let schema = Schema::Struct("Chain".to_owned(), fields(&[("0", next)]));
    let bytes = bitcode::serialize(&vec![deep]).expect("it serialises");
    assert!(error(&bytes, &schema).contains("inside itself"));
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
