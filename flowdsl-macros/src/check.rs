//! The rules of the language that hold between statements, one function each.
//!
//! A rule says nothing where a mistake that is already reported may be the cause.

use std::collections::BTreeMap;

use crate::graph::{Graph, Node, text};
use crate::lower::{Chain, Stage};
use crate::ops::{Memory, Place};
use crate::report::Report;
use crate::shapes;

/// Checks every rule.
pub(crate) fn check(graph: &Graph<'_>, report: &mut Report) {
    check_not_empty(graph, report);
    check_captures(graph, report);
    check_origins(graph, report);
    check_ends(graph, report);
    check_names(graph, report);
    check_uses(graph, report);
    check_window_ids(graph, report);
    check_ids(graph, report);
    shapes::check(graph, report);
}

fn check_not_empty(graph: &Graph<'_>, report: &mut Report) {
    if graph.chains.is_empty() && report.is_empty() {
        let span = graph
            .flow
            .captures
            .last()
            .map_or_else(proc_macro2::Span::call_site, proc_macro2::Ident::span);
        report.error(
            span,
            "this flow is empty: write `source(..) -> .. -> sink(..);`",
        );
    }
}

fn check_captures(graph: &Graph<'_>, report: &mut Report) {
    let captures = &graph.flow.captures;
    for (at, name) in captures.iter().enumerate() {
        if captures[..at].contains(name) {
            report.error(name.span(), format!("`{name}` is captured twice"));
        }
    }
}

/// Origins stand first in a chain, and nothing else does.
fn check_origins(graph: &Graph<'_>, report: &mut Report) {
    for chain in &graph.flow.chains {
        for (at, stage) in chain.stages.iter().enumerate() {
            let Some(op) = stage.op else { continue };
            let (name, is_first) = (op.name(), at == 0 && chain.from.is_none());
            if op.place == Place::Origin && !is_first {
                let instead = match name {
                    "union" => "name both streams and write `union(a, b) -> ..`".to_owned(),
                    _ => format!("write `{name}(..)` as a chain of its own"),
                };
                report.error(
                    stage.span(),
                    format!("`{name}` begins a chain and cannot follow a stage: {instead}"),
                );
            }
            if op.place != Place::Origin && is_first {
                report.error(
                    stage.span(),
                    format!(
                        "`{name}` needs a stream before it: `stream -> {}`",
                        op.signature.usage
                    ),
                );
            }
        }
    }
}

/// A chain ends in a sink or in a name, not in both.
fn check_ends(graph: &Graph<'_>, report: &mut Report) {
    for chain in &graph.flow.chains {
        let sinks = chain
            .stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| stage.is_at(Place::Last));
        for (at, sink) in sinks {
            if at + 1 < chain.stages.len() {
                report.error(
                    sink.span(),
                    "nothing comes behind a sink: end the chain here, and to use the records twice, \
                     name their stream with `let` and begin two chains from it",
                );
            }
        }
        let ends_in_sink = chain
            .stages
            .last()
            .is_some_and(|stage| stage.is_at(Place::Last));
        match (&chain.name, ends_in_sink) {
            (Some(name), true) => {
                report.error(
                    name.span(),
                    format!("a chain that ends in a sink makes no stream: remove `let {name} =`"),
                );
            }
            (None, false) if !ends_unknown(chain) => {
                let span = chain.stages.last().map_or(chain.span, Stage::span);
                report.error(
                    span,
                    "nothing leaves this chain: end it with `-> sink(..)`, \
                     or name its stream with `let name = ..` and use that",
                );
            }
            _ => {}
        }
    }
}

/// Whether the chain's last stage is one that the language does not know: perhaps a sink.
fn ends_unknown(chain: &Chain) -> bool {
    chain.stages.last().is_some_and(|stage| stage.op.is_none())
}

/// Names are made once, before they are used.
fn check_names(graph: &Graph<'_>, report: &mut Report) {
    for name in &graph.made_again {
        report.error(
            name.span(),
            format!("there is a stream `{name}` already: choose another name"),
        );
    }
    for used in &graph.unresolved {
        let name = used.name;
        if graph.flow.unclear.contains(&text(name)) {
            continue;
        }
        match graph.stream(name) {
            Some(stream) if stream.made_in == used.chain => {
                report.error(
                    name.span(),
                    format!(
                        "`{name}` is made in this very statement: a stream cannot flow into itself"
                    ),
                );
            }
            Some(_) => report.error(
                name.span(),
                format!("`{name}` is used before it is made: move this statement behind its `let`"),
            ),
            None => {
                let names: Vec<&str> = graph.streams.keys().map(String::as_str).collect();
                let hint = crate::names::hint(&text(name), &names);
                let hint = if crate::ops::find(&text(name)).is_some() {
                    format!("; a stage is called, `{name}(..)`")
                } else {
                    hint
                };
                report.error(name.span(), format!("there is no stream `{name}`{hint}"));
            }
        }
    }
}

/// Every stream is used.
fn check_uses(graph: &Graph<'_>, report: &mut Report) {
    let used_too_early = |name: &str| graph.unresolved.iter().any(|used| text(used.name) == name);
    for (key, stream) in &graph.streams {
        if stream.uses > 0 || graph.flow.unclear.contains(key) || used_too_early(key) {
            continue;
        }
        let chain = &graph.flow.chains[stream.made_in];
        let is_let_of_sink = stream.option.is_none()
            && chain
                .stages
                .last()
                .is_some_and(|stage| stage.is_at(Place::Last));
        if is_let_of_sink {
            continue;
        }
        let name = stream.name;
        let message = match stream.option {
            Some("late") => format!(
                "the late records `{name}` go nowhere: write `{name} -> sink(..);`, or leave `late:` out to drop and count them"
            ),
            Some(option) => format!(
                "the stream `{name}` goes nowhere: write `{name} -> sink(..);`, or leave `{option}:` out to end the job at the first such record"
            ),
            None => format!(
                "the stream `{name}` is never used: write `{name} -> .. -> sink(..);`, or remove it"
            ),
        };
        report.error(name.span(), message);
    }
}

/// `as` names what has state, not the window before it.
fn check_window_ids(graph: &Graph<'_>, report: &mut Report) {
    for node in graph.chains.iter().flatten() {
        let is_window = node
            .stage
            .op
            .is_some_and(|op| op.memory == Memory::WithNext);
        if let (true, Some(id)) = (is_window, &node.stage.call.id) {
            report.error(id.span(), format!("a window and the stage behind it have one id: write `as {id}` behind that stage"));
        }
    }
}

/// Ids of stages with state, and all that are given by `as`, are unlike each other.
fn check_ids(graph: &Graph<'_>, report: &mut Report) {
    let mut first: BTreeMap<&str, &Node<'_>> = BTreeMap::new();
    for node in graph.chains.iter().flatten() {
        let Some(op) = node.stage.op else { continue };
        let is_given = node.stage.call.id.is_some();
        let counts = op.memory == Memory::Stateful || (is_given && op.memory == Memory::Stateless);
        if !counts {
            continue;
        }
        let Some(earlier) = first.get(node.id.as_str()) else {
            first.insert(&node.id, node);
            continue;
        };
        let (id, earlier) = (&node.id, &earlier.stage.call.name);
        let (span, message) = if let Some(name) = &node.stage.call.id {
            let message =
                format!("`{id}` is the id of an earlier `{earlier}` already: choose another name");
            (name.span(), message)
        } else {
            let message = format!(
                "this stage's id would be `{id}`, as that of an earlier `{earlier}`, and their state \
                 could not be told apart: name one of them, `{}(..) as another_name`",
                op.name()
            );
            (node.stage.span(), message)
        };
        report.error(span, message);
    }
}
