//! What an evolution does to a value.

use super::{Evolution, FieldFrom, Fields};
use crate::schema::Datum;

impl Evolution {
    /// The value that a stored one has become; `None` if it is none of the stored schema.
    pub(crate) fn apply(&self, datum: Datum) -> Option<Datum> {
        self.within(&[], datum)
    }

    fn within(&self, around: &[&Self], datum: Datum) -> Option<Datum> {
        let of = |evolution: &Self, datum| evolution.within(around, datum);
        Some(match (self, datum) {
            (Self::Same | Self::Wider | Self::Widest, datum) => datum,
            (Self::Again(at), datum) => around.get(*at)?.within(&around[..*at], datum)?,
            (Self::Option(_), Datum::Option(None)) => Datum::Option(None),
            (Self::Option(evolution), Datum::Option(Some(value))) => {
                Datum::Option(Some(Box::new(of(evolution, *value)?)))
            }
            (Self::List(evolution), Datum::Many(items)) => {
                let items = items.into_iter().map(|item| of(evolution, item));
                Datum::Many(items.collect::<Option<_>>()?)
            }
            (Self::Map(evolutions), Datum::Pairs(pairs)) => {
                let [key, value] = &**evolutions;
                let pairs = pairs.into_iter();
                let pairs = pairs.map(|(k, v)| Some((of(key, k)?, of(value, v)?)));
                Datum::Pairs(pairs.collect::<Option<_>>()?)
            }
            (Self::Tuple(evolutions), Datum::Many(parts)) if parts.len() == evolutions.len() => {
                let parts = evolutions.iter().zip(parts);
                Datum::Many(parts.map(|(e, part)| of(e, part)).collect::<Option<_>>()?)
            }
            (Self::Struct(fields), Datum::Many(parts)) => {
                let inner = [around, &[self]].concat();
                Datum::Many(fields.apply(&inner, parts)?)
            }
            (Self::Enum(variants), Datum::Variant(number, parts)) => {
                let inner = [around, &[self]].concat();
                let fields = variants.get(number as usize)?;
                Datum::Variant(number, fields.apply(&inner, parts)?)
            }
            (
                Self::Option(_)
                | Self::List(_)
                | Self::Map(_)
                | Self::Tuple(_)
                | Self::Struct(_)
                | Self::Enum(_),
                _,
            ) => return None,
        })
    }
}

impl Fields {
    fn apply(&self, around: &[&Evolution], parts: Vec<Datum>) -> Option<Vec<Datum>> {
        if parts.len() != self.stored {
            return None;
        }
        let mut parts: Vec<Option<Datum>> = parts.into_iter().map(Some).collect();
        let from = self.from.iter().map(|from| match from {
            // A field goes to one place.
            FieldFrom::Stored(at, of) => of.within(around, parts.get_mut(*at)?.take()?),
            FieldFrom::Default(default) => Some(default.clone()),
        });
        from.collect()
    }
}
