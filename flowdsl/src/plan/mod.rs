//! Plans as text: for Mermaid, for Graphviz, and for programs.
//!
//! Pure functions from a [`StoredPlan`]: stages in the order of the flow, so that the same flow
//! always gives the same text. An edge on which records change the worker is drawn thick.

mod dot;
mod json;
mod mermaid;

#[cfg(test)]
mod tests;

pub use dot::to_dot;
pub use flowdsl_runtime::protocol::{PlanEdge, PlanStage, StageKind, StoredPlan};
pub use json::to_json;
pub use mermaid::to_mermaid;

/// The lines of text in the picture of a stage: its id, and what it does.
fn texts(stage: &PlanStage) -> [String; 2] {
    let PlanStage {
        id,
        operation,
        detail,
        ..
    } = stage;
    let does = if detail.is_empty() {
        operation.clone()
    } else {
        format!("{operation}: {detail}")
    };
    [id.to_string(), does]
}
