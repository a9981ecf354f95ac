//! What a flow looks like as written: names, calls and arrows, with the tokens of each call's
//! arguments still raw.
//!
//! What the arguments mean depends on the stage, which [`crate::lower`] looks up.

use proc_macro2::{Ident, Span, TokenStream};
use syn::token::Paren;

/// A whole flow.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// `<In => Out>`.
    pub(crate) header: Option<Header>,
    /// The statements that could be parsed, in order.
    pub(crate) statements: Vec<Statement>,
    /// Every name in a statement that could not be parsed: nothing is said about these names later.
    pub(crate) unclear: Vec<Ident>,
}

/// The typed header `<In => Out>`.
#[derive(Debug)]
pub(crate) struct Header {
    /// The item of the first source.
    pub(crate) input: syn::Type,
    /// The item that the last sink receives.
    pub(crate) output: syn::Type,
}

/// One statement, up to its `;`.
#[derive(Debug)]
pub(crate) enum Statement {
    /// `capture a, b;`
    Capture(Vec<Ident>),
    /// `let name = chain;` or `chain;`
    Chain(Chain),
}

impl Statement {
    /// The last token of the statement.
    pub(crate) fn end(&self) -> Span {
        let last = match self {
            Self::Capture(names) => names.last().map(Ident::span),
            Self::Chain(chain) => match chain.calls.last() {
                Some(call) => Some(
                    call.id
                        .as_ref()
                        .map_or_else(|| call.paren.span.close(), Ident::span),
                ),
                None => chain.from.as_ref().map(Ident::span),
            },
        };
        last.unwrap_or_else(Span::call_site)
    }
}

/// `origin -> stage -> stage`.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The name that `let` gives to the stream at its end.
    pub(crate) name: Option<Ident>,
    /// The stream that it starts from, unless its first call is an origin.
    pub(crate) from: Option<Ident>,
    /// The calls in order; for a chain that starts with an origin, the first one is that origin.
    pub(crate) calls: Vec<Call>,
}

impl Chain {
    /// Where the chain begins.
    pub(crate) fn span(&self) -> Span {
        match (&self.from, self.calls.first()) {
            (Some(stream), _) => stream.span(),
            (None, Some(call)) => call.name.span(),
            (None, None) => Span::call_site(),
        }
    }
}

/// `name(arguments) as id`.
#[derive(Debug)]
pub(crate) struct Call {
    /// What stands before the parentheses.
    pub(crate) name: Ident,
    /// The parentheses, for their spans.
    pub(crate) paren: Paren,
    /// What stands inside of them.
    pub(crate) arguments: TokenStream,
    /// The name behind `as`.
    pub(crate) id: Option<Ident>,
}
