//! How a stage begins: its place in the backend, and what former subtasks left.

use super::{Life, Parts, StageOperator};
use crate::dataflow::fuse::Stages;
use crate::dataflow::target::Target;
use crate::error::Result;
use crate::ids::WorkerIndex;
use crate::protocol::SnapshotRef;
use crate::state::{Chain, ChainLimits, Former, KeyedLogic, Restoring, Share};

impl<L, St, T> StageOperator<L, St, T>
where
    L: KeyedLogic,
    St: Stages<In = L::Out>,
    T: Target<St::Out>,
{
    pub(super) fn open(&mut self) -> Result<()> {
        self.life = Life::Running;
        let Parts {
            context,
            stage,
            logic,
            target,
            answers,
            label,
            ..
        } = &mut self.parts;
        target.open()?;
        let Some(stage) = stage else { return Ok(()) };
        let snapshots = context
            .restored
            .keyed
            .get(stage)
            .map_or(&[][..], Vec::as_slice);
        let range = context
            .key_groups
            .range_of(context.worker, context.worker_count);
        let former = |snapshot| {
            let (worker, refs): &(WorkerIndex, Vec<SnapshotRef>) = snapshot;
            Former {
                range: context
                    .key_groups
                    .range_of(*worker, context.restored.worker_count),
                refs,
            }
        };
        let restoring = Restoring {
            subtask: &context.subtask(stage),
            share: Share::new(context.key_groups, range, context.fate.failed()),
            former: snapshots.iter().map(former).collect(),
            store: &context.store,
            evolving: context.restored.evolved.get(stage),
        };
        let began = context.clock.now();
        // Migrations are the user's, and so is how types are read.
        self.backend = label.guard(|| context.backend.open(logic, &restoring))?;
        let took = context.clock.now().saturating_sub(began);
        context.metrics.restored_within(took);
        let Some(answers) = answers else {
            return Ok(());
        };
        if self.backend.has_chain() {
            answers.compact_as(logic.table_types());
        }
        // With the same workers every subtask keeps its own key groups, and so its chain.
        // Nothing may follow what was stored of other types.
        if restoring.evolving.is_none()
            && context.restored.worker_count == context.worker_count
            && let Some((_, refs)) = snapshots
                .iter()
                .find(|(worker, _)| *worker == context.worker)
            && self.backend.goes_on_with(refs)
        {
            answers.restore_chain(Chain::restored(refs.clone(), ChainLimits::default()));
        }
        Ok(())
    }
}
