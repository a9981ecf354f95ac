//! The table of stages: one file a stage, one line here to register it.
//!
//! A stage is its [`Signature`], its place in a chain, what it does to the shape of a stream, and
//! the builder call that it expands to.

mod aggregate;
mod event_time;
mod filter;
mod filter_map;
mod flat_map;
mod fold;
mod inspect;
mod key_by;
mod map;
mod reduce;
mod sink;
mod source;
mod union;
pub(crate) mod window;

use proc_macro2::TokenStream;
use quote::quote_spanned;

use crate::expand::Scope;
use crate::graph::Node;
use crate::lower::Stage;
use crate::report::Report;
use crate::values::signature::Signature;

/// Every stage of the language.
pub(crate) const OPS: &[Op] = &[
    source::OP,
    union::OP,
    map::OP,
    filter::OP,
    filter_map::OP,
    flat_map::OP,
    inspect::OP,
    event_time::OP,
    key_by::OP,
    window::OP,
    aggregate::OP,
    reduce::OP,
    fold::OP,
    sink::OP,
];

/// Stages that the language will have; naming one is a message of its own.
pub(crate) const PLANNED: &[&str] = &["join", "pattern", "process", "split", "try_map"];

/// One stage of the language.
#[derive(Debug)]
pub(crate) struct Op {
    /// How it is written.
    pub(crate) signature: Signature,
    /// Where it stands in a chain.
    pub(crate) place: Place,
    /// Whether its id must be unique.
    pub(crate) memory: Memory,
    /// What it needs of the streams that enter it, and what leaves it.
    pub(crate) shape: fn(&Stage, &[Shape], &mut Report) -> Shape,
    /// The builder call, on the expression of the stream that enters it (empty for origins).
    pub(crate) expand: fn(&Node<'_>, TokenStream, &Scope<'_>) -> TokenStream,
}

impl Op {
    /// The stage's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.signature.name
    }

    /// Whether it may follow a `window`.
    pub(crate) fn reads_windows(&self) -> bool {
        matches!(self.name(), "aggregate" | "reduce" | "fold")
    }
}

/// Where a stage stands in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Only first.
    Origin,
    /// Behind an origin or a stream.
    Middle,
    /// Behind a stream, with nothing behind it.
    Last,
}

/// What a checkpoint holds of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nothing; its id is a label for messages.
    Stateless,
    /// State, offsets or committables, found again by the stage's id.
    Stateful,
    /// State that belongs to the stage behind it (`window`).
    WithNext,
}

/// What is known of a stream while the flow is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Whether its records have a key.
    pub(crate) key: Has,
    /// Whether they have event time.
    pub(crate) time: Has,
    /// Whether nothing has yet moved a record from the source's subtask.
    pub(crate) at_source: Has,
    /// Whether its records stand in windows that no stage has read yet.
    pub(crate) windows: Windows,
}

impl Shape {
    /// Nothing is known, so that nothing is said: what stands behind a mistake.
    pub(crate) const UNKNOWN: Self = Self {
        key: Has::Unknown,
        time: Has::Unknown,
        at_source: Has::Unknown,
        windows: Windows::None,
    };

    /// The late records of a window.
    pub(crate) const LATE: Self = Self {
        key: Has::Yes,
        time: Has::Yes,
        at_source: Has::No,
        windows: Windows::None,
    };

    /// The records that a source could not read.
    pub(crate) const ERRORS: Self = Self {
        key: Has::No,
        time: Has::No,
        at_source: Has::No,
        windows: Windows::None,
    };

    /// What a source makes.
    pub(crate) const SOURCE: Self = Self {
        key: Has::No,
        time: Has::No,
        at_source: Has::Yes,
        windows: Windows::None,
    };
}

/// The windows that a stream's records stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Windows {
    None,
    /// Tumbling or sliding.
    Fixed,
    /// Sessions, which merge.
    Sessions,
}

/// An answer that a mistake elsewhere may hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Has {
    Yes,
    No,
    Unknown,
}

/// The stage of this name.
pub(crate) fn find(name: &str) -> Option<&'static Op> {
    OPS.iter().find(|op| op.name() == name)
}

/// Names of the stages that stand at `place`.
pub(crate) fn names(place: impl Fn(Place) -> bool) -> Vec<&'static str> {
    OPS.iter()
        .filter(|op| place(op.place))
        .map(Op::name)
        .collect()
}

/// A stage that leaves key, time and place as they are.
fn same_shape(_: &Stage, inputs: &[Shape], _: &mut Report) -> Shape {
    inputs.first().copied().unwrap_or(Shape::UNKNOWN)
}

/// The plain expansion, `stream.at(id).name(arguments)`, in the user's spans.
fn method(node: &Node<'_>, on: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let call = bare_method(node, scope);
    let id = node.id_literal();
    quote_spanned!(node.stage.span()=> #on.at(#id)#call)
}

/// `.name(arguments)`, with positional arguments and options in the order of the signature.
fn bare_method(node: &Node<'_>, scope: &Scope<'_>) -> TokenStream {
    let stage = node.stage;
    let name = &stage.call.name;
    let values = stage.arguments.in_order().map(|value| scope.value(value));
    let arguments = crate::expand::in_parens(
        stage.call.paren,
        quote_spanned!(stage.span()=> #(#values),*),
    );
    quote_spanned!(stage.span()=> .#name #arguments)
}

/// Says that a stage needs a key, where it is known that there is none.
fn need_key(stage: &Stage, input: Shape, report: &mut Report) {
    if input.key == Has::No {
        let name = &stage.call.name;
        report.error(
            name.span(),
            format!("`{name}` needs a stream with a key: put `-> key_by(|x| ..)` before it"),
        );
    }
}
