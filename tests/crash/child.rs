//! A child: runs the job once, as its parent says, and tells how it ended.

use std::env;
use std::sync::Arc;

use flowdsl::runtime::storage::RealDisk;
use flowdsl::{CheckpointLocation, Environment, JobReport, Result};

use crate::disk::GuardedDisk;
use crate::gate::{Ending, Gate, Outcome, Said, say};
use crate::job;
use crate::life::Life;
use crate::matrix::settings;
use crate::storage::GuardedStorage;
use crate::world::World;

/// The variable with the [`Life`] of a child.
pub(crate) const LIFE: &str = "FLOWDSL_CRASH_LIFE";

/// The test that every child is, by the name that the test harness knows.
pub(crate) const TEST: &str = "child::a_life_that_nobody_disturbs_writes_what_a_loop_says";

#[test]
fn a_life_that_nobody_disturbs_writes_what_a_loop_says() {
    if let Ok(life) = env::var(LIFE) {
        return live(&serde_json::from_str(&life).expect("the parent wrote it"));
    }
    for setting in settings() {
        let mut world = World::new(setting);
        let ending = world.finish();
        assert!(ending.checkpoints >= job::CHECKPOINTS, "{ending:?}");
        assert_eq!(ending.checkpoints_failed, 0, "{ending:?}");
    }
}

fn live(life: &Life) {
    let mut options = life.options();
    let location = CheckpointLocation::from(&life.checkpoints);
    let mut environment = Environment::default();
    let gate = Arc::new(Gate::new(&life.plan, environment.handle.clone()));
    environment.disk = Arc::new(GuardedDisk {
        gate: Arc::clone(&gate),
    });
    if life.checkpoints.contains("://") {
        let storage = location.open(Arc::new(RealDisk), &options.limits.transfers);
        environment.storage = Some(Arc::new(GuardedStorage {
            gate: Arc::clone(&gate),
            storage: storage.expect("the parent's server is there"),
        }));
    } else {
        options = options.checkpoint_dir(location);
    }
    let ended = job::job(&life.output, &environment.metrics).run_in(&options, &environment);
    let metrics = environment.metrics.snapshot();
    let report = ended.as_ref().ok();
    say(&Said::Ended(Ending {
        restored_from: report.and_then(|report| Some(report.restored_from?.0)),
        outcome: outcome_of(&ended),
        restarts: metrics.restarts,
        checkpoints: metrics.checkpoints,
        checkpoints_failed: metrics.checkpoints_failed,
        records: metrics.records_in,
        passages: gate.passages(),
    }));
}

fn outcome_of(ended: &Result<JobReport>) -> Outcome {
    match ended {
        Ok(report) => match report.outcome {
            flowdsl::Outcome::Finished => Outcome::Finished,
            flowdsl::Outcome::AlreadyFinished => Outcome::AlreadyFinished,
            flowdsl::Outcome::Stopped => Outcome::Stopped,
        },
        Err(error) => Outcome::Failed {
            kind: error.kind().as_str().to_owned(),
            message: error.to_string(),
        },
    }
}
