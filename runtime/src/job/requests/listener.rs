//! The run's end: a thread that looks for requests, and replies to them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use crate::clock::Clock;
use crate::dataflow::companion::Companion;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Epoch;
use crate::job::coordinator::Event;
use crate::job::savepoints::{Occasion, SavepointOrder};
use crate::protocol::{Addressee, Reply, RequestName, Wish, is_stale_reply, is_stale_request};
use crate::storage::requests::{self, Listed};
use crate::storage::{CheckpointLocation, CheckpointStorage};

/// The most requests that are acted on at a time.
const MOST: usize = 16;
/// How often replies are looked for while some are owed, and a clock that is moved by hand is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the end of the run waits for the last replies.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread of one claim; it listens until the next one begins, or the run ends.
#[derive(Debug)]
pub(in crate::job) struct Listener {
    /// Takes how the job has ended, and is dropped where another claim follows.
    end: Sender<Result<()>>,
    thread: Companion,
}

/// What the thread works with.
pub(in crate::job) struct ListenerParts {
    pub(in crate::job) storage: Arc<dyn CheckpointStorage>,
    pub(in crate::job) own: Addressee,
    pub(in crate::job) every: Duration,
    pub(in crate::job) clock: Clock,
    pub(in crate::job) events: Sender<Event>,
}

/// A request that was acted on and not replied to.
struct Owed {
    wish: Wish,
    outcome: Receiver<Result<Epoch>>,
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// `Unavailable` if there is no thread for it.
    pub(in crate::job) fn start(parts: ListenerParts) -> Result<Self> {
        let (end, ended) = channel();
        let work = move || {
            Listening {
                parts,
                owed: BTreeMap::new(),
            }
            .run(&ended);
        };
        let thread = Companion::start("flowdsl-requests", work).map_err(|e| {
            Error::unavailable(format!(
                "cannot start the thread that looks for requests: {e}"
            ))
        })?;
        Ok(Self { end, thread })
    }

    /// Ends, since another claim follows. Who has no reply yet asks that one.
    pub(in crate::job) fn give_way(self) {
        let Self { end, thread } = self;
        drop(end);
        wait_for(thread);
    }

    /// Ends behind the replies that are owed, now that the job has ended like this.
    pub(in crate::job) fn finish(self, ended: Result<()>) {
        let _ = self.end.send(ended);
        wait_for(self.thread);
    }
}

fn wait_for(thread: Companion) {
    if !thread.join_within(PATIENCE) {
        tracing::warn!("a reply to a request is still being written");
    }
}

struct Listening {
    parts: ListenerParts,
    owed: BTreeMap<RequestName, Owed>,
}

impl Listening {
    fn run(mut self, ended: &Receiver<Result<()>>) {
        self.clean_up();
        let mut next = self.parts.clock.now() + self.parts.every;
        let ended = loop {
            let left = next.saturating_sub(self.parts.clock.now());
            let is_busy = !self.owed.is_empty() || self.parts.clock.is_manual();
            let wait = if is_busy { left.min(LOOK) } else { left };
            match ended.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(ended) => break Some(ended),
                Err(RecvTimeoutError::Disconnected) => break None,
            }
            if self.parts.clock.now() >= next {
                next = self.parts.clock.now() + self.parts.every;
                if let Err(error) = self.look() {
                    tracing::debug!(%error, "requests cannot be looked for");
                }
            }
            self.reply(None);
        };
        self.reply(ended.as_ref());
    }

    /// Removes what was addressed to older runs.
    fn clean_up(&self) {
        let own = self.parts.own;
        let removed = requests::list(&*self.parts.storage).and_then(|there| {
            let stale = Listed {
                requests: there
                    .requests
                    .into_iter()
                    .filter(|name| is_stale_request(*name, own))
                    .collect(),
                replies: there
                    .replies
                    .into_iter()
                    .filter(|name| is_stale_reply(*name, own))
                    .collect(),
            };
            requests::delete(&*self.parts.storage, &stale)
        });
        if let Err(error) = removed {
            tracing::debug!(%error, "old requests could not be removed");
        }
    }

    fn look(&mut self) -> Result<()> {
        let there = requests::list(&*self.parts.storage)?;
        let own = self.parts.own;
        let mine = there.requests.into_iter().filter(|name| name.to == own);
        for name in mine.take(MOST.saturating_sub(self.owed.len())) {
            match requests::take(&*self.parts.storage, name) {
                Ok(Some(wish)) => self.act(name, wish),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::warn!(%error, "a request is not readable");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn act(&mut self, name: RequestName, wish: Wish) {
        tracing::info!(?wish, "another process asks");
        let outcome = self.pass_on(&wish);
        self.owed.insert(name, Owed { wish, outcome });
    }

    /// Says it to the job; where the outcome comes.
    fn pass_on(&self, wish: &Wish) -> Receiver<Result<Epoch>> {
        let (reply, outcome) = channel();
        let savepoint = |to: &str, occasion| SavepointOrder {
            to: CheckpointLocation::from(to),
            occasion,
            reply: reply.clone(),
        };
        let event = match wish {
            Wish::Stop => Event::StopAndTell(reply),
            Wish::Checkpoint => Event::TakeCheckpoint(reply),
            Wish::Savepoint { to } => Event::TakeSavepoint(savepoint(to, Occasion::Now)),
            Wish::StopWithSavepoint { to, drain } => {
                Event::TakeSavepoint(savepoint(to, Occasion::Stop(*drain)))
            }
        };
        // Where nobody hears it any more, the outcome's other end is gone, too.
        let _ = self.parts.events.send(event);
        outcome
    }

    /// Replies to what has come to an end; to everything, where the job has `ended`: everybody who could give an outcome
    /// is gone then.
    fn reply(&mut self, ended: Option<&Result<()>>) {
        let names: Vec<RequestName> = self.owed.keys().copied().collect();
        for name in names {
            let Some(Owed { wish, outcome }) = self.owed.get(&name) else {
                continue;
            };
            let reply = match (outcome.try_recv(), wish, ended) {
                (Ok(Ok(epoch)), ..) => Reply::Done { epoch: Some(epoch) },
                // A last checkpoint that failed is followed by another, until the job has stopped or failed.
                (Ok(Err(_)), Wish::Stop, None) => {
                    let outcome = self.pass_on(&Wish::Stop);
                    self.owed.insert(
                        name,
                        Owed {
                            wish: Wish::Stop,
                            outcome,
                        },
                    );
                    continue;
                }
                // Not stopped, but failed; or fenced, and another run goes on.
                (Ok(Err(_)) | Err(_), Wish::Stop, Some(Err(error))) => Reply::refused(error),
                (Ok(Err(_)) | Err(_), Wish::Stop, Some(Ok(()))) => Reply::Done { epoch: None },
                (Ok(Err(error)), ..) => Reply::refused(&error),
                // How the job has ended is said in a moment.
                (Err(TryRecvError::Empty | TryRecvError::Disconnected), _, None) => continue,
                (Err(_), _, Some(ended)) => {
                    let error = Error::unavailable("the run ended before it was done");
                    let why = ended.as_ref().err();
                    Reply::refused(&why.map_or(error.clone(), |why| error.and(why)))
                }
            };
            self.owed.remove(&name);
            if let Err(error) = requests::reply(&*self.parts.storage, name, &reply) {
                tracing::warn!(%error, "a reply to a request could not be written");
            }
        }
    }
}
