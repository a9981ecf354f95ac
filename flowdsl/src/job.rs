//! A job: a flow with a name, which can be looked at and run.

use std::fmt;
use std::sync::Arc;

use flowdsl_runtime::ids::StageId;
use flowdsl_runtime::job::{self, Environment, JobReport, JobSpec, Versions};
use flowdsl_runtime::protocol::{
    Manifest, Migration, PlanDiff, StoredPlan, VersionRules, check_migrations, compare_plans,
    rename_stages,
};
use flowdsl_runtime::settings::Options;

use crate::{Error, Flow};

/// A flow with a name. `flow!` makes one.
#[derive(Clone)]
#[must_use = "a job does nothing until it is run"]
pub struct Job {
    spec: JobSpec,
}

impl Job {
    /// A job whose graph `body` builds: once for each worker and once for the plan.
    ///
    /// The name stands in the job's checkpoints and beside its output: a job of another name is
    /// refused there.
    pub fn new(name: &str, body: impl Fn(&Flow<'_>) + Send + Sync + 'static) -> Self {
        Self {
            spec: JobSpec {
                name: name.into(),
                body: Arc::new(move |graph| body(&Flow::new(graph))),
                versions: Versions::default(),
            },
        }
    }

    /// The same job under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.spec.name = name.into();
        self
    }

    /// The same job, that makes new state of what a stage stored as another type.
    ///
    /// A migration whose new type is what is stored already does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use flowdsl::prelude::*;
    ///
    /// # fn visits(visitors: &[&str], seen: &Collect<(String, String)>) -> Job {
    /// #     let (visitors, seen) = (visitors.iter().map(|v| v.to_string()).collect::<Vec<_>>(), seen.clone());
    /// #     Job::new("visits", move |flow| {
    /// #         flow.source("visits", Memory::new(visitors.clone()))
    /// #             .key_by(|visitor| visitor.clone())
    /// #             .at("counts")
    /// #             .fold("no visit".to_owned(), |text, _| text.push('!'))
    /// #             .map(|count| (count.key, count.value))
    /// #             .sink(seen.clone());
    /// #     })
    /// # }
    /// # let seen = Collect::new();
    /// # let job = visits(&["a"], &seen);
    /// // The stage `counts` kept a number, and keeps a text now.
    /// let job = job.migrate("counts", Migration::value(|count: u64| format!("{count} visits")));
    /// # job.run(Options::new())?;
    /// # Ok::<(), flowdsl::Error>(())
    /// ```
    pub fn migrate(mut self, stage: &str, migration: Migration) -> Self {
        let versions = &mut self.spec.versions;
        versions.migrations.push((StageId::new(stage), migration));
        self
    }

    /// The same job, with the state of a stage that was called `old` in the one that is called `new` now.
    ///
    /// It holds for sources and sinks, too. Where no stage is stored under the old name it does nothing.
    pub fn renamed(mut self, old: &str, new: &str) -> Self {
        let versions = &mut self.spec.versions;
        versions
            .renamed
            .push((StageId::new(old), StageId::new(new)));
        self
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The plan: stages and edges, with the ids and schemas that checkpoints store.
    ///
    /// # Errors
    ///
    /// `Invalid`, with everything that is wrong with the flow.
    pub fn plan(&self) -> Result<StoredPlan, Error> {
        job::blueprint(&self.spec).map(|blueprint| blueprint.plan)
    }

    /// What has changed since a checkpoint, by the plan that it stored: what a run from there would do with its state.
    ///
    /// # Errors
    ///
    /// `Invalid`, with everything that is wrong with the flow, or with what is said of renamed stages and of migrations.
    pub fn changes_since(
        &self,
        checkpoint: &Manifest,
        options: &Options,
    ) -> Result<PlanDiff, Error> {
        let plan = self.plan()?;
        let versions = &self.spec.versions;
        let stored = rename_stages(checkpoint.clone(), &versions.renamed, &plan)?;
        check_migrations(&plan, &versions.migrations)?;
        let rules = VersionRules {
            migrations: &versions.migrations,
            allow_dropped: &options.allow_dropped,
        };
        Ok(compare_plans(&stored.plan, &plan, rules).diff)
    }

    /// Runs the job until all input is read and all output is visible, or until it fails.
    ///
    /// With a checkpoint directory, a run goes on where the last one left off.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind): what the kind says to do.
    pub fn run(&self, options: Options) -> Result<JobReport, Error> {
        self.run_in(&options, &Environment::default())
    }

    /// Runs the job in an environment: with a handle to stop it, another disk, a clock moved by hand.
    pub fn run_in(&self, options: &Options, environment: &Environment) -> Result<JobReport, Error> {
        job::run(&self.spec, options, environment)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}
