//~ this stage needs a stream with a key
//~ put `-> key_by(|x| ..)` before this stage
use flowdsl::prelude::*;

fn main() {
    let _ = Job::new("sums", |flow| {
        flow.source("numbers", Memory::new(vec![1_u64])).fold(0, |sum: &mut u64, n| *sum += n).sink(Discard::new());
    });
}
