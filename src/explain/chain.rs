//! The chain of trust of each name that was validated: from the trust anchor, zone by zone, to the RRset, with the link at
//! which validation fails.

use super::event::{Chain, ChainKey, ChainLink, Signature};
use crate::record::Security;
use crate::resolve::{ChainPart, Event, Step};
use crate::validate::{AlgorithmName, Date, Signed};

/// One chain for each name: each alias of a CNAME chain has its own.
pub(super) fn chains(events: &[Event]) -> Vec<Chain> {
    let links: Vec<Link<'_>> = events.iter().filter_map(|event| Link::of(&event.step)).collect();
    links.iter().filter(|link| link.part.rtype.is_some()).map(|answer| chain(&links, answer)).collect()
}

struct Link<'a> {
    part: &'a ChainPart,
    security: Security,
    detail: &'a str,
}

impl<'a> Link<'a> {
    fn of(step: &'a Step) -> Option<Link<'a>> {
        match step {
            Step::Proof { part: Some(part), security, detail, .. } => Some(Link { part, security: *security, detail }),
            _ => None,
        }
    }
}

fn chain(links: &[Link<'_>], answer: &Link<'_>) -> Chain {
    let mut zones: Vec<&Link<'_>> = Vec::new();
    for link in links.iter().filter(|link| link.part.rtype.is_none() && answer.part.name.is_within(&link.part.name)) {
        if !zones.iter().any(|have| have.part.name == link.part.name) {
            zones.push(link);
        }
    }
    zones.sort_by_key(|link| link.part.name.label_count());
    let mut is_broken = false;
    let links = zones.into_iter().chain([answer]).map(|link| {
        let breaks = link.security == Security::Bogus && !is_broken;
        is_broken |= breaks;
        of_link(link, breaks)
    });
    let links: Vec<ChainLink> = links.collect();
    Chain { question: links.last().map(super::text::title).unwrap_or_default(), links }
}

fn of_link(link: &Link<'_>, broken: bool) -> ChainLink {
    let part = link.part;
    ChainLink {
        name: part.name.to_string(),
        rtype: part.rtype.map(|rtype| rtype.to_string()),
        security: link.security.into(),
        anchored: part.anchored,
        keys: part.keys.iter().map(|key| ChainKey { key_tag: key.key_tag, algorithm: key.algorithm }).collect(),
        signed: part.signed.map(of_signature),
        broken,
        detail: link.detail.to_owned(),
    }
}

fn of_signature(signed: Signed) -> Signature {
    Signature {
        key_tag: signed.key_tag,
        algorithm: signed.algorithm,
        algorithm_name: AlgorithmName(signed.algorithm).to_string(),
        inception: Date(signed.inception).to_string(),
        expiration: Date(signed.expiration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Event as Shown, Line, chain_picture};
    use super::*;
    use crate::record::{Name, Rtype};
    use crate::resolve::ZoneKey;

    fn event(name: &str, rtype: Option<Rtype>, security: Security, detail: &str) -> Event {
        let signed = Signed { key_tag: 7, algorithm: 13, inception: 0, expiration: 86_400 };
        let part = ChainPart {
            name: Name::parse(name).expect(name),
            rtype,
            anchored: name == ".",
            keys: vec![ZoneKey { key_tag: 7, algorithm: 13 }],
            signed: (security == Security::Secure).then_some(signed),
        };
        let step = Step::Proof { subject: name.to_owned(), security, detail: detail.to_owned(), part: Some(Box::new(part)) };
        Event { at: Duration::ZERO, depth: 0, step }
    }

    #[test]
    fn from_the_anchor_to_the_broken_link() {
        let events = [
            event("example.", None, Security::Bogus, "no <key> fits"),
            event(".", None, Security::Secure, ""),
            event("other.", None, Security::Secure, ""),
            event("www.example.", Some(Rtype::A), Security::Bogus, "no key fits"),
        ];
        let chains = chains(&events);
        let line = Line::new(Shown::Chain(chains[0].clone())).line.expect("text");
        let lines: Vec<&str> = line.lines().collect();
        assert_eq!(lines.len(), 4, "{line}");
        assert!(lines[1].contains("✓ . (the root)  the trust anchor matches key 7"), "{line}");
        assert!(lines[2].contains("✗ example.  THE CHAIN BREAKS HERE: no <key> fits"), "{line}");
        assert!(lines[3].contains("✗ www.example. A  not trusted"), "{line}");
        let picture = chain_picture(&chains);
        assert!(picture.starts_with("<svg ") && picture.contains("no &lt;key&gt; fits"));
        assert_eq!(picture.matches("<rect x=").count(), 3);
        let of_boxes = |colour: &str| picture.matches(&format!("rx=\"8\" fill=\"{colour}\"")).count();
        assert_eq!(["#eaf6ec", "#fdecea", "#f1f3f4"].map(of_boxes), [1, 1, 1], "one red box, and one cross before it");
        assert_eq!(picture.matches("l16 16m0").count(), 1);
    }
}
