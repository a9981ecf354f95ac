//! The records of a batch, on their way into a table.

/// Records that are taken out of a batch one by one, and may be seen before.
pub(crate) trait Records<R>: Iterator<Item = R> {
    /// Those still to come.
    fn coming(&self) -> &[R];
}

impl<R> Records<R> for std::vec::Drain<'_, R> {
    #[inline]
    fn coming(&self) -> &[R] {
        self.as_slice()
    }
}

/// The next few of some records.
pub(crate) struct Next<'a, 'b, R> {
    pub(crate) records: &'a mut std::vec::Drain<'b, R>,
    pub(crate) count: usize,
}

impl<R> Iterator for Next<'_, '_, R> {
    type Item = R;

    #[inline]
    fn next(&mut self) -> Option<R> {
        self.count = self.count.checked_sub(1)?;
        self.records.next()
    }
}

impl<R> Records<R> for Next<'_, '_, R> {
    #[inline]
    fn coming(&self) -> &[R] {
        let all = self.records.as_slice();
        &all[..all.len().min(self.count)]
    }
}
