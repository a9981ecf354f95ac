//! `filter_map`: what the closure makes of each record, where it is `Some`.

use crate::ops::{Memory, Op, Place, method, same_shape};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "filter_map",
        usage: "filter_map(|x| x.ok())",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape: same_shape,
    expand: method,
};
