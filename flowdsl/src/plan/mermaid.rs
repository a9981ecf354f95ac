//! A plan as a Mermaid flowchart.

use super::{StageKind, StoredPlan, texts};

/// The plan as a Mermaid flowchart, to paste into Markdown.
///
/// # Examples
///
/// ```
/// use flowdsl::prelude::*;
///
/// let job = Job::new("numbers", |flow| {
///     flow.source("numbers", Memory::new(vec![1_u64, 2, 3])).sink(Discard::new());
/// });
/// assert!(flowdsl::plan::to_mermaid(&job.plan()?).starts_with("flowchart TD\n"));
/// # Ok::<(), flowdsl::Error>(())
/// ```
pub fn to_mermaid(plan: &StoredPlan) -> String {
    let mut lines = vec!["flowchart TD".to_owned()];
    for (at, stage) in plan.stages.iter().enumerate() {
        let label = texts(stage).map(|line| escape(&line)).join("<br/>");
        let (open, close) = shape(stage.kind);
        lines.push(format!("    s{at}{open}\"{label}\"{close}"));
    }
    for edge in &plan.edges {
        let arrow = if edge.exchange { "==>" } else { "-->" };
        lines.push(format!("    s{} {arrow} s{}", edge.from, edge.to));
    }
    lines.join("\n") + "\n"
}

const fn shape(kind: StageKind) -> (&'static str, &'static str) {
    match kind {
        StageKind::Source => ("([", "])"),
        StageKind::Stateless => ("[", "]"),
        StageKind::Keyed => ("[(", ")]"),
        StageKind::Sink | StageKind::TransactionalSink => ("[/", "/]"),
    }
}

/// Text within quotes, where Mermaid reads entities and HTML.
fn escape(text: &str) -> String {
    text.replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
        .replace('\n', " ")
}
