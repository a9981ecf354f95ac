//! The oracle's view of claims: whose the log is, and what that allows.

use flowdsl_runtime::protocol::SlotNumber;
use flowdsl_runtime::storage::names;

use super::{Check, Content, Oracle};
use crate::event::ProcessId;

impl Oracle {
    /// Whether a process is the run that has claimed last, as far as it has come.
    pub(crate) fn is_newest(&self, process: ProcessId) -> bool {
        let newest = self.newest.map(|newest| newest.process);
        newest.is_none_or(|newest| newest == process)
    }

    /// A process begins, or begins anew.
    pub(crate) fn begins(&mut self, process: ProcessId, former: Option<ProcessId>) {
        self.begun.insert(process);
        if let Some(former) = former {
            self.first_attempts
                .insert(process, self.first_attempt(former));
            if self.is_overtaken_by_another(process) {
                self.overtaken.insert(process);
            }
        }
    }

    pub(crate) fn has_begun_anew(&self, process: ProcessId) -> bool {
        self.first_attempts.contains_key(&process)
    }

    fn first_attempt(&self, process: ProcessId) -> ProcessId {
        self.first_attempts
            .get(&process)
            .copied()
            .unwrap_or(process)
    }

    /// Whether the newest claim is none of any attempt of the process.
    fn is_overtaken_by_another(&self, process: ProcessId) -> bool {
        let newest = self.newest.map(|newest| self.first_attempt(newest.process));
        newest.is_some_and(|newest| newest != self.first_attempt(process))
    }

    /// Whether a process may have been fenced: another one has claimed the log since it began, or while it waited
    /// to begin anew. Who was there before is no reason: a claim of its own ends that run.
    pub(crate) fn may_be_fenced(&self, process: ProcessId) -> bool {
        self.is_overtaken_by_another(process) && self.overtaken.contains(&process)
    }

    /// A process that begins anew must not take the log back from whoever has claimed it meanwhile.
    pub(super) fn may_claim(&self, process: ProcessId, slot: SlotNumber) -> Check {
        if self.has_begun_anew(process) && self.is_overtaken_by_another(process) {
            return Err(format!(
                "invariant 6: {process} began anew and fenced a newer run by its claim in slot {slot}: {:?}",
                self.newest
            ));
        }
        Ok(())
    }

    /// Invariant 6: whoever deletes has just seen in the log that it is the newest run.
    pub(crate) fn before_delete(&mut self, process: ProcessId, names: &[String]) -> Check {
        if self.confirmed.remove(&process) {
            Ok(())
        } else {
            Err(format!(
                "invariant 6: {process} deletes {names:?}, and has not seen that it is the newest run"
            ))
        }
    }

    /// A process has listed a directory.
    pub(crate) fn listed(&mut self, process: ProcessId, dir: &str) {
        if dir == names::LOG_DIR && self.newest.is_some_and(|newest| newest.process == process) {
            self.confirmed.insert(process);
        }
    }

    pub(super) fn find_newest(&mut self) {
        self.newest = self
            .slots
            .values()
            .rev()
            .find_map(|found| match found.content {
                Content::Claim(author) if !self.hole_claims.contains(&author.slot) => Some(author),
                Content::Claim(_) | Content::Manifest(_) => None,
            });
    }
}
