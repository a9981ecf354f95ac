//! What `#[derive(State)]` and `#[derive(Key)]` make of structs and enums.

use flowdsl::runtime::key::hash_of;
use flowdsl::{Key, State};
use serde::{Deserialize, Serialize};

/// The schema of a type, as text.
fn schema<T: flowdsl::__private::State>() -> String {
    T::schema().to_string()
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Sum {
    count: u64,
    parts: Vec<Option<i64>>,
    #[serde(skip, default)]
    cache: Option<std::sync::Arc<str>>,
    r#type: String,
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Pair<A, B>(A, B);

#[derive(Clone, Serialize, Deserialize, State)]
struct Nothing;

#[derive(Clone, Serialize, Deserialize, State)]
enum Tree<T: Ord> {
    Leaf,
    Node { left: Box<Tree<T>>, of: T },
    Many(Vec<Tree<T>>),
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Left {
    right: Option<Box<Right>>,
    again: Option<Box<Right>>,
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Right {
    left: Option<Box<Left>>,
}

#[test]
fn schemas_of_structs_name_their_fields() {
    assert!(
        Sum {
            count: 0,
            parts: vec![],
            cache: None,
            r#type: String::new()
        }
        .cache
        .is_none()
    );
    assert_eq!(
        schema::<Sum>(),
        "Sum { count: u64, parts: [Option<i64>], type: String }"
    );
    assert_eq!(schema::<Pair<u8, String>>(), "Pair { 0: u8, 1: String }");
    assert_eq!(schema::<Nothing>(), "Nothing { }");
}

#[test]
fn a_type_inside_itself_ends_in_its_name() {
    assert_eq!(
        schema::<Tree<u8>>(),
        "enum Tree { Leaf, Node { left: Tree, of: u8 }, Many { 0: [Tree] } }"
    );
    let right = "Right { left: Option<Left> }";
    assert_eq!(
        schema::<Left>(),
        format!("Left {{ right: Option<{right}>, again: Option<{right}> }}")
    );
    // Nothing is left behind by the first.
    assert_eq!(schema::<Left>(), schema::<Left>());
}

mod inner {
    use super::*;

    /// Inside of another type of its name.
    #[derive(Clone, Serialize, Deserialize, State)]
    pub(crate) struct Left {
        pub(crate) around: Option<Box<super::Around>>,
        pub(crate) itself: Option<Box<Left>>,
    }
}

mod outer {
    use super::*;

    #[derive(Clone, Serialize, Deserialize, State)]
    pub(crate) struct Left {
        pub(crate) inner: Option<Box<inner::Left>>,
        pub(crate) itself: Option<Box<Left>>,
    }
}

type Around = outer::Left;

/// The outer one was named inside of the inner one, and read as that.
#[test]
fn a_name_inside_of_two_types_that_are_called_so_is_no_name() {
    assert_eq!(
        schema::<outer::Left>(),
        "Left { inner: Option<Left { around: Option<Left around another Left>, itself: Option<Left> }>, itself: \
         Option<Left> }"
    );
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, State, Key)]
struct Route<T> {
    from: String,
    to: T,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, State, Key)]
enum Place {
    Unknown,
    Airport(String),
    Gate { number: u8, pier: char },
}

#[test]
fn a_key_is_its_fields_in_order() {
    let route = |from: &str, to: u32| Route {
        from: from.to_owned(),
        to,
    };
    assert_eq!(
        hash_of(&route("ABE", 1)),
        hash_of(&("ABE".to_owned(), 1_u32))
    );
    assert_ne!(hash_of(&route("ABE", 1)), hash_of(&route("ABE", 2)));
}

#[test]
fn variants_of_a_key_differ() {
    let keys = [
        Place::Unknown,
        Place::Airport(String::new()),
        Place::Airport("A".to_owned()),
        Place::Gate {
            number: 1,
            pier: 'A',
        },
        Place::Gate {
            number: 2,
            pier: 'A',
        },
    ];
    for (at, key) in keys.iter().enumerate() {
        for other in &keys[..at] {
            assert_ne!(hash_of(key), hash_of(other), "{key:?} {other:?}");
        }
    }
    assert_eq!(
        hash_of(&Place::Gate {
            number: 1,
            pier: 'A'
        }),
        hash_of(&(2_u64, 1_u8, 'A'))
    );
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Kept<T> {
    count: u64,
    #[serde(default)]
    last: T,
    #[serde(default, rename = "all", alias = "every")]
    every: Vec<T>,
}

#[derive(Clone, Default, Serialize, Deserialize, State)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Whole<T> {
    count: u64,
    last: Option<T>,
}

#[test]
fn a_type_with_parameters_may_have_defaults() {
    let kept = Kept {
        count: 0,
        last: 1_u8,
        every: Vec::new(),
    };
    assert_eq!(kept.last, 1);
    assert_eq!(
        schema::<Kept<u8>>(),
        "Kept { count: u64, last: u8, every: [u8] }"
    );
    assert_eq!(
        schema::<Whole<u8>>(),
        "Whole { count: u64, last: Option<u8> }"
    );
}

macro_rules! key_of {
    ($name:ident, $of:ty, $($rest:tt)*) => {
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize, State, Key)]
        struct $name {
            first: $of,
            $($rest)*
        }
    };
}
key_of!(Written, u8, second: (u16, String));

/// The names in what the derive expands to were those of the place that a field is written at.
#[test]
fn a_key_may_be_written_by_a_macro() {
    let key = Written {
        first: 1,
        second: (2, "x".to_owned()),
    };
    assert_eq!(hash_of(&key), hash_of(&(1_u8, (2_u16, "x".to_owned()))));
}
