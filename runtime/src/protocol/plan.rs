//! Whether stored state fits the flow that is to read it.
//!
//! State is never dropped or reinterpreted in silence: a stage whose state would be lost, or cannot be read
//! through the schema that was stored with it, refuses the start. Stages without state come and go freely, and a new
//! stage starts empty.

mod migrations;
mod rename;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::evolution::{Compared, Difference, Dropping, Migration, StageEvolution, compare_states};
use crate::error::Error;
use crate::ids::{KeyGroupCount, StageId};
use crate::protocol::{Manifest, PlanStage, StageKind, StoredPlan};
use crate::schema::Schema;

pub use migrations::check_migrations;
pub use rename::rename_stages;

/// How the stages of a stored plan and of a new one compare, in the order new ones, then dropped ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDiff {
    /// One entry for each stage that is in either plan.
    pub stages: Vec<StageDiff>,
}

/// How one stage compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDiff {
    /// The stage.
    pub id: StageId,
    /// What happened to it.
    pub change: StageChange,
    /// Whether what it had may be lost.
    pub dropping: Allowance,
}

/// Whether the state of a stage may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It was said: what of it cannot be kept is dropped.
    MayBeLost,
    /// It was not.
    MustStay,
}

/// What happened to a stage between two plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageChange {
    /// Its state, if it has any, is read as it is.
    Same,
    /// It was not there, or had no state.
    New,
    /// It is gone.
    Dropped {
        /// What it was.
        kind: StageKind,
    },
    /// It had state and is something else now.
    Kind {
        /// What it was.
        from: StageKind,
        /// What it is.
        to: StageKind,
    },
    /// Its state is read through the stored schema.
    Evolved {
        /// What has changed, a line each.
        changes: Vec<String>,
    },
    /// As [`Evolved`](Self::Evolved), and functions of the user's make new state of old.
    Migrated {
        /// What has changed, a line each.
        changes: Vec<String>,
    },
    /// Its state cannot be read.
    Unreadable {
        /// Why.
        differences: Vec<Difference>,
    },
}

/// What a new version of a job says of the state of those before.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionRules<'a> {
    /// The functions that make new state of old, by stage.
    pub migrations: &'a [(StageId, Migration)],
    /// The stages whose state may be lost.
    pub allow_dropped: &'a [StageId],
}

impl VersionRules<'_> {
    fn allowance(&self, stage: &StageId) -> Allowance {
        if self.allow_dropped.contains(stage) {
            Allowance::MayBeLost
        } else {
            Allowance::MustStay
        }
    }
}

/// What a restore is to do beside reading what is stored.
#[derive(Clone, Debug, Default)]
pub struct RestorePlan {
    /// How the plans compare.
    pub diff: PlanDiff,
    /// Stages whose state is read through the stored schema.
    pub(crate) evolved: BTreeMap<StageId, Evolving>,
}

/// How the stored state of a stage becomes state of its present schema.
#[derive(Clone)]
pub(crate) struct Evolving {
    pub(crate) stored: Schema,
    pub(crate) new: Schema,
    pub(crate) evolution: StageEvolution,
}

impl fmt::Debug for Evolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evolving from {} to {}", self.stored, self.new)
    }
}

/// Compares the plan of a checkpoint with that of the flow that is to be restored from it.
pub fn compare_plans(
    stored: &StoredPlan,
    new: &StoredPlan,
    rules: VersionRules<'_>,
) -> RestorePlan {
    let mut plan = RestorePlan::default();
    for stage in &new.stages {
        let change = match find(stored, &stage.id) {
            None => StageChange::New,
            Some(before) => {
                let (change, evolving) = compare_stages(before, stage, rules);
                let evolving = evolving.map(|evolving| (stage.id.clone(), evolving));
                plan.evolved.extend(evolving);
                change
            }
        };
        plan.diff.stages.push(StageDiff {
            id: stage.id.clone(),
            change,
            dropping: rules.allowance(&stage.id),
        });
    }
    let gone = stored
        .stages
        .iter()
        .filter(|stage| find(new, &stage.id).is_none());
    plan.diff.stages.extend(gone.map(|stage| StageDiff {
        id: stage.id.clone(),
        change: StageChange::Dropped { kind: stage.kind },
        dropping: rules.allowance(&stage.id),
    }));
    plan
}

fn compare_stages(
    stored: &PlanStage,
    new: &PlanStage,
    rules: VersionRules<'_>,
) -> (StageChange, Option<Evolving>) {
    if !stored.kind.has_snapshot() {
        // What kept nothing has nothing to lose; what keeps something now starts empty.
        let change = if new.kind.has_snapshot() {
            StageChange::New
        } else {
            StageChange::Same
        };
        return (change, None);
    }
    if stored.kind != new.kind {
        let (from, to) = (stored.kind, new.kind);
        return (StageChange::Kind { from, to }, None);
    }
    let (Some(was), Some(is)) = (&stored.schema, &new.schema) else {
        return (without_schema(stored, new), None);
    };
    if was == is {
        return (StageChange::Same, None);
    }
    let of_stage = rules.migrations.iter().filter(|(id, _)| *id == new.id);
    let migrations: Vec<&Migration> = of_stage.map(|(_, migration)| migration).collect();
    let dropping = match rules.allowance(&new.id) {
        Allowance::MayBeLost => Dropping::Allowed,
        Allowance::MustStay => Dropping::Refused,
    };
    let Compared {
        evolution,
        changes,
        differences,
    } = compare_states(was, is, &migrations, dropping);
    let Some(evolution) = evolution else {
        return (unreadable((was, is), differences), None);
    };
    let change = if evolution.is_migration() {
        StageChange::Migrated { changes }
    } else {
        StageChange::Evolved { changes }
    };
    let evolving = (!evolution.is_same()).then(|| Evolving {
        stored: was.clone(),
        new: is.clone(),
        evolution,
    });
    (change, evolving)
}

/// Stages of which at least one has no schema: sources and sinks, whose formats are ours.
fn without_schema(stored: &PlanStage, new: &PlanStage) -> StageChange {
    if stored.schema == new.schema {
        return StageChange::Same;
    }
    let text = |stage: &PlanStage| {
        let schema = stage.schema.as_ref();
        schema.map_or("nothing".to_owned(), ToString::to_string)
    };
    let differences = vec![of_no_kind(text(stored), text(new))];
    StageChange::Unreadable { differences }
}

/// State that cannot be read, for a reason in any case: without one it would be dropped in silence.
fn unreadable((was, is): (&Schema, &Schema), mut differences: Vec<Difference>) -> StageChange {
    if differences.is_empty() {
        differences.push(of_no_kind(was.to_string(), is.to_string()));
    }
    StageChange::Unreadable { differences }
}

fn of_no_kind(was: String, is: String) -> Difference {
    Difference {
        place: "the state".to_owned(),
        was,
        is,
        advice: "it is of no kind that is known".to_owned(),
    }
}

impl StageDiff {
    /// Whether all that the stage had is dropped: it starts empty, or is gone.
    pub(crate) fn is_dropped(&self) -> bool {
        match &self.change {
            StageChange::Same
            | StageChange::New
            | StageChange::Evolved { .. }
            | StageChange::Migrated { .. } => false,
            StageChange::Dropped { kind } => kind.has_snapshot(),
            StageChange::Kind { .. } | StageChange::Unreadable { .. } => true,
        }
    }

    /// Why state cannot be restored after this change, a line each; none if it can.
    fn refusals(&self) -> Vec<String> {
        if !self.is_dropped() || self.dropping == Allowance::MayBeLost {
            return Vec::new();
        }
        self.lines()
    }

    /// What happened, a line each; none if nothing did.
    fn lines(&self) -> Vec<String> {
        let id = &self.id;
        let each = |what: &[String]| what.iter().map(|what| format!("`{id}`, {what}")).collect();
        match &self.change {
            StageChange::Same => Vec::new(),
            StageChange::New => vec![format!("`{id}` is new and starts empty")],
            StageChange::Dropped { kind } if kind.has_snapshot() => {
                vec![format!(
                    "`{id}` ({}) is gone, and its state with it",
                    word(*kind)
                )]
            }
            StageChange::Dropped { kind } => vec![format!("`{id}` ({}) is gone", word(*kind))],
            StageChange::Kind { from, to } => {
                vec![format!("`{id}` was {} and is {}", word(*from), word(*to))]
            }
            StageChange::Evolved { changes } | StageChange::Migrated { changes } => each(changes),
            StageChange::Unreadable { differences } => each(
                &differences
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
            ),
        }
    }
}

impl PlanDiff {
    /// Whether every stage is what it was.
    pub fn is_same(&self) -> bool {
        let mut stages = self.stages.iter();
        stages.all(|stage| stage.change == StageChange::Same)
    }

    /// Whether all that a stage had is dropped.
    pub(crate) fn drops(&self, stage: &StageId) -> bool {
        let mut stages = self.stages.iter();
        stages.any(|diff| diff.id == *stage && diff.is_dropped())
    }

    /// Why the new plan must not be restored from the stored one; `None` if it may.
    pub fn refusal(&self) -> Option<Error> {
        let reasons: Vec<String> = self.stages.iter().flat_map(StageDiff::refusals).collect();
        (!reasons.is_empty()).then(|| {
            Error::incompatible(format!(
                "the checkpoint does not fit this flow:\n  {}\nGive the stages the ids and types that they had (`as` \
                 names a stage, `Job::renamed` says what one was called), write a `Migration`, give up the state of a \
                 stage with `--allow-dropped <stage>`, or start anew with `--fresh`",
                reasons.join("\n  ")
            ))
        })
    }
}

impl fmt::Display for PlanDiff {
    /// What has changed, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for stage in &self.stages {
            let dropped = stage.is_dropped() && stage.dropping == Allowance::MayBeLost;
            for line in stage.lines() {
                let end = if dropped {
                    "; its state is dropped"
                } else {
                    ""
                };
                write!(f, "{}{line}{end}", if first { "" } else { "\n" })?;
                first = false;
            }
        }
        Ok(())
    }
}

/// Whether a checkpoint can be restored into this flow, and what is to be done for it.
///
/// # Errors
///
/// `Incompatible`, naming each stage that does not fit; `Invalid`, naming each migration that could never be taken.
pub fn may_restore(
    manifest: &Manifest,
    plan: &StoredPlan,
    key_groups: KeyGroupCount,
    rules: VersionRules<'_>,
) -> Result<RestorePlan, Error> {
    if manifest.key_groups != key_groups {
        return Err(Error::incompatible(format!(
            "the checkpoint has {} key groups and the settings say {}: their number is fixed for the job's life",
            manifest.key_groups.get(),
            key_groups.get()
        )));
    }
    check_migrations(plan, rules.migrations)?;
    let restore = compare_plans(&manifest.plan, plan, rules);
    restore.diff.refusal().map_or(Ok(restore), Err)
}

fn find<'a>(plan: &'a StoredPlan, id: &StageId) -> Option<&'a PlanStage> {
    plan.stages.iter().find(|stage| stage.id == *id)
}

const fn word(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Source => "a source",
        StageKind::Stateless => "a stage without state",
        StageKind::Keyed => "a keyed stage",
        StageKind::Sink => "a sink that writes at once",
        StageKind::TransactionalSink => "an exactly-once sink",
    }
}
