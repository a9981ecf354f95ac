//! `source`: where records enter the flow.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned as _;

use crate::expand::{Scope, in_parens, private};
use crate::graph::Node;
use crate::lower::Stage;
use crate::ops::{Memory, Op, Place, Shape};
use crate::report::Report;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "source",
        usage: "source(File::csv(\"flights.csv\"))",
        params: &[
            Param::position("source", Kind::Expr),
            Param::option("errors", Kind::NewStream),
        ],
    },
    place: Place::Origin,
    memory: Memory::Stateful,
    shape,
    expand,
};

fn shape(_: &Stage, _: &[Shape], _: &mut Report) -> Shape {
    Shape::SOURCE
}

fn expand(node: &Node<'_>, _: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let stage = node.stage;
    let span = stage.span();
    let mut source: TokenStream = stage
        .arguments
        .get("source")
        .map(|value| scope.value(value))
        .into_iter()
        .collect();
    if let Some(item) = node.header {
        let source_of = private(item.span(), quote_spanned!(item.span()=> source_of));
        source = quote_spanned!(item.span()=> #source_of::<#item, _>(#source));
    }
    let flow = Scope::flow(span);
    let errors = node
        .side
        .map(|side| quote_spanned!(side.span()=> .with_errors()));
    let name = &stage.call.name;
    let id = node.id_literal();
    let call = in_parens(stage.call.paren, quote_spanned!(span=> #id, #source));
    quote_spanned!(span=> #flow.#name #call #errors)
}
