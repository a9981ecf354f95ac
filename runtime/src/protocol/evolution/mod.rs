//! How values of a stored schema become values of the one that a flow has now.
//!
//! Fields may come (with a default), go and change their places, integers may become wider, and an enum may have
//! more variants behind its last. What is not among these is no matter of opinion, but of a migration: it
//! is refused, with a [`Difference`] that says where.

mod apply;
mod compare;
mod migration;
mod stage;
mod step;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::schema::Datum;

pub(crate) use migration::Migrated;
pub use migration::Migration;
pub(crate) use stage::{Compared, Dropping, NamedStep, StageEvolution, Values, compare_states};

/// What is done to a value of a stored schema, that it may be one of another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Evolution {
    /// Nothing.
    Same,
    /// Nothing but to write it as a wider integer, which has the same routing hash.
    Wider,
    /// As above, of 128 bits: its routing hash is another.
    Widest,
    Option(Box<Evolution>),
    List(Box<Evolution>),
    Map(Box<[Evolution; 2]>),
    Tuple(Vec<Evolution>),
    Struct(Fields),
    /// One for each stored variant.
    Enum(Vec<Fields>),
    /// What the so-manieth of the structs and enums around it does, from the outermost.
    Again(usize),
}

/// Where the fields of a struct or a variant come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fields {
    from: Vec<FieldFrom>,
    /// How many there were.
    stored: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum FieldFrom {
    /// The field in this place.
    Stored(usize, Evolution),
    /// It is new.
    Default(Datum),
}

impl Evolution {
    /// Whether the bytes of a value stay what they are.
    pub(crate) fn is_same(&self) -> bool {
        match self {
            Self::Same | Self::Again(_) => true,
            Self::Wider | Self::Widest => false,
            Self::Option(of) | Self::List(of) => of.is_same(),
            Self::Map(of) => of.iter().all(Self::is_same),
            Self::Tuple(parts) => parts.iter().all(Self::is_same),
            Self::Struct(fields) => fields.are(Self::is_same),
            // More variants than there were are none that a value has.
            Self::Enum(variants) => variants.iter().all(|fields| fields.are(Self::is_same)),
        }
    }

    /// Whether a key keeps its routing hash.
    fn keeps_hash(&self) -> bool {
        match self {
            Self::Same | Self::Wider | Self::Again(_) => true,
            Self::Widest => false,
            Self::Option(of) | Self::List(of) => of.keeps_hash(),
            Self::Map(of) => of.iter().all(Self::keeps_hash),
            Self::Tuple(parts) => parts.iter().all(Self::keeps_hash),
            Self::Struct(fields) => fields.are(Self::keeps_hash),
            Self::Enum(variants) => variants.iter().all(|fields| fields.are(Self::keeps_hash)),
        }
    }
}

impl Fields {
    /// Whether all of them are in their places, and each is so.
    fn are(&self, is: impl Fn(&Evolution) -> bool) -> bool {
        let mut from = self.from.iter().enumerate();
        let in_place = |(at, from): (usize, &FieldFrom)| match from {
            FieldFrom::Stored(place, of) => *place == at && is(of),
            FieldFrom::Default(_) => false,
        };
        self.from.len() == self.stored && from.all(in_place)
    }
}

/// Something that keeps stored state from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it is: what of the stage's state, and in it which field of which type.
    pub place: String,
    /// What was there.
    pub was: String,
    /// What is there now.
    pub is: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            was,
            is,
            advice,
        } = self;
        write!(f, "{place} was {was} and is {is}: {advice}")
    }
}
