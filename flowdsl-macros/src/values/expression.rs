//! Expressions of Rust: kept as they are written, with what the expansion must know of them.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{Expr, Result, Token};

/// An expression that is passed on to rustc.
#[derive(Debug)]
pub(crate) struct Expression {
    /// The expression; its outermost closures are `move`, as they outlive the builder.
    pub(crate) tokens: TokenStream,
    /// Variables that are not made inside of the expression.
    pub(crate) free: Vec<Ident>,
}

impl Expression {
    /// Parses up to the next comma. What syn cannot parse is taken as raw tokens: rustc reports it,
    /// and editors complete in it.
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Self> {
        let fork = input.fork();
        if let Ok(expr) = fork.parse::<Expr>()
            && (fork.is_empty() || fork.peek(Token![,]))
        {
            input.advance_to(&fork);
            return Ok(Self::new(expr));
        }
        let tokens = raw_argument(input);
        if tokens.is_empty() {
            return Err(input.error("expected an argument"));
        }
        Ok(Self {
            tokens,
            free: Vec::new(),
        })
    }

    fn new(mut expr: Expr) -> Self {
        let mut names = Names::default();
        names.visit_expr(&expr);
        OutermostClosures.visit_expr_mut(&mut expr);
        let mut seen = BTreeSet::new();
        let free = names.used.into_iter().filter(|name| {
            !names.bound.contains(&name.to_string()) && seen.insert(name.to_string())
        });
        Self {
            free: free.collect(),
            tokens: expr.into_token_stream(),
        }
    }

    /// Whether the expression is one name and nothing else, such as a function's.
    pub(crate) fn is_one_name(&self) -> bool {
        let mut tokens = self.tokens.clone().into_iter();
        matches!(
            (tokens.next(), tokens.next()),
            (Some(TokenTree::Ident(_)), None)
        )
    }

    /// Whether the name occurs anywhere, also inside of `"{name}"`.
    pub(crate) fn mentions(&self, name: &Ident) -> bool {
        mentions(self.tokens.clone(), &name.to_string())
    }
}

/// Tokens up to a comma; commas between the pipes of a half-written closure do not count.
fn raw_argument(input: ParseStream<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    let mut pipes = 0;
    while !input.is_empty() {
        if input.peek(Token![,]) && pipes != 1 {
            break;
        }
        let Ok(token) = input.parse::<TokenTree>() else {
            break;
        };
        let is_pipe = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '|');
        let only_move = tokens.is_empty() || tokens.to_string() == "move";
        if is_pipe && (pipes == 1 || only_move) {
            pipes += 1;
        }
        tokens.extend([token]);
    }
    tokens
}

fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Literal(literal) => names_in_format(&literal.to_string())
            .iter()
            .any(|n| n == name),
        TokenTree::Punct(_) => false,
    })
}

/// The names that a format string takes from around it: `{name}`, `{name:?}`, `{:width$}`.
fn names_in_format(literal: &str) -> Vec<String> {
    if !literal.contains('"') {
        return Vec::new();
    }
    let mut names = Vec::new();
    let text = literal.replace("{{", "");
    for part in text.split('{').skip(1) {
        let inside = part.split('}').next().unwrap_or_default();
        let (argument, format) = inside.split_once(':').unwrap_or((inside, ""));
        names.push(argument.trim().to_owned());
        // Widths and precisions end in `$`: what stands before it, back to the last other sign.
        for width in format.split('$').rev().skip(1) {
            let name = width
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            names.push(name.to_owned());
        }
    }
    names.retain(|name| syn::parse_str::<Ident>(name).is_ok());
    names
}

struct OutermostClosures;

impl VisitMut for OutermostClosures {
    fn visit_expr_closure_mut(&mut self, closure: &mut syn::ExprClosure) {
        if closure.capture.is_none() {
            closure.capture = Some(Token![move](closure.or1_token.span));
        }
    }

    /// A closure inside of a block may well borrow from the block.
    fn visit_block_mut(&mut self, _: &mut syn::Block) {}
}

/// Which names an expression uses and which it makes. A name that it makes anywhere counts as made
/// everywhere: rather no check than a wrong one.
#[derive(Default)]
struct Names {
    used: Vec<Ident>,
    bound: BTreeSet<String>,
}

/// Methods of the standard library whose argument is a function, perhaps a generic one, whose
/// type cannot be known from its name alone.
const TAKE_FUNCTIONS: &[&str] = &[
    "all",
    "and_then",
    "any",
    "filter",
    "filter_map",
    "find",
    "find_map",
    "flat_map",
    "fold",
    "for_each",
    "inspect",
    "is_none_or",
    "is_some_and",
    "map",
    "map_err",
    "map_or",
    "map_or_else",
    "max_by",
    "max_by_key",
    "min_by",
    "min_by_key",
    "ok_or_else",
    "or_else",
    "partition",
    "position",
    "reduce",
    "retain",
    "skip_while",
    "sort_by",
    "sort_by_key",
    "take_while",
    "then",
    "try_fold",
    "unwrap_or_else",
    "zip_with",
];

/// Macros whose contents are expressions, perhaps behind a format string.
const TAKE_EXPRESSIONS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "panic",
    "print",
    "println",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

impl<'ast> Visit<'ast> for Names {
    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let Some(name) = path.path.get_ident() else {
            return;
        };
        let is_variable = name
            .to_string()
            .starts_with(|c: char| c.is_lowercase() || c == '_');
        if is_variable && name != "self" {
            self.used.push(name.clone());
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if !matches!(&*call.func, Expr::Path(_)) {
            self.visit_expr(&call.func);
        }
        call.args
            .iter()
            .for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.visit_expr(&call.receiver);
        let takes_functions = TAKE_FUNCTIONS.iter().any(|name| call.method == name);
        for argument in &call.args {
            if !(takes_functions && matches!(argument, Expr::Path(_))) {
                self.visit_expr(argument);
            }
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            .unwrap_or_default();
        if !TAKE_EXPRESSIONS.contains(&name.as_str()) {
            return;
        }
        let Ok(arguments) =
            Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone())
        else {
            return;
        };
        for argument in &arguments {
            match argument {
                // `format!("{x}", x = 3)`
                Expr::Assign(assign) => {
                    if let Expr::Path(path) = &*assign.left {
                        self.bound
                            .extend(path.path.get_ident().map(Ident::to_string));
                    }
                    self.visit_expr(&assign.right);
                }
                Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }) if name != "vec" && name != "dbg" => {
                    let names = names_in_format(&text.token().to_string());
                    self.used
                        .extend(names.iter().map(|name| Ident::new(name, text.span())));
                }
                other => self.visit_expr(other),
            }
        }
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.bound.insert(pattern.ident.to_string());
        syn::visit::visit_pat_ident(self, pattern);
    }

    fn visit_field_pat(&mut self, field: &'ast syn::FieldPat) {
        self.visit_pat(&field.pat);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        // The body of an item sees nothing of what is around it.
        self.bound.insert(function.sig.ident.to_string());
    }

    fn visit_item_macro(&mut self, _: &'ast syn::ItemMacro) {}

    fn visit_use_name(&mut self, name: &'ast syn::UseName) {
        self.bound.insert(name.ident.to_string());
    }

    fn visit_use_rename(&mut self, name: &'ast syn::UseRename) {
        self.bound.insert(name.rename.to_string());
    }
}
