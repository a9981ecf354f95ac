//! The passes up to the check: one case a rule, and what a flow expands to.
//!
//! Each case is a flow and the messages of all its mistakes, in the order of the text.

mod expansion;
mod rules;
mod streams;

use crate::graph::Graph;
use crate::report::Report;
use crate::{check, expand, lower, parse};

/// The messages of a flow's mistakes.
fn messages(flow: &str) -> Vec<String> {
    let mut report = Report::new();
    let ast = parse::parse(flow.parse().expect("tokens"), &mut report);
    let lowered = lower::lower(ast, &mut report);
    let graph = Graph::new(&lowered);
    check::check(&graph, &mut report);
    match report.finish() {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| error.to_string()).collect(),
    }
}

/// Expects exactly these messages; an expected one may be the beginning of the real one.
#[track_caller]
fn check(flow: &str, expected: &[&str]) {
    let found = messages(flow);
    let fits = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.starts_with(expected));
    assert!(
        fits,
        "flow:     {flow}\nexpected: {expected:#?}\nfound:    {found:#?}"
    );
}

/// Expects these messages for a chain of stages between a timed source and a sink.
#[track_caller]
fn check_stages(stages: &str, expected: &[&str]) {
    check(
        &format!("source(s) -> event_time(|x| x.t, lateness: 5 min) {stages} -> sink(o);"),
        expected,
    );
}

/// The stage ids of a flow, in order.
fn ids(flow: &str) -> Vec<String> {
    let mut report = Report::new();
    let ast = parse::parse(flow.parse().expect("tokens"), &mut report);
    let lowered = lower::lower(ast, &mut report);
    let graph = Graph::new(&lowered);
    report.finish().expect("a flow without mistakes");
    graph
        .chains
        .iter()
        .flatten()
        .map(|node| node.id.clone())
        .collect()
}

const EXAMPLE: &str = r#"
    <Flight => Alarm>
    capture threshold;

    let flights = source(File::parquet("flights.parquet"))
        -> event_time(|f| f.departure, lateness: 5 min);

    let busy = flights
        -> filter(|f| f.delay >= 0)
        -> key_by(|f| f.origin.clone())
        -> window(sliding(1 h, every: 15 min), late: too_late)
        -> aggregate((count(), mean(|f| f.delay))) as hourly_delay
        -> filter(|w| w.value.1 > threshold);

    too_late -> sink(File::jsonl("late"));
    busy -> map(Alarm::from) -> sink(File::jsonl("alarms"));
"#;

#[test]
fn the_example_has_no_mistakes() {
    check(EXAMPLE, &[]);
}
