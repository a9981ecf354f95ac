//~ with `skip_serializing_if` a field is sometimes not there
//~ with `with` serde writes something else than this type says
//~ with `flatten` serde writes something else
//~ with `tag` serde writes something else
//~ with `skip` serde counts the variants otherwise
//~ with `into` serde writes something else
use flowdsl::State;
use serde::{Deserialize, Serialize};

mod text {
    pub fn serialize<S: serde::Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Point {
    x: i64,
}

#[derive(Clone, Serialize, Deserialize, State)]
struct Sum {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<u64>,
    #[serde(with = "text")]
    mean: f64,
    #[serde(flatten)]
    at: Point,
    #[serde(skip)]
    cache: u64,
}

#[derive(Clone, Serialize, Deserialize, State)]
#[serde(tag = "kind")]
enum Event {
    #[serde(skip)]
    Internal,
    #[serde(rename = "came")]
    Came { from: u64 },
}

#[derive(Clone, Serialize, Deserialize, State)]
#[serde(into = "u64", from = "u64")]
struct Count(String);

impl From<Count> for u64 {
    fn from(count: Count) -> Self {
        count.0.len() as Self
    }
}

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        Self(count.to_string())
    }
}

fn main() {}
