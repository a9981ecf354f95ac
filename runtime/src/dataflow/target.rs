//! Where the records of an operator go: over an edge, over an exchange, or into a sink.
//!
//! A target is the end of the fused loop. It owns its output's capability, so that operators speak
//! of moments only.

use std::sync::Arc;

use timely::dataflow::Stream;
use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::Capability;

use super::batch::{Batch, Spares};
use super::credit::{Credit, CreditLimit};
use super::fuse::Stages;
use super::graph::WorkerContext;
use super::moment::Moment;
use super::ports::{Capabilities, Ports};
use crate::connector::{Barrier, Committer, PendingCommit};
use crate::error::Result;
use crate::ids::{Epoch, KeyGroupCount, StageId};
use crate::key::{Key, hash_of};
use crate::record::{Keyed, Rec};

/// The open end of an operator.
pub trait Target<R>: 'static {
    /// Takes the output's capability, when the operator starts.
    fn start(&mut self, capabilities: &mut Capabilities);

    /// Opens what lies behind the target; called once, when the operator first runs.
    fn open(&mut self) -> Result<()>;

    /// Drains `batch` through `stages` into the target: the fused loop.
    fn drive<S: Stages<Out = R>>(&mut self, stages: &mut S, batch: &mut Vec<S::In>) -> Result<()>;

    /// Whether the target takes more just now. If not, the operator is woken when it does.
    fn is_open(&mut self) -> bool;

    /// The size of the batches that the target is best fed with, at most `most`.
    fn batch_size(&self, most: usize) -> usize;

    /// Sends what is buffered.
    fn flush(&mut self);

    /// Sends what is buffered, and says that nothing before `moment` follows.
    fn advance(&mut self, moment: Moment);

    /// Takes part in the barrier of `epoch`; behind it comes the next epoch.
    fn prepare_commit(&mut self, epoch: Epoch, barrier: Barrier) -> Result<Option<PendingCommit>>;

    /// Sends what is buffered, and says that nothing follows.
    fn close(&mut self);
}

/// A target before its operator is built.
pub trait TargetSpec<'s, R> {
    /// The open end.
    type Target: Target<R>;
    /// What the flow gets to go on with.
    type Result;

    /// Adds the output to the operator.
    fn attach(self, ports: &mut Ports<'s>) -> (Self::Target, Self::Result);

    /// Whether records leave the flow here: then a checkpoint waits until they have.
    fn is_sink(&self) -> bool {
        false
    }

    /// The stage that stages output for a commit, if this is a transactional sink.
    fn transactional(&self, _: &WorkerContext) -> Option<(StageId, Arc<dyn Committer>)> {
        None
    }
}

/// A stream of records between two operators.
pub struct Edge<'s, R> {
    pub(crate) stream: Stream<'s, Moment, Batch<R>>,
    pub(crate) exchange: bool,
}

impl<R: Clone + 'static> Clone for Edge<'_, R> {
    fn clone(&self) -> Self {
        Self {
            stream: self.stream.clone(),
            exchange: self.exchange,
        }
    }
}

/// One output with its credit.
pub(crate) struct Outlet<R> {
    port: usize,
    output: Output<Moment, Batch<R>>,
    capability: Option<Capability<Moment>>,
    limit: CreditLimit,
    spares: Spares<R>,
}

impl<R: 'static> Outlet<R> {
    fn attach<'s>(ports: &mut Ports<'s>) -> (Self, Stream<'s, Moment, Batch<R>>) {
        let (port, output, stream) = ports.output();
        let limit = CreditLimit::new(
            Credit::new(ports.sync_activator()),
            ports.context().limits.edge_records,
        );
        (
            Self {
                port,
                output,
                capability: None,
                limit,
                spares: Spares::default(),
            },
            stream,
        )
    }

    fn start(&mut self, capabilities: &mut Capabilities) {
        self.capability = Some(capabilities.take(self.port));
    }

    fn send(&mut self, records: &mut Vec<R>, to: usize) {
        if records.is_empty() {
            return;
        }
        let capability = self
            .capability
            .as_ref()
            .expect("an operator sends nothing behind its end");
        let full = std::mem::replace(records, self.spares.take());
        let debt = self.limit.credit().take(full.len());
        let mut batch = Batch::new(full, to, debt, self.spares.clone());
        self.output.activate().give(capability, &mut batch);
    }

    fn advance(&mut self, moment: Moment) {
        let capability = self
            .capability
            .as_mut()
            .expect("an operator has not ended while it advances");
        if *capability.time() != moment {
            capability.downgrade(&moment);
        }
    }
}

/// To the next operator on the same worker.
pub struct ToEdge;

/// The open end of [`ToEdge`].
pub struct EdgeTarget<R> {
    outlet: Outlet<R>,
    buffer: Vec<R>,
    batch_records: usize,
}

impl<'s, R: 'static> TargetSpec<'s, R> for ToEdge {
    type Target = EdgeTarget<R>;
    type Result = Edge<'s, R>;

    fn attach(self, ports: &mut Ports<'s>) -> (EdgeTarget<R>, Edge<'s, R>) {
        let (outlet, stream) = Outlet::attach(ports);
        let batch_records = ports.context().limits.batch_records;
        (
            EdgeTarget {
                outlet,
                buffer: Vec::new(),
                batch_records,
            },
            Edge {
                stream,
                exchange: false,
            },
        )
    }
}

impl<R: 'static> EdgeTarget<R> {
    /// Takes records that no fused stage touches.
    pub(crate) fn push(&mut self, records: &mut Vec<R>) {
        self.buffer.append(records);
        self.send_full();
    }

    fn send_full(&mut self) {
        if self.buffer.len() >= self.outlet.limit.batch_size(self.batch_records) {
            self.outlet.send(&mut self.buffer, 0);
        }
    }
}

impl<R: 'static> Target<R> for EdgeTarget<R> {
    fn start(&mut self, capabilities: &mut Capabilities) {
        self.outlet.start(capabilities);
    }

    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn drive<S: Stages<Out = R>>(&mut self, stages: &mut S, batch: &mut Vec<S::In>) -> Result<()> {
        // A local vector: behind `&mut self` its length would be stored for each record.
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.reserve(batch.len());
        stages.drive(batch, &mut |record| buffer.push(record));
        self.buffer = buffer;
        self.send_full();
        Ok(())
    }

    fn is_open(&mut self) -> bool {
        self.outlet.limit.is_open()
    }

    fn batch_size(&self, most: usize) -> usize {
        self.outlet.limit.batch_size(most)
    }

    fn flush(&mut self) {
        self.outlet.send(&mut self.buffer, 0);
    }

    fn advance(&mut self, moment: Moment) {
        self.flush();
        self.outlet.advance(moment);
    }

    fn prepare_commit(&mut self, _: Epoch, _: Barrier) -> Result<Option<PendingCommit>> {
        Ok(None)
    }

    fn close(&mut self) {
        self.flush();
        self.outlet.capability = None;
    }
}

/// To the workers that own the records' keys.
pub struct ToKeyGroups;

/// The open end of [`ToKeyGroups`].
pub struct ExchangeTarget<R> {
    outlet: Outlet<R>,
    /// One for each worker.
    buffers: Vec<Vec<R>>,
    key_groups: KeyGroupCount,
    batch_records: usize,
}

impl<'s, K: Key, E: 'static, T: 'static> TargetSpec<'s, Rec<Keyed<K>, E, T>> for ToKeyGroups {
    type Target = ExchangeTarget<Rec<Keyed<K>, E, T>>;
    type Result = Edge<'s, Rec<Keyed<K>, E, T>>;

    fn attach(self, ports: &mut Ports<'s>) -> (Self::Target, Self::Result) {
        let (outlet, stream) = Outlet::attach(ports);
        let context = ports.context();
        let target = ExchangeTarget {
            outlet,
            buffers: (0..context.worker_count).map(|_| Vec::new()).collect(),
            key_groups: context.key_groups,
            batch_records: context.limits.batch_records,
        };
        (
            target,
            Edge {
                stream,
                exchange: true,
            },
        )
    }
}

impl<K: Key, E: 'static, T: 'static> Target<Rec<Keyed<K>, E, T>>
    for ExchangeTarget<Rec<Keyed<K>, E, T>>
{
    fn start(&mut self, capabilities: &mut Capabilities) {
        self.outlet.start(capabilities);
    }

    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn drive<S: Stages<Out = Rec<Keyed<K>, E, T>>>(
        &mut self,
        stages: &mut S,
        batch: &mut Vec<S::In>,
    ) -> Result<()> {
        if let [only] = &mut self.buffers[..] {
            let mut buffer = std::mem::take(only);
            buffer.reserve(batch.len());
            stages.drive(batch, &mut |record| buffer.push(record));
            *only = buffer;
        } else {
            let (buffers, key_groups) = (&mut self.buffers[..], self.key_groups);
            let worker_count = buffers.len();
            stages.drive(batch, &mut |record| {
                let group = key_groups.group_of(hash_of(&record.key.0));
                buffers[key_groups.worker_of(group, worker_count).index()].push(record);
            });
        }
        let full = self.outlet.limit.batch_size(self.batch_records);
        for (to, buffer) in self.buffers.iter_mut().enumerate() {
            if buffer.len() >= full {
                self.outlet.send(buffer, to);
            }
        }
        Ok(())
    }

    fn is_open(&mut self) -> bool {
        self.outlet.limit.is_open()
    }

    fn batch_size(&self, most: usize) -> usize {
        self.outlet.limit.batch_size(most)
    }

    fn flush(&mut self) {
        for (to, buffer) in self.buffers.iter_mut().enumerate() {
            self.outlet.send(buffer, to);
        }
    }

    fn advance(&mut self, moment: Moment) {
        self.flush();
        self.outlet.advance(moment);
    }

    fn prepare_commit(&mut self, _: Epoch, _: Barrier) -> Result<Option<PendingCommit>> {
        Ok(None)
    }

    fn close(&mut self) {
        self.flush();
        self.outlet.capability = None;
    }
}
