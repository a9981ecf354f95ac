//! A plan as JSON.

use serde::Serialize;

use super::{StageKind, StoredPlan};

/// The plan as a JSON object of `stages` and `edges`; edges name stages by their ids.
#[expect(
    clippy::missing_panics_doc,
    reason = "it never does: text and booleans have a form in JSON"
)]
pub fn to_json(plan: &StoredPlan) -> String {
    let id = |at: usize| plan.stages.get(at).map_or("", |stage| stage.id.as_str());
    let stages = plan.stages.iter().map(|stage| Stage {
        id: stage.id.as_str(),
        operation: &stage.operation,
        detail: &stage.detail,
        kind: word(stage.kind),
        state: stage.schema.as_ref().map(ToString::to_string),
    });
    let edges = plan.edges.iter().map(|edge| Edge {
        from: id(edge.from),
        to: id(edge.to),
        exchange: edge.exchange,
    });
    let plan = Plan {
        stages: stages.collect(),
        edges: edges.collect(),
    };
    serde_json::to_string_pretty(&plan).expect("text and booleans have a form in JSON") + "\n"
}

#[derive(Serialize)]
struct Plan<'a> {
    stages: Vec<Stage<'a>>,
    edges: Vec<Edge<'a>>,
}

#[derive(Serialize)]
struct Stage<'a> {
    id: &'a str,
    operation: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

#[derive(Serialize)]
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    exchange: bool,
}

const fn word(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Source => "source",
        StageKind::Stateless => "stateless",
        StageKind::Keyed => "keyed",
        StageKind::Sink => "sink",
        StageKind::TransactionalSink => "transactional_sink",
    }
}
