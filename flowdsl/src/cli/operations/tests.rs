//! What commands make of their arguments, whatever these are, and what tables look like.

use std::io;

use clap::Parser as _;
use proptest::prelude::*;

use super::out::End;
use super::table::{Align, Table};
use crate::cli::args::FlowctlCommandLine;
use crate::cli::numbers::size;
use crate::cli::values::{bytes, rate, restart, span};
use crate::cli::{Cli, Every, NoArgs};

#[test]
fn the_commands_are_put_together_right() {
    use clap::CommandFactory as _;
    FlowctlCommandLine::command().debug_assert();
    crate::cli::args::CommandLine::<NoArgs>::command().debug_assert();
}

#[test]
fn a_default_directory_is_that_of_operations_too() {
    let cli = Cli::<NoArgs>::try_parse_from(["job", "checkpoints", "list"]);
    let mut cli = cli.expect("it is right").default_checkpoint_dir("mine");
    let crate::cli::Command::Operation(operation) = &mut cli.command else {
        panic!("it is an operation");
    };
    assert_eq!(operation.place_mut().checkpoint_dir, Some("mine".into()));
}

#[test]
fn columns_are_as_wide_as_what_stands_in_them() {
    let mut table = Table::of(&[
        ("A", Align::Right),
        ("NAME", Align::Left),
        ("", Align::Left),
    ]);
    table.row(["1", "é", ""].map(String::from));
    table.row(["1,000", "longer", "x"].map(String::from));
    let mut text = Vec::new();
    table.write(&mut text).expect("memory takes it");
    let expected = "    A  NAME\n    1  é\n1,000  longer  x\n";
    assert_eq!(String::from_utf8_lossy(&text), expected);
}

#[test]
fn sizes_have_the_unit_that_suits_them() {
    let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
    check(0, "0 B");
    check(1_023, "1023 B");
    check(1_024, "1.0 KiB");
    check(1_048_575, "1.0 MiB");
    check(5 << 30, "5.0 GiB");
    check(u64::MAX, "16384.0 PiB");
}

#[test]
fn a_pipe_that_nobody_reads_is_no_error_and_a_full_disk_is() {
    let end = End::from(io::Error::from(io::ErrorKind::BrokenPipe));
    assert!(matches!(end, End::Unread));
    let end = End::from(io::Error::from(io::ErrorKind::StorageFull));
    assert!(matches!(end, End::Failed(_)));
}

/// Text that is like a value here and there.
fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("off"),
        Just("ms"),
        Just("s"),
        Just("min"),
        Just("h"),
        Just("MiB"),
        Just("GB"),
        Just("B"),
        Just(":"),
        Just("fixed"),
        Just("rate"),
        Just("exponential"),
        Just("none"),
        Just(" "),
        Just("-"),
        Just("1e999"),
        Just("NaN"),
        Just("é"),
        Just("18446744073709551615"),
        Just("0"),
        Just("7"),
    ];
    prop_oneof![
        prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat()),
        ".{0,12}",
    ]
}

fn argument() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("checkpoints"),
        Just("list"),
        Just("show"),
        Just("verify"),
        Just("diff"),
        Just("prune"),
        Just("run"),
        Just("plan"),
        Just("--json"),
        Just("--all"),
        Just("--state"),
        Just("--limit"),
        Just("--key"),
        Just("--keep"),
        Just("--checkpoint-dir"),
        Just("--offline"),
        Just("--dry-run"),
        Just("--entries"),
        Just("--"),
    ];
    prop_oneof![3 => word.prop_map(String::from), 1 => value()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_a_value_or_refused_with_words(text in value()) {
        let refusals = [
            text.parse::<Every>().err(),
            rate(&text).err(),
            bytes(&text).err(),
            span(&text).err(),
            restart(&text).err(),
        ];
        for refusal in refusals.into_iter().flatten() {
            prop_assert!(!refusal.is_empty());
        }
        if let Ok(rate) = rate(&text) {
            prop_assert!(rate > 0.0 && rate.is_finite());
        }
    }

    #[test]
    fn any_arguments_are_a_command_or_refused(args in prop::collection::vec(argument(), 0..7)) {
        let args: Vec<String> = std::iter::once("flowctl".to_owned()).chain(args).collect();
        let _ = FlowctlCommandLine::try_parse_from(&args);
        let _ = Cli::<NoArgs>::try_parse_from(&args);
    }
}
