//! What a stage asks of its stream, in words for those who get it wrong.

use flowdsl_runtime::dataflow::SourceOrigin;
use flowdsl_runtime::record::{Keyed, Timed, Untimed};

/// A stream with a key.
#[diagnostic::on_unimplemented(
    message = "this stage needs a stream with a key",
    label = "the stream has no key here",
    note = "put `-> key_by(|x| ..)` before this stage"
)]
pub trait HasKey {
    /// The key's type.
    type Key;
}

impl<Q> HasKey for Keyed<Q> {
    type Key = Q;
}

/// A stream with event time.
#[diagnostic::on_unimplemented(
    message = "this stage needs a stream with event time",
    label = "the stream has no event time here",
    note = "put `-> event_time(|x| .., lateness: 5 s)` behind the source"
)]
pub trait HasEventTime {}

impl HasEventTime for Timed {}

/// A stream that has no event time yet.
#[diagnostic::on_unimplemented(
    message = "this stream has an event time already",
    label = "a second `event_time`",
    note = "remove one of the two `event_time` stages"
)]
pub trait WithoutEventTime {}

impl WithoutEventTime for Untimed {}

/// A stream whose operator is still the source.
#[diagnostic::on_unimplemented(
    message = "`event_time` stands behind the source, before any `window`, `union` or shared stream",
    label = "too late for `event_time`",
    note = "watermarks are made for each split as it is read: move `event_time` up to the source's own chain"
)]
pub trait AtSource {}

impl<S> AtSource for SourceOrigin<S> {}
