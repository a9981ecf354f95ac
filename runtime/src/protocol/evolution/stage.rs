//! What becomes of the state of a whole stage: of its keys, and of each thing that it keeps of them.

use std::collections::BTreeMap;

use super::compare::{Role, compare};
use super::step::Step;
use super::{Difference, Evolution, Migrated, Migration};
use crate::schema::{Schema, first_unknown};

/// What becomes of the state of a stage.
#[derive(Clone)]
pub(crate) struct StageEvolution {
    pub(crate) key: Step,
    pub(crate) values: Values,
    /// Makes keys and values together, instead of the two above.
    pub(crate) entry: Option<Step>,
}

/// What becomes of what a stage keeps.
#[derive(Clone)]
pub(crate) enum Values {
    /// Of the running values, or the accumulators.
    One(Step),
    /// Of the states of `process`, by name.
    Named(BTreeMap<String, NamedStep>),
}

/// What becomes of a state of `process`.
#[derive(Clone)]
pub(crate) enum NamedStep {
    Dropped,
    Kept(Step),
    Map { key: Evolution, value: Step },
}

impl StageEvolution {
    /// Whether stored bytes are read as they are.
    pub(crate) fn is_same(&self) -> bool {
        let values = match &self.values {
            Values::One(step) => step.is_same(),
            Values::Named(states) => states.values().all(|state| match state {
                NamedStep::Dropped => false,
                NamedStep::Kept(step) => step.is_same(),
                NamedStep::Map { key, value } => key.is_same() && value.is_same(),
            }),
        };
        self.entry.is_none() && self.key.is_same() && values
    }

    /// Whether each key keeps its routing hash, and so its worker.
    pub(crate) fn keeps_places(&self) -> bool {
        self.entry.is_none() && self.key.keeps_hash()
    }

    /// Whether a function of the user's makes the keys: it may make one of two.
    pub(crate) fn may_merge_keys(&self) -> bool {
        self.entry.is_some() || self.key.is_migration()
    }

    pub(crate) fn is_migration(&self) -> bool {
        let values = match &self.values {
            Values::One(step) => step.is_migration(),
            Values::Named(states) => states.values().any(|state| match state {
                NamedStep::Dropped => false,
                NamedStep::Kept(step) | NamedStep::Map { value: step, .. } => step.is_migration(),
            }),
        };
        self.may_merge_keys() || values
    }
}

/// What may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropping {
    Allowed,
    Refused,
}

/// How the schemas of a stage compare.
pub(crate) struct Compared {
    /// What is to be done; `None` if its state cannot be read, or not as a whole.
    pub(crate) evolution: Option<StageEvolution>,
    /// What has changed, and does not matter.
    pub(crate) changes: Vec<String>,
    pub(crate) differences: Vec<Difference>,
}

/// Compares the schemas of a stage's state.
pub(crate) fn compare_states(
    stored: &Schema,
    new: &Schema,
    migrations: &[&Migration],
    dropping: Dropping,
) -> Compared {
    let mut comparing = Comparing {
        migrations,
        dropping,
        changes: Vec::new(),
        differences: Vec::new(),
    };
    let evolution = comparing.stage(stored, new);
    let Comparing {
        changes,
        mut differences,
        ..
    } = comparing;
    if let Some(evolution) = &evolution
        && !evolution.is_same()
        && let Some(name) = unknown_type(stored).or_else(|| unknown_type(new))
    {
        differences.push(Difference {
            place: "a type beside it".to_owned(),
            was: format!("`{name}`"),
            is: "no other".to_owned(),
            advice:
                "its values are read with its own code only, so that nothing beside them can change"
                    .to_owned(),
        });
    }
    Compared {
        evolution: evolution.filter(|_| differences.is_empty()),
        changes,
        differences,
    }
}

pub(super) struct Comparing<'a> {
    pub(super) migrations: &'a [&'a Migration],
    dropping: Dropping,
    pub(super) changes: Vec<String>,
    pub(super) differences: Vec<Difference>,
}

/// The fields of a stage's schema that are types; the others say of what kind it is.
const TYPES: [&str; 3] = ["key", "value", "states"];

impl Comparing<'_> {
    fn stage(&mut self, stored: &Schema, new: &Schema) -> Option<StageEvolution> {
        let (Some((was_kind, stored_parts)), Some((is_kind, new_parts))) =
            (parts(stored), parts(new))
        else {
            self.differ("the state", stored, new, "it is of no kind that is known");
            return None;
        };
        let settings = |parts: &BTreeMap<&str, &Schema>| -> Vec<String> {
            let settings = parts.iter().filter(|(name, _)| !TYPES.contains(name));
            settings.map(|(name, of)| format!("{name} {of}")).collect()
        };
        let (was_set, is_set) = (settings(&stored_parts), settings(&new_parts));
        if was_kind != is_kind || was_set != is_set {
            let advice = "state of another kind or of other windows means something else; give the stage another \
                          name with `as`, and drop what it had with `--allow-dropped`";
            let text = |kind: &str, set: &[String]| [&[kind.to_owned()], set].concat().join(", ");
            self.differ(
                "the stage",
                text(was_kind, &was_set),
                text(is_kind, &is_set),
                advice,
            );
            return None;
        }
        let (stored_key, new_key) = (*stored_parts.get("key")?, *new_parts.get("key")?);
        if let (Some(was), Some(is)) = (stored_parts.get("value"), new_parts.get("value")) {
            let sessions = was_kind == "Sessions";
            let of = |value| if sessions { accumulator(value) } else { value };
            let (was, is) = (of(*was), of(*is));
            // A session is one of several of its key.
            if !sessions && let Some(entry) = self.entry([stored_key, was], [new_key, is]) {
                return Some(entry);
            }
            let key = self.step("key", Role::Key, (stored_key, new_key), &Migrated::Key);
            let value = self.step("value", Role::Value, (was, is), &Migrated::Value);
            return Some(StageEvolution {
                key: key?,
                values: Values::One(value?),
                entry: None,
            });
        }
        let key = self.step("key", Role::Key, (stored_key, new_key), &Migrated::Key);
        let states = self.states(stored_parts.get("states")?, new_parts.get("states")?);
        Some(StageEvolution {
            key: key?,
            values: Values::Named(states?),
            entry: None,
        })
    }

    /// A migration of keys and values together, if there is one for these.
    fn entry(&mut self, stored: [&Schema; 2], new: [&Schema; 2]) -> Option<StageEvolution> {
        let pair = |parts: [&Schema; 2]| Schema::Tuple(parts.map(Clone::clone).to_vec());
        let (stored, new) = (pair(stored), pair(new));
        if stored == new || !self.migrations.iter().any(|m| m.of == Migrated::Entry) {
            return None;
        }
        let (changes, differences) = (self.changes.len(), self.differences.len());
        let step = self.step("entry", Role::Value, (&stored, &new), &Migrated::Entry);
        // What is refused although the rules would do must not be done by them.
        if step.is_some() || compare("entry", Role::Value, &stored, &new).is_err() {
            self.differences.truncate(differences);
        }
        let step = step.filter(Step::is_migration);
        if step.is_none() {
            self.changes.truncate(changes);
        }
        step.map(|step| StageEvolution {
            key: Step::same(),
            values: Values::One(Step::same()),
            entry: Some(step),
        })
    }

    fn states(&mut self, stored: &Schema, new: &Schema) -> Option<BTreeMap<String, NamedStep>> {
        let (Some((_, stored)), Some((_, new))) = (parts(stored), parts(new)) else {
            self.differ("the states", stored, new, "they are none");
            return None;
        };
        for (name, is) in &new {
            if !stored.contains_key(name) {
                self.changes.push(format!("state `{name}`: is new: {is}"));
            }
        }
        let added = new.keys().filter(|name| !stored.contains_key(*name));
        let added: Vec<String> = added.map(|name| format!("`{name}`")).collect();
        let before = self.differences.len();
        let mut steps = BTreeMap::new();
        for (name, was) in stored {
            let (changes, differences) = (self.changes.len(), self.differences.len());
            let step = if let Some(is) = new.get(name) {
                self.state(name, was, is)
            } else {
                let advice =
                    "give it back its name, or allow it to be dropped with `--allow-dropped`";
                let is = if added.is_empty() {
                    "gone".to_owned()
                } else {
                    format!("gone ({} new)", added.join(", "))
                };
                self.differ(&format!("state `{name}`"), was, is, advice);
                None
            };
            let step = match (step, self.dropping) {
                (Some(step), _) => Some(step),
                (None, Dropping::Allowed) => {
                    self.differences.truncate(differences);
                    self.changes.truncate(changes);
                    self.changes.push(format!("state `{name}`: is dropped"));
                    Some(NamedStep::Dropped)
                }
                (None, Dropping::Refused) => None,
            };
            steps.extend(step.map(|step| (name.to_owned(), step)));
        }
        (self.differences.len() == before).then_some(steps)
    }

    fn state(&mut self, name: &str, stored: &Schema, new: &Schema) -> Option<NamedStep> {
        let place = format!("state `{name}`");
        let (Some((was, stored_parts)), Some((is, new_parts))) = (parts(stored), parts(new)) else {
            self.differ(&place, stored, new, "it is of no kind that is known");
            return None;
        };
        if was != is {
            self.differ(
                &place,
                stored,
                new,
                "give it another name, and allow the old one to be dropped",
            );
            return None;
        }
        let of = Migrated::State(name.to_owned());
        let part = ["value", "item"]
            .into_iter()
            .find(|part| stored_parts.contains_key(part))?;
        let (was, is) = (*stored_parts.get(part)?, *new_parts.get(part)?);
        let value = self.step(&place, Role::Value, (was, is), &of);
        match (stored_parts.get("key"), new_parts.get("key")) {
            (Some(was), Some(is)) => {
                let key = self.evolution(&format!("{place}, the map's key"), Role::Key, (was, is));
                Some(NamedStep::Map {
                    key: key?,
                    value: value?,
                })
            }
            _ => value.map(NamedStep::Kept),
        }
    }
}

/// A type in the state of a stage that nothing but its name is known of.
fn unknown_type(stage: &Schema) -> Option<&str> {
    let (_, parts) = parts(stage)?;
    let mut types = TYPES.iter().filter_map(|name| parts.get(name));
    types.find_map(|of| first_unknown(of))
}

/// The name of a struct, and its fields.
fn parts(schema: &Schema) -> Option<(&str, BTreeMap<&str, &Schema>)> {
    match schema {
        Schema::Struct(name, fields) => {
            let fields = fields.iter();
            let fields = fields.map(|field| (field.name.as_str(), &field.schema));
            Some((name, fields.collect()))
        }
        _ => None,
    }
}

/// What a stage accumulates: for sessions, within each of a key's.
fn accumulator(value: &Schema) -> &Schema {
    match value {
        Schema::List(session) => match &**session {
            Schema::Struct(name, fields) if name == "Session" => match &fields[..] {
                [.., acc] if acc.name == "acc" => &acc.schema,
                _ => value,
            },
            _ => value,
        },
        _ => value,
    }
}
