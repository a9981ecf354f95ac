use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::compare::{Evolved, Role, compare};
use super::super::*;
use super::{INTEGER, of, options, plain};
use crate::schema::{Field, Schema, default_bytes, read_items, write_items};
use crate::state::State;

/// Checks what is said of values of the one schema that are to be read as the other.
#[track_caller]
fn check(role: Role, stored: &Schema, new: &Schema, expected: Result<&[&str], &[&str]>) {
    let compared = compare("value", role, stored, new);
    let said = match &compared {
        Ok(evolved) => Ok(evolved.changes.clone()),
        Err(differences) => Err(differences.iter().map(ToString::to_string).collect()),
    };
    let owned = |lines: &[&str]| -> Vec<String> { lines.iter().map(|l| (*l).to_owned()).collect() };
    assert_eq!(said, expected.map(owned).map_err(owned));
}

#[test]
fn integers_become_wider_where_every_value_fits() {
    let integers = [
        "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128",
    ];
    let bits = |name: &str| name[1..].parse::<u32>().expect("a width");
    for stored in integers {
        for new in integers {
            let fits = match (&stored[..1], &new[..1]) {
                ("u", "u") | ("i", "i") => bits(new) >= bits(stored),
                ("u", "i") => bits(new) > bits(stored),
                _ => false,
            };
            let compared = compare("value", Role::Value, &plain(stored), &plain(new));
            assert_eq!(compared.is_ok(), fits, "{stored} as {new}");
        }
    }
    check(
        Role::Value,
        &plain("u32"),
        &plain("i64"),
        Ok(&["value: u32 is now i64"]),
    );
}

#[test]
fn values_of_another_type_are_refused() {
    for (was, is) in [
        ("u64", "u32"),
        ("i8", "u64"),
        ("f32", "f64"),
        ("bool", "u8"),
        ("u64", "String"),
    ] {
        let line = format!("value was {was} and is {is}: {INTEGER}");
        check(Role::Value, &plain(was), &plain(is), Err(&[&line]));
    }
    let list = Schema::List(Box::new(plain("u8")));
    let line = "value was [u8] and is u8: write a `Migration`";
    check(Role::Value, &list, &plain("u8"), Err(&[line]));
    let option = Schema::Option(Box::new(plain("u8")));
    let line = "value was u8 and is Option<u8>: write a `Migration`";
    check(Role::Value, &plain("u8"), &option, Err(&[line]));
    let pair = |parts: usize| Schema::Tuple(vec![plain("u8"); parts]);
    let line = "value was (u8, u8) and is (u8, u8, u8): write a `Migration`";
    check(Role::Value, &pair(2), &pair(3), Err(&[line]));
}

#[test]
fn fields_come_with_a_default_and_go_and_change_their_places() {
    let stored = of("Total", &[("count", "u64"), ("sum", "i64")]);
    let mut fields = vec![
        Field::from(("sum", plain("i64"))),
        ("count", plain("u64")).into(),
    ];
    check(
        Role::Value,
        &stored,
        &Schema::Struct("Total".to_owned(), fields.clone()),
        Ok(&["value: the fields of Total stand in another order"]),
    );
    fields.push(("worst", Schema::Option(Box::new(plain("u8")))).into());
    fields.push(Field {
        default: Some(|| default_bytes(&7_u8)),
        ..Field::from(("level", plain("u8")))
    });
    fields.remove(0);
    check(
        Role::Value,
        &stored,
        &Schema::Struct("Total".to_owned(), fields),
        Ok(&[
            "value > Total.worst: is new: Option<u8>",
            "value > Total.level: is new: u8",
            "value > Total.sum: is gone",
        ]),
    );
}

#[test]
fn a_field_without_a_default_is_refused_with_what_to_write() {
    let stored = of("Total", &[("count", "u64")]);
    let new = of("Total", &[("count", "u64"), ("sum", "i64")]);
    let line = "value > Total.sum was not there and is i64: write `#[serde(default)]` on it, so that it is known what \
                it was";
    check(Role::Value, &stored, &new, Err(&[line]));
}

#[test]
fn a_default_that_is_no_value_of_its_field_is_refused() {
    let stored = of("Total", &[]);
    let field = Field {
        default: Some(|| default_bytes(&"seven".to_owned())),
        ..Field::from(("level", Schema::Tuple(vec![plain("u64"); 3])))
    };
    let new = Schema::Struct("Total".to_owned(), vec![field]);
    let differences = compare("value", Role::Value, &stored, &new).expect_err("no default");
    assert!(
        differences[0].advice.contains("its default does not read"),
        "{}",
        differences[0]
    );
}

/// The first of two numbers was read as the one that is left, whichever that was.
#[test]
fn a_field_without_a_name_may_not_go() {
    let stored = of("Delay", &[("0", "u64"), ("1", "u64")]);
    let new = of("Delay", &[("0", "u64")]);
    let line = "value > Delay.1 was u64 and is gone: a field without a name is known by its place, and which of them is \
                gone nobody knows; write a `Migration`";
    check(Role::Value, &stored, &new, Err(&[line]));
}

#[test]
fn a_field_of_a_key_may_not_go() {
    let stored = of("Car", &[("plate", "String"), ("country", "String")]);
    let new = of("Car", &[("plate", "String")]);
    let line = "value > Car.country was String and is gone: keys that differ in it alone would become one; write a \
                `Migration` of the key";
    check(Role::Key, &stored, &new, Err(&[line]));
    check(
        Role::Value,
        &stored,
        &new,
        Ok(&["value > Car.country: is gone"]),
    );
    let by = |car: &Schema| Schema::Map(Box::new(car.clone()), Box::new(plain("u8")));
    check(Role::Value, &by(&stored), &by(&new), Err(&[line]));
}

#[test]
fn variants_are_added_behind_the_last_one() {
    let stored = options("Kind", &["Low", "High"]);
    check(
        Role::Value,
        &stored,
        &options("Kind", &["Low", "High", "Huge"]),
        Ok(&["value: Kind::Huge is a new variant"]),
    );
    let advice = "variants keep their names and places, new ones stand behind the last; otherwise write a `Migration`";
    for (new, place, was, is) in [
        (&["Huge", "Low", "High"][..], 0, "`Low`", "`Huge`"),
        (&["Low"], 1, "`High`", "gone"),
        (&["Low", "Tall"], 1, "`High`", "`Tall`"),
    ] {
        let line = format!("value > variant {place} of Kind was {was} and is {is}: {advice}");
        check(Role::Value, &stored, &options("Kind", new), Err(&[&line]));
    }
}

#[test]
fn all_differences_are_said_with_where_they_are() {
    let of_item = |item: Schema| {
        let fields = [
            ("items", Schema::List(Box::new(item))),
            ("name", plain("String")),
        ];
        Schema::of_fields("Order", fields)
    };
    let stored = of_item(of("Item", &[("price", "f32"), ("n", "u32")]));
    let new = of_item(of("Thing", &[("price", "u64"), ("n", "u16")]));
    check(
        Role::Value,
        &stored,
        &new,
        Err(&[
            &format!("value > Order.items > Thing.price was f32 and is u64: {INTEGER}"),
            &format!("value > Order.items > Thing.n was u32 and is u16: {INTEGER}"),
        ]),
    );
}

#[test]
fn the_name_of_a_type_does_not_matter() {
    let stored = of("Total", &[("count", "u64")]);
    let new = of("Sum", &[("count", "u64")]);
    check(
        Role::Value,
        &stored,
        &new,
        Ok(&["value: Total is now called Sum"]),
    );
    let evolved = compare("value", Role::Value, &stored, &new).expect("the same fields");
    assert!(evolved.evolution.is_same());
}

/// What a type with these serde attributes was, and what it is now: a tree, of which each node has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum OldTree {
    Leaf { weight: u8, name: String },
    Fork(Box<OldTree>, Vec<OldTree>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum NewTree {
    Leaf {
        name: String,
        age: Option<u8>,
        weight: i32,
    },
    Fork(Box<NewTree>, Vec<NewTree>),
    Empty,
}

fn tree(name: &str, leaf: Vec<(&str, Schema)>, more: &[&str]) -> Schema {
    let inner = || Schema::Recursive(name.to_owned());
    let fork = [("0", inner()), ("1", Schema::List(Box::new(inner())))];
    let fields = |fields: Vec<(&str, Schema)>| fields.into_iter().map(Field::from).collect();
    let mut variants = vec![
        ("Leaf".to_owned(), fields(leaf)),
        ("Fork".to_owned(), fields(fork.into())),
    ];
    variants.extend(more.iter().map(|more| ((*more).to_owned(), Vec::new())));
    Schema::Enum(name.to_owned(), variants)
}

#[test]
fn a_type_inside_itself_is_read_as_it_is_now_however_deep() {
    let stored = tree(
        "OldTree",
        vec![("weight", plain("u8")), ("name", plain("String"))],
        &[],
    );
    let new = tree(
        "NewTree",
        vec![
            ("name", plain("String")),
            ("age", Schema::Option(Box::new(plain("u8")))),
            ("weight", plain("i32")),
        ],
        &["Empty"],
    );
    let Evolved { evolution, .. } =
        compare("value", Role::Value, &stored, &new).expect("it evolves");
    let leaf = |weight: u8| OldTree::Leaf {
        weight,
        name: format!("of {weight}"),
    };
    let now = |weight: u8| NewTree::Leaf {
        name: format!("of {weight}"),
        age: None,
        weight: weight.into(),
    };
    let old = OldTree::Fork(
        Box::new(OldTree::Fork(Box::new(leaf(1)), Vec::new())),
        vec![leaf(2), leaf(200)],
    );
    let expected = NewTree::Fork(
        Box::new(NewTree::Fork(Box::new(now(1)), Vec::new())),
        vec![now(2), now(200)],
    );
    assert_eq!(
        read_as::<_, NewTree>(&[old], &stored, &new, &evolution),
        [expected]
    );
}

/// Reads values that were stored as one schema as values of another.
fn read_as<Old: Serialize, New: serde::de::DeserializeOwned>(
    values: &[Old],
    stored: &Schema,
    new: &Schema,
    evolution: &Evolution,
) -> Vec<New> {
    let bytes = bitcode::serialize(values).expect("they serialise");
    let datums = read_items(&bytes, stored).expect("they read by their schema");
    let evolved = datums.into_iter().map(|datum| evolution.apply(datum));
    let evolved: Vec<_> = evolved.collect::<Option<_>>().expect("they fit the schema");
    let bytes = write_items(&evolved, new).expect("they are of the new schema");
    bitcode::deserialize(&bytes).expect("they are of the new type")
}

#[test]
fn the_hash_of_a_key_stays_unless_its_encoding_changes() {
    let keeps = |stored: &Schema, new: &Schema| {
        let evolved = compare("key", Role::Key, stored, new).expect("it evolves");
        evolved.evolution.keeps_hash()
    };
    assert!(keeps(&u8::schema(), &i64::schema()));
    assert!(keeps(
        &<Vec<(i8, u32)>>::schema(),
        &<Vec<(i64, u64)>>::schema()
    ));
    assert!(!keeps(&u64::schema(), &u128::schema()));
    assert!(!keeps(&<Option<i8>>::schema(), &<Option<i128>>::schema()));
    let turned = of("Car", &[("n", "u8"), ("plate", "String")]);
    assert!(!keeps(
        &of("Car", &[("plate", "String"), ("n", "u8")]),
        &turned
    ));
    assert!(keeps(
        &options("Kind", &["A"]),
        &options("Kind", &["A", "B"])
    ));
    assert_eq!(
        crate::key::hash_of(&(-3_i8, 7_u32)),
        crate::key::hash_of(&(-3_i64, 7_u64))
    );
}

#[test]
fn maps_lists_and_options_evolve_inside() {
    type Old = BTreeMap<u8, Vec<Option<(u16, i8)>>>;
    type New = BTreeMap<u32, Vec<Option<(i32, i8)>>>;
    let (stored, new) = (Old::schema(), New::schema());
    let Evolved { evolution, .. } =
        compare("value", Role::Value, &stored, &new).expect("it evolves");
    let old = Old::from([(3, vec![None, Some((u16::MAX, -1))]), (4, Vec::new())]);
    let expected = New::from([(3, vec![None, Some((65_535, -1))]), (4, Vec::new())]);
    assert_eq!(
        read_as::<_, New>(&[old], &stored, &new, &evolution),
        [expected]
    );
}
