//! `fold`: records folded into a value of another kind, per key and window or running per key.

use crate::ops::{Memory, Op, Place, reduce};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "fold",
        usage: "fold(0, |sum, x| *sum += x.value)",
        params: &[Param::position("init", Kind::Expr), Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateful,
    shape: reduce::shape,
    expand: reduce::expand,
};
