//! `union`: the records of several streams as one stream.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use crate::expand::Scope;
use crate::graph::Node;
use crate::lower::Stage;
use crate::ops::{Has, Memory, Op, Place, Shape, Windows};
use crate::report::Report;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "union",
        usage: "union(a, b)",
        params: &[Param::rest("streams", Kind::Stream)],
    },
    place: Place::Origin,
    memory: Memory::Stateless,
    shape,
    expand,
};

/// The streams of a union agree in key and time, as their records become one kind.
fn shape(stage: &Stage, inputs: &[Shape], report: &mut Report) -> Shape {
    if inputs.len() == 1 && stage.arguments.is_whole() {
        report.error(
            stage.call.name.span(),
            "a union has at least two streams: `union(a, b)`",
        );
    }
    let unlike = |has: fn(&Shape) -> Has| {
        let with = inputs.iter().position(|shape| has(shape) == Has::Yes)?;
        let without = inputs.iter().position(|shape| has(shape) == Has::No)?;
        Some((with, without))
    };
    let names: Vec<_> = stage.arguments.streams().collect();
    if let Some((with, without)) = unlike(|shape| shape.time) {
        let (with, without) = (names[with], names[without]);
        report.error(
            without.span(),
            format!("`{without}` has no event time, but `{with}` has: give it `event_time` before the union, behind its source"),
        );
    }
    if let Some((with, without)) = unlike(|shape| shape.key) {
        let (with, without) = (names[with], names[without]);
        report.error(
            without.span(),
            format!(
                "`{without}` has no key, but `{with}` has: put `key_by` behind the union instead"
            ),
        );
    }
    let all = |has: fn(&Shape) -> Has| {
        inputs
            .iter()
            .map(has)
            .reduce(|a, b| if a == b { a } else { Has::Unknown })
    };
    Shape {
        key: all(|shape| shape.key).unwrap_or(Has::Unknown),
        time: all(|shape| shape.time).unwrap_or(Has::Unknown),
        at_source: Has::No,
        windows: Windows::None,
    }
}

fn expand(node: &Node<'_>, _: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let stage = node.stage;
    let span = stage.span();
    let flow = Scope::flow(span);
    let name = &stage.call.name;
    let id = node.id_literal();
    let inputs = stage.arguments.streams().map(|stream| {
        let input = scope.stream(stream);
        quote_spanned!(stream.span()=> .and(#input))
    });
    quote_spanned!(span=> #flow.#name(#id)#(#inputs)*.merge())
}
