use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::testing::{permit, sink_context};
use super::*;
use crate::clock::Clock;
use crate::ids::Epoch;
use crate::storage::FaultyDisk;

/// Everything in the splits of a source, a reader for each step of `limit` records.
fn read_in_steps<S: Source>(source: &S, limit: usize) -> Vec<Vec<S::Item>> {
    let read_split = |split| {
        let (mut records, mut errors, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let mut reader = source.open(&split, from.as_ref()).expect("a good split");
            let before = records.len();
            let fill = reader
                .fill(&mut records, &mut errors, limit)
                .expect("nothing can fail");
            assert!(records.len() - before <= limit);
            from = Some(reader.offset());
            if fill == Fill::Finished {
                return records;
            }
        }
    };
    source
        .discover()
        .expect("nothing can fail")
        .into_iter()
        .map(read_split)
        .collect()
}

#[test]
fn a_generator_shares_its_numbers_among_its_splits() {
    for count in [0, 1, 5, 100] {
        for splits in 1..5 {
            let generator = Generator::new(count, |i| i).splits(splits);
            for limit in [1, 3, 1_000] {
                let expected: Vec<Vec<u64>> = (0..splits as u64)
                    .map(|p| (0..count).filter(|i| i % splits as u64 == p).collect())
                    .collect();
                assert_eq!(read_in_steps(&generator, limit), expected);
            }
        }
    }
}

#[test]
fn an_unbounded_generator_goes_on() {
    let generator = Generator::unbounded(|i| i * 2);
    let splits = generator.discover().expect("nothing can fail");
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let mut reader = generator.open(&splits[0], None).expect("a good split");
    assert_eq!(
        reader
            .fill(&mut records, &mut errors, 3)
            .expect("nothing can fail"),
        Fill::More
    );
    assert_eq!(records, [0, 2, 4]);
}

#[test]
fn memory_is_read_in_fixed_parts() {
    let memory = Memory::new((0..10).collect()).splits(3);
    for limit in [1, 3, 1_000] {
        assert_eq!(
            read_in_steps(&memory, limit),
            [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8, 9]]
        );
    }
    assert_eq!(
        read_in_steps(&Memory::<u8>::new(Vec::new()), 1),
        [Vec::<u8>::new()]
    );
}

#[test]
fn memory_of_another_length_is_refused() {
    let splits = Memory::new(vec![1, 2])
        .discover()
        .expect("nothing can fail");
    let error = Memory::new(vec![1])
        .open(&splits[0], None)
        .err()
        .expect("other records");
    assert_eq!(
        error.message(),
        "the checkpoint reads 2 records from memory, the flow now has 1"
    );
}

/// Closes an epoch of a collection.
fn close(writer: &mut CollectWriter<u64>, epoch: u64) -> Vec<Committable> {
    let pending = writer
        .prepare_commit(Epoch(epoch), Barrier::Open)
        .expect("nothing can fail");
    pending.expect("a collection is transactional")()
        .expect("nothing can fail")
        .committables
}

#[test]
fn a_collection_shows_committed_records_once() {
    let collect = Collect::new();
    let context = sink_context(&FaultyDisk::new(), 1, 0);
    let mut writer = collect.open(&context).expect("nothing can fail");
    writer.write(1).expect("nothing can fail");
    let first = close(&mut writer, 1);
    assert_eq!(close(&mut writer, 2), []);
    writer.write(2).expect("nothing can fail");
    let third = close(&mut writer, 3);
    assert!(collect.records().is_empty());
    for _ in 0..2 {
        collect
            .commit(&permit(3), &third[0])
            .expect("nothing can fail");
        collect
            .commit(&permit(3), &first[0])
            .expect("nothing can fail");
    }
    assert_eq!(collect.records(), [1, 2]);
    let facts = collect.inspect(&context).expect("nothing can fail");
    assert_eq!((facts.visible, facts.newest_epoch), (2, Some(Epoch(3))));
    collect
        .take_back(&context, Epoch(2))
        .expect("nothing can fail");
    assert_eq!(collect.records(), [1]);
    assert_eq!(collect.take(), [1]);
    assert!(collect.records().is_empty());
}

#[test]
fn a_collection_discards_what_no_checkpoint_names() {
    let collect = Collect::new();
    let context = sink_context(&FaultyDisk::new(), 1, 0);
    let mut writer = collect.open(&context).expect("nothing can fail");
    writer.write(1).expect("nothing can fail");
    let named = close(&mut writer, 1);
    writer.write(2).expect("nothing can fail");
    let forgotten = close(&mut writer, 2);
    collect
        .discard_staged(&context, &named, &[])
        .expect("nothing can fail");
    for committable in named.iter().chain(&forgotten) {
        collect
            .commit(&permit(2), committable)
            .expect("nothing can fail");
    }
    assert_eq!(collect.records(), [1]);
    collect.clear(&context).expect("nothing can fail");
    assert!(collect.records().is_empty());
}

/// The simulation's seed 559: a run slept before it discarded what no checkpoint named, and woke up when a newer
/// run had staged output of its own.
#[test]
fn a_collection_keeps_the_output_of_newer_runs() {
    let collect = Collect::new();
    let old = sink_context(&FaultyDisk::new(), 1, 0);
    let new = SinkContext {
        generation: old.generation.next(),
        ..old.clone()
    };
    let mut writer = collect.open(&new).expect("nothing can fail");
    writer.write(1).expect("nothing can fail");
    let visible = close(&mut writer, 1);
    writer.write(2).expect("nothing can fail");
    let staged = close(&mut writer, 2);
    let commit = |part| {
        collect.commit(&permit(2), part).expect("nothing can fail");
    };
    commit(&visible[0]);
    collect.take_back(&old, Epoch(0)).expect("nothing can fail");
    collect
        .discard_staged(&old, &[], &[])
        .expect("nothing can fail");
    collect.clear(&old).expect("nothing can fail");
    commit(&staged[0]);
    assert_eq!(collect.records(), [1, 2]);
}

#[test]
fn plain_sinks_see_every_record() {
    let context = sink_context(&FaultyDisk::new(), 1, 0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let push = Arc::clone(&seen);
    let sink = ForEach::new(move |record: u64| push.lock().expect("no panic").push(record));
    let mut writer = Sink::<u64>::open(&sink, &context).expect("nothing can fail");
    writer.write(7).expect("nothing can fail");
    assert_eq!(*seen.lock().expect("no panic"), [7]);
    let mut discard = Sink::<u64>::open(&Discard::new(), &context).expect("nothing can fail");
    discard.write(7).expect("nothing can fail");
    let prepared = SinkWriter::<u64>::prepare_commit(&mut discard, Epoch(1), Barrier::Open);
    assert!(prepared.expect("nothing can fail").is_none());
}

/// What a printing sink has written so far.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_appear_at_the_barrier_or_when_they_have_waited() {
    let (screen, clock) = (Screen::default(), Clock::manual());
    let mut writer = LineWriter::new(Stdout::new().format, screen.clone(), clock.clone());
    writer.write(("SEA", 1)).expect("memory");
    assert_eq!(screen.text(), "");
    let pending = SinkWriter::<(&str, i32)>::prepare_commit(&mut writer, Epoch(1), Barrier::Open);
    assert!(pending.expect("memory").is_none());
    assert_eq!(screen.text(), "[\"SEA\",1]\n");
    clock.advance(Duration::from_secs(1));
    writer.write(("LAX", 2)).expect("memory");
    assert_eq!(screen.text(), "[\"SEA\",1]\n[\"LAX\",2]\n");
}

#[test]
fn records_are_printed_as_they_display_themselves() {
    let screen = Screen::default();
    let mut writer = LineWriter::new(Stdout::display().format, screen.clone(), Clock::manual());
    for i in 0..2_000 {
        writer.write(i).expect("memory");
    }
    assert!(
        screen.text().starts_with("0\n1\n2\n"),
        "a full buffer is written"
    );
}
