//! A schema where it stands: a type inside itself is known by what is around it.

use super::{Field, Schema};

/// A schema where it stands: inside the named types around it.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) around: Option<&'s Around<'s>>,
    /// How many types are around it on the way here.
    pub(super) depth: usize,
}

/// A value inside more others than this would take too much of the stack.
pub(super) const DEEPEST: usize = 512;

/// A named type, and what is around that.
pub(crate) struct Around<'s> {
    name: &'s str,
    schema: &'s Schema,
    outer: Option<&'s Around<'s>>,
}

impl<'s> Shape<'s> {
    /// A schema with nothing around it.
    pub(crate) const fn of(schema: &'s Schema) -> Self {
        Self {
            schema,
            around: None,
            depth: 0,
        }
    }

    /// A part without a name around it.
    pub(crate) const fn part(self, schema: &'s Schema) -> Self {
        let depth = self.depth + 1;
        Self {
            schema,
            depth,
            ..self
        }
    }

    /// What is around the fields of this type, whose name is given.
    pub(crate) const fn inside(self, name: &'s str) -> Around<'s> {
        Around {
            name,
            schema: self.schema,
            outer: self.around,
        }
    }

    /// A field of the type that is around it.
    pub(crate) const fn field(self, field: &'s Field, around: &'s Around<'s>) -> Self {
        Self {
            schema: &field.schema,
            around: Some(around),
            depth: self.depth + 1,
        }
    }

    /// The enclosing type that a recursive one stands for.
    pub(crate) fn unfolded(self, name: &str) -> Option<Self> {
        let mut around = self.around;
        while let Some(named) = around {
            if named.name == name {
                return Some(Shape {
                    schema: named.schema,
                    around: named.outer,
                    depth: self.depth + 1,
                });
            }
            around = named.outer;
        }
        None
    }
}
