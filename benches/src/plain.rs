//! The works as a plain loop: the limit that no engine passes, and the source of checksums.
//!
//! With several workers, records are partitioned by hand into batches that travel over channels.

use std::hint::black_box;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::windows::OpenWindows;
use crate::work::{self, Checksum, Measured, Reading, Work, at_ms, key, reading};

/// Records in a buffer, which stays in the first-level cache.
const BUFFER: usize = 1_024;
/// Records in a batch between workers.
const BATCH: usize = 4_096;

/// Runs a work of any length.
pub(crate) fn run(work: Work, workers: usize, records: u64) -> Measured {
    let begin = Instant::now();
    let checksum = match (work, workers) {
        (Work::W0, _) => on_threads(workers, |worker| chain(worker, workers, records)),
        (Work::W1, 1) => count_alone(records),
        (Work::W1, _) => count_partitioned(workers, records),
        (Work::W2, 1) => window_alone(records),
        (Work::W2, _) => window_partitioned(workers, records),
    };
    Measured {
        records,
        elapsed: begin.elapsed(),
        checksum,
        checkpoints_completed: 0,
    }
}

fn on_threads(workers: usize, run: impl Fn(usize) -> Checksum + Sync) -> Checksum {
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || run(worker)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the loop does not panic"))
            .fold(Checksum::default(), Checksum::and)
    })
}

fn chain(worker: usize, workers: usize, records: u64) -> Checksum {
    let mut buffer = [0; BUFFER];
    let mut checksum = Checksum::default();
    let mut i = worker as u64;
    while i < records {
        let left = (records - i).div_ceil(workers as u64);
        let filled = BUFFER.min(usize::try_from(left).unwrap_or(BUFFER));
        for slot in &mut buffer[..filled] {
            *slot = i;
            i += workers as u64;
        }
        // The compiler may not see through the buffer: a source and a chain meet there.
        let input = &black_box(&buffer)[..filled];
        checksum = checksum.and(work::chain(input));
    }
    checksum
}

/// Makes all records a buffer at a time, and gives each buffer and the number of the record after
/// it. The plainer loop, a record at a time, is slower where records probe a table: fewer probes
/// are under way at once.
fn buffered<R>(records: u64, make: impl Fn(u64) -> R, mut apply: impl FnMut(&[R], u64)) {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut i = 0;
    while i < records {
        let end = records.min(i + BUFFER as u64);
        buffer.clear();
        buffer.extend((i..end).map(&make));
        apply(black_box(&buffer), end);
        i = end;
    }
}

fn count_alone(records: u64) -> Checksum {
    let mut counts = FxHashMap::<u64, u64>::default();
    let mut sum = 0_u64;
    buffered(records, key, |keys, _| {
        for key in keys {
            let count = counts.entry(*key).or_default();
            *count += 1;
            sum = sum.wrapping_add(*count);
        }
    });
    Checksum {
        sum,
        results: records,
    }
}

fn count_partitioned(workers: usize, records: u64) -> Checksum {
    partitioned(
        workers,
        records,
        key,
        |key| *key,
        |inbox| {
            let mut counts = FxHashMap::<u64, u64>::default();
            let mut checksum = Checksum::default();
            inbox(&mut |batch: &Batch<u64>| {
                for key in &batch.records {
                    let count = counts.entry(*key).or_default();
                    *count += 1;
                    checksum.sum = checksum.sum.wrapping_add(*count);
                }
                checksum.results += batch.records.len() as u64;
            });
            checksum
        },
    )
}

fn window_alone(records: u64) -> Checksum {
    let mut windows = OpenWindows::default();
    let mut checksum = Checksum::default();
    buffered(records, reading, |readings, next| {
        windows.add(readings, |_| {});
        windows.fire_all(at_ms(next), &mut checksum);
    });
    windows.fire_all(u64::MAX, &mut checksum);
    checksum
}

fn window_partitioned(workers: usize, records: u64) -> Checksum {
    let route = |reading: &Reading| reading.key;
    partitioned(workers, records, reading, route, |inbox| {
        let mut windows = OpenWindows::default();
        let mut checksum = Checksum::default();
        let mut reached = vec![0; workers];
        inbox(&mut |batch: &Batch<Reading>| {
            windows.add(&batch.records, |_| {});
            if let Some(last) = batch.records.last() {
                reached[batch.from] = last.at_ms;
            }
            // Batches of one sender are in order, so no sender goes back behind its last record.
            let watermark = reached.iter().copied().min().unwrap_or(u64::MAX);
            windows.fire_all(watermark, &mut checksum);
        });
        windows.fire_all(u64::MAX, &mut checksum);
        checksum
    })
}

struct Batch<R> {
    from: usize,
    records: Vec<R>,
}

/// A worker's way of asking for all its batches: it makes its own records in between.
type Inbox<'a, R> = dyn FnOnce(&mut dyn FnMut(&Batch<R>)) + 'a;

fn partitioned<R: Send>(
    workers: usize,
    records: u64,
    make: impl Fn(u64) -> R + Sync,
    route: impl Fn(&R) -> u64 + Sync,
    apply: impl Fn(Box<Inbox<'_, R>>) -> Checksum + Sync,
) -> Checksum {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel()).unzip();
    let (make, route, apply) = (&make, &route, &apply);
    thread::scope(|scope| {
        let threads: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(worker, receiver)| {
                let outbox = Outbox::new(worker, senders.clone());
                let own = (worker as u64..records).step_by(workers);
                scope.spawn(move || {
                    apply(Box::new(move |apply_batch| {
                        exchange(own.map(make), route, outbox, &receiver, apply_batch);
                    }))
                })
            })
            .collect();
        drop(senders);
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the loop does not panic"))
            .fold(Checksum::default(), Checksum::and)
    })
}

struct Outbox<R> {
    from: usize,
    full: Vec<Sender<Batch<R>>>,
    filling: Vec<Vec<R>>,
}

impl<R> Outbox<R> {
    fn new(from: usize, full: Vec<Sender<Batch<R>>>) -> Self {
        let filling = full.iter().map(|_| Vec::with_capacity(BATCH)).collect();
        Self {
            from,
            full,
            filling,
        }
    }

    fn send(&mut self, to: usize, next: Vec<R>) {
        let records = std::mem::replace(&mut self.filling[to], next);
        let batch = Batch {
            from: self.from,
            records,
        };
        self.full[to]
            .send(batch)
            .expect("receivers live until all senders are gone");
    }
}

fn exchange<R>(
    own: impl Iterator<Item = R>,
    route: impl Fn(&R) -> u64,
    mut outbox: Outbox<R>,
    inbox: &Receiver<Batch<R>>,
    apply: &mut dyn FnMut(&Batch<R>),
) {
    let workers = outbox.full.len();
    // Batches that have been read are filled again: as many arrive as are sent.
    let mut emptied = Vec::new();
    for record in own {
        let to = (route(&record) % workers as u64) as usize;
        outbox.filling[to].push(record);
        if outbox.filling[to].len() == BATCH {
            let next = emptied.pop().unwrap_or_else(|| Vec::with_capacity(BATCH));
            outbox.send(to, next);
            while let Ok(mut batch) = inbox.try_recv() {
                apply(&batch);
                batch.records.clear();
                emptied.push(batch.records);
            }
        }
    }
    for to in 0..workers {
        outbox.send(to, Vec::new());
    }
    drop(outbox);
    for batch in inbox {
        apply(&batch);
    }
}
