//! How a query is written for a server that may not cope with all of it: mixed letter case (0x20), EDNS options, EDNS.
//!
//! Some servers know names in lower case only, and some fail at an option that they do not know. What such a server
//! replies looks like an honest denial or error, or it does not reply at all. So a denial or an error from a server
//! that has not yet shown that it copes is checked once, by the same question in a simpler form. A server has shown
//! it as soon as it gives data or a referral for a name in mixed case; a signed denial, or a cookie in the reply, is as good.
//!
//! A query in a simpler form is easier to forge a reply to, and the reply that was checked may have been forged to bring one
//! about. So what a check brings is confirmed over TCP, unless a cookie vouches for it: in the form of the first query, which
//! is right again if that brings the same, and then in simpler ones. Without TCP the simpler form is remembered
//! only when a second question has needed it.

use std::time::Duration;

use crate::cache::EdnsState;
use crate::env::BootTime;
use crate::limits::servers::CASE_CHECK_LABELS_MAX;
use crate::resolve::reply::classify::Kind;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::servers::plan::{EdnsForm, Form, Plan, Stage};
use crate::resolve::servers::servers::Servers;
use crate::resolve::servers::slist::Slist;

/// How long the form that a server copes with is remembered. Servers are replaced.
const KEPT: Duration = Duration::from_secs(600);
/// The same, if it was found because the server was silent: loss looks like that too.
const KEPT_AFTER_SILENCE: Duration = Duration::from_secs(60);

/// What a reply shows of its server.
#[derive(Clone, Copy, Debug)]
pub(in crate::resolve) struct Evidence {
    /// The server has shown before that it copes.
    pub(in crate::resolve) copes: bool,
    pub(in crate::resolve) has_opt: bool,
    pub(in crate::resolve) has_cookie: bool,
    pub(in crate::resolve) is_signed: bool,
    /// Another reply to this question has been checked already.
    pub(in crate::resolve) checked_before: bool,
}

impl Form {
    /// The form in which a question is asked again, if this kind of reply is to be checked.
    pub(in crate::resolve) fn simpler(self, kind: Kind, evidence: Evidence) -> Option<Form> {
        let is_denial = match kind {
            Kind::NoData | Kind::NxDomain | Kind::Empty => true,
            Kind::Refused | Kind::ServFail | Kind::Broken => false,
            // RFC 6891 7: without OPT in the reply the server does not know EDNS at all.
            Kind::NeedsPlainDns => {
                let options_only = evidence.has_opt && self.edns == EdnsForm::Full;
                return options_only.then_some(Form { edns: EdnsForm::NoOptions, ..self });
            }
            Kind::Answer | Kind::Alias | Kind::Referral | Kind::Lame | Kind::RecursionLame | Kind::NewCookie => return None,
        };
        if evidence.copes || is_denial && (evidence.is_signed || evidence.has_cookie) {
            return None;
        }
        match (self.lower, self.edns) {
            (true, _) => None,
            (false, _) if evidence.checked_before => None,
            // RFC 6891 7: a reply without OPT is one of a server that may not know EDNS.
            (false, edns) => {
                Some(Form { lower: true, edns: edns.max(if evidence.has_opt { EdnsForm::NoOptions } else { EdnsForm::None }) })
            }
        }
    }
}

/// What becomes of a reply.
pub(in crate::resolve) enum Judged {
    Believed(Box<ServerReply>),
    /// The question is asked again first.
    AskedAgain,
}

/// What came with a reply besides its content.
#[derive(Clone, Copy, Debug)]
pub(in crate::resolve) struct Circumstances {
    pub(in crate::resolve) has_opt: bool,
    pub(in crate::resolve) has_cookie: bool,
    /// Its letter case is that of the question, or it came over TCP.
    pub(in crate::resolve) case_kept: bool,
    /// The question is for the address of a name server, or for keys.
    pub(in crate::resolve) is_for_server: bool,
}

impl Servers {
    /// Looks whether the server copes with the form of the query, and remembers it. May have the question asked again
    /// in another form; the reply is then kept in case that brings nothing.
    pub(in crate::resolve) fn judge_form(&self, plan: &Plan, heard: ServerReply, seen: Circumstances, slist: &mut Slist) -> Judged {
        let (servers, now, ip) = (self.cache().servers(), self.now(), plan.address.ip());
        let is_positive = matches!(heard.kind, Kind::Answer | Kind::Alias | Kind::Referral);
        let is_full = plan.form == Form::default();
        match plan.stage {
            Stage::First if is_positive && plan.is_after_silence => self.keep_form(plan, now + KEPT_AFTER_SILENCE),
            Stage::First if is_positive && seen.case_kept && is_full && (plan.was_doubted || !plan.copes) => {
                servers.abilities().full_form_works(ip)
            }
            Stage::First if is_positive && seen.case_kept && !plan.form.lower && !plan.copes => servers.abilities().case_works(ip),
            Stage::First if is_positive => {}
            Stage::First => return self.check(plan, heard, seen, slist),
            Stage::Check if is_better(&heard, slist.doubted.as_deref()) => {
                if !seen.has_cookie {
                    slist.doubted = Some(Box::new(heard));
                    slist.again = plan.next_confirmation().map(Box::new);
                    return Judged::AskedAgain;
                }
                self.keep_form(plan, now + KEPT);
            }
            Stage::Check => return self.check(plan, heard, seen, slist),
            // Nothing is wrong with the form: the reply that was checked was not the server's.
            Stage::ConfirmAsked if agrees(&heard, slist) => servers.abilities().full_form_works(ip),
            Stage::ConfirmMixed if agrees(&heard, slist) => {
                servers.abilities().case_works(ip);
                self.keep_form(plan, now + KEPT);
            }
            Stage::ConfirmSimple if agrees(&heard, slist) => self.keep_form(plan, now + KEPT),
            Stage::ConfirmAsked | Stage::ConfirmMixed | Stage::ConfirmSimple => {
                slist.again = plan.next_confirmation().map(Box::new);
                if slist.again.is_some() {
                    return Judged::AskedAgain;
                }
                // What came over TCP was not forged.
                let is_of_use = is_positive || is_denial(heard.kind);
                let doubted = slist.doubted.take().filter(|_| !is_of_use);
                return Judged::Believed(doubted.unwrap_or_else(|| Box::new(heard)));
            }
        }
        slist.doubted = None;
        Judged::Believed(Box::new(heard))
    }

    /// A denial or an error: is it to be checked?
    fn check(&self, plan: &Plan, heard: ServerReply, seen: Circumstances, slist: &mut Slist) -> Judged {
        let evidence = Evidence {
            copes: plan.copes,
            has_opt: seen.has_opt,
            has_cookie: seen.has_cookie,
            is_signed: heard.content.is_signed_denial(),
            checked_before: slist.checked.is_some(),
        };
        // A shortened question is followed by the whole one, unless its denial is final.
        let is_shown = !plan.minimised || slist.is_strict;
        // Names of servers, and names of very many labels, can be an attacker's choice.
        let is_final = is_shown && !seen.is_for_server && plan.question.name.label_count() <= CASE_CHECK_LABELS_MAX;
        // An attacker can have any number of servers found that refuse.
        let is_final = is_final && (is_denial(heard.kind) || slist.names_looked_up == 0);
        let simpler = plan.form.simpler(heard.kind, evidence).filter(|form| is_final || !form.lower);
        let (servers, ip, now) = (self.cache().servers(), plan.address.ip(), self.now());
        let Some(form) = simpler.filter(|form| !form.lower || servers.abilities().take_check(ip, now)) else {
            // The same denial in two forms does not show that the server copes: it may be true.
            return Judged::Believed(slist.doubted.take().unwrap_or_else(|| Box::new(heard)));
        };
        if !is_denial(heard.kind) && form.lower {
            slist.useless += 1;
        }
        if form.lower {
            slist.checked = Some(plan.address);
        }
        slist.again = Some(Box::new(plan.check_in(form)));
        if slist.doubted.is_none() && is_denial(heard.kind) {
            slist.doubted = Some(Box::new(heard));
        }
        Judged::AskedAgain
    }

    /// What a check brought could not be confirmed over TCP: it counts only if it happens again.
    pub(in crate::resolve) fn keep_unconfirmed_form(&self, plan: &Plan) {
        if self.cache().servers().abilities().on_simpler_form(plan.address.ip()) {
            self.keep_form(&Plan { form: plan.tried_in, ..plan.clone() }, self.now() + KEPT);
        }
    }

    fn keep_form(&self, plan: &Plan, until: BootTime) {
        let (servers, ip) = (self.cache().servers(), plan.address.ip());
        if plan.form.lower {
            servers.abilities().set_lower_case(ip, until);
        }
        match plan.form.edns {
            EdnsForm::Full => {}
            EdnsForm::NoOptions => servers.abilities().set_no_options(ip, until),
            EdnsForm::None => servers.abilities().set_edns(ip, EdnsState::BrokenUntil(until)),
        }
    }

    /// TCP was to vouch for a query, and failed. Returns the query to send in its place.
    pub(in crate::resolve) fn without_tcp(&self, plan: &Plan) -> Plan {
        self.cache().servers().abilities().set_no_tcp(plan.address.ip(), self.now() + KEPT);
        plan.clone()
    }
}

fn is_denial(kind: Kind) -> bool {
    matches!(kind, Kind::NoData | Kind::NxDomain | Kind::Empty)
}

/// Does the check bring data, or any other answer than the query that is checked?
fn is_better(heard: &ServerReply, doubted: Option<&ServerReply>) -> bool {
    match heard.kind {
        Kind::Answer | Kind::Alias | Kind::Referral => true,
        Kind::NoData | Kind::NxDomain => doubted.is_none_or(|doubted| doubted.kind != heard.kind && doubted.kind != Kind::Empty),
        Kind::Empty | Kind::Lame | Kind::RecursionLame | Kind::Refused | Kind::ServFail => false,
        Kind::NeedsPlainDns | Kind::NewCookie | Kind::Broken => false,
    }
}

fn agrees(heard: &ServerReply, slist: &Slist) -> bool {
    slist.doubted.as_ref().is_some_and(|doubted| doubted.kind == heard.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Evidence = Evidence { copes: false, has_opt: true, has_cookie: false, is_signed: false, checked_before: false };

    #[test]
    fn what_is_checked_and_how() {
        let full = Form::default();
        let lower = |edns| Form { lower: true, edns };
        let mixed = |edns| Form { lower: false, edns };
        let no_opt = Evidence { has_opt: false, ..NOTHING };
        let rows = [
            (full, Kind::NxDomain, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::NoData, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::Refused, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (mixed(EdnsForm::None), Kind::Broken, no_opt, Some(lower(EdnsForm::None))),
            (full, Kind::NeedsPlainDns, NOTHING, Some(mixed(EdnsForm::NoOptions))),
            (full, Kind::NeedsPlainDns, no_opt, None),
            (mixed(EdnsForm::NoOptions), Kind::NeedsPlainDns, NOTHING, None),
            (lower(EdnsForm::NoOptions), Kind::NxDomain, NOTHING, None),
            (full, Kind::NxDomain, no_opt, Some(lower(EdnsForm::None))),
            (lower(EdnsForm::NoOptions), Kind::NxDomain, no_opt, None),
            (lower(EdnsForm::None), Kind::NxDomain, no_opt, None),
            (full, Kind::NxDomain, Evidence { copes: true, ..NOTHING }, None),
            (full, Kind::NxDomain, Evidence { is_signed: true, ..NOTHING }, None),
            (full, Kind::NxDomain, Evidence { has_cookie: true, ..NOTHING }, None),
            (full, Kind::Refused, Evidence { has_cookie: true, ..NOTHING }, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::ServFail, Evidence { checked_before: true, ..NOTHING }, None),
            (full, Kind::Answer, NOTHING, None),
            (full, Kind::Lame, NOTHING, None),
        ];
        for (form, kind, evidence, expected) in rows {
            assert_eq!(form.simpler(kind, evidence), expected, "{form:?} {kind:?} {evidence:?}");
        }
    }
}
