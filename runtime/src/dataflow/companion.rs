//! A thread beside another, which is awaited at the end, but need not be awaited for ever.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// A thread that hands over no result.
#[derive(Debug)]
pub(crate) struct Companion {
    thread: JoinHandle<()>,
    /// Nothing is ever sent: it is disconnected when the thread ends.
    gone: Receiver<()>,
}

impl Companion {
    /// Starts a thread.
    pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (alive, gone) = channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            let _alive = alive;
            work();
        })?;
        Ok(Self { thread, gone })
    }

    /// Waits for the end of the thread.
    fn join(self) {
        // A panic has been printed by the hook, and whoever waits has nothing to lose by it.
        let _ = self.thread.join();
    }

    /// Waits for the end of the thread, but no longer than this: then it is left behind, and the
    /// answer is false.
    pub(crate) fn join_within(self, patience: Duration) -> bool {
        let has_ended = self.gone.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        if has_ended {
            self.join();
        }
        has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_companion_that_hangs_is_left_behind() {
        let (hold, held) = channel::<()>();
        let hangs = Companion::start("hangs", move || {
            let _released = held.recv();
        })
        .expect("a thread starts");
        assert!(!hangs.join_within(Duration::from_millis(1)));
        drop(hold);
    }

    #[test]
    fn the_end_of_a_companion_is_awaited() {
        let (done, look) = channel();
        let works = Companion::start("works", move || done.send(()).expect("it is looked for"))
            .expect("a thread starts");
        assert!(works.join_within(Duration::from_secs(60)));
        assert!(look.try_recv().is_ok());
    }
}
