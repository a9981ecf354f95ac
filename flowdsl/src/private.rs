//! The only paths that generated code names: `::flowdsl::__private`.
//!
//! Not public: anything here may change with any version. What `flow!` expands to is nevertheless
//! no more than calls on the public builder; what stands here beside re-exports makes rustc's
//! messages point at what the user wrote.

use std::any::TypeId;
use std::cell::RefCell;
use std::marker::PhantomData;

pub use std::time::Duration;
pub use std::{module_path, vec};

pub use crate::Job;
pub use crate::builder::Stream;
pub use flowdsl_runtime::key::{Key, KeyHasher};
pub use flowdsl_runtime::schema::{DefaultValue, Field, Schema, default_bytes};
pub use flowdsl_runtime::state::State;

use flowdsl_runtime::connector::{Sink, Source};

/// The windows of `window(..)`.
pub mod window {
    pub use crate::builder::{session, sliding, tumbling};
}

/// A duration that is written in a flow.
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A value that a flow may capture: each worker gets a clone of it.
#[diagnostic::on_unimplemented(
    message = "a flow cannot capture a `{Self}`",
    label = "cannot be captured",
    note = "each worker gets a clone, so that a captured value is `Clone + Send + Sync + 'static`",
    note = "share what cannot be cloned in an `std::sync::Arc`"
)]
pub trait Capture: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Capture for T {}

/// The flow's own clone of a captured variable.
pub fn capture<T: Capture>(value: &T) -> T {
    value.clone()
}

/// A clone of a captured value, for one argument of one stage.
pub fn clone<T: Clone>(value: &T) -> T {
    value.clone()
}

/// What surrounds a flow. A type of its own, or rustc would suggest to borrow.
#[derive(Debug)]
pub struct Env<T>(PhantomData<T>);

/// A value from around a flow that closures may use without `capture`.
#[diagnostic::on_unimplemented(
    message = "this value comes from outside of the flow, and is not captured",
    label = "not captured",
    note = "write `capture name;`, with the name of this variable, at the top of the flow: each worker then gets a clone of it"
)]
pub trait Free {}

#[diagnostic::do_not_recommend]
impl<T: Copy> Free for Env<T> {}

/// Asks for `capture` where a variable that is no plain copy is used without.
pub fn free<T>(_: &T)
where
    Env<T>: Free,
{
}

/// The source, whose records are what the header says.
pub fn source_of<T, S: Source<Item = T>>(source: S) -> S {
    source
}

/// The aggregates of a window, as they are.
pub fn aggregates<A>(aggregates: A) -> A {
    aggregates
}

/// The sink, which takes what the header says.
pub fn sink_of<T, S: Sink<T>>(sink: S) -> S {
    sink
}

/// What the header promises of the last sink's records.
#[diagnostic::on_unimplemented(
    message = "the header of the flow says `=> {Self}`, but its last sink receives `{T}`",
    label = "the last sink receives `{T}`",
    note = "make a `{Self}` of each record with `map` before the sink, or write the other type in the header"
)]
pub trait EndsIn<T> {}

#[diagnostic::do_not_recommend]
impl<T> EndsIn<T> for T {}

/// A second implementation, of which nobody has a value: with one alone, rustc would take the
/// header's word for the stream's type, and find a mismatch in the types of the builder.
#[derive(Debug)]
pub struct Never<T>(PhantomData<T>);

#[diagnostic::do_not_recommend]
impl<T> EndsIn<Never<T>> for T {}

/// The stream that goes into the last sink, whose records are what the header says.
pub fn ends_in<Out, O, S, K, E, T>(stream: Stream<'_, O, S, K, E, T>) -> Stream<'_, O, S, K, E, T>
where
    Out: EndsIn<T>,
{
    stream
}

thread_local! {
    /// The types whose schemas are being made on this thread, outermost first, with their names.
    static BEING_MADE: RefCell<Vec<(TypeId, String)>> = const { RefCell::new(Vec::new()) };
}

/// The schema that `make` makes, or the name alone inside of the type itself.
///
/// A name stands for the innermost type around it that is called so. Where that is another one, what is there is
/// a type of which a schema says nothing: it is not read by its schema, and not as another one.
pub fn schema_of<T: 'static>(name: &str, make: impl FnOnce() -> Schema) -> Schema {
    /// Takes the type off the list, also when making its schema panics.
    struct Made;
    impl Drop for Made {
        fn drop(&mut self) {
            BEING_MADE.with_borrow_mut(Vec::pop);
        }
    }

    let of = TypeId::of::<T>();
    let innermost = |being_made: &Vec<(TypeId, String)>| {
        being_made.iter().any(|(made, _)| *made == of).then(|| {
            let mut called_so = being_made.iter().rev().filter(|(_, called)| called == name);
            called_so.next().is_some_and(|(made, _)| *made == of)
        })
    };
    match BEING_MADE.with_borrow(innermost) {
        None => {}
        Some(true) => return Schema::Recursive(name.to_owned()),
        Some(false) => return Schema::plain(&format!("{name} around another {name}")),
    }
    BEING_MADE.with_borrow_mut(|being_made| being_made.push((of, name.to_owned())));
    let _made = Made;
    make()
}

/// The schema of a struct.
pub fn struct_schema(name: &str, fields: Vec<Field>) -> Schema {
    Schema::Struct(name.to_owned(), fields)
}

/// A field without a default.
pub fn field(name: &str, schema: Schema) -> Field {
    (name, schema).into()
}

/// A field with a default, for values that were stored without it.
pub fn field_with(name: &str, schema: Schema, default: DefaultValue) -> Field {
    Field {
        default: Some(default),
        ..field(name, schema)
    }
}

/// The schema of an enum.
pub fn enum_schema(name: &str, variants: Vec<(&str, Vec<Field>)>) -> Schema {
    Schema::Enum(
        name.to_owned(),
        variants
            .into_iter()
            .map(|(variant, fields)| (variant.to_owned(), fields))
            .collect(),
    )
}

/// What a flow with mistakes is, beside their errors: it never runs, as it never compiles.
pub fn unreachable_job() -> crate::Job {
    unreachable!("a flow with mistakes does not compile")
}
