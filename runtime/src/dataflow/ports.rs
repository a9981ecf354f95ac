//! The ports of an operator while it is built.

use std::rc::Rc;

use timely::Container;
use timely::dataflow::Stream;
use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::{Activator, SyncActivator};

use super::graph::{Graph, WorkerContext};
use super::moment::Moment;

/// An operator while it is built: inputs first, then outputs.
pub struct Ports<'s> {
    pub(crate) graph: Graph<'s>,
    pub(crate) builder: OperatorBuilder<'s, Moment>,
}

/// The capabilities that an operator begins with, one for each output.
pub struct Capabilities(Vec<Option<Capability<Moment>>>);

impl Capabilities {
    /// The capability of one output. Each output takes its own, once.
    pub(crate) fn take(&mut self, output: usize) -> Capability<Moment> {
        self.0[output]
            .take()
            .expect("each output takes its own capability, once")
    }
}

impl<'s> Ports<'s> {
    pub(crate) fn new(graph: &Graph<'s>, name: &str) -> Self {
        Self {
            graph: graph.clone(),
            builder: OperatorBuilder::new(name.to_owned(), graph.scope()),
        }
    }

    pub(crate) fn context(&self) -> &Rc<WorkerContext> {
        self.graph.context()
    }

    /// An output that carries records: what arrives at an input may leave at the same time.
    pub(crate) fn output<C: Container>(
        &mut self,
    ) -> (usize, Output<Moment, C>, Stream<'s, Moment, C>) {
        let (output, stream) = self.builder.new_output();
        (output.output_index(), output, stream)
    }

    /// An output for answers: inputs do not hold it up, only its own capability does.
    pub(crate) fn answer_output<C: Container>(
        &mut self,
    ) -> (usize, Output<Moment, C>, Stream<'s, Moment, C>) {
        let (output, stream) = self.builder.new_output_connection(Vec::new());
        (output.output_index(), output, stream)
    }

    /// Wakes the operator from its own worker.
    pub(crate) fn activator(&self) -> Activator {
        self.graph
            .scope()
            .activator_for(self.builder.operator_info().address)
    }

    /// Wakes the operator from any thread.
    pub(crate) fn sync_activator(&self) -> SyncActivator {
        self.graph
            .scope()
            .worker()
            .sync_activator_for(self.builder.operator_info().address.to_vec())
    }

    /// Installs the operator. Its logic is boxed, so that timely's part is compiled once.
    pub(crate) fn build<L>(self, start: impl FnOnce(&mut Capabilities) -> L)
    where
        L: FnMut(&[MutableAntichain<Moment>]) + 'static,
    {
        self.builder.build(|capabilities| {
            start(&mut Capabilities(
                capabilities.into_iter().map(Some).collect(),
            ))
        });
    }
}
