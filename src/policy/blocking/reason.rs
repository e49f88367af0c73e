//! What a client is told about a blocked name: an extended error (RFC 8914), for people or for programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::count::BlockCounts;
use crate::limits::lists::{LISTS_MAX, STRUCTURED_REASON_BYTES_MAX};
use crate::policy::{ListId, Lists};
use crate::record::{Ede, EdeCode};

/// Sub-error "DNS Operator Policy" of the draft, 8: what the operator of this server has decided.
const DNS_OPERATOR_POLICY: u8 = 6;

/// What a list did to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listed {
    /// The client gets no host.
    Blocked(ListId),
    /// The client gets another host, and all data that it gets is the list's.
    Redirected(ListId),
    /// The client gets what the alias of the list leads to.
    Aliased(ListId),
}

impl Listed {
    pub fn list(self) -> ListId {
        match self {
            Listed::Blocked(list) | Listed::Redirected(list) | Listed::Aliased(list) => list,
        }
    }

    /// Stands for it in a ready answer; never 0.
    pub fn number(self) -> u8 {
        match self {
            Listed::Blocked(list) => list.0 + 1,
            Listed::Redirected(list) => list.0 + 1 + LISTS_MAX as u8,
            Listed::Aliased(list) => list.0 + 1 + 2 * LISTS_MAX as u8,
        }
    }

    /// What the number stands for.
    pub fn of_number(number: u8) -> Option<Listed> {
        let place = number.checked_sub(1)?;
        let list = ListId(place % LISTS_MAX as u8);
        match place / LISTS_MAX as u8 {
            0 => Some(Listed::Blocked(list)),
            1 => Some(Listed::Redirected(list)),
            2 => Some(Listed::Aliased(list)),
            _ => None,
        }
    }
}

const _: () = assert!(3 * LISTS_MAX < u8::MAX as usize);

/// The two forms of the reason for one list.
#[derive(Clone, Debug)]
struct ListReason {
    plain: Ede,
    /// I-JSON for clients that ask for it (draft-ietf-dnsop-structured-dns-error); the plain form where the draft wants more than
    /// is known.
    structured: Ede,
    /// Of an answer that leads elsewhere (RFC 8914 4.5). The draft has no structured form of it.
    redirected: Ede,
    /// Answers that the list has blocked; counted by all workers, as long as the list has its name.
    count: Arc<AtomicU64>,
}

/// The reasons of all lists, made once for all answers.
#[derive(Clone, Default, Debug)]
pub struct Reasons {
    lists: Vec<ListReason>,
}

impl Reasons {
    /// `contact`: URIs for complaints. `codes`: the extended errors of lists by name; of others, Blocked.
    pub fn new(lists: &Lists, codes: &[(String, EdeCode)], contact: &[String], counts: &BlockCounts) -> Reasons {
        let names = (0..LISTS_MAX).map(|at| lists.name(ListId(at as u8))).take_while(|name| !name.is_empty());
        let code = |list: &str| codes.iter().find(|(name, _)| name == list).map_or(EdeCode::BLOCKED, |(_, code)| *code);
        Reasons { lists: names.map(|name| reason(name, code(name), contact, counts.of(name))).collect() }
    }

    /// Counts one more answer. Only those that are blocked have a counter.
    pub fn count(&self, listed: Listed) {
        match listed {
            Listed::Blocked(list) => {
                if let Some(reason) = self.of(list) {
                    reason.count.fetch_add(1, Ordering::Relaxed);
                }
            }
            Listed::Redirected(_) | Listed::Aliased(_) => {}
        }
    }

    /// What the client is told. `None` only where there is no such list.
    pub fn ede(&self, listed: Listed, is_structured: bool) -> Option<&Ede> {
        match listed {
            Listed::Blocked(list) => self.of(list).map(|reason| if is_structured { &reason.structured } else { &reason.plain }),
            Listed::Redirected(list) | Listed::Aliased(list) => self.of(list).map(|reason| &reason.redirected),
        }
    }

    fn of(&self, list: ListId) -> Option<&ListReason> {
        self.lists.get(usize::from(list.0))
    }
}

fn reason(list: &str, code: EdeCode, contact: &[String], count: Arc<AtomicU64>) -> ListReason {
    let plain = Ede::new(code, format!("list {list}"));
    // The draft, 4: a contact and a justification are needed; a client discards what lacks them (5.3). The sub-error is one of
    // "Blocked" alone.
    let mut text = serde_json::json!({ "c": contact, "j": format!("list {list}") });
    if code == EdeCode::BLOCKED {
        text["s"] = DNS_OPERATOR_POLICY.into();
    }
    let text = text.to_string();
    let structured = if contact.is_empty() || text.len() > STRUCTURED_REASON_BYTES_MAX { plain.clone() } else { Ede::new(code, text) };
    let redirected = Ede::new(EdeCode::FORGED_ANSWER, format!("list {list}"));
    ListReason { plain, structured, redirected, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_list() {
        let lists = crate::policy::lists_of(&[("ads", false, "a.test"), ("more \"ads\"", false, "b.test"), ("third", false, "c.test")]);
        let (codes, counts) = ([("third".to_owned(), EdeCode::CENSORED)], BlockCounts::default());
        let reasons = Reasons::new(&lists, &codes, &["mailto:help@example.org".to_owned()], &counts);
        let of = |at| reasons.of(ListId(at)).map(|reason| (reason.plain.text.clone(), reason.structured.text.clone()));
        assert_eq!(of(0), Some(("list ads".to_owned(), r#"{"c":["mailto:help@example.org"],"j":"list ads","s":6}"#.to_owned())));
        assert_eq!(of(1).map(|of| of.1).as_deref(), Some(r#"{"c":["mailto:help@example.org"],"j":"list more \"ads\"","s":6}"#));
        assert_eq!(of(2).map(|of| of.1).as_deref(), Some(r#"{"c":["mailto:help@example.org"],"j":"list third"}"#));
        assert_eq!(
            reasons.of(ListId(2)).map(|reason| (reason.plain.code, reason.structured.code)),
            Some((EdeCode::CENSORED, EdeCode::CENSORED))
        );
        assert_eq!(of(3), None);
        let last = ListId(LISTS_MAX as u8 - 1);
        for of in [Listed::Blocked, Listed::Redirected, Listed::Aliased] {
            for list in [ListId(0), last] {
                assert_eq!(Listed::of_number(of(list).number()), Some(of(list)));
            }
        }
        assert_eq!([0, Listed::Aliased(last).number() + 1].map(Listed::of_number), [None, None]);
        let redirected = reasons.ede(Listed::Redirected(ListId(0)), true).map(|ede| (ede.code, ede.text.as_str()));
        assert_eq!(redirected, Some((EdeCode::FORGED_ANSWER, "list ads")), "no structured form");
        reasons.count(Listed::Redirected(ListId(0)));
        reasons.count(Listed::Blocked(ListId(1)));
        assert_eq!(counts.rows().iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(
            Reasons::new(&lists, &codes, &[], &counts).of(ListId(0)).map(|reason| reason.structured.text.as_str()),
            Some("list ads")
        );
    }
}
