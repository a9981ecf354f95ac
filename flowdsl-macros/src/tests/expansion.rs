//! What a flow expands to, and the ids of its stages.

use super::*;

#[test]
fn ids_are_the_names_of_stream_and_stage_or_what_as_says() {
    assert_eq!(
        ids(EXAMPLE),
        [
            "flights.source",
            "flights.event_time",
            "busy.filter",
            "busy.key_by",
            "hourly_delay",
            "hourly_delay",
            "busy.filter",
            "too_late.sink",
            "busy.map",
            "busy.sink"
        ]
    );
    assert_eq!(
        ids("source(s) -> map(f) -> sink(o);"),
        ["source", "source.map", "source.sink"]
    );
    assert_eq!(
        ids("source(s) as raw -> map(f) as m -> sink(o);"),
        ["raw", "m", "raw.sink"]
    );
}

#[test]
fn expanding_twice_gives_the_same_code() {
    let expand = || {
        let mut report = Report::new();
        let ast = parse::parse(EXAMPLE.parse().expect("tokens"), &mut report);
        let lowered = lower::lower(ast, &mut report);
        let graph = Graph::new(&lowered);
        report.finish().expect("a flow without mistakes");
        expand::expand(&graph).to_string()
    };
    assert_eq!(expand(), expand());
}

#[test]
fn the_expansion_is_plain_calls_on_the_builder() {
    let expanded = crate::compile(
        "let a = source(s); a -> filter(|x| x > limit) -> sink(o); a -> sink(p) as other;"
            .parse()
            .expect("tokens"),
    );
    let expected = "{ :: flowdsl :: __private :: Job :: new (:: flowdsl :: __private :: module_path ! () , move | flow | { \
         let stream = flow . source (\"a.source\" , { :: flowdsl :: __private :: free (& s) ; s }) ; \
         let a = stream ; let a = a . shared () ; \
         let stream = a . branch () ; \
         let stream = stream . at (\"a.filter\") . filter ({ :: flowdsl :: __private :: free (& limit) ; move | x | x > limit }) ; \
         stream . at (\"a.sink\") . sink ({ :: flowdsl :: __private :: free (& o) ; o }) ; \
         let stream = a . branch () ; \
         stream . at (\"other\") . sink ({ :: flowdsl :: __private :: free (& p) ; p }) ; }) }";
    assert_eq!(expanded.to_string().replace("__flowdsl_", ""), expected);
}

#[test]
fn a_capture_is_cloned_for_every_argument_that_uses_it() {
    let flow = "capture limit; source(s()) -> map(|x| x + limit) -> inspect(|x| println!(\"{limit}\")) -> sink(o());";
    let expanded = crate::compile(flow.parse().expect("tokens")).to_string();
    assert_eq!(
        expanded
            .matches("let mut limit = :: flowdsl :: __private :: clone (& limit)")
            .count(),
        2,
        "{expanded}"
    );
}

#[test]
fn a_flow_with_mistakes_expands_to_a_job_that_never_runs() {
    let expanded =
        crate::compile("source(s) -> nap(f) -> sink(o);".parse().expect("tokens")).to_string();
    assert!(
        expanded.contains("compile_error")
            && expanded.ends_with(":: flowdsl :: __private :: unreachable_job () }"),
        "{expanded}"
    );
}
