//! What is done to the values of one table: nothing, an evolution, or a migration of the user's.

use super::compare::{Evolved, Role, compare};
use super::stage::Comparing;
use super::{Difference, Evolution, Migrated, Migration};
use crate::error::{Error, Result};
use crate::schema::{Convert, Datum, Schema, stamps_of, unstamped_schema};

/// What is done to a value.
#[derive(Clone)]
pub(crate) struct Step {
    evolution: Evolution,
    migration: Option<Convert>,
}

impl Step {
    /// Nothing.
    pub(super) const fn same() -> Self {
        Self {
            evolution: Evolution::Same,
            migration: None,
        }
    }

    /// The value that a stored one has become.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is none of the stored schema; those of the migration.
    pub(crate) fn apply(&self, datum: Datum) -> Result<Datum> {
        let evolved = self.evolution.apply(datum);
        let evolved = evolved.ok_or_else(|| Error::corrupt("a value is none of its schema"))?;
        match &self.migration {
            None => Ok(evolved),
            Some(convert) => convert.apply(evolved),
        }
    }

    pub(super) fn is_same(&self) -> bool {
        self.migration.is_none() && self.evolution.is_same()
    }

    pub(super) const fn is_migration(&self) -> bool {
        self.migration.is_some()
    }

    pub(super) fn keeps_hash(&self) -> bool {
        self.migration.is_none() && self.evolution.keeps_hash()
    }
}

impl Comparing<'_> {
    /// What is done to the values of a table. A migration is for those that were stored as its old type, and for
    /// those that can be read as that only.
    pub(super) fn step(
        &mut self,
        place: &str,
        role: Role,
        (stored, new): (&Schema, &Schema),
        of: &Migrated,
    ) -> Option<Step> {
        if stamps_of(stored) != stamps_of(new) {
            let clock = |schema| stamps_of(schema).unwrap_or("none");
            let advice = "what expires is stored otherwise; give it another name, and allow the old one to be dropped";
            let place = format!("{place}: its time to live");
            self.differ(&place, clock(stored), clock(new), advice);
            return None;
        }
        let [stored, new] = [stored, new].map(unstamped_schema);
        if stored == new {
            return Some(Step::same());
        }
        let all = self.migrations;
        let migrations: Vec<&Migration> = migrations_of(all, of)
            .filter(|migration| reads_as(&migration.new, new))
            .collect();
        let taken = migrations.iter().find(|migration| migration.old == *stored);
        if let Some(migration) = taken {
            return Some(self.migrated(place, (stored, new), Evolution::Same, migration));
        }
        let differences = match (compare(place, role, stored, new), &migrations[..]) {
            (Ok(Evolved { evolution, changes }), _) => {
                let mut of_this = migrations_of(all, of);
                if let Some(like) = of_this.find(|m| reads_as(stored, &m.old)) {
                    self.ambiguous(place, (stored, new), like);
                    return None;
                }
                self.changes.extend(changes);
                return Some(Step {
                    evolution,
                    migration: None,
                });
            }
            (Err(differences), []) => {
                let useless = migrations_of(all, of).map(|m| useless(place, m, new));
                let useless: Vec<_> = useless.collect();
                if useless.is_empty() {
                    differences
                } else {
                    useless
                }
            }
            (Err(_), [first, ..]) => {
                let old = format!("{place}, for its migration");
                let read = |migration: &Migration| compare(&old, role, stored, &migration.old);
                let readable = migrations.iter().find(|migration| read(migration).is_ok());
                match (readable, read(first)) {
                    (Some(migration), _) => {
                        let Ok(Evolved { evolution, changes }) = read(migration) else {
                            return None;
                        };
                        self.changes.extend(changes);
                        return Some(self.migrated(place, (stored, new), evolution, migration));
                    }
                    (None, Err(differences)) => differences,
                    (None, Ok(_)) => return None,
                }
            }
        };
        self.differences.extend(differences);
        None
    }

    /// Refuses what can be read as it is, and is what a migration is for.
    fn ambiguous(&mut self, place: &str, (stored, new): (&Schema, &Schema), like: &Migration) {
        if !reads_as(&like.new, new) {
            self.differences.push(useless(place, like, new));
            return;
        }
        let advice = format!(
            "it can be read as it is, and by a migration from {}; call that type what it was when it was stored, or \
             take the migration away",
            like.old
        );
        self.differ(place, stored, new, &advice);
    }

    fn migrated(
        &mut self,
        place: &str,
        (stored, new): (&Schema, &Schema),
        evolution: Evolution,
        migration: &Migration,
    ) -> Step {
        self.changes
            .push(format!("{place}: is migrated from {stored} to {new}"));
        Step {
            evolution,
            migration: Some(migration.convert.clone()),
        }
    }

    /// As [`step`](Self::step), for what no migration is for.
    pub(super) fn evolution(
        &mut self,
        place: &str,
        role: Role,
        (stored, new): (&Schema, &Schema),
    ) -> Option<Evolution> {
        match compare(place, role, stored, new) {
            Ok(evolved) => {
                self.changes.extend(evolved.changes);
                Some(evolved.evolution)
            }
            Err(differences) => {
                self.differences.extend(differences);
                None
            }
        }
    }

    pub(super) fn differ(
        &mut self,
        place: &str,
        was: impl ToString,
        is: impl ToString,
        advice: &str,
    ) {
        self.differences.push(Difference {
            place: place.to_owned(),
            was: was.to_string(),
            is: is.to_string(),
            advice: advice.to_owned(),
        });
    }
}

/// The migrations of this.
fn migrations_of<'a>(
    migrations: &'a [&'a Migration],
    of: &'a Migrated,
) -> impl Iterator<Item = &'a Migration> {
    // `fold` and `reduce` with a time to live keep their value as a state of `process`.
    let is_value = matches!(of, Migrated::State(name) if name == "value");
    let migrations = migrations.iter().copied();
    migrations.filter(move |m| m.of == *of || is_value && m.of == Migrated::Value)
}

/// That a migration makes something else than the stage keeps.
fn useless(place: &str, migration: &Migration, new: &Schema) -> Difference {
    Difference {
        place: format!("the migration of the {place}"),
        was: format!("written to make {}", migration.new),
        is: format!("to make {new}"),
        advice: "let it make what the stage keeps".to_owned(),
    }
}

/// Whether the bytes of values of one schema are read as those of the other.
fn reads_as(stored: &Schema, new: &Schema) -> bool {
    compare("", Role::Value, stored, new).is_ok_and(|evolved| evolved.evolution.is_same())
}
