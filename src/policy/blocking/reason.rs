//! What a client is told about a blocked name: an extended error (RFC 8914), for people or for programs.

use crate::limits::lists::{LISTS_MAX, STRUCTURED_REASON_BYTES_MAX};
use crate::policy::{ListId, Lists};
use crate::record::{Ede, EdeCode};

/// Sub-error "DNS Operator Policy" of the draft, 8: what the operator of this server has decided.
const DNS_OPERATOR_POLICY: u8 = 6;

/// The two forms of the reason for one list.
#[derive(Clone, Debug)]
pub struct ListReason {
    pub plain: Ede,
    /// I-JSON for clients that ask for it (draft-ietf-dnsop-structured-dns-error); the plain form where the draft wants more than
    /// is known.
    pub structured: Ede,
}

/// The reasons of all lists, made once for all answers.
#[derive(Clone, Default, Debug)]
pub struct Reasons {
    lists: Vec<ListReason>,
}

impl Reasons {
    /// `contact`: URIs for complaints.
    pub fn new(lists: &Lists, contact: &[String]) -> Reasons {
        let names = (0..LISTS_MAX).map(|at| lists.name(ListId(at as u8)));
        Reasons { lists: names.take_while(|name| !name.is_empty()).map(|name| reason(name, contact)).collect() }
    }

    /// `None` only where there is no such list.
    pub fn of(&self, list: ListId) -> Option<&ListReason> {
        self.lists.get(usize::from(list.0))
    }
}

/// RFC 8914 4.16: the name is on a list of the operator's own choice.
fn reason(list: &str, contact: &[String]) -> ListReason {
    let plain = Ede::new(EdeCode::BLOCKED, format!("list {list}"));
    // The draft, 4: a contact and a justification are needed; a client discards what lacks them (5.3).
    let text = serde_json::json!({ "c": contact, "j": format!("list {list}"), "s": DNS_OPERATOR_POLICY }).to_string();
    let structured =
        if contact.is_empty() || text.len() > STRUCTURED_REASON_BYTES_MAX { plain.clone() } else { Ede::new(EdeCode::BLOCKED, text) };
    ListReason { plain, structured }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_list() {
        let lists = crate::policy::lists_of(&[("ads", false, "a.test"), ("more \"ads\"", false, "b.test")]);
        let reasons = Reasons::new(&lists, &["mailto:help@example.org".to_owned()]);
        let of = |at| reasons.of(ListId(at)).map(|reason| (reason.plain.text.clone(), reason.structured.text.clone()));
        assert_eq!(of(0), Some(("list ads".to_owned(), r#"{"c":["mailto:help@example.org"],"j":"list ads","s":6}"#.to_owned())));
        assert_eq!(of(1).map(|of| of.1).as_deref(), Some(r#"{"c":["mailto:help@example.org"],"j":"list more \"ads\"","s":6}"#));
        assert_eq!(of(2), None);
        assert_eq!(Reasons::new(&lists, &[]).of(ListId(0)).map(|reason| reason.structured.text.as_str()), Some("list ads"));
    }
}
