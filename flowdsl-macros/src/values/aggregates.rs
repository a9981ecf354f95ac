//! Aggregates: built-in names at the top and in tuples are ours, the rest is Rust's.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::token::Paren;
use syn::{Result, Token, parenthesized};

use crate::expand::{Scope, in_parens};
use crate::values::expression::Expression;

/// The methods of the builder's `Aggregates`.
pub(crate) const BUILT_IN: &[&str] = &["count", "sum", "min", "max", "mean"];

/// What stands in `aggregate(..)`.
#[derive(Debug)]
pub(crate) enum Aggregates {
    /// `mean(|f| f.delay)`
    BuiltIn {
        name: Ident,
        paren: Paren,
        arguments: Vec<Expression>,
    },
    /// `(count(), mean(|f| f.delay))`
    Tuple {
        paren: Paren,
        parts: Vec<Aggregates>,
        trailing_comma: bool,
    },
    /// Anything else: a user's own aggregate.
    Expr(Expression),
}

impl Aggregates {
    /// Parses one aggregate or a tuple of them.
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Self> {
        if is_built_in(input) {
            let name = input.parse()?;
            let content;
            let paren = parenthesized!(content in input);
            let (arguments, _) = list(&content, Expression::parse)?;
            return Ok(Self::BuiltIn {
                name,
                paren,
                arguments,
            });
        }
        if is_tuple(input) {
            let content;
            let paren = parenthesized!(content in input);
            let (parts, trailing_comma) = list(&content, Self::parse)?;
            return Ok(Self::Tuple {
                paren,
                parts,
                trailing_comma,
            });
        }
        Expression::parse(input).map(Self::Expr)
    }

    /// The expression that makes the aggregates in their typed context.
    pub(crate) fn expand(&self, scope: &Scope<'_>) -> TokenStream {
        match self {
            Self::BuiltIn {
                name,
                paren,
                arguments,
            } => {
                let context = Scope::context(name.span());
                let arguments = arguments.iter().map(|argument| scope.expression(argument));
                let arguments = in_parens(*paren, quote!(#(#arguments),*));
                quote_spanned!(name.span()=> #context.#name #arguments)
            }
            Self::Tuple {
                paren,
                parts,
                trailing_comma,
            } => {
                let parts = parts.iter().map(|part| part.expand(scope));
                let comma = trailing_comma.then(|| quote!(,));
                in_parens(*paren, quote!(#(#parts),* #comma))
            }
            Self::Expr(expression) => scope.expression(expression),
        }
    }
}

/// A built-in name, called, and nothing behind the call.
fn is_built_in(input: ParseStream<'_>) -> bool {
    let fork = input.fork();
    let named = fork
        .parse::<Ident>()
        .is_ok_and(|name| BUILT_IN.iter().any(|known| name == known));
    named && is_group_alone(&fork)
}

fn is_tuple(input: ParseStream<'_>) -> bool {
    is_group_alone(&input.fork())
}

fn is_group_alone(input: ParseStream<'_>) -> bool {
    input.peek(Paren)
        && input.parse::<proc_macro2::TokenTree>().is_ok()
        && (input.is_empty() || input.peek(Token![,]))
}

/// A list with commas, and whether one stands at its end.
fn list<T>(
    input: ParseStream<'_>,
    one: fn(ParseStream<'_>) -> Result<T>,
) -> Result<(Vec<T>, bool)> {
    let mut all = Vec::new();
    while !input.is_empty() {
        all.push(one(input)?);
        if input.is_empty() {
            return Ok((all, false));
        }
        input.parse::<Token![,]>()?;
    }
    Ok((all, true))
}
