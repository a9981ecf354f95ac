//! Durations, expressions and aggregates, each on its own.

use quote::quote;
use syn::parse::{ParseStream, Parser as _};

use crate::values::duration::Duration;
use crate::values::expression::Expression;
use crate::values::signature::Kind;

fn millis(text: &str, kind: Kind) -> Result<i64, String> {
    let parser = |input: ParseStream<'_>| Duration::parse(input, kind);
    match parser.parse_str(text) {
        Ok(Duration::Literal { millis, .. }) => Ok(millis),
        Ok(Duration::Expr(expression)) => Err(format!("expression {}", expression.tokens)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, expected) in [
        ("5 ms", 5),
        ("5 s", 5_000),
        ("5 min", 300_000),
        ("5min", 300_000),
        ("1 h", 3_600_000),
        ("1.5 h", 5_400_000),
        ("1.5h", 5_400_000),
        ("2 d", 172_800_000),
        ("1_000 ms", 1_000),
        ("0 s", 0),
    ] {
        assert_eq!(millis(text, Kind::Duration), Ok(expected), "{text}");
    }
    assert_eq!(millis("-6 h", Kind::Offset), Ok(-21_600_000));
    assert_eq!(millis("6 h", Kind::Offset), Ok(21_600_000));
}

#[test]
fn wrong_durations_say_what_to_write() {
    for (text, kind, expected) in [
        (
            "5",
            Kind::Duration,
            "a duration needs its unit, as in `5 min`; units are ms, s, min, h, d",
        ),
        (
            "5 m",
            Kind::Duration,
            "`m` is no unit: units are ms, s, min, h, d; did you mean `min`?",
        ),
        (
            "5hours",
            Kind::Duration,
            "`hours` is no unit: units are ms, s, min, h, d; did you mean `h`?",
        ),
        (
            "5 parsecs",
            Kind::Duration,
            "`parsecs` is no unit: units are ms, s, min, h, d",
        ),
        (
            "5u64",
            Kind::Duration,
            "`u64` is no unit: units are ms, s, min, h, d",
        ),
        ("-5 s", Kind::Duration, "this duration cannot be negative"),
        (
            "0 s",
            Kind::Length,
            "this duration must be longer than zero",
        ),
        (
            "0.0001 s",
            Kind::Length,
            "this duration is not a whole number of milliseconds",
        ),
        (
            "9223372036854775807 d",
            Kind::Length,
            "this duration is too long to be counted in milliseconds",
        ),
        (
            "\"5 s\"",
            Kind::Length,
            "expected a duration: a number and a unit, as in `5 min`",
        ),
        (
            "bound",
            Kind::Offset,
            "an offset is a number and a unit, as in `-6 h`",
        ),
    ] {
        assert_eq!(millis(text, kind), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_duration_may_be_an_expression() {
    assert_eq!(
        millis("settings.lateness", Kind::Duration),
        Err("expression settings . lateness".to_owned())
    );
}

fn free(text: &str) -> Vec<String> {
    let expression = Expression::parse.parse_str(text).expect("an expression");
    expression.free.iter().map(ToString::to_string).collect()
}

#[test]
fn free_names_are_variables_that_the_expression_does_not_make() {
    for (text, expected) in [
        ("|f| f.delay > limit", vec!["limit"]),
        ("|f| { let limit = 3; f.delay > limit }", vec![]),
        ("|f| match f { Some(x) => x, None => other }", vec!["other"]),
        ("|f| if let Some(y) = f.y { y } else { z }", vec!["z"]),
        ("|(a, b)| a + b + c", vec!["c"]),
        ("|f| helper(f, depth)", vec!["depth"]),
        ("|f| f.parts.iter().map(parse).sum()", vec![]),
        ("|f| f.min(limit)", vec!["limit"]),
        ("|f| LIMIT + module::limit + f.limit", vec![]),
        (
            "|f| format!(\"{f} {limit:>width$.2} {{no}}\")",
            vec!["limit", "width"],
        ),
        ("|f| format!(\"{x}\", x = f.x)", vec![]),
        ("|f| matches!(f, Some(x) if x > 3)", vec![]),
        ("|f| vec![f.a, rest]", vec!["rest"]),
        ("|f| Alarm { origin: f.origin, limit }", vec!["limit"]),
        ("|f| { fn helper(x: u8) -> u8 { x } helper(f) }", vec![]),
        ("|f| f.a + limit + limit", vec!["limit"]),
        ("|f| self.limit + f", vec![]),
        ("File::csv(path)", vec!["path"]),
    ] {
        assert_eq!(free(text), expected, "{text}");
    }
}

#[test]
fn names_inside_of_format_strings_are_mentioned() {
    let expression = Expression::parse
        .parse2(quote!(|f| println!("{f} of {limit:?}")))
        .expect("an expression");
    let mentioned = |name: &str| expression.mentions(&syn::parse_str(name).expect("a name"));
    assert!(mentioned("limit") && mentioned("f") && !mentioned("of"));
}

#[test]
fn outermost_closures_become_move() {
    for (text, expected) in [
        ("|x| x", "move | x | x"),
        ("move |x| x", "move | x | x"),
        ("make(|x| x)", "make (move | x | x)"),
        (
            "|x| x.iter().map(|y| y)",
            "move | x | x . iter () . map (| y | y)",
        ),
    ] {
        let expression = Expression::parse.parse_str(text).expect("an expression");
        assert_eq!(expression.tokens.to_string(), expected);
    }
}

#[test]
fn a_half_written_closure_is_passed_on_as_it_is() {
    for (text, expected) in [
        ("|f| f.", "| f | f ."),
        ("|a, b| a.", "| a , b | a ."),
        ("move |a, b| a. , 3", "move | a , b | a ."),
    ] {
        let parser = |input: ParseStream<'_>| {
            let expression = Expression::parse(input)?;
            input.parse::<proc_macro2::TokenStream>()?;
            Ok(expression)
        };
        assert_eq!(
            parser
                .parse_str(text)
                .expect("raw tokens")
                .tokens
                .to_string(),
            expected
        );
    }
}
