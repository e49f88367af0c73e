//! What validation concludes about a zone, and for how long a conclusion is kept.

use std::sync::Arc;

use crate::config::NegativeAnchor;
use crate::record::{Ede, EdeCode, Question};
use crate::resolve::context::context::Context;
use crate::validate::{Insecurity, ZoneKeys};

/// What is concluded about a zone.
#[derive(Clone)]
pub enum Trust {
    Secure(Arc<ZoneKeys>),
    Insecure(Option<Ede>),
    /// The zone above proves that it has no such zone, and a rule of the configuration leads to one: an island that nothing
    /// vouches for. So are the zones below it.
    InsecureByRule,
    Bogus(Ede),
    /// There is no zone of this name: it is part of the zone above.
    NoZone,
}

/// A conclusion that has no TTL of its own is drawn again after this time.
pub const TRUST_S: u32 = 900;

/// RFC 4035 4.7: how long a failed validation is kept.
const BOGUS_S: u32 = 30;

/// The same where a forwarder gave the reply: an incomplete reply of a forwarder is often complete soon after.
const BOGUS_OF_FORWARDER_S: u32 = 5;

/// A validation that failed because a reply was missing.
pub const UNKNOWN_S: u32 = 1;

/// How long a failed validation of the reply to `question` is kept.
pub(in crate::resolve) fn bogus_s(question: &Question, context: &Context) -> u32 {
    let is_forwarded = context.routes.rule_for_question(question).is_some_and(|rule| rule.forward);
    if is_forwarded { BOGUS_OF_FORWARDER_S } else { BOGUS_S }
}

/// The extended error of an answer below a negative trust anchor.
pub(in crate::resolve) fn turned_off(off: &NegativeAnchor) -> Ede {
    Ede::new(EdeCode::NEGATIVE_TRUST_ANCHOR, format!("a negative trust anchor turns validation off at and below {off}"))
}

/// An insecure conclusion, with its reason for clients.
pub(in crate::resolve) fn insecure(reason: Insecurity) -> Trust {
    Trust::Insecure(reason.ede())
}

/// The extended error DNSSEC Bogus with this text.
pub(in crate::resolve) fn bogus(text: impl Into<String>) -> Ede {
    Ede::new(EdeCode::DNSSEC_BOGUS, text)
}
