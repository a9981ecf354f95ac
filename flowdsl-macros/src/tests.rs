//! The passes up to the check: one case a rule, and what a flow expands to.
//!
//! Each case is a flow and the messages of all its mistakes, in the order of the text.

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

#[test]
fn statements_that_do_not_parse_are_one_error_each() {
    for (flow, expected) in [
        (
            "let mut a = source(s); a -> sink(o);",
            "a stream is never mutable",
        ),
        ("let (a, b) = source(s);", "`let` names one stream"),
        ("let _ = source(s);", "a stream needs a name to be used by"),
        (
            "let a: Stream = source(s);",
            "a stream's type is not written here",
        ),
        (
            "let fn = source(s);",
            "`fn` is a word of Rust and cannot name a stream",
        ),
        (
            "let a source(s);",
            "expected `=`: write `let a = source(..) -> ..;`",
        ),
        ("source(s) -> ;", "expected a stage after `->`"),
        (
            "source(s) -> map -> sink(o);",
            "`map` is not called: write its arguments behind it, `map(..)`",
        ),
        (
            "source(s) -> map::<X>(f) -> sink(o);",
            "a stage takes no type arguments",
        ),
        ("source(s).map(f);", "stages are joined by `->`"),
        ("source(s) => sink(o);", "stages are joined by `->`"),
        ("source(s) sink(o);", "expected `->` and a stage, or `;`"),
        (
            "source(s) -> sink(o) as \"out\";",
            "a stage's id is a name without quotes",
        ),
        (
            "source(s) -> sink(o) as type;",
            "`type` is a word of Rust and cannot be the id of a stage",
        ),
        ("source(s) -> sink(o)", "a statement ends with `;`"),
        (";", "a statement is missing before this `;`"),
        (
            "capture self; source(s) -> sink(o);",
            "`self` cannot be captured",
        ),
        (
            "capture a.b; source(s) -> sink(o);",
            "only variables are captured",
        ),
        (
            "capture a = 3; source(s) -> sink(o);",
            "`capture` takes names of variables",
        ),
        (
            "<A, B> source(s) -> sink(o);",
            "the header is `<In => Out>`",
        ),
        (
            "5 -> sink(o);",
            "expected a stream's name, `source(..)` or `union(..)`",
        ),
    ] {
        check(flow, &[expected]);
    }
}

#[test]
fn many_mistakes_give_all_their_errors() {
    check(
        "let mut a = source(s); \
         let b = source(t) -> keyBy(|x| x); \
         a -> filter(|x| x, limit: 3) -> sink(o); \
         let c = source(u) -> event_time(|x| x.t, lateness: 5 m);",
        &[
            "a stream is never mutable",
            "the stream `b` is never used",
            "there is no stage `keyBy`; did you mean `key_by`?",
            "`filter` has no options: `filter(",
            "the stream `c` is never used",
            "`m` is no unit: units are ms, s, min, h, d; did you mean `min`?",
        ],
    );
}

#[test]
fn names_of_other_systems_are_understood() {
    for (other, ours) in [
        ("keyBy", "key_by"),
        ("groupBy", "key_by"),
        ("group_by", "key_by"),
        ("flatMap", "flat_map"),
        ("filterMap", "filter_map"),
        ("window_all", "window"),
        ("timeWindow", "window"),
        ("assignTimestampsAndWatermarks", "event_time"),
        ("addSink", "sink"),
        ("for_each", "inspect"),
        ("scan", "fold"),
        ("fliter", "filter"),
        ("agregate", "aggregate"),
    ] {
        let flow = format!("source(s) -> {other}(f) -> sink(o);");
        check(
            &flow,
            &[&format!(
                "there is no stage `{other}`; did you mean `{ours}`?"
            )],
        );
    }
    check_stages(
        "-> count()",
        &["`count` is an aggregate: write `-> aggregate(count(..))` behind a `window`"],
    );
    check_stages(
        "-> tumbling(1 h)",
        &["`tumbling` is a kind of window: write `-> window(tumbling(1 h))`"],
    );
    check_stages("-> join(other)", &["the language has no `join` yet"]);
    check_stages(
        "-> frobnicate(x)",
        &["there is no stage `frobnicate`; stages are `map`, `filter`,"],
    );
    check(
        "numbers(s) -> sink(o);",
        &["a chain begins with the name of a stream"],
    );
}

#[test]
fn arguments_are_those_of_the_signature() {
    for (stages, expected) in [
        ("-> map()", "`map` needs an argument: `map(|x| ..)`"),
        ("-> map(f, g)", "one argument too many: `map(|x| ..)`"),
        ("-> map(f: g)", "`map` has no options: `map("),
        ("-> filter(,)", "expected an argument"),
        (
            "-> key_by(k) -> window(1 h) -> aggregate(count())",
            "expected a window: `tumbling(1 h)`, `sliding(",
        ),
        (
            "-> key_by(k) -> window(tumble(1 h)) -> aggregate(count())",
            "there is no window `tumble`; did you mean `tumbling`?",
        ),
        (
            "-> key_by(k) -> window(global()) -> aggregate(count())",
            "there is no window `global`; windows are",
        ),
        (
            "-> key_by(k) -> window(tumbling) -> aggregate(count())",
            "write how long the windows are: `tumbling(1 h)`",
        ),
        (
            "-> key_by(k) -> window(tumbling()) -> aggregate(count())",
            "`tumbling` needs to know how long: `tumbling(1 h)`",
        ),
        (
            "-> key_by(k) -> window(sliding(1 h)) -> aggregate(count())",
            "`sliding` needs `every:`, as in `sliding(",
        ),
        (
            "-> key_by(k) -> window(sliding(1 h, 5 min)) -> aggregate(count())",
            "write which option this is, `every: ..`",
        ),
        (
            "-> key_by(k) -> window(tumbling(0 h)) -> aggregate(count())",
            "this duration must be longer than zero",
        ),
        (
            "-> key_by(k) -> window(session(gap: 1 h), offset: 5 min) -> reduce(f)",
            "a session begins with its first record",
        ),
        (
            "-> key_by(k) -> window(tumbling(1 h), lateness: 1 h) -> reduce(f)",
            "`window` has no option `lateness`; did you mean `allowed_lateness`",
        ),
        (
            "-> key_by(k) -> window(tumbling(1 h), offset: 1 h, offset: 1 h) -> reduce(f)",
            "`offset` is given twice",
        ),
        (
            "-> key_by(k) -> window(tumbling(1 h), late: a.b) -> reduce(f)",
            "expected a name for the stream",
        ),
        (
            "-> key_by(k) -> window(tumbling(1 h), late:) -> reduce(f)",
            "`late` has no value",
        ),
        (
            "-> key_by(k) -> window(tumbling(1 h) 3) -> reduce(f)",
            "expected `,` before the next argument",
        ),
    ] {
        check_stages(stages, &[expected]);
    }
    check(
        "source(s) -> event_time(|x| x.t) -> sink(o);",
        &["`event_time` needs `lateness:`, as in `event_time("],
    );
    check(
        "source(s) -> event_time(|x| x.t, 5 min) -> sink(o);",
        &["write which option this is, `lateness: ..`"],
    );
}

#[test]
fn sessions_take_their_gap_with_or_without_its_name() {
    check_stages(
        "-> key_by(k) -> window(session(30 min)) -> aggregate(count())",
        &[],
    );
    check_stages(
        "-> key_by(k) -> window(session(gap: 30 min)) -> aggregate(count())",
        &[],
    );
}

#[test]
fn windows_need_a_key_and_event_time() {
    check_stages(
        "-> window(tumbling(1 h)) -> aggregate(count())",
        &["`window` needs a stream with a key"],
    );
    check(
        "source(s) -> key_by(k) -> window(tumbling(1 h)) -> reduce(f) -> sink(o);",
        &["`window` needs event time"],
    );
    check(
        "source(s) -> window(tumbling(1 h)) -> reduce(f) -> sink(o);",
        &[
            "`window` needs a stream with a key",
            "`window` needs event time",
        ],
    );
    check_stages(
        "-> key_by(k) -> window(tumbling(1 h)) -> map(f)",
        &["`map` cannot follow `window`"],
    );
    check_stages(
        "-> key_by(k) -> window(tumbling(1 h))",
        &["`sink` cannot follow `window`"],
    );
    check_stages("-> aggregate(count())", &["`aggregate` needs windows"]);
    check_stages("-> fold(0, f)", &["`fold` needs a stream with a key"]);
    check_stages("-> reduce(f)", &["`reduce` needs a stream with a key"]);
    check_stages("-> key_by(k) -> fold(0, f)", &[]);
    check_stages(
        "-> key_by(k) -> fold(0, f) -> reduce(f)",
        &["`reduce` needs a stream with a key"],
    );
    check_stages(
        "-> key_by(k) -> window(session(1 h)) -> fold(0, f)",
        &["`fold` cannot follow session windows"],
    );
}

#[test]
fn event_time_stands_once_at_the_source() {
    let at_source = "`event_time` stands behind its source";
    check(
        "source(s) -> key_by(k) -> event_time(t, lateness: 1 s) -> sink(o);",
        &[at_source],
    );
    check(
        "let a = source(s); let b = source(t); union(a, b) -> event_time(t, lateness: 1 s) -> sink(o);",
        &[at_source],
    );
    check(
        "let a = source(s); a -> event_time(t, lateness: 1 s) -> sink(o); a -> sink(p) as q;",
        &[at_source],
    );
    check(
        "let a = source(s, errors: e); e -> sink(p); a -> event_time(t, lateness: 1 s) -> sink(o);",
        &[at_source],
    );
    check(
        "let a = source(s, errors: e) -> event_time(t, lateness: 1 s); e -> sink(p); a -> sink(o);",
        &[],
    );
    check_stages(
        "-> event_time(t, lateness: 1 s)",
        &["this stream has event time already"],
    );
    check(
        "source(s) -> map(f) -> filter(g) -> event_time(t, lateness: 1 s) -> sink(o);",
        &[],
    );
}

#[test]
fn streams_of_a_union_agree() {
    check(
        "let a = source(s) -> event_time(t, lateness: 1 s); let b = source(t); union(a, b) -> sink(o);",
        &["`b` has no event time, but `a` has"],
    );
    check(
        "let a = source(s) -> key_by(k); let b = source(t); union(a, b) -> sink(o);",
        &["`b` has no key, but `a` has"],
    );
    check(
        "let a = source(s); union(a) -> sink(o);",
        &["a union has at least two streams"],
    );
    check(
        "let a = source(s); union(a, source(t)) -> sink(o);",
        &["expected the name of a stream"],
    );
}

#[test]
fn origins_come_first_and_sinks_last() {
    check(
        "map(f) -> sink(o);",
        &["`map` needs a stream before it: `stream -> map(|x| ..)`"],
    );
    check(
        "source(s) -> source(t) -> sink(o);",
        &["`source` begins a chain and cannot follow a stage"],
    );
    check(
        "source(s) -> sink(o) -> map(f) -> sink(p) as q;",
        &["nothing comes behind a sink"],
    );
    check(
        "let a = source(s) -> sink(o);",
        &["a chain that ends in a sink makes no stream: remove `let a =`"],
    );
    check("source(s) -> map(f);", &["nothing leaves this chain"]);
    check("", &["this flow is empty"]);
}

#[test]
fn names_are_made_once_before_they_are_used() {
    check(
        "a -> sink(o); let a = source(s);",
        &["`a` is used before it is made"],
    );
    check(
        "let flights = source(s); fligths -> sink(o);",
        &[
            "the stream `flights` is never used",
            "there is no stream `fligths`; did you mean `flights`?",
        ],
    );
    check(
        "let a = source(s); let a = a -> map(f); a -> sink(o);",
        &["there is a stream `a` already"],
    );
    check(
        "let a = source(s); let b = a -> map(f);",
        &["the stream `b` is never used"],
    );
    check(
        "let a = a -> map(f); a -> sink(o);",
        &["`a` is made in this very statement"],
    );
    check(
        "capture x, x; source(s) -> sink(o);",
        &["`x` is captured twice"],
    );
    check_stages(
        "-> key_by(k) -> window(tumbling(1 h), late: too_late) -> reduce(f)",
        &["the late records `too_late` go nowhere"],
    );
    check(
        "source(s, errors: bad) -> sink(o);",
        &["the stream `bad` goes nowhere"],
    );
}

#[test]
fn ids_of_stages_with_state_are_unlike() {
    check(
        "let a = source(s); a -> sink(o); a -> sink(p);",
        &["this stage's id would be `a.sink`, as that of an earlier `sink`"],
    );
    check(
        "source(s) -> sink(o); source(t) -> sink(p);",
        &[
            "this stage's id would be `source`",
            "this stage's id would be `source.sink`",
        ],
    );
    check("source(s) as a -> sink(o); source(t) as b -> sink(p);", &[]);
    check(
        "let a = source(s); a -> sink(o) as x; a -> sink(p) as x;",
        &["`x` is the id of an earlier `sink` already"],
    );
    check("let a = source(s); a -> map(f) -> map(g) -> sink(o);", &[]);
    check_stages(
        "-> key_by(k) -> window(tumbling(1 h)) as x -> reduce(f)",
        &["a window and the stage behind it have one id"],
    );
}
