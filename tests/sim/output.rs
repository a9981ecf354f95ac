//! The place that the simulated sink writes to, and the sink's own side of it.
//!
//! Output is made of parts. A part is staged whole, and becomes visible by one rename: so does the file
//! sink it. A part that goes on over a barrier grows while it is staged, and is cut by a restore.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use flowdsl_runtime::Result;
use flowdsl_runtime::connector::{Committable, Committer, OutputFacts, SinkContext, Transactional};
use flowdsl_runtime::error::Error;
use flowdsl_runtime::ids::{Epoch, Generation};
use flowdsl_runtime::protocol::CommitPermit;
use serde::{Deserialize, Serialize};

use crate::fiber::ask;
use crate::request::{Act, Answer, Request};
use crate::storage::done;

/// One record of the output: the id of the input record, and its key's count behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) id: u32,
    pub(crate) key: u32,
    pub(crate) count: u32,
}

/// The name of a part: what one writer wrote in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) worker: u32,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}-g{}-w{}", self.epoch, self.generation, self.worker)
    }
}

impl Part {
    pub(crate) fn encode(self) -> Committable {
        let text = format!("{} {} {}", self.epoch, self.generation, self.worker);
        Committable(text.into_bytes())
    }

    pub(crate) fn decode(committable: &Committable) -> Result<Self> {
        let wrong = || Error::corrupt("a committable of the simulated sink does not decode");
        let text = std::str::from_utf8(&committable.0).map_err(|_| wrong())?;
        let numbers: Vec<u64> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [epoch, generation, worker] => Ok(Self {
                epoch,
                generation,
                worker: worker as u32,
            }),
            _ => Err(wrong()),
        }
    }
}

/// What is there.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) staged: BTreeMap<Part, Vec<Row>>,
    pub(crate) visible: BTreeMap<Part, Vec<Row>>,
}

impl Output {
    /// Performs an operation of the output.
    pub(crate) fn perform(&mut self, act: &Act) -> Answer {
        match act {
            Act::Stage { part, rows } => {
                self.staged.insert(*part, rows.clone());
            }
            Act::Commit { part } => {
                if let Some(rows) = self.staged.remove(part) {
                    self.visible.insert(*part, rows);
                } else if !self.visible.contains_key(part) {
                    let lost = format!("{part} is lost: it is neither staged nor visible");
                    return Answer::Done(Err(Error::corrupt(lost)));
                }
            }
            Act::RemoveStaged { part } => {
                self.staged.remove(part);
            }
            Act::RemoveVisible { part } => {
                self.visible.remove(part);
            }
            Act::ListStaged => return Answer::Parts(Ok(self.staged.keys().copied().collect())),
            Act::ListVisible => return Answer::Parts(Ok(self.visible.keys().copied().collect())),
            Act::Create { .. }
            | Act::Write { .. }
            | Act::Read { .. }
            | Act::List { .. }
            | Act::Delete { .. } => unreachable!("an operation of the checkpoint storage"),
        }
        Answer::Done(Ok(()))
    }
}

/// The sink as the job knows it.
#[derive(Debug)]
pub(crate) struct SimSink;

fn parts(act: Act) -> Result<Vec<Part>> {
    match ask(Request::Act(act)) {
        Answer::Parts(result) => result,
        _ => unreachable!("a list of output is answered as one"),
    }
}

impl Transactional for SimSink {
    fn inspect(&self, _: &SinkContext) -> Result<OutputFacts> {
        let visible = parts(Act::ListVisible)?;
        Ok(OutputFacts {
            place: "the simulated output".to_owned(),
            visible: visible.len(),
            newest_epoch: visible.iter().map(|part| Epoch(part.epoch)).max(),
            newest_generation: visible.iter().map(|part| Generation(part.generation)).max(),
        })
    }

    fn take_back(&self, context: &SinkContext, kept: Epoch) -> Result<()> {
        let later = parts(Act::ListVisible)?;
        later
            .into_iter()
            .filter(|part| part.epoch > kept.0 && part.generation <= context.generation.0)
            .try_for_each(|part| done(Act::RemoveVisible { part }))
    }

    fn clear(&self, context: &SinkContext) -> Result<()> {
        self.take_back(context, Epoch(0))?;
        self.discard_staged(context, &[], &[])
    }

    fn discard_staged(
        &self,
        context: &SinkContext,
        named: &[Committable],
        _: &[Vec<u8>],
    ) -> Result<()> {
        let named = named
            .iter()
            .map(Part::decode)
            .collect::<Result<BTreeSet<_>>>()?;
        parts(Act::ListStaged)?
            .into_iter()
            .filter(|part| !named.contains(part) && part.generation <= context.generation.0)
            .try_for_each(|part| done(Act::RemoveStaged { part }))
    }

    fn finish(&self, _: &SinkContext, _: &[u8]) -> Result<Vec<Committable>> {
        Err(Error::corrupt(
            "the simulated sink leaves nothing unfinished",
        ))
    }

    fn committer(&self, _: &SinkContext) -> Arc<dyn Committer> {
        Arc::new(Self)
    }
}

impl Committer for SimSink {
    fn commit(&self, permit: &CommitPermit, committable: &Committable) -> Result<()> {
        let part = Part::decode(committable)?;
        assert!(
            part.epoch <= permit.epoch().0,
            "{part} is committed with a permit for epoch {}",
            permit.epoch()
        );
        done(Act::Commit { part })
    }
}
