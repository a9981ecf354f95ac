use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;
use crate::connector::Fill;
use crate::error::ErrorKind;
use crate::record::RecordError;

/// A directory with one file.
fn file_of(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(name);
    fs::write(&path, content).expect("the directory is writable");
    (dir, path)
}

/// What the splits of a source hold, read in steps of `limit`, each step by a reader of its own.
fn read_in_steps<S: Source>(source: &S, limit: usize) -> (Vec<S::Item>, Vec<RecordError>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for split in source.discover().expect("good input") {
        let mut from = None;
        loop {
            let mut reader = source.open(&split, from.as_ref()).expect("a good split");
            let fill = reader
                .fill(&mut records, &mut errors, limit)
                .expect("good input");
            from = Some(reader.offset());
            if fill == Fill::Finished {
                break;
            }
        }
    }
    (records, errors)
}

/// Reads a source whole and from every offset, and checks the records.
fn check_records<S: Source>(source: &S, expected: &[S::Item])
where
    S::Item: PartialEq + std::fmt::Debug,
{
    for limit in [1, 2, 1_000] {
        let (records, errors) = read_in_steps(source, limit);
        assert_eq!(errors, []);
        assert_eq!(records, expected, "in steps of {limit}");
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flight {
    origin: String,
    delay: Option<i64>,
}

fn flight(origin: &str, delay: impl Into<Option<i64>>) -> Flight {
    Flight {
        origin: origin.to_owned(),
        delay: delay.into(),
    }
}

fn lines_of(rows: &[Flight], line: impl Fn(&Flight) -> String) -> String {
    rows.iter().map(line).collect::<Vec<_>>().concat()
}

#[test]
fn csv_is_read_whatever_its_line_ends_marks_and_gaps() {
    let expected = [flight("ABE", 9), flight("SEA", -3), flight("LAX", None)];
    for content in [
        "origin,delay\nABE,9\nSEA,-3\nLAX,\n",
        "origin,delay\nABE,9\nSEA,-3\nLAX,",
        "origin,delay\r\nABE,9\r\nSEA,-3\r\nLAX,\r\n",
        "\u{feff}origin,delay\nABE,9\nSEA,-3\nLAX,\n",
        "delay,origin\n9,ABE\n-3,SEA\n,LAX\n",
        "origin,delay\n\nABE,9\n\n\nSEA,-3\nLAX,\n\n",
        "\"origin\",delay\n\"ABE\",9\nSEA,\"-3\"\nLAX,\n",
    ] {
        let (_dir, path) = file_of("flights.csv", content);
        check_records(&File::csv(&path), &expected);
        check_records(&File::csv(&path).split_size(5), &expected);
    }
}

#[test]
fn csv_without_a_header_is_read_by_position() {
    let (_dir, path) = file_of("flights.csv", "ABE,9\nSEA,-3\n");
    check_records(
        &File::csv(&path).no_header(),
        &[("ABE".to_owned(), 9_i8), ("SEA".to_owned(), -3)],
    );
    check_records(
        &File::csv(&path).no_header(),
        &[flight("ABE", 9), flight("SEA", -3)],
    );
}

#[test]
fn json_lines_are_read_whatever_their_line_ends_marks_and_gaps() {
    let expected = [flight("ABE", 9), flight("SEA", None)];
    for content in [
        "{\"origin\":\"ABE\",\"delay\":9}\n{\"origin\":\"SEA\"}\n",
        "{\"origin\":\"ABE\",\"delay\":9}\r\n{\"origin\":\"SEA\"}",
        "\u{feff} {\"origin\":\"ABE\",\"delay\":9}\n\n  \r\n{\"origin\":\"SEA\"}\n\n",
    ] {
        let (_dir, path) = file_of("flights.jsonl", content);
        check_records(&File::jsonl(&path), &expected);
        check_records(&File::jsonl(&path).split_size(3), &expected);
    }
}

#[test]
fn empty_files_have_no_splits() {
    for content in ["", "\u{feff}", "origin,delay\n", "origin,delay"] {
        let (_dir, path) = file_of("flights.csv", content);
        assert_eq!(
            File::csv::<Flight>(&path).discover().expect("a good file"),
            []
        );
    }
    let (_dir, path) = file_of("flights.jsonl", "");
    assert_eq!(
        File::jsonl::<Flight>(&path)
            .discover()
            .expect("a good file"),
        []
    );
}

#[test]
fn splits_of_any_size_hold_every_record_once() {
    let rows = (0..200)
        .map(|i| flight(&"x".repeat(i % 7 + 1), i as i64))
        .collect::<Vec<_>>();
    let plain = lines_of(&rows, |f| {
        format!("{},{}\r\n", f.origin, f.delay.unwrap_or(0))
    });
    let json = lines_of(&rows, |f| {
        serde_json::to_string(f).expect("good JSON") + "\n"
    });
    let (_plain_dir, plain) = file_of("flights.csv", format!("origin,delay\n{plain}"));
    let (_json_dir, json) = file_of("flights.jsonl", json);
    for size in (1..200).step_by(13) {
        check_records(&File::csv(&plain).split_size(size), &rows);
        check_records(&File::jsonl(&json).split_size(size), &rows);
    }
    assert!(
        File::csv::<Flight>(&plain)
            .split_size(100)
            .discover()
            .expect("a good file")
            .len()
            > 10
    );
}

#[test]
fn line_breaks_in_quotes_do_not_end_a_record() {
    let rows = (0..50)
        .map(|i| flight(&format!("a\n\"b\",\r\n{i}"), i))
        .collect::<Vec<_>>();
    let text = lines_of(&rows, |f| {
        format!(
            "\"{}\",{}\n",
            f.origin.replace('"', "\"\""),
            f.delay.unwrap_or(0)
        )
    });
    let (_dir, path) = file_of("flights.csv", format!("origin,delay\n{text}"));
    for size in 1..60 {
        check_records(&File::csv(&path).split_size(size), &rows);
    }
    assert!(
        File::csv::<Flight>(&path)
            .split_size(30)
            .discover()
            .expect("a good file")
            .len()
            > 10
    );
}

#[test]
fn a_directory_is_read_in_the_order_of_names_and_extensions_apart() {
    let (dir, _) = file_of("b.csv", "origin,delay\nB,2\n");
    for (name, content) in [
        ("a.csv", "delay,origin\n1,A\n"),
        ("c.txt", "x"),
        (".d.csv", "y"),
        ("_e.csv", "z"),
    ] {
        fs::write(dir.path().join(name), content).expect("the directory is writable");
    }
    fs::create_dir(dir.path().join("f.csv")).expect("the directory is writable");
    let source = File::csv(dir.path());
    check_records(&source, &[flight("A", 1), flight("B", 2)]);
    let ids: Vec<_> = source
        .discover()
        .expect("good files")
        .iter()
        .map(|s| s.id.to_string())
        .collect();
    assert_eq!(ids, ["a.csv@000000000013", "b.csv@000000000013"]);
}

/// Checks place and message of every malformed record, whatever the size of splits.
fn check_errors<S: Source>(source: &S, expected: &[(u64, Option<u64>, &str, &str)]) {
    for limit in [1, 1_000] {
        let (_, errors) = read_in_steps(source, limit);
        let found: Vec<_> = errors
            .iter()
            .map(|e| (e.line, e.column, e.message.as_str(), e.raw.as_str()))
            .collect();
        assert_eq!(found, expected, "in steps of {limit}");
    }
}

#[test]
fn malformed_csv_is_named_by_line_and_column() {
    for end in ["\n", "\r\n"] {
        let lines = [
            "origin,delay",
            "ABE,9",
            "SEA,late",
            "",
            "LAX",
            "\"a\nb\",1",
            "SFO,1,2",
            "DEN,4",
        ];
        let (_dir, path) = file_of("flights.csv", lines.join(end));
        for size in [1, 20, 10_000] {
            check_errors(
                &File::csv::<Flight>(&path).split_size(size),
                &[
                    (
                        3,
                        Some(2),
                        "column `delay`: invalid digit found in string",
                        "SEA,late",
                    ),
                    (5, None, "the record has 1 fields, the header has 2", "LAX"),
                    (
                        8,
                        None,
                        "the record has 3 fields, the header has 2",
                        "SFO,1,2",
                    ),
                ],
            );
        }
    }
}

#[test]
fn malformed_json_is_named_by_line_and_column() {
    let lines = [
        "{\"origin\":\"ABE\"}",
        "",
        "{\"origin\":7}",
        " {\"origin\"",
        "not json",
        "{\"origin\":\"X\"} 1",
    ];
    let (_dir, path) = file_of("flights.jsonl", lines.join("\n"));
    for size in [1, 20, 10_000] {
        check_errors(
            &File::jsonl::<Flight>(&path).split_size(size),
            &[
                (
                    3,
                    Some(11),
                    "invalid type: integer `7`, expected a string",
                    "{\"origin\":7}",
                ),
                (4, Some(10), "EOF while parsing an object", " {\"origin\""),
                (5, Some(2), "expected ident", "not json"),
                (6, Some(16), "trailing characters", "{\"origin\":\"X\"} 1"),
            ],
        );
    }
}

#[test]
fn text_that_is_not_utf_8_is_a_malformed_record() {
    let (_dir, path) = file_of("flights.csv", b"origin,delay\nA\xff,1\nB,2\n");
    let (records, errors) = read_in_steps(&File::csv::<Flight>(&path), 10);
    assert_eq!(records, [flight("B", 2)]);
    assert_eq!((errors[0].line, errors[0].column), (2, Some(1)));
    assert!(
        errors[0].message.contains("invalid utf-8"),
        "{}",
        errors[0].message
    );
    let (_dir, path) = file_of(
        "flights.jsonl",
        b"{\"origin\":\"A\xff\"}\n{\"origin\":\"B\"}\n",
    );
    let (records, errors) = read_in_steps(&File::jsonl::<Flight>(&path), 10);
    assert_eq!(records, [flight("B", None)]);
    assert_eq!((errors[0].line, errors.len()), (1, 1));
}

#[test]
fn an_error_shows_its_file() {
    let (_dir, path) = file_of("flights.csv", "origin,delay\nSEA,late\n");
    let (_, errors) = read_in_steps(&File::csv::<Flight>(&path), 10);
    let expected = format!(
        "{}:2:2: column `delay`: invalid digit found in string",
        path.display()
    );
    assert_eq!(errors[0].to_string(), expected);
}

#[test]
fn a_file_that_grew_is_read_as_far_as_it_was_discovered() {
    let (_dir, path) = file_of("flights.csv", "origin,delay\nA,1\nB,2\n");
    let source = File::csv::<Flight>(&path);
    let splits = source.discover().expect("a good file");
    fs::write(&path, "origin,delay\nA,1\nB,2\nC,3\n").expect("the file is writable");
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let mut reader = Source::open(&source, &splits[0], None).expect("a good split");
    assert_eq!(
        reader
            .fill(&mut records, &mut errors, 10)
            .expect("a good file"),
        Fill::Finished
    );
    assert_eq!(records, [flight("A", 1), flight("B", 2)]);
}

#[test]
fn a_file_that_shrank_vanished_or_is_another_one_is_refused() {
    let (dir, path) = file_of("flights.csv", "origin,delay\nA,1\nB,2\n");
    let splits = File::csv::<Flight>(&path).discover().expect("a good file");
    let refused = |path: &Path| {
        let error = Source::open(&File::csv::<Flight>(path), &splits[0], None)
            .err()
            .expect("another file");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error
            .message()
            .replace(&dir.path().display().to_string(), "DIR")
    };
    let other = dir.path().join("other.csv");
    fs::copy(&path, &other).expect("the directory is writable");
    assert_eq!(
        refused(&other),
        "the checkpoint reads `flights.csv`, but the flow now reads DIR/other.csv"
    );
    fs::write(&path, "origin,delay\n").expect("the file is writable");
    let expected = "DIR/flights.csv was changed while it was being read: it had 21 bytes when the job began, and now has 13";
    assert_eq!(refused(&path), expected);
    fs::remove_file(&path).expect("the file is there");
    assert!(refused(&path).starts_with("cannot read DIR/flights.csv: "));
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_refused() {
    let row = "ABE,1\n";
    let (_dir, path) = file_of(
        "flights.csv",
        format!("origin,delay\n{}", row.repeat(100_000)),
    );
    let source = File::csv::<Flight>(&path);
    let splits = source.discover().expect("a good file");
    let mut reader = Source::open(&source, &splits[0], None).expect("a good split");
    fs::write(&path, "origin,delay\n").expect("the file is writable");
    let error = reader
        .fill(&mut Vec::new(), &mut Vec::new(), 1_000_000)
        .expect_err("the file is too short");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn input_that_is_not_there_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let missing = File::jsonl::<Flight>(dir.path().join("x.jsonl"))
        .discover()
        .expect_err("no such file");
    assert_eq!(missing.kind(), ErrorKind::Invalid);
    let empty = File::jsonl::<Flight>(dir.path())
        .discover()
        .expect_err("no such files");
    assert_eq!(
        empty.message(),
        format!("there is no .jsonl file in {}", dir.path().display())
    );
}

/// As the builder's `sink` does it: the record's type is known, the file's is inferred.
fn describe_sink<T>(_record: T, sink: impl Sink<T>) -> String {
    sink.describe()
}

#[test]
fn the_type_of_a_sink_is_inferred_from_its_records() {
    assert_eq!(
        describe_sink(flight("A", 1), File::jsonl("alarms")),
        "jsonl alarms"
    );
    assert_eq!(
        describe_sink((1, "a"), File::csv("rows").no_header().roll(Roll::Size(1))),
        "csv rows"
    );
}
