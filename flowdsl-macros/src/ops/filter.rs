//! `filter`: the records for which the closure, which sees them by reference, is true.

use crate::ops::{Memory, Op, Place, method, same_shape};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "filter",
        usage: "filter(|x| x.is_wanted())",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape: same_shape,
    expand: method,
};
