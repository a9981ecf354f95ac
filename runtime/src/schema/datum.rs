//! A value that is known by its schema alone, without its type: nothing of it is lost.

/// A value of some schema, which says what is what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Datum {
    Unit,
    Bool(bool),
    /// An unsigned integer of any width.
    Unsigned(u128),
    /// A signed integer of any width.
    Signed(i128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    Option(Option<Box<Datum>>),
    /// The items of a list, the parts of a tuple, the fields of a struct.
    Many(Vec<Datum>),
    /// The entries of a map.
    Pairs(Vec<(Datum, Datum)>),
    /// The number of a variant, and its fields.
    Variant(u32, Vec<Datum>),
}

impl Datum {
    /// Its parts, if it has any.
    pub(crate) fn parts(&self) -> Option<&[Self]> {
        match self {
            Self::Many(parts) => Some(parts),
            _ => None,
        }
    }

    /// One of its parts.
    pub(crate) fn part(&self, at: usize) -> Option<&Self> {
        self.parts()?.get(at)
    }

    /// Itself, as an unsigned integer.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => u64::try_from(*number).ok(),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Its two parts, if it has just these.
    pub(crate) fn into_pair(self) -> Option<[Self; 2]> {
        match self {
            Self::Many(parts) => parts.try_into().ok(),
            _ => None,
        }
    }
}
