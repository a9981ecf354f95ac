//! Key, event time and windows, followed through the flow stage by stage.
//!
//! Each stage says itself what it needs and makes (`Op::shape`); here stands how shapes travel
//! between stages and chains.

use std::collections::BTreeMap;

use proc_macro2::Ident;

use crate::graph::{Graph, Node, text};
use crate::ops::{Has, Op, Place, Shape, Windows};
use crate::report::Report;

/// Checks what every stage needs of the streams that enter it.
pub(crate) fn check(graph: &Graph<'_>, report: &mut Report) {
    let mut shapes = Shapes {
        graph,
        known: BTreeMap::new(),
    };
    for (chain, nodes) in graph.flow.chains.iter().zip(&graph.chains) {
        let mut shape = chain
            .from
            .as_ref()
            .map_or(Shape::UNKNOWN, |from| shapes.of(from));
        for (at, node) in nodes.iter().enumerate() {
            let is_first = at == 0 && chain.from.is_none();
            shape = match node.stage.op {
                Some(op) => shapes.behind(op, node, shape, is_first, report),
                None => Shape::UNKNOWN,
            };
        }
        if let (true, Some(window)) = (shape.windows != Windows::None, nodes.last()) {
            report.error(
                window.stage.span(),
                "`window` is followed by what to make of its records, `aggregate`, `reduce` or `fold`",
            );
        }
        for (option, name) in nodes
            .iter()
            .flat_map(|node| node.stage.arguments.new_streams())
        {
            if option == "errors" {
                // The source's operator ends where its malformed records leave.
                shape.at_source = Has::No;
            }
            let side = if option == "late" {
                Shape::LATE
            } else {
                Shape::ERRORS
            };
            shapes.known.insert(text(name), side);
        }
        if let Some(name) = &chain.name {
            shapes.known.insert(
                text(name),
                Shape {
                    windows: Windows::None,
                    ..shape
                },
            );
        }
    }
}

/// The shapes of the streams so far.
struct Shapes<'a> {
    graph: &'a Graph<'a>,
    known: BTreeMap<String, Shape>,
}

impl Shapes<'_> {
    /// What is known of a stream where it is used.
    fn of(&self, name: &Ident) -> Shape {
        let shape = self
            .known
            .get(&text(name))
            .copied()
            .unwrap_or(Shape::UNKNOWN);
        let is_shared = self
            .graph
            .stream(name)
            .is_some_and(|stream| stream.uses > 1);
        if is_shared {
            Shape {
                at_source: Has::No,
                ..shape
            }
        } else {
            shape
        }
    }

    /// The shape behind a stage that `input` enters.
    fn behind(
        &self,
        op: &Op,
        node: &Node<'_>,
        input: Shape,
        is_first: bool,
        report: &mut Report,
    ) -> Shape {
        let stage = node.stage;
        let mut input = input;
        if input.windows != Windows::None && !op.reads_windows() {
            report.error(
                stage.span(),
                format!(
                    "`{}` cannot follow `window`: say first what to make of a window's records, \
                     with `aggregate`, `reduce` or `fold`",
                    op.name()
                ),
            );
            input = Shape::UNKNOWN;
        }
        match (op.place, is_first) {
            (Place::Origin, true) => {
                let inputs: Vec<Shape> = stage
                    .arguments
                    .streams()
                    .map(|stream| self.of(stream))
                    .collect();
                (op.shape)(stage, &inputs, report)
            }
            // An origin behind a stage is a mistake that another rule names.
            (Place::Origin, false) => Shape::UNKNOWN,
            (Place::Middle | Place::Last, _) => (op.shape)(stage, &[input], report),
        }
    }
}
