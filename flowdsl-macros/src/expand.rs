//! A checked flow to calls on the builder.
//!
//! The rule: what a user wrote keeps its span, and every token of a stage's call, parentheses
//! included, carries the span of the stage's name with call-site hygiene, so that rustc points into
//! the user's closure and never underlines the whole flow. Names of streams are hygienic: closures
//! do not see them. Each path begins with `::flowdsl::__private`.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::token::Paren;

use crate::graph::{Graph, Node};
use crate::lower::Chain;
use crate::ops::Place;
use crate::values::Value;
use crate::values::duration::Duration;
use crate::values::expression::Expression;

/// The expression of type `Job` that a flow stands for.
pub(crate) fn expand(graph: &Graph<'_>) -> TokenStream {
    let scope = Scope { graph };
    let captures = graph.flow.captures.iter().map(|name| {
        let capture = private(name.span(), quote_spanned!(name.span()=> capture));
        quote_spanned!(name.span()=> let #name = #capture(&#name);)
    });
    let chains = graph
        .flow
        .chains
        .iter()
        .zip(&graph.chains)
        .map(|(chain, nodes)| expand_chain(chain, nodes, &scope));
    let flow = Scope::flow(Span::call_site());
    quote!({
        #(#captures)*
        ::flowdsl::__private::Job::new(::flowdsl::__private::module_path!(), move |#flow| {
            #(#chains)*
        })
    })
}

/// A statement a stage, so that what rustc says of a stream stands at the stage that makes it.
fn expand_chain(chain: &Chain, nodes: &[Node<'_>], scope: &Scope<'_>) -> TokenStream {
    let mut statements = TokenStream::new();
    let mut on = TokenStream::new();
    if let Some(from) = &chain.from {
        let (stream, from_stream) = (Scope::stream_so_far(from.span()), scope.stream(from));
        statements.extend(quote_spanned!(from.span()=> let #stream = #from_stream;));
        on = quote_spanned!(from.span()=> #stream);
    }
    for node in nodes {
        let span = node.stage.span();
        let op = node
            .stage
            .op
            .expect("an unknown stage is an error of an earlier pass");
        let stream = Scope::stream_so_far(span);
        if !on.is_empty() {
            on = quote_spanned!(span=> #stream);
        }
        let call = (op.expand)(node, on, scope);
        let (result, share) = match node.side {
            Some(side) => {
                let side_stream = local(side);
                (
                    quote_spanned!(side.span()=> (#stream, #side_stream)),
                    scope.share(side),
                )
            }
            None => (quote_spanned!(span=> #stream), TokenStream::new()),
        };
        statements.extend(match op.place {
            Place::Origin | Place::Middle => quote_spanned!(span=> let #result = #call; #share),
            Place::Last => quote_spanned!(span=> #call;),
        });
        on = quote_spanned!(span=> #stream);
    }
    if let Some(name) = &chain.name {
        let stream = local(name);
        let share = scope.share(name);
        statements.extend(quote_spanned!(name.span()=> let #stream = #on; #share));
    }
    statements
}

/// What an expansion looks up: captures and streams.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    graph: &'a Graph<'a>,
}

impl Scope<'_> {
    /// The builder, as the flow's body calls it. A receiver has call-site hygiene as its call has, or
    /// rustc joins the two to the whole flow; hence a name that nobody else gives.
    pub(crate) fn flow(span: Span) -> Ident {
        Ident::new("__flowdsl_flow", span)
    }

    /// The stream behind the stages of a chain so far.
    fn stream_so_far(span: Span) -> Ident {
        Ident::new("__flowdsl_stream", span)
    }

    /// The typed context of aggregates.
    pub(crate) fn context(span: Span) -> Ident {
        Ident::new("__flowdsl_aggregates", span)
    }

    /// A stream where it is used: itself, or a branch of it where it is used twice.
    pub(crate) fn stream(&self, name: &Ident) -> TokenStream {
        let stream = local(name);
        if self.is_shared(name) {
            quote_spanned!(name.span()=> #stream.branch())
        } else {
            quote_spanned!(name.span()=> #stream)
        }
    }

    /// The statement that lets a stream be used more than once.
    fn share(&self, name: &Ident) -> TokenStream {
        if !self.is_shared(name) {
            return TokenStream::new();
        }
        let stream = local(name);
        quote_spanned!(name.span()=> let #stream = #stream.shared();)
    }

    fn is_shared(&self, name: &Ident) -> bool {
        self.graph
            .stream(name)
            .is_some_and(|stream| stream.uses > 1)
    }

    /// The value of an argument as the builder takes it; nothing for names of new streams.
    pub(crate) fn value(&self, value: &Value) -> TokenStream {
        match value {
            Value::Expr(expression) | Value::Duration(Duration::Expr(expression)) => {
                self.expression(expression)
            }
            // A bare name is most likely that of a function, perhaps a generic one.
            Value::Closure(closure) if closure.is_one_name() => self.with_captures(closure, &[]),
            Value::Closure(closure) => self.expression(closure),
            Value::Duration(Duration::Literal { millis, kind, span }) => {
                Duration::expand_literal(*millis, *kind, *span)
            }
            // Their stages expand these.
            Value::Aggregates(_) | Value::Window(_) | Value::NewStream(_) | Value::Stream(_) => {
                TokenStream::new()
            }
        }
    }

    /// An expression, in a block with its own clone of each capture that it uses (`mut`, so that a
    /// closure which changes it is told of `Fn`). Each other variable from around the flow goes
    /// through `free`, which asks for `capture`.
    pub(crate) fn expression(&self, expression: &Expression) -> TokenStream {
        let not_captured: Vec<&Ident> = expression
            .free
            .iter()
            .filter(|name| !self.graph.flow.captures.contains(name))
            .collect();
        self.with_captures(expression, &not_captured)
    }

    fn with_captures(&self, expression: &Expression, not_captured: &[&Ident]) -> TokenStream {
        let tokens = &expression.tokens;
        let captures = self.graph.flow.captures.iter().filter(|name| expression.mentions(name)).map(|name| {
            let clone = private(Span::call_site(), quote!(clone));
            quote_spanned!(name.span()=> #[allow(unused_variables, unused_mut)] let mut #name = #clone(&#name);)
        });
        let free = not_captured.iter().map(|name| {
            let free = private(name.span(), quote_spanned!(name.span()=> free));
            quote_spanned!(name.span()=> #free(&#name);)
        });
        let before: Vec<TokenStream> = captures.chain(free).collect();
        if before.is_empty() {
            tokens.clone()
        } else {
            quote!({ #(#before)* #tokens })
        }
    }
}

/// A stream's name as a variable that only the expansion sees.
fn local(name: &Ident) -> Ident {
    let mut local = name.clone();
    local.set_span(name.span().resolved_at(Span::mixed_site()));
    local
}

/// `::flowdsl::__private::path`, all of it at one span.
pub(crate) fn private(span: Span, path: TokenStream) -> TokenStream {
    quote_spanned!(span=> ::flowdsl::__private::#path)
}

/// The tokens in the user's own parentheses.
pub(crate) fn in_parens(paren: Paren, tokens: TokenStream) -> TokenStream {
    let mut group = Group::new(Delimiter::Parenthesis, tokens);
    group.set_span(paren.span.join());
    proc_macro2::TokenTree::Group(group).into()
}
