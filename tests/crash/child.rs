//! A child: runs the job once, as its parent says, and tells how it ended.

use std::env;
use std::process::{self, ExitCode};
use std::sync::Arc;

use flowdsl::cli::{Cli, NoArgs};
use flowdsl::prelude::*;
use flowdsl::runtime::storage::RealDisk;
use flowdsl::{CheckpointLocation, Environment, JobReport, Result};

use crate::disk::GuardedDisk;
use crate::gate::{Ending, Gate, Outcome, Said, say};
use crate::job::{self, Surroundings};
use crate::life::{Entry, Life};
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
    let around = Surroundings {
        metrics: Arc::clone(&environment.metrics),
        gate,
    };
    let job = job::job(&life.output, life.version, &around);
    let own = match &life.entry {
        Entry::Library => {
            let ended = job.run_in(&options, &environment);
            return say(&Said::Ended(ending_of(&ended, &around)));
        }
        Entry::Main(own) => own.clone(),
        Entry::SecondMain => {
            another_run();
            Vec::new()
        }
    };
    let _ = around.gate.look("beginning");
    let arguments = ["job".to_owned()].into_iter().chain(life.arguments());
    let cli = Cli::<NoArgs>::try_parse_from(arguments.chain(own)).expect("it is well written");
    let code = cli.in_environment(environment).main_then(&job, |report| {
        let _ = around.gate.look("end");
        say(&Said::Ended(ending_of(&Ok(*report), &around)));
        Ok(())
    });
    let code = (0..=u8::MAX).find(|n| ExitCode::from(*n) == code);
    process::exit(code.map_or(i32::MAX, i32::from));
}

/// Runs another job by the command line of this library.
fn another_run() {
    let job = Job::new("before", |flow| {
        let rows = flow.source("rows", Memory::new(vec![1_u64]));
        rows.sink(Collect::new());
    });
    let cli = Cli::<NoArgs>::try_parse_from(["job"]).expect("nothing is wrong with it");
    assert_eq!(cli.main(&job), ExitCode::SUCCESS);
}

fn ending_of(ended: &Result<JobReport>, around: &Surroundings) -> Ending {
    let metrics = around.metrics.snapshot();
    let report = ended.as_ref().ok();
    Ending {
        restored_from: report.and_then(|report| Some(report.restored_from?.0)),
        outcome: outcome_of(ended),
        restarts: metrics.restarts,
        checkpoints: metrics.checkpoints,
        checkpoints_failed: metrics.checkpoints_failed,
        records: metrics.records_in,
        passages: around.gate.passages(),
    }
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
