//! `#[derive(Key)]`: the canonical encoding of a type, field by field.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Result};

use crate::derive::{Field, Shape, Variant, implement, shape};

/// `impl Key`: the fields in order; for an enum, the variant's number before them.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let encoding = match shape(input, "Key")? {
        Shape::Struct(fields) => {
            let members = fields.iter().map(|field| &field.member);
            hashes(
                &fields,
                members.map(|member| quote!(&self.#member)).collect(),
            )
        }
        Shape::Enum(variants) if variants.is_empty() => quote!(match *self {}),
        Shape::Enum(variants) => {
            let arms = variants
                .iter()
                .enumerate()
                .map(|(number, variant)| arm(number as u64, variant));
            quote!(match self { #(#arms)* })
        }
    };
    let body = quote! {
        fn hash_key(&self, hasher: &mut ::flowdsl::__private::KeyHasher) {
            #encoding
        }
    };
    Ok(implement(input, "Key", body))
}

fn arm(number: u64, variant: &Variant<'_>) -> TokenStream {
    let Variant { name, fields } = variant;
    let bound: Vec<_> = (0..fields.len())
        .map(|at| format_ident!("field_{at}"))
        .collect();
    let members = fields.iter().map(|field| &field.member);
    let hashes = hashes(fields, bound.iter().map(|name| quote!(#name)).collect());
    quote! {
        Self::#name { #(#members: #bound,)* .. } => {
            hasher.word(#number);
            #hashes
        }
    }
}

fn hashes(fields: &[Field<'_>], values: Vec<TokenStream>) -> TokenStream {
    // The argument of `hash_key`, also where a type is written by a macro: the spans of its fields are of another
    // place then, where there is no such name.
    let hasher = format_ident!("hasher");
    let hashes = fields.iter().zip(values).map(|(field, value)| {
        let of = field.of;
        quote_spanned!(of.span()=> <#of as ::flowdsl::__private::Key>::hash_key(#value, #hasher);)
    });
    quote!(#(#hashes)*)
}
