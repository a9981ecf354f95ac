//! Types whose values may stand in state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::Schema;

/// A type whose values may stand in state, and so in snapshots.
///
/// The schema is written to every manifest, and compared before a restored job reads a record.
/// Implemented for the types of the standard library that serde knows; `#[derive(State)]`
/// implements it for structs and enums.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::state::State;
///
/// assert_eq!(<(String, Vec<u64>)>::schema().to_string(), "(String, [u64])");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in state",
    label = "not a state type",
    note = "put `#[derive(Clone, Serialize, Deserialize, State)]` on the type",
    note = "state is written to checkpoints, so that its type needs a schema and serde"
)]
pub trait State: Clone + Send + Serialize + DeserializeOwned + 'static {
    /// The schema of the type.
    fn schema() -> Schema;
}

macro_rules! plain_states {
    ($($t:ty),*) => {$(
        impl State for $t {
            fn schema() -> Schema {
                Schema::plain(stringify!($t))
            }
        }
    )*};
}
plain_states!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    bool,
    char,
    String,
    ()
);

impl<T: State> State for Option<T> {
    fn schema() -> Schema {
        Schema::Option(Box::new(T::schema()))
    }
}

impl<T: State> State for Box<T> {
    fn schema() -> Schema {
        T::schema()
    }
}

impl<T: State> State for Vec<T> {
    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

impl<T: State> State for VecDeque<T> {
    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

impl<T: State + Ord> State for BTreeSet<T> {
    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

#[expect(
    clippy::implicit_hasher,
    reason = "serde restores a set with the default hasher only where it is named"
)]
impl<T: State + Eq + std::hash::Hash> State for HashSet<T> {
    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

impl<K: State + Ord, V: State> State for BTreeMap<K, V> {
    fn schema() -> Schema {
        Schema::Map(Box::new(K::schema()), Box::new(V::schema()))
    }
}

#[expect(clippy::implicit_hasher, reason = "as for sets")]
impl<K: State + Eq + std::hash::Hash, V: State> State for HashMap<K, V> {
    fn schema() -> Schema {
        Schema::Map(Box::new(K::schema()), Box::new(V::schema()))
    }
}

macro_rules! tuple_states {
    ($($name:ident),+) => {
        impl<$($name: State),+> State for ($($name,)+) {
            fn schema() -> Schema {
                Schema::Tuple(vec![$($name::schema()),+])
            }
        }
    };
}
tuple_states!(A);
tuple_states!(A, B);
tuple_states!(A, B, C);
tuple_states!(A, B, C, D);
tuple_states!(A, B, C, D, E);
tuple_states!(A, B, C, D, E, F);
tuple_states!(A, B, C, D, E, F, G);
tuple_states!(A, B, C, D, E, F, G, H);
