//! What the compiler says of mistakes, one case a rule: `<theme>/<case>.rs`, with `pass` for
//! what must compile.
//!
//! Each failing case begins with lines `//~ text`: what must be in the compiler's output, whichever
//! release it is. rustc's own words change from release to release: the whole output is compared
//! with the case's `.stderr` on the release that those were written for, and on no other.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p flowdsl-tests-ui`, then
//! read what `git diff` shows as a user would read it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that the `.stderr` files were written for.
const RELEASE: &str = "1.95.";

/// Set for the run of this binary that only writes down what the compiler says.
const WRITE_DOWN: &str = "FLOWDSL_UI_WRITE_DOWN";

#[test]
fn flows_without_mistakes_compile() {
    if std::env::var_os(WRITE_DOWN).is_none() {
        trybuild::TestCases::new().pass("pass/*.rs");
    }
}

#[test]
fn mistakes_are_reported_where_they_are() {
    if let Some(copies) = std::env::var_os(WRITE_DOWN) {
        let cases = trybuild::TestCases::new();
        for case in cases_in(Path::new(&copies)) {
            cases.compile_fail(case);
        }
        return;
    }
    let ui = Path::new(env!("CARGO_MANIFEST_DIR"));
    if release().starts_with(RELEASE) {
        let cases = trybuild::TestCases::new();
        for theme in themes(ui) {
            cases.compile_fail(format!("{theme}/*.rs"));
        }
        // The cases run when `cases` goes.
        drop(cases);
        check_messages(ui);
    } else {
        let copies = tempfile::tempdir().expect("a temporary directory");
        copy_cases(ui, copies.path());
        write_down(copies.path());
        check_messages(copies.path());
    }
}

/// The release of the compiler that builds the cases.
fn release() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc is there, as cargo has called it");
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    version
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

/// Lets trybuild compile the copies, and write beside each what the compiler says. A process of
/// its own, as trybuild reads from the environment that it shall write.
fn write_down(copies: &Path) {
    let this = std::env::current_exe().expect("a test has a path");
    let status = Command::new(this)
        .args([
            "--exact",
            "mistakes_are_reported_where_they_are",
            "--nocapture",
        ])
        .env(WRITE_DOWN, copies)
        .env("TRYBUILD", "overwrite")
        .status()
        .expect("a test can start itself");
    assert!(status.success(), "a case that must not compile does");
}

/// Every expected message of every case is in the compiler's output beside it.
fn check_messages(ui: &Path) {
    let mut missing = String::new();
    for case in cases_in(ui) {
        let text = fs::read_to_string(&case).expect("a case is a readable file");
        let expected: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("//~ "))
            .collect();
        assert!(
            !expected.is_empty(),
            "{} expects no message: begin it with `//~ text`",
            case.display()
        );
        let said = fs::read_to_string(case.with_extension("stderr")).unwrap_or_default();
        for message in expected.iter().filter(|message| !said.contains(**message)) {
            let _ = write!(
                missing,
                "\n{}: nothing says `{message}`; the compiler says:\n{said}",
                case.display()
            );
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

fn themes(ui: &Path) -> Vec<String> {
    let entries = fs::read_dir(ui).expect("the cases are beside this file");
    let folders = entries
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.is_dir());
    let names = folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let mut themes: Vec<String> = names.filter(|name| name != "pass").collect();
    themes.sort();
    themes
}

fn cases_in(ui: &Path) -> Vec<PathBuf> {
    let mut cases = Vec::new();
    for theme in themes(ui) {
        let entries = fs::read_dir(ui.join(theme)).expect("a theme is a readable folder");
        cases.extend(entries.map(|entry| entry.expect("a readable entry").path()));
    }
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    cases.sort();
    cases
}

fn copy_cases(from: &Path, to: &Path) {
    for case in cases_in(from) {
        let copy = to.join(
            case.strip_prefix(from)
                .expect("a case is below the folder of cases"),
        );
        fs::create_dir_all(copy.parent().expect("a case is in a theme"))
            .expect("a temporary directory is writable");
        fs::copy(&case, copy).expect("a case can be copied");
    }
}
