//! What a hosted zone answers, as a reply of its own name server or as the first part of an answer that the walk completes.

use super::outcome::Outcome;
use crate::authority::{End, ZoneAnswer};
use crate::metrics::Source;
use crate::record::Security;
use crate::resolve::{LocalAnswer, LocalSource};

/// The reply of an authoritative server of the zone. A referral has no AA (RFC 1034 4.3.2 step 3 b).
pub(super) fn authoritative_outcome(hosted: ZoneAnswer) -> Outcome {
    let authoritative = !(hosted.answers.is_empty() && matches!(hosted.end, End::Delegated { .. }));
    let mut authority = hosted.authority;
    let (mut glue, mut additional) = (Vec::new(), hosted.additional);
    match hosted.end {
        End::Complete | End::Outside(_) => {}
        End::Delegated { cut, proof, .. } => {
            authority.push(cut.ns);
            authority.extend(proof);
            // RFC 9471 2.1, 2.2: in-domain glue must be in the reply; the addresses of other servers can be found in other
            // ways.
            (glue, additional) = cut.glue.into_iter().partition(|set| set.name.is_within(&cut.zone));
        }
        End::ChildApex { denial, .. } => authority.extend(denial),
    }
    Outcome {
        rcode: Some(hosted.rcode),
        authoritative,
        security: Security::Insecure,
        answers: hosted.answers,
        authority,
        additional,
        glue,
        own: true,
        source: Source::Zone,
        repeatable: true,
        ..Outcome::default()
    }
}

/// The part of an answer that hosted zones give, from which a walk continues.
pub(super) fn local_answer(hosted: ZoneAnswer) -> LocalAnswer {
    let onward = hosted.onward().cloned();
    LocalAnswer {
        zone: hosted.apex,
        source: LocalSource::Zone,
        rcode: hosted.rcode,
        answers: hosted.answers,
        authority: hosted.authority,
        onward,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::authority;
    use crate::record::{Name, Question};
    use crate::zone::{Zones, load_zone};

    #[test]
    fn a_signed_zone_proves_what_is_not_there() {
        let name = |text: &str| Name::parse(text).expect(text);
        let text = "$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\n@ RRSIG SOA 8 1 300 20300101000000 20200101000000 1 example. Zm9v\n\
            @ NSEC ns NS SOA RRSIG NSEC\nns A 192.0.2.1\nns NSEC sub A NSEC\nsub NS ns\nsub NSEC *.w NS NSEC\n\
            *.w TXT x\n*.w NSEC example. TXT NSEC\n";
        let (zone, _) = load_zone(&name("example."), "test", &mut |_| Ok(text.as_bytes().to_vec())).expect("a good zone");
        let zones = Zones::new([Arc::new(zone)], 1);
        for (question, rtype, expected) in [
            ("ns.example.", "A", ""),
            ("*.w.example.", "TXT", ""),
            ("no.example.", "A", "example. SOA, example. NSEC"),
            ("zz.example.", "A", "example. SOA, example. NSEC, *.w.example. NSEC"),
            ("ns.example.", "MX", "example. SOA, ns.example. NSEC"),
            ("w.example.", "A", "example. SOA, sub.example. NSEC"),
            ("x.w.example.", "TXT", "*.w.example. NSEC"),
            ("x.w.example.", "A", "example. SOA, *.w.example. NSEC"),
            ("x.sub.example.", "A", "sub.example. NS, sub.example. NSEC"),
        ] {
            let question_here = Question::new(name(question), rtype.parse().expect(rtype));
            let outcome = authoritative_outcome(authority::answer(&zones, &question_here, 11).expect(question));
            let told: Vec<String> = outcome.authority.iter().map(|set| format!("{} {}", set.name, set.rtype)).collect();
            assert_eq!(told.join(", "), expected, "{question} {rtype}");
        }
    }
}
