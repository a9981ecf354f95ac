//! What a run shows of itself while it goes on.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use flowdsl_runtime::metrics::MetricsSnapshot;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::logs;
use super::numbers::{counted, grouped, short, utc};
use crate::Options;

/// Where progress is shown.
pub(super) enum View {
    /// One line, over and over.
    Terminal { bar: ProgressBar, speed: Speed },
    /// A line of JSON each time.
    Log { speed: Speed },
}

impl View {
    /// A line on the terminal, or log lines if stderr is none.
    pub(super) fn start(job: &str, options: &Options) -> Self {
        let speed = Speed::start();
        if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}")
                    .expect("the template names known keys"),
            );
            logs::above(&bar);
            return Self::Terminal { bar, speed };
        }
        logs::as_json();
        let checkpoint_dir = options.checkpoint_dir.as_ref().map(ToString::to_string);
        tracing::info!(
            job,
            workers = options.worker_count,
            checkpoint_dir,
            "started"
        );
        Self::Log { speed }
    }

    /// The time between two reports where the user says nothing.
    pub(super) fn default_interval(&self) -> Duration {
        match self {
            Self::Terminal { .. } => Duration::from_millis(200),
            Self::Log { .. } => Duration::from_secs(1),
        }
    }

    /// Shows the counters as they are now.
    pub(super) fn show(&mut self, metrics: &MetricsSnapshot) {
        match self {
            Self::Terminal { bar, speed } => {
                bar.set_message(line(metrics, speed.of(metrics.records_in)));
                bar.tick();
            }
            Self::Log { speed } => tracing::info!(
                records = metrics.records_in,
                records_per_s = speed.of(metrics.records_in),
                watermark = metrics.watermark.map(utc),
                checkpoint = metrics.last_checkpoint,
                checkpoint_ms = metrics.last_checkpoint_micros as f64 / 1e3,
                checkpoints = metrics.checkpoints,
                checkpoints_failed = metrics.checkpoints_failed,
                restarts = metrics.restarts,
                unhealthy = metrics.unhealthy,
                "progress"
            ),
        }
    }

    /// Says that the job was asked to stop.
    pub(super) fn stopping(&self) {
        match self {
            Self::Terminal { bar, .. } => {
                bar.suspend(|| {
                    eprintln!("stopping with a last checkpoint; Ctrl-C again ends the job at once");
                });
            }
            Self::Log { .. } => tracing::info!("stopping with a last checkpoint"),
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        match self {
            Self::Terminal { bar, .. } => bar.finish_and_clear(),
            Self::Log { .. } => {}
        }
    }
}

/// The line on a terminal.
pub(super) fn line(metrics: &MetricsSnapshot, per_second: u64) -> String {
    let mut parts = vec![format!(
        "{}, {}/s",
        counted(metrics.records_in, "record"),
        grouped(per_second)
    )];
    if let Some(watermark) = metrics.watermark {
        parts.push(format!("watermark {}", utc(watermark)));
    }
    if metrics.checkpoints > 0 {
        let took = Duration::from_micros(metrics.last_checkpoint_micros);
        parts.push(format!(
            "checkpoint {} in {}",
            metrics.last_checkpoint,
            short(took)
        ));
    }
    if metrics.checkpoints_failed > 0 {
        parts.push(format!("{} failed", grouped(metrics.checkpoints_failed)));
    }
    if metrics.restarts > 0 {
        parts.push(counted(metrics.restarts, "restart"));
    }
    parts.join(" | ")
}

/// Records a second since the last look.
pub(super) struct Speed {
    looked: Instant,
    records: u64,
}

impl Speed {
    fn start() -> Self {
        Self {
            looked: Instant::now(),
            records: 0,
        }
    }

    fn of(&mut self, records: u64) -> u64 {
        let now = Instant::now();
        let speed = per_second(records.saturating_sub(self.records), now - self.looked);
        *self = Self {
            looked: now,
            records,
        };
        speed
    }
}

/// Records a second over a span of time.
pub(super) fn per_second(records: u64, span: Duration) -> u64 {
    if span.is_zero() {
        0
    } else {
        (records as f64 / span.as_secs_f64()) as u64
    }
}
