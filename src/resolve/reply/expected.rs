//! What the sender of a reply was asked, and as which kind of server.

use crate::record::{Name, Question};

/// The query that a reply answers, as far as it decides what is believed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The cut whose authority was asked; for a forwarder the zone of the rule.
    pub zone: &'a Name,
    pub question: &'a Question,
    /// RD was set: a forwarder, or a recursive server as a last resort. Its answers need no AA.
    pub recursive: bool,
    pub with_edns: bool,
}
