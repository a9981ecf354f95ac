//! What the state of the job must be, by plain loops over its input.

use std::collections::BTreeMap;

use flowdsl::checkpoints::{StateClock, StatePlace};
use serde_json::{Value, json};

use super::job::{GAP_MS, LATE_MS, Row, TTL_MINUTES, WINDOW_MS, end_of};

/// Entries by what a person sees of them: key and place, and value.
pub(super) type Seen = BTreeMap<String, Value>;

pub(super) fn key(of: u32) -> Value {
    json!([of, format!("key {of}")])
}

pub(super) fn place(key: &Value, place: &StatePlace) -> String {
    format!("{key} {place:?}")
}

pub(super) fn total(rows: &[Row]) -> Value {
    let last = rows.last().expect("of at least one row");
    json!({
        "count": rows.len(),
        "least": rows.iter().map(|row| row.2).min(),
        "last": [last.1, format!("{:>80}", last.2)],
    })
}

/// The rows of each key, in order.
pub(super) fn by_key(rows: &[Row]) -> BTreeMap<u32, Vec<Row>> {
    let mut of_key = BTreeMap::<u32, Vec<Row>>::new();
    for row in rows {
        of_key.entry(row.0).or_default().push(*row);
    }
    of_key
}

pub(super) fn running(rows: &[Row]) -> [Seen; 2] {
    let of_key = by_key(rows);
    let totals = of_key
        .iter()
        .map(|(of, rows)| (place(&key(*of), &StatePlace::Value), total(rows)));
    let newest = of_key.iter().map(|(of, rows)| {
        let newest = rows.iter().fold(
            rows[0],
            |newest, row| if row.1 > newest.1 { *row } else { newest },
        );
        (place(&key(*of), &StatePlace::Value), json!(newest))
    });
    [totals.collect(), newest.collect()]
}

/// Windows that have not fired, or may fire again, at the watermark.
pub(super) fn windows(rows: &[Row], watermark: i64) -> Seen {
    let mut open = Seen::new();
    for (of, rows) in by_key(rows) {
        let mut of_window = BTreeMap::<i64, Vec<Row>>::new();
        for row in rows {
            of_window.entry(end_of(row.1)).or_default().push(row);
        }
        for (end, rows) in of_window {
            let window = StatePlace::Window {
                start: end - WINDOW_MS,
                end,
                fired: end <= watermark,
            };
            if end + LATE_MS > watermark {
                open.insert(place(&key(of), &window), total(&rows));
            }
        }
    }
    open
}

pub(super) fn sessions(rows: &[Row], watermark: i64) -> Seen {
    let mut open = Seen::new();
    for (of, rows) in by_key(rows) {
        let mut rows: Vec<(i64, i64)> = rows.iter().map(|row| (row.1, row.2)).collect();
        rows.sort_unstable();
        for session in rows.chunk_by(|a, b| b.0 - a.0 < GAP_MS) {
            let (start, end) = (session[0].0, session[session.len() - 1].0 + GAP_MS);
            let sum: i64 = session.iter().map(|row| row.1).sum();
            let place_of = StatePlace::Session {
                start,
                end,
                fired: false,
            };
            if end > watermark {
                open.insert(place(&key(of), &place_of), json!([session.len(), sum]));
            }
        }
    }
    open
}

/// Values, maps and timers; a list as one value.
pub(super) fn by_hand(rows: &[Row], watermark: i64) -> Seen {
    let mut expected = Seen::new();
    for (of, rows) in by_key(rows) {
        let mut add = |at: StatePlace, value: Value| expected.insert(place(&key(of), &at), value);
        let name = "count".to_owned();
        add(StatePlace::State { name }, json!(rows.len()));
        let last: Vec<i64> = rows.iter().map(|row| row.2).collect();
        add(list(), json!(last[last.len().saturating_sub(3)..]));
        let mut sums = BTreeMap::<i64, i64>::new();
        for row in &rows {
            *sums.entry(end_of(row.1)).or_default() += row.2;
        }
        for (end, sum) in sums.range(watermark + 1..) {
            let (name, map_key) = ("sums".to_owned(), json!(end));
            add(StatePlace::Map { name, map_key }, json!(sum));
            let clock = StateClock::Event;
            add(StatePlace::Timer { clock, time: *end }, Value::Null);
        }
    }
    expected
}

/// The counts that have not expired, with when they were last written; `parts` with their times.
pub(super) fn recent(parts: &[(i64, Vec<Row>)]) -> BTreeMap<u32, (u64, i64)> {
    let mut counts = BTreeMap::<u32, (u64, i64)>::new();
    let ttl = i64::try_from(TTL_MINUTES * 60_000).expect("an hour");
    for (now, rows) in parts {
        counts.retain(|_, (_, stamp)| *stamp + ttl > *now);
        for row in rows {
            let (count, stamp) = counts.entry(row.0).or_default();
            (*count, *stamp) = (*count + 1, *now);
        }
    }
    counts
}

/// Where a whole list stands in these tests.
pub(super) fn list() -> StatePlace {
    StatePlace::List {
        name: "last".to_owned(),
        place: 0,
    }
}
