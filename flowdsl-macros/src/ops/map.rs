//! `map`: the records that the closure makes of those that enter, one of one.

use crate::ops::{Memory, Op, Place, method, same_shape};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "map",
        usage: "map(|x| ..)",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape: same_shape,
    expand: method,
};
