use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::names::{Finished, Part};
use super::writer::ends_at;
use crate::clock::Clock;
use crate::connector::file::{File, Roll};
use crate::connector::testing::{permit, sink_context};
use crate::connector::{
    Barrier, Committable, Prepared, Sink, SinkContext, SinkGuarantee, SinkWriter, Transactional,
};
use crate::error::{ErrorKind, Result};
use crate::ids::{Epoch, Generation, WorkerIndex};
use crate::storage::{Disk, FaultyDisk};

mod crash;

/// The output as a reader sees it: names and contents of the files in `out/`, hidden ones aside.
fn visible(disk: &FaultyDisk) -> Vec<(String, String)> {
    let is_visible = |path: &PathBuf| path.parent() == Some("out".as_ref());
    let files = disk.paths().into_iter().filter(is_visible).map(|path| {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        (
            name,
            String::from_utf8(disk.peek(&path).expect("it is there")).expect("text"),
        )
    });
    files.collect()
}

fn staged(disk: &FaultyDisk) -> Vec<PathBuf> {
    disk.paths()
        .into_iter()
        .filter(|path| path.starts_with("out/.flowdsl/staging"))
        .collect()
}

fn transactional<T>(sink: &impl Sink<T>) -> std::sync::Arc<dyn Transactional> {
    match sink.guarantee() {
        SinkGuarantee::ExactlyOnce(transactional) => transactional,
        SinkGuarantee::Plain => unreachable!("a file sink is transactional"),
    }
}

/// Closes an epoch and makes its output durable.
fn barrier<T>(writer: &mut impl SinkWriter<T>, epoch: u64, barrier: Barrier) -> Result<Prepared> {
    let pending = writer.prepare_commit(Epoch(epoch), barrier)?;
    pending.expect("a file sink has output to prepare")()
}

/// Writes epochs of rows (the last one ends the input), commits each, and gives the visible files.
fn commit_epochs(
    sink: &File<(u32, &'static str), super::super::Csv>,
    epochs: &[&[(u32, &'static str)]],
) -> Vec<(String, String)> {
    let disk = FaultyDisk::new();
    let context = sink_context(&disk, 1, 0);
    let committer = transactional(sink).committer(&context);
    let mut writer = Sink::open(sink, &context).expect("an empty directory");
    for (i, rows) in epochs.iter().enumerate() {
        for row in *rows {
            writer.write(*row).expect("the disk works");
        }
        let kind = if i + 1 == epochs.len() {
            Barrier::Last
        } else {
            Barrier::Open
        };
        let epoch = i as u64 + 1;
        let prepared = SinkWriter::<(u32, &str)>::prepare_commit(&mut writer, Epoch(epoch), kind)
            .expect("the disk works");
        for committable in prepared.expect("a file sink")()
            .expect("the disk works")
            .committables
        {
            committer
                .commit(&permit(epoch), &committable)
                .expect("the disk works");
        }
    }
    visible(&disk)
}

fn names_and_texts(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect()
}

#[test]
fn each_epoch_makes_a_file_and_an_empty_one_none() {
    let sink = File::csv("out").no_header();
    let files = commit_epochs(&sink, &[&[(1, "a"), (2, "b,c")], &[], &[(3, "d")], &[]]);
    assert_eq!(
        names_and_texts(&files),
        [
            (
                "part-g000001-e0000000001-0000000001-w0000-n000000.csv",
                "1,a\n2,\"b,c\"\n"
            ),
            (
                "part-g000001-e0000000003-0000000003-w0000-n000001.csv",
                "3,d\n"
            ),
        ]
    );
}

#[test]
fn a_file_that_rolls_by_size_goes_on_over_epochs_until_it_is_full_or_the_input_ends() {
    let sink = File::csv("out").no_header().roll(Roll::Size(8));
    let files = commit_epochs(
        &sink,
        &[
            &[(1, "a")],
            &[],
            &[(2, "b"), (3, "c"), (4, "d"), (5, "e")],
            &[(6, "f")],
        ],
    );
    assert_eq!(
        names_and_texts(&files),
        [
            (
                "part-g000001-e0000000001-0000000003-w0000-n000000.csv",
                "1,a\n2,b\n"
            ),
            (
                "part-g000001-e0000000003-0000000003-w0000-n000001.csv",
                "3,c\n4,d\n"
            ),
            (
                "part-g000001-e0000000003-0000000004-w0000-n000002.csv",
                "5,e\n6,f\n"
            ),
        ]
    );
}

#[test]
fn each_csv_file_begins_with_a_header_where_records_have_names() {
    #[derive(serde::Serialize)]
    struct Alarm {
        airport: &'static str,
        delay: f64,
    }
    let disk = FaultyDisk::new();
    let mut writer = Sink::open(&File::csv::<Alarm>("out"), &sink_context(&disk, 1, 0))
        .expect("an empty directory");
    for epoch in 1..3 {
        writer
            .write(Alarm {
                airport: "SEA",
                delay: 1.5,
            })
            .expect("the disk works");
        barrier::<Alarm>(&mut writer, epoch, Barrier::Open).expect("the disk works");
    }
    let texts: Vec<_> = staged(&disk)
        .iter()
        .map(|path| disk.peek(path).expect("it is there"))
        .collect();
    assert_eq!(
        texts,
        [b"airport,delay\nSEA,1.5\n", b"airport,delay\nSEA,1.5\n"]
    );
}

#[test]
fn a_file_ends_at_a_barrier_by_its_policy_and_age() {
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
    for (kind, roll, age, expected) in [
        (Barrier::Open, Roll::EveryCheckpoint, Duration::ZERO, true),
        (Barrier::Open, Roll::Size(1), hour, false),
        (Barrier::Open, Roll::Time(hour), second, false),
        (Barrier::Open, Roll::Time(hour), hour, true),
        (Barrier::Last, Roll::Size(u64::MAX), second, true),
        (Barrier::Last, Roll::Time(hour), second, true),
    ] {
        assert_eq!(
            ends_at(kind, roll, age),
            expected,
            "{kind:?} {roll:?} {age:?}"
        );
    }
}

#[test]
fn an_old_file_ends_also_when_nothing_more_is_written() {
    let disk = FaultyDisk::new();
    let context = sink_context(&disk, 1, 0);
    let clock: Clock = context.clock.clone();
    let sink = File::jsonl::<i32>("out").roll(Roll::Time(Duration::from_secs(10)));
    let mut writer = Sink::open(&sink, &context).expect("an empty directory");
    writer.write(1).expect("the disk works");
    let first = barrier::<i32>(&mut writer, 1, Barrier::Open).expect("the disk works");
    assert!(first.committables.is_empty() && first.unfinished.is_some());
    clock.advance(Duration::from_secs(10));
    let second = barrier::<i32>(&mut writer, 2, Barrier::Open).expect("the disk works");
    assert!(second.committables.len() == 1 && second.unfinished.is_none());
}

#[test]
fn large_epochs_are_written_in_order_while_they_come() {
    let disk = FaultyDisk::new();
    let context = sink_context(&disk, 1, 0);
    let sink = File::jsonl::<u64>("out");
    let mut writer = Sink::open(&sink, &context).expect("an empty directory");
    for i in 0..100_000_u64 {
        writer.write(i).expect("the disk works");
    }
    assert!(
        disk.peek(&staged(&disk)[0])
            .is_some_and(|bytes| bytes.len() > 400_000)
    );
    barrier::<u64>(&mut writer, 1, Barrier::Open).expect("the disk works");
    let expected = (0..100_000)
        .map(|i| format!("{i}\n"))
        .collect::<Vec<_>>()
        .concat();
    assert!(
        disk.peek(&staged(&disk)[0])
            .is_some_and(|bytes| bytes == expected.as_bytes())
    );
}

#[test]
fn a_commit_may_be_repeated() {
    let disk = FaultyDisk::new();
    let context = sink_context(&disk, 1, 0);
    let sink = File::jsonl::<u64>("out");
    let mut writer = Sink::open(&sink, &context).expect("an empty directory");
    writer.write(7).expect("the disk works");
    let prepared = barrier::<u64>(&mut writer, 1, Barrier::Open).expect("the disk works");
    let committer = transactional::<u64>(&sink).committer(&context);
    for _ in 0..2 {
        committer
            .commit(&permit(1), &prepared.committables[0])
            .expect("the disk works");
        assert_eq!(visible(&disk).len(), 1);
    }
    disk.lose(format!("out/{}", visible(&disk)[0].0));
    let error = committer
        .commit(&permit(1), &prepared.committables[0])
        .expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_directory_belongs_to_one_stage_of_one_job() {
    let disk = FaultyDisk::new();
    let context = sink_context(&disk, 1, 0);
    let sink = File::jsonl::<u64>("out");
    drop(Sink::open(&sink, &context).expect("an empty directory"));
    drop(Sink::open(&sink, &sink_context(&disk, 2, 1)).expect("the same stage"));
    let other = SinkContext {
        stage: "late".into(),
        ..context.clone()
    };
    let expected = "out holds the output of stage `alarms` of job `flights`; \
                    stage `late` of job `flights` needs a directory of its own";
    let refused = |result: Result<()>| result.expect_err("another stage").message().to_owned();
    assert_eq!(refused(Sink::open(&sink, &other).map(drop)), expected);
    let transactional = transactional::<u64>(&sink);
    assert_eq!(refused(transactional.inspect(&other).map(drop)), expected);
    assert_eq!(refused(transactional.clear(&other)), expected);
    disk.corrupt("out/.flowdsl/owner", b"flowdsl-owner-1 2 00\n{}\n");
    let error = transactional
        .inspect(&context)
        .expect_err("a damaged owner record");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// The simulation's seed 559: a run slept before it discarded what no checkpoint named, and woke up when a newer
/// run had staged output of its own.
#[test]
fn an_overtaken_run_removes_nothing_of_a_newer_one() {
    let disk = FaultyDisk::new();
    let old = sink_context(&disk, 1, 0);
    let new = SinkContext {
        generation: old.generation.next(),
        ..old.clone()
    };
    let sink = File::jsonl::<u64>("out");
    let (output, committer) = (
        transactional::<u64>(&sink),
        transactional::<u64>(&sink).committer(&new),
    );
    let mut writer = Sink::open(&sink, &new).expect("an empty directory");
    let mut prepare = |epoch| {
        writer.write(epoch).expect("the disk works");
        let prepared = barrier::<u64>(&mut writer, epoch, Barrier::Open);
        prepared.expect("the disk works").committables
    };
    let (first, second) = (prepare(1), prepare(2));
    let commit = |part: &[Committable]| {
        committer
            .commit(&permit(2), &part[0])
            .expect("nothing is lost");
    };
    commit(&first);
    output.take_back(&old, Epoch(0)).expect("the disk works");
    output
        .discard_staged(&old, &[], &[])
        .expect("the disk works");
    output.clear(&old).expect("the disk works");
    commit(&second);
    assert_eq!(visible(&disk).len(), 2);
}

#[test]
fn facts_and_clearing_concern_our_own_files_only() {
    let disk = FaultyDisk::new();
    let context = sink_context(&disk, 1, 0);
    let sink = File::jsonl::<u64>("out");
    let mut writer = Sink::open(&sink, &context).expect("an empty directory");
    disk.create("out/part-1.jsonl".as_ref())
        .and_then(|mut file| file.sync())
        .expect("the disk works");
    let committer = transactional::<u64>(&sink).committer(&context);
    for epoch in 1..4 {
        writer.write(epoch).expect("the disk works");
        let prepared = barrier::<u64>(&mut writer, epoch, Barrier::Open).expect("the disk works");
        if epoch < 3 {
            committer
                .commit(&permit(epoch), &prepared.committables[0])
                .expect("the disk works");
        }
    }
    let transactional = transactional::<u64>(&sink);
    let facts = transactional.inspect(&context).expect("the disk works");
    assert_eq!(
        (facts.visible, facts.newest_epoch, facts.place.as_str()),
        (2, Some(Epoch(2)), "out")
    );
    transactional.clear(&context).expect("the disk works");
    assert_eq!(visible(&disk), [("part-1.jsonl".to_owned(), String::new())]);
    assert_eq!(staged(&disk), Vec::<PathBuf>::new());
}

#[test]
fn after_a_failed_sync_the_writer_is_not_used_again() {
    let disk = FaultyDisk::new();
    let mut writer = Sink::open(&File::jsonl::<i32>("out"), &sink_context(&disk, 1, 0))
        .expect("an empty directory");
    writer.write(1).expect("the disk works");
    let pending = SinkWriter::<i32>::prepare_commit(&mut writer, Epoch(1), Barrier::Open)
        .expect("the disk works");
    disk.fail_at(disk.operations() + 3); // create, write, sync
    let error = pending.expect("a file sink")().expect_err("the sync fails");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let staged = "out/.flowdsl/staging/g000001-w0000-n000000.jsonl";
    assert!(
        error
            .message()
            .starts_with(&format!("cannot sync {staged}: ")),
        "{error}"
    );
    assert_eq!(
        writer.write(2).expect_err("poisoned").message(),
        error.message()
    );
    assert_eq!(
        barrier::<i32>(&mut writer, 2, Barrier::Open)
            .expect_err("poisoned")
            .message(),
        error.message()
    );
}

#[test]
fn a_record_without_a_form_is_refused() {
    let disk = FaultyDisk::new();
    let mut writer = Sink::open(&File::csv::<()>("out"), &sink_context(&disk, 1, 0))
        .expect("an empty directory");
    let map = std::collections::BTreeMap::from([("a", 1)]);
    assert_eq!(
        writer.write(map).expect_err("no row").kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn only_names_that_we_would_write_are_ours() {
    let part = Part {
        generation: Generation(12),
        worker: WorkerIndex(3),
        number: 1_234_567,
    };
    let file = Finished {
        part,
        first: Epoch(7),
        last: Epoch(12_345_678_901),
    };
    let name = file.visible_name("csv");
    assert_eq!(
        name,
        "part-g000012-e0000000007-12345678901-w0003-n1234567.csv"
    );
    assert_eq!(Finished::parse(&name, "csv"), Some(file));
    assert_eq!(part.staged_name("csv"), "g000012-w0003-n1234567.csv");
    for other in [
        "part-g000012-e0000000007-12345678901-w0003-n1234567.jsonl",
        "part-g12-e0000000007-12345678901-w0003-n1234567.csv",
        "part-g000012-e0000000007-12345678901-w0003-n1234567-2.csv",
        "part-g000012-e0000000007-12345678901-w0003.csv",
        "part-0.csv",
        "",
    ] {
        assert_eq!(Finished::parse(other, "csv"), None, "{other}");
    }
}

/// What a reader must never see: rows cut in two, or a row twice.
fn check_rows(disk: &FaultyDisk) -> BTreeSet<u64> {
    let mut rows = BTreeSet::new();
    for (name, text) in visible(disk) {
        assert!(text.ends_with('\n'), "{name} is cut: {text:?}");
        for row in text.lines() {
            assert!(
                rows.insert(row.parse().expect("a number")),
                "row {row} is there twice"
            );
        }
    }
    rows
}
