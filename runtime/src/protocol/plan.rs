//! Whether stored state fits the flow that is to read it.
//!
//! State is never dropped or reinterpreted in silence: a stage whose state would be lost or read
//! with another schema refuses the start. Stages without state come and go freely, and a new stage
//! starts empty.

use crate::error::Error;
use crate::ids::{KeyGroupCount, StageId};
use crate::protocol::{Manifest, PlanStage, StageKind, StoredPlan};
use crate::schema::Schema;

/// How the stages of a stored plan and of a new one compare, in the order new ones, then dropped ones.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// What happened to a stage between two plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageChange {
    /// Its state, if it has any, can be read.
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
    /// Its state has another schema.
    Schema {
        /// As it was stored.
        from: Option<Schema>,
        /// As the flow has it.
        to: Option<Schema>,
    },
}

impl StageChange {
    /// Why state cannot be restored after this change; `None` if it can.
    fn refusal(&self, id: &StageId) -> Option<String> {
        match self {
            Self::Same | Self::New => None,
            Self::Dropped { kind } if !kind.has_snapshot() => None,
            Self::Dropped { kind } => Some(format!(
                "`{id}` ({}) is gone, and its state with it",
                word(*kind)
            )),
            Self::Kind { from, to } => {
                Some(format!("`{id}` was {} and is {}", word(*from), word(*to)))
            }
            Self::Schema { from, to } => {
                let text = |schema: &Option<Schema>| {
                    schema
                        .as_ref()
                        .map_or("nothing".to_owned(), Schema::to_string)
                };
                Some(format!(
                    "the state of `{id}` was {} and is {}",
                    text(from),
                    text(to)
                ))
            }
        }
    }
}

/// Compares the plan of a checkpoint with that of the flow that is to be restored from it.
pub fn compare_plans(stored: &StoredPlan, new: &StoredPlan) -> PlanDiff {
    let compared = new.stages.iter().map(|stage| StageDiff {
        id: stage.id.clone(),
        change: find(stored, &stage.id)
            .map_or(StageChange::New, |before| compare_stages(before, stage)),
    });
    let gone = stored
        .stages
        .iter()
        .filter(|stage| find(new, &stage.id).is_none());
    let dropped = gone.map(|stage| StageDiff {
        id: stage.id.clone(),
        change: StageChange::Dropped { kind: stage.kind },
    });
    PlanDiff {
        stages: compared.chain(dropped).collect(),
    }
}

impl PlanDiff {
    /// Why the new plan must not be restored from the stored one; `None` if it may.
    pub fn refusal(&self) -> Option<Error> {
        let reasons: Vec<String> = self
            .stages
            .iter()
            .filter_map(|stage| stage.change.refusal(&stage.id))
            .collect();
        (!reasons.is_empty()).then(|| {
            Error::incompatible(format!(
                "the checkpoint does not fit this flow: {}. Give the stages the ids and types that they had (`as` \
                 names a stage), or start anew with `--fresh`",
                reasons.join("; ")
            ))
        })
    }
}

/// Whether a checkpoint can be restored into this flow.
///
/// # Errors
///
/// `Incompatible`, naming each stage that does not fit.
pub fn may_restore(
    manifest: &Manifest,
    plan: &StoredPlan,
    key_groups: KeyGroupCount,
) -> Result<(), Error> {
    if manifest.key_groups != key_groups {
        return Err(Error::incompatible(format!(
            "the checkpoint has {} key groups and the settings say {}: their number is fixed for the job's life",
            manifest.key_groups.get(),
            key_groups.get()
        )));
    }
    compare_plans(&manifest.plan, plan)
        .refusal()
        .map_or(Ok(()), Err)
}

fn find<'a>(plan: &'a StoredPlan, id: &StageId) -> Option<&'a PlanStage> {
    plan.stages.iter().find(|stage| stage.id == *id)
}

fn compare_stages(stored: &PlanStage, new: &PlanStage) -> StageChange {
    if !stored.kind.has_snapshot() {
        // What kept nothing has nothing to lose; what keeps something now starts empty.
        return if new.kind.has_snapshot() {
            StageChange::New
        } else {
            StageChange::Same
        };
    }
    if stored.kind != new.kind {
        return StageChange::Kind {
            from: stored.kind,
            to: new.kind,
        };
    }
    if stored.schema != new.schema {
        return StageChange::Schema {
            from: stored.schema.clone(),
            to: new.schema.clone(),
        };
    }
    StageChange::Same
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(id: &str, kind: StageKind, schema: Option<&str>) -> PlanStage {
        PlanStage {
            id: StageId::new(id),
            operation: "stage".to_owned(),
            detail: String::new(),
            kind,
            schema: schema.map(Schema::plain),
        }
    }

    fn plan(stages: &[PlanStage]) -> StoredPlan {
        StoredPlan {
            stages: stages.to_vec(),
            edges: Vec::new(),
        }
    }

    /// Compares the two forms of a stage `s`, of which each may be missing.
    fn check(
        stored: Option<PlanStage>,
        new: Option<PlanStage>,
        expected: &StageChange,
        words: Option<&str>,
    ) {
        let diff = compare_plans(&plan(stored.as_slice()), &plan(new.as_slice()));
        assert_eq!(
            diff.stages,
            [StageDiff {
                id: StageId::new("s"),
                change: expected.clone()
            }]
        );
        match (diff.refusal(), words) {
            (None, None) => {}
            (Some(error), Some(words)) => assert!(error.message().contains(words), "{error}"),
            (error, words) => panic!("{error:?} instead of {words:?}"),
        }
    }

    fn keyed(schema: &str) -> Option<PlanStage> {
        Some(stage("s", StageKind::Keyed, Some(schema)))
    }

    fn of_kind(kind: StageKind) -> Option<PlanStage> {
        Some(stage("s", kind, None))
    }

    #[test]
    fn a_stage_with_the_same_kind_and_schema_is_the_same_whatever_its_detail() {
        let mut stored = keyed("u64");
        if let Some(stage) = &mut stored {
            stage.detail = "another".to_owned();
        }
        check(stored, keyed("u64"), &StageChange::Same, None);
    }

    #[test]
    fn a_new_stage_starts_empty_with_state_or_without() {
        check(None, keyed("u64"), &StageChange::New, None);
        check(None, of_kind(StageKind::Stateless), &StageChange::New, None);
        check(
            of_kind(StageKind::Stateless),
            keyed("u64"),
            &StageChange::New,
            None,
        );
    }

    #[test]
    fn a_stage_without_state_may_go() {
        for kind in [StageKind::Stateless, StageKind::Sink] {
            check(of_kind(kind), None, &StageChange::Dropped { kind }, None);
        }
    }

    #[test]
    fn a_stage_with_state_may_not_go() {
        for kind in [
            StageKind::Source,
            StageKind::Keyed,
            StageKind::TransactionalSink,
        ] {
            check(
                of_kind(kind),
                None,
                &StageChange::Dropped { kind },
                Some("`s`"),
            );
        }
    }

    #[test]
    fn a_stage_with_state_may_not_become_another() {
        let change = StageChange::Kind {
            from: StageKind::Keyed,
            to: StageKind::Stateless,
        };
        check(
            of_kind(StageKind::Keyed),
            of_kind(StageKind::Stateless),
            &change,
            Some("a keyed stage"),
        );
        let change = StageChange::Kind {
            from: StageKind::TransactionalSink,
            to: StageKind::Sink,
        };
        check(
            of_kind(StageKind::TransactionalSink),
            of_kind(StageKind::Sink),
            &change,
            Some("exactly-once"),
        );
    }

    #[test]
    fn state_may_not_change_its_schema() {
        let change = StageChange::Schema {
            from: Some(Schema::plain("u64")),
            to: Some(Schema::plain("i64")),
        };
        check(
            keyed("u64"),
            keyed("i64"),
            &change,
            Some("was u64 and is i64"),
        );
    }

    #[test]
    fn all_reasons_are_named_at_once() {
        let stored = plan(&[
            stage("a", StageKind::Keyed, None),
            stage("b", StageKind::Source, None),
        ]);
        let error = compare_plans(&stored, &plan(&[]))
            .refusal()
            .expect("two stages lost");
        assert!(
            error.message().contains("`a`") && error.message().contains("`b`"),
            "{error}"
        );
        assert_eq!(error.kind(), crate::ErrorKind::Incompatible);
    }

    #[test]
    fn the_number_of_key_groups_is_fixed() {
        let manifest = crate::protocol::testing::bare_manifest(1, 1);
        assert!(may_restore(&manifest, &manifest.plan, KeyGroupCount::DEFAULT).is_ok());
        let other = KeyGroupCount::new(512).expect("a power of two");
        let error = may_restore(&manifest, &manifest.plan, other).expect_err("another number");
        assert!(
            error.message().contains("256") && error.message().contains("512"),
            "{error}"
        );
    }
}
