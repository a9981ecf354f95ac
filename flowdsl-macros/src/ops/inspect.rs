//! `inspect`: the records as they are, each shown to the closure.

use crate::ops::{Memory, Op, Place, method, same_shape};
use crate::values::signature::{Kind, Param, Signature};

pub(super) const OP: Op = Op {
    signature: Signature {
        name: "inspect",
        usage: "inspect(|x| println!(\"{x:?}\"))",
        params: &[Param::position("f", Kind::Closure)],
    },
    place: Place::Middle,
    memory: Memory::Stateless,
    shape: same_shape,
    expand: method,
};
