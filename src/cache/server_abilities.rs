//! What a server copes with: EDNS and its options, mixed letter case, TCP, cookies; and whether its alias tails can be believed.

use std::net::IpAddr;
use std::time::Duration;

use super::server_record::{COOKIE_BYTES_MAX, CaseState, EdnsState};
use super::server_table::ServerTable;
use crate::env::BootTime;
use crate::limits::cache::CASE_CHECKS_MAX;

/// Replies in a row with another letter case, after which the server counts as one that changes it. Two forgers who each guess
/// ID and port have a chance of 2^-64.
const CASE_MISSES: u8 = 2;
/// Questions in a row that are answered in a simpler form only, after which the server is asked in that form.
const SIMPLER_ONLY: u8 = 2;
/// How long such a server is asked in lower case.
const LOWER_CASE: Duration = Duration::from_secs(600);
/// Queries in a row without the cookie that is expected, after which it is no longer. A forger has to guess ID, port and letter
/// case each time, and to be the only one who replies.
const COOKIE_MISSES: u8 = 2;
/// How long a cookie is sent and expected after the server has sent it: servers take one back for an hour (RFC 9018 4.3).
const COOKIE_KEPT: Duration = Duration::from_secs(3_600);
/// How long a server counts as one that copes. The next data that it gives renews it, so that it costs nothing.
const COPES_KEPT: Duration = Duration::from_secs(3_600);
const CHECKS_ANEW: Duration = Duration::from_secs(600);
/// This many alias tails in a row must have been the same as the server's direct answers before its tails are believed.
const CONSISTENT_TAILS: i8 = 3;
/// Where the count starts again after an alias tail that differed.
const INCONSISTENT_TAIL: i8 = -16;

/// What the servers of a table cope with.
#[derive(Clone, Copy)]
pub struct Abilities<'a> {
    table: &'a ServerTable,
}

impl<'a> Abilities<'a> {
    pub(super) fn of(table: &'a ServerTable) -> Abilities<'a> {
        Abilities { table }
    }

    /// What is known of the server's EDNS.
    pub fn edns(&self, addr: IpAddr, now: BootTime) -> EdnsState {
        self.table.peek(addr, |server| server.edns_at(now)).unwrap_or_default()
    }

    /// Notes what was found about the server's EDNS.
    pub fn set_edns(&self, addr: IpAddr, state: EdnsState) {
        self.table.change(addr, |server| server.edns = state);
    }

    /// The server supports mixed letter case.
    pub fn case_works(&self, addr: IpAddr, now: BootTime) {
        self.table.change(addr, |server| {
            (server.case, server.copes_until, server.case_misses) = (CaseState::Works, now + COPES_KEPT, 0);
        });
    }

    /// The server copes with all that a query may have.
    pub fn full_form_works(&self, addr: IpAddr, now: BootTime) {
        self.case_works(addr, now);
        self.table.change(addr, |server| server.simpler_only = 0);
    }

    /// The server answered in a simpler form what it did not answer in the full one. True if that is to be remembered: one
    /// such reply may be a forgery, so it takes several in a row.
    pub fn on_simpler_form(&self, addr: IpAddr) -> bool {
        let mut is_known = false;
        self.table.change(addr, |server| {
            server.simpler_only = server.simpler_only.saturating_add(1);
            is_known = server.simpler_only >= SIMPLER_ONLY;
        });
        is_known
    }

    /// The server answered in lower case what it did not answer in mixed case.
    pub fn set_lower_case(&self, addr: IpAddr, until: BootTime) {
        self.table.change(addr, |server| (server.case, server.case_misses) = (CaseState::LowerUntil(until), 0));
    }

    /// A reply had another letter case than the question. One such reply may be forged; several in a row, without a right one
    /// between them, come from the server.
    pub fn on_other_case(&self, addr: IpAddr, now: BootTime) {
        self.table.change(addr, |server| {
            server.case_misses = server.case_misses.saturating_add(1);
            if server.case_misses >= CASE_MISSES {
                (server.case, server.case_misses) = (CaseState::LowerUntil(now + LOWER_CASE), 0);
            }
        });
    }

    /// True if this denial or error of the server should be checked: only the first few are, so that honest denials do not cost
    /// twice as much.
    pub fn take_check(&self, addr: IpAddr, now: BootTime) -> bool {
        let mut taken = false;
        self.table.change(addr, |server| {
            if server.checks_anew <= now {
                (server.checks, server.checks_anew) = (0, now + CHECKS_ANEW);
            }
            taken = server.checks < CASE_CHECKS_MAX;
            server.checks += u8::from(taken);
        });
        taken
    }

    /// The server is asked without EDNS options until this time.
    pub fn set_no_options(&self, addr: IpAddr, until: BootTime) {
        self.table.change(addr, |server| server.no_options_until = until);
    }

    /// The server is not asked over TCP until this time.
    pub fn set_no_tcp(&self, addr: IpAddr, until: BootTime) {
        self.table.change(addr, |server| server.no_tcp_until = until);
    }

    /// The server has sent a cookie. One of a length that RFC 7873 does not allow removes the stored one.
    pub fn set_cookie(&self, addr: IpAddr, cookie: &[u8], now: BootTime) {
        let kept = if (8..=COOKIE_BYTES_MAX).contains(&cookie.len()) { cookie } else { &[] };
        self.table.change(addr, |server| {
            server.cookie[..kept.len()].copy_from_slice(kept);
            (server.cookie_len, server.cookie_until, server.cookie_misses) = (kept.len() as u8, now + COOKIE_KEPT, 0);
        });
    }

    /// The server sends no cookies any more; a reply over TCP shows that.
    pub fn forget_cookie(&self, addr: IpAddr) {
        self.table.change(addr, |server| (server.cookie_len, server.cookie_misses) = (0, 0));
    }

    /// No reply to a query had the cookie that the server has sent before, and TCP does not work there. One such reply may be
    /// forged; several in a row, without a right one between them, come from the server.
    pub fn on_cookie_missing(&self, addr: IpAddr) {
        self.table.change(addr, |server| {
            server.cookie_misses = server.cookie_misses.saturating_add(1);
            if server.cookie_misses >= COOKIE_MISSES {
                (server.cookie_len, server.cookie_misses) = (0, 0);
            }
        });
    }

    /// An alias tail of this server was, or was not, the same as its direct answer.
    pub fn on_alias_tail_checked(&self, addr: IpAddr, is_consistent: bool) {
        self.table.change(addr, |server| {
            server.consistent_tails = if is_consistent { (server.consistent_tails + 1).min(CONSISTENT_TAILS) } else { INCONSISTENT_TAIL };
        });
    }

    /// Were its last alias tails all the same as its direct answers?
    pub fn alias_tails_are_consistent(&self, addr: IpAddr) -> bool {
        self.table.peek(addr, |server| server.consistent_tails).is_some_and(|tails| tails >= CONSISTENT_TAILS)
    }
}
