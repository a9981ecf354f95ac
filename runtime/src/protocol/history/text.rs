//! The history as a person reads it.

use std::fmt;

use super::{CheckpointRecord, RunEnd, RunRecord};
use crate::protocol::Last;
use crate::protocol::units::{bytes, time};

impl fmt::Display for Last {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.stage, self.worker, self.why.word())
    }
}

impl fmt::Display for CheckpointRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = &self.cost;
        write!(f, "epoch {} ", self.epoch)?;
        match &self.failure {
            None => write!(
                f,
                "took {} (estimated {}), {} new of {}",
                time(cost.took),
                time(cost.estimate),
                bytes(cost.weight.new_bytes),
                bytes(cost.weight.total_bytes)
            )?,
            Some(reason) => write!(f, "failed behind {}: {reason}", time(cost.took))?,
        }
        match &cost.last {
            Some(last) => write!(f, "; last was {last}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RunEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed { kind, reason } => write!(f, "failed, {kind}: {reason}"),
            Self::Killed => f.write_str("killed"),
            Self::Open => f.write_str("running, or killed"),
        }
    }
}

impl fmt::Display for RunRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} ", self.generation)?;
        match self.began.as_ref().map(|began| began.from) {
            Some(Some(from)) => write!(f, "from epoch {from} ")?,
            Some(None) => f.write_str("from the beginning ")?,
            None => {}
        }
        write!(f, "ran for {}: {}", time(self.ran()), self.end)
    }
}
