//! `flights_monitor` killed again and again, at times that its own progress sets: in the end its
//! files hold what an undisturbed run writes, and a reader saw nothing else on the way.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use flowdsl_tests::digest::{difference, sorted_lines};
use parquet::data_type::{ByteArrayType, DataType, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::Value;
use tempfile::TempDir;

const FOLDERS: [&str; 3] = ["hourly", "sliding", "alarms"];
const SIGKILL: i32 = 9;

/// How often the reader looks at the folders.
const LOOK: Duration = Duration::from_millis(2);

fn monitor(output: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flights_monitor"));
    command
        .env_remove("RUST_LOG")
        .arg("run")
        .arg("--output")
        .arg(output)
        .args(args);
    command.stdout(Stdio::null());
    command
}

fn start(output: &Path, workers: &str) -> Child {
    let args = [
        ["--workers", workers],
        ["--checkpoint-interval", "50ms"],
        ["--progress-interval", "5ms"],
        ["--rate", "4000"],
    ];
    let mut command = monitor(output, args.as_flattened());
    command
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example can be started")
}

/// Runs to the end without a limit, and hands over the lines of each folder.
fn finish(output: &Path) -> [Vec<String>; 3] {
    let ran = monitor(output, &[])
        .output()
        .expect("the example can be started");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    FOLDERS.map(|folder| sorted_lines(&output.join(folder)).expect("committed files can be read"))
}

/// How long a process lives, by its own log.
#[derive(Clone, Copy)]
struct Life {
    /// Until it has completed so many checkpoints,
    checkpoints: u64,
    /// and logged so many lines then, one each 5 ms.
    lines: u64,
}

impl Life {
    /// One in five ends while the job recovers, or soon after.
    fn cast(dice: &mut Dice) -> Self {
        if dice.below(5) == 0 {
            Self {
                checkpoints: 0,
                lines: dice.below(5),
            }
        } else {
            Self {
                checkpoints: 1 + dice.below(6),
                lines: dice.below(20),
            }
        }
    }
}

/// Kills a process at the end of its life, and says how it ended.
fn kill_after(life: Life, mut child: Child) -> (ExitStatus, Vec<String>) {
    let log = BufReader::new(child.stderr.take().expect("it was asked for"));
    let (mut said, mut left) = (Vec::new(), life.lines);
    let mut lines = log.lines().map_while(Result::ok);
    while left > 0 {
        let Some(line) = lines.next() else { break };
        if checkpoints_of(&line) >= life.checkpoints {
            left -= 1;
        }
        said.push(line);
    }
    child
        .kill()
        .expect("a process that was not waited for can be killed");
    said.extend(lines);
    (child.wait().expect("it was started here"), said)
}

/// The checkpoints that a process has completed, as it logs them.
fn checkpoints_of(line: &str) -> u64 {
    let line: Option<Value> = serde_json::from_str(line).ok();
    line.and_then(|line| line["checkpoints"].as_u64())
        .unwrap_or(0)
}

/// Numbers from a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A reader of the output who does not know that the job is killed.
#[derive(Default)]
struct Reader {
    seen: BTreeMap<PathBuf, Vec<u8>>,
    /// Where the reading of known files goes on.
    again: PathBuf,
}

impl Reader {
    /// Looks at every file that is new, and at some that are not.
    fn look(&mut self, output: &Path) {
        for path in visible(output) {
            self.seen.entry(path).or_insert_with_key(|path| {
                let bytes = read(path);
                assert_eq!(
                    bytes.last(),
                    Some(&b'\n'),
                    "{} is a part of a file",
                    path.display()
                );
                bytes
            });
        }
        let some: Vec<_> = self.seen.range(self.again.clone()..).take(20).collect();
        self.again = some
            .last()
            .map_or_else(PathBuf::new, |(path, _)| path.join("behind"));
        for (path, bytes) in some {
            assert_unchanged(path, bytes);
        }
    }

    /// Looks at every file again.
    fn look_back(&self) {
        self.seen
            .iter()
            .for_each(|(path, bytes)| assert_unchanged(path, bytes));
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{} was visible: {e}", path.display()))
}

fn assert_unchanged(path: &Path, bytes: &[u8]) {
    assert!(
        read(path) == bytes,
        "{} has changed since it was first seen",
        path.display()
    );
}

/// The files that a reader may see.
fn visible(output: &Path) -> Vec<PathBuf> {
    let in_folder = |folder| {
        // A folder that is not there yet holds nothing.
        let entries = fs::read_dir(output.join(folder)).into_iter().flatten();
        let paths = entries.map(|entry| entry.expect("an entry of a folder that is there").path());
        paths.filter(|path| {
            !path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']))
        })
    };
    FOLDERS.into_iter().flat_map(in_folder).collect()
}

/// Reads along until the other end of `ended` is gone; says how many files there were.
fn read_along(output: &Path, ended: &Receiver<()>) -> usize {
    let mut reader = Reader::default();
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        reader.look(output);
    }
    reader.look(output);
    reader.look_back();
    reader.seen.len()
}

/// Starts the job until `kills` of its processes were killed, or it has finished; says how many were.
fn disturb(output: &Path, kills: u64, workers: &[&str], dice: &mut Dice) -> u64 {
    for killed in 0..kills {
        let workers = workers[killed as usize % workers.len()];
        let (status, said) = kill_after(Life::cast(dice), start(output, workers));
        if status.success() {
            return killed;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "{}", said.join("\n"));
    }
    kills
}

/// Kills the job `kills` times, each time with the next of these numbers of workers.
fn check(kills: u64, workers: &[&str], seed: u64) {
    eprintln!("{kills} kills with {workers:?} workers; seed {seed}");
    let undisturbed = finish(TempDir::new().expect("a temporary directory").path());
    let (mut landed, mut files, mut dice) = (0, 0, Dice(seed));
    while landed < kills {
        let dir = TempDir::new().expect("a temporary directory");
        let (output, (end, ended)) = (dir.path(), channel::<()>());
        let written = thread::scope(|scope| {
            // Gone also when this closure panics.
            let end = end;
            let reader = scope.spawn(move || read_along(output, &ended));
            landed += disturb(output, kills - landed, workers, &mut dice);
            let written = finish(output);
            drop(end);
            files += reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written
        });
        for ((folder, expected), written) in FOLDERS.iter().zip(&undisturbed).zip(&written) {
            if let Some(difference) = difference(expected, written) {
                panic!("{folder} after {landed} kills: {difference}; seed {seed}");
            }
        }
    }
    eprintln!("{landed} kills landed; a reader saw {files} files");
}

/// `FLOWDSL_SEED` repeats a run; otherwise each one is another.
fn seed() -> u64 {
    let given = std::env::var("FLOWDSL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    given
        .unwrap_or_else(|| u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .max(1)
}

#[test]
fn twenty_kills_on_one_worker_lose_nothing_and_double_nothing() {
    check(20, &["1"], seed());
}

#[test]
fn twenty_kills_on_two_workers_lose_nothing_and_double_nothing() {
    check(20, &["2"], seed());
}

#[test]
fn ten_kills_with_another_number_of_workers_each_time_lose_nothing_and_double_nothing() {
    check(10, &["1", "3", "2"], seed());
}

/// Two flights whose delays have no sum.
fn write_flights_that_overflow(path: &Path) {
    let schema = "message flight {
        required int64 date (TIMESTAMP(MILLIS,true));
        required int64 delay;
        required binary origin (STRING);
    }";
    let schema = Arc::new(parse_message_type(schema).expect("the schema is well-formed"));
    let file = fs::File::create(path).expect("the directory is writable");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    write_column::<Int64Type>(&mut group, &[0, 1]);
    write_column::<Int64Type>(&mut group, &[i64::MAX, i64::MAX]);
    write_column::<ByteArrayType>(&mut group, &["ORD".into(), "ORD".into()]);
    group.close().expect("the row group is complete");
    writer.close().expect("the file is complete");
}

fn write_column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, fs::File>, values: &[T::T]) {
    let mut column = group
        .next_column()
        .expect("no error")
        .expect("one more column");
    column
        .typed::<T>()
        .write_batch(values, None, None)
        .expect("a column of this type");
    column.close().expect("the column is complete");
}

#[test]
fn a_panic_exits_with_1_names_the_stage_and_leaves_nothing_half_written() {
    let dir = TempDir::new().expect("a temporary directory");
    let input = dir.path().join("flights.parquet");
    write_flights_that_overflow(&input);
    let input = input.display().to_string();
    for workers in ["1", "2"] {
        let ran = monitor(dir.path(), &["--input", &input, "--workers", workers]).output();
        let ran = ran.expect("the example can be started");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(
            said.contains("error: stage `hourly`: panicked")
                || said.contains("error: stage `sliding`: panicked"),
            "{said}"
        );
        assert_eq!(visible(dir.path()), Vec::<PathBuf>::new());
    }
}
