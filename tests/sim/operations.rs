//! The operations under way: they outlive the process that began them, as requests on a wire do.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::event::{Event, OpId, ProcessId};
use crate::fate::{Fate, Inner, Reply};
use crate::machine::Local;
use crate::oracle::{COMPACTED, Check};
use crate::request::{Act, Answer};
use crate::rng::Rng;
use crate::store::Store;
use crate::world::World;

#[derive(Default)]
pub(crate) struct Operations {
    under_way: BTreeMap<OpId, Operation>,
    count: u64,
}

struct Operation {
    process: ProcessId,
    /// Who waits for the answer, if anybody still does.
    fiber: Option<usize>,
    act: Act,
    local: Option<Rc<Local>>,
    reply: Reply,
    inner: Option<Inner>,
    answer: Option<Answer>,
}

impl Operations {
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.under_way.clear();
    }

    /// The process is dead. What it had begun on its own machine is not done; what was on a wire may be.
    pub(crate) fn orphan(&mut self, id: ProcessId, is_local: bool, rng: &mut Rng) {
        self.under_way.retain(|_, op| {
            if op.process != id {
                return true;
            }
            op.fiber = None;
            let is_lost = is_local && op.act.is_of_storage();
            !is_lost && rng.per_mille(500)
        });
    }
}

impl World {
    /// An operation begins: its fate is decided.
    pub(crate) fn begin(&mut self, process: ProcessId, fiber: usize, act: Act) -> Check {
        let fate = Fate::of(&act, &self.scenario, &mut self.kernel);
        self.operations.count += 1;
        let op = OpId(self.operations.count);
        if let Act::Delete { names } = &act {
            self.oracle.before_delete(process, names)?;
        }
        if let Some(at) = fate.death {
            self.kernel.at(at, Event::Kill(process));
        }
        if let Some((at, long)) = fate.sleep {
            self.kernel.at(at, Event::Sleep(process, long));
        }
        if let Some(at) = fate.effect {
            self.kernel.at(at, Event::Effect(op));
        }
        if let Reply::Error(at, _) = fate.reply {
            self.kernel.at(at, Event::Reply(op));
        }
        let operation = Operation {
            process,
            fiber: Some(fiber),
            act,
            local: self.processes[process.0].local.clone(),
            reply: fate.reply,
            inner: fate.inner,
            answer: None,
        };
        self.operations.under_way.insert(op, operation);
        Ok(())
    }

    /// An operation takes effect. A deletion does so name by name.
    pub(crate) fn effect(&mut self, id: OpId) -> Check {
        let Some(mut op) = self.operations.under_way.remove(&id) else {
            return Ok(());
        };
        let process = op.process;
        let (now, rest) = first_part(&op.act);
        self.kernel.note(|| format!("{process} {}", now.describe()));
        if op.fiber.is_none() {
            self.kernel
                .reach("an effect when nobody waits for it any more");
        }
        match &now {
            Act::RemoveVisible { .. } => self.kernel.reach("output that was taken back"),
            Act::Delete { names } if names.iter().any(|name| name.contains(COMPACTED)) => {
                self.kernel.reach("a deletion of what was compacted");
            }
            Act::Delete { .. } => self.kernel.reach("a deletion"),
            Act::Write { .. } => self.kernel.reach("a state object"),
            _ => {}
        }
        let answer = self.perform(&now, &mut op)?;
        let Some(answer) = answer else {
            // The process died in the middle of it.
            return Ok(());
        };
        let failed = matches!(&answer, Answer::Done(Err(_)));
        if let (Some(rest), false) = (rest, failed) {
            op.act = rest;
            let wait = self.kernel.rng.millis(0, 2);
            self.kernel.after(wait, Event::Effect(id));
        } else {
            op.answer = Some(match op.reply {
                Reply::True(_) => answer,
                Reply::Wrong(_) => op.act.failed("an injected error behind the effect"),
                Reply::Error(_, why) => op.act.failed(why),
            });
            if let Reply::True(wait) | Reply::Wrong(wait) = op.reply {
                self.kernel.after(wait, Event::Reply(id));
            }
        }
        if op.fiber.is_some() || op.answer.is_none() {
            self.operations.under_way.insert(id, op);
        }
        Ok(())
    }

    fn perform(&mut self, act: &Act, op: &mut Operation) -> Result<Option<Answer>, String> {
        if !act.is_of_storage() {
            self.oracle.before_output(act, &self.output)?;
            return Ok(Some(self.output.perform(act)));
        }
        let answer = match (&self.store, &op.local) {
            (Store::Disk(disk), Some(local)) => {
                let disk = disk.clone();
                match op.inner.take() {
                    Some(Inner::FailAt(n)) => disk.fail_at(disk.operations() + n),
                    Some(Inner::FailAfter(n)) => disk.fail_after(disk.operations() + n),
                    Some(Inner::LosePowerAt(n)) => disk.lose_power_at(disk.operations() + n),
                    Some(Inner::DieAt(n)) => local.disk.die_at(n),
                    None => {}
                }
                let answer = self.store.perform(act, Some(&local.storage));
                disk.heal();
                if disk.is_without_power() {
                    self.lose_power(op.process)?;
                    return Ok(None);
                }
                if local.disk.is_dead() {
                    self.kill(op.process);
                    self.look(op.process)?;
                    return Ok(None);
                }
                local.disk.live_on();
                answer
            }
            _ => self.store.perform(act, None),
        };
        match act {
            Act::Create { .. } | Act::Write { .. } | Act::Delete { .. } => {
                self.look(op.process)?;
            }
            Act::List { dir } => self.oracle.listed(op.process, dir),
            _ => {}
        }
        Ok(Some(answer))
    }

    /// An operation is answered, if its process is awake.
    pub(crate) fn reply(&mut self, id: OpId) -> Check {
        let Some(op) = self.operations.under_way.get_mut(&id) else {
            return Ok(());
        };
        let process = op.process;
        let until = self.processes[process.0].sleeps_until;
        if op.fiber.is_some() && until > self.kernel.now() {
            self.kernel.at(until, Event::Reply(id));
            return Ok(());
        }
        let fiber = op.fiber.take();
        let answer = op.answer.take().unwrap_or_else(|| match op.reply {
            Reply::Error(_, why) => op.act.failed(why),
            Reply::True(_) | Reply::Wrong(_) => op.act.failed("it was not done"),
        });
        // The effect of one that was given up may be still to come.
        let is_error = matches!(op.reply, Reply::Error(..));
        if !is_error {
            self.operations.under_way.remove(&id);
        }
        let Some(fiber) = fiber else { return Ok(()) };
        if !self.processes[process.0].is_gone() {
            self.resume(process, fiber, answer)?;
            self.after_process(process)?;
        }
        Ok(())
    }
}

/// The part of an operation that takes effect at once, and what is left of it.
fn first_part(act: &Act) -> (Act, Option<Act>) {
    match act {
        Act::Delete { names } if names.len() > 1 => {
            let (first, rest) = names.split_at(1);
            let delete = |names: &[String]| Act::Delete {
                names: names.to_vec(),
            };
            (delete(first), Some(delete(rest)))
        }
        _ => (act.clone(), None),
    }
}
