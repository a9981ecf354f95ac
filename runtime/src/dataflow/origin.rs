//! Where a row of fused stages begins: an operator that is built when its end is known.

use super::fuse::Stages;
use super::graph::Graph;
use super::target::TargetSpec;

/// An operator that waits for its stages and its target.
pub trait Origin<'s>: Sized {
    /// What the operator feeds into the first stage.
    type Item: 'static;

    /// Builds the operator with these stages and this end.
    fn build<St, T>(self, graph: &Graph<'s>, stages: St, target: T) -> T::Result
    where
        St: Stages<In = Self::Item>,
        T: TargetSpec<'s, St::Out>;
}
