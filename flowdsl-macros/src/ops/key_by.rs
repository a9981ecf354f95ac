//! `key_by`: records of equal keys meet on one worker, in their order.

use crate::lower::Stage;
use crate::ops::{Has, Memory, Op, Place, Shape, method};
use crate::report::Report;
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "key_by",
        usage: "key_by(|x| x.id)",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape,
    expand: method,
};

fn shape(_: &Stage, inputs: &[Shape], _: &mut Report) -> Shape {
    let input = inputs.first().copied().unwrap_or(Shape::UNKNOWN);
    Shape {
        key: Has::Yes,
        at_source: Has::No,
        ..input
    }
}
