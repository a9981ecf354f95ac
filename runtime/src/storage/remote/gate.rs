//! The gate through which all objects of a process travel (invariant 11). What was read has its pass until it is
//! consumed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::storage::TransferLimits;

/// Counts what is on its way. Whoever comes first is served first, so that a large part is not
/// passed by small ones forever.
#[derive(Debug, Default)]
pub(super) struct Gate {
    traffic: Mutex<Traffic>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Traffic {
    requests: usize,
    bytes: usize,
    /// The number of the next one to come.
    next: u64,
    /// The number of the one that is served.
    served: u64,
}

/// The right of so many bytes to be on their way; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Gate {
    /// The gate of this process.
    pub(super) fn of_process() -> &'static Arc<Self> {
        static GATE: OnceLock<Arc<Gate>> = OnceLock::new();
        GATE.get_or_init(Arc::default)
    }

    /// Waits until these bytes may travel. More than may ever be on their way travel alone.
    ///
    /// Whoever waits here must hold no pass: it waits for requests, each of which has a time-out, and for those who
    /// consume what has arrived, who must not wait for it in turn.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize, limits: &TransferLimits) -> Pass {
        let bytes = bytes.min(limits.bytes);
        let mut traffic = self.lock();
        let number = traffic.next;
        traffic.next += 1;
        while traffic.served != number || !traffic.has_room(bytes, limits) {
            traffic = self
                .changed
                .wait(traffic)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.let_in(traffic, bytes)
    }

    /// Lets these bytes travel if they may at once, and nobody waits who came before.
    pub(super) fn try_enter(
        self: &Arc<Self>,
        bytes: usize,
        limits: &TransferLimits,
    ) -> Option<Pass> {
        let bytes = bytes.min(limits.bytes);
        let mut traffic = self.lock();
        if traffic.served != traffic.next || !traffic.has_room(bytes, limits) {
            return None;
        }
        traffic.next += 1;
        Some(self.let_in(traffic, bytes))
    }

    fn let_in(self: &Arc<Self>, mut traffic: MutexGuard<'_, Traffic>, bytes: usize) -> Pass {
        traffic.served += 1;
        traffic.requests += 1;
        traffic.bytes += bytes;
        drop(traffic);
        self.changed.notify_all();
        Pass {
            gate: Arc::clone(self),
            bytes,
        }
    }

    /// The bytes that have a pass.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        // Nothing panics while the counts are locked.
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    fn has_room(&self, bytes: usize, limits: &TransferLimits) -> bool {
        self.requests < limits.requests && self.bytes.saturating_add(bytes) <= limits.bytes
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut traffic = self.gate.lock();
        traffic.requests -= 1;
        traffic.bytes -= self.bytes;
        drop(traffic);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn limits() -> TransferLimits {
        TransferLimits {
            requests: 2,
            bytes: 100,
            ..TransferLimits::default()
        }
    }

    /// Enters on a thread of its own, and returns once it stands in the row.
    fn come(gate: &Arc<Gate>, bytes: usize) -> thread::JoinHandle<()> {
        let before = gate.lock().next;
        let behind = Arc::clone(gate);
        let thread = thread::spawn(move || drop(behind.enter(bytes, &limits())));
        while gate.lock().next == before {
            thread::yield_now();
        }
        thread
    }

    #[test]
    fn a_large_one_is_not_passed_by_small_ones_that_come_later() {
        let gate = Arc::new(Gate::default());
        let first = gate.enter(60, &limits());
        let large = come(&gate, 70);
        let small = come(&gate, 10);
        // The small one would fit, and has looked: it has taken its number.
        assert_eq!(gate.lock().requests, 1);
        drop(first);
        large.join().expect("no panic");
        small.join().expect("no panic");
        assert_eq!(gate.lock().served, 3);
    }

    #[test]
    fn whoever_does_not_wait_passes_nobody() {
        let gate = Arc::new(Gate::default());
        let first = gate.enter(60, &limits());
        assert!(gate.try_enter(50, &limits()).is_none(), "no room");
        let large = come(&gate, 70);
        assert!(gate.try_enter(10, &limits()).is_none(), "another waits");
        drop(first);
        large.join().expect("no panic");
        assert!(gate.try_enter(100, &limits()).is_some());
        assert_eq!(gate.lock().bytes, 0, "what was refused counts nothing");
    }

    #[test]
    fn one_that_is_larger_than_the_limit_travels_alone() {
        let gate = Arc::new(Gate::default());
        let pass = gate.enter(1_000, &limits());
        let other = come(&gate, 1);
        assert_eq!(gate.lock().requests, 1);
        drop(pass);
        other.join().expect("no panic");
    }

    #[test]
    fn no_more_than_the_limits_are_on_the_way() {
        let gate = Arc::new(Gate::default());
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || {
                    for round in 0..200 {
                        let _pass = gate.enter((n * 37 + round) % 90, &limits());
                        let traffic = gate.lock();
                        assert!(traffic.requests <= 2 && traffic.bytes <= 100);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("within the limits");
        }
        let traffic = gate.lock();
        assert_eq!((traffic.requests, traffic.bytes), (0, 0));
    }
}
