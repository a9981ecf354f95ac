//! What somebody in another process asks of a run, and what the run answers.
//!
//! A request is addressed to one claim of the log: a run acts on what is addressed to it and on nothing else, so that
//! a request that was left behind stops no later run.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::ids::{Epoch, Generation};
use crate::protocol::{Drain, LogView, SlotContent};

/// A run, as its claim names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Addressee {
    /// Its generation.
    pub generation: Generation,
    /// Its nonce.
    pub nonce: u64,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// A last checkpoint, and the end.
    Stop,
    /// The same, and the last checkpoint is a savepoint, too.
    StopWithSavepoint {
        /// Where it goes to, as the run understands it.
        to: String,
        /// Whether everything fires that waits for a time.
        drain: Drain,
    },
    /// A savepoint; the job goes on.
    Savepoint {
        /// Where it goes to, as the run understands it.
        to: String,
    },
    /// A checkpoint now.
    Checkpoint,
}

/// What a run says to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// It is done.
    Done {
        /// The epoch of the checkpoint that was taken; none where the run has stopped without one.
        epoch: Option<Epoch>,
    },
    /// It is not.
    Refused {
        /// The word for the kind of the error.
        kind: String,
        /// The error.
        message: String,
    },
}

impl Reply {
    /// The reply that an error is.
    pub fn refused(error: &Error) -> Self {
        Self::Refused {
            kind: error.kind().as_str().to_owned(),
            message: error.to_string(),
        }
    }

    /// What came of the request.
    ///
    /// # Errors
    ///
    /// What the run said.
    pub fn into_result(self) -> Result<Option<Epoch>, Error> {
        match self {
            Self::Done { epoch } => Ok(epoch),
            Self::Refused { kind, message } => {
                let kinds = [
                    ErrorKind::Invalid,
                    ErrorKind::Unavailable,
                    ErrorKind::Fenced,
                    ErrorKind::Corrupt,
                ];
                let known = kinds.into_iter().find(|known| known.as_str() == kind);
                Err(Error::new(known.unwrap_or(ErrorKind::Unavailable), message))
            }
        }
    }
}

/// What the name of a request, or of the reply to it, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestName {
    /// To whom it is addressed.
    pub to: Addressee,
    /// A number that no other request has.
    pub id: u64,
}

/// How many generations replies are kept for: whoever asked may look late.
const REPLIES_KEPT: u64 = 16;

/// Whether a request is of no use any more, now that `own` has claimed the log.
pub fn is_stale_request(name: RequestName, own: Addressee) -> bool {
    name.to.generation < own.generation
}

/// Whether a reply is of no use any more.
pub fn is_stale_reply(name: RequestName, own: Addressee) -> bool {
    name.to.generation.0.saturating_add(REPLIES_KEPT) < own.generation.0
}

/// Whom a request is addressed to: the run that holds the newest claim.
///
/// # Errors
///
/// `Invalid` if no run can answer: there has never been one, or the job has finished.
pub fn addressee_of(log: &LogView, place: &str) -> Result<Addressee, Error> {
    let claim = log.slots.iter().rev().find_map(|slot| match &slot.content {
        SlotContent::Claim(claim) => Some((slot.number, claim)),
        SlotContent::Manifest(_)
        | SlotContent::Damaged { .. }
        | SlotContent::OtherVersion { .. } => None,
    });
    let Some((at, claim)) = claim else {
        return Err(Error::invalid(format!(
            "no job has ever run on {place}: is it the checkpoint directory?"
        )));
    };
    let newest = log.manifests_newest_first().next();
    if newest.is_some_and(|(slot, manifest)| slot > at && manifest.finished) {
        return Err(Error::invalid(format!(
            "the job `{}` on {place} has finished",
            claim.job
        )));
    }
    Ok(Addressee {
        generation: claim.generation,
        nonce: claim.nonce,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Manifest;
    use crate::protocol::testing::{bare_manifest, claim, log_of, manifest};

    #[test]
    fn a_request_goes_to_the_run_of_the_newest_claim() {
        let to = |slots: Vec<SlotContent>| {
            addressee_of(&log_of(slots), "here").map(|to| to.generation.0)
        };
        assert_eq!(to(vec![claim(1), manifest(1, 1), claim(2)]).ok(), Some(2));
        assert_eq!(to(vec![claim(1), manifest(1, 1)]).ok(), Some(1));
        assert_eq!(to(vec![]).expect_err("nobody").kind(), ErrorKind::Invalid);
        let finished = Manifest {
            finished: true,
            ..bare_manifest(1, 1)
        };
        let finished = SlotContent::Manifest(Box::new(finished));
        assert_eq!(
            to(vec![claim(1), finished.clone()])
                .expect_err("it is over")
                .kind(),
            ErrorKind::Invalid
        );
        assert_eq!(
            to(vec![claim(1), finished, claim(2)]).ok(),
            Some(2),
            "it commits what is left"
        );
    }

    #[test]
    fn a_reply_outlives_the_run_that_gave_it_and_a_request_does_not() {
        let own = Addressee {
            generation: Generation(20),
            nonce: 1,
        };
        let of = |generation| RequestName {
            to: Addressee {
                generation: Generation(generation),
                nonce: 2,
            },
            id: 3,
        };
        assert!(is_stale_request(of(19), own) && !is_stale_request(of(20), own));
        assert!(!is_stale_reply(of(19), own) && is_stale_reply(of(3), own));
    }

    #[test]
    fn an_error_arrives_as_it_was_said() {
        let error = Error::invalid("it is not empty");
        let arrived = Reply::refused(&error)
            .into_result()
            .expect_err("it was refused");
        assert_eq!(
            (arrived.kind(), arrived.to_string()),
            (error.kind(), error.to_string())
        );
    }
}
