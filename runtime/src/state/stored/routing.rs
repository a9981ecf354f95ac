//! The routing hash of a key that is known by its schema alone.
//!
//! A key's canonical encoding follows from its schema, as the derive of `Key` makes it. Where a type has
//! an encoding of its own, its keys lie outside of the spans of their frames, and the reader says so.

use serde_json::Value;

use super::shape::Table;
use crate::error::{Error, Result};
use crate::key::{Key, KeyHasher};
use crate::schema::{Plain, Schema, may_be_null};
use crate::state::part::part_hash_from;

/// The routing hash of a key; `None` if the schema is none of a key, or the value does not fit it.
fn hash_of_value(key: &Value, schema: &Schema) -> Option<u64> {
    let mut hasher = KeyHasher::new();
    feed(&mut hasher, key, schema, None)?;
    Some(hasher.finish())
}

/// The routing hash of a key as a table has it, with its part.
///
/// # Errors
///
/// `Incompatible` if keys of the table's schema have no hash that follows from it.
pub(super) fn hash_of_stored(key: &Value, table: &Table) -> Result<u64> {
    let hash = match &table.part {
        None => hash_of_value(key, &table.key),
        Some(part) => hash_of_value(&key[1], &table.key).and_then(|of| {
            let part = hash_of_value(&key[0], part)?;
            Some(part_hash_from(of, part))
        }),
    };
    hash.ok_or_else(|| {
        Error::incompatible(format!(
            "keys of the schema {} can be read with their code only",
            table.stored_key()
        ))
    })
}

/// The named types around a schema, innermost first.
struct Around<'s> {
    name: &'s str,
    schema: &'s Schema,
    outer: Option<&'s Around<'s>>,
}

fn feed(
    hasher: &mut KeyHasher,
    value: &Value,
    schema: &Schema,
    around: Option<&Around<'_>>,
) -> Option<()> {
    match schema {
        Schema::Plain(name) => feed_plain(hasher, value, Plain::named(name)?),
        Schema::Recursive(name) => {
            let mut named = around?;
            while named.name != name {
                named = named.outer?;
            }
            feed(hasher, value, named.schema, named.outer)
        }
        Schema::Option(of) => {
            hasher.word(u64::from(!value.is_null()));
            match value {
                Value::Null => Some(()),
                some if may_be_null(of) => feed(hasher, some.get("Some")?, of, around),
                some => feed(hasher, some, of, around),
            }
        }
        Schema::List(of) => {
            let items = value.as_array()?;
            hasher.word(items.len() as u64);
            items
                .iter()
                .try_for_each(|item| feed(hasher, item, of, around))
        }
        Schema::Tuple(parts) => {
            let values = value.as_array().filter(|v| v.len() == parts.len())?;
            let mut pairs = values.iter().zip(parts);
            pairs.try_for_each(|(value, part)| feed(hasher, value, part, around))
        }
        Schema::Struct(name, fields) => {
            let around = Around {
                name,
                schema,
                outer: around,
            };
            feed_fields(hasher, value, fields, &around)
        }
        Schema::Enum(of, variants) => {
            let around = Around {
                name: of,
                schema,
                outer: around,
            };
            let (name, fields) = match value {
                Value::String(name) => (name, None),
                Value::Object(variant) => {
                    let (name, fields) = variant.iter().next()?;
                    (name, Some(fields))
                }
                _ => return None,
            };
            let number = variants.iter().position(|(variant, _)| variant == name)?;
            hasher.word(number as u64);
            fields.map_or(Some(()), |values| {
                feed_fields(hasher, values, &variants[number].1, &around)
            })
        }
        // A map has no canonical encoding.
        Schema::Map(..) => None,
    }
}

fn feed_fields(
    hasher: &mut KeyHasher,
    values: &Value,
    fields: &[(String, Schema)],
    around: &Around<'_>,
) -> Option<()> {
    fields
        .iter()
        .try_for_each(|(name, field)| feed(hasher, values.get(name)?, field, Some(around)))
}

fn feed_plain(hasher: &mut KeyHasher, value: &Value, plain: Plain) -> Option<()> {
    match plain {
        Plain::U8 | Plain::U16 | Plain::U32 | Plain::U64 => hasher.word(value.as_u64()?),
        Plain::I8 | Plain::I16 | Plain::I32 | Plain::I64 => {
            hasher.word(value.as_i64()?.cast_unsigned());
        }
        Plain::U128 => match value {
            Value::String(digits) => digits.parse::<u128>().ok()?.hash_key(hasher),
            number => u128::from(number.as_u64()?).hash_key(hasher),
        },
        Plain::I128 => match value {
            Value::String(digits) => digits.parse::<i128>().ok()?.hash_key(hasher),
            number => {
                let signed = number.as_i64().map(i128::from);
                let wide = signed.or_else(|| number.as_u64().map(i128::from));
                wide?.hash_key(hasher);
            }
        },
        Plain::Bool => hasher.word(u64::from(value.as_bool()?)),
        Plain::Char => hasher.word(u64::from(value.as_str()?.chars().next()?)),
        Plain::Text => hasher.bytes(value.as_str()?.as_bytes()),
        Plain::Unit => hasher.word(0),
        Plain::F32 | Plain::F64 => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash_of;
    use crate::schema::read_items;

    #[track_caller]
    fn check<K: Key>(key: &K) {
        let bytes = bitcode::serialize(std::slice::from_ref(key)).expect("keys serialise");
        let read = read_items(&bytes, &K::schema()).expect("keys read by their schema");
        let hash = hash_of_value(&read[0], &K::schema());
        assert_eq!(hash, Some(hash_of(key)), "{} of {}", read[0], K::schema());
    }

    #[test]
    fn a_key_read_by_its_schema_has_the_hash_that_its_type_gives_it() {
        check(&7_u8);
        check(&u64::MAX);
        check(&-7_i32);
        check(&i64::MIN);
        check(&u128::MAX);
        check(&5_u128);
        check(&i128::MIN);
        check(&-5_i128);
        check(&i128::from(u64::MAX));
        check(&'ü');
        check(&true);
        check(&());
        check(&"longer than a word".to_owned());
        check(&("ABE".to_owned(), 7_u32, vec![Some(1_u8), None]));
        check(&None::<u64>);
        check(&Some(Some(())));
        check(&Some(None::<()>));
    }

    #[test]
    fn what_is_no_key_has_no_hash() {
        let map = Schema::Map(Box::new(Schema::plain("u8")), Box::new(Schema::plain("u8")));
        assert_eq!(hash_of_value(&Value::Array(Vec::new()), &map), None);
        assert_eq!(hash_of_value(&1.into(), &Schema::plain("f64")), None);
        assert_eq!(hash_of_value(&"x".into(), &Schema::plain("u64")), None);
    }
}
