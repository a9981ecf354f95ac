//! The errors of one expansion, gathered, so that one compilation shows them all.

use proc_macro2::Span;

/// Errors so far. Dropping a report without [`Report::finish`] is a bug of the macro.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: Vec<syn::Error>,
    finished: bool,
}

impl Report {
    /// A report without errors.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an error on the token at `span`: what is wrong, then what to write instead.
    pub(crate) fn error(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds an error that is already made.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// Whether nothing was found so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// All errors as one, in the order of the source text, or nothing.
    pub(crate) fn finish(mut self) -> syn::Result<()> {
        self.finished = true;
        let mut errors = std::mem::take(&mut self.errors);
        errors.sort_by_key(|error| {
            let at = error.span().start();
            (at.line, at.column)
        });
        let mut errors = errors.into_iter();
        let Some(mut all) = errors.next() else {
            return Ok(());
        };
        all.extend(errors);
        Err(all)
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        assert!(
            self.finished || std::thread::panicking(),
            "a report of the macro was dropped unread"
        );
    }
}
