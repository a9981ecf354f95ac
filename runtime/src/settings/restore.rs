//! Which checkpoint a run begins from, where that is not its own newest one.

use crate::ids::Epoch;
use crate::storage::CheckpointLocation;

/// A checkpoint to begin from: a savepoint, one of another directory, or an older one of the job's own.
///
/// It is brought into the job's own checkpoint directory once: a run with the same settings that finds it there goes
/// on from its own newest checkpoint.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::ids::Epoch;
/// use flowdsl_runtime::settings::{Options, RestoreFrom};
///
/// let moved = Options::new().checkpoint_dir("new").restore_from(RestoreFrom::place("savepoints/monday"));
/// let back = Options::new().checkpoint_dir("new").restore_from(RestoreFrom::own(Epoch(41)));
/// assert!(moved.validate().is_ok() && back.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreFrom {
    /// Where it is; `None` is the job's own checkpoint directory.
    pub location: Option<CheckpointLocation>,
    /// Its epoch; `None` is the newest one.
    pub epoch: Option<Epoch>,
    /// Who owns it then.
    pub mode: RestoreMode,
}

/// Who owns a savepoint behind a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestoreMode {
    /// Whoever has owned it before: it is not touched.
    #[default]
    NoClaim,
    /// The job: it is deleted when the first checkpoint of the run is complete.
    Claim,
}

impl RestoreFrom {
    /// The newest checkpoint of another place, which may be a savepoint.
    pub fn place(location: impl Into<CheckpointLocation>) -> Self {
        Self {
            location: Some(location.into()),
            epoch: None,
            mode: RestoreMode::NoClaim,
        }
    }

    /// An older checkpoint of the job's own directory.
    pub fn own(epoch: Epoch) -> Self {
        Self {
            location: None,
            epoch: Some(epoch),
            mode: RestoreMode::NoClaim,
        }
    }

    /// The checkpoint of this epoch.
    pub fn epoch(mut self, epoch: Epoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The savepoint belongs to the job from then on.
    pub fn claim(mut self) -> Self {
        self.mode = RestoreMode::Claim;
        self
    }

    /// Says everything that is wrong, and why.
    pub(crate) fn wrong(&self, own: Option<&CheckpointLocation>, wrong: &mut Vec<String>) {
        match &self.location {
            None => {
                if self.epoch.is_none() {
                    wrong.push("`restore_from` names neither a place nor an epoch".to_owned());
                }
                if self.mode == RestoreMode::Claim {
                    wrong.push("only a savepoint in another place can be claimed".to_owned());
                }
            }
            Some(from) => {
                if let Err(error) = from.check() {
                    wrong.push(error.message().to_owned());
                }
                if own.is_some_and(|own| own.overlaps(from)) {
                    wrong.push(format!(
                        "{from} is the job's own checkpoint directory, or a part of it: name the epoch alone to go \
                         back to an older checkpoint"
                    ));
                }
            }
        }
    }
}
