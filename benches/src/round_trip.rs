//! How long a cache line takes from one core to another and back.
//!
//! Virtual machines move their cores: the figure flips between 60 and 320 ns within minutes, and
//! figures of two workers with it. It is printed beside them, so that a reader can tell.

use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const ROUNDS: u64 = 2_000;
const SAMPLES: usize = 21;
/// Beyond this many looks, the other thread is not running: let it.
const PATIENCE: u32 = 100_000;

#[repr(align(128))]
struct Line(AtomicU64);

/// Median time of a round trip in nanoseconds; not a number on a machine with one core.
pub(crate) fn core_round_trip_ns() -> f64 {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return f64::NAN;
    }
    let (there, back) = (Line(AtomicU64::new(0)), Line(AtomicU64::new(0)));
    let last = ROUNDS * SAMPLES as u64;
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=last {
                await_value(&there, round);
                back.0.store(round, Ordering::Release);
            }
        });
        let mut samples: Vec<f64> = (0..SAMPLES as u64)
            .map(|sample| {
                let begin = Instant::now();
                for round in sample * ROUNDS + 1..=(sample + 1) * ROUNDS {
                    there.0.store(round, Ordering::Release);
                    await_value(&back, round);
                }
                begin.elapsed().as_secs_f64() * 1e9 / ROUNDS as f64
            })
            .collect();
        samples.sort_unstable_by(f64::total_cmp);
        samples[SAMPLES / 2]
    })
}

fn await_value(line: &Line, value: u64) {
    let mut looks = 0;
    while line.0.load(Ordering::Acquire) != value {
        hint::spin_loop();
        looks += 1;
        if looks == PATIENCE {
            thread::yield_now();
            looks = 0;
        }
    }
}
