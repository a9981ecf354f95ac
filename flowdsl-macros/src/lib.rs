//! The macros of flowdsl: [`flow!`] and the derives [`State`] and [`Key`].
//!
//! `flow!` is a small compiler, one file a pass:
//!
//! | pass | from, to |
//! |---|---|
//! | `parse` | tokens, `ast`: names, calls and arrows |
//! | `lower` | calls, stages of the table in `ops` with their `values` |
//! | `graph` | names, streams with their uses; stages, their ids |
//! | `check`, `shapes` | the rules between statements; key, time and windows |
//! | `expand` | calls on the public builder, or `fallback` beside the errors in `report` |
//!
//! The expansion does nothing that a careful user could not write by hand, names no path but
//! `::flowdsl::__private`, and is the same whenever the flow is the same.

mod ast;
mod check;
mod derive;
mod expand;
mod fallback;
mod graph;
mod lower;
mod names;
mod ops;
mod parse;
mod report;
mod shapes;
#[cfg(test)]
mod tests;
mod values;

use proc_macro2::TokenStream;

use crate::graph::Graph;
use crate::report::Report;

/// A flow: a pipeline that reads as its diagram. Documented where it is re-exported, in `flowdsl`.
#[proc_macro]
pub fn flow(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    compile(input.into()).into()
}

/// `State` for a struct or an enum: its schema, made of the schemas of its fields.
#[proc_macro_derive(State)]
pub fn derive_state(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::derive(input.into(), derive::state::expand).into()
}

/// `Key` for a struct or an enum: its routing hash, made of the hashes of its fields.
#[proc_macro_derive(Key)]
pub fn derive_key(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::derive(input.into(), derive::key::expand).into()
}

/// All passes. The last one runs only if none before it has found a mistake.
fn compile(tokens: TokenStream) -> TokenStream {
    let mut report = Report::new();
    let ast = parse::parse(tokens, &mut report);
    let captures = fallback::captures(&ast);
    let flow = lower::lower(ast, &mut report);
    let graph = Graph::new(&flow);
    check::check(&graph, &mut report);
    match report.finish() {
        Ok(()) => expand::expand(&graph),
        Err(errors) => fallback::expand(&errors, &captures),
    }
}
