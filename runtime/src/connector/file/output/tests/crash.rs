//! A small job around the file sink, whose disk fails or loses power at every operation in turn.
//!
//! The job's own checkpoints are kept outside of the disk: they stand for manifests, which are
//! durable once they are published.

use super::*;
use crate::connector::Committable;

const ROWS: u64 = 24;
const ROWS_PER_EPOCH: u64 = 4;
const WORKERS: u32 = 2;

/// What a published checkpoint holds of the sink, and of the source before it.
#[derive(Clone, Default)]
struct Checkpoint {
    epoch: u64,
    rows: u64,
    committables: Vec<Committable>,
    unfinished: Vec<Vec<u8>>,
}

struct Job {
    disk: FaultyDisk,
    roll: Roll,
    generation: u64,
    checkpoints: Vec<Checkpoint>,
    /// The newest epoch that was ever published, also if its checkpoint is lost now.
    newest_epoch: u64,
}

impl Job {
    fn new(roll: Roll) -> Self {
        Self {
            disk: FaultyDisk::new(),
            roll,
            generation: 0,
            checkpoints: Vec::new(),
            newest_epoch: 0,
        }
    }

    /// Runs to the end of the input, or until the disk fails.
    fn run(&mut self) -> Result<()> {
        self.generation += 1;
        let mut last = self.recover()?;
        let sink = File::jsonl::<u64>("out").roll(self.roll);
        let committer =
            transactional::<u64>(&sink).committer(&sink_context(&self.disk, self.generation, 0));
        let mut writers = Vec::new();
        for worker in 0..WORKERS {
            writers.push(Sink::<u64>::open(
                &sink,
                &sink_context(&self.disk, self.generation, worker),
            )?);
        }
        let mut epoch = self.newest_epoch;
        while last.rows < ROWS {
            epoch += 1;
            let rows = last.rows..last.rows + ROWS_PER_EPOCH;
            let kind = if rows.end == ROWS {
                Barrier::Last
            } else {
                Barrier::Open
            };
            let mut next = Checkpoint {
                epoch,
                rows: rows.end,
                committables: last.committables,
                unfinished: Vec::new(),
            };
            for row in rows {
                // The first worker has nothing to write in every other epoch.
                let worker = if epoch.is_multiple_of(2) {
                    1
                } else {
                    row % u64::from(WORKERS)
                };
                writers[worker as usize].write(row)?;
            }
            for writer in &mut writers {
                let prepared = barrier::<u64>(writer, epoch, kind)?;
                next.committables.extend(prepared.committables);
                next.unfinished.extend(prepared.unfinished);
            }
            // The third epoch's checkpoint fails: its output goes on in the next one.
            if epoch != 3 {
                self.publish(next.clone());
                for committable in next.committables.drain(..) {
                    committer.commit(&permit(epoch), &committable)?;
                    self.check();
                }
            }
            last = next;
        }
        Ok(())
    }

    fn publish(&mut self, checkpoint: Checkpoint) {
        self.newest_epoch = checkpoint.epoch;
        self.checkpoints.push(checkpoint);
    }

    /// Restores the newest checkpoint, and gives it without what is committed now.
    fn recover(&mut self) -> Result<Checkpoint> {
        let sink = File::jsonl::<u64>("out");
        let (output, context) = (
            transactional::<u64>(&sink),
            sink_context(&self.disk, self.generation, 0),
        );
        let newest = self.checkpoints.last().cloned().unwrap_or_default();
        let facts = output.inspect(&context)?;
        if facts.newest_epoch > Some(Epoch(newest.epoch)) {
            output.take_back(&context, Epoch(newest.epoch))?;
            self.check();
        }
        output.discard_staged(&context, &newest.committables, &newest.unfinished)?;
        let mut committables = newest.committables;
        for unfinished in &newest.unfinished {
            committables.extend(output.finish(&context, unfinished)?);
        }
        let committer = output.committer(&context);
        for committable in &committables {
            committer.commit(&permit(newest.epoch), committable)?;
        }
        let rows = self.check();
        assert!(
            rows.into_iter().eq(0..newest.rows),
            "a recovered job shows exactly the rows of its checkpoint"
        );
        Ok(Checkpoint {
            committables: Vec::new(),
            unfinished: Vec::new(),
            ..newest
        })
    }

    /// Checks what a reader sees.
    fn check(&self) -> BTreeSet<u64> {
        check_rows(&self.disk)
    }

    /// Runs until the job has ended, with one fault in the first run after the call.
    fn run_with_fault(&mut self, fault: impl Fn(&FaultyDisk), survivors: Option<u64>) -> bool {
        fault(&self.disk);
        let undisturbed = self.run().is_ok();
        if self.disk.is_without_power() {
            survivors.inspect(|seed| self.disk.survivors(*seed));
            self.disk.restart();
            self.check();
        }
        self.disk.heal();
        if !undisturbed {
            self.run().expect("nothing fails any more");
        }
        assert!(
            self.check().into_iter().eq(0..ROWS),
            "every row is there once"
        );
        undisturbed
    }
}

const POLICIES: [Roll; 3] = [Roll::EveryCheckpoint, Roll::Size(7), Roll::Size(1_000)];

/// Runs a job that `prepare` makes, with a fault at operation 1, 2, .. of it, until none is hit.
fn check_faults(prepare: impl Fn() -> Job) {
    for survivors in [None, Some(1), Some(2), Some(3)] {
        for n in 1.. {
            let mut job = prepare();
            let at = job.disk.operations() + n;
            if job.run_with_fault(|disk| disk.lose_power_at(at), survivors) {
                break;
            }
        }
    }
    for n in 1.. {
        let mut job = prepare();
        let at = job.disk.operations() + n;
        let undisturbed = job.run_with_fault(|disk| disk.fail_at(at), None);
        let mut job = prepare();
        job.run_with_fault(|disk| disk.fail_after(at), None);
        if undisturbed && job.disk.operations() < at {
            break;
        }
    }
}

#[test]
fn every_row_is_visible_once_whenever_the_disk_fails_or_loses_power() {
    for roll in POLICIES {
        check_faults(|| Job::new(roll));
    }
}

#[test]
fn a_job_that_falls_back_takes_back_what_it_committed_later() {
    for roll in POLICIES {
        for lost in [1, 3, 6] {
            let fallen_back = || {
                let mut job = Job::new(roll);
                job.run().expect("the disk works");
                let kept = job.checkpoints.len().saturating_sub(lost);
                job.checkpoints.truncate(kept);
                job
            };
            check_faults(fallen_back);
        }
    }
}

#[test]
fn a_job_that_falls_back_in_the_middle_goes_on() {
    for roll in POLICIES {
        for stopped_at in (10..200).step_by(7) {
            let mut job = Job::new(roll);
            job.disk.lose_power_at(stopped_at);
            let ended = job.run().is_ok();
            job.disk.restart();
            job.checkpoints.pop();
            job.run().expect("the disk works");
            assert!(
                job.check().into_iter().eq(0..ROWS),
                "stopped at {stopped_at}"
            );
            if ended {
                break;
            }
        }
    }
}
