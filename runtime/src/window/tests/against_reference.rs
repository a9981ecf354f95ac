//! Windows with disorder, lateness, budgets of one and restarts, against plain loops.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::KeyGroupRange;
use crate::key::hash_of;
use crate::state::SnapshotScope;
use crate::state::testing::{GROUPS, copy_rest, ranges, restore};
use crate::window::{Session, Sliding, WindowSpec};

#[derive(Clone, Debug)]
enum Step {
    /// Records of key, time and value.
    Records(Vec<(u64, i64, i64)>),
    /// The watermark moves ahead.
    Advance(i64),
    /// The watermark moves ahead, and a barrier comes after so many calls that fire one result.
    AdvanceToBarrier(i64, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0_u64..6, -60_i64..100, -9_i64..10);
    prop::collection::vec(
        prop_oneof![
            4 => prop::collection::vec(record, 1..12).prop_map(Step::Records),
            3 => (0_i64..30).prop_map(Step::Advance),
            2 => (0_i64..30, 0_usize..9).prop_map(|(by, calls)| Step::AdvanceToBarrier(by, calls)),
        ],
        1..30,
    )
}

/// What the definition says: all that fires, in no order, and all that is late.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    fired: Vec<Fired>,
    late: Vec<(u64, i64, i64)>,
}

impl Outcome {
    fn add(&mut self, (fired, late): (Vec<Fired>, Vec<(u64, i64, i64)>)) {
        self.fired.extend(fired);
        self.late.extend(late);
    }

    fn sorted(mut self) -> Self {
        self.fired.sort_unstable();
        self.late.sort_unstable();
        self
    }
}

fn stats_of(values: &[i64]) -> Stats {
    (
        values.len() as u64,
        values.iter().sum(),
        *values.iter().max().expect("a window has a record"),
    )
}

fn sliding_by_definition(
    steps: &[Step],
    size: i64,
    slide: i64,
    offset: i64,
    lateness: i64,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut watermark = -60;
    let mut windows: BTreeMap<(u64, i64), Vec<i64>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Records(records) => {
                for (key, time, value) in records {
                    let covering = (time - size + 1..=*time)
                        .filter(|start| (start - offset).rem_euclid(slide) == 0);
                    let open: Vec<i64> = covering
                        .filter(|start| start + size + lateness > watermark)
                        .collect();
                    if open.is_empty() {
                        outcome.late.push((*key, *time, *value));
                    }
                    for start in open {
                        let values = windows.entry((*key, start)).or_default();
                        values.push(*value);
                        if start + size <= watermark {
                            outcome
                                .fired
                                .push((*key, start, start + size, stats_of(values)));
                        }
                    }
                }
            }
            Step::Advance(by) | Step::AdvanceToBarrier(by, _) => {
                for ((key, start), values) in &windows {
                    if watermark < start + size && start + size <= watermark + by {
                        outcome
                            .fired
                            .push((*key, *start, start + size, stats_of(values)));
                    }
                }
                watermark += by;
            }
        }
    }
    outcome.sorted()
}

struct OneSession {
    key: u64,
    start: i64,
    end: i64,
    values: Vec<i64>,
}

fn sessions_by_definition(steps: &[Step], gap: i64, lateness: i64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut watermark = -60;
    let mut sessions: Vec<OneSession> = Vec::new();
    for step in steps {
        match step {
            Step::Records(records) => {
                for (key, time, value) in records {
                    let mut whole = OneSession {
                        key: *key,
                        start: *time,
                        end: time + gap,
                        values: vec![*value],
                    };
                    sessions.retain_mut(|s| {
                        let meets = s.key == *key
                            && s.start < time + gap
                            && *time < s.end
                            && s.end + lateness > watermark;
                        if meets {
                            whole.start = whole.start.min(s.start);
                            whole.end = whole.end.max(s.end);
                            whole.values.append(&mut s.values);
                        }
                        !meets
                    });
                    if whole.end + lateness <= watermark {
                        outcome.late.push((*key, *time, *value));
                        continue;
                    }
                    if whole.end <= watermark {
                        outcome
                            .fired
                            .push((*key, whole.start, whole.end, stats_of(&whole.values)));
                    }
                    sessions.push(whole);
                }
            }
            Step::Advance(by) | Step::AdvanceToBarrier(by, _) => {
                for s in &sessions {
                    if watermark < s.end && s.end <= watermark + by {
                        outcome
                            .fired
                            .push((s.key, s.start, s.end, stats_of(&s.values)));
                    }
                }
                watermark += by;
            }
        }
    }
    outcome.sorted()
}

/// Does a step on a stage that owns the keys of `range`.
fn apply(
    logic: &mut impl Stage,
    step: &Step,
    watermark: &mut i64,
    range: KeyGroupRange,
    outcome: &mut Outcome,
) {
    match step {
        Step::Records(records) => {
            let owned = |key: &u64| range.contains(GROUPS.group_of(hash_of(key)));
            let records: Vec<_> = records
                .iter()
                .filter(|(key, ..)| owned(key))
                .copied()
                .collect();
            outcome.add(add(logic, *watermark, &records));
        }
        Step::Advance(by) | Step::AdvanceToBarrier(by, _) => {
            *watermark += by;
            outcome.fired.extend(fire_all(logic, *watermark, 1));
        }
    }
}

/// Runs the steps on one worker with a barrier wherever the steps say, and from each barrier also on
/// `worker_count` workers that restore it: each way must give what the definition gives.
fn check<L: Stage>(make: impl Fn() -> L, steps: &[Step], worker_count: usize, expected: &Outcome) {
    let mut logic = make();
    let mut outcome = Outcome::default();
    let mut watermark = -60;
    let mut chain: Vec<Vec<u8>> = Vec::new();
    // The steps done at the last barrier, the watermark there, and what had come out.
    let mut barrier: Option<(usize, i64, Outcome)> = None;
    let restart = |chain: &[Vec<u8>], (done, at, before): (usize, i64, Outcome)| {
        let mut joined = before;
        for (mut worker, range) in restore(&make, chain, worker_count)
            .into_iter()
            .zip(ranges(worker_count))
        {
            let mut watermark = at;
            // What was due at the barrier and had not fired fires first.
            joined.fired.extend(fire_all(&mut worker, i64::MIN, 1));
            for step in &steps[done..] {
                apply(&mut worker, step, &mut watermark, range, &mut joined);
            }
        }
        assert_eq!(
            &joined.sorted(),
            expected,
            "restored after {done} steps, from {} objects",
            chain.len()
        );
    };

    for (at, step) in steps.iter().enumerate() {
        if let Step::AdvanceToBarrier(by, calls) = step {
            if let Some(before) = barrier.take() {
                copy_rest(
                    &mut logic,
                    chain.last_mut().expect("a barrier has an object"),
                );
                restart(&chain, before);
            }
            watermark += by;
            let mut out = Vec::new();
            let _ = (0..*calls).try_for_each(|_| match logic.fire(watermark, &mut out, 1) {
                Progress::More => Ok(()),
                Progress::Done => Err(()),
            });
            outcome.fired.extend(take(&mut out));
            // A full snapshot now and then, increments between.
            let scope = if chain.len().is_multiple_of(4) {
                SnapshotScope::Full
            } else {
                SnapshotScope::Increment
            };
            if scope == SnapshotScope::Full {
                chain.clear();
            }
            // The stage learns of a watermark by being told.
            if *calls == 0 {
                outcome.add(add(&mut logic, watermark, &[]));
            }
            logic.freeze(scope);
            chain.push(Vec::new());
            let before = Outcome {
                fired: outcome.fired.clone(),
                late: outcome.late.clone(),
            };
            barrier = Some((at + 1, watermark, before));
            outcome.fired.extend(fire_all(&mut logic, watermark, 1));
        } else {
            apply(&mut logic, step, &mut watermark, ranges(1)[0], &mut outcome);
        }
        if let Some(chunk) = barrier.as_ref().and_then(|_| logic.copy_frozen(1)) {
            chunk
                .encode(chain.last_mut().expect("a barrier has an object"))
                .expect("integers encode");
        }
    }
    if let Some(before) = barrier {
        copy_rest(
            &mut logic,
            chain.last_mut().expect("a barrier has an object"),
        );
        restart(&chain, before);
    }
    assert_eq!(&outcome.sorted(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sliding_windows_are_as_defined(
        mut steps in steps(), size in 1_i64..25, part in 1_i64..25, offset in -30_i64..30, lateness in 0_i64..20, workers in 1_usize..4,
    ) {
        steps.push(Step::Advance(1_000));
        let slide = part.min(size);
        let expected = sliding_by_definition(&steps, size, slide, offset, lateness);
        let windows = Sliding::new(size, slide).expect("a size").offset(offset);
        check(|| windows.logic(lateness, stats()), &steps, workers, &expected);
    }

    #[test]
    fn tumbling_windows_are_as_defined(mut steps in steps(), size in 1_i64..40, late in prop_oneof![Just(0_i64), 0_i64..20], workers in 1_usize..4) {
        steps.push(Step::Advance(1_000));
        let expected = sliding_by_definition(&steps, size, size, 0, late);
        let windows = Sliding::new(size, size).expect("a size");
        check(|| windows.logic(late, stats()), &steps, workers, &expected);
    }

    #[test]
    fn sessions_are_as_defined(mut steps in steps(), gap in 1_i64..25, late in prop_oneof![Just(0_i64), 0_i64..30], workers in 1_usize..4) {
        steps.push(Step::Advance(1_000));
        let expected = sessions_by_definition(&steps, gap, late);
        let windows = Session::new(gap).expect("a gap");
        check(|| windows.logic(late, stats()), &steps, workers, &expected);
    }
}
