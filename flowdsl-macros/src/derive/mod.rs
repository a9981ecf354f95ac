//! The derives: both walk the fields of a type and ask each field's own implementation.

mod attributes;
pub(crate) mod key;
pub(crate) mod state;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields, Generics, Index, Member, Result, Type};

/// Parses the type and expands it, or says what is wrong.
pub(crate) fn derive(
    tokens: TokenStream,
    expand: fn(&DeriveInput) -> Result<TokenStream>,
) -> TokenStream {
    syn::parse2(tokens)
        .and_then(|input| expand(&input))
        .unwrap_or_else(|error| error.to_compile_error())
}

/// A struct is one shape, an enum has one for each variant.
pub(crate) enum Shape<'a> {
    Struct(Vec<Field<'a>>),
    Enum(Vec<Variant<'a>>),
}

/// A variant of an enum.
pub(crate) struct Variant<'a> {
    pub(crate) name: &'a syn::Ident,
    pub(crate) fields: Vec<Field<'a>>,
}

/// A field that is part of the value's encoding.
pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    pub(crate) of: &'a Type,
    pub(crate) default: Default,
}

/// What serde takes for a field, or for the fields of a type, where it is missing.
pub(crate) enum Default {
    /// Nothing.
    None,
    /// The default of its type.
    OfType,
    /// What this function makes.
    Made(syn::ExprPath),
}

impl Field<'_> {
    /// The field's name, or its number.
    pub(crate) fn name(&self) -> String {
        match &self.member {
            Member::Named(name) => syn::ext::IdentExt::unraw(name).to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        }
    }
}

/// The fields of a type.
pub(crate) fn shape<'a>(input: &'a DeriveInput, derive: &str) -> Result<Shape<'a>> {
    match &input.data {
        Data::Struct(data) => fields(&data.fields).map(Shape::Struct),
        Data::Enum(data) => {
            let variant = |variant: &'a syn::Variant| {
                Ok(Variant {
                    name: &variant.ident,
                    fields: fields(&variant.fields)?,
                })
            };
            data.variants
                .iter()
                .map(variant)
                .collect::<Result<_>>()
                .map(Shape::Enum)
        }
        Data::Union(data) => {
            let message = format!(
                "`{derive}` is derived for structs and enums: which field of a union is in use, nobody knows"
            );
            Err(syn::Error::new(data.union_token.span, message))
        }
    }
}

fn fields(fields: &Fields) -> Result<Vec<Field<'_>>> {
    let mut all = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let Said { skipped, default } = said(&field.attrs)?;
        if skipped {
            continue;
        }
        let unnamed = || {
            Member::Unnamed(Index {
                index: u32::try_from(at).unwrap_or(u32::MAX),
                span: field.span(),
            })
        };
        all.push(Field {
            member: field.ident.clone().map_or_else(unnamed, Member::Named),
            of: &field.ty,
            default,
        });
    }
    Ok(all)
}

/// What is said to serde of a type or of a field, as far as it matters to snapshots.
pub(crate) struct Said {
    /// What serde leaves out is not in a snapshot.
    skipped: bool,
    pub(crate) default: Default,
}

/// Reads the attributes of serde.
pub(crate) fn said(attributes: &[syn::Attribute]) -> Result<Said> {
    let mut said = Said {
        skipped: false,
        default: Default::None,
    };
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        attribute.parse_nested_meta(|meta| {
            said.skipped |= meta.path.is_ident("skip");
            if meta.path.is_ident("default") {
                said.default = if meta.input.peek(syn::Token![=]) {
                    Default::Made(meta.value()?.parse::<syn::LitStr>()?.parse()?)
                } else {
                    Default::OfType
                };
                return Ok(());
            }
            pass_over(&meta)
        })?;
    }
    Ok(said)
}

/// Reads over what an attribute says that is serde's own.
fn pass_over(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in meta.input);
        content.parse::<TokenStream>()?;
    }
    Ok(())
}

/// `impl<T: Trait> Trait for Name<T> { body }`
pub(crate) fn implement(input: &DeriveInput, which: &str, body: TokenStream) -> TokenStream {
    implement_where(input, which, &[], body)
}

/// The same; of a type with parameters, where these hold, too.
pub(crate) fn implement_where(
    input: &DeriveInput,
    which: &str,
    more: &[syn::WherePredicate],
    body: TokenStream,
) -> TokenStream {
    let which = syn::Ident::new(which, Span::call_site());
    let mut generics: Generics = input.generics.clone();
    for param in generics.type_params_mut() {
        let bound = syn::parse_quote!(::flowdsl::__private::#which);
        param.bounds.push(bound);
    }
    if generics.type_params().next().is_some() {
        generics
            .make_where_clause()
            .predicates
            .extend(more.iter().cloned());
    }
    let name = &input.ident;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let implementation = quote_spanned!(name.span()=> impl #parameters ::flowdsl::__private::#which for #name #arguments #bounds);
    let attributes = quote!(#[automatically_derived]);
    quote!(#attributes #implementation { #body }).into_token_stream()
}
