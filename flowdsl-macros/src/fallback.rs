//! What a flow with mistakes expands to beside its errors: an expression of the right type, so
//! that one mistake is not fifty.

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::{Flow, Statement};

/// The errors, and a job that is never run.
pub(crate) fn expand(errors: &syn::Error, captures: &[syn::Ident]) -> TokenStream {
    let errors = errors.to_compile_error();
    quote!({
        #errors
        #(let _ = &#captures;)*
        ::flowdsl::__private::unreachable_job()
    })
}

/// What the flow captures: used in the fallback too, so that rustc does not call it unused.
pub(crate) fn captures(flow: &Flow) -> Vec<syn::Ident> {
    let names = flow
        .statements
        .iter()
        .filter_map(|statement| match statement {
            Statement::Capture(names) => Some(names.clone()),
            Statement::Chain(_) => None,
        });
    names.flatten().collect()
}
