//! The attributes of serde with which a value is written otherwise than its type says.
//!
//! A schema is made of the types of fields, and snapshots are read by it. What serde writes otherwise would be read as
//! something else or not at all, and not before the job is to go on. So it is refused here.

use syn::{Attribute, Data, DeriveInput, Error, Result};

use crate::derive::pass_over;

/// What an attribute stands on.
#[derive(Clone, Copy)]
enum On {
    Type,
    Variant,
    Field,
}

impl On {
    /// Whether serde writes what has this attribute otherwise than its type says.
    fn changes_encoding(self, attribute: &str) -> bool {
        let some: &[&str] = match self {
            Self::Type => &[
                "tag", "content", "untagged", "from", "try_from", "into", "remote",
            ],
            // serde counts variants that it skips when it writes, and does not when it reads.
            Self::Variant => &[
                "skip",
                "skip_serializing",
                "skip_deserializing",
                "untagged",
                "with",
                "serialize_with",
                "deserialize_with",
            ],
            Self::Field => &[
                "flatten",
                "skip_serializing",
                "skip_deserializing",
                "skip_serializing_if",
                "with",
                "serialize_with",
                "deserialize_with",
            ],
        };
        some.contains(&attribute)
    }
}

/// Refuses all attributes with which the schema of a type would not be that of its values.
pub(crate) fn check_attributes(input: &DeriveInput) -> Result<()> {
    let mut all = vec![(On::Type, &input.attrs)];
    match &input.data {
        Data::Struct(data) => all.extend(data.fields.iter().map(|f| (On::Field, &f.attrs))),
        Data::Enum(data) => {
            for variant in &data.variants {
                all.push((On::Variant, &variant.attrs));
                all.extend(variant.fields.iter().map(|f| (On::Field, &f.attrs)));
            }
        }
        Data::Union(_) => {}
    }
    let errors = all.into_iter().filter_map(|(on, of)| check(on, of).err());
    let together = errors.reduce(|mut all, error| {
        all.combine(error);
        all
    });
    together.map_or(Ok(()), Err)
}

fn check(on: On, attributes: &[Attribute]) -> Result<()> {
    let of_serde = attributes.iter().filter(|a| a.path().is_ident("serde"));
    for attribute in of_serde {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string);
            match name.filter(|name| on.changes_encoding(name)) {
                Some(name) => Err(Error::new_spanned(&meta.path, message(on, &name))),
                None => pass_over(&meta),
            }
        })?;
    }
    Ok(())
}

fn message(on: On, attribute: &str) -> String {
    match on {
        On::Field if attribute.starts_with("skip_") => format!(
            "with `{attribute}` a field is sometimes not there, and a checkpoint cannot say whether it is: write `skip` \
             if it need not be kept"
        ),
        On::Variant if attribute.starts_with("skip") => format!(
            "with `{attribute}` serde counts the variants otherwise when it reads than when it writes, so that a \
             checkpoint would be read as other variants: leave it out"
        ),
        On::Type | On::Variant | On::Field => format!(
            "with `{attribute}` serde writes something else than this type says, so that its schema would not be that \
             of what is stored: leave it out, or implement `State` with the schema of what is written"
        ),
    }
}
