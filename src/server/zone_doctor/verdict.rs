//! What a check concludes: all is well, faults and remarks with the way out, or that it cannot be told.

/// What one check concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    Good,
    /// It cannot be told, and why.
    NotKnown(String),
    /// At least one.
    Found(Vec<ZoneFinding>),
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Names of the zone fail, or will, for somebody.
    Fault,
    /// Worth knowing.
    Remark,
}

/// What is wrong or odd, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFinding {
    pub severity: Severity,
    pub what: String,
    pub fix: String,
}

impl ZoneFinding {
    pub(super) fn fault(what: impl Into<String>, fix: impl Into<String>) -> ZoneFinding {
        ZoneFinding { severity: Severity::Fault, what: what.into(), fix: fix.into() }
    }

    pub(super) fn remark(what: impl Into<String>, fix: impl Into<String>) -> ZoneFinding {
        ZoneFinding { severity: Severity::Remark, what: what.into(), fix: fix.into() }
    }
}

impl Checked {
    pub(super) fn of(findings: impl IntoIterator<Item = ZoneFinding>) -> Checked {
        let findings: Vec<ZoneFinding> = findings.into_iter().collect();
        if findings.is_empty() { Checked::Good } else { Checked::Found(findings) }
    }
}
