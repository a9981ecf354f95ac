//! Checkpoints on a disk, and `flowctl` as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flowdsl::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// The checkpoints of a job that was run twice, with more words the second time.
pub(crate) struct Stored {
    pub(crate) dir: TempDir,
}

impl Stored {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let checkpoints = dir.path().join("checkpoints");
        for words in [1_000, 2_000] {
            let job = Job::new("words", move |flow| {
                let words = (0..words).map(|n| format!("word {}", n % 1_500)).collect();
                flow.source("words", Memory::new(words))
                    .key_by(|word: &String| word.clone())
                    .at("counts")
                    .fold(0_u64, |count, _| *count += 1)
                    .sink(Discard::new());
            });
            // A finished job does nothing any more: the second run begins anew, beside what was there.
            let mut options = Options::new().workers(2).checkpoint_dir(&checkpoints);
            options.checkpoints.interval = None;
            let options = if words == 2_000 {
                options.fresh()
            } else {
                options
            };
            job.run(options).expect("no fault");
        }
        Self { dir }
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.dir.path().join("checkpoints")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        flowctl(&self.place(), args)
    }

    /// The document that a command writes with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8(ran.stdout).expect("JSON is UTF-8");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
    }

    pub(crate) fn epoch(&self) -> String {
        self.json(&["list"])["checkpoints"][0]["epoch"].to_string()
    }

    /// The files of the checkpoint directory, by their names there.
    pub(crate) fn files(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place().join(dir)).expect("it is there");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        let mut names: Vec<String> = names
            .map(|name| format!("{dir}/{}", name.to_string_lossy()))
            .collect();
        names.sort();
        names
    }

    pub(crate) fn claim_of_fresh_start(&self) -> String {
        let listed = self.json(&["list"]);
        let claims = listed["claims"]
            .as_array()
            .expect("there are claims")
            .iter();
        let fresh = claims.rev().find(|claim| claim["fresh"] == true);
        format!(
            "{:020}",
            fresh.expect("one was fresh")["slot"]
                .as_u64()
                .expect("a number")
        )
    }
}

pub(crate) fn flowctl(place: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowctl"));
    command
        .arg("checkpoints")
        .args(args)
        .arg("--checkpoint-dir")
        .arg(place);
    command.output().expect("flowctl can be started")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line on stderr that says this, nothing on stdout, and exit code 2.
#[track_caller]
pub(crate) fn check_refused(ran: &Output, expected: &str) {
    let said = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("error: ") && said.contains(expected),
        "{said}"
    );
    assert_eq!(text(&ran.stdout), "");
}
