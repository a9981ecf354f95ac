//! `#[derive(State)]`: the schema of a type, from the schemas of its fields.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Result};

use crate::derive::attributes::check_attributes;
use crate::derive::{Default, Field, Shape, implement_where, said, shape};

/// `impl State`; a type inside itself ends in its name, by a guard that knows which are being made.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    check_attributes(input)?;
    let name = input.ident.unraw().to_string();
    let whole = said(&input.attrs)?.default;
    let shape = shape(input, "State")?;
    let bounds = bounds(&shape, &whole);
    let schema = match shape {
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
    Ok(implement_where(input, "State", &bounds, body))
}

/// What the defaults need of the parameters of a type, as serde's own derive asks for it.
fn bounds(shape: &Shape<'_>, whole: &Default) -> Vec<syn::WherePredicate> {
    let default = quote!(::core::default::Default);
    let fields: Vec<&Field<'_>> = match shape {
        Shape::Struct(fields) => fields.iter().collect(),
        Shape::Enum(variants) => variants.iter().flat_map(|v| &v.fields).collect(),
    };
    let of_type = |field: &&Field<'_>| matches!(field.default, Default::OfType);
    let of_fields = fields.into_iter().filter(of_type).map(|field| {
        let of = field.of;
        syn::parse_quote!(#of: #default)
    });
    let of_whole = matches!(whole, Default::OfType).then(|| syn::parse_quote!(Self: #default));
    of_fields.chain(of_whole).collect()
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
