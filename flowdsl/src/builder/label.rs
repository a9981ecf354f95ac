//! The names of stages: given by `at`, or made from the chain's name.

use std::rc::Rc;

/// The name of a chain and of the stage that comes next in it.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    chain: Rc<str>,
    next: Option<String>,
}

impl Labels {
    pub(crate) fn of_chain(name: &str) -> Self {
        Self {
            chain: name.into(),
            next: None,
        }
    }

    pub(crate) fn name_next(&mut self, id: &str) {
        self.next = Some(id.to_owned());
    }

    /// The id of the stage that is being added: as given, or `chain.operation`.
    pub(crate) fn take(&mut self, operation: &str) -> String {
        self.next
            .take()
            .unwrap_or_else(|| format!("{}.{operation}", self.chain))
    }

    pub(crate) fn chain(&self) -> &str {
        &self.chain
    }
}
