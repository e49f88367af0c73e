//! Trust points that follow key rollovers (RFC 5011).
//!
//! The configured or built-in anchors are only the start. A key that a trusted key has signed for 30 days becomes trusted; a
//! key that revokes itself is no longer trusted. The caller asks for the DNSKEY RRset when [`TrustPoints::due`] says so, passes
//! it in, and stores what [`TrustPoints::to_text`] writes.
//!
//! Times are wall time. A state changes only when a signature is seen that is valid at that time, so a clock that is wrong by
//! more than the lifetime of a signature neither ends nor begins a hold-down.

use std::fmt;

use super::budget::WorkBudget;
use super::key::{DnskeyView, Sha1Policy, key_tag};
use super::keys::{Anchor, KeyTrial, KeyVerdict};
use super::reason::{AlgorithmName, Fault, Reason};
use super::rrsig::Now;
use super::set::verify_by;
use crate::limits::validation::TRUST_POINT_KEYS_MAX;
use crate::record::{Name, RrSet, Rtype, rdata_from_text, rdata_to_text, timestamp, timestamp_to_text};

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// RFC 5011 2.4.1 and 2.4.2.
const HOLD_DOWN: u64 = 30 * DAY;

/// The state of a key (RFC 5011 4). A key in the state Start is not known yet.
///
/// ```text
///  Start ── a set signed by a trusted key has it ──► AddPend ── and still, 30 days later ──► Valid ◄───────┐
///    ▲                                                  │                                      │  gone, back │
///    └──────────────── gone from such a set ────────────┘                                      │    Missing ◄┘
///                                                                                              │       │
///                                                it is there with REVOKE and has signed the set│       │
///                                     Removed ◄── 30 days later ── Revoked ◄───────────────────┴───────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    AddPend,
    Valid,
    Missing,
    Revoked,
    Removed,
}

impl KeyState {
    const ALL: [KeyState; 5] = [KeyState::AddPend, KeyState::Valid, KeyState::Missing, KeyState::Revoked, KeyState::Removed];

    /// RFC 5011 4.2: a missing key is still trusted.
    pub fn is_trusted(self) -> bool {
        matches!(self, KeyState::Valid | KeyState::Missing)
    }

    fn word(self) -> &'static str {
        match self {
            KeyState::AddPend => "pending",
            KeyState::Valid => "valid",
            KeyState::Missing => "missing",
            KeyState::Revoked => "revoked",
            KeyState::Removed => "removed",
        }
    }
}

/// One key of a trust point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackedKey {
    /// A DS record until the key has been seen; then a DNSKEY without REVOKE.
    anchor: Anchor,
    pub state: KeyState,
    /// When the key entered this state; 0 if it has been in it from the start.
    pub since: u64,
    /// When the hold-down ends, in the states AddPend and Revoked.
    pub until: u64,
    /// Configured or built in, not learned.
    pub configured: bool,
}

impl TrackedKey {
    /// Tag of the key.
    pub fn key_tag(&self) -> u16 {
        self.anchor.key_tag()
    }

    /// DNSSEC algorithm of the key.
    pub fn algorithm(&self) -> u8 {
        self.anchor.algorithm()
    }

    fn enter(&mut self, state: KeyState, now: u64, until: u64) {
        (self.state, self.since, self.until) = (state, now, until);
    }
}

/// A name whose keys are trusted without a parent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustPoint {
    pub name: Name,
    pub keys: Vec<TrackedKey>,
    /// When its RRset was last proved; 0: never.
    pub checked: u64,
    /// When to ask for it next; 0: at once.
    pub next: u64,
    /// RFC 5011 2.3: retryTime.
    retry_s: u64,
}

/// All trust points of this server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrustPoints(Vec<TrustPoint>);

/// A key that changed its state. `None` is Start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub point: Name,
    pub key_tag: u16,
    pub algorithm: u8,
    pub from: Option<KeyState>,
    pub to: Option<KeyState>,
}

impl TrustPoints {
    /// The configured points, with the states of `saved`. A point or key that is no longer configured is dropped. A saved point
    /// without any configured key belonged to another zone's key and is ignored.
    pub fn new(configured: &[Anchor], saved: TrustPoints) -> TrustPoints {
        let mut points: Vec<TrustPoint> = Vec::new();
        for anchor in configured {
            if !points.iter().any(|point| point.name == anchor.name) {
                let own: Vec<&Anchor> = configured.iter().filter(|other| other.name == anchor.name).collect();
                points.push(TrustPoint::new(&anchor.name, &own, saved.0.iter().find(|saved| saved.name == anchor.name)));
            }
        }
        TrustPoints(points)
    }

    /// The points, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &TrustPoint> {
        self.0.iter()
    }

    /// The keys that are trusted now. A point whose keys are all revoked counts as if it did not exist (RFC 5011 5).
    pub fn anchors(&self) -> Vec<Anchor> {
        self.0.iter().flat_map(TrustPoint::trusted).collect()
    }

    /// The points to ask for now. A point whose keys are all revoked is not asked for any more.
    pub fn due(&self, now: u64) -> Vec<Name> {
        let due = |point: &&TrustPoint| !point.trusted().is_empty() && (point.next <= now || point.next > now + QUERY_INTERVAL_MAX);
        self.0.iter().filter(due).map(|point| point.name.clone()).collect()
    }

    /// The latest time at which a valid signature was seen: a clock that shows an earlier time is wrong.
    pub fn checked(&self) -> u64 {
        self.0.iter().map(|point| point.checked).max().unwrap_or(0)
    }

    /// Updates a point from the DNSKEY RRset that its servers give now. The error says why the RRset proves nothing.
    pub fn observe(&mut self, set: &RrSet, now: u64, sha1: Sha1Policy, work: &mut WorkBudget) -> Result<Vec<Change>, Reason> {
        match self.0.iter_mut().find(|point| point.name == set.name) {
            Some(point) => point.observe(set, now, sha1, work),
            None => Ok(Vec::new()),
        }
    }

    /// No RRset that validates could be had: the point is asked for again later.
    pub fn failed(&mut self, name: &Name, now: u64) {
        for point in self.0.iter_mut().filter(|point| point.name == *name) {
            point.next = now + point.retry_s;
        }
    }
}

/// RFC 5011 2.3.
const QUERY_INTERVAL_MAX: u64 = 15 * DAY;

fn query_interval(ttl: u64, life: u64) -> u64 {
    (ttl / 2).min(life / 2).clamp(HOUR, QUERY_INTERVAL_MAX)
}

fn retry_time(ttl: u64, life: u64) -> u64 {
    (ttl / 10).min(life / 10).clamp(HOUR, DAY)
}

impl TrustPoint {
    fn new(name: &Name, configured: &[&Anchor], saved: Option<&TrustPoint>) -> TrustPoint {
        let mut point = TrustPoint { name: name.clone(), keys: Vec::new(), checked: 0, next: 0, retry_s: HOUR };
        let fits = |key: &TrackedKey, anchor: &Anchor| key.anchor == *anchor || anchor.is_of(&key.anchor);
        let known = |key: &TrackedKey| configured.iter().any(|anchor| fits(key, anchor));
        if let Some(saved) = saved.filter(|saved| saved.keys.iter().any(known)) {
            point = TrustPoint { keys: saved.keys.iter().filter(|key| !key.configured || known(key)).cloned().collect(), ..saved.clone() };
        }
        for anchor in configured {
            match point.keys.iter_mut().find(|key| fits(key, anchor)) {
                // The operator who configures a key vouches for it: no hold-down.
                Some(key) if key.state == KeyState::AddPend => {
                    key.configured = true;
                    key.enter(KeyState::Valid, 0, 0);
                }
                Some(key) => key.configured = true,
                None => {
                    let anchor = (*anchor).clone();
                    point.keys.push(TrackedKey { anchor, state: KeyState::Valid, since: 0, until: 0, configured: true });
                    point.next = 0;
                }
            }
        }
        point
    }

    fn trusted(&self) -> Vec<Anchor> {
        self.keys.iter().filter(|key| key.state.is_trusted()).map(|key| key.anchor.clone()).collect()
    }

    fn observe(&mut self, set: &RrSet, now: u64, sha1: Sha1Policy, work: &mut WorkBudget) -> Result<Vec<Change>, Reason> {
        let mut changes = Vec::new();
        self.next = now + self.retry_s;
        self.know_keys(set);
        self.revoke(set, now, sha1, work, &mut changes);
        let trusted = self.trusted();
        if trusted.is_empty() {
            return Ok(changes);
        }
        let keys = match KeyTrial::by_anchors(&self.name, set, &trusted, sha1).run(Now::At(now), work) {
            KeyVerdict::Secure(keys) => keys,
            // A revocation needs no signature of another key.
            _ if !changes.is_empty() => return Ok(changes),
            KeyVerdict::Bogus(why) => return Err(why),
            KeyVerdict::Insecure(_) => {
                let fault = Fault::NoDnskeyForDs { key_tag: trusted[0].key_tag(), algorithm: trusted[0].algorithm() };
                return Err(Reason::new(&self.name, Rtype::DNSKEY, fault));
            }
        };
        let proved = keys.dnskeys();
        let (ttl, life) = (u64::from(proved.set.get().ttl), proved.signed.expiration.saturating_sub(now));
        self.checked = self.checked.max(now);
        self.next = now + query_interval(ttl, life);
        self.retry_s = retry_time(ttl, life);
        let present: Vec<DnskeyView<'_>> =
            set.data.iter().filter_map(DnskeyView::read).filter(|key| key.is_zone_key() && !key.is_revoked()).collect();
        self.move_known(&present, now, &mut changes);
        self.take_up(&present, now, now + HOLD_DOWN.max(ttl), sha1, &mut changes);
        Ok(changes)
    }

    /// DS records become the keys that they identify; several DS records of one key become one anchor.
    fn know_keys(&mut self, set: &RrSet) {
        let mut known: Vec<TrackedKey> = Vec::with_capacity(self.keys.len());
        for mut key in self.keys.drain(..) {
            // A DNSKEY keeps its first form: its digest, or a signature, vouched for its flags as well.
            if let Some(dnskey) = set.data.iter().find_map(|rdata| key.anchor.as_key(rdata)).filter(|_| key.anchor.record().0 == Rtype::DS)
            {
                key.anchor = dnskey;
            }
            if !known.iter().any(|other| other.anchor == key.anchor) {
                known.push(key);
            }
        }
        self.keys = known;
    }

    /// RFC 5011 2.1: a key with REVOKE that signed the RRset is no longer trusted, whoever else signed.
    fn revoke(&mut self, set: &RrSet, now: u64, sha1: Sha1Policy, work: &mut WorkBudget, changes: &mut Vec<Change>) {
        for rdata in set.data.iter() {
            let Some(key) = DnskeyView::read(rdata).filter(|key| key.is_zone_key() && key.is_revoked()) else { continue };
            let own = without_revoke(rdata);
            let Some(tracked) = self.keys.iter_mut().find(|tracked| tracked.state.is_trusted() && tracked.anchor.as_key(&own).is_some())
            else {
                continue;
            };
            let Ok(parsed) = key.parse(sha1) else { continue };
            if verify_by(set, &self.name, &[parsed], Now::At(now), work).is_ok() {
                changes.push(change(&self.name, tracked, Some(KeyState::Revoked)));
                tracked.anchor = tracked.anchor.as_key(&own).unwrap_or_else(|| tracked.anchor.clone());
                tracked.enter(KeyState::Revoked, now, now + HOLD_DOWN);
            }
        }
    }

    /// KeyPres, KeyRem, AddTime and RemTime of RFC 5011 4.1.
    fn move_known(&mut self, present: &[DnskeyView<'_>], now: u64, changes: &mut Vec<Change>) {
        self.keys.retain_mut(|key| {
            let is_there = present.iter().any(|view| key.anchor.as_key(view.rdata).is_some());
            let to = match (key.state, is_there) {
                (KeyState::AddPend, false) => None,
                (KeyState::AddPend, true) if now >= key.until => Some(KeyState::Valid),
                (KeyState::Valid, false) => Some(KeyState::Missing),
                (KeyState::Missing, true) => Some(KeyState::Valid),
                (KeyState::Revoked, _) if now >= key.until => Some(KeyState::Removed),
                (state, _) => Some(state),
            };
            if to != Some(key.state) {
                changes.push(change(&self.name, key, to));
                key.enter(to.unwrap_or(KeyState::AddPend), now, 0);
            }
            to.is_some()
        });
    }

    /// NewKey of RFC 5011 4.1: unknown keys that have the SEP flag and are supported.
    fn take_up(&mut self, present: &[DnskeyView<'_>], now: u64, until: u64, sha1: Sha1Policy, changes: &mut Vec<Change>) {
        for view in present.iter().filter(|view| view.is_entry_point() && view.parse(sha1).is_ok()) {
            let is_known = self.keys.iter().any(|key| key.anchor.as_key(view.rdata).is_some());
            let anchor = Anchor::from_record(self.name.clone(), Rtype::DNSKEY, view.rdata);
            let Some(anchor) = anchor.filter(|_| !is_known) else { continue };
            if self.keys.len() >= TRUST_POINT_KEYS_MAX {
                // A removed key is remembered as long as there is room, a configured one always: otherwise it would become
                // trusted again.
                let Some(at) = self.keys.iter().position(|key| key.state == KeyState::Removed && !key.configured) else { return };
                self.keys.remove(at);
            }
            let key = TrackedKey { anchor, state: KeyState::AddPend, since: now, until, configured: false };
            changes.push(Change { from: None, ..change(&self.name, &key, Some(KeyState::AddPend)) });
            self.keys.push(key);
        }
    }
}

fn change(point: &Name, key: &TrackedKey, to: Option<KeyState>) -> Change {
    Change { point: point.clone(), key_tag: key.key_tag(), algorithm: key.anchor.algorithm(), from: Some(key.state), to }
}

/// The RDATA before its owner revoked it, with the key tag that it had then.
fn without_revoke(rdata: &[u8]) -> Vec<u8> {
    let mut own = rdata.to_vec();
    if let Some(flags) = own.get_mut(1) {
        *flags &= !0x80;
    }
    own
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { point, key_tag, algorithm, .. } = self;
        write!(f, "key {key_tag}, algorithm {}, of {point} ", AlgorithmName(*algorithm))?;
        f.write_str(match self.to {
            Some(KeyState::AddPend) => "is new: it becomes trusted if it is still published in 30 days",
            Some(KeyState::Valid) if self.from == Some(KeyState::Missing) => "is published again",
            Some(KeyState::Valid) => "is trusted from now on",
            Some(KeyState::Missing) => "is no longer published; it stays trusted",
            Some(KeyState::Revoked) => "was revoked by its owner: it is no longer trusted",
            Some(KeyState::Removed) => "was revoked 30 days ago and is removed",
            None => "disappeared before it became trusted",
        })
    }
}

// The saved form:
//
//     cairn trust anchors 1
//     ; for people
//     point NAME CHECKED NEXT
//     STATE SINCE UNTIL configured|learned DS|DNSKEY RDATA
//     end COUNT SUM
//
// Times are as in RRSIG records, in UTC. COUNT is the number of lines before, SUM a checksum of their octets, so that a file
// which was truncated or has a flipped bit is recognised.

const TITLE: &str = "cairn trust anchors 1";
const FOR_PEOPLE: &str = "; The keys that this server trusts without anybody above, and since when (RFC 5011). Take the file away to begin \
                          again with what is configured.";

impl TrustPoints {
    /// The form that [`from_text`](TrustPoints::from_text) reads.
    pub fn to_text(&self) -> String {
        let mut text = format!("{TITLE}\n{FOR_PEOPLE}\n");
        for point in &self.0 {
            text += &format!("point {} {} {}\n", point.name, time_text(point.checked), time_text(point.next));
            for key in &point.keys {
                let (rtype, rdata) = key.anchor.record();
                let shown = rdata_to_text(rtype, rdata);
                let origin = if key.configured { "configured" } else { "learned" };
                text += &format!("{} {} {} {origin} {rtype} {shown}\n", key.state.word(), time_text(key.since), time_text(key.until));
            }
        }
        let end = format!("end {} {:04x}\n", text.lines().count(), key_tag(text.as_bytes()));
        text + &end
    }

    /// The error names the line that is wrong.
    pub fn from_text(text: &str) -> Result<TrustPoints, String> {
        let body = text.strip_suffix('\n').and_then(|text| text.rfind('\n')).map_or(text, |at| &text[..=at]);
        let end = format!("end {} {:04x}\n", body.lines().count(), key_tag(body.as_bytes()));
        if body.lines().next() != Some(TITLE) {
            return Err(format!("its first line is not \"{TITLE}\""));
        }
        if text[body.len()..] != end {
            return Err("its last line is missing or does not match the rest".to_owned());
        }
        let mut points: Vec<TrustPoint> = Vec::new();
        for (at, line) in body.lines().enumerate().skip(1).filter(|(_, line)| !line.starts_with(';')) {
            let wrong = || format!("line {} cannot be read", at + 1);
            if let Some(rest) = line.strip_prefix("point ") {
                points.push(read_point(rest).ok_or_else(wrong)?);
            } else {
                let point = points.last_mut().filter(|point| point.keys.len() < TRUST_POINT_KEYS_MAX).ok_or_else(wrong)?;
                point.keys.push(read_key(&point.name, line).ok_or_else(wrong)?);
            }
        }
        Ok(TrustPoints(points))
    }
}

fn read_point(text: &str) -> Option<TrustPoint> {
    let mut words = text.split(' ');
    let name = Name::parse(words.next()?).ok()?;
    let (checked, next) = (read_time(words.next()?)?, read_time(words.next()?)?);
    words.next().is_none().then_some(TrustPoint { name, keys: Vec::new(), checked, next, retry_s: HOUR })
}

fn read_key(point: &Name, line: &str) -> Option<TrackedKey> {
    let [state, since, until, origin, rtype, rdata] = line.splitn(6, ' ').collect::<Vec<_>>().try_into().ok()?;
    let state = KeyState::ALL.into_iter().find(|known| known.word() == state)?;
    let rtype = rtype.parse().ok()?;
    let anchor = Anchor::from_record(point.clone(), rtype, &rdata_from_text(rtype, rdata, &[0]).ok()?)?;
    let configured = match origin {
        "configured" => true,
        "learned" => false,
        _ => return None,
    };
    Some(TrackedKey { anchor, state, since: read_time(since)?, until: read_time(until)?, configured })
}

fn time_text(seconds: u64) -> String {
    timestamp_to_text(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn read_time(text: &str) -> Option<u64> {
    timestamp(text.as_bytes()).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::super::key::ParsedKey;
    use super::super::test_signer::{NOW, Signer, name};
    use super::*;

    const TTL: u32 = 172_800;

    /// A key of the root, from a number.
    fn key(seed: u8) -> Signer {
        Signer::new(".", seed)
    }

    fn with_flags(seed: u8, flags: u8) -> Signer {
        let mut signer = key(seed);
        signer.dnskey[1] = flags;
        signer
    }

    fn revoked(seed: u8) -> Signer {
        with_flags(seed, 0x81)
    }

    /// The DNSKEY set of `keys`, signed by `signers` for the ten days around `now`.
    fn set(keys: &[&Signer], signers: &[&Signer], now: u64) -> RrSet {
        let mut set = RrSet::new(Name::root(), Rtype::DNSKEY, TTL);
        keys.iter().for_each(|key| set.data.push(&key.dnskey));
        signers
            .iter()
            .fold(set, |set, signer| signer.sign_as(set, |fields| (fields.inception, fields.expiration) = (now - 5 * DAY, now + 5 * DAY)))
    }

    fn ds(signer: &Signer) -> Anchor {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[&[0], &signer.dnskey[..]].concat());
        let rdata = [&signer.key_tag().to_be_bytes()[..], &[signer.dnskey[3], 2], digest.as_ref()].concat();
        Anchor::from_record(Name::root(), Rtype::DS, &rdata).expect("a DS")
    }

    fn dnskey(signer: &Signer) -> Anchor {
        Anchor::from_record(Name::root(), Rtype::DNSKEY, &signer.dnskey).expect("a DNSKEY")
    }

    fn points(configured: &[&Signer]) -> TrustPoints {
        let anchors: Vec<Anchor> = configured.iter().map(|signer| ds(signer)).collect();
        TrustPoints::new(&anchors, TrustPoints::default())
    }

    fn observe(points: &mut TrustPoints, set: &RrSet, now: u64) -> Result<Vec<Change>, Reason> {
        points.observe(set, now, Sha1Policy::Insecure, &mut WorkBudget::default())
    }

    fn states(points: &TrustPoints) -> Vec<(u16, &'static str)> {
        points.0[0].keys.iter().map(|key| (key.key_tag(), key.state.word())).collect()
    }

    fn state_of(points: &TrustPoints, signer: &Signer) -> Option<&'static str> {
        states(points).into_iter().find(|(tag, _)| *tag == signer.key_tag()).map(|(_, state)| state)
    }

    type Row<'a> = (&'a str, Option<KeyState>, &'a [&'a Signer], &'a [&'a Signer], u64, Option<&'a str>);

    /// Each row of the table in RFC 5011 4.2: a key in a state, what is seen of it how many days later, and where it goes.
    #[test]
    fn every_transition() {
        let (old, new) = (key(1), key(2));
        let (plain, gone, taken_back) = (vec![&old, &new], vec![&old], revoked(2));
        let with_revoked = vec![&old, &taken_back];
        let in_state = |state: KeyState, until: u64| {
            let mut points = points(&[&old]);
            let (anchor, configured) = (dnskey(&new), false);
            points.0[0].keys.push(TrackedKey { anchor, state, since: NOW, until, configured });
            points
        };
        let by_old = vec![&old];
        let by_both = vec![&old, &taken_back];
        use KeyState::{AddPend, Missing, Removed, Revoked, Valid};
        let rows: [Row<'_>; 17] = [
            ("Start, NewKey", None, &plain, &by_old, 0, Some("pending")),
            ("Start, revoked from the first", None, &with_revoked, &by_both, 0, None),
            ("AddPend, KeyPres", Some(AddPend), &plain, &by_old, 29, Some("pending")),
            ("AddPend, AddTime", Some(AddPend), &plain, &by_old, 30, Some("valid")),
            ("AddPend, KeyRem", Some(AddPend), &gone, &by_old, 29, None),
            ("AddPend, KeyRem after AddTime", Some(AddPend), &gone, &by_old, 31, None),
            ("AddPend, RevBit", Some(AddPend), &with_revoked, &by_both, 1, None),
            ("Valid, KeyPres", Some(Valid), &plain, &by_old, 1, Some("valid")),
            ("Valid, KeyRem", Some(Valid), &gone, &by_old, 1, Some("missing")),
            ("Valid, RevBit", Some(Valid), &with_revoked, &by_both, 1, Some("revoked")),
            ("Valid, REVOKE that it did not sign", Some(Valid), &with_revoked, &by_old, 1, Some("missing")),
            ("Missing, KeyPres", Some(Missing), &plain, &by_old, 1, Some("valid")),
            ("Missing, KeyRem", Some(Missing), &gone, &by_old, 400, Some("missing")),
            ("Missing, RevBit", Some(Missing), &with_revoked, &by_both, 1, Some("revoked")),
            ("Revoked, back without REVOKE", Some(Revoked), &plain, &by_old, 29, Some("revoked")),
            ("Revoked, RemTime", Some(Revoked), &with_revoked, &by_both, 30, Some("removed")),
            ("Removed, back again", Some(Removed), &plain, &by_old, 1, Some("removed")),
        ];
        for (what, state, keys, signers, days, expected) in rows {
            let mut points = match state {
                Some(state) => in_state(state, NOW + HOLD_DOWN),
                None => points(&[&old]),
            };
            let now = NOW + days * DAY;
            let changes = observe(&mut points, &set(keys, signers, now), now).expect(what);
            assert_eq!(state_of(&points, &new), expected, "{what}: {changes:?}");
            assert_eq!(state_of(&points, &old), Some("valid"), "{what}");
        }
    }

    #[test]
    fn a_removed_key_that_is_configured_is_remembered() {
        let (old, new) = (key(1), key(2));
        let mut points = points(&[&old, &new]);
        observe(&mut points, &set(&[&old, &new, &revoked(2)], &[&old, &revoked(2)], NOW), NOW).expect("signed");
        assert_eq!(state_of(&points, &new), Some("revoked"));
        let later = NOW + 31 * DAY;
        observe(&mut points, &set(&[&old, &new], &[&old], later), later).expect("signed");
        assert_eq!(state_of(&points, &new), Some("removed"));
        // Not even the next start makes it trusted again.
        let again = TrustPoints::new(&[ds(&old), ds(&new)], TrustPoints::from_text(&points.to_text()).expect("whole"));
        assert_eq!(again.anchors().iter().map(Anchor::key_tag).collect::<Vec<_>>(), [old.key_tag()]);
    }

    /// REVOKE changes the key's tag (RFC 5011 2.1 with RFC 4034 B), and the anchor is a digest without it.
    #[test]
    fn a_revoked_key_has_another_tag_and_signs_only_its_own_end() {
        let (old, new) = (key(1), key(2));
        let mut points = points(&[&old]);
        assert_ne!(revoked(1).key_tag(), old.key_tag());
        let alone = set(&[&revoked(1), &new], &[&revoked(1)], NOW);
        let changes = observe(&mut points, &alone, NOW).expect("its own signature is enough");
        assert_eq!(changes.len(), 1, "the new key has nobody to vouch for it: {changes:?}");
        assert_eq!((changes[0].key_tag, changes[0].to), (old.key_tag(), Some(KeyState::Revoked)));
        assert_eq!((points.anchors(), points.due(NOW + 90 * DAY)), (vec![], vec![]), "RFC 5011 5: as if it had never been");
    }

    #[test]
    fn nothing_moves_without_a_good_signature() {
        let (old, new, stranger) = (key(1), key(2), key(3));
        let before = points(&[&old]);
        let mut forged = set(&[&old, &new], &[&old], NOW);
        forged.data.push(&stranger.dnskey);
        let rows: [(&str, RrSet, u64); 5] = [
            ("signed by a stranger", set(&[&old, &stranger], &[&stranger], NOW), NOW),
            ("not signed", set(&[&old, &new], &[], NOW), NOW),
            ("altered", forged, NOW),
            ("expired", set(&[&old, &new], &[&old], NOW), NOW + 6 * DAY),
            ("somebody else's revocation", set(&[&old, &revoked(1)], &[&stranger], NOW), NOW),
        ];
        for (what, set, now) in rows {
            let mut points = before.clone();
            assert!(observe(&mut points, &set, now).is_err(), "{what}");
            assert_eq!((states(&points), points.checked()), (vec![(old.key_tag(), "valid")], 0), "{what}");
            assert!(points.due(now + HOUR - 1).is_empty() && points.due(now + HOUR).len() == 1, "{what}: asked again in an hour");
        }
    }

    #[test]
    fn what_is_no_entry_point_or_of_no_use_is_not_taken_up() {
        let (old, zsk) = (key(1), with_flags(2, 0));
        let mut unknown = key(3);
        unknown.dnskey[3] = 200;
        let mut no_zone_key = key(4);
        no_zone_key.dnskey[0] = 0;
        let many: Vec<Signer> = (10..50).map(key).collect();
        let mut points = points(&[&old]);
        observe(&mut points, &set(&[&old, &zsk, &unknown, &no_zone_key], &[&old], NOW), NOW).expect("signed");
        assert_eq!(states(&points).len(), 1);
        let all: Vec<&Signer> = [&old].into_iter().chain(&many).collect();
        observe(&mut points, &set(&all, &[&old], NOW), NOW).expect("signed");
        assert_eq!(states(&points).len(), TRUST_POINT_KEYS_MAX);
    }

    #[test]
    fn when_to_ask() {
        // RFC 5011 2.3; TTL and what is left of the signature, in hours.
        for (ttl, life, query, retry) in
            [(48, 240, 24, 5), (48, 20, 10, 2), (1, 240, 1, 1), (24 * 90, 24 * 90, 360, 24), (0, 0, 1, 1), (48, 480, 24, 5)]
        {
            let (query_s, retry_s) = (query_interval(ttl * HOUR, life * HOUR), retry_time(ttl * HOUR, life * HOUR));
            assert_eq!((query_s / HOUR, retry_s.div_ceil(HOUR)), (query, retry), "{ttl} {life}");
        }
        let (old, mut points) = (key(1), points(&[&key(1)]));
        assert_eq!(points.due(NOW), [Name::root()]);
        observe(&mut points, &set(&[&old], &[&old], NOW), NOW).expect("signed");
        assert_eq!((points.due(NOW + DAY - 1).len(), points.due(NOW + DAY).len()), (0, 1));
        assert_eq!(points.due(NOW - 30 * DAY).len(), 1, "the clock was put back: the date says nothing any more");
    }

    /// The root's roll of 2024 to 2026 in forty days, a resolver that is started anew each day, and a network that is away
    /// every third day: what is trusted never breaks off.
    #[test]
    fn a_roll_over_forty_days() {
        let (old, new) = (key(1), key(2));
        let configured = [ds(&old)];
        let mut text = TrustPoints::new(&configured, TrustPoints::default()).to_text();
        let (mut valid_on, mut revoked_on, mut asked) = (None, None, 0);
        for hour in 0..40 * 24 {
            let (day, now) = (hour / 24, NOW + hour * HOUR);
            let mut points = TrustPoints::new(&configured, TrustPoints::from_text(&text).expect("whole"));
            // New key from day 1; it signs from day 33; the old one is revoked from day 35 to 38, and gone then.
            let gone = revoked(1);
            let (keys, signers) = match day {
                0 => (vec![&old], vec![&old]),
                1..=32 => (vec![&old, &new], vec![&old]),
                33..=34 => (vec![&old, &new], vec![&new]),
                35..=38 => (vec![&gone, &new], vec![&gone, &new]),
                _ => (vec![&new], vec![&new]),
            };
            if points.due(now).is_empty() {
                continue;
            }
            asked += 1;
            if day % 3 == 2 {
                points.failed(&Name::root(), now);
            } else {
                observe(&mut points, &set(&keys, &signers, now), now).unwrap_or_else(|why| panic!("day {day}: {why}"));
            }
            valid_on = valid_on.or((state_of(&points, &new) == Some("valid")).then_some(day));
            revoked_on = revoked_on.or((state_of(&points, &old) == Some("revoked")).then_some(day));
            text = points.to_text();
        }
        assert_eq!((valid_on, revoked_on), (Some(31), Some(36)), "{text}");
        assert!(asked < 40 * 10, "asked {asked} times");
        let end = TrustPoints::from_text(&text).expect("whole");
        assert_eq!(states(&end), [(old.key_tag(), "revoked"), (new.key_tag(), "valid")]);
        assert_eq!(end.anchors(), [dnskey(&new)]);
    }

    /// The built-in anchors, both configured, with the real root's keys: nothing of a roll has to be waited for.
    #[test]
    fn both_keys_of_the_root_are_trusted_from_the_first() {
        let text = include_str!("../../zones/root.anchors");
        let anchors: Vec<Anchor> = text
            .lines()
            .filter_map(|line| line.split_once(" DS ").or(line.split_once("\tDS\t")))
            .filter_map(|(_, rdata)| Anchor::from_record(Name::root(), Rtype::DS, &rdata_from_text(Rtype::DS, rdata, &[0]).ok()?))
            .collect();
        let mut points = TrustPoints::new(&anchors, TrustPoints::default());
        let now = u64::from(super::super::test_signer::date("20260803120000"));
        let keys = super::super::test_signer::Vectors::of_root().get(".", Rtype::DNSKEY);
        let changes = observe(&mut points, &keys, now).expect("the real signature");
        let valid: Vec<u16> = points.0[0].keys.iter().filter(|key| key.state.is_trusted()).map(TrackedKey::key_tag).collect();
        assert_eq!((valid, changes), (vec![20326, 38696], vec![]));
        assert_eq!(points.0[0].next - now, DAY, "half of the TTL of two days");
    }

    #[test]
    fn several_ds_of_one_key_become_one_key() {
        let old = key(1);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, &[&[0], &old.dnskey[..]].concat());
        let rdata = [&old.key_tag().to_be_bytes()[..], &[15, 4], digest.as_ref()].concat();
        let second = Anchor::from_record(Name::root(), Rtype::DS, &rdata).expect("a DS");
        let mut points = TrustPoints::new(&[ds(&old), second], TrustPoints::default());
        observe(&mut points, &set(&[&old], &[&old], NOW), NOW).expect("signed");
        assert_eq!(points.anchors(), [dnskey(&old)]);
    }

    #[test]
    fn configuration_and_saved_state() {
        let (old, new, other) = (key(1), key(2), key(3));
        let mut saved = points(&[&old]);
        for now in [NOW, NOW + 31 * DAY] {
            observe(&mut saved, &set(&[&old, &new], &[&old], now), now).expect("signed");
        }
        let tags = |configured: &[&Signer]| {
            let anchors: Vec<Anchor> = configured.iter().map(|signer| ds(signer)).collect();
            let points = TrustPoints::new(&anchors, saved.clone());
            points.anchors().iter().map(Anchor::key_tag).collect::<Vec<_>>()
        };
        let (old_tag, new_tag, other_tag) = (old.key_tag(), new.key_tag(), other.key_tag());
        assert_eq!(tags(&[&old]), [old_tag, new_tag], "what was learned stays");
        assert_eq!(tags(&[&new]), [new_tag], "what is configured no longer goes");
        assert_eq!(tags(&[&old, &other]), [old_tag, new_tag, other_tag], "a new one is trusted at once");
        assert_eq!(tags(&[&other]), [other_tag], "a point begun anew begins anew");
        assert!(TrustPoints::new(&[], saved.clone()).anchors().is_empty());
    }

    #[test]
    fn what_is_saved_is_read_back_and_damage_is_seen() {
        let (old, new) = (key(1), key(2));
        let island = Anchor::from_record(name("a\\032b.test."), Rtype::DNSKEY, &key(7).dnskey).expect("a DNSKEY");
        let mut points = TrustPoints::new(&[ds(&old), ds(&key(9)), island], TrustPoints::default());
        observe(&mut points, &set(&[&old, &new], &[&old], NOW), NOW).expect("signed");
        let text = points.to_text();
        let read = TrustPoints::from_text(&text).expect("whole");
        assert_eq!(read.to_text(), text);
        let retry_s = points.0[0].retry_s;
        let same: Vec<TrustPoint> =
            read.0.into_iter().map(|point| TrustPoint { retry_s: if point.next > 0 { retry_s } else { HOUR }, ..point }).collect();
        assert_eq!(same, points.0);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            assert!(TrustPoints::from_text(&damaged).is_err(), "octet {at} was changed");
            assert!(TrustPoints::from_text(&text[..at]).is_err(), "cut off after {at}");
        }
        for (line, fault) in
            [("", "first line"), ("cairn trust anchors 2\n", "first line"), ("cairn trust anchors 1\n", "last line is missing")]
        {
            assert!(TrustPoints::from_text(line).expect_err(line).contains(fault), "{line}");
        }
    }

    #[test]
    fn changes_are_told() {
        let (old, new) = (key(1), key(2));
        let mut points = points(&[&old]);
        let changes = observe(&mut points, &set(&[&old, &new], &[&old], NOW), NOW).expect("signed");
        let told: Vec<String> = changes.iter().map(Change::to_string).collect();
        let tag = new.key_tag();
        assert_eq!(
            told,
            [format!("key {tag}, algorithm 15 (ED25519), of . is new: it becomes trusted if it is still published in 30 days")]
        );
    }

    /// A key that can be parsed, so that the tests above refuse for the reason they name.
    #[test]
    fn the_keys_of_these_tests_are_good() {
        let parsed: Option<ParsedKey> = DnskeyView::read(&revoked(1).dnskey).and_then(|view| view.parse(Sha1Policy::Insecure).ok());
        assert!(parsed.is_some());
    }
}
