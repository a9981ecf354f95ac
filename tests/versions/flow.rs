//! The job, with the types of a version.

use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::testing::Input;

use crate::types::{Counts as _, Keys as _, Row, Totals as _, Visits as _, narrow};
use crate::versions::Version;

pub(crate) const WINDOW_MS: i64 = 250;
pub(crate) const GAP_MS: i64 = 120;
pub(crate) const DISORDER_MS: u32 = 30;

/// Where each stage writes to.
pub(crate) const DIRS: [&str; 7] = [
    "out/totals",
    "out/windows",
    "out/visits",
    "out/notes",
    "out/gone",
    "out/largest",
    "out/timers",
];

/// The first millisecond behind the window of a time.
pub(crate) fn end_of(at: i64) -> i64 {
    at - at.rem_euclid(WINDOW_MS) + WINDOW_MS
}

pub(crate) fn job<V: Version>(input: &Input<Row>) -> Job {
    let input = input.clone();
    let job = Job::new("changing", move |flow| {
        let [source, totals, totals_out] = V::NAMES;
        let keyed = flow
            .source(source, input.clone())
            .event_time(
                |row: &Row| row.1,
                Duration::from_millis(u64::from(DISORDER_MS)),
            )
            .key_by(V::Key::of)
            .shared();
        keyed
            .branch()
            .at(totals)
            .fold(V::Total::empty(), |total, row| total.add(&row))
            .map(|total| format!("{},{}", total.key.id(), total.value.show()))
            .at(totals_out)
            .sink(File::csv(DIRS[0]).no_header());
        keyed
            .branch()
            .window(tumbling(Duration::from_millis(WINDOW_MS as u64)))
            .at("windows")
            .fold(V::Acc::empty(), |acc, row| acc.add(&row))
            .map(|w| format!("{},{},{}", w.key.id(), w.start, w.value.show()))
            .at("windows_out")
            .sink(File::csv(DIRS[1]).no_header());
        keyed
            .branch()
            .map(|row| V::Visit::of(&row))
            .window(session(Duration::from_millis(GAP_MS as u64)))
            .at("visits")
            .reduce(V::Visit::merge)
            .map(|v| format!("{},{},{}", v.key.id(), v.start, v.value.show()))
            .at("visits_out")
            .sink(File::csv(DIRS[2]).no_header());
        keyed
            .branch()
            .at("notes")
            .process_with_timers(
                (
                    value_state::<V::Times>("seen"),
                    map_state::<V::Slot, V::Times>("times"),
                    list_state::<V::Item>(V::LIST),
                ),
                |ctx, (seen, times, list), (_, at, value): Row| {
                    let slot = V::Slot::from(narrow(value.rem_euclid(3)));
                    seen.or_insert_with(V::Times::zero).one_more();
                    times.or_insert_with(&slot, V::Times::zero).one_more();
                    list.push(V::Item::from(narrow(value)));
                    if list.len() > 2 {
                        list.pop_first();
                    }
                    ctx.set_timer(end_of(at));
                    let key = ctx.key().id();
                    let [seen, times] = [
                        seen.or_insert_with(V::Times::zero).shown().to_string(),
                        times
                            .or_insert_with(&slot, V::Times::zero)
                            .shown()
                            .to_string(),
                    ];
                    ctx.emit(format!("{key},{seen},{times},{}", list.len()));
                },
                |ctx, _, timer: Timer| {
                    ctx.emit(format!("{},timer,{}", ctx.key().id(), timer.time));
                },
            )
            .at("notes_out")
            .sink(File::csv(DIRS[3]).no_header());
        if V::N < 8 {
            keyed
                .branch()
                .at("gone")
                .fold(0_u64, |count, _| *count += 1)
                .map(|count| format!("{},{}", count.key.id(), count.value))
                .at("gone_out")
                .sink(File::csv(DIRS[4]).no_header());
        }
        if V::N >= 7 {
            keyed
                .branch()
                .at("largest")
                .fold(i64::MIN, |largest, row: Row| *largest = row.2.max(*largest))
                .map(|largest| format!("{},{}", largest.key.id(), largest.value))
                .at("largest_out")
                .sink(File::csv(DIRS[5]).no_header());
        }
    });
    V::changes(job)
}
