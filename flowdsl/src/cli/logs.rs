//! Where log lines go: JSON to stderr, or, on a terminal, text above the line of progress.

use std::io::{self, Write};

use indicatif::ProgressBar;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Logs JSON lines, unless the program has set up logs of its own.
pub(super) fn as_json() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter(LevelFilter::INFO));
    let _set_by_the_program = subscriber.with_writer(io::stderr).try_init();
}

/// Logs text above the line of progress, unless the program has set up logs of its own.
pub(super) fn above(bar: &ProgressBar) {
    let bar = bar.clone();
    let subscriber = tracing_subscriber::fmt()
        .compact()
        .without_time()
        .with_target(false);
    let subscriber = subscriber.with_env_filter(filter(LevelFilter::WARN));
    let _set_by_the_program = subscriber
        .with_writer(move || Above(bar.clone()))
        .try_init();
}

fn filter(default: LevelFilter) -> EnvFilter {
    EnvFilter::builder()
        .with_default_directive(default.into())
        .from_env_lossy()
}

/// Writes to stderr while the line of progress is out of the way.
struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
