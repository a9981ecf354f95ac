//! The input of an operator, aligned on epochs by the definition of a barrier.
//!
//! Barrier *e* has passed when every channel has said that it moved behind *e*, and everything of *e* that
//! came before is processed. Records of later epochs are stashed.

use std::collections::VecDeque;
use std::time::Duration;

use flowdsl_runtime::ids::Epoch;

use crate::output::Row;
use crate::scenario::Record;

/// The epoch of a channel that is closed.
const CLOSED: Epoch = Epoch(u64::MAX);

#[derive(Debug)]
pub(crate) enum Message {
    Records(Epoch, Vec<Record>),
    Rows(Epoch, Vec<Row>),
    /// Nothing of earlier epochs follows.
    Moved(Epoch),
    Closed,
}

pub(crate) struct Inbox {
    channels: Vec<Channel>,
    now: VecDeque<Message>,
    later: VecDeque<(Epoch, Message)>,
}

struct Channel {
    /// On their way, with the time at which they are there.
    queue: VecDeque<(Duration, Message)>,
    epoch: Epoch,
}

impl Inbox {
    pub(crate) fn new(channels: usize, first: Epoch) -> Self {
        let channel = |_| Channel {
            queue: VecDeque::new(),
            epoch: first,
        };
        Self {
            channels: (0..channels).map(channel).collect(),
            now: VecDeque::new(),
            later: VecDeque::new(),
        }
    }

    /// Puts a message on its way, behind those before it.
    pub(crate) fn push(&mut self, channel: usize, at: Duration, message: Message) {
        let queue = &mut self.channels[channel].queue;
        let at = queue.back().map_or(at, |(last, _)| at.max(*last));
        queue.push_back((at, message));
    }

    /// Takes in what is there.
    pub(crate) fn receive(&mut self, now: Duration, present: Epoch) {
        for channel in &mut self.channels {
            while let Some((at, _)) = channel.queue.front()
                && *at <= now
            {
                let Some((_, message)) = channel.queue.pop_front() else {
                    break;
                };
                match &message {
                    Message::Moved(epoch) => channel.epoch = *epoch,
                    Message::Closed => channel.epoch = CLOSED,
                    Message::Records(epoch, _) | Message::Rows(epoch, _) => {
                        if *epoch <= present {
                            self.now.push_back(message);
                        } else {
                            self.later.push_back((*epoch, message));
                        }
                    }
                }
            }
        }
    }

    /// When the next message is there.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        let fronts = self.channels.iter().filter_map(|c| c.queue.front());
        fronts.map(|(at, _)| *at).min()
    }

    pub(crate) fn pop(&mut self) -> Option<Message> {
        self.now.pop_front()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.now.is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.now.is_empty() && self.channels.iter().all(|channel| channel.epoch == CLOSED)
    }

    /// Whether the barrier of `epoch` has passed.
    pub(crate) fn has_passed(&self, epoch: Epoch) -> bool {
        self.now.is_empty()
            && self.channels.iter().all(|channel| channel.epoch > epoch)
            && !self.is_closed()
    }

    /// What was stashed for `epoch` is due.
    pub(crate) fn move_to(&mut self, epoch: Epoch) {
        for (of, message) in std::mem::take(&mut self.later) {
            if of <= epoch {
                self.now.push_back(message);
            } else {
                self.later.push_back((of, message));
            }
        }
    }
}
