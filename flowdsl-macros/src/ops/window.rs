//! `window`: the windows of event time in which the next stage gathers records.
//!
//! A window and the stage behind it are one stage of the job, with one id and one state.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::expand::{Scope, in_parens, private};
use crate::graph::Node;
use crate::lower::Stage;
use crate::ops::{Has, Memory, Op, Place, Shape, Windows, need_key};
use crate::report::Report;
use crate::values::Value;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "window",
        usage: "window(tumbling(1 h))",
        params: &[
            Param::position("spec", Kind::Window),
            Param::option("offset", Kind::Offset),
            Param::option("allowed_lateness", Kind::Duration),
            Param::option("late", Kind::NewStream),
        ],
    },
    place: Place::Middle,
    memory: Memory::WithNext,
    shape,
    expand,
};

/// The windows that `window(..)` takes.
pub(crate) const WINDOWS: &[Signature] = &[
    Signature {
        name: "tumbling",
        usage: "tumbling(1 h)",
        params: &[Param::either("size", Kind::Length)],
    },
    Signature {
        name: "sliding",
        usage: "sliding(1 h, every: 15 min)",
        params: &[
            Param::either("size", Kind::Length),
            Param::required("every", Kind::Length),
        ],
    },
    Signature {
        name: "session",
        usage: "session(gap: 30 min)",
        params: &[Param::either("gap", Kind::Length)],
    },
];

fn shape(stage: &Stage, inputs: &[Shape], report: &mut Report) -> Shape {
    let input = inputs.first().copied().unwrap_or(Shape::UNKNOWN);
    need_key(stage, input, report);
    if input.time == Has::No {
        report.error(
            stage.call.name.span(),
            "`window` needs event time: put `-> event_time(|x| x.time, lateness: 5 min)` behind the source",
        );
    }
    let is_session = matches!(stage.arguments.get("spec"), Some(Value::Window(window)) if window.signature.name == "session");
    let windows = if is_session {
        Windows::Sessions
    } else {
        Windows::Fixed
    };
    if let (true, Some((offset, _))) = (is_session, stage.arguments.option("offset")) {
        report.error(offset, "a session begins with its first record, so that `offset` means nothing here: remove it");
    }
    Shape {
        key: Has::Yes,
        time: Has::Yes,
        at_source: Has::No,
        windows,
    }
}

/// `.at(id).window(spec)`; the id is that of the pair.
fn expand(node: &Node<'_>, on: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let stage = node.stage;
    let span = stage.span();
    let Some(Value::Window(window)) = stage.arguments.get("spec") else {
        unreachable!("a window without a spec is an error of an earlier pass");
    };
    let sizes = window.arguments.in_order().map(|value| scope.value(value));
    let sizes = in_parens(window.paren, quote!(#(#sizes),*));
    let kind = &window.name;
    let windows = private(
        window.name.span(),
        quote_spanned!(window.name.span()=> window::#kind),
    );
    let mut spec = quote_spanned!(window.name.span()=> #windows #sizes);
    for option in ["offset", "allowed_lateness"] {
        if let (Some((_, name)), Some(value)) =
            (stage.arguments.option(option), stage.arguments.get(option))
        {
            let value = scope.value(value);
            spec = quote_spanned!(name.span()=> #spec.#name(#value));
        }
    }
    let name = &stage.call.name;
    let call = in_parens(stage.call.paren, spec);
    let late = stage
        .arguments
        .get("late")
        .map(|_| quote_spanned!(span=> .with_late()));
    let id = node.id_literal();
    quote_spanned!(span=> #on.at(#id).#name #call #late)
}
