//! Tokens to [`ast`]: the grammar above expressions, by hand.
//!
//! `syn::Expr` never sees a chain: `mean(..) as id` would parse as a cast, and `->` is no operator.
//! A statement that does not parse is one error; the next statement is read all the same.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::token::Paren;
use syn::{Result, Token, parenthesized};

use crate::ast::{Call, Chain, Flow, Header, Statement};
use crate::report::Report;

/// Parses a whole flow; what is wrong goes to the report.
pub(crate) fn parse(tokens: TokenStream, report: &mut Report) -> Flow {
    let parser = |input: ParseStream<'_>| Ok(flow(input, report));
    parser
        .parse2(tokens)
        .expect("the parser reads to the end and keeps its errors in the report")
}

fn flow(input: ParseStream<'_>, report: &mut Report) -> Flow {
    let mut flow = Flow::default();
    if input.peek(Token![<]) {
        match header(input) {
            Ok(header) => flow.header = Some(header),
            Err(error) => {
                report.push(error);
                skip_header(input);
            }
        }
    }
    while !input.is_empty() {
        let start = input.fork();
        match statement(input)
            .and_then(|statement| end_of_statement(input, &statement, report).map(|()| statement))
        {
            Ok(statement) => flow.statements.push(statement),
            Err(error) => {
                report.push(error);
                flow.unclear.extend(names_of_statement(&start));
                skip_statement(input);
            }
        }
    }
    flow
}

fn header(input: ParseStream<'_>) -> Result<Header> {
    input.parse::<Token![<]>()?;
    let from = input.parse()?;
    if !input.peek(Token![=>]) {
        return Err(input.error("the header is `<In => Out>`: the item of the first source, `=>`, the item of the last sink"));
    }
    input.parse::<Token![=>]>()?;
    let to = input.parse()?;
    if !input.peek(Token![>]) {
        return Err(input.error("the header is `<In => Out>`: expected `>`"));
    }
    input.parse::<Token![>]>()?;
    Ok(Header {
        input: from,
        output: to,
    })
}

fn statement(input: ParseStream<'_>) -> Result<Statement> {
    if input.peek(Token![;]) {
        return Err(input.error("a statement is missing before this `;`"));
    }
    if is_capture(input) {
        return capture(input).map(Statement::Capture);
    }
    if input.peek(Token![let]) {
        input.parse::<Token![let]>()?;
        let name = stream_name(input)?;
        input.parse::<Token![=]>()?;
        return chain(input, Some(name)).map(Statement::Chain);
    }
    chain(input, None).map(Statement::Chain)
}

/// `capture` is a word only where a name follows it, so that a stream may have that name.
fn is_capture(input: ParseStream<'_>) -> bool {
    input.peek2(syn::Ident::peek_any)
        && input
            .fork()
            .call(Ident::parse_any)
            .is_ok_and(|word| word == "capture")
}

fn capture(input: ParseStream<'_>) -> Result<Vec<Ident>> {
    input.call(Ident::parse_any)?;
    let mut names = Vec::new();
    loop {
        let name = input
            .call(Ident::parse_any)
            .map_err(|e| syn::Error::new(e.span(), "expected the name of a variable to capture"))?;
        if name == "self" {
            return Err(syn::Error::new(
                name.span(),
                "`self` cannot be captured: bind what the flow needs first, `let limit = self.limit;`",
            ));
        }
        if is_keyword(&name) {
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` is a word of Rust, not a variable to capture"),
            ));
        }
        names.push(name);
        if !input.peek(Token![,]) {
            break;
        }
        input.parse::<Token![,]>()?;
        if input.peek(Token![;]) {
            break;
        }
    }
    if input.peek(Token![.]) {
        return Err(input.error(
            "only variables are captured: bind the field first, `let limit = settings.limit;`",
        ));
    }
    if input.peek(Token![=]) {
        return Err(
            input.error("`capture` takes names of variables: bind the value before the flow")
        );
    }
    Ok(names)
}

fn stream_name(input: ParseStream<'_>) -> Result<Ident> {
    if input.peek(Token![mut]) {
        return Err(input.error("a stream is never mutable: write `let name = ..`"));
    }
    if input.peek(Paren) {
        return Err(input.error("`let` names one stream; a second output gets its name in its stage, as in `late: name`"));
    }
    if input.peek(Token![_]) {
        return Err(input.error(
            "a stream needs a name to be used by; a chain that ends in a sink needs no `let`",
        ));
    }
    let name = input
        .call(Ident::parse_any)
        .map_err(|e| syn::Error::new(e.span(), "expected the name of a stream"))?;
    if is_keyword(&name) {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` is a word of Rust and cannot name a stream"),
        ));
    }
    if input.peek(Token![:]) {
        return Err(input.error(
            "a stream's type is not written here: the header `<In => Out>` or the source names it",
        ));
    }
    if !input.peek(Token![=]) {
        return Err(input.error(format!(
            "expected `=`: write `let {name} = source(..) -> ..;`"
        )));
    }
    Ok(name)
}

fn chain(input: ParseStream<'_>, name: Option<Ident>) -> Result<Chain> {
    let first = word(
        input,
        "expected a stream's name, `source(..)` or `union(..)`",
    )?;
    let mut chain = Chain {
        name,
        from: None,
        calls: Vec::new(),
    };
    if input.peek(Paren) || input.peek(Token![::]) {
        chain.calls.push(call(input, first)?);
    } else {
        chain.from = Some(first);
    }
    while input.peek(Token![->]) {
        let arrow = input.parse::<Token![->]>()?;
        let otherwise = "expected a stage after `->`, such as `map(|x| ..)`";
        if input.is_empty() {
            return Err(syn::Error::new_spanned(arrow, otherwise));
        }
        let stage = word(input, otherwise)?;
        chain.calls.push(call(input, stage)?);
    }
    Ok(chain)
}

fn word(input: ParseStream<'_>, otherwise: &str) -> Result<Ident> {
    input
        .call(Ident::parse_any)
        .map_err(|e| syn::Error::new(e.span(), otherwise))
}

fn call(input: ParseStream<'_>, name: Ident) -> Result<Call> {
    if input.peek(Token![::]) {
        return Err(input.error(format!("a stage takes no type arguments: write the type inside, as in `{name}(File::csv::<Flight>(..))`")));
    }
    if !input.peek(Paren) {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` is not called: write its arguments behind it, `{name}(..)`"),
        ));
    }
    let content;
    let paren = parenthesized!(content in input);
    let arguments = content.parse()?;
    let id = if input.peek(Token![as]) {
        Some(stage_id(input)?)
    } else {
        None
    };
    Ok(Call {
        name,
        paren,
        arguments,
        id,
    })
}

fn stage_id(input: ParseStream<'_>) -> Result<Ident> {
    input.parse::<Token![as]>()?;
    if input.peek(syn::LitStr) {
        return Err(input.error("a stage's id is a name without quotes: `as hourly`"));
    }
    let id = word(input, "expected the id of the stage after `as`")?;
    if is_keyword(&id) {
        return Err(syn::Error::new(
            id.span(),
            format!("`{id}` is a word of Rust and cannot be the id of a stage"),
        ));
    }
    Ok(id)
}

/// Keywords parse as names, so that the message can say what is wrong with them.
fn is_keyword(name: &Ident) -> bool {
    syn::parse2::<Ident>(TokenTree::from(name.clone()).into()).is_err()
}

/// A `;` that is merely missing goes to the report; anything else makes the statement unreadable.
fn end_of_statement(
    input: ParseStream<'_>,
    statement: &Statement,
    report: &mut Report,
) -> Result<()> {
    if input.peek(Token![;]) {
        return input.parse::<Token![;]>().map(drop);
    }
    if input.is_empty() || input.peek(Token![let]) || is_capture(input) {
        report.error(
            statement.end(),
            "a statement ends with `;`: write it behind this",
        );
        return Ok(());
    }
    if input.cursor().punct().is_some() {
        return Err(input.error("stages are joined by `->`"));
    }
    Err(input.error("expected `->` and a stage, or `;`"))
}

fn names_of_statement(input: ParseStream<'_>) -> Vec<Ident> {
    let mut names = Vec::new();
    while !input.is_empty() && !input.peek(Token![;]) {
        let Ok(token) = input.parse::<TokenTree>() else {
            break;
        };
        names_of_token(token, &mut names);
    }
    names
}

fn names_of_token(token: TokenTree, names: &mut Vec<Ident>) {
    match token {
        TokenTree::Ident(name) => names.push(name),
        TokenTree::Group(group) => group
            .stream()
            .into_iter()
            .for_each(|token| names_of_token(token, names)),
        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
    }
}

fn skip_statement(input: ParseStream<'_>) {
    while let Ok(token) = input.parse::<TokenTree>() {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ';') {
            break;
        }
    }
}

/// A broken header ends where the first statement can begin.
fn skip_header(input: ParseStream<'_>) {
    let begins_statement = |input: ParseStream<'_>| {
        input.peek(Token![let])
            || is_capture(input)
            || (input.peek(syn::Ident) && input.peek2(Paren))
    };
    while !input.is_empty() && !begins_statement(input) {
        if input.parse::<TokenTree>().is_err() {
            break;
        }
    }
}
