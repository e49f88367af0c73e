//! What the authoritative servers have sent, and when: nothing else may be in an answer or in the cache.
//!
//! An answer is judged link by link. An authoritative server must have sent each RRset, as a whole, and its TTL must have
//! counted down since. A denial must have been sent for exactly this name, or follow from an NSEC record that matches or
//! covers it; where one does, an RRset may also follow from a wildcard (RFC 8198), and a CNAME may follow from a DNAME
//! (RFC 6672 3.3). Signatures are not judged. Records from lying or forging servers are not recorded here. `Expected` judges
//! by the zones as they are now, so it cannot judge a world that changes; this can.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cairn::cache::{DenialKind, Entry};
use cairn::record::{Name, Rcode, RrSet, Rtype, Security};

use super::clock::SimClock;
use super::packet::{AA, Packet};
use super::plan::{Server, minimum};
use super::record::Rr;
use super::signing;

/// From a server's reply to its place in the cache: half a round trip, and rounding to whole seconds on both sides.
const SLACK: Duration = Duration::from_secs(2);
/// A walk that began at a delegation may go on for this long after the delegation has expired.
const WALK: Duration = Duration::from_secs(12);
/// `stale-max` and the TTL of stale data by default (RFC 8767).
const STALE_MAX_S: u64 = 86_400;
const STALE_TTL_S: u32 = 30;
/// Codes of an answer out of expired data (RFC 8914 4.4, 4.20).
const STALE_EDES: [u16; 2] = [3, 19];

#[derive(Default)]
pub struct History {
    clock: Option<Arc<SimClock>>,
    said: HashMap<(Name, Rtype), Vec<Said>>,
    /// When a name (`None`) or a type of it was last denied, and for how long.
    denied: HashMap<(Name, Option<Rtype>), (Duration, u32)>,
    /// Until when a zone's former servers may still be asked about it.
    moved: Vec<(Name, Duration)>,
    /// Names whose addresses a server of a signed zone has forged.
    forged: HashSet<Name>,
    wrongs: Vec<String>,
}

struct Said {
    data: Vec<Vec<u8>>,
    ttl: u32,
    at: Duration,
    authoritative: bool,
}

/// Records of one owner and type, as they stand in a packet or in the cache.
#[derive(Clone)]
struct Set {
    name: Name,
    rtype: Rtype,
    ttl: u32,
    data: Vec<Vec<u8>>,
}

/// Where a set came from.
#[derive(Clone, Copy)]
struct Use {
    needs_authority: bool,
    stale: bool,
    slack: Duration,
}

impl History {
    pub fn begin(&mut self, clock: Arc<SimClock>) {
        self.clock = Some(clock);
    }

    /// `zone` has new servers, or none; the old ones may be asked until the parent's last NS set for them expires. Former
    /// servers of a zone above may send that NS set late.
    pub fn note_move(&mut self, zone: &Name, parents_ttl: u32) {
        let above = self.moved.iter().filter(|(moved, _)| zone.is_below(moved)).map(|(_, until)| *until);
        let last_said = above.fold(self.now(), Duration::max);
        self.moved.push((zone.clone(), last_said + Duration::from_secs(parents_ttl.into()) + WALK));
    }

    /// One honest reply on its way.
    pub fn hear(&mut self, server: &Server, reply: &Packet, forged: bool) {
        let Some(asked) = &reply.question else { return };
        if forged {
            self.forged.extend(reply.answer.iter().map(|rr| rr.name.clone()));
        }
        let now = self.now();
        let ghost = |zone: &Name| asked.name.is_within(zone) && server.kept.iter().any(|kept| kept.apex == *zone);
        if let Some((zone, until)) = self.moved.iter().rev().find(|(zone, _)| ghost(zone)).filter(|(_, until)| now > *until) {
            let late = (now - *until).as_secs();
            self.wrongs.push(format!("{} is asked for {}, {late} s after {zone} was to be known to have moved", server.name, asked.name));
        }
        let authoritative = reply.has(AA);
        for (section, records) in reply.sections().into_iter().enumerate() {
            for set in sets_of(records) {
                // What the parent says of a delegation's security is its own (RFC 4035 3.1.4).
                let is_proof = section == 1 && matches!(set.rtype, Rtype::DS | Rtype::NSEC);
                let authoritative = is_proof || authoritative && (section == 0 || section == 1 && set.rtype == Rtype::SOA);
                if let Some(wildcard) = signed_as(&set, records).filter(|_| section == 0 && authoritative) {
                    self.note(Set { name: wildcard, ..set.clone() }, authoritative, now);
                }
                self.note(set, authoritative, now);
            }
        }
        let soa = reply.authority.iter().find(|rr| rr.rtype == Rtype::SOA);
        if let Some(soa) = soa.filter(|_| authoritative && reply.answer.is_empty()) {
            let rtype = (reply.rcode != Rcode::NXDOMAIN).then_some(asked.rtype);
            self.denied.insert((asked.name.clone(), rtype), (now, soa.ttl.min(minimum(soa))));
        }
    }

    fn note(&mut self, set: Set, authoritative: bool, now: Duration) {
        let said = self.said.entry((set.name, set.rtype)).or_default();
        match said.iter_mut().find(|said| said.data == set.data && said.authoritative == authoritative && said.ttl == set.ttl) {
            Some(said) => said.at = now,
            None => said.push(Said { data: set.data, ttl: set.ttl, at: now, authoritative }),
        }
    }

    /// What was seen to be wrong while replies were made.
    pub fn wrongs(&self) -> &[String] {
        &self.wrongs
    }

    /// What in this answer no server has sent, or too long ago, for a question asked this long ago. SERVFAIL has no data.
    pub fn contradicts(&self, name: &Name, rtype: Rtype, answer: &Packet, since_asked: Duration) -> Option<String> {
        if answer.rcode == Rcode::SERVFAIL {
            return None;
        }
        self.judge(name, rtype, answer, since_asked).err()
    }

    fn judge(&self, asked: &Name, rtype: Rtype, answer: &Packet, since_asked: Duration) -> Result<(), String> {
        let stale = answer.errors().iter().any(|code| STALE_EDES.contains(code));
        let how = Use { needs_authority: true, stale, slack: SLACK + since_asked };
        let mut sets = sets_of(&answer.answer);
        for set in answer.sections().into_iter().flat_map(|records| sets_of(records)) {
            if !is_made(&set, &sets) {
                self.was_said(&set, how)?;
            }
        }
        let mut take = |name: &Name, rtype: Rtype| {
            let at = sets.iter().position(|set| set.name == *name && set.rtype == rtype)?;
            Some(sets.swap_remove(at))
        };
        let (mut name, mut expected) = (asked.clone(), answer.rcode);
        loop {
            if take(&name, rtype).is_some() {
                expected = Rcode::NOERROR;
                break;
            }
            // RFC 6672 3.1: the CNAME that a DNAME makes stands behind it.
            for above in (1..name.label_count()).map(|labels| name.suffix(labels)) {
                take(&above, Rtype::DNAME);
            }
            let Some(alias) = take(&name, Rtype::CNAME) else {
                self.was_denied(&name, rtype, answer.rcode, how)?;
                break;
            };
            name = alias.data.first().and_then(|rdata| Name::from_wire(rdata).ok()).ok_or("an alias to nowhere")?;
        }
        if answer.rcode != expected {
            return Err(format!("{} with the records asked for", answer.rcode));
        }
        match sets.first() {
            Some(set) => Err(format!("{} {} has no place in the answer", set.name, set.rtype)),
            None => Ok(()),
        }
    }

    /// Cache entries that no server has sent, or that should have expired.
    pub fn disowns(&self, entry: &Entry) -> Option<String> {
        match entry {
            // Bogus data is cached for a while so that it is not validated again; only clients that set CD get it.
            Entry::Set(cached) if cached.security == Security::Bogus => None,
            // The client that asked had left before it was validated. No client gets it before that.
            Entry::Set(cached) if cached.security == Security::Indeterminate && self.forged.contains(&cached.set.name) => None,
            Entry::Denial(_, denial) if denial.security == Security::Bogus => None,
            Entry::Set(cached) if cached.set.rtype == Rtype::DELEGATION => self.knows_delegation(&cached.set, cached.stale_s > 0).err(),
            Entry::Set(cached) => {
                let how = Use { needs_authority: cached.rank.may_answer(), stale: cached.stale_s > 0, slack: SLACK };
                self.was_said(&Set::cached(&cached.set), how).err()
            }
            // A referral's denial of DS, with its NSEC records.
            Entry::Denial(question, denial) if denial.soa.is_none() && question.rtype == Rtype::DS => None,
            Entry::Denial(question, denial) => {
                let rcode = if denial.kind == DenialKind::NxDomain { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                let how = Use { needs_authority: true, stale: false, slack: SLACK };
                let soa = denial.soa.iter().try_for_each(|soa| self.was_said(&Set::cached(soa), how));
                soa.and_then(|()| self.was_denied(&question.name, question.rtype, rcode, how)).err()
            }
            Entry::Failure(..) => None,
        }
    }

    /// Its records: how many labels the parent has; then for each server its name, and addresses behind their length.
    fn knows_delegation(&self, set: &RrSet, stale: bool) -> Result<(), String> {
        let how = Use { needs_authority: false, stale, slack: SLACK };
        let mut names = Vec::new();
        for rdata in set.data.iter().skip(1) {
            let (server, used) = Name::from_wire_prefix(rdata).map_err(|why| why.to_string())?;
            let mut glue = &rdata[used..];
            while let Some((len, rest)) = glue.split_first() {
                let (address, rest) = rest.split_at(usize::from(*len));
                let rtype = if address.len() == 4 { Rtype::A } else { Rtype::AAAA };
                let said = self.said.get(&(server.clone(), rtype)).into_iter().flatten();
                if said.into_iter().all(|said| !said.data.iter().any(|data| data == address)) {
                    return Err(format!("the delegation of {} leads to {address:?}, which is no address of {server}", set.name));
                }
                glue = rest;
            }
            names.push(server.as_wire().to_vec());
        }
        names.sort();
        self.was_said(&Set { name: set.name.clone(), rtype: Rtype::NS, ttl: set.ttl, data: names }, how)
    }

    fn was_said(&self, set: &Set, how: Use) -> Result<(), String> {
        self.was_said_itself(set, how).or_else(|why| {
            // RFC 8198 5.3.
            let wildcards = self.proofs(&set.name, how).filter_map(|(owner, next, _)| {
                let encloser = set.name.suffix(set.name.common_labels(owner).max(set.name.common_labels(&next)));
                encloser.wildcard().filter(|wildcard| *owner != set.name && *wildcard != set.name)
            });
            let mut sources = wildcards.map(|wildcard| Set { name: wildcard, ..set.clone() });
            if sources.any(|source| self.was_said_itself(&source, how).is_ok()) { Ok(()) } else { Err(why) }
        })
    }

    fn was_said_itself(&self, set: &Set, how: Use) -> Result<(), String> {
        let now = self.now();
        let said = self.said.get(&(set.name.clone(), set.rtype)).map_or(&[][..], Vec::as_slice);
        let mut same = said.iter().filter(|said| said.data == set.data).peekable();
        let what = || format!("{} {} {} {:02x?}", set.name, set.ttl, set.rtype, set.data);
        if same.peek().is_none() {
            return Err(format!("{} was never said", what()));
        }
        let in_time = |said: &&Said| {
            let age = now.saturating_sub(said.at).saturating_sub(how.slack).as_secs();
            let fresh = age + u64::from(set.ttl) <= u64::from(said.ttl);
            fresh || how.stale && set.ttl <= STALE_TTL_S && age <= u64::from(said.ttl) + STALE_MAX_S
        };
        match same.filter(in_time).any(|said| said.authoritative || !how.needs_authority) {
            true => Ok(()),
            false => {
                let words = said.iter().filter(|said| said.data == set.data);
                let words: Vec<_> = words.map(|said| (now.saturating_sub(said.at), said.ttl, said.authoritative)).collect();
                Err(format!("{} has not been said so lately, or by nobody who may: {words:?}", what()))
            }
        }
    }

    fn was_denied(&self, name: &Name, rtype: Rtype, rcode: Rcode, how: Use) -> Result<(), String> {
        let kind = (rcode != Rcode::NXDOMAIN).then_some(rtype);
        if self.follows(name, rtype, rcode, how) {
            return Ok(());
        }
        let stale_s = if how.stale { STALE_MAX_S } else { 0 };
        match self.denied.get(&(name.clone(), kind)) {
            None => Err(format!("{rcode} for {name} {rtype} was never said")),
            Some((at, ttl)) if self.now().saturating_sub(*at).saturating_sub(how.slack).as_secs() > u64::from(*ttl) + stale_s => {
                Err(format!("{rcode} for {name} {rtype} was said too long ago"))
            }
            Some(_) => Ok(()),
        }
    }

    /// An NSEC record that an authoritative server has sent lately denies this (RFC 8198).
    fn follows(&self, name: &Name, rtype: Rtype, rcode: Rcode, how: Use) -> bool {
        self.proofs(name, how).any(|(owner, _, bitmap)| {
            let has = |rtype: Rtype| signing::lists(bitmap, rtype);
            // Where it does not match, an empty non-terminal, or a wildcard without the type, is NOERROR.
            owner != name || rcode == Rcode::NOERROR && !has(rtype) && !has(Rtype::CNAME)
        })
    }

    /// NSEC records sent lately that match or cover this name: owner, next name, bitmap. What was concluded from one in time may
    /// be served when it has expired (RFC 8767), like any other denial.
    fn proofs(&self, name: &Name, how: Use) -> impl Iterator<Item = (&Name, Name, &[u8])> {
        let now = self.now();
        let nsecs = self.said.iter().filter(|((_, rtype), _)| *rtype == Rtype::NSEC);
        let all = nsecs.flat_map(|((owner, _), said)| said.iter().map(move |said| (owner, said)));
        all.filter_map(move |(owner, said)| {
            let age = now.saturating_sub(said.at).saturating_sub(how.slack).as_secs();
            let rdata = said.data.first()?;
            let (next, used) = Name::from_wire_prefix(rdata).ok()?;
            let longest = u64::from(said.ttl) + if how.stale { STALE_MAX_S } else { 0 };
            let speaks = age <= longest && signing::speaks_of(owner, &next, name);
            speaks.then(|| (owner, next, &rdata[used..]))
        })
    }

    fn now(&self) -> Duration {
        self.clock.as_ref().map_or(Duration::ZERO, |clock| clock.since_start())
    }
}

impl Set {
    fn cached(set: &RrSet) -> Set {
        let mut data: Vec<Vec<u8>> = set.data.iter().map(<[u8]>::to_vec).collect();
        data.sort();
        Set { name: set.name.clone(), rtype: set.rtype, ttl: set.ttl, data }
    }
}

/// The wildcard that this set was made from, as its signature says (RFC 4034 3.1.3).
fn signed_as(set: &Set, records: &[Rr]) -> Option<Name> {
    let of_set = |rr: &&Rr| rr.rtype == Rtype::RRSIG && rr.name == set.name && rr.rdata.starts_with(&set.rtype.0.to_be_bytes());
    let labels = usize::from(*records.iter().find(of_set)?.rdata.get(3)?);
    let is_made = labels < set.name.label_count() && !set.name.is_wildcard();
    is_made.then(|| set.name.suffix(labels).wildcard()).flatten()
}

/// Is this the CNAME that a DNAME among these makes?
fn is_made(set: &Set, sets: &[Set]) -> bool {
    let read = |set: &Set| set.data.first().and_then(|rdata| Name::from_wire(rdata).ok());
    let follows = |dname: &&Set| {
        let made = read(dname).and_then(|to| set.name.rebase(&dname.name, &to));
        dname.rtype == Rtype::DNAME && set.name.is_below(&dname.name) && made.is_some() && made == read(set) && set.ttl <= dname.ttl
    };
    set.rtype == Rtype::CNAME && sets.iter().any(|dname| follows(&dname))
}

fn sets_of(records: &[Rr]) -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    for rr in records.iter().filter(|rr| rr.rtype != Rtype::RRSIG) {
        match sets.iter_mut().find(|set| set.name == rr.name && set.rtype == rr.rtype) {
            Some(set) => set.data.push(rr.rdata.clone()),
            None => sets.push(Set { name: rr.name.clone(), rtype: rr.rtype, ttl: rr.ttl, data: vec![rr.rdata.clone()] }),
        }
    }
    for set in &mut sets {
        set.data.sort();
        set.data.dedup();
    }
    sets
}
