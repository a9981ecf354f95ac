//! `#[derive(State)]`: the schema of a type, from the schemas of its fields.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Result};

use crate::derive::{Field, Shape, implement, shape};

/// `impl State`; a type inside itself ends in its name, by a guard that knows which are being made.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = input.ident.unraw().to_string();
    let schema = match shape(input, "State")? {
        Shape::Struct(fields) => {
            let fields = schemas(&fields);
            quote!(::flowdsl::__private::struct_schema(#name, #fields))
        }
        Shape::Enum(variants) => {
            let variants = variants.iter().map(|variant| {
                let (name, fields) = (variant.name.unraw().to_string(), schemas(&variant.fields));
                quote!((#name, #fields))
            });
            quote!(::flowdsl::__private::enum_schema(#name, ::flowdsl::__private::vec![#(#variants),*]))
        }
    };
    let body = quote! {
        fn schema() -> ::flowdsl::__private::Schema {
            ::flowdsl::__private::schema_of::<Self>(#name, || #schema)
        }
    };
    Ok(implement(input, "State", body))
}

fn schemas(fields: &[Field<'_>]) -> TokenStream {
    let fields = fields.iter().map(|field| {
        let (name, of) = (field.name(), field.of);
        quote_spanned!(of.span()=> (#name, <#of as ::flowdsl::__private::State>::schema()))
    });
    quote!(::flowdsl::__private::vec![#(#fields),*])
}
