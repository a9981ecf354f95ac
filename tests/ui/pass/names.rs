//! Names of streams are the flow's own: closures see what is around the flow, and nothing else.

use flowdsl::prelude::*;

mod deep {
    use flowdsl::prelude::*;

    pub fn job() -> Job {
        flow! { source(Memory::new(vec![1_u8])) -> sink(Discard::new()); }
    }
}

fn identity<T>(x: T) -> T {
    x
}

fn main() {
    let flow = 3_u64;
    let capture = 4_u64;
    let numbers = "not a stream".to_owned();
    let r#type = 5_u64;
    let job = flow! {
        capture numbers, r#type;
        // `numbers` is a stream to the flow, and a `String` to its closures.
        let numbers = source(Memory::new(vec![1_u64, 2, 3]));
        let r#match = numbers -> filter(|n| *n < flow + capture) -> map(identity);
        r#match
            -> map(|n| -> (u64, usize) { (n + r#type, numbers.len()) })
            -> inspect(|(n, len)| drop(format!("{n:>width$} {len} {type}", width = 3, type = 1)))
            -> map(|pair| { let (n, _): (u64, usize) = pair; n })
            -> sink(Discard::new());
        let capture = source(Memory::new(vec!['a'])) as letters;
        capture -> sink(Discard::new());
    };
    assert_eq!((flow, capture, numbers.as_str(), r#type), (3, 4, "not a stream", 5));
    let ids: Vec<String> = job.plan().expect("a flow").stages.iter().map(|stage| stage.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "numbers.source",
            "match.filter",
            "match.map",
            "match.map",
            "match.inspect",
            "match.map",
            "match.sink",
            "letters",
            "capture.sink"
        ]
    );
    assert!(deep::job().name().ends_with("::deep"));
}
