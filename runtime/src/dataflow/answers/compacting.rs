//! Compactions of an operator's snapshots: begun beside the worker, and put in their place by answers.

use std::sync::Arc;

use super::{Answers, Outcome};
use crate::error::Result;
use crate::metrics::Metrics;
use crate::state::{Compacted, Compaction, TableTypes};

/// Counts a compaction as long as it is there, also one that nobody waits for any more.
struct UnderWay(Arc<Metrics>);

impl UnderWay {
    fn begin(metrics: &Arc<Metrics>) -> Self {
        metrics.compaction_begins();
        Self(Arc::clone(metrics))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.compaction_ends();
    }
}

impl Answers {
    /// Says of which types the tables of the own stage are: without them nothing is compacted.
    pub(crate) fn compact_as(&mut self, types: Option<TableTypes>) {
        if let Some(own) = &mut self.own {
            own.types = types;
        }
    }

    /// Begins what the chain wants to be compacted.
    pub(super) fn compact(&mut self) {
        let Some(own) = &mut self.own else { return };
        let Some(types) = &own.types else { return };
        while let Some(order) = own.chain.next_order() {
            let subtask = self.context.subtask(&own.stage);
            let store = self.context.store.clone();
            let compaction = Compaction::new(order, types.clone(), store, subtask);
            let (number, bytes) = (compaction.number(), compaction.bytes());
            let (inbox, wake) = (self.inbox.clone(), Arc::clone(&self.wake));
            let under_way = UnderWay::begin(&self.context.metrics);
            self.context.compactor.run(compaction, move |result| {
                if result.is_ok() {
                    under_way.0.compacted(bytes);
                }
                let _ = inbox.send(Outcome::Compacted { number, result });
                let _ = wake.activate();
                drop(under_way);
            });
        }
    }

    pub(super) fn compacted(&mut self, number: u32, result: Result<Compacted>) {
        if let Some(own) = &mut self.own {
            own.chain.compacted(number, result);
        }
    }
}
