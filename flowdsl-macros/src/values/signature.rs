//! How a call is written: which arguments it takes, in which order or by which name, and of which kind.

/// How a stage or a window is written.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Its name.
    pub(crate) name: &'static str,
    /// An example of its use, for messages.
    pub(crate) usage: &'static str,
    /// Its parameters, in the order in which the builder takes them.
    pub(crate) params: &'static [Param],
}

impl Signature {
    /// The parameter of this name.
    pub(crate) fn param(&self, name: &str) -> Option<&'static Param> {
        self.params
            .iter()
            .find(|param| param.by != By::Position && param.by != By::Rest && param.name == name)
    }

    /// The parameter at this position, among those that have one.
    pub(crate) fn position(&self, at: usize) -> Option<&'static Param> {
        let mut positions = self
            .params
            .iter()
            .filter(|param| matches!(param.by, By::Position | By::Either));
        positions
            .nth(at)
            .or_else(|| self.params.iter().find(|param| param.by == By::Rest))
    }

    /// The names that can stand before a `:`.
    pub(crate) fn option_names(&self) -> Vec<&'static str> {
        let named = self
            .params
            .iter()
            .filter(|param| !matches!(param.by, By::Position | By::Rest));
        named.map(|param| param.name).collect()
    }
}

/// One parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) by: By,
}

impl Param {
    /// A parameter that is known by its position.
    pub(crate) const fn position(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            by: By::Position,
        }
    }

    /// A parameter that must be given by its name.
    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            by: By::RequiredName,
        }
    }

    /// A parameter that may be given by its name.
    pub(crate) const fn option(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            by: By::OptionalName,
        }
    }

    /// A parameter that must be given, by position or by name.
    pub(crate) const fn either(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            by: By::Either,
        }
    }

    /// All positions from here on.
    pub(crate) const fn rest(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            by: By::Rest,
        }
    }
}

/// How a parameter is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Position,
    RequiredName,
    OptionalName,
    Either,
    Rest,
}

/// What an argument is; nothing is guessed from its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any expression of Rust.
    Expr,
    /// A closure, or an expression that can be called.
    Closure,
    /// A span of time, zero or more.
    Duration,
    /// A span of time, more than zero.
    Length,
    /// A span of time of either sign.
    Offset,
    /// `tumbling(..)` and the like.
    Window,
    /// Aggregates, or a tuple of them.
    Aggregates,
    /// The name of a stream that this call makes.
    NewStream,
    /// The name of a stream that exists.
    Stream,
}
