use std::sync::Arc;

use super::*;
use crate::dataflow::Graph;
use crate::protocol::{PlanStage, StageKind};
use crate::schema::Schema;

/// A job whose state is so many types inside one another.
fn job_of_depth(depth: usize) -> JobSpec {
    let body = move |graph: &Graph<'_>| {
        let innermost = Schema::plain("u64");
        let schema = (1..depth).fold(innermost, |of, _| Schema::Option(Box::new(of)));
        graph.add_stage(PlanStage {
            id: StageId::new("total"),
            operation: "fold".to_owned(),
            detail: String::new(),
            kind: StageKind::Keyed,
            schema: Some(schema),
        });
    };
    JobSpec {
        name: "deep".into(),
        body: Arc::new(body),
        versions: Versions::default(),
    }
}

/// Its manifests would be written, and refused by whoever reads them.
#[test]
fn a_job_whose_types_are_deeper_than_a_manifest_holds_is_refused() {
    assert!(blueprint(&job_of_depth(Schema::DEEPEST)).is_ok());
    let refused = blueprint(&job_of_depth(Schema::DEEPEST + 1));
    let error = refused.err().expect("it is too deep");
    let message = "the types of the state of `total` are inside one another 129 times, and may be 128 times: keep them in \
                   less of one value, such as the map or the list of a `process`";
    assert_eq!(error.message(), message);
}
