use super::*;

fn stage(id: &str, kind: StageKind, schema: Option<&str>) -> PlanStage {
    PlanStage {
        id: StageId::new(id),
        operation: "stage".to_owned(),
        detail: String::new(),
        kind,
        schema: schema.map(values),
    }
}

/// The schema of a running value.
fn values(value: &str) -> Schema {
    Schema::of_fields(
        "Values",
        [
            ("key", Schema::plain("u8")),
            ("value", Schema::plain(value)),
        ],
    )
}

fn plan(stages: &[PlanStage]) -> StoredPlan {
    StoredPlan {
        stages: stages.to_vec(),
        edges: Vec::new(),
    }
}

/// The message of a refusal with this one reason.
fn whole(reason: &str) -> String {
    format!(
        "the checkpoint does not fit this flow:\n  {reason}\nGive the stages the ids and types that they had (`as` \
         names a stage, `Job::renamed` says what one was called), write a `Migration`, give up the state of a stage \
         with `--allow-dropped <stage>`, or start anew with `--fresh`"
    )
}

/// Compares the two forms of a stage `s`, of which each may be missing.
fn check(
    stored: impl Into<Option<PlanStage>>,
    new: impl Into<Option<PlanStage>>,
    expected: &StageChange,
    words: Option<&str>,
) {
    let (stored, new) = (plan(stored.into().as_slice()), plan(new.into().as_slice()));
    let compare = |allow_dropped: &[StageId]| {
        let rules = VersionRules {
            migrations: &[],
            allow_dropped,
        };
        compare_plans(&stored, &new, rules).diff
    };
    let diff = compare(&[]);
    assert_eq!(
        diff.stages,
        [StageDiff {
            id: StageId::new("s"),
            change: expected.clone(),
            dropping: Allowance::MustStay,
        }]
    );
    let refusal = diff.refusal().map(|error| error.message().to_owned());
    assert_eq!(refusal, words.map(whole));
    let allowed = compare(&[StageId::new("s")]);
    assert_eq!(
        allowed.refusal().map(|e| e.to_string()),
        None,
        "it was allowed"
    );
    assert_eq!(allowed.drops(&StageId::new("s")), words.is_some());
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
    for (kind, what) in [
        (StageKind::Source, "a source"),
        (StageKind::Keyed, "a keyed stage"),
        (StageKind::TransactionalSink, "an exactly-once sink"),
    ] {
        let reason = format!("`s` ({what}) is gone, and its state with it");
        let change = StageChange::Dropped { kind };
        check(of_kind(kind), None, &change, Some(&reason));
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
        Some("`s` was a keyed stage and is a stage without state"),
    );
    let change = StageChange::Kind {
        from: StageKind::TransactionalSink,
        to: StageKind::Sink,
    };
    check(
        of_kind(StageKind::TransactionalSink),
        of_kind(StageKind::Sink),
        &change,
        Some("`s` was an exactly-once sink and is a sink that writes at once"),
    );
}

#[test]
fn state_that_cannot_be_read_is_refused() {
    let difference = Difference {
        place: "value".to_owned(),
        was: "u64".to_owned(),
        is: "i64".to_owned(),
        advice: "an integer may become a wider one; anything else needs a `Migration`".to_owned(),
    };
    let reason = format!("`s`, {difference}");
    let differences = vec![difference];
    let change = StageChange::Unreadable { differences };
    check(keyed("u64"), keyed("i64"), &change, Some(&reason));
}

#[test]
fn state_is_read_through_its_stored_schema() {
    let changes = vec!["value: u32 is now i64".to_owned()];
    let change = StageChange::Evolved { changes };
    check(keyed("u32"), keyed("i64"), &change, None);
}

#[test]
fn what_has_changed_is_said_a_line_each() {
    let stored = plan(&[
        stage("a", StageKind::Keyed, Some("u32")),
        stage("b", StageKind::Source, None),
        stage("c", StageKind::Keyed, Some("bool")),
    ]);
    let new = plan(&[
        stage("a", StageKind::Keyed, Some("u64")),
        stage("c", StageKind::Keyed, Some("String")),
        stage("d", StageKind::Keyed, Some("u64")),
    ]);
    let rules = VersionRules {
        migrations: &[(
            StageId::new("c"),
            Migration::value(|old: bool| old.to_string()),
        )],
        allow_dropped: &[StageId::new("b")],
    };
    let RestorePlan { diff, evolved } = compare_plans(&stored, &new, rules);
    assert_eq!(
        diff.to_string(),
        "`a`, value: u32 is now u64\n\
         `c`, value: is migrated from bool to String\n\
         `d` is new and starts empty\n\
         `b` (a source) is gone, and its state with it; its state is dropped"
    );
    assert_eq!(diff.refusal().map(|e| e.to_string()), None);
    assert!(evolved.keys().eq(&[StageId::new("a"), StageId::new("c")]));
}

#[test]
fn a_stage_that_has_another_name_keeps_its_state() {
    let manifest = || {
        let mut manifest = crate::protocol::testing::bare_manifest(1, 1);
        manifest.plan = plan(&[stage("old", StageKind::Keyed, Some("u64"))]);
        manifest
    };
    let new = |ids: &[&str]| {
        let stages = ids
            .iter()
            .map(|id| stage(id, StageKind::Keyed, Some("u64")));
        plan(&stages.collect::<Vec<_>>())
    };
    let renamed = [(StageId::new("old"), StageId::new("new"))];
    let now = rename_stages(manifest(), &renamed, &new(&["new"])).expect("it was called so");
    assert_eq!(now.plan, new(&["new"]));
    let again = rename_stages(now.clone(), &renamed, &new(&["new"]));
    assert_eq!(again.expect("nothing is left to do"), now);

    let message = |manifest, plan| {
        let error = rename_stages(manifest, &renamed, &plan).expect_err("it is refused");
        error.message().to_owned()
    };
    let said = "`old` is said to be called `new` now, and";
    assert_eq!(
        message(manifest(), new(&["new", "old"])),
        format!("{said} the flow still has a stage `old`")
    );
    assert_eq!(
        message(manifest(), new(&[])),
        format!("{said} the flow has no stage `new`")
    );
    let mut both = manifest();
    both.plan = new(&["old", "new"]);
    assert_eq!(
        message(both, new(&["new"])),
        format!("{said} the checkpoint has state of both")
    );
    // What has no state is in nobody's way.
    let mut without_state = manifest();
    let stateless = stage("new", StageKind::Stateless, None);
    without_state.plan.stages.push(stateless);
    let now = rename_stages(without_state, &renamed, &new(&["new"])).expect("it was called so");
    assert_eq!(now.plan, new(&["new"]));
}

/// State that nothing is known of was dropped without a word, as there was no line to refuse it with.
#[test]
fn state_without_a_key_is_refused_with_a_reason() {
    let odd = |of: &str| PlanStage {
        schema: Some(Schema::of_fields("Odd", [("value", Schema::plain(of))])),
        ..keyed("u64")
    };
    let (stored, new) = (plan(&[odd("u8")]), plan(&[odd("u16")]));
    let diff = compare_plans(&stored, &new, VersionRules::default()).diff;
    let refusal = diff.refusal().map(|error| error.message().to_owned());
    let line = "`s`, the state was Odd { value: u8 } and is Odd { value: u16 }: it is of no kind that is known";
    assert_eq!(refusal, Some(whole(line)));
}

/// Each of these did nothing, and state stayed what it was where it was meant to become something else.
#[test]
fn migrations_that_can_never_be_taken_are_refused_with_a_line_each() {
    let mut manifest = crate::protocol::testing::bare_manifest(1, 1);
    manifest.plan = plan(&[keyed("i64")]);
    let migrations = [
        ("s", Migration::value(|minutes: i64| 60 * minutes)),
        ("t", Migration::value(|old: i64| old.to_string())),
        ("s", Migration::state("last", |old: i64| old.to_string())),
        ("s", Migration::value(|old: i64| old.to_string())),
    ];
    let migrations = migrations.map(|(stage, migration)| (StageId::new(stage), migration));
    let rules = VersionRules {
        migrations: &migrations,
        allow_dropped: &[],
    };
    let restored = may_restore(&manifest, &manifest.plan, manifest.key_groups, rules);
    let error = restored.expect_err("three are for nothing");
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert_eq!(
        error.message(),
        "migrations that can never be taken:\n  \
         the migration of the value of `s`: what it takes and what it makes are both stored as i64, so that nobody \
         could tell whether it has been done; let it make a type with another name\n  \
         the migration of the value of `t`: the flow has no stage of that name with keyed state\n  \
         the migration of the state `last` of `s`: the stage keeps no such thing"
    );
}

#[test]
fn all_reasons_are_named_at_once() {
    let stored = plan(&[
        stage("a", StageKind::Keyed, None),
        stage("b", StageKind::Source, None),
    ]);
    let error = compare_plans(&stored, &plan(&[]), VersionRules::default())
        .diff
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
    let restore = |groups| may_restore(&manifest, &manifest.plan, groups, VersionRules::default());
    assert!(restore(KeyGroupCount::DEFAULT).is_ok());
    let other = KeyGroupCount::new(512).expect("a power of two");
    let error = restore(other).expect_err("another number");
    assert_eq!(
        error.message(),
        "the checkpoint has 256 key groups and the settings say 512: their number is fixed for the job's life"
    );
}
