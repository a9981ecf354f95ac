//! A plan as a Graphviz graph.

use super::{StageKind, StoredPlan, texts};

/// The plan as a Graphviz graph: `job plan --format dot | dot -Tsvg`.
pub fn to_dot(plan: &StoredPlan) -> String {
    let mut lines = vec![
        "digraph plan {".to_owned(),
        "    node [fontname=\"sans-serif\"];".to_owned(),
    ];
    for (at, stage) in plan.stages.iter().enumerate() {
        let label = texts(stage).map(|line| escape(&line)).join("\\n");
        lines.push(format!(
            "    s{at} [shape={}, label=\"{label}\"];",
            shape(stage.kind)
        ));
    }
    for edge in &plan.edges {
        let style = if edge.exchange {
            " [style=bold, label=\"exchange\"]"
        } else {
            ""
        };
        lines.push(format!("    s{} -> s{}{style};", edge.from, edge.to));
    }
    lines.push("}\n".to_owned());
    lines.join("\n")
}

const fn shape(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Source => "oval",
        StageKind::Stateless => "box",
        StageKind::Keyed => "cylinder",
        StageKind::Sink | StageKind::TransactionalSink => "parallelogram",
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', " ")
}
