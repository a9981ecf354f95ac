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
    stored: impl Into<Option<PlanStage>>,
    new: impl Into<Option<PlanStage>>,
    expected: &StageChange,
    words: Option<&str>,
) {
    let diff = compare_plans(
        &plan(stored.into().as_slice()),
        &plan(new.into().as_slice()),
    );
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

fn keyed(schema: &str) -> PlanStage {
    stage("s", StageKind::Keyed, Some(schema))
}

fn of_kind(kind: StageKind) -> PlanStage {
    stage("s", kind, None)
}

#[test]
fn a_stage_with_the_same_kind_and_schema_is_the_same_whatever_its_detail() {
    let mut stored = keyed("u64");
    stored.detail = "another".to_owned();
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
