//! `aggregate`: what to make of the records of a window, from aggregates that can be combined.
//!
//! Closures inside aggregates are checked where the item's type is known: the built-in names become
//! methods of a typed context, `.aggregate(|a| (a.count(), a.mean(|f| f.delay)))`. Anything else is
//! passed on as it is written, so that users' own aggregates work.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use crate::expand::{Scope, in_parens};
use crate::graph::Node;
use crate::lower::Stage;
use crate::ops::{Has, Memory, Op, Place, Shape, Windows};
use crate::report::Report;
use crate::values::Value;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "aggregate",
        usage: "aggregate((count(), mean(|x| x.value)))",
        params: &[Param::position("aggregates", Kind::Aggregates)],
    },
    place: Place::Middle,
    memory: Memory::Stateful,
    shape,
    expand,
};

fn shape(stage: &Stage, inputs: &[Shape], report: &mut Report) -> Shape {
    let input = inputs.first().copied().unwrap_or(Shape::UNKNOWN);
    if input.windows == Windows::None && input != Shape::UNKNOWN {
        report.error(
            stage.call.name.span(),
            "`aggregate` needs windows: put `-> window(tumbling(1 h))` before it, \
             or use `fold` for a running result of each key",
        );
    }
    Shape {
        key: Has::No,
        windows: Windows::None,
        ..input
    }
}

fn expand(node: &Node<'_>, on: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let stage = node.stage;
    let Some(Value::Aggregates(aggregates)) = stage.arguments.get("aggregates") else {
        unreachable!("aggregates are parsed as such");
    };
    let context = Scope::context(stage.span());
    let body = aggregates.expand(scope);
    let name = &stage.call.name;
    let call = in_parens(
        stage.call.paren,
        // Through a function: `|a| a.count()` alone would have clippy suggest a path to users.
        quote_spanned!(stage.span()=> |#context| ::flowdsl::__private::aggregates(#body)),
    );
    quote_spanned!(stage.span()=> #on.#name #call)
}
