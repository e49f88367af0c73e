//! Checks of what DNSSEC and forwarding need: the clock, the trust anchors, forwarders that answer and pass signatures on.

use super::facts::{Asked, Facts, Outcome, Role};
use super::seen::{Seen, Signature};
use super::verdict::Verdict;
use crate::record::Rcode;
use crate::validate::Date;

const NO_FORWARDER: &str = "no forwarder is configured";
const NO_KEYS: &str = "nobody sent the signed keys of the root";

fn root_signatures(facts: &Facts) -> impl Iterator<Item = &Signature> {
    facts.for_everything().filter_map(|asked| asked.large.reply()).flat_map(|seen| &seen.signatures)
}

/// Is the time of this machine one at which the root's signatures are valid?
pub(super) fn clock(facts: &Facts) -> Verdict {
    // RFC 4034 3.1.5: serial number arithmetic.
    let now = facts.now.0 as u32;
    let is_valid =
        |signature: &Signature| now.wrapping_sub(signature.inception) as i32 >= 0 && signature.expiration.wrapping_sub(now) as i32 >= 0;
    let mut signatures = root_signatures(facts).peekable();
    let Some(first) = signatures.peek().copied() else { return Verdict::NotKnown(NO_KEYS) };
    if signatures.any(is_valid) {
        return Verdict::Good;
    }
    let date = |seconds: u32| Date(facts.now.0.saturating_add_signed(i64::from(seconds.wrapping_sub(now) as i32)));
    Verdict::fault(
        format!(
            "this machine's clock says {}, but the signatures of the root are valid from {} to {}",
            Date(facts.now.0),
            date(first.inception),
            date(first.expiration)
        ),
        "set the clock: `sudo timedatectl set-ntp true`, or `sudo date -s TIME`; with a wrong clock no signed name validates",
    )
}

/// Has a trusted key signed the keys of the root?
pub(super) fn anchors(facts: &Facts) -> Verdict {
    let place = || facts.trusted.file.as_ref().map_or("the built-in anchors".to_owned(), |file| file.display().to_string());
    if let Some(mistake) = facts.trusted.mistakes.first() {
        return Verdict::fault(
            format!("the trust anchors cannot be read: {mistake}"),
            "correct the file that `trust-anchor` below [recursion] names, or leave the key out for the built-in anchors; a damaged file in \
             the state folder can be deleted",
        );
    }
    if !facts.configuration.settings.recursion.dnssec {
        return Verdict::NotKnown("DNSSEC is turned off (recursion.dnssec)");
    }
    if facts.trusted.tags.is_empty() {
        return Verdict::NotKnown("no trust anchor of the root is configured");
    }
    let mut signers: Vec<u16> = root_signatures(facts).map(|signature| signature.key_tag).collect();
    signers.sort_unstable();
    signers.dedup();
    if signers.is_empty() {
        return Verdict::NotKnown(NO_KEYS);
    }
    if signers.iter().any(|tag| facts.trusted.tags.contains(tag)) {
        return Verdict::Good;
    }
    let tags = |tags: &[u16]| tags.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    Verdict::fault(
        format!("the root's keys are signed by key {}; {} trusts {}", tags(&signers), place(), tags(&facts.trusted.tags)),
        "leave out `trust-anchor` below [recursion] for the built-in anchors, or install a newer version of Cairn; a file of your own needs \
         the DS records of https://data.iana.org/root-anchors/root-anchors.xml",
    )
}

fn configured(facts: &Facts) -> impl Iterator<Item = &Asked> {
    facts.asked.iter().filter(|asked| asked.role != Role::Root)
}

/// Do the servers of `[[forward]]` and `[[stub]]` answer?
pub(super) fn forwarders(facts: &Facts) -> Verdict {
    if configured(facts).next().is_none() {
        return Verdict::NotKnown(NO_FORWARDER);
    }
    let failing: Vec<String> =
        configured(facts).filter_map(|asked| Some(format!("{} ({})", asked.server, why_useless(&asked.small)?))).collect();
    if failing.is_empty() {
        return Verdict::Good;
    }
    Verdict::fault(
        format!("configured servers do not answer: {}", failing.join(", ")),
        "mend them, or take them out of `to` in [[forward]] and [[stub]]; `fallback = true` there walks from the root instead",
    )
}

fn why_useless(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::NotAsked => None,
        Outcome::Reply(seen) => [Rcode::SERVFAIL, Rcode::REFUSED, Rcode::NOTIMP].contains(&seen.rcode).then(|| seen.rcode.to_string()),
        Outcome::Silence => Some("no reply".to_owned()),
        Outcome::NoRoute(why) | Outcome::Failed(why) => Some(why.clone()),
    }
}

/// Do forwarders pass on the signatures that validation needs?
pub(super) fn forwarded_proofs(facts: &Facts) -> Verdict {
    let needs = |asked: &&Asked| matches!(asked.role, Role::Forwarder { proofs: true, .. });
    let mut asked = configured(facts).filter(needs).filter(|asked| asked.large.reply().is_some()).peekable();
    if asked.peek().is_none() {
        return Verdict::NotKnown(if configured(facts).next().is_none() {
            NO_FORWARDER
        } else {
            "no forwarder sent an answer that should be signed"
        });
    }
    // Without EDNS there is no DO, and no signature is ever sent (RFC 3225).
    // An error, such as SERVFAIL, has none either.
    let is_bare = |seen: &Seen| !seen.edns || (!seen.truncated && seen.signatures.is_empty());
    let strips = |asked: &&Asked| asked.large.reply().is_some_and(is_bare);
    let stripping: Vec<String> = asked.filter(strips).map(|asked| asked.server.to_string()).collect();
    if stripping.is_empty() {
        return Verdict::Good;
    }
    Verdict::fault(
        format!("{} forward DNSSEC questions without the signatures, so nothing behind them validates", stripping.join(", ")),
        "name forwarders that support DNSSEC in [[forward]], or none: Cairn then walks from the root itself; `dnssec = false` below \
         [recursion] gives validation up",
    )
}

#[cfg(test)]
mod tests {
    use super::super::test_facts::{DAY, NOW, Row, each_is_found, forwarder, keys, name, none_is_a_fault, seen, socket};
    use super::*;
    use crate::env::WallTime;

    #[test]
    fn each_fault_of_trust() {
        let corp = || Asked::of(socket("10.0.0.1:53"), Role::Forwarder { zone: name("corp.example."), proofs: false });
        let stripped = || Outcome::Reply(Seen { signatures: Vec::new(), ..keys() });
        let rows: &[Row<'_>] = &[
            (
                "clock",
                "clock says 2026-11-21 00:00:00 UTC, but the signatures of the root are valid from 2026-11-26",
                "timedatectl",
                &|facts| {
                    facts.now = WallTime(u64::from(NOW - 10 * DAY));
                },
            ),
            ("clock", "to 2026-12-17 00:00:00 UTC", "timedatectl", &|facts| facts.now = WallTime(u64::from(NOW + 17 * DAY))),
            ("trust anchors", "signed by key 38696; old.anchors trusts 20326", "install a newer version", &|facts| {
                facts.trusted.tags = vec![20_326];
                facts.trusted.file = Some("old.anchors".into());
            }),
            ("trust anchors", "cannot be read: anchors:1: odd", "built-in anchors", &|facts| {
                facts.trusted.mistakes = vec!["anchors:1: odd".to_owned()]
            }),
            ("forwarders", "10.0.0.1:53 (no reply)", "`to` in [[forward]]", &|facts| {
                facts.asked.push(Asked { small: Outcome::Silence, ..corp() })
            }),
            ("forwarders", "10.0.0.1:53 (REFUSED)", "`to` in [[forward]]", &|facts| {
                facts.asked.push(Asked { small: Outcome::Reply(seen(false, Rcode::REFUSED)), ..corp() });
            }),
            ("DNSSEC of forwarders", "192.0.2.9:53 forward DNSSEC questions without the signatures", "support DNSSEC", &|facts| {
                facts.asked = vec![Asked { large: stripped(), ..forwarder("192.0.2.9:53") }];
            }),
            ("DNSSEC of forwarders", "192.0.2.9:53 forward DNSSEC questions", "support DNSSEC", &|facts| {
                let large = Outcome::Reply(Seen { edns: false, truncated: true, ..seen(false, Rcode::NOERROR) });
                facts.asked = vec![Asked { large, ..forwarder("192.0.2.9:53") }];
            }),
            ("DNSSEC of forwarders", "192.0.2.9:53 forward DNSSEC questions", "support DNSSEC", &|facts| {
                facts.asked = vec![Asked { large: Outcome::Reply(seen(false, Rcode::SERVFAIL)), ..forwarder("192.0.2.9:53") }];
            }),
        ];
        each_is_found(rows);
    }

    #[test]
    fn what_is_no_fault() {
        let rows: &[&dyn Fn(&mut Facts)] = &[
            // The first and the last second of the signatures.
            &|facts| facts.now = WallTime(u64::from(NOW - 5 * DAY)),
            &|facts| facts.now = WallTime(u64::from(NOW + 16 * DAY)),
            &|facts| {
                facts.configuration.settings.recursion.dnssec = false;
                facts.trusted.tags = vec![1];
            },
            &|facts| facts.trusted.tags.clear(),
            // The signatures come over TCP.
            &|facts| {
                let large = Outcome::Reply(Seen { truncated: true, ..seen(false, Rcode::NOERROR) });
                facts.asked = vec![Asked { large, ..forwarder("192.0.2.9:53") }];
            },
            // A forwarder for an internal zone, which is not signed.
            &|facts| {
                let role = Role::Forwarder { zone: name("corp.example."), proofs: false };
                facts.asked.push(Asked { small: Outcome::Reply(seen(false, Rcode::NOERROR)), ..Asked::of(socket("10.0.0.1:53"), role) });
            },
        ];
        none_is_a_fault(rows);
    }
}
