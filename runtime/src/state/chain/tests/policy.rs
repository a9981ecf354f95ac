//! The policy, row by row.

use super::super::policy::{ChainFacts, Pace, RunFacts, choose_runs, must_begin_anew};
use super::LIMITS;
use std::ops::Range;

const LIVE: u64 = 1_000_000;

/// Sizes in kilobytes; one in brackets is being compacted.
fn runs(sizes: &str) -> Vec<RunFacts> {
    let run = |size: &str| RunFacts {
        bytes: size
            .trim_matches(['(', ')'])
            .parse::<u64>()
            .expect("a number")
            * 1_000,
        is_busy: size.starts_with('('),
    };
    sizes.split_whitespace().map(run).collect()
}

fn facts(runs: &[RunFacts]) -> ChainFacts<'_> {
    ChainFacts {
        runs,
        last: runs.last().map_or(0, |run| run.bytes),
        live: LIVE,
        pace: Pace::FIRST,
    }
}

/// What is merged of a chain of these sizes, of a state of 1,000 kB.
#[track_caller]
fn check(sizes: &str, expected: impl Into<Option<Range<usize>>>) {
    let runs = runs(sizes);
    assert_eq!(
        choose_runs(&facts(&runs), &LIMITS),
        expected.into(),
        "{sizes}"
    );
}

#[track_caller]
fn check_anew(sizes: &str, expected: bool) {
    let runs = runs(sizes);
    assert_eq!(must_begin_anew(&facts(&runs), &LIMITS), expected, "{sizes}");
}

#[test]
fn a_few_increments_stay_as_they_are() {
    check("1000", None);
    check("1000 10 10 10", None);
}

#[test]
fn as_many_increments_of_a_size_as_the_width_are_merged() {
    check("1000 10 10 10 10", 1..5);
    check("1000 8 12 9 15", 1..5);
    check("1000 1 2 3 4", 1..5);
}

#[test]
fn a_large_increment_is_not_merged_with_small_ones() {
    check("1000 100 10 10 10", None);
    check("1000 100 10 10 10 10", 2..6);
}

#[test]
fn large_increments_are_merged_though_smaller_ones_have_come_behind_them() {
    check("1000 40 40 40 40 5", 1..5);
}

#[test]
fn what_is_being_merged_is_left_alone() {
    check("1000 10 10 (10) 10 10", None);
    check("(1000) (10) 10 10 10 10", 2..6);
}

#[test]
fn all_is_merged_when_the_excess_is_half_of_the_state() {
    check("1000 300 100 60", None);
    check("1000 300 100 110", 0..4);
    check("1300 150 60", 0..3);
}

#[test]
fn merging_all_waits_for_what_is_being_merged() {
    check("1000 300 (100) (110) 10", None);
}

#[test]
fn all_is_merged_earlier_where_compactions_take_long() {
    let runs = runs("1000 160 20");
    let with = |pace: Pace| ChainFacts {
        pace,
        ..facts(&runs)
    };
    let slow = (0..4).fold(Pace::FIRST, |pace, _| pace.was_late());
    assert_eq!(slow.lead(1), 32);
    assert_eq!(choose_runs(&with(Pace::FIRST), &LIMITS), None);
    assert_eq!(choose_runs(&with(slow), &LIMITS), Some(0..3));
    assert_eq!(
        choose_runs(&with(slow.was_late()), &LIMITS),
        None,
        "in vain"
    );
}

#[test]
fn all_is_not_merged_where_a_full_snapshot_comes_first() {
    // Two epochs ahead there would be an excess of 1,160 kB.
    check("1000 300 290", None);
}

#[test]
fn a_long_chain_is_merged_whatever_the_sizes() {
    check("1000 160 80 40 20 10", None);
    check("1000 160 80 40 20 10 5 5", 1..8);
    check("1000 160 80 40 (20) 10 5 5", 5..8);
}

#[test]
fn a_chain_begins_anew_before_the_excess_is_larger_than_the_state() {
    check_anew("", true);
    check_anew("1000", false);
    check_anew("1000 400 100", false);
    check_anew("1000 500", false);
    check_anew("1000 510", true);
    check_anew("1000 300 300 300", true);
    check_anew("1000 300 300 380 10", false);
    check_anew("1980 10", false);
    check_anew("1990 20", true);
}

#[test]
fn a_chain_begins_anew_when_it_has_as_many_increments_as_it_may() {
    check_anew("1000 1 1 1 1 1 1 1", false);
    check_anew("1000 1 1 1 1 1 1 1 1", true);
}

#[test]
fn of_little_state_some_excess_never_matters() {
    let runs = runs("2 1 40 40");
    let facts = ChainFacts {
        live: 2_000,
        ..facts(&runs)
    };
    assert!(!must_begin_anew(
        &facts,
        &super::ChainLimits {
            floor: 130_000,
            ..LIMITS
        }
    ));
    assert!(must_begin_anew(&facts, &LIMITS));
}

#[test]
fn a_compaction_has_more_time_the_larger_it_is_and_the_slower_those_before_were() {
    let pace = Pace::FIRST;
    assert_eq!(pace.lead(1), 2);
    assert_eq!(pace.lead(640 << 20), 22);
    assert_eq!(pace.was_late().lead(1), 4);
    assert_eq!(pace.was_late().was_ready(4, 3).lead(1), 4);
    assert_eq!(pace.was_late().was_ready(4, 1).lead(1), 2);
    assert_eq!(
        pace.was_ready(2, 0).was_ready(2, 0).lead(1),
        1,
        "never none"
    );
    let slowest = (0..100).fold(pace, |pace, _| pace.was_late());
    assert_eq!(slowest.lead(u64::MAX), 1_024, "no further ahead");
}
