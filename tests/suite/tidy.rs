//! Rules of the house that a compiler does not know: where things may not stand.

use std::fs;
use std::path::{Path, PathBuf};

use flowdsl_tests::data::workspace_root;

/// Files over this many lines are more than one idea.
const LINES: usize = 450;

fn sources(dir: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![workspace_root().join(dir)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("an entry of a folder that is there").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((
                    name(&path),
                    fs::read_to_string(&path).expect("a source file is text"),
                ));
            }
        }
    }
    assert!(!found.is_empty(), "{dir} holds sources");
    found.sort();
    found
}

fn name(path: &Path) -> String {
    let root: PathBuf = workspace_root()
        .canonicalize()
        .expect("the workspace is there");
    let path = path.canonicalize().expect("the file was just listed");
    path.strip_prefix(root)
        .expect("a file of the workspace")
        .display()
        .to_string()
        .replace('\\', "/")
}

/// Says where code (not comments) holds one of the words, outside of the places where it may.
fn check(dir: &str, words: &[&str], may: &[&str]) {
    let mut wrong = Vec::new();
    for (file, text) in sources(dir) {
        if may.iter().any(|place| file.starts_with(place))
            || file.contains("/tests")
            || file.ends_with("tests.rs")
        {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{file}:{}: {word}", at + 1));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these stand where they may not:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn timely_is_named_in_the_dataflow_only() {
    check(
        "runtime/src",
        &["timely::", "use timely"],
        &["runtime/src/dataflow/"],
    );
    check("flowdsl/src", &["timely"], &[]);
    check("flowdsl-macros/src", &["timely", "flowdsl_runtime"], &[]);
}

#[test]
fn the_clock_is_read_in_one_file() {
    check(
        "runtime/src",
        &["Instant::now", "SystemTime::now"],
        &["runtime/src/clock.rs"],
    );
}

#[test]
fn files_are_opened_by_the_disk_and_by_file_sources_only() {
    check(
        "runtime/src",
        &["std::fs", "fs::"],
        &["runtime/src/storage/local", "runtime/src/connector/file"],
    );
}

#[test]
fn the_protocol_only_decides() {
    let acts = [
        "std::fs",
        "std::thread",
        "std::sync",
        "timely",
        "Instant",
        "tokio",
        "async ",
        "crate::storage",
        "crate::state",
    ];
    check("runtime/src/protocol", &acts, &[]);
}

#[test]
fn storage_knows_neither_timely_nor_state() {
    check(
        "runtime/src/storage",
        &["timely", "crate::state", "crate::dataflow", "crate::job"],
        &[],
    );
    check(
        "runtime/src/state",
        &["timely", "crate::dataflow", "crate::job", "storage::names"],
        &[],
    );
    check(
        "runtime/src/window",
        &["timely", "crate::dataflow", "crate::job", "crate::storage"],
        &[],
    );
    check(
        "runtime/src/connector",
        &["timely", "crate::dataflow", "crate::job"],
        &[],
    );
}

#[test]
fn nothing_is_left_for_later() {
    let later = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    for dir in [
        "runtime/src",
        "flowdsl/src",
        "flowdsl-macros/src",
        "examples/src",
        "benches/src",
    ] {
        check(dir, &later, &[]);
    }
}

#[test]
fn files_hold_one_idea() {
    let dirs = [
        "runtime/src",
        "flowdsl/src",
        "flowdsl-macros/src",
        "examples/src",
        "benches/src",
        "tests/suite",
        "tests/support",
    ];
    let long: Vec<String> = dirs
        .iter()
        .flat_map(|dir| sources(dir))
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    assert!(
        long.is_empty(),
        "files of more than {LINES} lines:\n{}",
        long.join("\n")
    );
}
