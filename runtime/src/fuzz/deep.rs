//! Numbers and nesting that the bytes do not pay for: what arbitrary bytes meet rarely.

use std::thread::Builder;

use crate::error::{Error, ErrorKind};
use crate::schema::{Schema, read_items};
use crate::state::frames::{LogicKind, read};
use crate::state::testing::share_of_all;

/// bitcode of a sequence that says that it is so long, of items without a byte.
fn says(length: u64) -> Vec<u8> {
    let bytes = [&[0xFF, 0][..], &length.to_le_bytes()].concat();
    let shorter = bitcode::serialize(&vec![(); 70_000]).expect("units encode");
    assert_eq!(
        shorter,
        [&[0xFF, 2][..], &70_000_u32.to_le_bytes()].concat()
    );
    bytes
}

#[track_caller]
fn check_corrupt<T>(read: Result<T, Error>) {
    let Err(error) = read else {
        panic!("it was believed");
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

fn plain(name: &str) -> Schema {
    Schema::plain(name)
}

/// The number of items alone was believed: a frame of a hundred bytes kept a restore for ever.
#[test]
fn a_frame_of_keys_without_a_byte_is_read_up_to_its_limit() {
    let object = |items: &[u8]| {
        let mut object = vec![1, 10, 0, 0, 0, 1, 1];
        object.extend(0_i64.to_le_bytes());
        object.push(3);
        object.extend((29 + items.len() as u32).to_le_bytes());
        object.extend([0; 17]);
        object.extend(u64::MAX.to_le_bytes());
        object.extend(1_u32.to_le_bytes());
        object.extend(items);
        object
    };
    let of_one = object(&bitcode::serialize(&vec![()]).expect("a unit encodes"));
    let whole = read::<(), ()>(&of_one, LogicKind::Values, share_of_all(), drop);
    whole.expect("one key is fine");
    for tag in [3, 4] {
        let mut of_many = object(&says(1 << 60));
        of_many[15] = tag;
        check_corrupt(read::<(), ()>(
            &of_many,
            LogicKind::Values,
            share_of_all(),
            drop,
        ));
    }
}

/// The bound of lists was none of maps.
#[test]
fn a_map_of_nothing_to_nothing_has_a_bound() {
    let map = Schema::Map(Box::new(plain("()")), Box::new(plain("()")));
    check_corrupt(read_items(&[&[1][..], &says(1 << 60)].concat(), &map));
}

/// Each list had the bound for itself: a thousand bytes could ask for gigabytes.
#[test]
fn many_lists_of_nothing_have_one_bound_together() {
    let lists = vec![vec![(); 2_000]; 1_000];
    let bytes = bitcode::serialize(&lists).expect("units encode");
    assert!(bytes.len() < 3_000, "{}", bytes.len());
    check_corrupt(read_items(&bytes, &Schema::List(Box::new(plain("()")))));
}

/// An enum of one variant was taken for a value without a byte, whatever its fields are.
#[test]
fn a_long_list_of_an_enum_with_one_variant_is_read() {
    #[derive(serde::Serialize, Clone)]
    enum Only {
        One(u8),
    }
    let field = vec![("0", plain("u8")).into()];
    let schema = Schema::Enum("Only".to_owned(), vec![("One".to_owned(), field)]);
    let bytes = bitcode::serialize(&vec![vec![Only::One(7); 70_000]]).expect("it encodes");
    let read = read_items(&bytes, &Schema::List(Box::new(schema))).expect("each item has a byte");
    assert_eq!(read[0].parts().map(<[_]>::len), Some(70_000));
}

/// Makes something on a stack that has room for any depth.
fn deep<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = Builder::new().stack_size(1 << 28).spawn(make);
    let made = thread.expect("a thread starts").join();
    made.expect("there is room for it")
}

/// Five thousand bytes of a manifest ended the process: its stack had no room for the schema in them.
#[test]
fn a_schema_that_is_too_deep_for_the_stack_is_refused() {
    let encoded = |depth: usize| {
        deep(move || {
            let around = |of, _| Schema::Option(Box::new(of));
            let schema = (1..depth).fold(plain("u8"), around);
            assert_eq!(schema.depth(), depth);
            bitcode::serialize(&schema).expect("a schema encodes")
        })
    };
    let deepest: Schema = bitcode::deserialize(&encoded(Schema::DEEPEST)).expect("it is read");
    assert_eq!(deepest.depth(), Schema::DEEPEST);
    for depth in [Schema::DEEPEST + 1, 5_000] {
        let refused = bitcode::deserialize::<Schema>(&encoded(depth));
        let error = refused.expect_err("it is too deep");
        drop(error);
    }
    let again: Schema = bitcode::deserialize(&encoded(7)).expect("what was refused is forgotten");
    assert_eq!(again.depth(), 7);
}

/// A bound on how often a type is inside itself was none on how much of the stack that takes.
#[test]
fn a_value_of_a_deep_type_inside_itself_does_not_fill_the_stack() {
    let inner = Schema::Recursive("Chain".to_owned());
    let around = |of, _| Schema::Option(Box::new(of));
    let next = (0..Schema::DEEPEST - 2).fold(inner, around);
    let chain = Schema::Struct("Chain".to_owned(), vec![("next", next).into()]);
    // `Some` of `Some` .. of the next one, over and over.
    check_corrupt(read_items(&vec![1; 100_000], &chain));
}
