//! `fold`: records folded into a value of another kind, per key and window or running per key.

use crate::lower::Stage;
use crate::ops::{Memory, Op, Place, Shape, Windows, reduce};
use crate::report::Report;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "fold",
        usage: "fold(0, |sum, x| *sum += x.value)",
        params: &[
            Param::position("init", Kind::Expr),
            Param::position("f", Kind::Closure),
        ],
    },
    place: Place::Middle,
    memory: Memory::Stateful,
    shape,
    expand: reduce::expand,
};

/// As for `reduce`, but sessions merge, and two folded values do not.
fn shape(stage: &Stage, inputs: &[Shape], report: &mut Report) -> Shape {
    if inputs
        .iter()
        .any(|input| input.windows == Windows::Sessions)
    {
        report.error(
            stage.span(),
            "`fold` cannot follow session windows: two sessions may become one, and folded values do not; use `aggregate` or `reduce`",
        );
    }
    reduce::shape(stage, inputs, report)
}
