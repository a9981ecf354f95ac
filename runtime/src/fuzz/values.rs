//! Values read by a schema: any bytes, under any schema that a manifest may hold.

use proptest::prelude::*;

use super::{cases, changed, is_refused_well};
use crate::schema::{Field, Schema, from_json, read_items, to_json, write_items};

/// A schema of any shape, right or wrong.
pub(super) fn schema() -> impl Strategy<Value = Schema> {
    let names = [
        "u8",
        "u16",
        "u64",
        "u128",
        "i8",
        "i64",
        "i128",
        "f32",
        "f64",
        "bool",
        "char",
        "String",
        "()",
        "processing time",
        "unknown",
    ];
    let leaf = prop_oneof![
        6 => prop::sample::select(names.to_vec()).prop_map(Schema::plain),
        1 => prop::sample::select(vec!["A", "B"]).prop_map(|name| Schema::Recursive(name.to_owned())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let field = ("[a-c]", inner.clone()).prop_map(Field::from);
        let fields = prop::collection::vec(field, 0..4);
        let variants = prop::collection::vec(("[A-C]", fields.clone()), 0..4);
        let boxed = || inner.clone().prop_map(Box::new);
        let name = || "[AB]";
        prop_oneof![
            boxed().prop_map(Schema::Option),
            boxed().prop_map(Schema::List),
            (boxed(), boxed()).prop_map(|(key, value)| Schema::Map(key, value)),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Schema::Tuple),
            (name(), fields).prop_map(|(name, fields)| Schema::Struct(name, fields)),
            (name(), variants).prop_map(|(name, variants)| Schema::Enum(name, variants)),
        ]
    })
}

fn encoded() -> Vec<Vec<u8>> {
    let encode = |bytes: Result<Vec<u8>, bitcode::Error>| bytes.expect("plain types encode");
    vec![
        encode(bitcode::serialize(&vec![1_u64, 2, 300])),
        encode(bitcode::serialize(&vec![Some("abc".to_owned()), None])),
        encode(bitcode::serialize(&vec![(1_u8, vec![(-1_i64, true)]); 9])),
        encode(bitcode::serialize(&vec![(); 5])),
        encode(bitcode::serialize(&vec![vec![(); 3]; 5])),
        vec![1, 2, 3],
    ]
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn any_bytes_are_values_of_a_schema_or_refused(schema in schema(), bytes in changed(encoded())) {
        if let Some(values) = is_refused_well(read_items(&bytes, &schema)) {
            prop_assert!(values.len() <= bytes.len() * 8 + (1 << 16), "{} values", values.len());
            let shown: Vec<_> = values.iter().map(|value| to_json(value, &schema)).collect();
            // What was read is written again, and what is shown is understood.
            let written = write_items(&values, &schema).expect("what was read is of the schema");
            let again = read_items(&written, &schema).expect("what was written is read");
            let again: Vec<_> = again.iter().map(|value| to_json(value, &schema)).collect();
            prop_assert_eq!(&again, &shown);
            for json in &shown {
                if let Some(understood) = from_json(json, &schema) {
                    prop_assert_eq!(&to_json(&understood, &schema), json);
                }
            }
        }
        #[cfg(feature = "rocksdb")]
        if crate::schema::check_known(&schema).is_ok() {
            let _ = is_refused_well(crate::schema::take_item(&bytes, &schema));
        }
    }
}
