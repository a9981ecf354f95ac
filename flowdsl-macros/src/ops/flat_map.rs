//! `flat_map`: all that the closure makes of each record, one after another.

use crate::ops::{Memory, Op, Place, method, same_shape};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "flat_map",
        usage: "flat_map(|x| x.parts)",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape: same_shape,
    expand: method,
};
