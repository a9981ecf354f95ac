//! The job that is killed.
//!
//! Its state is larger than what stands in a manifest, so that there are state objects. It has a window,
//! a running count and named states with timers, and three file sinks: two begin a new file at each
//! checkpoint, one goes on with its file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flowdsl::Result;
use flowdsl::prelude::*;
use flowdsl::runtime::connector::{Fill, Offset, Source, Split, SplitReader};
use flowdsl::runtime::metrics::Metrics;

use crate::gate::Gate;
use crate::life::Version;

/// Key, event time, value.
type Row = (u64, i64, i64);

type Rows = Generator<Row, fn(u64) -> Row>;

pub(crate) const ROWS: u64 = 1_440;
pub(crate) const SPLITS: u64 = 2;
/// Records of a split from one checkpoint to the next.
pub(crate) const CHUNK: u64 = 90;
const KEYS: u64 = 160;
const WINDOW_MS: i64 = 250;
const DISORDER_MS: u64 = 30;
/// Makes state large: what outweighs it soon is written as a whole, and the objects before may go.
const LONG: &str = match std::str::from_utf8(&[b'x'; 700]) {
    Ok(long) => long,
    Err(_) => unreachable!(),
};

/// The checkpoints that an undisturbed run takes at least.
pub(crate) const CHECKPOINTS: u64 = ROWS / SPLITS / CHUNK;

/// The directories of the sinks.
pub(crate) const OUTPUTS: [&str; 3] = ["windows", "counts", "sums"];

/// Numbers that look like chance (splitmix64).
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Record `i`. Each key is in one split only, so that the order of its records is one.
pub(crate) fn row(i: u64) -> Row {
    let chance = mix(i);
    let key = chance % KEYS / SPLITS * SPLITS + i % SPLITS;
    let at = 3 * i as i64 - ((chance >> 16) % DISORDER_MS) as i64 - 700;
    (key, at, ((chance >> 32) % 1_000) as i64 - 500)
}

/// The first millisecond of the window of a time.
pub(crate) fn start_of(at: i64) -> i64 {
    at - at.rem_euclid(WINDOW_MS)
}

/// What the job has of the process that it is in.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gate: Arc<Gate>,
}

/// The job, whose sinks write below `output`.
pub(crate) fn job(output: &Path, version: Version, around: &Surroundings) -> Job {
    let dirs = OUTPUTS.map(|dir| output.join(dir));
    let source = Paced {
        rows: Arc::new(Generator::new(ROWS, row as fn(u64) -> Row).splits(SPLITS as usize)),
        around: around.clone(),
    };
    let gate = Arc::clone(&around.gate);
    let job = Job::new("killed", move |flow| {
        let [windows, counts, sums] = dirs.clone();
        let keyed = flow
            .source("rows", source.clone())
            .event_time(|row: &Row| row.1, Duration::from_millis(DISORDER_MS))
            .key_by(|row| row.0)
            .shared();
        keyed
            .branch()
            .window(tumbling(Duration::from_millis(WINDOW_MS as u64)))
            .at("windows")
            .aggregate(|a| (a.count(), a.sum(|row: &Row| row.2)))
            .map(|w| (w.key, w.start, w.value.0, w.value.1))
            .at("windows_out")
            .sink(File::csv(windows).no_header().roll(Roll::Size(1_000)));
        let counted = keyed.branch().at("counts");
        match version {
            Version::First => counted
                .fold((0_u64, String::new()), |(count, text), row: Row| {
                    *count += 1;
                    *text = format!("{}{}", row.2, LONG);
                })
                .map(|count| (count.key, count.value.0))
                .at("counts_out")
                .sink(File::csv(counts).no_header()),
            Version::Second => counted
                .fold((String::new(), 0_u64), |(text, count), row: Row| {
                    *count += 1;
                    *text = format!("{}{}", row.2, LONG);
                })
                .map(|count| (count.key, count.value.1))
                .at("counts_out")
                .sink(File::csv(counts).no_header()),
        }
        keyed
            .branch()
            .at("sums")
            .process_with_timers(
                (value_state::<i64>("last"), map_state::<i64, i64>("sums")),
                |ctx, (last, sums), (_, at, value): Row| {
                    *last.or_insert(0) = value;
                    *sums.or_insert_with(&start_of(at), || 0) += value;
                    ctx.set_timer(start_of(at) + WINDOW_MS);
                },
                |ctx, (_, sums), timer: Timer| {
                    let start = timer.time - WINDOW_MS;
                    let sum = sums.remove(&start).expect("a timer rings once");
                    ctx.emit((*ctx.key(), start, sum));
                },
            )
            .at("sums_out")
            .sink(File::csv(sums).no_header());
    });
    match version {
        Version::First => job,
        Version::Second => {
            let swap = move |(count, text): (u64, String)| {
                // A gate says no more than that it was passed: nothing can fail here.
                let _ = gate.look("migration");
                (text, count)
            };
            job.migrate("counts", Migration::value(swap))
        }
    }
}

/// A source that waits behind every chunk for a checkpoint to complete or to fail: so a run takes no
/// fewer checkpoints on a fast machine.
#[derive(Clone)]
struct Paced {
    rows: Arc<Rows>,
    around: Surroundings,
}

fn ended_checkpoints(metrics: &Metrics) -> u64 {
    let now = metrics.snapshot();
    now.checkpoints + now.checkpoints_failed
}

impl Source for Paced {
    type Item = Row;

    fn describe(&self) -> String {
        self.rows.describe()
    }

    fn discover(&self) -> Result<Vec<Split>> {
        self.rows.discover()
    }

    fn open(
        &self,
        split: &Split,
        from: Option<&Offset>,
    ) -> Result<Box<dyn SplitReader<Item = Row>>> {
        Ok(Box::new(PacedReader {
            rows: self.rows.open(split, from)?,
            ended_before: ended_checkpoints(&self.around.metrics),
            around: self.around.clone(),
            read: 0,
        }))
    }
}

struct PacedReader {
    rows: Box<dyn SplitReader<Item = Row>>,
    around: Surroundings,
    ended_before: u64,
    read: u64,
}

impl SplitReader for PacedReader {
    type Item = Row;

    fn fill(
        &mut self,
        out: &mut Vec<Row>,
        errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill> {
        let ended = ended_checkpoints(&self.around.metrics) - self.ended_before;
        let room = ((1 + ended) * CHUNK).saturating_sub(self.read);
        if room == 0 {
            return Ok(Fill::Pending);
        }
        if self.read == 0 {
            let _ = self.around.gate.look("first record");
        }
        let before = out.len();
        let fill = self.rows.fill(out, errors, limit.min(room as usize))?;
        self.read += (out.len() - before) as u64;
        Ok(fill)
    }

    fn offset(&self) -> Offset {
        if self.read > 0 {
            let _ = self.around.gate.look("barrier");
        }
        self.rows.offset()
    }
}
