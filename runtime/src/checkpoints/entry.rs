//! An entry of keyed state, as people see it.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Value;

use crate::ids::KeyGroup;
use crate::schema::{Datum, Schema, stamps_of, to_json, unstamped_schema};
use crate::state::stored::{Table, What, unstamped};

/// Something that a stage remembers of a key.
///
/// Keys and values are JSON, by the schema in the manifest. What JSON has no number for is text, a map
/// is a list of pairs.
#[derive(Clone, Debug, Serialize)]
pub struct StateEntry {
    /// The key.
    pub key: Value,
    /// The key's group.
    pub key_group: KeyGroup,
    /// Where it stands in the state of the key.
    #[serde(flatten)]
    pub place: StatePlace,
    /// The value; `null` for a timer.
    pub value: Value,
    /// When the time began after which it expires. It may have expired since: how long it lives is
    /// known to the job alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    #[serde(skip)]
    pub(super) position: Position,
}

/// Where an entry stands in the state of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "table", rename_all = "snake_case")]
pub enum StatePlace {
    /// The running value of `fold` or `reduce`.
    Value,
    /// The accumulator of a window.
    Window {
        /// Its start, in milliseconds since the Unix epoch.
        start: i64,
        /// The first millisecond behind it.
        end: i64,
        /// Whether it has fired, and waits for what is late but allowed.
        fired: bool,
    },
    /// The accumulator of a session.
    Session {
        /// The time of its first record.
        start: i64,
        /// The time of its last record, plus the gap.
        end: i64,
        /// Whether it has fired, and waits for what is late but allowed.
        fired: bool,
    },
    /// A value of `process`.
    State {
        /// Its name.
        name: String,
    },
    /// An entry of a map of `process`.
    Map {
        /// The map's name.
        name: String,
        /// The entry's key in the map.
        map_key: Value,
    },
    /// An item of a list of `process`.
    List {
        /// The list's name.
        name: String,
        /// The item's place: they rise, and need not begin with 0.
        place: u64,
    },
    /// A timer.
    Timer {
        /// The clock that it waits for.
        clock: StateClock,
        /// The time for which it is set.
        time: i64,
    },
}

/// The clock of a timer or of a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateClock {
    /// The time in the data.
    Event,
    /// The time on the wall.
    Processing,
}

/// When the time of an entry began after which it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stamp {
    /// By which clock.
    pub clock: StateClock,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
}

/// Where an entry stands in the walk through a stage: the same in every checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    what: What,
    hash: u64,
    key: String,
    /// The start of a session, of which a key has several.
    within: i64,
}

impl StateEntry {
    /// Which of two entries a walk comes to first; `Equal` if they stand for the same, maybe in two
    /// checkpoints with two values.
    pub fn cmp_place(&self, other: &Self) -> Ordering {
        self.position.cmp(&other.position)
    }

    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.place, &self.value, self.stamp) == (&other.place, &other.value, other.stamp)
    }
}

/// What a stored entry says: one entry, but for the sessions of a key.
///
/// `None` if it does not fit the table.
pub(super) fn entries_of(
    table: &Table,
    (hash, text): (u64, String),
    key_group: KeyGroup,
    (stored, value): &(Datum, Datum),
) -> Option<Vec<StateEntry>> {
    let clock = stamps_of(&table.value).map(clock_of);
    let (value, stamp) = unstamped(table, value)?;
    let stamp = clock.zip(stamp).map(|(clock, at)| Stamp { clock, at });
    let (part, key) = match &table.part {
        None => (None, stored),
        Some(_) => (stored.part(0), stored.part(1)?),
    };
    let key = to_json(key, &table.key);
    let position = Position {
        what: table.what.clone(),
        hash,
        key: text,
        within: 0,
    };
    let entry = |place, value, position| StateEntry {
        key: key.clone(),
        key_group,
        place,
        value,
        stamp,
        position,
    };
    let place = match &table.what {
        What::Sessions => {
            let Schema::List(of) = &table.value else {
                return None;
            };
            let session = |session: &Datum| {
                let (place, start, acc) = session_of(session, of)?;
                let within = Position {
                    within: start,
                    ..position.clone()
                };
                Some(entry(place, acc, within))
            };
            let sessions = value.parts()?.iter();
            let mut sessions: Vec<_> = sessions.map(session).collect::<Option<_>>()?;
            sessions.sort_by(StateEntry::cmp_place);
            return Some(sessions);
        }
        What::Value => StatePlace::Value,
        What::Window { start, end, fired } => StatePlace::Window {
            start: *start,
            end: *end,
            fired: *fired,
        },
        What::State(name) => StatePlace::State {
            name: name.to_string(),
        },
        What::Map(name) => StatePlace::Map {
            name: name.to_string(),
            map_key: to_json(part?, table.part.as_ref()?),
        },
        What::Items(name) => StatePlace::List {
            name: name.to_string(),
            place: part?.as_u64()?,
        },
        What::Timers => StatePlace::Timer {
            clock: match part?.part(0)? {
                Datum::Bool(true) => StateClock::Processing,
                Datum::Bool(false) => StateClock::Event,
                _ => return None,
            },
            time: integer(part?.part(1)?)?,
        },
        // Said of lists by their items.
        What::Bounds(_) => return Some(Vec::new()),
    };
    let value = to_json(value, unstamped_schema(&table.value));
    Some(vec![entry(place, value, position)])
}

fn clock_of(name: &str) -> StateClock {
    if name == "event time" {
        StateClock::Event
    } else {
        StateClock::Processing
    }
}

fn session_of(session: &Datum, of: &Schema) -> Option<(StatePlace, i64, Value)> {
    let Schema::Struct(_, fields) = of else {
        return None;
    };
    let ([start, end, Datum::Bool(fired), acc], [.., of_acc]) = (session.parts()?, &fields[..])
    else {
        return None;
    };
    let start = integer(start)?;
    let place = StatePlace::Session {
        start,
        end: integer(end)?,
        fired: *fired,
    };
    Some((place, start, to_json(acc, &of_acc.schema)))
}

fn integer(datum: &Datum) -> Option<i64> {
    match datum {
        Datum::Signed(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}
