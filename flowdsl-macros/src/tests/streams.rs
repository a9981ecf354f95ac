//! What streams are, and how they are named and joined.

use super::*;

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
