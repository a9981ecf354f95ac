//! `event_time`: each record's own time, and how far out of order times may come.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::expand::Scope;
use crate::graph::Node;
use crate::lower::Stage;
use crate::ops::{Has, Memory, Op, Place, Shape, method};
use crate::report::Report;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "event_time",
        usage: "event_time(|x| x.time, lateness: 5 min)",
        params: &[
            Param::position("f", Kind::Closure),
            Param::required("lateness", Kind::Duration),
        ],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape,
    expand,
};

/// The errors of the source leave behind its event time, which is made where the source reads.
fn expand(node: &Node<'_>, on: TokenStream, scope: &Scope<'_>) -> TokenStream {
    let call = method(node, on, scope);
    let errors = node
        .side
        .map(|side| quote_spanned!(side.span()=> .with_errors()));
    quote!(#call #errors)
}

fn shape(stage: &Stage, inputs: &[Shape], report: &mut Report) -> Shape {
    let input = inputs.first().copied().unwrap_or(Shape::UNKNOWN);
    let span = stage.call.name.span();
    if input.at_source == Has::No {
        report.error(
            span,
            "`event_time` stands behind its source, before any `key_by`, `union` or `window` and before the stream \
             is used twice: watermarks are made where the source reads",
        );
    } else if input.time == Has::Yes {
        report.error(
            span,
            "this stream has event time already: keep one `event_time`, behind the source",
        );
    }
    Shape {
        time: Has::Yes,
        ..input
    }
}
