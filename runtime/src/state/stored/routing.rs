//! The routing hash of a key that is known by its schema alone.
//!
//! A key's canonical encoding follows from its schema, as the derive of `Key` makes it. Where a type has
//! an encoding of its own, its keys lie outside of the spans of their frames, and the reader says so.

use super::shape::Table;
use crate::error::{Error, Result};
use crate::key::{Key, KeyHasher};
use crate::schema::{Datum, Field, Plain, Schema, Shape};
use crate::state::part::part_hash_from;

/// The routing hash of a key; `None` if the schema is none of a key, or the datum does not fit it.
pub(crate) fn hash_of_datum(key: &Datum, schema: &Schema) -> Option<u64> {
    let mut hasher = KeyHasher::new();
    feed(&mut hasher, key, Shape::of(schema))?;
    Some(hasher.finish())
}

/// The routing hash of a key as a table has it, with its part.
///
/// # Errors
///
/// `Incompatible` if keys of the table's schema have no hash that follows from it.
pub(crate) fn hash_of_stored(key: &Datum, table: &Table) -> Result<u64> {
    let hash = match &table.part {
        None => hash_of_datum(key, &table.key),
        Some(part) => key.part(1).and_then(|of| {
            let of = hash_of_datum(of, &table.key)?;
            let part = hash_of_datum(key.part(0)?, part)?;
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

/// The routing hash of a key of a table, without its part.
///
/// # Errors
///
/// As [`hash_of_stored`].
pub(crate) fn hash_of_key(key: &Datum, table: &Table) -> Result<u64> {
    hash_of_datum(key, &table.key).ok_or_else(|| {
        Error::incompatible(format!(
            "keys of the schema {} can be read with their code only",
            table.key
        ))
    })
}

fn feed(hasher: &mut KeyHasher, datum: &Datum, shape: Shape<'_>) -> Option<()> {
    match (shape.schema, datum) {
        (Schema::Plain(name), _) => feed_plain(hasher, datum, Plain::named(name)?),
        (Schema::Recursive(name), _) => feed(hasher, datum, shape.unfolded(name)?),
        (Schema::Option(of), Datum::Option(value)) => {
            hasher.word(u64::from(value.is_some()));
            match value {
                None => Some(()),
                Some(value) => feed(hasher, value, shape.part(of)),
            }
        }
        (Schema::List(of), Datum::Many(items)) => {
            hasher.word(items.len() as u64);
            let mut items = items.iter();
            items.try_for_each(|item| feed(hasher, item, shape.part(of)))
        }
        (Schema::Tuple(parts), Datum::Many(values)) if values.len() == parts.len() => {
            let mut pairs = values.iter().zip(parts);
            pairs.try_for_each(|(value, part)| feed(hasher, value, shape.part(part)))
        }
        (Schema::Struct(name, fields), Datum::Many(values)) => {
            feed_fields(hasher, values, fields, shape, name)
        }
        (Schema::Enum(name, variants), Datum::Variant(number, values)) => {
            hasher.word(u64::from(*number));
            let (_, fields) = variants.get(*number as usize)?;
            feed_fields(hasher, values, fields, shape, name)
        }
        // A map has no canonical encoding.
        (
            Schema::Map(..)
            | Schema::Option(_)
            | Schema::List(_)
            | Schema::Tuple(_)
            | Schema::Struct(..)
            | Schema::Enum(..),
            _,
        ) => None,
    }
}

fn feed_fields(
    hasher: &mut KeyHasher,
    values: &[Datum],
    fields: &[Field],
    of: Shape<'_>,
    name: &str,
) -> Option<()> {
    let around = of.inside(name);
    let mut values = values.iter().zip(fields);
    values.try_for_each(|(value, field)| feed(hasher, value, of.field(field, &around)))
}

fn feed_plain(hasher: &mut KeyHasher, datum: &Datum, plain: Plain) -> Option<()> {
    match (plain, datum) {
        (Plain::U128, Datum::Unsigned(number)) => number.hash_key(hasher),
        (Plain::I128, Datum::Signed(number)) => number.hash_key(hasher),
        (Plain::U128, Datum::Signed(number)) => u128::try_from(*number).ok()?.hash_key(hasher),
        (Plain::I128, Datum::Unsigned(number)) => i128::try_from(*number).ok()?.hash_key(hasher),
        (Plain::U8 | Plain::U16 | Plain::U32 | Plain::U64, _) => hasher.word(datum.as_u64()?),
        (Plain::I8 | Plain::I16 | Plain::I32 | Plain::I64, Datum::Signed(number)) => {
            hasher.word(i64::try_from(*number).ok()?.cast_unsigned());
        }
        (Plain::I8 | Plain::I16 | Plain::I32 | Plain::I64, Datum::Unsigned(number)) => {
            hasher.word(i64::try_from(*number).ok()?.cast_unsigned());
        }
        (Plain::Bool, Datum::Bool(is)) => hasher.word(u64::from(*is)),
        (Plain::Char, Datum::Char(char)) => hasher.word(u64::from(*char)),
        (Plain::Text, Datum::Text(text)) => hasher.bytes(text.as_bytes()),
        (Plain::Unit, Datum::Unit) => hasher.word(0),
        _ => return None,
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
        let hash = hash_of_datum(&read[0], &K::schema());
        assert_eq!(hash, Some(hash_of(key)), "{:?} of {}", read[0], K::schema());
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
        assert_eq!(hash_of_datum(&Datum::Pairs(Vec::new()), &map), None);
        assert_eq!(
            hash_of_datum(&Datum::Unsigned(1), &Schema::plain("f64")),
            None
        );
        assert_eq!(
            hash_of_datum(&Datum::Text("x".to_owned()), &Schema::plain("u64")),
            None
        );
    }
}
