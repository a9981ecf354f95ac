//! Running a job while a second thread watches: signals, and the time to show progress.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::progress::View;
use super::values::Every;
use crate::{Environment, Error, Job, JobReport, Options};

/// The longest time until a signal is seen.
const LOOK: Duration = Duration::from_millis(20);

/// The exit code of a process that a signal ended at once.
const ENDED_BY_SIGNAL: i32 = 130;

/// Runs the job, and says how long that took.
pub(super) fn run(
    job: &Job,
    options: &Options,
    environment: &Environment,
    every: Option<Every>,
    view: &mut View,
) -> Result<(JobReport, Duration), Error> {
    let every = every.map_or_else(|| Some(view.default_interval()), Every::interval);
    let signals = Signals::catch()
        .map_err(|e| Error::unavailable(format!("signals cannot be caught: {e}")))?;
    let begun = Instant::now();
    thread::scope(|scope| {
        let (end, ended) = channel::<()>();
        let signals = &signals;
        scope.spawn(move || watch(environment, signals, every, view, &ended));
        let report = job.run_in(options, environment);
        drop(end);
        Ok((report?, begun.elapsed()))
    })
}

/// Watches until the other end of `ended` is gone.
fn watch(
    environment: &Environment,
    signals: &Signals,
    every: Option<Duration>,
    view: &mut View,
    ended: &Receiver<()>,
) {
    let look = every.map_or(LOOK, |every| every.min(LOOK));
    let (mut shown, mut stopping) = (Instant::now(), false);
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(look) {
        if signals.came() && !stopping {
            stopping = true;
            environment.handle.stop();
            // Whoever reads it knows that the job knows.
            view.stopping();
        }
        if every.is_some_and(|every| shown.elapsed() >= every) {
            shown = Instant::now();
            view.show(&environment.metrics.snapshot());
        }
    }
}

/// Ctrl-C and SIGTERM while jobs run: the first one is noted, the next one ends the process.
struct Signals {
    handlers: Handlers,
}

/// What signals do from the first run of a process to its end: what they did before cannot be had back.
#[derive(Clone)]
struct Handlers {
    /// One came.
    came: Arc<AtomicBool>,
    /// The next one ends the process.
    next_ends: Arc<AtomicBool>,
}

/// The handlers, once they are there, and how many runs they serve.
static HANDLERS: Mutex<(Option<Handlers>, usize)> = Mutex::new((None, 0));

impl Signals {
    fn catch() -> io::Result<Self> {
        let mut guard = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        let (registered, runs) = &mut *guard;
        let handlers = match registered.take() {
            Some(handlers) => handlers,
            None => Handlers::register()?,
        };
        *registered = Some(handlers.clone());
        if *runs == 0 {
            // In this order: a signal ends the process up to the last of the two, and is noted from there on.
            handlers.came.store(false, Ordering::SeqCst);
            handlers.next_ends.store(false, Ordering::SeqCst);
        }
        *runs += 1;
        Ok(Self { handlers })
    }

    fn came(&self) -> bool {
        let came = self.handlers.came.load(Ordering::SeqCst);
        if came {
            self.handlers.next_ends.store(true, Ordering::SeqCst);
        }
        came
    }
}

impl Drop for Signals {
    /// Behind the last run nobody looks: the next signal ends the process.
    fn drop(&mut self) {
        let mut guard = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        guard.1 -= 1;
        if guard.1 == 0 {
            self.handlers.next_ends.store(true, Ordering::SeqCst);
        }
    }
}

impl Handlers {
    fn register() -> io::Result<Self> {
        let (came, next_ends) = (Arc::default(), Arc::default());
        for signal in [SIGINT, SIGTERM] {
            // In this order: one that comes meanwhile is noted, and the first one finds the second flag down.
            flag::register(signal, Arc::clone(&came))?;
            flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL, Arc::clone(&next_ends))?;
            flag::register(signal, Arc::clone(&next_ends))?;
        }
        Ok(Self { came, next_ends })
    }
}
