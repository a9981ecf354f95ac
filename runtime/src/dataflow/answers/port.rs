//! An output of an operator by which it answers the coordinator.

use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::Capability;

use crate::dataflow::moment::Moment;
use crate::dataflow::ports::{Capabilities, Ports};

/// An answer output with its capability.
pub(super) struct Port<M> {
    at: usize,
    output: Output<Moment, Vec<M>>,
    pub(super) capability: Option<Capability<Moment>>,
}

impl<M: Clone + 'static> Port<M> {
    pub(super) fn attach<'s>(
        ports: &mut Ports<'s>,
    ) -> (Self, timely::dataflow::Stream<'s, Moment, Vec<M>>) {
        let (at, output, stream) = ports.answer_output();
        (
            Self {
                at,
                output,
                capability: None,
            },
            stream,
        )
    }

    pub(super) fn start(&mut self, capabilities: &mut Capabilities) {
        self.capability = Some(capabilities.take(self.at));
    }

    pub(super) fn send(&mut self, mut messages: Vec<M>) {
        if let Some(capability) = &self.capability {
            self.output.activate().give(capability, &mut messages);
        }
    }

    pub(super) fn downgrade(&mut self, moment: Moment) {
        if let Some(capability) = &mut self.capability {
            capability.downgrade(&moment);
        }
    }
}
