//! A flow inside of a generic function, of types and closures that its caller names.

use flowdsl::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn counts<T, K, F>(records: Vec<T>, key: F, out: Collect<(K, u64)>) -> Job
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    K: Key + Send + Sync,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    flow! { <T => (K, u64)>
        capture records, key, out;
        source(Memory::new(records))
            -> key_by(|record| key(record))
            -> fold(0_u64, |count, _| *count += 1)
            -> map(|counted| (counted.key, counted.value))
            -> sink(out);
    }
}

fn main() {
    let out = Collect::new();
    counts(vec![1_u64, 2, 3], |n| n % 2 == 0, out.clone()).run(Options::new()).expect("the job runs to its end");
    let mut found = out.take();
    found.sort_unstable();
    assert_eq!(found, [(false, 1), (false, 2), (true, 1)]);
}
