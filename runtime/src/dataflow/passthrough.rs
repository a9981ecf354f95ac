//! The logic of an operator that only reads an edge: records pass through, nothing is kept.

use std::marker::PhantomData;

use crate::error::Result;
use crate::schema::Schema;
use crate::state::{
    FrozenChunk, KeyedLogic, Progress, Share, SnapshotScope, StageBackend, TableTypes,
};

/// Passes records on.
pub(crate) struct Passthrough<R>(PhantomData<fn(R) -> R>);

impl<R> Default for Passthrough<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R: 'static> KeyedLogic for Passthrough<R> {
    type In = R;
    type Out = R;

    fn schema(&self) -> Schema {
        Schema::plain("()")
    }

    fn open(&mut self, _: &StageBackend) {}

    fn resume(&mut self) -> Result<()> {
        Ok(())
    }

    fn process(&mut self, batch: &mut Vec<R>, _: i64, out: &mut Vec<R>, _: &mut Vec<R>) {
        if out.is_empty() {
            std::mem::swap(batch, out);
        } else {
            out.append(batch);
        }
    }

    fn fire(&mut self, _: i64, _: &mut Vec<R>, _: usize) -> Progress {
        Progress::Done
    }

    fn freeze(&mut self, _: SnapshotScope) {}

    fn copy_frozen(&mut self, _: usize) -> Option<FrozenChunk> {
        None
    }

    fn table_types(&self) -> Option<TableTypes> {
        None
    }

    fn len(&self) -> usize {
        0
    }

    fn restore(&mut self, _: &[u8], _: Share<'_>) -> Result<()> {
        Ok(())
    }
}
