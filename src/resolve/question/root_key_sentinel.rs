//! The root key trust anchor sentinel (RFC 8509): a question whose first label asks whether the root key with a given
//! tag is trusted here. A user learns from three such questions whether the resolver is ready for a key roll.
//!
//! The test applies to an answer that is secure, to a question of type A or AAAA with CD=0 (RFC 8509 3.1). It turns the
//! answer into SERVFAIL or leaves it alone.

use crate::record::{Question, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::question::answer::{Answer, SentinelVerdict};
use crate::resolve::question::resolver::Resolver;

const IS_TA: &[u8] = b"root-key-sentinel-is-ta-";
const NOT_TA: &[u8] = b"root-key-sentinel-not-ta-";

impl Resolver {
    /// Notes in a secure answer what its name asks about the root keys.
    pub(in crate::resolve) fn apply_root_key_sentinel(&self, question: &Question, answer: &mut Answer, context: &Context) {
        let applies = context.routes.recursion.root_key_sentinel && context.routes.recursion.dnssec && answer.security == Security::Secure;
        let Some(sentinel) = RootKeySentinel::of(question).filter(|_| applies) else { return };
        let is_trusted = |tag| context.routes.anchors.iter().any(|anchor| anchor.name.is_root() && anchor.key_tag() == tag);
        answer.root_key_sentinel = Some(if sentinel.withholds(is_trusted) { SentinelVerdict::Withhold } else { SentinelVerdict::Answer });
    }
}

/// What the first label of a question asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::resolve) enum RootKeySentinel {
    /// SERVFAIL where the key with this tag is not trusted.
    IsTrusted(u16),
    /// SERVFAIL where the key with this tag is trusted.
    IsNotTrusted(u16),
}

impl RootKeySentinel {
    /// `None` for ordinary names, other types, and key tags that are not written with exactly five digits.
    fn of(question: &Question) -> Option<RootKeySentinel> {
        if !matches!(question.rtype, Rtype::A | Rtype::AAAA) {
            return None;
        }
        let label = question.name.labels().next()?.to_ascii_lowercase();
        if let Some(tag) = label.strip_prefix(IS_TA) {
            return key_tag(tag).map(RootKeySentinel::IsTrusted);
        }
        label.strip_prefix(NOT_TA).and_then(key_tag).map(RootKeySentinel::IsNotTrusted)
    }

    /// Must a secure answer become SERVFAIL, where `is_trusted` says of a key tag whether a trusted root key has it?
    fn withholds(self, is_trusted: impl Fn(u16) -> bool) -> bool {
        match self {
            RootKeySentinel::IsTrusted(tag) => !is_trusted(tag),
            RootKeySentinel::IsNotTrusted(tag) => is_trusted(tag),
        }
    }
}

fn key_tag(digits: &[u8]) -> Option<u16> {
    if digits.len() != 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    fn sentinel(name: &str, rtype: Rtype) -> Option<RootKeySentinel> {
        RootKeySentinel::of(&Question::new(Name::parse(name).expect(name), rtype))
    }

    #[test]
    fn only_labels_of_the_right_form_ask() {
        use RootKeySentinel::{IsNotTrusted, IsTrusted};
        for (name, rtype, asks) in [
            ("root-key-sentinel-is-ta-20326.example.", Rtype::A, Some(IsTrusted(20326))),
            ("ROOT-KEY-Sentinel-IS-ta-00257.example.", Rtype::AAAA, Some(IsTrusted(257))),
            ("root-key-sentinel-not-ta-20326.", Rtype::A, Some(IsNotTrusted(20326))),
            ("root-key-sentinel-is-ta-257.example.", Rtype::A, None),
            ("root-key-sentinel-is-ta-020326.example.", Rtype::A, None),
            ("root-key-sentinel-is-ta-70000.example.", Rtype::A, None),
            ("root-key-sentinel-is-ta-2032x.example.", Rtype::A, None),
            ("root-key-sentinel-is-ta-+2032.example.", Rtype::A, None),
            ("root-key-sentinel-is-ta-.example.", Rtype::A, None),
            ("a.root-key-sentinel-is-ta-20326.example.", Rtype::A, None),
            ("xroot-key-sentinel-is-ta-20326.example.", Rtype::A, None),
            ("root-key-sentinel-is-ta-20326.example.", Rtype::TXT, None),
            ("www.example.", Rtype::A, None),
            (".", Rtype::A, None),
        ] {
            assert_eq!(sentinel(name, rtype), asks, "{name} {rtype}");
        }
    }

    #[test]
    fn the_table_of_rfc_8509_3_2() {
        let is_trusted = |tag| tag == 20326;
        for (asked, withholds) in [
            (RootKeySentinel::IsTrusted(20326), false),
            (RootKeySentinel::IsTrusted(1), true),
            (RootKeySentinel::IsNotTrusted(20326), true),
            (RootKeySentinel::IsNotTrusted(1), false),
        ] {
            assert_eq!(asked.withholds(is_trusted), withholds, "{asked:?}");
        }
    }
}
