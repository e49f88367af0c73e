//! What `local-data` and `hosts-file` answer, with aliases followed as far as the names are listed.

use crate::policy::{LocalData, LocalFound};
use crate::record::{Question, Rcode, RrSet};
use crate::resolve::{LocalAnswer, LocalSource};

/// `onward`: the listed alias leads to a name that is not listed. `None`: nothing is listed for the name.
#[inline]
pub(super) fn listed(data: &LocalData, question: &Question, aliases_max: usize) -> Option<LocalAnswer> {
    if data.is_empty() { None } else { listed_of_some(data, question, aliases_max) }
}

#[inline(never)]
fn listed_of_some(data: &LocalData, question: &Question, aliases_max: usize) -> Option<LocalAnswer> {
    let mut found = data.find(question)?;
    let mut answers: Vec<RrSet> = Vec::new();
    loop {
        let (set, target) = match found {
            LocalFound::Alias { set, target } => (set, target),
            LocalFound::Sets(sets) => {
                answers.extend(sets);
                return Some(complete(question, answers, Vec::new()));
            }
            LocalFound::NoData { soa } => return Some(complete(question, answers, vec![soa])),
        };
        let leads_back = answers.iter().any(|have| have.name == set.name);
        if leads_back || answers.len() >= aliases_max {
            return Some(complete(question, answers, Vec::new()));
        }
        answers.push(set);
        let next = data.find(&Question::new(target.clone(), question.rtype));
        match next {
            Some(next) => found = next,
            None => return Some(LocalAnswer { onward: Some(target), ..complete(question, answers, Vec::new()) }),
        }
    }
}

/// The PTR record made for a listed address.
#[inline]
pub(super) fn made_ptr(data: &LocalData, question: &Question) -> Option<LocalAnswer> {
    if data.is_empty() { None } else { made_of_some(data, question) }
}

#[inline(never)]
fn made_of_some(data: &LocalData, question: &Question) -> Option<LocalAnswer> {
    Some(match data.find_made(question)? {
        LocalFound::Sets(sets) => complete(question, sets, Vec::new()),
        LocalFound::Alias { set, .. } => complete(question, vec![set], Vec::new()),
        LocalFound::NoData { soa } => complete(question, Vec::new(), vec![soa]),
    })
}

fn complete(question: &Question, answers: Vec<RrSet>, authority: Vec<RrSet>) -> LocalAnswer {
    LocalAnswer { zone: question.name.clone(), source: LocalSource::Listed, rcode: Rcode::NOERROR, answers, authority, onward: None }
}
