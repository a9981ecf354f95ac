use super::*;
use crate::prelude::*;

fn plan() -> StoredPlan {
    let job = Job::new("counts", |flow| {
        flow.source("words", Memory::new(vec!["\"to\"".to_owned()]))
            .at("spoken \"aloud\"")
            .filter(|word| !word.is_empty())
            .key_by(String::clone)
            .fold(0_u64, |count, _| *count += 1)
            .sink(Discard::new());
    });
    job.plan().expect("the flow is sound")
}

#[test]
fn a_plan_is_a_mermaid_flowchart() {
    let expected = r#"flowchart TD
    s0(["words<br/>source: memory of 1"])
    s1["spoken #quot;aloud#quot;<br/>filter"]
    s2["words.key_by<br/>key_by"]
    s3[("words.fold<br/>fold")]
    s4[/"words.sink<br/>sink: discard"/]
    s0 --> s1
    s1 --> s2
    s2 ==> s3
    s3 --> s4
"#;
    assert_eq!(to_mermaid(&plan()), expected);
}

#[test]
fn a_plan_is_a_graphviz_graph() {
    let expected = r#"digraph plan {
    node [fontname="sans-serif"];
    s0 [shape=oval, label="words\nsource: memory of 1"];
    s1 [shape=box, label="spoken \"aloud\"\nfilter"];
    s2 [shape=box, label="words.key_by\nkey_by"];
    s3 [shape=cylinder, label="words.fold\nfold"];
    s4 [shape=parallelogram, label="words.sink\nsink: discard"];
    s0 -> s1;
    s1 -> s2;
    s2 -> s3 [style=bold, label="exchange"];
    s3 -> s4;
}
"#;
    assert_eq!(to_dot(&plan()), expected);
}

#[test]
fn a_plan_is_json_that_names_the_schema_of_state() {
    let json: serde_json::Value = serde_json::from_str(&to_json(&plan())).expect("it is JSON");
    assert_eq!(json["stages"][3]["id"], "words.fold");
    assert_eq!(json["stages"][3]["kind"], "keyed");
    assert_eq!(
        json["stages"][3]["state"],
        "Values { key: String, value: u64 }"
    );
    assert!(json["stages"][1].get("state").is_none());
    assert_eq!(
        json["edges"][2],
        serde_json::json!({ "from": "words.key_by", "to": "words.fold", "exchange": true })
    );
}
