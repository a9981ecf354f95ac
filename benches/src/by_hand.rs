//! The works in hand-written timely, as a careful user would write them: operators on whole
//! containers, batches of 4,096, a fast hasher, and nothing that the work does not need.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use timely::ExchangeData;
use timely::container::{
    CapacityContainerBuilder, ContainerBuilder, LengthPreservingContainerBuilder, PushInto,
};
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::{Operator as _, source};
use timely::dataflow::operators::vec::{Filter as _, Map as _};
use timely::dataflow::{Scope, StreamVec};
use timely::worker::Worker;

use crate::windows::OpenWindows;
use crate::work::{
    Checksum, Measured, Reading, WINDOW_MS, Work, at_ms, chain, fold, is_even, key, reading, triple,
};

/// Records in a batch.
const BATCH: usize = 4_096;

type Total = Rc<Cell<Checksum>>;

/// Runs a work; the stateless chain is fused by hand into one operator.
pub(crate) fn run(work: Work, workers: usize, records: u64) -> Measured {
    execute(
        workers,
        records,
        match work {
            Work::W0 => chain_fused,
            Work::W1 => count,
            Work::W2 => window,
        },
    )
}

/// Runs the stateless chain with an operator a stage, the way timely programs are mostly written.
pub(crate) fn run_stages(workers: usize, records: u64) -> Measured {
    execute(workers, records, chain_of_stages)
}

fn execute(workers: usize, records: u64, build: fn(Scope<'_, u64>, u64, Total)) -> Measured {
    let begin = Instant::now();
    let guards = timely::execute(
        timely::Config::process(workers),
        move |worker: &mut Worker| {
            let total = Total::default();
            worker.dataflow(|scope| build(scope, records, Rc::clone(&total)));
            while worker.has_dataflows() {
                worker.step_or_park(None);
            }
            total.get()
        },
    );
    let checksum = guards
        .expect("threads can be started")
        .join()
        .into_iter()
        .map(|checksum| checksum.expect("a worker does not panic"))
        .fold(Checksum::default(), Checksum::and);
    Measured {
        records,
        elapsed: begin.elapsed(),
        checksum,
        checkpoints_completed: 0,
    }
}

fn chain_of_stages(scope: Scope<'_, u64>, records: u64, total: Total) {
    made(scope, records, |i| i, |_| 0)
        .map_in_place(|x| *x = triple(*x))
        .filter(|x| is_even(*x))
        .map_in_place(|x| *x = fold(*x))
        .sink(Pipeline, "Sum", move |(input, _)| {
            input.for_each(|_, batch| {
                let sum = batch.iter().copied().fold(0, u64::wrapping_add);
                add(&total, sum, batch.len() as u64);
            });
        });
}

fn chain_fused(scope: Scope<'_, u64>, records: u64, total: Total) {
    made(scope, records, |i| i, |_| 0).sink(Pipeline, "Chain", move |(input, _)| {
        input.for_each(|_, batch| {
            total.set(total.get().and(chain(batch)));
        });
    });
}

fn count(scope: Scope<'_, u64>, records: u64, total: Total) {
    let mut counts = FxHashMap::<u64, u64>::default();
    let pact = ExchangeCore::<Batches<u64>, _>::new_core(|key: &u64| *key);
    made(scope, records, key, |_| 0).sink(pact, "Count", move |(input, _)| {
        input.for_each(|_, batch| {
            let mut sum = 0_u64;
            for key in &*batch {
                let count = counts.entry(*key).or_default();
                *count += 1;
                sum = sum.wrapping_add(*count);
            }
            add(&total, sum, batch.len() as u64);
        });
    });
}

fn window(scope: Scope<'_, u64>, records: u64, total: Total) {
    let pact = ExchangeCore::<Batches<Reading>, _>::new_core(|reading: &Reading| reading.key);
    let results = made(scope, records, reading, at_ms);
    let results: StreamVec<'_, u64, (u64, u64, u64)> =
        results.unary_frontier(pact, "Window", |_, _| {
            let mut windows = OpenWindows::default();
            let mut capabilities = BTreeMap::new();
            move |(input, frontier), output| {
                input.for_each(|at, batch| {
                    windows.add(batch, |start| {
                        let end = start + WINDOW_MS;
                        capabilities.insert(start, at.delayed(&end, output.output_index()));
                    });
                });
                let watermark = frontier.frontier().as_option().copied().unwrap_or(u64::MAX);
                while let Some((start, capability)) = capabilities.first_key_value() {
                    let mut session = output.session(capability);
                    if windows
                        .fire(watermark, |result| session.give(result))
                        .is_none()
                    {
                        break;
                    }
                    drop(session);
                    let fired = *start;
                    capabilities.remove(&fired);
                }
            }
        });
    results.sink(Pipeline, "Sum", move |(input, _)| {
        input.for_each(|_, batch| {
            let sum = batch.iter().fold(0, |sum: u64, (_, of_window, _)| {
                sum.wrapping_add(*of_window)
            });
            add(&total, sum, batch.len() as u64);
        });
    });
}

fn add(total: &Total, sum: u64, results: u64) {
    total.set(total.get().and(Checksum { sum, results }));
}

/// This worker's share of the records, a batch for each worker an activation.
fn made<R: 'static>(
    scope: Scope<'_, u64>,
    records: u64,
    make: impl Fn(u64) -> R + 'static,
    time_of: impl Fn(u64) -> u64 + 'static,
) -> StreamVec<'_, u64, R> {
    let (worker, peers) = (scope.index() as u64, scope.peers() as u64);
    source::<_, CapacityContainerBuilder<Vec<R>>, _, _>(scope, "Made", |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut capability = Some(capability);
        let mut next = worker;
        let mut batch = Vec::new();
        move |output| {
            let Some(held) = &mut capability else { return };
            for _ in 0..peers {
                let end = records.min(next + BATCH as u64 * peers);
                batch.clear();
                batch.reserve(BATCH);
                batch.extend((next..end).step_by(peers as usize).map(&make));
                next += batch.len() as u64 * peers;
                if !batch.is_empty() {
                    output.session(&*held).give_container(&mut batch);
                }
            }
            if next < records {
                held.downgrade(&time_of(next));
                activator.activate();
            } else {
                capability = None;
            }
        }
    })
}

/// Builds containers of [`BATCH`] records; timely's own stop at 8 KiB.
struct Batches<R> {
    filling: Vec<R>,
    full: Vec<R>,
}

impl<R> Default for Batches<R> {
    fn default() -> Self {
        Self {
            filling: Vec::new(),
            full: Vec::new(),
        }
    }
}

impl<R> PushInto<R> for Batches<R> {
    #[inline]
    fn push_into(&mut self, record: R) {
        if self.filling.capacity() == 0 {
            self.filling.reserve_exact(BATCH);
        }
        self.filling.push(record);
    }
}

impl<R: ExchangeData> ContainerBuilder for Batches<R> {
    type Container = Vec<R>;

    #[inline]
    fn extract(&mut self) -> Option<&mut Vec<R>> {
        if self.filling.len() < BATCH {
            return None;
        }
        self.finish()
    }

    #[inline]
    fn finish(&mut self) -> Option<&mut Vec<R>> {
        if self.filling.is_empty() {
            return None;
        }
        // What the channel gave back for the last container is filled next.
        self.full.clear();
        std::mem::swap(&mut self.filling, &mut self.full);
        Some(&mut self.full)
    }
}

impl<R: ExchangeData> LengthPreservingContainerBuilder for Batches<R> {}
