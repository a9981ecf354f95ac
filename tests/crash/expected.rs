//! What a plain loop says of the job, and how that compares with what is visible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use flowdsl::CheckpointMode;

use crate::job::{OUTPUTS, ROWS, row, start_of};

/// The lines of each output, sorted.
pub(crate) type Lines = [Vec<String>; 3];

/// The lines that an undisturbed run writes.
fn expected() -> &'static Lines {
    static EXPECTED: OnceLock<Lines> = OnceLock::new();
    EXPECTED.get_or_init(by_a_plain_loop)
}

fn by_a_plain_loop() -> Lines {
    let (mut windows, mut counts) = (BTreeMap::new(), BTreeMap::new());
    let mut lines = [Vec::new(), Vec::new(), Vec::new()];
    for (key, at, value) in (0..ROWS).map(row) {
        let window: &mut (u64, i64) = windows.entry((key, start_of(at))).or_default();
        *window = (window.0 + 1, window.1 + value);
        let count: &mut u64 = counts.entry(key).or_default();
        *count += 1;
        lines[1].push(format!("{key},{count}"));
    }
    for ((key, start), (count, sum)) in windows {
        lines[0].push(format!("{key},{start},{count},{sum}"));
        lines[2].push(format!("{key},{start},{sum}"));
    }
    lines.each_mut().map(|lines| {
        lines.sort();
        std::mem::take(lines)
    })
}

/// Says what is wrong with lines that are visible while the job is not done yet.
pub(crate) fn wrong_so_far(mode: CheckpointMode, visible: &Lines) -> Option<String> {
    match mode {
        CheckpointMode::ExactlyOnce => (0..3).find_map(|n| {
            let mut allowed = expected()[n].iter();
            let wrong = visible[n]
                .iter()
                .find(|line| !allowed.any(|a| a == *line))?;
            let what = OUTPUTS[n];
            Some(format!(
                "{what}: `{wrong}` is half a line, or there twice, or wrong"
            ))
        }),
        // What is said of a key is known at the end only.
        CheckpointMode::AtLeastOnce => (0..3).find_map(|n| {
            let allowed = subjects(&expected()[n], FIELDS[n]);
            let visible = subjects(&visible[n], FIELDS[n]);
            let wrong = visible.difference(&allowed).next()?;
            Some(format!("{}: there is no {wrong:?}", OUTPUTS[n]))
        }),
    }
}

/// The fields that say what a line of each output is about.
const FIELDS: [usize; 3] = [2, 1, 2];

fn subjects(lines: &[String], fields: usize) -> BTreeSet<Vec<&str>> {
    let subject = |line| str::split(line, ',').take(fields).collect();
    lines.iter().map(|line| subject(line.as_str())).collect()
}

/// Says what is wrong with the lines of a job that is done.
pub(crate) fn wrong_at_end(mode: CheckpointMode, visible: &Lines) -> Option<String> {
    wrong_so_far(mode, visible).or_else(|| match mode {
        CheckpointMode::ExactlyOnce => (0..3).find_map(|n| {
            let (expected, visible) = (expected()[n].len(), visible[n].len());
            let what = OUTPUTS[n];
            (expected != visible).then(|| format!("{what}: {visible} lines instead of {expected}"))
        }),
        CheckpointMode::AtLeastOnce => lost_record(visible),
    })
}

/// Says which record has no effect, where some may have it more than once.
fn lost_record(visible: &Lines) -> Option<String> {
    let [windows, counts, sums] = expected();
    let seen = records_of(&visible[0]);
    let lost = records_of(windows)
        .into_iter()
        .find(|(window, count)| seen.get(window).is_none_or(|seen| seen < count));
    if let Some((window, count)) = lost {
        return Some(format!("{window:?} has seen less than {count} records"));
    }
    // A count goes on from where its state was: no value may be left out.
    let counted: BTreeSet<&String> = visible[1].iter().collect();
    if let Some(line) = counts.iter().find(|line| !counted.contains(line)) {
        return Some(format!("the count `{line}` is missing"));
    }
    let rung = subjects(&visible[2], FIELDS[2]);
    let timers = subjects(sums, FIELDS[2]);
    let silent = timers.difference(&rung).next();
    silent.map(|timer| format!("the timer {timer:?} never rang"))
}

/// The records that each window has seen: it may have fired again for those that were read again.
fn records_of(windows: &[String]) -> BTreeMap<(&str, &str), u64> {
    let mut records = BTreeMap::<_, u64>::new();
    for line in windows {
        let fields: Vec<&str> = line.split(',').collect();
        let [key, start, count, _] = fields[..] else {
            panic!("`{line}` is no line of a window")
        };
        *records.entry((key, start)).or_default() += count.parse::<u64>().expect("a count");
    }
    records
}
