//! What a check concludes: all is well, a fault with the way out, or that it cannot be told here.

/// A fault, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, and how that was seen.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// What a check concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// It cannot be told here, and why.
    NotKnown(&'static str),
    Fault(Finding),
}

impl Verdict {
    pub(super) fn fault(what: impl Into<String>, fix: impl Into<String>) -> Verdict {
        Verdict::Fault(Finding { what: what.into(), fix: fix.into() })
    }
}
