//! A plan as a Graphviz graph.

use super::{StageKind, StoredPlan, texts};

/// The plan as a Graphviz graph: `job plan --format dot | dot -Tsvg`.
pub fn to_dot(plan: &StoredPlan) -> String {
    let mut text = String::from("digraph plan {\n    node [fontname=\"sans-serif\"];\n");
    for (at, stage) in plan.stages.iter().enumerate() {
        let label: Vec<String> = texts(stage).iter().map(|line| escape(line)).collect();
        text += &format!(
            "    s{at} [shape={}, label=\"{}\"];\n",
            shape(stage.kind),
            label.join("\\n")
        );
    }
    for edge in &plan.edges {
        let style = if edge.exchange {
            " [style=bold, label=\"exchange\"]"
        } else {
            ""
        };
        text += &format!("    s{} -> s{}{style};\n", edge.from, edge.to);
    }
    text + "}\n"
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
