//! A sink that collects in memory, exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use crate::connector::{
    Barrier, Committable, Committer, OutputFacts, PendingCommit, Prepared, Sink, SinkContext,
    SinkGuarantee, SinkWriter, Transactional,
};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, WorkerIndex};
use crate::protocol::CommitPermit;

/// Collects records in memory; those of completed checkpoints, and each of them once, can be seen.
///
/// Clones collect into the same place: keep one outside of the flow. What is collected lives as
/// long as the process; a job that is restored in another process collects from there on.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::connector::Collect;
///
/// let alarms = Collect::<String>::new();
/// let _in_the_flow = alarms.clone();
/// assert!(alarms.records().is_empty());
/// ```
pub struct Collect<T> {
    output: Arc<Mutex<Output<T>>>,
}

/// The output of one subtask in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Batch {
    epoch: Epoch,
    generation: Generation,
    worker: WorkerIndex,
}

struct Output<T> {
    staged: BTreeMap<Batch, Vec<T>>,
    visible: BTreeMap<Batch, Vec<T>>,
}

impl<T> Output<T> {
    fn generations(&self) -> impl Iterator<Item = Generation> {
        let batches = self.visible.keys().chain(self.staged.keys());
        batches.map(|batch| batch.generation)
    }
}

impl<T> Collect<T> {
    /// An empty collection.
    pub fn new() -> Self {
        Self {
            output: Arc::new(Mutex::new(Output {
                staged: BTreeMap::new(),
                visible: BTreeMap::new(),
            })),
        }
    }

    /// The committed records: by epoch, in an epoch by worker, and as each worker wrote them.
    pub fn records(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.lock().visible.values().flatten().cloned().collect()
    }

    /// Takes the committed records out.
    pub fn take(&self) -> Vec<T> {
        self.lock()
            .visible
            .values_mut()
            .flat_map(mem::take)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Output<T>> {
        self.output
            .lock()
            .expect("nothing panics while it holds this lock but a record's own clone")
    }
}

impl<T> Default for Collect<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Collect<T> {
    fn clone(&self) -> Self {
        Self {
            output: Arc::clone(&self.output),
        }
    }
}

impl<T> fmt::Debug for Collect<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collect").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Sink<T> for Collect<T> {
    type Writer = CollectWriter<T>;

    fn describe(&self) -> String {
        "collect".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::ExactlyOnce(Arc::new(self.clone()))
    }

    fn open(&self, context: &SinkContext) -> Result<CollectWriter<T>> {
        let (generation, worker) = (context.generation, context.worker);
        Ok(CollectWriter {
            collect: self.clone(),
            generation,
            worker,
            written: Vec::new(),
        })
    }
}

/// A [`Collect`] that is open on one worker.
pub struct CollectWriter<T> {
    collect: Collect<T>,
    generation: Generation,
    worker: WorkerIndex,
    written: Vec<T>,
}

impl<T: Send + 'static> SinkWriter<T> for CollectWriter<T> {
    #[inline]
    fn write(&mut self, record: T) -> Result<()> {
        self.written.push(record);
        Ok(())
    }

    fn prepare_commit(&mut self, epoch: Epoch, _barrier: Barrier) -> Result<Option<PendingCommit>> {
        let written = mem::take(&mut self.written);
        let mut prepared = Prepared::default();
        if !written.is_empty() {
            let batch = Batch {
                epoch,
                generation: self.generation,
                worker: self.worker,
            };
            self.collect.lock().staged.insert(batch, written);
            prepared.committables.push(batch.encode());
        }
        Ok(Some(Box::new(move || Ok(prepared))))
    }
}

impl Batch {
    fn encode(self) -> Committable {
        Committable(bitcode::serialize(&self).expect("numbers can be serialized"))
    }

    fn decode(committable: &Committable) -> Result<Self> {
        bitcode::deserialize(&committable.0).map_err(|e| {
            Error::corrupt(format!(
                "a committable of a collection does not decode: {e}"
            ))
        })
    }
}

impl<T: Send + 'static> Transactional for Collect<T> {
    fn inspect(&self, _context: &SinkContext) -> Result<OutputFacts> {
        let output = self.lock();
        let newest_epoch = output.visible.keys().map(|batch| batch.epoch).max();
        Ok(OutputFacts {
            place: "memory".to_owned(),
            visible: output.visible.len(),
            newest_epoch,
            newest_generation: output.generations().max(),
        })
    }

    fn take_back(&self, context: &SinkContext, kept: Epoch) -> Result<()> {
        let is_later = |batch: &Batch| batch.generation > context.generation;
        self.lock()
            .visible
            .retain(|batch, _| batch.epoch <= kept || is_later(batch));
        Ok(())
    }

    fn clear(&self, context: &SinkContext) -> Result<()> {
        let mut output = self.lock();
        let is_later = |batch: &Batch| batch.generation > context.generation;
        output.visible.retain(|batch, _| is_later(batch));
        output.staged.retain(|batch, _| is_later(batch));
        Ok(())
    }

    fn discard_staged(
        &self,
        context: &SinkContext,
        named: &[Committable],
        _unfinished: &[Vec<u8>],
    ) -> Result<()> {
        let named = named
            .iter()
            .map(Batch::decode)
            .collect::<Result<BTreeSet<_>>>()?;
        self.lock()
            .staged
            .retain(|batch, _| named.contains(batch) || batch.generation > context.generation);
        Ok(())
    }

    fn finish(&self, _context: &SinkContext, _unfinished: &[u8]) -> Result<Vec<Committable>> {
        Err(Error::corrupt(
            "a collection leaves nothing unfinished, but the checkpoint says so",
        ))
    }

    fn committer(&self, _context: &SinkContext) -> Arc<dyn Committer> {
        Arc::new(self.clone())
    }
}

impl<T: Send + 'static> Committer for Collect<T> {
    fn commit(&self, permit: &CommitPermit, committable: &Committable) -> Result<()> {
        let batch = Batch::decode(committable)?;
        let (epoch, permitted) = (batch.epoch, permit.epoch());
        assert!(
            epoch <= permitted,
            "the output of epoch {epoch} is committed with a permit for epoch {permitted}"
        );
        let mut output = self.lock();
        // Not staged: it is visible already, or was in the memory of a process that has ended.
        if let Some(records) = output.staged.remove(&batch) {
            output.visible.insert(batch, records);
        }
        Ok(())
    }
}
