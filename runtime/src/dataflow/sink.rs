//! A sink at the end of the fused loop.

use std::sync::Arc;

use super::fuse::{Label, Stages};
use super::moment::Moment;
use super::ports::{Capabilities, Ports};
use super::target::{Target, TargetSpec};
use crate::connector::{
    Barrier, Committer, PendingCommit, Sink, SinkContext, SinkGuarantee, SinkWriter,
};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::record::Rec;

/// Into a sink.
pub struct ToSink<W> {
    stage: StageId,
    sink: W,
}

impl<W> ToSink<W> {
    /// Into `sink`, which is the stage `stage`.
    pub fn new(stage: StageId, sink: W) -> Self {
        Self { stage, sink }
    }
}

/// The open end of [`ToSink`].
pub struct SinkTarget<S, W> {
    sink: S,
    context: SinkContext,
    label: Label,
    writer: Option<W>,
}

impl<S, W> SinkTarget<S, W> {
    fn in_stage(&self, error: Error) -> Error {
        error.in_stage(&self.context.stage)
    }
}

impl<'s, K: 'static, E: 'static, T: 'static, S: Sink<T>> TargetSpec<'s, Rec<K, E, T>>
    for ToSink<S>
{
    type Target = SinkTarget<S, S::Writer>;
    type Result = ();

    fn attach(self, ports: &mut Ports<'s>) -> (Self::Target, ()) {
        let Self { stage, sink } = self;
        if let SinkGuarantee::ExactlyOnce(transactional) = sink.guarantee() {
            ports.graph.add_transactional(stage.clone(), transactional);
        }
        let context = ports.context().sink_context(&stage);
        let label = Label::new(stage.as_str());
        (
            SinkTarget {
                sink,
                context,
                label,
                writer: None,
            },
            (),
        )
    }

    fn is_sink(&self) -> bool {
        true
    }

    fn transactional(
        &self,
        context: &super::graph::WorkerContext,
    ) -> Option<(StageId, Arc<dyn Committer>)> {
        match self.sink.guarantee() {
            SinkGuarantee::Plain => None,
            SinkGuarantee::ExactlyOnce(transactional) => Some((
                self.stage.clone(),
                transactional.committer(&context.sink_context(&self.stage)),
            )),
        }
    }
}

impl<K: 'static, E: 'static, T: 'static, S: Sink<T>> Target<Rec<K, E, T>>
    for SinkTarget<S, S::Writer>
{
    fn start(&mut self, _: &mut Capabilities) {}

    fn open(&mut self) -> Result<()> {
        let writer = self
            .sink
            .open(&self.context)
            .map_err(|e| self.in_stage(e))?;
        self.writer = Some(writer);
        Ok(())
    }

    #[inline(always)]
    fn drive<St: Stages<Out = Rec<K, E, T>>>(
        &mut self,
        stages: &mut St,
        batch: &mut Vec<St::In>,
    ) -> Result<()> {
        // The writer is a local for the length of the batch, like the stages before it.
        let mut writer = self
            .writer
            .take()
            .expect("a sink is opened before it is driven");
        let label = &self.label;
        let mut failed = None;
        stages.drive(batch, &mut |record| {
            if failed.is_none()
                && let Err(error) = label.guard(|| writer.write(record.value))
            {
                failed = Some(error);
            }
        });
        self.writer = Some(writer);
        failed.map_or(Ok(()), |error| Err(self.in_stage(error)))
    }

    fn is_open(&mut self) -> bool {
        true
    }

    fn batch_size(&self, most: usize) -> usize {
        most
    }

    fn flush(&mut self) {}

    fn advance(&mut self, _: Moment) {}

    fn prepare_commit(&mut self, epoch: Epoch, barrier: Barrier) -> Result<Option<PendingCommit>> {
        let Some(writer) = &mut self.writer else {
            return Ok(None);
        };
        let prepared = self.label.guard(|| writer.prepare_commit(epoch, barrier));
        prepared.map_err(|e| self.in_stage(e))
    }

    fn close(&mut self) {}
}
