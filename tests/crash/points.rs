//! What acts on files and objects are called.

use std::path::Path;

use flowdsl::runtime::protocol::SlotContent;
use flowdsl::runtime::storage::log::decode_slot;

use crate::life::CHECKPOINTS;

/// What is at a path: the part of a job's files that it belongs to.
fn place(path: &Path) -> &'static str {
    let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
    let has = |name: &str| parts.contains(&name);
    let is_file = path.extension().is_some();
    match parts.last() {
        Some(&"staging") => "staging",
        Some(&CHECKPOINTS) => "checkpoints",
        _ if has("staging") => "staging",
        _ if has(".flowdsl") => "owner",
        _ if has(CHECKPOINTS) && has("log") => "log",
        _ if has(CHECKPOINTS) && has("state") => "state",
        _ if has(CHECKPOINTS) && has("history") => "history",
        _ if has(CHECKPOINTS) && has("tmp") => "tmp",
        _ if has(CHECKPOINTS) => "work",
        _ if is_file => "visible",
        _ => "output",
    }
}

/// `act` at a path.
pub(crate) fn act_on(act: &str, path: &Path) -> String {
    format!("{act} {}", place(path))
}

/// A rename: that of a commit, or that which takes output back.
pub(crate) fn rename(from: &Path, to: &Path) -> String {
    match (place(from), place(to)) {
        ("staging", "visible") => "commit".to_owned(),
        (from, to) => format!("rename {from} to {to}"),
    }
}

/// The creation of a slot, which begins a run or completes a checkpoint.
pub(crate) fn create_slot(slot: &[u8]) -> &'static str {
    match decode_slot(slot) {
        SlotContent::Claim(_) => "claim",
        SlotContent::Manifest(_) => "publish",
        SlotContent::Damaged { .. } | SlotContent::OtherVersion { .. } => "create what is no slot",
    }
}
