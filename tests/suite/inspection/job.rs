//! A job with a keyed stage of each kind.

use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::testing::Input;
use flowdsl_tests::streams::{Shape, readings};
use serde::{Deserialize, Serialize};

/// Key, event time, value.
pub(super) type Row = (u32, i64, i64);

pub(super) const DISORDER_MS: i64 = 30;
pub(super) const WINDOW_MS: i64 = 250;
pub(super) const LATE_MS: i64 = 400;
pub(super) const GAP_MS: i64 = 60;
pub(super) const TTL_MINUTES: u64 = 60;

/// What a fold keeps: a struct, an option, a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, State)]
pub(super) struct Total {
    count: u64,
    least: Option<i64>,
    last: (i64, String),
}

pub(super) fn rows() -> Vec<Row> {
    let shape = Shape {
        seed: 41,
        records: 3_000,
        keys: 700,
        start_ms: -900,
        step_ms: 2,
        disorder_ms: DISORDER_MS as u32,
    };
    let rows = readings(shape);
    rows.iter().map(|r| (r.key, r.at_ms, r.value)).collect()
}

pub(super) fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

/// The first millisecond behind the window of a time.
pub(super) fn end_of(at: i64) -> i64 {
    at - at.rem_euclid(WINDOW_MS) + WINDOW_MS
}

/// A stage of each kind.
pub(super) fn job(input: &Input<Row>) -> Job {
    let input = input.clone();
    Job::new("of each kind", move |flow| {
        let keyed = flow
            .source("rows", input.clone())
            .event_time(|row: &Row| row.1, millis(DISORDER_MS))
            .key_by(|row| (row.0, format!("key {}", row.0)))
            .shared();
        let total = |total: &mut Total, (_, at, value): Row| {
            total.count += 1;
            total.least = Some(total.least.map_or(value, |least| least.min(value)));
            total.last = (at, format!("{value:>80}"));
        };
        keyed
            .branch()
            .at("totals")
            .fold(Total::default(), total)
            .at("totals_out")
            .sink(Discard::new());
        keyed
            .branch()
            .at("newest")
            .reduce(|newest, row| {
                if row.1 > newest.1 {
                    *newest = row;
                }
            })
            .at("newest_out")
            .sink(Discard::new());
        keyed
            .branch()
            .window(tumbling(millis(WINDOW_MS)).allowed_lateness(millis(LATE_MS)))
            .at("windows")
            .fold(Total::default(), total)
            .at("windows_out")
            .sink(Discard::new());
        keyed
            .branch()
            .window(session(millis(GAP_MS)))
            .at("sessions")
            .aggregate(|a| (a.count(), a.sum(|row: &Row| row.2)))
            .at("sessions_out")
            .sink(Discard::new());
        keyed
            .branch()
            .at("by_hand")
            .process_with_timers(
                (
                    value_state::<u64>("count"),
                    list_state::<i64>("last"),
                    map_state::<i64, i64>("sums"),
                ),
                |ctx, (count, last, sums), (_, at, value)| {
                    *count.or_insert(0) += 1;
                    last.push(value);
                    if last.len() > 3 {
                        last.pop_first();
                    }
                    *sums.or_insert_with(&end_of(at), || 0) += value;
                    ctx.set_timer(end_of(at));
                    ctx.emit(());
                },
                |_, (_, _, sums), timer: Timer| {
                    sums.remove(&timer.time);
                },
            )
            .at("by_hand_out")
            .sink(Discard::new());
        keyed
            .branch()
            .at("recent")
            .ttl(Ttl::on_write(Duration::from_secs(TTL_MINUTES * 60)))
            .fold(0_u64, |count, _| *count += 1)
            .at("recent_out")
            .sink(Discard::new());
    })
}
