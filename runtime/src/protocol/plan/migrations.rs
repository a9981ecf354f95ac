//! Migrations that no checkpoint could ever be read by.
//!
//! One that is passed over in silence leaves state as it was where it was meant to become another, so that each
//! must be for something that the flow has.

use crate::error::{Error, Result};
use crate::ids::StageId;
use crate::protocol::{Migrated, Migration, PlanStage, StageKind, StoredPlan};
use crate::schema::{Field, Schema};

/// Checks that each migration is for something that its stage keeps, and that it can be told whether it was done.
///
/// # Errors
///
/// `Invalid`, with a line for each that is not.
pub fn check_migrations(plan: &StoredPlan, migrations: &[(StageId, Migration)]) -> Result<()> {
    let problem = |(id, migration): &(StageId, Migration)| {
        let stage = plan.stages.iter().find(|stage| stage.id == *id);
        let why = problem_of(stage, migration)?;
        Some(format!(
            "the migration of {} of `{id}`: {why}",
            what(&migration.of)
        ))
    };
    let problems: Vec<String> = migrations.iter().filter_map(problem).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "migrations that can never be taken:\n  {}",
            problems.join("\n  ")
        )))
    }
}

fn problem_of(stage: Option<&PlanStage>, migration: &Migration) -> Option<String> {
    let Some(PlanStage {
        kind: StageKind::Keyed,
        schema: Some(schema),
        ..
    }) = stage
    else {
        return Some("the flow has no stage of that name with keyed state".to_owned());
    };
    if !keeps(schema, &migration.of) {
        return Some("the stage keeps no such thing".to_owned());
    }
    (migration.old == migration.new).then(|| {
        format!(
            "what it takes and what it makes are both stored as {}, so that nobody could tell whether it has been done; \
             let it make a type with another name",
            migration.new
        )
    })
}

/// Whether a stage of this schema keeps what a migration is for.
fn keeps(stage: &Schema, of: &Migrated) -> bool {
    let (kind, parts) = fields(stage);
    let has_state = |name: &str| {
        let states = parts.iter().find(|part| part.name == "states");
        let mut states = states
            .into_iter()
            .flat_map(|states| fields(&states.schema).1);
        states.any(|state| state.name == name)
    };
    let has_value = parts.iter().any(|part| part.name == "value");
    match of {
        Migrated::Key => true,
        // With a time to live, a running value is a state of this name.
        Migrated::Value => has_value || has_state("value"),
        Migrated::Entry => has_value && kind != "Sessions",
        Migrated::State(name) => has_state(name),
    }
}

fn fields(schema: &Schema) -> (&str, &[Field]) {
    match schema {
        Schema::Struct(name, fields) => (name, fields),
        Schema::Plain(_)
        | Schema::Option(_)
        | Schema::List(_)
        | Schema::Map(..)
        | Schema::Tuple(_)
        | Schema::Enum(..)
        | Schema::Recursive(_) => ("", &[]),
    }
}

fn what(of: &Migrated) -> String {
    match of {
        Migrated::Key => "the key".to_owned(),
        Migrated::Value => "the value".to_owned(),
        Migrated::Entry => "key and value".to_owned(),
        Migrated::State(name) => format!("the state `{name}`"),
    }
}
