//! The comparison of two schemas: what is to be done, or what keeps it from being done.

use super::{Difference, Evolution, FieldFrom, Fields};
use crate::schema::{Datum, Field, Plain, Schema, read_items};

/// What a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Keys, of which no two may become one.
    Key,
    Value,
}

/// A comparison that may be made: what is to be done, and what has changed, in words.
#[derive(Debug)]
pub(crate) struct Evolved {
    pub(crate) evolution: Evolution,
    pub(crate) changes: Vec<String>,
}

/// Compares the schema of stored values with the one that they are to have. `place` says what they are.
pub(crate) fn compare(
    place: &str,
    role: Role,
    stored: &Schema,
    new: &Schema,
) -> Result<Evolved, Vec<Difference>> {
    let mut comparing = Comparing {
        place: vec![place.to_owned()],
        role,
        around: Vec::new(),
        changes: Vec::new(),
        differences: Vec::new(),
    };
    let evolution = comparing.of(stored, new);
    match (evolution, comparing.differences.is_empty()) {
        (Some(evolution), true) => Ok(Evolved {
            evolution,
            changes: comparing.changes,
        }),
        _ => Err(comparing.differences),
    }
}

struct Comparing<'s> {
    /// Where the comparison is: the fields, from the outermost.
    place: Vec<String>,
    role: Role,
    /// The named types around, stored and new, from the outermost.
    around: Vec<(&'s str, &'s str)>,
    changes: Vec<String>,
    differences: Vec<Difference>,
}

const MIGRATE: &str = "write a `Migration`";

impl<'s> Comparing<'s> {
    /// What is to be done; `None` if there is a difference.
    fn of(&mut self, stored: &'s Schema, new: &'s Schema) -> Option<Evolution> {
        match (stored, new) {
            (Schema::Plain(was), Schema::Plain(is)) if was == is => Some(Evolution::Same),
            (Schema::Plain(was), Schema::Plain(is)) => self.plain(was, is),
            (Schema::Recursive(was), Schema::Recursive(is)) => {
                let at = self.around.iter().rposition(|(name, _)| name == was);
                let same = at.filter(|at| {
                    let now = self.around.iter().rposition(|(_, name)| name == is);
                    now == Some(*at)
                });
                if same.is_none() {
                    self.differ(was, is, MIGRATE);
                }
                same.map(Evolution::Again)
            }
            (Schema::Option(was), Schema::Option(is)) => {
                Some(Evolution::Option(Box::new(self.of(was, is)?)))
            }
            (Schema::List(was), Schema::List(is)) => {
                Some(Evolution::List(Box::new(self.of(was, is)?)))
            }
            (Schema::Map(was_key, was), Schema::Map(is_key, is)) => {
                let role = std::mem::replace(&mut self.role, Role::Key);
                let key = self.of(was_key, is_key);
                self.role = role;
                let value = self.of(was, is);
                Some(Evolution::Map(Box::new([key?, value?])))
            }
            (Schema::Tuple(was), Schema::Tuple(is)) if was.len() == is.len() => {
                let parts: Vec<_> = was.iter().zip(is).map(|(w, i)| self.of(w, i)).collect();
                Some(Evolution::Tuple(parts.into_iter().collect::<Option<_>>()?))
            }
            (Schema::Struct(was, stored), Schema::Struct(is, new)) => {
                self.around.push((was, is));
                self.renamed(was, is);
                let fields = self.fields(is, stored, new);
                self.around.pop();
                fields.map(Evolution::Struct)
            }
            (Schema::Enum(was, stored), Schema::Enum(is, new)) => {
                self.around.push((was, is));
                self.renamed(was, is);
                let variants = self.variants(is, stored, new);
                self.around.pop();
                variants.map(Evolution::Enum)
            }
            _ => {
                self.differ(stored, new, MIGRATE);
                None
            }
        }
    }

    fn plain(&mut self, was: &str, is: &str) -> Option<Evolution> {
        let evolution = match (Plain::named(was), Plain::named(is)) {
            // `usize` is stored as `u64`.
            (Some(stored), Some(new)) if stored == new => Some(Evolution::Same),
            (Some(stored), Some(new)) if new.holds(stored) => Some(match new {
                Plain::U128 | Plain::I128 => Evolution::Widest,
                _ => Evolution::Wider,
            }),
            _ => None,
        };
        if evolution.is_some() {
            self.change(format!("{was} is now {is}"));
        } else {
            let advice = "an integer may become a wider one; anything else needs a `Migration`";
            self.differ(was, is, advice);
        }
        evolution
    }

    fn fields(&mut self, of: &str, stored: &'s [Field], new: &'s [Field]) -> Option<Fields> {
        let differences = self.differences.len();
        let mut from = Vec::new();
        for field in new {
            self.place.push(format!("{of}.{}", field.name));
            let at = stored.iter().position(|was| was.name == field.name);
            match at {
                Some(at) => {
                    let evolution = self.of(&stored[at].schema, &field.schema);
                    from.extend(evolution.map(|evolution| FieldFrom::Stored(at, evolution)));
                }
                None => from.extend(self.default_of(field).map(FieldFrom::Default)),
            }
            self.place.pop();
        }
        for field in stored {
            if new.iter().any(|is| is.name == field.name) {
                continue;
            }
            self.place.push(format!("{of}.{}", field.name));
            match self.role {
                Role::Value if has_place_only(field) => self.differ(
                    &field.schema,
                    "gone",
                    "a field without a name is known by its place, and which of them is gone nobody knows; write a \
                     `Migration`",
                ),
                Role::Value => self.change("is gone".to_owned()),
                Role::Key => self.differ(
                    &field.schema,
                    "gone",
                    "keys that differ in it alone would become one; write a `Migration` of the key",
                ),
            }
            self.place.pop();
        }
        let in_order = from.iter().filter_map(|from| match from {
            FieldFrom::Stored(at, _) => Some(*at),
            FieldFrom::Default(_) => None,
        });
        if !in_order.is_sorted() {
            self.change(format!("the fields of {of} stand in another order"));
        }
        (self.differences.len() == differences).then_some(Fields {
            from,
            stored: stored.len(),
        })
    }

    /// What a field is in values that were stored without it.
    fn default_of(&mut self, field: &Field) -> Option<Datum> {
        let default = match (field.default, &field.schema) {
            (Some(make), schema) => make()
                .and_then(|bytes| read_items(&bytes, schema))
                .map_err(|error| error.message().to_owned())
                .and_then(|items| items.into_iter().next().ok_or_else(String::new)),
            (None, Schema::Option(_)) => Ok(Datum::Option(None)),
            (None, _) => {
                let advice = "write `#[serde(default)]` on it, so that it is known what it was";
                self.differ("not there", &field.schema, advice);
                return None;
            }
        };
        match default {
            Ok(default) => {
                self.change(format!("is new: {}", field.schema));
                Some(default)
            }
            Err(why) => {
                let advice = format!("its default does not read ({why})");
                self.differ("not there", &field.schema, &advice);
                None
            }
        }
    }

    fn variants(
        &mut self,
        of: &str,
        stored: &'s [(String, Vec<Field>)],
        new: &'s [(String, Vec<Field>)],
    ) -> Option<Vec<Fields>> {
        let mut variants = Vec::new();
        for (at, (was, fields)) in stored.iter().enumerate() {
            match new.get(at) {
                Some((is, now)) if is == was => {
                    variants.push(self.fields(&format!("{of}::{was}"), fields, now));
                }
                other => {
                    let is = other.map_or_else(|| "gone".to_owned(), |(is, _)| format!("`{is}`"));
                    self.place.push(format!("variant {at} of {of}"));
                    let advice = "variants keep their names and places, new ones stand behind the last; \
                                  otherwise write a `Migration`";
                    self.differ(format!("`{was}`"), is, advice);
                    self.place.pop();
                    return None;
                }
            }
        }
        for (name, _) in &new[stored.len()..] {
            self.change(format!("{of}::{name} is a new variant"));
        }
        variants.into_iter().collect()
    }

    fn renamed(&mut self, was: &str, is: &str) {
        if was != is {
            self.change(format!("{was} is now called {is}"));
        }
    }

    fn change(&mut self, what: String) {
        let place = self.place.join(" > ");
        self.changes.push(format!("{place}: {what}"));
    }

    fn differ(&mut self, was: impl ToString, is: impl ToString, advice: &str) {
        self.differences.push(Difference {
            place: self.place.join(" > "),
            was: was.to_string(),
            is: is.to_string(),
            advice: advice.to_owned(),
        });
    }
}

/// Whether a field is one of a tuple, whose name is its number.
fn has_place_only(field: &Field) -> bool {
    field.name.bytes().all(|digit| digit.is_ascii_digit())
}
