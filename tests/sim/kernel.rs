//! Time, choice and order: the queue of what happens next, and the trace of what has happened.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use flowdsl_runtime::clock::Clock;

use crate::event::Event;
use crate::rng::Rng;

pub(crate) struct Kernel {
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    queue: BinaryHeap<Reverse<Due>>,
    count: u64,
    pub(crate) trace: Option<Vec<String>>,
    /// How often this and that has happened.
    pub(crate) reached: BTreeMap<&'static str, u64>,
}

/// What happens when: at one time, in an order that the seed chooses.
struct Due {
    at: Duration,
    tie: u64,
    event: Event,
}

impl Kernel {
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        Self {
            rng: Rng::new(seed),
            clock: Clock::manual(),
            queue: BinaryHeap::new(),
            count: 0,
            trace: traced.then(Vec::new),
            reached: BTreeMap::new(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(crate) fn at(&mut self, at: Duration, event: Event) {
        self.count += 1;
        // The count keeps two ties of the generator apart.
        let tie = (self.rng.next() << 24) | (self.count & 0xFF_FFFF);
        let at = at.max(self.now());
        self.queue.push(Reverse(Due { at, tie, event }));
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now() + wait, event);
    }

    /// Takes the next event, and moves the clock to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(Due { at, event, .. }) = self.queue.pop()?;
        self.clock.advance(at.saturating_sub(self.clock.now()));
        Some(event)
    }

    /// Counts that something has happened which the simulation is there for.
    pub(crate) fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Notes what happens, if anybody will read it.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.clock.now();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.3} ms  {}", now.as_secs_f64() * 1e3, line()));
        }
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.tie) == (other.at, other.tie)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.tie).cmp(&(other.at, other.tie))
    }
}
