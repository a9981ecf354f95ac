//! The machine that processes share where checkpoints are on a disk, and the bad luck of stored bytes.

use std::rc::Rc;
use std::sync::Arc;

use flowdsl_runtime::storage::{FaultyDisk, LocalStorage, names};

use crate::mortal::MortalDisk;
use crate::store::ROOT;
use crate::world::World;

pub(crate) struct Machine {
    disk: FaultyDisk,
}

/// The disk of one process, and its storage on it.
pub(crate) struct Local {
    pub(crate) disk: MortalDisk,
    pub(crate) storage: LocalStorage,
}

impl Machine {
    pub(crate) fn new(disk: FaultyDisk) -> Self {
        Self { disk }
    }

    pub(crate) fn new_process(&mut self) -> Rc<Local> {
        let disk = MortalDisk::new(self.disk.clone());
        let storage = LocalStorage::open(Arc::new(disk.clone()), ROOT)
            .expect("no fault is planned while a process starts");
        Rc::new(Local { disk, storage })
    }
}

impl World {
    /// Now and then a byte of the newest checkpoint goes bad, while nobody is there or somebody sleeps.
    pub(crate) fn may_damage(&mut self) {
        let now = self.kernel.now();
        if !self.scenario.is_calm(now) && self.kernel.rng.per_mille(self.scenario.faults.damage) {
            self.damage();
        }
    }

    pub(crate) fn damage(&mut self) {
        let mut whole = self.oracle.whole();
        let rng = &mut self.kernel.rng;
        // Seldom all of them.
        if whole.len() < 2 && !rng.per_mille(200) {
            return;
        }
        let Some((slot, mut targets)) = whole.pop() else {
            return;
        };
        targets.push(names::slot(slot));
        let name = targets.swap_remove(rng.below(targets.len() as u64) as usize);
        let Some(bytes) = self.store.live(&name) else {
            return;
        };
        let mut bad = bytes.to_vec();
        let at = rng.below(bad.len() as u64) as usize;
        bad[at] ^= 1 << rng.below(8);
        self.store.put(&name, &bad);
        self.kernel.note(|| format!("a byte of {name} goes bad"));
        self.kernel.reach("a damaged file");
        self.oracle.damaged.insert(name, bytes);
    }

    /// Somebody ends whatever still runs and puts the damaged files back, as a refused start asks for; but
    /// not those of checkpoints whose output was taken back when a run fell back to an older one.
    pub(crate) fn mend(&mut self) {
        self.end_all();
        for (name, bytes) in std::mem::take(&mut self.oracle.damaged) {
            if self.oracle.passed_over.contains(&name) {
                self.oracle.damaged.insert(name, bytes);
            } else if self.store.live(&name).is_some() {
                self.kernel.note(|| format!("{name} is mended"));
                self.kernel.reach("a mended file");
                self.store.put(&name, &bytes);
            }
        }
    }
}
