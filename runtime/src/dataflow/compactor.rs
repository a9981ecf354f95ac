//! A thread beside each worker that compacts snapshots: of several compactions, the smallest goes first.
//!
//! Small ones come often and keep chains short, and a large one may take long: so that it rests in
//! between, and lets go of what it has read where that is needed. What is left of it when the job ends is
//! let go; nothing depends on it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use super::companion::Companion;
use super::fate::Fate;
use crate::error::{Error, Result};
use crate::state::{Compacted, Compaction, Progress};

/// How often a thread without work looks whether the job has failed.
const LOOK: Duration = Duration::from_millis(100);

type Done = Box<dyn FnOnce(Result<Compacted>) + Send>;

struct Task {
    compaction: Compaction,
    done: Done,
}

/// Where the compactions of one worker go.
#[derive(Clone)]
pub(crate) struct Compactor(Option<Sender<Task>>);

impl Compactor {
    /// Starts the thread. It ends when every clone of the `Compactor` is gone, or when the job has failed.
    /// Of snapshots that are compacted there are `room` bytes in memory at most.
    pub(crate) fn start(worker: usize, room: usize, fate: Arc<Fate>) -> Result<(Self, Companion)> {
        let (tasks, inbox) = channel();
        let name = format!("flowdsl-compacts-{worker}");
        let thread = Companion::start(&name, move || work(&inbox, room, &fate))
            .map_err(|e| Error::unavailable(format!("cannot start a thread that compacts: {e}")))?;
        Ok((Self(Some(tasks)), thread))
    }

    /// One that drops what it is given, for a graph that is only looked at.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Carries a compaction out, and tells what has come of it, unless nobody waits for that any more.
    pub(crate) fn run(
        &self,
        compaction: Compaction,
        done: impl FnOnce(Result<Compacted>) + Send + 'static,
    ) {
        if let Some(tasks) = &self.0 {
            let done: Done = Box::new(done);
            let _ = tasks.send(Task { compaction, done });
        }
    }
}

fn work(inbox: &Receiver<Task>, room: usize, fate: &Fate) {
    let mut tasks: Vec<Task> = Vec::new();
    while receive(inbox, &mut tasks) && !fate.has_failed() {
        tasks.retain(|task| !task.compaction.is_stopped());
        let waiting: Vec<Waiting> = tasks.iter().map(Waiting::of).collect();
        if let Some(next) = next_of(&waiting) {
            let room = make_room(&mut tasks, next, room);
            step(&mut tasks, next, room);
        }
    }
}

/// Compactions that have begun and have not ended, at most: each holds a part of its result.
const MOST_BEGUN: usize = 2;

/// What is known of a task.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    bytes: u64,
    has_begun: bool,
}

impl Waiting {
    fn of(task: &Task) -> Self {
        Self {
            bytes: task.compaction.bytes(),
            has_begun: task.compaction.has_begun(),
        }
    }
}

/// The task that goes on: the smallest one, of those that may.
fn next_of(tasks: &[Waiting]) -> Option<usize> {
    let begun = tasks.iter().filter(|task| task.has_begun).count();
    let may_go_on = |at: &usize| tasks[*at].has_begun || begun < MOST_BEGUN;
    (0..tasks.len())
        .filter(may_go_on)
        .min_by_key(|at| tasks[*at].bytes)
}

/// The room for the task that goes on: what those that rest leave of it, which is half of it at least.
fn make_room(tasks: &mut [Task], next: usize, room: usize) -> usize {
    let others = tasks.iter_mut().enumerate();
    let mut others: Vec<&mut Task> = others
        .filter_map(|(at, task)| (at != next).then_some(task))
        .collect();
    let held: usize = others.iter().map(|task| task.compaction.held()).sum();
    if held <= room / 2 {
        return room - held;
    }
    for task in &mut others {
        task.compaction.rest();
    }
    room
}

/// Takes in new tasks, and waits for one a while if there is none; false if none will come.
fn receive(inbox: &Receiver<Task>, tasks: &mut Vec<Task>) -> bool {
    if tasks.is_empty() {
        match inbox.recv_timeout(LOOK) {
            Ok(task) => tasks.push(task),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    loop {
        match inbox.try_recv() {
            Ok(task) => tasks.push(task),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

/// Goes on with a task, which leaves the list when it is done.
fn step(tasks: &mut Vec<Task>, at: usize, room: usize) {
    let outcome = guard(|| tasks[at].compaction.step(room));
    match outcome {
        Ok(Progress::More) => {}
        Ok(Progress::Done) => {
            let Task { compaction, done } = tasks.swap_remove(at);
            done(guard(|| compaction.finish()));
        }
        Err(error) => (tasks.swap_remove(at).done)(Err(error)),
    }
}

/// What panics here is the `Serialize` or `Deserialize` of a state type: a compaction is never worth the job.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(Error::panicked("a state type panicked in a compaction"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these goes on: sizes, of which those in brackets have begun.
    #[track_caller]
    fn check(sizes: &str, expected: Option<usize>) {
        let task = |size: &str| Waiting {
            bytes: size.trim_matches(['(', ')']).parse().expect("a number"),
            has_begun: size.starts_with('('),
        };
        let tasks: Vec<Waiting> = sizes.split_whitespace().map(task).collect();
        assert_eq!(next_of(&tasks), expected, "{sizes}");
    }

    #[test]
    fn the_smallest_compaction_goes_first_and_no_more_than_two_are_begun() {
        check("", None);
        check("30 10 20", Some(1));
        check("(30) 10 20", Some(1));
        check("(30) (10) 5", Some(1));
        check("(30) 5 40", Some(1));
        check("(30) (40) 5", Some(0));
    }
}
