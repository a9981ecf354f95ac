//! [`ast`](crate::ast) to stages: each call is looked up, and its arguments are parsed as its
//! signature says.
//!
//! An unknown stage stays in its chain, unknown, so that the streams around it are still checked.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;

use crate::ast::{self, Call, Header, Statement};
use crate::names;
use crate::ops::{self, Op, PLANNED, Place};
use crate::report::Report;
use crate::values::aggregates::BUILT_IN;
use crate::values::{self, Arguments};

/// A flow whose calls are stages.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) header: Option<Header>,
    pub(crate) captures: Vec<Ident>,
    pub(crate) chains: Vec<Chain>,
    /// Names about which nothing is known, as they stand in statements that do not parse.
    pub(crate) unclear: Vec<String>,
}

/// A chain of stages.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The name that `let` gives to its stream.
    pub(crate) name: Option<Ident>,
    /// The stream that it starts from, unless its first stage is an origin.
    pub(crate) from: Option<Ident>,
    pub(crate) stages: Vec<Stage>,
    /// Where it begins.
    pub(crate) span: Span,
}

/// One call of a chain.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) call: Call,
    /// What it calls, unless that is unknown.
    pub(crate) op: Option<&'static Op>,
    pub(crate) arguments: Arguments,
}

impl Stage {
    /// The name's span, for the tokens that the expansion puts around it.
    pub(crate) fn span(&self) -> Span {
        self.call.name.span()
    }

    /// Whether it is known to stand at this place.
    pub(crate) fn is_at(&self, place: Place) -> bool {
        self.op.is_some_and(|op| op.place == place)
    }
}

/// Looks up every call of the flow.
pub(crate) fn lower(flow: ast::Flow, report: &mut Report) -> Flow {
    let mut lowered = Flow {
        header: flow.header,
        unclear: flow
            .unclear
            .iter()
            .map(|name| name.unraw().to_string())
            .collect(),
        ..Flow::default()
    };
    for statement in flow.statements {
        match statement {
            Statement::Capture(names) => lowered.captures.extend(names),
            Statement::Chain(chain) => lowered.chains.push(lower_chain(chain, report)),
        }
    }
    lowered
}

fn lower_chain(chain: ast::Chain, report: &mut Report) -> Chain {
    let span = chain.span();
    let mut stages = Vec::new();
    for (at, call) in chain.calls.into_iter().enumerate() {
        let is_origin = at == 0 && chain.from.is_none();
        stages.push(lower_call(call, is_origin, report));
    }
    Chain {
        name: chain.name,
        from: chain.from,
        stages,
        span,
    }
}

fn lower_call(call: Call, is_origin: bool, report: &mut Report) -> Stage {
    let op = ops::find(&call.name.to_string());
    let Some(op) = op else {
        report.error(call.name.span(), unknown(&call.name.to_string(), is_origin));
        return Stage {
            call,
            op: None,
            arguments: Arguments::default(),
        };
    };
    let arguments = values::arguments(&op.signature, &call.name, call.arguments.clone(), report);
    Stage {
        call,
        op: Some(op),
        arguments,
    }
}

/// What to say of a name that no stage has.
fn unknown(name: &str, is_origin: bool) -> String {
    if PLANNED.contains(&name) {
        return format!("the language has no `{name}` yet");
    }
    if BUILT_IN.contains(&name) {
        return format!(
            "`{name}` is an aggregate: write `-> aggregate({name}(..))` behind a `window`"
        );
    }
    if let Some(window) = ops::window::WINDOWS
        .iter()
        .find(|window| window.name == name)
    {
        return format!(
            "`{name}` is a kind of window: write `-> window({})`",
            window.usage
        );
    }
    let all = ops::names(|_| true);
    if let Some(meant) = names::did_you_mean(name, &all) {
        return format!("there is no stage `{name}`; did you mean `{meant}`?");
    }
    if is_origin {
        return format!(
            "a chain begins with the name of a stream, `source(..)` or `union(..)`, not with `{name}`"
        );
    }
    let stages = ops::names(|place| place != Place::Origin);
    format!(
        "there is no stage `{name}`; stages are {}",
        names::list(&stages)
    )
}
