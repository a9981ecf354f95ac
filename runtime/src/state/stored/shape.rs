//! Which tables a keyed stage has, by the schema of its state: what `docs/formats.md` says of them.

use std::sync::Arc;

use crate::schema::{Field, Schema, stamps_of};
use crate::state::checksum_of_name;
use crate::state::frames::{LogicKind, Namespace};

/// The state of a stage, as its schema describes it.
#[derive(Debug)]
pub(crate) struct StageShape<'s> {
    key: &'s Schema,
    kind: Kind<'s>,
}

#[derive(Debug)]
enum Kind<'s> {
    Values(&'s Schema),
    Windows { size_ms: i64, value: &'s Schema },
    Sessions(&'s Schema),
    Process(Vec<Named<'s>>),
}

/// A named state of `process`.
#[derive(Debug)]
struct Named<'s> {
    name: Arc<str>,
    checksum: u64,
    state: NamedState<'s>,
}

#[derive(Clone, Copy, Debug)]
enum NamedState<'s> {
    Value(&'s Schema),
    Map { key: &'s Schema, value: &'s Schema },
    List(&'s Schema),
}

/// A table of a stage.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) namespace: Namespace,
    pub(crate) what: What,
    /// The schema of the key of the stage.
    pub(crate) key: Schema,
    /// The schema of the part of the key's state that an entry is, if each entry is one.
    pub(crate) part: Option<Schema>,
    /// The schema of a value, as it is stored.
    pub(crate) value: Schema,
}

/// What the entries of a table are. The order is the one in which tables are read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Value,
    Window { end: i64, start: i64, fired: bool },
    Sessions,
    State(Arc<str>),
    Map(Arc<str>),
    Bounds(Arc<str>),
    Items(Arc<str>),
    Timers,
}

impl<'s> StageShape<'s> {
    /// The shape that a schema describes; `None` if it is none of a keyed stage.
    pub(crate) fn of(schema: &'s Schema) -> Option<Self> {
        let Schema::Struct(stage, fields) = schema else {
            return None;
        };
        let field = |name: &str| find(fields, name);
        let key = field("key")?;
        let kind = match stage.as_str() {
            "Values" => Kind::Values(field("value")?),
            "Windows" => Kind::Windows {
                size_ms: number(field("size_ms")?)?,
                value: field("value")?,
            },
            "Sessions" => Kind::Sessions(field("value")?),
            "Process" => {
                let Schema::Struct(_, states) = field("states")? else {
                    return None;
                };
                Kind::Process(states.iter().map(named).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Self { key, kind })
    }

    /// The schema of the stage's keys.
    pub(crate) fn key(&self) -> &'s Schema {
        self.key
    }

    /// The kind of stage that writes such snapshots.
    pub(crate) fn logic(&self) -> LogicKind {
        match self.kind {
            Kind::Values(_) => LogicKind::Values,
            Kind::Windows { .. } => LogicKind::Panes,
            Kind::Sessions(_) => LogicKind::Sessions,
            Kind::Process(_) => LogicKind::Process,
        }
    }

    /// The table of a namespace; `None` if the stage has no such table.
    pub(crate) fn table(&self, namespace: Namespace) -> Option<Table> {
        let (what, part, value) = match (&self.kind, namespace) {
            (Kind::Values(value), Namespace::Whole) => (What::Value, None, (*value).clone()),
            (Kind::Sessions(value), Namespace::Whole) => (What::Sessions, None, (*value).clone()),
            (Kind::Windows { size_ms, value }, Namespace::Waiting(end) | Namespace::Fired(end)) => {
                let what = What::Window {
                    end,
                    start: end.saturating_sub(*size_ms),
                    fired: matches!(namespace, Namespace::Fired(_)),
                };
                (what, None, (*value).clone())
            }
            (Kind::Process(_), Namespace::Timers) => {
                let place = [Schema::plain("bool"), Schema::plain("i64")];
                (
                    What::Timers,
                    Some(Schema::Tuple(place.into())),
                    Schema::plain("()"),
                )
            }
            (Kind::Process(states), _) => states.iter().find_map(|state| state.table(namespace))?,
            (Kind::Values(_) | Kind::Windows { .. } | Kind::Sessions(_), _) => return None,
        };
        Some(Table {
            namespace,
            what,
            key: self.key.clone(),
            part,
            value,
        })
    }
}

impl Named<'_> {
    fn table(&self, namespace: Namespace) -> Option<(What, Option<Schema>, Schema)> {
        let name = Arc::clone(&self.name);
        let of_this = |checksum: u64| checksum == self.checksum;
        match (self.state, namespace) {
            (NamedState::Value(value), Namespace::Value(of)) if of_this(of) => {
                Some((What::State(name), None, value.clone()))
            }
            (NamedState::Map { key, value }, Namespace::Map(of)) if of_this(of) => {
                Some((What::Map(name), Some(key.clone()), value.clone()))
            }
            (NamedState::List(item), Namespace::Bounds(of)) if of_this(of) => {
                Some((What::Bounds(name), None, bounds(item)))
            }
            (NamedState::List(item), Namespace::Items(of)) if of_this(of) => {
                Some((What::Items(name), Some(Schema::plain("u64")), item.clone()))
            }
            (NamedState::Value(_) | NamedState::Map { .. } | NamedState::List(_), _) => None,
        }
    }
}

impl Table {
    /// The schema of a key, as it is stored.
    pub(crate) fn stored_key(&self) -> Schema {
        match &self.part {
            None => self.key.clone(),
            Some(part) => Schema::Tuple(vec![part.clone(), self.key.clone()]),
        }
    }

    /// The schema of an entry, as it is stored.
    pub(crate) fn stored_entry(&self) -> Schema {
        Schema::Tuple(vec![self.stored_key(), self.value.clone()])
    }
}

fn named(
    Field {
        name,
        schema: state,
        ..
    }: &Field,
) -> Option<Named<'_>> {
    let Schema::Struct(kind, parts) = state else {
        return None;
    };
    let state = match kind.as_str() {
        "ValueState" => NamedState::Value(find(parts, "value")?),
        "MapState" => NamedState::Map {
            key: find(parts, "key")?,
            value: find(parts, "value")?,
        },
        "ListState" => NamedState::List(find(parts, "item")?),
        _ => return None,
    };
    Some(Named {
        name: name.as_str().into(),
        checksum: checksum_of_name(name),
        state,
    })
}

/// The schema of the bounds of a list; they carry stamps where its items do.
fn bounds(item: &Schema) -> Schema {
    let plain = |name: &str, of: &str| (name.to_owned(), Schema::plain(of));
    let bounds = Schema::of_fields("Bounds", [plain("first", "u64"), plain("behind", "u64")]);
    match stamps_of(item) {
        None => bounds,
        Some(clock) => Schema::of_fields(
            "Stamped",
            [plain("stamp", clock), ("value".to_owned(), bounds)],
        ),
    }
}

fn find<'s>(fields: &'s [Field], name: &str) -> Option<&'s Schema> {
    let field = fields.iter().find(|field| field.name == name)?;
    Some(&field.schema)
}

/// A number that stands in a schema in the place of a type.
fn number(schema: &Schema) -> Option<i64> {
    match schema {
        Schema::Plain(digits) => digits.parse().ok(),
        _ => None,
    }
}
