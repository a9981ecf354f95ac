//! What the job writes, by a plain loop over the records and the versions that read them.

use std::collections::{BTreeMap, BTreeSet};

use crate::flow::{GAP_MS, WINDOW_MS, end_of};
use crate::types::Row;

/// A record, and the number of the version that read it.
pub(crate) type Read = (usize, Row);

/// The number of the version that read a record, and its value.
type Visit = (usize, i64);

/// The lines in each directory, sorted.
pub(crate) fn expected(reads: &[Read]) -> Vec<Vec<String>> {
    let mut lines = vec![
        running(reads, |version, of_key| Some(total(version, of_key))),
        windows(reads),
        visits(reads),
        notes(reads),
        running(reads, |version, of_key| {
            (version < 8).then(|| of_key.len().to_string())
        }),
        running(reads, |version, of_key| {
            let since = of_key.iter().filter(|(version, _)| *version >= 7);
            let largest = since.map(|(_, row)| row.2).max();
            (version >= 7).then(|| largest.expect("this one").to_string())
        }),
        Vec::new(),
    ];
    for lines in &mut lines {
        lines.sort();
    }
    lines
}

fn dash(value: Option<i64>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// A line for each record, from the records of its key up to it.
fn running(reads: &[Read], show: impl Fn(usize, &[Read]) -> Option<String>) -> Vec<String> {
    let mut of_keys = BTreeMap::<u32, Vec<Read>>::new();
    let line = |(version, row): &Read| {
        let of_key = of_keys.entry(row.0).or_default();
        of_key.push((*version, *row));
        Some(format!("{},{}", row.0, show(*version, of_key)?))
    };
    reads.iter().filter_map(line).collect()
}

fn total(version: usize, of_key: &[Read]) -> String {
    let sum: i64 = of_key.iter().map(|(_, row)| row.2).sum();
    // Keys that were there before somebody counted high values begin with ten.
    let before = of_key.iter().any(|(version, _)| *version < 2);
    let counted = of_key
        .iter()
        .filter(|(version, row)| *version >= 2 && row.2 > 0);
    let high = if before { 10 } else { 0 } + counted.count() as i64;
    let kind = of_key.iter().map(|(version, row)| match row.2 {
        81.. if *version >= 6 => 2,
        0.. => 1,
        _ => 0,
    });
    let kind = kind.max().unwrap_or(0);
    let sum = (version < 3).then_some(sum);
    let high = (version >= 2).then_some(high);
    format!("{},{},{},{kind}", of_key.len(), dash(sum), dash(high))
}

fn windows(reads: &[Read]) -> Vec<String> {
    let mut windows = BTreeMap::<(u32, i64), (u64, Option<i64>)>::new();
    for (version, (key, at, value)) in reads {
        let (n, max) = windows.entry((*key, end_of(*at) - WINDOW_MS)).or_default();
        *n += 1;
        if *version >= 2 {
            *max = (*max).max(Some(*value));
        }
    }
    let windows = windows.into_iter();
    windows
        .map(|((key, start), (n, max))| format!("{key},{start},{n},{}", dash(max)))
        .collect()
}

fn visits(reads: &[Read]) -> Vec<String> {
    let mut by_key = BTreeMap::<u32, BTreeMap<i64, Vec<Visit>>>::new();
    for (version, (key, at, value)) in reads {
        let of_time = by_key.entry(*key).or_default().entry(*at).or_default();
        of_time.push((*version, *value));
    }
    let mut lines = Vec::new();
    for (key, times) in by_key {
        // First and last time, and what was in it.
        let mut sessions = Vec::<(i64, i64, Vec<Visit>)>::new();
        for (at, values) in times {
            match sessions.last_mut() {
                Some((_, last, all)) if at - *last < GAP_MS => {
                    *last = at;
                    all.extend(values);
                }
                _ => sessions.push((at, at, values)),
            }
        }
        for (start, _, values) in sessions {
            let sum: i64 = values.iter().map(|(_, value)| value).sum();
            let since = values.iter().filter(|(version, _)| *version >= 2);
            let top = dash(since.map(|(_, value)| *value).max());
            lines.push(format!("{key},{start},{},{sum},{top}", values.len()));
        }
    }
    lines
}

fn notes(reads: &[Read]) -> Vec<String> {
    let mut lines = running(reads, |version, of_key| {
        let (_, last) = of_key.last()?;
        let slot = |row: &Row| row.2.rem_euclid(3);
        let times = of_key.iter().filter(|(_, row)| slot(row) == slot(last));
        // The list of the first versions was dropped.
        let listed = of_key.iter().filter(|(read, _)| version < 7 || *read >= 7);
        let (seen, times, list) = (of_key.len(), times.count(), listed.count().min(2));
        Some(format!("{seen},{times},{list}"))
    });
    let timers: BTreeSet<(u32, i64)> = reads
        .iter()
        .map(|(_, (key, at, _))| (*key, end_of(*at)))
        .collect();
    lines.extend(timers.iter().map(|(key, at)| format!("{key},timer,{at}")));
    lines
}
