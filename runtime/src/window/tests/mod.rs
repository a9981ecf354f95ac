//! The rules of windows as sentences, and windows against plain loops written from the definitions.

mod against_reference;
mod aggregates;
#[cfg(feature = "rocksdb")]
mod on_rocksdb;
mod restored;
mod rules;

use crate::record::{Keyed, Rec, Timed, Unkeyed, Windowed};
use crate::state::{KeyedLogic, Progress};
use crate::window::{Aggregate, Aggregates, ByAggregate};

/// What the tests compute in a window: count, sum and greatest value.
type Stats = (u64, i64, i64);
/// Key, start, end, and what the window made of its records.
type Fired = (u64, i64, i64, Stats);

/// A stage that computes [`Stats`].
trait Stage:
    KeyedLogic<In = Rec<Keyed<u64>, Timed, i64>, Out = Rec<Unkeyed, Timed, Windowed<u64, Stats>>>
{
}

impl<
    L: KeyedLogic<In = Rec<Keyed<u64>, Timed, i64>, Out = Rec<Unkeyed, Timed, Windowed<u64, Stats>>>,
> Stage for L
{
}

fn stats() -> ByAggregate<impl Aggregate<i64, Out = Stats>> {
    let a = Aggregates::<i64>::new();
    ByAggregate((a.count(), a.sum(|v| *v), a.max(|v| *v)))
}

fn rec(key: u64, time: i64, value: i64) -> Rec<Keyed<u64>, Timed, i64> {
    Rec {
        key: Keyed(key),
        time: Timed(time),
        value,
    }
}

/// Moves results out of `out`, sorted.
fn take(out: &mut Vec<Rec<Unkeyed, Timed, Windowed<u64, Stats>>>) -> Vec<Fired> {
    let fired = out.drain(..).map(|r| {
        assert_eq!(
            r.time.0,
            r.value.end.saturating_sub(1),
            "the result's time is the window's last"
        );
        (r.value.key, r.value.start, r.value.end, r.value.value)
    });
    let mut fired: Vec<Fired> = fired.collect();
    fired.sort_unstable();
    fired
}

/// Fires all that is due, `budget` results a call.
fn fire_all(logic: &mut impl Stage, watermark: i64, budget: usize) -> Vec<Fired> {
    let mut out = Vec::new();
    while logic.fire(watermark, &mut out, budget) == Progress::More {}
    take(&mut out)
}

/// Adds records, and gives what fired at once and what was late.
fn add(
    logic: &mut impl Stage,
    watermark: i64,
    records: &[(u64, i64, i64)],
) -> (Vec<Fired>, Vec<(u64, i64, i64)>) {
    let mut batch = records
        .iter()
        .map(|(key, time, value)| rec(*key, *time, *value))
        .collect();
    let (mut out, mut late) = (Vec::new(), Vec::new());
    logic.process(&mut batch, watermark, &mut out, &mut late);
    (
        take(&mut out),
        late.into_iter()
            .map(|r| (r.key.0, r.time.0, r.value))
            .collect(),
    )
}
