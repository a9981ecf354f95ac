//! What the publisher of a process does on its fiber, and what the process hears of it.

use std::rc::Rc;

use flowdsl_runtime::Result;
use flowdsl_runtime::error::ErrorKind;
use flowdsl_runtime::protocol::{Asker, Heard, Manifest, PublicationOutcome};
use flowdsl_runtime::storage::log::Publication;

use super::{MAIN, Process};
use crate::event::{Event, Inside};
use crate::fiber::ask;
use crate::kernel::Kernel;
use crate::request::{Request, Told};
use crate::restores::Saved;

impl Process {
    pub(super) fn publish(&mut self, manifest: Box<Manifest>, kernel: &mut Kernel) {
        let (id, Some(job)) = (self.id, &self.job) else {
            return;
        };
        kernel.note(|| format!("{id} publishes epoch {}", manifest.epoch));
        let publisher = Rc::clone(&job.publisher);
        self.fibers[MAIN].tasks.push_back(Box::new(move || {
            let mut publisher = publisher.borrow_mut();
            let outcome = publisher.writer().publish(&manifest);
            let published = matches!(outcome, Ok(Publication::Published { .. }));
            ask(Request::Tell(Told::Published(manifest, outcome)));
            if published {
                publisher.clean_up();
            }
        }));
    }

    pub(super) fn look_at_log(&mut self) {
        let Some(job) = &self.job else { return };
        let publisher = Rc::clone(&job.publisher);
        self.fibers[MAIN].tasks.push_back(Box::new(move || {
            let found = publisher.borrow_mut().writer().check_not_overtaken();
            ask(Request::Tell(Told::LookedAtLog(found)));
        }));
    }

    pub(super) fn pin(&mut self, asker: Asker, manifest: Box<Manifest>) {
        let Some(job) = &self.job else { return };
        let publisher = Rc::clone(&job.publisher);
        self.fibers[MAIN].tasks.push_back(Box::new(move || {
            publisher.borrow_mut().pin(asker, &manifest);
        }));
    }

    /// Copies a savepoint.
    pub(super) fn copy(&mut self, asker: Asker, manifest: Box<Manifest>, kernel: &mut Kernel) {
        let id = self.id;
        kernel.note(|| format!("{id} copies epoch {}", manifest.epoch));
        let last = self.fibers.len() - 1;
        self.fibers[last].tasks.push_back(Box::new(move || {
            let saved = Box::new(Saved::read(manifest));
            ask(Request::Tell(Told::Copied(asker, saved)));
        }));
    }

    pub(super) fn unpin(&mut self, asker: Asker) {
        let Some(job) = &self.job else { return };
        let publisher = Rc::clone(&job.publisher);
        self.fibers[MAIN].tasks.push_back(Box::new(move || {
            publisher.borrow_mut().unpin(asker);
        }));
    }

    pub(super) fn told_copied(&mut self, asker: Asker, saved: Saved, kernel: &mut Kernel) {
        let copied = saved.objects.as_ref().map(|_| ()).map_err(Clone::clone);
        self.saved.push(saved);
        self.hear_soon(Heard::Copied(asker, copied), kernel);
    }

    pub(super) fn told_published(
        &self,
        manifest: Box<Manifest>,
        outcome: Result<Publication>,
        kernel: &mut Kernel,
    ) {
        let outcome = match outcome {
            Ok(Publication::Published { .. }) => PublicationOutcome::Durable,
            Ok(Publication::Fenced { by }) => PublicationOutcome::Fenced { by },
            Err(error) => PublicationOutcome::Failed(error),
        };
        let id = self.id;
        kernel.note(|| format!("{id} epoch {}: {outcome:?}", manifest.epoch));
        kernel.reach(match &outcome {
            PublicationOutcome::Durable => "a checkpoint",
            PublicationOutcome::Fenced { .. } => "a publication that was fenced",
            PublicationOutcome::Failed(_) => "a publication that failed",
        });
        self.hear_soon(Heard::Published(manifest, outcome), kernel);
    }

    pub(super) fn told_of_log(&self, found: Result<()>, kernel: &mut Kernel) {
        if found.as_ref().is_err_and(|e| e.kind() == ErrorKind::Fenced) {
            kernel.reach("a failed checkpoint that a newer run explains");
        }
        self.hear_soon(Heard::LookedAtLog(found), kernel);
    }

    fn hear_soon(&self, heard: Heard, kernel: &mut Kernel) {
        let wait = kernel.rng.millis(0, 3);
        kernel.after(wait, Event::Inside(self.id, Inside::Hear(Box::new(heard))));
    }
}
