//! `sink`: where records leave the flow.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::expand::{Scope, in_parens, private};
use crate::graph::Node;
use crate::ops::{Memory, Op, Place, same_shape};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "sink",
        usage: "sink(File::jsonl(\"alarms\"))",
        params: &[Param::position("sink", Kind::Expr)],
    },
    place: Place::Last,
    memory: Memory::Stateful,
    shape: same_shape,
    expand,
};

fn expand(node: &Node<'_>, on: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let stage = node.stage;
    let span = stage.span();
    let mut on = on;
    let mut sink: TokenStream = stage
        .arguments
        .in_order()
        .map(|value| scope.value(value))
        .collect();
    if let Some(item) = node.header {
        let ends_in = private(item.span(), quote_spanned!(item.span()=> ends_in));
        on = quote_spanned!(item.span()=> #ends_in::<#item, _, _, _, _, _>(#on));
        let sink_of = private(span, quote!(sink_of));
        sink = quote_spanned!(span=> #sink_of::<#item, _>(#sink));
    }
    let id = node.id_literal();
    let name = &stage.call.name;
    let call = in_parens(stage.call.paren, sink);
    quote_spanned!(span=> #on.at(#id).#name #call)
}
