//! Statements, stages and their arguments.

use super::*;

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
