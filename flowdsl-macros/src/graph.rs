//! Streams, who makes them and who uses them; stages, and their ids. Facts only: [`crate::check`]
//! judges them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use proc_macro2::{Ident, Literal};
use syn::Type;
use syn::ext::IdentExt as _;

use crate::lower::{Chain, Flow, Stage};
use crate::ops::{Memory, Place};

/// A flow with its names resolved.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub(crate) flow: &'a Flow,
    /// The nodes of each chain of the flow.
    pub(crate) chains: Vec<Vec<Node<'a>>>,
    /// Every stream by its name; for a name made twice, the first.
    pub(crate) streams: BTreeMap<String, Stream<'a>>,
    /// The later ones of streams with one name.
    pub(crate) made_again: Vec<&'a Ident>,
    /// Uses of names that no stream has at that place.
    pub(crate) unresolved: Vec<Use<'a>>,
}

/// A stage in its place.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) stage: &'a Stage,
    /// The stage id; for a window, that of the pair.
    pub(crate) id: String,
    /// Whether the stage before it is a window.
    pub(crate) in_window: bool,
    /// The stream that leaves this stage beside its main output.
    pub(crate) side: Option<&'a Ident>,
    /// The header's type, on the first source and on the last sink.
    pub(crate) header: Option<&'a Type>,
}

impl Node<'_> {
    /// The id as the builder takes it.
    pub(crate) fn id_literal(&self) -> Literal {
        let mut literal = Literal::string(&self.id);
        literal.set_span(self.stage.span());
        literal
    }
}

/// A named stream.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    pub(crate) name: &'a Ident,
    /// The chain that makes it.
    pub(crate) made_in: usize,
    /// The option that makes it, unless `let` does.
    pub(crate) option: Option<&'static str>,
    /// How many chains and unions read it.
    pub(crate) uses: usize,
}

/// A place that reads a stream.
#[derive(Debug)]
pub(crate) struct Use<'a> {
    pub(crate) name: &'a Ident,
    pub(crate) chain: usize,
}

impl<'a> Graph<'a> {
    /// Resolves the names of a flow.
    pub(crate) fn new(flow: &'a Flow) -> Self {
        let mut graph = Self {
            flow,
            chains: flow.chains.iter().map(nodes).collect(),
            streams: BTreeMap::new(),
            made_again: Vec::new(),
            unresolved: Vec::new(),
        };
        for (at, chain) in flow.chains.iter().enumerate() {
            graph.count_uses(at, chain);
            graph.make_streams(at, chain);
        }
        graph.place_header();
        graph
    }

    /// The stream of this name.
    pub(crate) fn stream(&self, name: &Ident) -> Option<&Stream<'a>> {
        self.streams.get(&text(name))
    }

    fn count_uses(&mut self, at: usize, chain: &'a Chain) {
        let reads = chain.from.iter().chain(
            chain
                .stages
                .iter()
                .flat_map(|stage| stage.arguments.streams()),
        );
        for name in reads {
            match self.streams.get_mut(&text(name)) {
                Some(stream) => stream.uses += 1,
                None => self.unresolved.push(Use { name, chain: at }),
            }
        }
    }

    fn make_streams(&mut self, at: usize, chain: &'a Chain) {
        let sides = chain
            .stages
            .iter()
            .flat_map(|stage| stage.arguments.new_streams());
        let all = sides
            .map(|(option, name)| (Some(option), name))
            .chain(chain.name.iter().map(|name| (None, name)));
        for (option, name) in all {
            match self.streams.entry(text(name)) {
                Entry::Occupied(_) => self.made_again.push(name),
                Entry::Vacant(free) => {
                    free.insert(Stream {
                        name,
                        made_in: at,
                        option,
                        uses: 0,
                    });
                }
            }
        }
    }

    fn place_header(&mut self) {
        let Some(header) = &self.flow.header else {
            return;
        };
        let is_source =
            |node: &&mut Node<'_>| node.stage.op.is_some_and(|op| op.name() == "source");
        if let Some(source) = self.chains.iter_mut().flatten().find(is_source) {
            source.header = Some(&header.input);
        }
        if let Some(sink) = self
            .chains
            .iter_mut()
            .flatten()
            .filter(|node| node.stage.is_at(Place::Last))
            .last()
        {
            sink.header = Some(&header.output);
        }
    }
}

/// The text of a name, the same for `name` and `r#name`.
pub(crate) fn text(name: &Ident) -> String {
    name.unraw().to_string()
}

/// The stages of a chain with their ids: the stream's name and the stage's, or the `as` name.
fn nodes(chain: &Chain) -> Vec<Node<'_>> {
    let mut nodes: Vec<Node<'_>> = chain
        .stages
        .iter()
        .map(|stage| node(chain, stage))
        .collect();
    // Malformed records leave behind the event time of their source.
    if let Some(at) = nodes
        .iter()
        .position(|node| node.stage.op.is_some_and(|op| op.name() == "event_time"))
        && nodes[0].stage.is_at(Place::Origin)
    {
        nodes[at].side = nodes[0].side.take();
    }
    // A window belongs to the stage behind it: one id, and the late records leave there.
    for at in 1..nodes.len() {
        let (before, from) = nodes.split_at_mut(at);
        let (window, next) = (&mut before[at - 1], &mut from[0]);
        if window
            .stage
            .op
            .is_some_and(|op| op.memory == Memory::WithNext)
        {
            window.id.clone_from(&next.id);
            next.in_window = true;
            next.side = window.side.take();
        }
    }
    nodes
}

fn node<'a>(chain: &'a Chain, stage: &'a Stage) -> Node<'a> {
    let side = stage.arguments.new_streams().next().map(|(_, name)| name);
    Node {
        stage,
        id: id(chain, stage),
        in_window: false,
        side,
        header: None,
    }
}

fn id(chain: &Chain, stage: &Stage) -> String {
    if let Some(id) = &stage.call.id {
        return text(id);
    }
    let name = text(&stage.call.name);
    let named = chain.name.as_ref().or(chain.from.as_ref());
    if let Some(stream) = named {
        return format!("{}.{name}", text(stream));
    }
    // A chain without a name is called as its origin is.
    let Some(origin) = chain.stages.first() else {
        return name;
    };
    let origin_id = origin
        .call
        .id
        .as_ref()
        .map_or_else(|| text(&origin.call.name), text);
    if std::ptr::eq(origin, stage) {
        origin_id
    } else {
        format!("{origin_id}.{name}")
    }
}
