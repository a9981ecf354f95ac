//! `reduce`: records combined into one of their own kind, per key and window or running per key.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use crate::expand::Scope;
use crate::graph::Node;
use crate::lower::Stage;
use crate::ops::{Has, Memory, Op, Place, Shape, Windows, bare_method, method, need_key};
use crate::report::Report;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "reduce",
        usage: "reduce(|sum, x| *sum += x)",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateful,
    shape,
    expand,
};

/// What leaves has no key any more: results of windows, or running ones, name their key themselves.
pub(super) fn shape(stage: &Stage, inputs: &[Shape], report: &mut Report) -> Shape {
    let input = inputs.first().copied().unwrap_or(Shape::UNKNOWN);
    if input.windows == Windows::None {
        need_key(stage, input, report);
    }
    Shape {
        key: Has::No,
        windows: Windows::None,
        at_source: Has::No,
        ..input
    }
}

/// The id of a windowed stage was given to its `window`.
pub(super) fn expand(node: &Node<'_>, on: TokenStream, scope: &Scope<'_>) -> TokenStream {
    if node.in_window {
        let call = bare_method(node, scope);
        return quote_spanned!(node.stage.span()=> #on #call);
    }
    method(node, on, scope)
}
