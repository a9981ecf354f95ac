//! Durations: `5 min`, `15min`, `1.5 h`, `-6 h`.

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Error, Ident, Lit, Result, Token};

use crate::expand::private;
use crate::values::expression::Expression;
use crate::values::signature::Kind;

const UNITS: &[(&str, i64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// What people write for our units.
const OTHER_UNITS: &[(&str, &str)] = &[
    ("millis", "ms"),
    ("milliseconds", "ms"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("m", "min"),
    ("mins", "min"),
    ("minute", "min"),
    ("minutes", "min"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
];

/// A duration as it is written.
#[derive(Debug)]
pub(crate) enum Duration {
    /// Milliseconds, of either sign where the parameter allows it.
    Literal { millis: i64, kind: Kind, span: Span },
    /// An expression of type `std::time::Duration`.
    Expr(Expression),
}

impl Duration {
    /// Parses a duration of this kind.
    pub(crate) fn parse(input: ParseStream<'_>, kind: Kind) -> Result<Self> {
        let negative = input
            .peek(Token![-])
            .then(|| input.parse::<Token![-]>())
            .transpose()?;
        if negative.is_none() && !input.peek(Lit) {
            if kind == Kind::Offset {
                return Err(input.error("an offset is a number and a unit, as in `-6 h`"));
            }
            return Expression::parse(input).map(Self::Expr);
        }
        let (number, unit, span) = number_and_unit(input)?;
        let millis = millis(&number, &unit, span)?;
        match (negative, kind) {
            (Some(_), Kind::Offset) => Ok(Self::Literal {
                millis: -millis,
                kind,
                span,
            }),
            (Some(minus), _) => Err(Error::new(minus.span, "this duration cannot be negative")),
            (None, Kind::Length) if millis == 0 => {
                Err(Error::new(span, "this duration must be longer than zero"))
            }
            (None, _) => Ok(Self::Literal { millis, kind, span }),
        }
    }

    /// The literal as the builder takes it: `Duration`, or milliseconds for an offset.
    pub(crate) fn expand_literal(millis: i64, kind: Kind, span: Span) -> TokenStream {
        if kind == Kind::Offset {
            let mut number = Literal::i64_suffixed(millis.abs());
            number.set_span(span);
            return if millis < 0 {
                quote_spanned!(span=> -#number)
            } else {
                quote_spanned!(span=> #number)
            };
        }
        let mut number = Literal::u64_suffixed(millis.unsigned_abs());
        number.set_span(span);
        // Not `Duration::from_millis`: clippy would want other units of what the user wrote in these.
        let millis = private(span, quote_spanned!(span=> millis));
        quote_spanned!(span=> #millis(#number))
    }
}

/// `5 min` and `5min`: the number's text, the unit, and where to point at.
fn number_and_unit(input: ParseStream<'_>) -> Result<(String, Ident, Span)> {
    let literal: Lit = input.parse()?;
    let (digits, suffix) = match &literal {
        Lit::Int(int) => (int.base10_digits().to_owned(), int.suffix().to_owned()),
        Lit::Float(float) => (float.base10_digits().to_owned(), float.suffix().to_owned()),
        other => {
            return Err(Error::new(
                other.span(),
                "expected a duration: a number and a unit, as in `5 min`",
            ));
        }
    };
    if !suffix.is_empty() {
        return Ok((
            digits,
            unit_of_suffix(&suffix, literal.span())?,
            literal.span(),
        ));
    }
    if !input.peek(Ident::peek_any) {
        let message =
            format!("a duration needs its unit, as in `{digits} min`; units are ms, s, min, h, d");
        return Err(Error::new(literal.span(), message));
    }
    let unit = input.call(Ident::parse_any)?;
    // Spans join on nightly compilers only; elsewhere the number stands for both.
    let span = literal
        .span()
        .join(unit.span())
        .unwrap_or_else(|| literal.span());
    Ok((digits, unit, span))
}

/// A suffix need not be an identifier (`5_`), though it is one whenever it is a unit.
fn unit_of_suffix(suffix: &str, span: Span) -> Result<Ident> {
    let mut unit: Ident =
        syn::parse_str(suffix.trim_start_matches('_')).map_err(|_| unknown_unit(suffix, span))?;
    unit.set_span(span);
    Ok(unit)
}

fn millis(number: &str, unit: &Ident, span: Span) -> Result<i64> {
    let name = unit.to_string();
    let Some((_, factor)) = UNITS.iter().find(|(unit, _)| *unit == name) else {
        return Err(unknown_unit(&name, unit.span()));
    };
    let too_long = || {
        Error::new(
            span,
            "this duration is too long to be counted in milliseconds",
        )
    };
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(*factor).ok_or_else(too_long);
    }
    let millis = number.parse::<f64>().map_err(|_| too_long())? * *factor as f64;
    if millis > 9.0e15 {
        return Err(too_long());
    }
    if millis.fract() != 0.0 {
        return Err(Error::new(
            span,
            "this duration is not a whole number of milliseconds",
        ));
    }
    Ok(millis as i64)
}

fn unknown_unit(unit: &str, span: Span) -> Error {
    let meant = OTHER_UNITS.iter().find(|(other, _)| *other == unit);
    let hint = meant.map_or_else(String::new, |(_, ours)| format!("; did you mean `{ours}`?"));
    Error::new(
        span,
        format!("`{unit}` is no unit: units are ms, s, min, h, d{hint}"),
    )
}
