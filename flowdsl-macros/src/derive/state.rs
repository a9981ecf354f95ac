//! `#[derive(State)]`: the schema of a type, from the schemas of its fields.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Result};

use crate::derive::{Default, Field, Shape, implement, said, shape};

/// `impl State`; a type inside itself ends in its name, by a guard that knows which are being made.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = input.ident.unraw().to_string();
    let whole = said(&input.attrs)?.default;
    let schema = match shape(input, "State")? {
        Shape::Struct(fields) => {
            let fields = schemas(&fields, &whole);
            quote!(::flowdsl::__private::struct_schema(#name, #fields))
        }
        Shape::Enum(variants) => {
            let variants = variants.iter().map(|variant| {
                let (name, fields) = (
                    variant.name.unraw().to_string(),
                    schemas(&variant.fields, &Default::None),
                );
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

/// The fields; what serde says of the whole type holds for those of which it says nothing.
fn schemas(fields: &[Field<'_>], whole: &Default) -> TokenStream {
    let fields = fields.iter().map(|field| {
        let (name, of) = (field.name(), field.of);
        let schema = quote_spanned!(of.span()=> <#of as ::flowdsl::__private::State>::schema());
        match default(field, whole) {
            None => quote!(::flowdsl::__private::field(#name, #schema)),
            Some(value) => quote! {
                ::flowdsl::__private::field_with(#name, #schema, || {
                    let value: #of = #value;
                    ::flowdsl::__private::default_bytes(&value)
                })
            },
        }
    });
    quote!(::flowdsl::__private::vec![#(#fields),*])
}

/// What a field is where it is missing.
fn default(field: &Field<'_>, whole: &Default) -> Option<TokenStream> {
    let (member, of) = (&field.member, field.of);
    match (&field.default, whole) {
        (Default::OfType, _) => {
            Some(quote_spanned!(of.span()=> <#of as ::core::default::Default>::default()))
        }
        (Default::Made(path), _) => Some(quote!(#path())),
        (Default::None, Default::OfType) => {
            Some(quote!(<Self as ::core::default::Default>::default().#member))
        }
        (Default::None, Default::Made(path)) => Some(quote! {{
            let whole: Self = #path();
            whole.#member
        }}),
        (Default::None, Default::None) => None,
    }
}
