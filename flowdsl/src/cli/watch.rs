//! Running a job while a second thread watches: signals, and the time to show progress.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
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
    every: Option<Every>,
    view: &mut View,
) -> Result<(JobReport, Duration), Error> {
    let environment = Environment::default();
    let every = every.map_or_else(|| Some(view.default_interval()), Every::interval);
    let signals = Signals::catch()
        .map_err(|e| Error::unavailable(format!("signals cannot be caught: {e}")))?;
    let begun = Instant::now();
    thread::scope(|scope| {
        let (end, ended) = channel::<()>();
        let (signals, environment) = (&signals, &environment);
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
            view.stopping();
            environment.handle.stop();
        }
        if every.is_some_and(|every| shown.elapsed() >= every) {
            shown = Instant::now();
            view.show(&environment.metrics.snapshot());
        }
    }
}

/// Ctrl-C and SIGTERM: the first one is noted, the next one ends the process.
struct Signals {
    came: Arc<AtomicBool>,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down, and then puts it up.
            flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL, Arc::clone(&came))?;
            flag::register(signal, Arc::clone(&came))?;
        }
        Ok(Self { came })
    }

    fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Signals {
    /// Behind the run nobody looks at the flag: the next signal ends the process.
    fn drop(&mut self) {
        self.came.store(true, Ordering::Relaxed);
    }
}
