//! Random operations, snapshots and restarts with other numbers of workers, against the model; on each
//! backend, and with changes between them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::model::Model;
use super::stage::{Op, Seen, Stage, rec};
use super::team::{Snapshots, Team, World};
use crate::settings::StateBackend;
use crate::state::{KeyedLogic, SnapshotScope, TimerKind};

#[derive(Clone, Debug)]
enum Step {
    /// Records of key and time.
    Records(Vec<(u64, i64, Op)>),
    /// The watermark moves ahead.
    Advance(i64),
    /// The clock moves ahead.
    Clock(i64),
    /// The snapshot before is finished, and a barrier passes.
    Barrier(SnapshotScope),
    /// Some of the frozen image is copied.
    Copy(usize),
    /// All workers end, and so many begin with the last snapshot that was finished, on one of the
    /// backends.
    Restart(usize, usize),
}

fn ops() -> impl Strategy<Value = Op> {
    let at = || 0_u8..5;
    let value = || -50_i64..50;
    let kind = || prop_oneof![Just(TimerKind::Event), Just(TimerKind::Processing)];
    prop_oneof![
        1 => Just(Op::Look),
        3 => (0_u64..50).prop_map(Op::AddToValue),
        1 => (0_u64..50).prop_map(Op::SetValue),
        1 => Just(Op::ClearValue),
        3 => (at(), value()).prop_map(|(at, to)| Op::Insert(at, to)),
        2 => (at(), value()).prop_map(|(at, by)| Op::AddToMap(at, by)),
        1 => at().prop_map(Op::Remove),
        3 => (at(), value()).prop_map(|(at, to)| Op::InsertTimed(at, to)),
        2 => (at(), value()).prop_map(|(at, by)| Op::AddTimed(at, by)),
        1 => Just(Op::ClearMap),
        5 => value().prop_map(Op::Push),
        1 => Just(Op::PopFirst),
        1 => Just(Op::ClearList),
        1 => Just(Op::ClearAll),
        4 => (kind(), -20_i64..120).prop_map(|(kind, at)| Op::Set(kind, at)),
        2 => (kind(), -20_i64..120).prop_map(|(kind, at)| Op::Delete(kind, at)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0_u64..7, -20_i64..100, ops());
    prop::collection::vec(
        prop_oneof![
            6 => prop::collection::vec(record, 1..15).prop_map(Step::Records),
            2 => (1_i64..25).prop_map(Step::Advance),
            2 => (1_i64..12).prop_map(Step::Clock),
            2 => Just(Step::Barrier(SnapshotScope::Increment)),
            1 => Just(Step::Barrier(SnapshotScope::Full)),
            3 => (1_usize..6).prop_map(Step::Copy),
            1 => (1_usize..4, 0_usize..2).prop_map(|(n, backend)| Step::Restart(n, backend)),
        ],
        1..40,
    )
}

/// The stage with its snapshots beside the model with copies of itself.
struct Run {
    world: World,
    backends: Vec<StateBackend>,
    workers: Team<Stage>,
    model: Model,
    /// The model at the last barrier, whose snapshot is being copied.
    frozen: Option<Model>,
    /// The last snapshot that was finished.
    stored: Option<(Snapshots, Model)>,
}

impl Run {
    /// A run that begins on the last of some backends.
    fn new(backends: Vec<StateBackend>) -> Self {
        let mut world = World::new();
        let first = backends.last().cloned().unwrap_or_default();
        let mut workers = world.team(&first, 2, &Snapshots::new());
        workers.tick(0, &mut Vec::new());
        Self {
            world,
            backends,
            workers,
            model: Model::new(),
            frozen: None,
            stored: None,
        }
    }

    fn step(&mut self, step: &Step) {
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        match step {
            Step::Records(records) => {
                let mut batches = vec![Vec::new(); self.workers.logics.len()];
                for (key, time, op) in records {
                    batches[self.workers.of(*key)].push(rec(*key, *time, *op));
                    expected.push(self.model.handle(*key, *time, *op));
                }
                for (logic, batch) in self.workers.logics.iter_mut().zip(&mut batches) {
                    logic.process(batch, self.model.watermark, &mut out, &mut Vec::new());
                }
            }
            Step::Advance(by) => {
                // As the operator does: nothing fires before the backend has settled.
                if !self.workers.is_settled() {
                    self.finish_snapshot();
                }
                self.model.watermark = self.model.watermark.max(-20) + by;
                self.workers.fire(self.model.watermark, &mut out);
                expected = self.model.ring(TimerKind::Event);
            }
            Step::Clock(by) => {
                self.model.clock += by;
                self.workers.tick(self.model.clock, &mut out);
                expected = self.model.ring(TimerKind::Processing);
            }
            Step::Barrier(scope) => {
                self.finish_snapshot();
                // The first of a chain is full.
                let first = self.workers.chains.iter().all(Vec::is_empty);
                let scope = if first { SnapshotScope::Full } else { *scope };
                self.workers.freeze(scope);
                self.frozen = Some(self.model.clone());
            }
            Step::Copy(budget) => {
                if !self.workers.copy(*budget) {
                    self.finish_snapshot();
                }
            }
            Step::Restart(worker_count, backend) => {
                let backend = self.backends[backend % self.backends.len()].clone();
                self.restart(*worker_count, &backend);
            }
        }
        let seen: Vec<Seen> = out.into_iter().map(|rec| rec.value).collect();
        assert_eq!(by_key(seen), by_key(expected), "{step:?}");
    }

    fn finish_snapshot(&mut self) {
        while self.workers.copy(3) {}
        self.workers.store();
        if let Some(frozen) = self.frozen.take() {
            self.stored = Some((self.workers.chains.clone(), frozen));
        }
    }

    fn restart(&mut self, worker_count: usize, backend: &StateBackend) {
        let clock = self.model.clock;
        let (chains, mut model) = self
            .stored
            .clone()
            .unwrap_or_else(|| (Vec::new(), Model::new()));
        // Time goes on, whatever happens.
        model.clock = clock;
        self.workers = self.world.team(backend, worker_count, &chains);
        self.frozen = None;
        self.stored = (!chains.is_empty()).then(|| (chains, model.clone()));
        self.model = model;
        let (mut out, expected) = (Vec::new(), self.model.ring(TimerKind::Processing));
        self.workers.tick(clock, &mut out);
        let seen: Vec<Seen> = out.into_iter().map(|rec| rec.value).collect();
        assert_eq!(by_key(seen), by_key(expected), "behind a restart");
    }
}

/// The order counts for each key: keys whose timers ring at one time have none among them.
fn by_key(all: Vec<Seen>) -> BTreeMap<u64, Vec<Seen>> {
    let mut by_key = BTreeMap::<_, Vec<_>>::new();
    for seen in all {
        by_key.entry(seen.key).or_default().push(seen);
    }
    by_key
}

/// Goes through the steps, and then has everything cleaned up.
fn check(steps: &[Step], backends: Vec<StateBackend>) -> Result<(), TestCaseError> {
    let mut run = Run::new(backends);
    for step in steps {
        run.step(step);
    }
    run.step(&Step::Clock(1));
    // Only a stage in memory counts all that it has.
    if run.backends.len() > 1 {
        run.step(&Step::Barrier(SnapshotScope::Full));
        run.finish_snapshot();
        run.restart(1, &StateBackend::Memory);
    }
    // A look at everything: what has expired is gone.
    (0..4).for_each(|_| run.workers.tick(run.model.clock, &mut Vec::new()));
    let kept: usize = run.workers.logics.iter().map(KeyedLogic::len).sum();
    prop_assert_eq!(kept, run.model.live());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn states_and_timers_are_what_plain_maps_say_through_snapshots_and_restarts(steps in steps()) {
        check(&steps, vec![StateBackend::Memory])?;
    }
}

#[cfg(feature = "rocksdb")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn states_and_timers_go_from_backend_to_backend(steps in steps()) {
        check(&steps, vec![StateBackend::Memory, super::team::tiny_rocksdb()])?;
    }
}
