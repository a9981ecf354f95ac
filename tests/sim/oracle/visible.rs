//! The invariants of the output: what becomes visible, and what is taken away.

use std::collections::BTreeSet;

use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::storage::names;

use super::{Check, Oracle, objects};
use crate::contents;
use crate::output::{Output, Part, Row};
use crate::request::Act;

impl Oracle {
    /// Invariant 4, before an operation of the output is performed.
    pub(crate) fn before_output(&mut self, act: &Act, output: &Output) -> Check {
        match act {
            Act::Commit { part } => {
                if let Some(rows) = output.staged.get(part) {
                    if !self.named.contains(part) {
                        return Err(format!(
                            "invariant 4: {part} is committed, and no manifest names it"
                        ));
                    }
                    self.becomes_visible(*part, rows)?;
                }
            }
            Act::RemoveVisible { part } => {
                self.is_not_needed(*part)?;
                for row in output.visible.get(part).into_iter().flatten() {
                    self.visible.remove(&row.id);
                }
            }
            Act::RemoveStaged { part } if output.staged.contains_key(part) => {
                self.is_not_needed(*part)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Invariant 4: output that the newest whole manifest names is removed by nobody.
    fn is_not_needed(&mut self, part: Part) -> Check {
        if !self.named.contains(&part) {
            return Ok(());
        }
        self.passes_over(Epoch(part.epoch));
        let newest = self.slots.iter().rev().find_map(|(slot, found)| {
            let manifest = found.manifest()?;
            (!self.is_damaged(*slot, manifest)).then_some(manifest)
        });
        match newest {
            Some(manifest) if contents::named_parts(manifest)?.contains(&part) => Err(format!(
                "invariant 4: {part} is removed, and the manifest of epoch {} names it",
                manifest.epoch
            )),
            _ => Ok(()),
        }
    }

    /// A run has fallen back behind `epoch`: what is damaged of that and later ones cannot be mended any more.
    fn passes_over(&mut self, epoch: Epoch) {
        let names_of = |found: &dyn Fn(Epoch) -> bool| -> BTreeSet<String> {
            let slots = self
                .slots
                .iter()
                .filter_map(|(slot, f)| Some((slot, f.manifest()?)));
            slots
                .filter(|(_, manifest)| found(manifest.epoch))
                .flat_map(|(slot, manifest)| {
                    let objects = objects(manifest).map(|(name, ..)| name.to_owned());
                    objects.chain([names::slot(*slot)])
                })
                .collect()
        };
        let (before, behind) = (names_of(&|e| e < epoch), names_of(&|e| e >= epoch));
        let over = behind.difference(&before);
        let over = over
            .filter(|name| self.damaged.contains_key(*name))
            .cloned();
        let over: Vec<String> = over.collect();
        self.passed_over.extend(over);
    }

    fn becomes_visible(&mut self, part: Part, rows: &[Row]) -> Check {
        for row in rows {
            if let Some(before) = self.visible.insert(row.id, part) {
                return Err(format!(
                    "exactly once: record {} becomes visible in {part}, and is visible in {before} already",
                    row.id
                ));
            }
        }
        Ok(())
    }

    /// At the end: every record of the input is visible once, with its place among those of its key.
    pub(crate) fn at_the_end(&self, output: &Output) -> Check {
        let rows: Vec<Row> = output.visible.values().flatten().copied().collect();
        let all: Vec<_> = self.scenario.input.iter().flatten().copied().collect();
        contents::rows_are(&rows, &all).map_err(|why| format!("at the end: {why}"))
    }
}
