//! How far the inputs of a harness have been read, and whether anybody still reads them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a test waits for a reader before it is told that there is none.
const PATIENCE: Duration = Duration::from_secs(60);

/// The counters of all inputs of one harness; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Feeds(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    feeds: Vec<Feed>,
    running: bool,
}

#[derive(Debug, Default)]
struct Feed {
    pushed: usize,
    /// How far the present run has read; `None` before its reader is open.
    read: Option<usize>,
    finished: bool,
    /// A run has read the end of the input.
    end_read: bool,
    /// A completed checkpoint holds that: no later run reads this input.
    end_stored: bool,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Everything that was pushed has been read.
    AllRead,
    /// The run has ended.
    Ended,
    /// Nobody reads an input.
    NobodyReads,
}

impl Feed {
    fn is_read(&self) -> bool {
        self.end_stored || (self.read.unwrap_or(0) >= self.pushed && self.finished == self.end_read)
    }
}

impl Feeds {
    /// Adds an input, and returns its number.
    pub(super) fn add(&self) -> usize {
        let mut state = self.lock();
        state.feeds.push(Feed::default());
        state.feeds.len() - 1
    }

    pub(super) fn pushed(&self, feed: usize, entries: usize) {
        let feed = &mut self.lock().feeds[feed];
        assert!(
            !feed.finished,
            "an input that was finished takes nothing more"
        );
        feed.pushed = entries;
    }

    /// Notes that a reader stands before `entry`.
    pub(super) fn read(&self, feed: usize, entry: usize) {
        let feed = &mut self.lock().feeds[feed];
        feed.read = Some(entry);
        (feed.end_read, feed.end_stored) = (false, false);
        self.0.changed.notify_all();
    }

    /// Whether a reader that has read all entries is at the end of the input; if so, notes it.
    pub(super) fn reads_end(&self, feed: usize) -> bool {
        let feed = &mut self.lock().feeds[feed];
        feed.end_read = feed.finished;
        self.0.changed.notify_all();
        feed.finished
    }

    pub(super) fn finish(&self, feed: usize) {
        self.lock().feeds[feed].finished = true;
    }

    pub(super) fn finish_all(&self) {
        self.lock()
            .feeds
            .iter_mut()
            .for_each(|feed| feed.finished = true);
    }

    /// The inputs whose ends have been read, before a checkpoint is asked for.
    pub(super) fn ends_read(&self) -> Vec<usize> {
        let state = self.lock();
        (0..state.feeds.len())
            .filter(|feed| state.feeds[*feed].end_read)
            .collect()
    }

    /// Notes that a completed checkpoint holds these ends.
    pub(super) fn ends_stored(&self, feeds: &[usize]) {
        let mut state = self.lock();
        for feed in feeds {
            state.feeds[*feed].end_stored = true;
        }
    }

    /// A run begins: it has read nothing yet.
    pub(super) fn run_begins(&self) {
        let mut state = self.lock();
        state.running = true;
        for feed in &mut state.feeds {
            (feed.read, feed.end_read) = (None, false);
        }
    }

    pub(super) fn run_ends(&self) {
        self.lock().running = false;
        self.0.changed.notify_all();
    }

    /// Waits until everything that was pushed has been read.
    pub(super) fn wait(&self) -> Waited {
        let goes_on = |state: &mut State| state.running && !state.feeds.iter().all(Feed::is_read);
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, goes_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !state.running {
            Waited::Ended
        } else if state.feeds.iter().all(Feed::is_read) {
            Waited::AllRead
        } else {
            Waited::NobodyReads
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What panics under the lock is an assertion before any change.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
