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
//!
//! EDNS is left out last, and not at all in a signed zone, whose signatures come with DO only. There a reply without OPT is
//! not the server's own, or one of a server that has failed: where no other server is left, it is asked for a few times more.

use std::time::Duration;

use crate::cache::EdnsState;
use crate::env::BootTime;
use crate::limits::servers::{BADCOOKIE_REPLIES_MAX, CASE_CHECK_LABELS_MAX, ODD_CHECKS_MAX};
use crate::record::Rtype;
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
    /// How often replies to this question have been checked already.
    pub(in crate::resolve) checks: u8,
    /// The zone is signed.
    pub(in crate::resolve) needs_edns: bool,
    /// No other server is known that has not been asked yet.
    pub(in crate::resolve) is_last: bool,
}

impl Form {
    /// The form in which a question is asked again, if this kind of reply is to be checked.
    pub(in crate::resolve) fn simpler(self, kind: Kind, evidence: Evidence) -> Option<Form> {
        // RFC 6891 7: a reply without OPT is one of a server that may not know EDNS. One of a signed zone does.
        let is_odd = evidence.needs_edns && !evidence.has_opt;
        let is_denial = match kind {
            Kind::NoData | Kind::NxDomain | Kind::Empty => true,
            // A server that does not know the name in mixed case has no zone for it.
            Kind::Refused | Kind::ServFail | Kind::Broken | Kind::Lame | Kind::RecursionLame => false,
            Kind::NeedsPlainDns if evidence.has_opt && self.edns == EdnsForm::Full => {
                return Some(Form { edns: EdnsForm::NoOptions, ..self });
            }
            Kind::NeedsPlainDns => false,
            // A server that wants a cookie where there is none.
            Kind::NewCookie if self.edns != EdnsForm::Full => false,
            Kind::Answer | Kind::Alias | Kind::Referral | Kind::NewCookie => return None,
        };
        if is_denial && (evidence.is_signed || evidence.has_cookie) {
            return None;
        }
        let lower = Form { lower: true, edns: self.edns.max(EdnsForm::NoOptions) };
        match evidence.checks {
            // Nothing is wrong with the form, or nothing was before.
            0 if is_odd && (evidence.copes || self.lower) => Some(self),
            0 if evidence.copes || self.lower => None,
            0 => Some(lower),
            1..ODD_CHECKS_MAX if is_odd && evidence.is_last => Some(if evidence.copes { self } else { lower }),
            1 if !evidence.has_opt && !evidence.needs_edns && !evidence.copes => {
                Some(Form { lower: true, edns: EdnsForm::None }).filter(|form| *form != self)
            }
            _ => None,
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
    /// The question is for the address of a name server.
    pub(in crate::resolve) is_for_server: bool,
    /// No other server is known that has not been asked yet.
    pub(in crate::resolve) is_last: bool,
    pub(in crate::resolve) over_tcp: bool,
}

impl Servers {
    /// Looks whether the server copes with the form of the query, and remembers it. May have the question asked again
    /// in another form; the reply is then kept in case that brings nothing.
    pub(in crate::resolve) fn judge_form(&self, plan: &Plan, heard: Box<ServerReply>, seen: Circumstances, slist: &mut Slist) -> Judged {
        let (servers, now, ip) = (self.cache().servers(), self.now(), plan.address.ip());
        let is_positive = matches!(heard.kind, Kind::Answer | Kind::Alias | Kind::Referral);
        let is_full = plan.form == Form::default();
        let is_cookieless = plan.stage == Stage::First && slist.get(plan.address).new_cookies > BADCOOKIE_REPLIES_MAX;
        if is_cookieless && (is_positive || is_denial(heard.kind)) {
            self.keep_cookieless(plan, seen.over_tcp);
        }
        match plan.stage {
            Stage::First if is_positive && plan.is_after_silence => self.keep_form(plan, now + KEPT_AFTER_SILENCE),
            Stage::First if is_positive && seen.case_kept && is_full && (plan.was_doubted || !plan.copes) => {
                servers.abilities().full_form_works(ip, now)
            }
            Stage::First if is_positive && seen.case_kept && !plan.form.lower && !plan.copes => servers.abilities().case_works(ip, now),
            Stage::First if is_positive => {}
            Stage::First => return self.check(plan, heard, seen, slist),
            Stage::Check if is_better(&heard, slist.doubted_of(plan.address)) => {
                // Asked once more as it was, it needs no other form.
                if !seen.has_cookie && plan.form != plan.asked_in {
                    slist.doubted = Some(heard);
                    slist.again = plan.next_confirmation().map(Box::new);
                    return Judged::AskedAgain;
                }
                self.keep_form(plan, now + KEPT);
            }
            Stage::Check => return self.check(plan, heard, seen, slist),
            // Nothing is wrong with the form: the reply that was checked was not the server's.
            Stage::ConfirmAsked if agrees(&heard, slist) => servers.abilities().full_form_works(ip, now),
            Stage::ConfirmMixed if agrees(&heard, slist) => {
                servers.abilities().case_works(ip, now);
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
                let stands = !is_of_use && slist.doubted_of(plan.address).is_some();
                return Judged::Believed(slist.doubted.take_if(|_| stands).unwrap_or(heard));
            }
        }
        slist.doubted = None;
        Judged::Believed(heard)
    }

    /// A denial or an error: is it to be checked?
    fn check(&self, plan: &Plan, heard: Box<ServerReply>, seen: Circumstances, slist: &mut Slist) -> Judged {
        let evidence = Evidence {
            copes: plan.copes,
            has_opt: seen.has_opt,
            has_cookie: seen.has_cookie,
            is_signed: heard.content.is_signed_denial(),
            checks: slist.checks,
            needs_edns: plan.needs_edns,
            is_last: seen.is_last,
        };
        // A shortened question is followed by the whole one, unless its denial is final.
        let is_shown = !plan.minimised || slist.is_strict;
        // Names of servers, and names of very many labels, can be an attacker's choice; the keys of the client's own zone are not.
        let is_chosen = seen.is_for_server && !(plan.needs_edns && matches!(plan.question.rtype, Rtype::DNSKEY | Rtype::DS));
        let is_final = is_shown && !is_chosen && plan.question.name.label_count() <= CASE_CHECK_LABELS_MAX;
        // An attacker can have any number of servers found that refuse.
        let is_final = is_final && (is_denial(heard.kind) || slist.names_looked_up == 0);
        let simpler = plan.form.simpler(heard.kind, evidence).filter(|form| is_final || !form.lower);
        let (servers, ip, now) = (self.cache().servers(), plan.address.ip(), self.now());
        let is_first = slist.checks == 0;
        let Some(form) = simpler.filter(|form| !form.lower || !is_first || servers.abilities().take_check(ip, now)) else {
            // The same denial in two forms does not show that the server copes: it may be true. Another server's reply stands for
            // itself, and this one's is still doubted.
            let same = slist.doubted_of(plan.address).is_some();
            return Judged::Believed(slist.doubted.take_if(|_| same).unwrap_or(heard));
        };
        if !is_denial(heard.kind) && form.lower && is_first {
            slist.useless += 1;
        }
        slist.checks += u8::from(form.lower || form == plan.form);
        slist.again = Some(Box::new(plan.check_in(form)));
        if slist.doubted.is_none() && is_denial(heard.kind) {
            slist.doubted = Some(heard);
        }
        Judged::AskedAgain
    }

    /// What a check brought could not be confirmed over TCP: it counts only if it happens again.
    pub(in crate::resolve) fn keep_unconfirmed_form(&self, plan: &Plan) {
        if self.cache().servers().abilities().on_simpler_form(plan.address.ip()) {
            self.keep_form(&Plan { form: plan.tried_in, ..plan.clone() }, self.now() + KEPT);
        }
    }

    /// The server has answered without a cookie what it did not answer with one. Over UDP that may have been a forger's doing.
    fn keep_cookieless(&self, plan: &Plan, over_tcp: bool) {
        let (servers, ip) = (self.cache().servers(), plan.address.ip());
        if over_tcp || servers.abilities().on_simpler_form(ip) {
            servers.abilities().set_no_options(ip, self.now() + KEPT);
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
        Kind::NoData | Kind::NxDomain => doubted.is_none_or(|doubted| {
            let is_proved = heard.content.is_signed_denial() && !doubted.content.is_signed_denial();
            is_proved || doubted.kind != heard.kind && doubted.kind != Kind::Empty
        }),
        Kind::Empty | Kind::Lame | Kind::RecursionLame | Kind::Refused | Kind::ServFail => false,
        Kind::NeedsPlainDns | Kind::NewCookie | Kind::Broken => false,
    }
}

fn agrees(heard: &ServerReply, slist: &Slist) -> bool {
    slist.doubted_of(heard.server).is_some_and(|doubted| doubted.kind == heard.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Evidence =
        Evidence { copes: false, has_opt: true, has_cookie: false, is_signed: false, checks: 0, needs_edns: false, is_last: true };

    #[test]
    fn what_is_checked_and_how() {
        let full = Form::default();
        let lower = |edns| Form { lower: true, edns };
        let mixed = |edns| Form { lower: false, edns };
        let no_opt = Evidence { has_opt: false, ..NOTHING };
        let odd = Evidence { needs_edns: true, ..no_opt };
        let after = |checks, evidence: Evidence| Evidence { checks, ..evidence };
        let rows = [
            (full, Kind::NxDomain, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::NoData, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::Refused, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (mixed(EdnsForm::None), Kind::Broken, no_opt, Some(lower(EdnsForm::None))),
            (full, Kind::NeedsPlainDns, NOTHING, Some(mixed(EdnsForm::NoOptions))),
            (full, Kind::NeedsPlainDns, no_opt, Some(lower(EdnsForm::NoOptions))),
            (mixed(EdnsForm::NoOptions), Kind::NeedsPlainDns, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (lower(EdnsForm::NoOptions), Kind::NxDomain, NOTHING, None),
            (full, Kind::NxDomain, no_opt, Some(lower(EdnsForm::NoOptions))),
            // EDNS is left out only where a reply without OPT comes again.
            (lower(EdnsForm::NoOptions), Kind::NxDomain, after(1, no_opt), Some(lower(EdnsForm::None))),
            (lower(EdnsForm::NoOptions), Kind::NxDomain, after(1, NOTHING), None),
            (mixed(EdnsForm::None), Kind::Broken, after(1, no_opt), Some(lower(EdnsForm::None))),
            (lower(EdnsForm::NoOptions), Kind::NxDomain, no_opt, None),
            (lower(EdnsForm::None), Kind::NxDomain, after(1, no_opt), None),
            (lower(EdnsForm::None), Kind::NxDomain, no_opt, None),
            // And never in a signed zone.
            (full, Kind::ServFail, odd, Some(lower(EdnsForm::NoOptions))),
            (lower(EdnsForm::NoOptions), Kind::ServFail, after(1, odd), Some(lower(EdnsForm::NoOptions))),
            (lower(EdnsForm::NoOptions), Kind::NeedsPlainDns, after(2, odd), Some(lower(EdnsForm::NoOptions))),
            (lower(EdnsForm::NoOptions), Kind::ServFail, after(ODD_CHECKS_MAX, odd), None),
            (lower(EdnsForm::NoOptions), Kind::ServFail, Evidence { is_last: false, ..after(1, odd) }, None),
            (full, Kind::NxDomain, Evidence { copes: true, ..odd }, Some(full)),
            (full, Kind::NxDomain, Evidence { copes: true, needs_edns: true, ..NOTHING }, None),
            (full, Kind::NxDomain, Evidence { copes: true, ..NOTHING }, None),
            (full, Kind::NxDomain, Evidence { is_signed: true, ..NOTHING }, None),
            (full, Kind::NxDomain, Evidence { has_cookie: true, ..NOTHING }, None),
            (full, Kind::Refused, Evidence { has_cookie: true, ..NOTHING }, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::ServFail, after(1, NOTHING), None),
            (full, Kind::NewCookie, NOTHING, None),
            (mixed(EdnsForm::NoOptions), Kind::NewCookie, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::Answer, NOTHING, None),
            (full, Kind::Lame, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::RecursionLame, NOTHING, Some(lower(EdnsForm::NoOptions))),
            (full, Kind::Lame, Evidence { copes: true, ..NOTHING }, None),
        ];
        for (form, kind, evidence, expected) in rows {
            assert_eq!(form.simpler(kind, evidence), expected, "{form:?} {kind:?} {evidence:?}");
        }
    }
}
