use super::super::stage::Dropping;
use super::super::*;
use super::{INTEGER, of, plain};
use crate::schema::{Field, Schema, default_bytes};
use crate::state::State;

fn values(key: Schema, value: Schema) -> Schema {
    Schema::of_fields("Values", [("key", key), ("value", value)])
}

/// What is said of the state of a stage.
#[track_caller]
fn check_stage(
    (stored, new): (&Schema, &Schema),
    migrations: &[Migration],
    dropping: Dropping,
    expected: Result<&[&str], &[&str]>,
) -> Option<StageEvolution> {
    let migrations: Vec<&Migration> = migrations.iter().collect();
    let compared = compare_states(stored, new, &migrations, dropping);
    let lines = compared.differences.iter().map(ToString::to_string);
    let said = match &compared.evolution {
        Some(_) => Ok(compared.changes.clone()),
        None => Err(lines.collect()),
    };
    let owned = |lines: &[&str]| -> Vec<String> { lines.iter().map(|l| (*l).to_owned()).collect() };
    assert_eq!(said, expected.map(owned).map_err(owned));
    compared.evolution
}

#[test]
fn a_migration_is_taken_for_its_old_type_and_not_for_its_new_one() {
    let migrate = [Migration::value(|old: u64| old.to_string())];
    let (number, text) = (
        values(u8::schema(), u64::schema()),
        values(u8::schema(), String::schema()),
    );
    let taken = check_stage(
        (&number, &text),
        &migrate,
        Dropping::Refused,
        Ok(&["value: is migrated from u64 to String"]),
    );
    let taken = taken.expect("it is taken");
    assert!(taken.is_migration() && taken.keeps_places() && !taken.may_merge_keys());
    let same = check_stage((&text, &text), &migrate, Dropping::Refused, Ok(&[]));
    assert!(same.is_some_and(|same| same.is_same() && !same.is_migration()));
    // What was stored before its old type is read as that first.
    check_stage(
        (&values(u8::schema(), u16::schema()), &text),
        &migrate,
        Dropping::Refused,
        Ok(&[
            "value, for its migration: u16 is now u64",
            "value: is migrated from u16 to String",
        ]),
    );
}

#[test]
fn a_migration_that_does_not_fit_is_refused() {
    let (number, text) = (
        values(u8::schema(), i64::schema()),
        values(u8::schema(), String::schema()),
    );
    check_stage(
        (&number, &text),
        &[Migration::value(|old: u64| old.to_string())],
        Dropping::Refused,
        Err(&[&format!(
            "value, for its migration was i64 and is u64: {INTEGER}"
        )]),
    );
    check_stage(
        (&number, &text),
        &[Migration::value(|_: i64| 'x')],
        Dropping::Refused,
        Err(&[
            "the migration of the value was written to make char and is to make String: let it make what the stage \
               keeps",
        ]),
    );
    let (was, is) = (
        of("Delay", &[("ms", "u64")]),
        of("Delay", &[("ms", "u64"), ("n", "u8")]),
    );
    let mut migration = Migration::value(|old: u64| old);
    (migration.old, migration.new) = (of("OldDelay", &[("ms", "u64")]), is.clone());
    let optional = {
        let mut fields = vec![Field::from(("ms", plain("u64")))];
        fields.push(Field {
            default: Some(|| default_bytes(&0_u8)),
            ..Field::from(("n", plain("u8")))
        });
        Schema::Struct("Delay".to_owned(), fields)
    };
    check_stage(
        (&values(u8::schema(), was), &values(u8::schema(), optional)),
        &[migration],
        Dropping::Refused,
        Err(&[
            "value was Delay { ms: u64 } and is Delay { ms: u64, n: u8 }: it can be read as it is, and by a \
               migration from OldDelay { ms: u64 }; call that type what it was when it was stored, or take the \
               migration away",
        ]),
    );
}

/// A migration that no longer makes what the stage keeps was passed over where the rules would do, and the field that it
/// was to fill was a default.
#[test]
fn a_migration_to_another_type_is_refused_also_where_the_rules_would_do() {
    let is = Schema::Struct(
        "Delay".to_owned(),
        vec![
            ("ms", plain("u64")).into(),
            Field::from(("worst", Schema::Option(Box::new(plain("u64"))))),
        ],
    );
    let mut migration = Migration::value(|old: u64| old);
    migration.old = of("Delay", &[("ms", "u64")]);
    migration.new = of("Delay", &[("ms", "u64"), ("best", "u64")]);
    let stored = migration.old.clone();
    let line = "the migration of the value was written to make Delay { ms: u64, best: u64 } and is to make Delay { ms: \
                u64, worst: Option<u64> }: let it make what the stage keeps";
    check_stage(
        (
            &values(u8::schema(), stored.clone()),
            &values(u8::schema(), is.clone()),
        ),
        &[migration],
        Dropping::Refused,
        Err(&[line]),
    );
    // The same of key and value together, whose old type was called otherwise.
    let mut migration = Migration::entry(|key: u8, value: u64| (key, value));
    let entry = |value: &Schema| Schema::Tuple(vec![plain("u8"), value.clone()]);
    (migration.old, migration.new) = (entry(&of("OldDelay", &[("ms", "u64")])), entry(&is));
    check_stage(
        (&values(u8::schema(), stored), &values(u8::schema(), is)),
        &[migration],
        Dropping::Refused,
        Err(&[
            "entry was (u8, Delay { ms: u64 }) and is (u8, Delay { ms: u64, worst: Option<u64> }): it can be read as \
             it is, and by a migration from (u8, OldDelay { ms: u64 }); call that type what it was when it was stored, \
             or take the migration away",
        ]),
    );
}

#[test]
fn keys_and_values_are_migrated_together() {
    let stored = values(u64::schema(), u64::schema());
    let new = values(String::schema(), String::schema());
    let entry = Migration::entry(|key: u64, value: u64| (key.to_string(), value.to_string()));
    let taken = check_stage(
        (&stored, &new),
        &[entry],
        Dropping::Refused,
        Ok(&["entry: is migrated from (u64, u64) to (String, String)"]),
    );
    assert!(taken.is_some_and(|taken| taken.may_merge_keys() && !taken.keeps_places()));
}

fn process(states: &[(&str, Schema)]) -> Schema {
    let states = Schema::of_fields("States", states.iter().cloned());
    Schema::of_fields("Process", [("key", plain("u64")), ("states", states)])
}

fn value_of(value: Schema) -> Schema {
    Schema::of_fields("ValueState", [("value", value)])
}

#[test]
fn states_of_process_come_and_change_and_go_by_their_names() {
    let stored = process(&[
        ("seen", value_of(plain("u32"))),
        ("open", value_of(plain("bool"))),
    ]);
    let new = process(&[
        ("open", value_of(plain("bool"))),
        ("seen", value_of(plain("u64"))),
        ("last", value_of(plain("char"))),
    ]);
    check_stage(
        (&stored, &new),
        &[],
        Dropping::Refused,
        Ok(&[
            "state `last`: is new: ValueState { value: char }",
            "state `seen`: u32 is now u64",
        ]),
    );
    let gone = process(&[("open", value_of(plain("String")))]);
    check_stage(
        (&stored, &gone),
        &[],
        Dropping::Refused,
        Err(&[
            &format!("state `open` was bool and is String: {INTEGER}"),
            "state `seen` was ValueState { value: u32 } and is gone: give it back its name, or allow it to be dropped \
             with `--allow-dropped`",
        ]),
    );
    let dropped = check_stage(
        (&stored, &gone),
        &[],
        Dropping::Allowed,
        Ok(&["state `open`: is dropped", "state `seen`: is dropped"]),
    );
    assert!(dropped.is_some_and(|dropped| !dropped.is_same()));
    check_stage(
        (
            &stored,
            &process(&[
                ("open", value_of(plain("bool"))),
                ("total", value_of(plain("u32"))),
            ]),
        ),
        &[],
        Dropping::Refused,
        Err(&[
            "state `seen` was ValueState { value: u32 } and is gone (`total` new): give it back its name, or allow it to \
             be dropped with `--allow-dropped`",
        ]),
    );
    let list = Schema::of_fields("ListState", [("item", plain("bool"))]);
    check_stage(
        (
            &stored,
            &process(&[("open", list), ("seen", value_of(plain("u32")))]),
        ),
        &[],
        Dropping::Refused,
        Err(&[
            "state `open` was ValueState { value: bool } and is ListState { item: bool }: give it another name, and \
               allow the old one to be dropped",
        ]),
    );
    let stamped = Schema::of_fields(
        "Stamped",
        [("stamp", plain("event time")), ("value", plain("bool"))],
    );
    check_stage(
        (
            &stored,
            &process(&[
                ("open", value_of(stamped)),
                ("seen", value_of(plain("u32"))),
            ]),
        ),
        &[],
        Dropping::Refused,
        Err(&[
            "state `open`: its time to live was none and is event time: what expires is stored otherwise; give it \
               another name, and allow the old one to be dropped",
        ]),
    );
}

#[test]
fn another_kind_of_state_and_other_windows_are_refused() {
    let windows = |size: &str| {
        let parts = [
            ("size_ms", size),
            ("every_ms", "5"),
            ("offset_ms", "0"),
            ("key", "u8"),
            ("value", "u8"),
        ];
        of("Windows", &parts)
    };
    let advice = "state of another kind or of other windows means something else; give the stage another name with \
                  `as`, and drop what it had with `--allow-dropped`";
    let line = format!(
        "the stage was Windows, every_ms 5, offset_ms 0, size_ms 5 and is Windows, every_ms 5, offset_ms 0, size_ms \
         10: {advice}"
    );
    check_stage(
        (&windows("5"), &windows("10")),
        &[],
        Dropping::Refused,
        Err(&[&line]),
    );
    let line = format!(
        "the stage was Windows, every_ms 5, offset_ms 0, size_ms 5 and is Values: {advice}"
    );
    let folded = values(plain("u8"), plain("u8"));
    check_stage(
        (&windows("5"), &folded),
        &[],
        Dropping::Refused,
        Err(&[&line]),
    );
}

#[test]
fn nothing_changes_beside_a_type_that_only_its_code_reads() {
    let of_key = |key: &str| values(plain(key), plain("chrono::DateTime"));
    check_stage(
        (&of_key("u32"), &of_key("u64")),
        &[],
        Dropping::Refused,
        Err(&[
            "a type beside it was `chrono::DateTime` and is no other: its values are read with its own code only, \
               so that nothing beside them can change",
        ]),
    );
    check_stage(
        (&of_key("u64"), &of_key("u64")),
        &[],
        Dropping::Refused,
        Ok(&[]),
    );
}
