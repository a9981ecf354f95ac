//! The arguments of calls: each is parsed as the kind that the signature names.

pub(crate) mod aggregates;
pub(crate) mod duration;
pub(crate) mod expression;
pub(crate) mod signature;

#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::token::Paren;
use syn::{Error, Result, Token, parenthesized};

use crate::names;
use crate::ops::window::WINDOWS;
use crate::report::Report;
use crate::values::aggregates::Aggregates;
use crate::values::duration::Duration;
use crate::values::expression::Expression;
use crate::values::signature::{By, Kind, Param, Signature};

/// One argument's value.
#[derive(Debug)]
pub(crate) enum Value {
    Expr(Expression),
    /// Apart from [`Value::Expr`], as a bare name is most likely a function's.
    Closure(Expression),
    Duration(Duration),
    Window(Window),
    Aggregates(Aggregates),
    NewStream(Ident),
    Stream(Ident),
}

/// `sliding(1 h, every: 15 min)`
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) signature: &'static Signature,
    pub(crate) name: Ident,
    pub(crate) paren: Paren,
    pub(crate) arguments: Arguments,
}

/// The arguments of one call; what is wrong with them is in the report already.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    given: Vec<Given>,
    /// Whether an argument was wrong, and is not among those given.
    broken: bool,
}

#[derive(Debug)]
struct Given {
    at: usize,
    param: &'static Param,
    name: Option<Ident>,
    value: Value,
}

impl Arguments {
    /// Whether all that was written is here.
    pub(crate) fn is_whole(&self) -> bool {
        !self.broken
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, param: &str) -> Option<&Value> {
        self.given
            .iter()
            .find(|given| given.param.name == param)
            .map(|given| &given.value)
    }

    /// The word before the `:` of an option, where it is given.
    pub(crate) fn option(&self, param: &str) -> Option<(Span, &Ident)> {
        let name = self
            .given
            .iter()
            .find(|given| given.param.name == param)?
            .name
            .as_ref()?;
        Some((name.span(), name))
    }

    /// All values, in the order of the signature.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Value> {
        self.given.iter().map(|given| &given.value)
    }

    /// The streams that the call reads.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Ident> {
        self.in_order().filter_map(|value| {
            if let Value::Stream(name) = value {
                Some(name)
            } else {
                None
            }
        })
    }

    /// The streams that the call makes, with the option that names each.
    pub(crate) fn new_streams(&self) -> impl Iterator<Item = (&'static str, &Ident)> {
        self.given.iter().filter_map(|given| match &given.value {
            Value::NewStream(name) => Some((given.param.name, name)),
            _ => None,
        })
    }
}

/// Parses what stands in the parentheses of a call of `signature`.
pub(crate) fn arguments(
    signature: &'static Signature,
    call: &Ident,
    tokens: TokenStream,
    report: &mut Report,
) -> Arguments {
    let parser = |input: ParseStream<'_>| Ok(parse_arguments(signature, call, input, report));
    parser
        .parse2(tokens)
        .expect("the parser reads to the end and keeps its errors in the report")
}

fn parse_arguments(
    signature: &'static Signature,
    call: &Ident,
    input: ParseStream<'_>,
    report: &mut Report,
) -> Arguments {
    let mut given: Vec<Given> = Vec::new();
    let mut positions = 0;
    let mut seen: Vec<&'static str> = Vec::new();
    let mut broken = false;
    while !input.is_empty() {
        let param = next_param(signature, call, input, &mut positions, &seen);
        let argument = param.and_then(|(param, name)| {
            seen.push(param.name);
            if input.is_empty() {
                let at = name.as_ref().unwrap_or(call);
                return Err(Error::new(
                    at.span(),
                    format!("`{}` has no value", param.name),
                ));
            }
            value(param, input, report).map(|value| (param, name, value))
        });
        match argument {
            Ok((param, name, value)) => {
                let at = signature
                    .params
                    .iter()
                    .position(|p| p == param)
                    .unwrap_or_default();
                given.push(Given {
                    at,
                    param,
                    name,
                    value,
                });
            }
            Err(error) => {
                report.push(error);
                broken = true;
                skip_argument(input);
            }
        }
        if !input.is_empty() && input.parse::<Token![,]>().is_err() {
            report.error(input.span(), "expected `,` before the next argument");
            skip_argument(input);
            let _ = input.parse::<Token![,]>();
        }
    }
    if !broken {
        // What is there but wrong is not missing as well.
        check_missing(signature, call, &seen, report);
    }
    given.sort_by_key(|given| given.at);
    Arguments { given, broken }
}

/// The parameter that the next argument is for, by its name or its position.
fn next_param(
    signature: &'static Signature,
    call: &Ident,
    input: ParseStream<'_>,
    positions: &mut usize,
    seen: &[&str],
) -> Result<(&'static Param, Option<Ident>)> {
    let name = &signature.name;
    if input.peek(syn::Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
        let option = input.call(Ident::parse_any)?;
        input.parse::<Token![:]>()?;
        let names = signature.option_names();
        let Some(param) = signature.param(&option.to_string()) else {
            let message = match (
                names.as_slice(),
                names::did_you_mean(&option.to_string(), &names),
            ) {
                ([], _) => format!("`{name}` has no options: `{}`", signature.usage),
                (_, Some(meant)) => {
                    format!("`{name}` has no option `{option}`; did you mean `{meant}`?")
                }
                (_, None) => format!(
                    "`{name}` has no option `{option}`; its options are {}",
                    names::list(&names)
                ),
            };
            return Err(Error::new(option.span(), message));
        };
        if seen.contains(&param.name) {
            return Err(Error::new(
                option.span(),
                format!("`{option}` is given twice"),
            ));
        }
        return Ok((param, Some(option)));
    }
    let at = *positions;
    *positions += 1;
    if let Some(param) = signature
        .position(at)
        .filter(|param| param.by == By::Rest || !seen.contains(&param.name))
    {
        return Ok((param, None));
    }
    let span = if input.is_empty() {
        call.span()
    } else {
        input.span()
    };
    let missing = signature
        .params
        .iter()
        .find(|param| param.by == By::RequiredName && !seen.contains(&param.name));
    let message = match missing {
        Some(option) => format!(
            "write which option this is, `{}: ..`, as in `{}`",
            option.name, signature.usage
        ),
        None if signature.option_names().is_empty() => {
            format!("one argument too many: `{}`", signature.usage)
        }
        None => format!(
            "one argument without a name too many; the options of `{name}` are {}",
            names::list(&signature.option_names())
        ),
    };
    Err(Error::new(span, message))
}

fn value(param: &'static Param, input: ParseStream<'_>, report: &mut Report) -> Result<Value> {
    Ok(match param.kind {
        Kind::Expr => Value::Expr(Expression::parse(input)?),
        Kind::Closure => Value::Closure(Expression::parse(input)?),
        Kind::Duration | Kind::Length | Kind::Offset => {
            Value::Duration(Duration::parse(input, param.kind)?)
        }
        Kind::Window => Value::Window(window(input, report)?),
        Kind::Aggregates => Value::Aggregates(Aggregates::parse(input)?),
        Kind::NewStream => Value::NewStream(one_name(
            input,
            "expected a name for the stream that is made here",
        )?),
        Kind::Stream => Value::Stream(one_name(
            input,
            "expected the name of a stream: give the chain a name first, `let name = ..;`",
        )?),
    })
}

fn one_name(input: ParseStream<'_>, otherwise: &str) -> Result<Ident> {
    let span = input.span();
    let name = input
        .parse::<Ident>()
        .map_err(|_| Error::new(span, otherwise))?;
    if !input.is_empty() && !input.peek(Token![,]) {
        return Err(Error::new(span, otherwise));
    }
    Ok(name)
}

fn window(input: ParseStream<'_>, report: &mut Report) -> Result<Window> {
    let kinds: Vec<&str> = WINDOWS.iter().map(|signature| signature.name).collect();
    let expected = || {
        format!(
            "expected a window: `{}`",
            WINDOWS
                .iter()
                .map(|w| w.usage)
                .collect::<Vec<_>>()
                .join("`, `")
        )
    };
    let span = input.span();
    let name = input
        .call(Ident::parse_any)
        .map_err(|_| Error::new(span, expected()))?;
    let Some(signature) = WINDOWS.iter().find(|signature| name == signature.name) else {
        let hint = match names::did_you_mean(&name.to_string(), &kinds) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("windows are {}", names::list(&kinds)),
        };
        return Err(Error::new(
            name.span(),
            format!("there is no window `{name}`; {hint}"),
        ));
    };
    if !input.peek(Paren) {
        return Err(Error::new(
            name.span(),
            format!("write how long the windows are: `{}`", signature.usage),
        ));
    }
    let content;
    let paren = parenthesized!(content in input);
    let tokens: TokenStream = content.parse()?;
    let arguments = arguments(signature, &name, tokens, report);
    Ok(Window {
        signature,
        name,
        paren,
        arguments,
    })
}

fn check_missing(signature: &'static Signature, call: &Ident, seen: &[&str], report: &mut Report) {
    for param in signature
        .params
        .iter()
        .filter(|param| !seen.contains(&param.name))
    {
        let usage = signature.usage;
        match param.by {
            By::Position | By::Either if param.name == "gap" || param.name == "size" => {
                report.error(
                    call.span(),
                    format!("`{call}` needs to know how long: `{usage}`"),
                );
            }
            By::Position | By::Either | By::Rest => {
                report.error(
                    call.span(),
                    format!("`{call}` needs an argument: `{usage}`"),
                );
            }
            By::RequiredName => report.error(
                call.span(),
                format!("`{call}` needs `{}:`, as in `{usage}`", param.name),
            ),
            By::OptionalName => continue,
        }
        // `fold()` misses two, which one message shows.
        break;
    }
}

fn skip_argument(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            break;
        }
    }
}
