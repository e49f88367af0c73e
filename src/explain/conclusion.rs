//! The decisions before and after the walk, and the reply that the client gets.

use super::advice;
use super::event::{self, Event, Record};
use super::line::Line;
use crate::answer::{Explained, ListAct, Note, Outcome};
use crate::record::{Rcode, RrSet, Security};

/// Decisions before the look-up.
pub(super) fn before(explained: &Explained) -> Vec<Line> {
    let question = || explained.question.to_string();
    let events = explained.notes.iter().filter_map(|note| match note {
        Note::Hosted { zone } => Some(Event::Hosted(event::Hosted { question: question(), zone: zone.to_string() })),
        Note::Listed => Some(Event::LocalData(event::LocalData { question: question() })),
        Note::TranslatedAddress => Some(Event::TranslatedAddress(event::TranslatedAddress { question: question() })),
        Note::Special { name, document } => {
            Some(Event::SpecialUse(event::SpecialUse { question: question(), name: name.to_string(), document: (*document).to_owned() }))
        }
        Note::View(view) => Some(Event::View(event::View { view: view.clone() })),
        Note::SafeSearch { name, target } => {
            Some(Event::SafeSearch(event::SafeSearch { name: name.to_string(), target: target.to_string() }))
        }
        Note::Refused(_)
        | Note::PolicyRule { .. }
        | Note::OnList { .. }
        | Note::OutOfForce { .. }
        | Note::NotFollowed { .. }
        | Note::Stripped { .. }
        | Note::Synthesised { .. }
        | Note::Withheld(_)
        | Note::Failed(_)
        | Note::LookedUp { .. } => None,
    });
    events.map(Line::new).collect()
}

/// Decisions after the look-up, and the reply.
pub(super) fn after(explained: &Explained) -> Vec<Line> {
    let mut events: Vec<Event> = Vec::new();
    for event in explained.notes.iter().filter_map(of_note) {
        // Lists are looked at before the look-up and after it, and by response policy zones.
        let is_told = matches!(event, Event::OnList(_) | Event::OutOfForce(_)) && events.contains(&event);
        if !is_told {
            events.push(event);
        }
    }
    events.push(reply(explained));
    events.into_iter().map(Line::new).collect()
}

fn of_note(note: &Note) -> Option<Event> {
    match note {
        Note::NotFollowed { target, refused } => Some(Event::NotFollowed(event::NotFollowed {
            target: target.to_string(),
            reason: refused.why.to_owned(),
            rule: refused.rule.clone(),
            advice: refused.remedy.clone(),
        })),
        Note::Stripped { name, rtype, dropped } => {
            Some(Event::Stripped(event::Stripped { name: name.to_string(), rtype: rtype.to_string(), address: dropped.to_string() }))
        }
        Note::PolicyRule { zone, trigger, owner, action, is_log_only } => Some(Event::PolicyRule(event::PolicyRule {
            zone: zone.to_string(),
            trigger: trigger.to_string(),
            owner: owner.to_string(),
            action: action.clone(),
            log_only: *is_log_only,
        })),
        Note::OnList { name, rtype, list, verdict } => Some(Event::OnList(event::OnList {
            name: name.to_string(),
            rtype: rtype.to_string(),
            list: list.clone(),
            verdict: match verdict {
                ListAct::Blocks => "blocks",
                ListAct::Allows => "allows",
                ListAct::Rewrites => "rewrites",
            }
            .to_owned(),
            source: None,
            line: None,
            text: None,
        })),
        Note::OutOfForce { name, list, why } => {
            Some(Event::OutOfForce(event::OutOfForce { name: name.to_string(), list: list.clone(), why: why.clone() }))
        }
        Note::Synthesised { name, from, to } => {
            Some(Event::Synthesised(event::Synthesised { name: name.to_string(), from: from.to_string(), to: to.to_string() }))
        }
        Note::Hosted { .. }
        | Note::View(_)
        | Note::SafeSearch { .. }
        | Note::Listed
        | Note::TranslatedAddress
        | Note::Special { .. }
        | Note::Refused(_)
        | Note::Withheld(_)
        | Note::Failed(_)
        | Note::LookedUp { .. } => None,
    }
}

fn reply(explained: &Explained) -> Event {
    let outcome = &explained.outcome;
    let refused = explained.notes.iter().rev().find_map(|note| match note {
        Note::Refused(refused) => Some(refused),
        _ => None,
    });
    match (outcome.rcode(), refused) {
        (Rcode::REFUSED, Some(refused)) => Event::Refused(event::Refused {
            rcode: outcome.rcode().to_string(),
            reason: refused.why.to_owned(),
            rule: refused.rule.clone(),
            ede: outcome.edes.iter().map(Into::into).collect(),
            advice: refused.remedy.clone(),
        }),
        (Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN, _) => Event::Answer(answer(explained, outcome)),
        _ => Event::Failed(failed(explained, outcome)),
    }
}

fn answer(explained: &Explained, outcome: &Outcome) -> event::Answer {
    event::Answer {
        rcode: outcome.rcode().to_string(),
        authoritative: outcome.authoritative,
        security: outcome.security.into(),
        stale: advice::is_stale(&outcome.edes),
        answers: records(&outcome.answers),
        authority: records(&outcome.authority),
        ede: outcome.edes.iter().map(Into::into).collect(),
        upstream_queries: explained.upstream_queries(),
        advice: (outcome.security == Security::Bogus).then(|| bogus(explained)),
    }
}

fn failed(explained: &Explained, outcome: &Outcome) -> event::Failed {
    let failure = explained.notes.iter().find_map(|note| match note {
        Note::Failed(failure) => Some(failure),
        _ => None,
    });
    let withheld = explained.withheld();
    let by_list = explained.notes.iter().rev().find_map(|note| match note {
        Note::OnList { name, list, verdict: ListAct::Blocks | ListAct::Rewrites, .. } => Some((name, list)),
        _ => None,
    });
    let advice = match (failure, withheld, by_list) {
        (Some(failure), ..) => advice::of_failure(failure, &explained.question.name, &explained.events),
        (None, Some(_), _) => bogus(explained),
        (None, None, Some((name, list))) => advice::of_list(name, list),
        (None, None, None) => advice::OTHER.to_owned(),
    };
    event::Failed {
        rcode: outcome.rcode().to_string(),
        zone: failure.map(|failure| failure.at.to_string()),
        cause: failure.map(|failure| (&failure.cause).into()).or(withheld.map(|_| event::Cause::Bogus)),
        ede: outcome.edes.iter().map(Into::into).collect(),
        withheld: withheld.map(records).unwrap_or_default(),
        upstream_queries: explained.upstream_queries(),
        advice,
    }
}

fn bogus(explained: &Explained) -> String {
    advice::of_bogus(&explained.question.name, &explained.outcome.edes, &explained.events)
}

fn records(sets: &[RrSet]) -> Vec<Record> {
    sets.iter().flat_map(Record::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, Question, Rtype};

    /// What is told of a question about which these lists have something.
    fn told(rcode: Rcode, lists: &[(&str, ListAct)]) -> String {
        let name = Name::parse("ads.example").expect("a name");
        let note = |(list, verdict): &(&str, ListAct)| Note::OnList {
            name: name.clone(),
            rtype: Rtype::A,
            list: (*list).to_owned(),
            verdict: *verdict,
        };
        let explained = Explained {
            question: Question::new(name.clone(), Rtype::A),
            notes: lists.iter().map(note).collect(),
            events: Vec::new(),
            outcome: Outcome { rcode: Some(rcode), ..Outcome::default() },
        };
        after(&explained).into_iter().filter_map(|line| line.line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_error_that_a_list_answers_names_the_list() {
        for act in [ListAct::Blocks, ListAct::Rewrites] {
            let text = told(Rcode::REFUSED, &[("ads", act)]);
            assert!(text.contains("What to do: list ads has this answer for ads.example.: "), "{text}");
            assert!(text.contains("`cairn list which ads.example.`"), "{text}");
        }
        let text = told(Rcode::REFUSED, &[("mine", ListAct::Allows)]);
        assert!(!text.contains("has this answer"), "{text}");
    }

    /// Lists are looked at more than once for a question.
    #[test]
    fn what_a_list_does_is_told_once() {
        let text = told(Rcode::NOERROR, &[("mine", ListAct::Allows), ("mine", ListAct::Allows), ("ads", ListAct::Allows)]);
        assert_eq!([text.matches("List mine allows").count(), text.matches("List ads allows").count()], [1, 1], "{text}");
    }
}
