//! Ready answers: a repeated question costs one look-up, one copy and a few patches, without allocation. An entry holds what
//! follows the question. Header and question in the caller's slot are those of the query, so ID, RD, CD and letter case are
//! right already.
//!
//! A plain answer (one RRset owned by the query name, nothing else) is not stored a second time: its fact is marked as ready
//! (`sets.rs`) and the records are written from it, each as `c00c type class ttl length rdata`. When the answer is put, the
//! result is compared with the message. Everything else (alias chains, denials, additional data) is an entry of its own, with this body after the name:
//! ```text
//!  0       2         8            12         13      14       16        18        20     21     22       22+2t
//! ┌───────┬─────────┬────────────┬──────────┬───────┬────────┬─────────┬─────────┬──────┬──────┬────────┬─────────┐
//! │ flags │ counts  │ generation │ rotation │ run   │ run    │ run     │ t: TTL  │ mark │ room │ TTL    │ records │
//! │ u16   │ 3 x u16 │ u32        │ u8       │ n u8  │ at u16 │ each u16│ count   │ u8   │ u8   │ offsets│         │
//! └───────┴─────────┴────────────┴──────────┴───────┴────────┴─────────┴─────────┴──────┴──────┴────────┴─────────┘
//! ```
//! `flags` holds AA and RCODE, and AD if all data is Secure. The counts are those of the answer, authority and additional
//! section. Offsets count from the first record. The TTLs at these offsets are those of the moment of storing, and each reply
//! gets them less the entry's age; TTLs of the server's own data are not listed. The run is the `n` equal-sized A or AAAA
//! records, owned by the same pointer, that take turns in being the first. The entry ends with the smallest TTL.
//! The mark is the caller's own number; what follows from it in a reply needs twice `room` octets behind the records.

use super::entries::Entries;
use super::entry::{self, Key};
use super::sets;
use crate::env::BootTime;
use crate::record::{Class, Rtype, Security, wire_name_len};
use crate::wire::{Flags, HEADER_BYTES, Header};

/// The question of a ready answer, and the rules that it was made under.
#[derive(Clone, Copy, Debug)]
pub struct AnswerKey<'a> {
    /// Lower-case wire form.
    pub qname: &'a [u8],
    pub qtype: Rtype,
    pub dnssec_ok: bool,
    pub group: u8,
    /// Generation of the policy or the zone that made it; an answer of another generation is a miss.
    pub generation: u32,
}

/// A ready answer that was written after the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Octets of the whole message. The counts of the three sections are written; the caller writes the flags.
    pub len: usize,
    /// AA and RCODE as stored.
    pub flags: Flags,
    /// All data is Secure: AD may be set if the query asks for it.
    pub secure: bool,
    /// The first hit of this second.
    pub first: bool,
    /// Data of this server: [`put_own`](Answers::put_own).
    pub own: bool,
    /// As it was put.
    pub mark: Mark,
    /// In the last tenth of its TTL, at the first hit of this second: the data should be refreshed.
    pub due_for_prefetch: bool,
}

/// What the caller has to add to a ready answer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mark {
    /// 0: nothing.
    pub number: u8,
    /// Octets that it takes at most, up to 510.
    pub room: u16,
}

/// Compression pointer to the query name.
const QNAME_POINTER: [u8; 2] = [0xc0, HEADER_BYTES as u8];
const BODY_HEAD_BYTES: usize = 22;
/// The marks of an RRset have a bit for each of this many policy groups; answers for other groups get entries of their own.
const MARKED_GROUPS: u8 = 8;

/// The ready answers of a cache.
#[derive(Clone, Copy)]
pub struct Answers<'a> {
    entries: &'a Entries,
}

impl<'a> Answers<'a> {
    pub(super) fn of(entries: &'a Entries) -> Answers<'a> {
        Answers { entries }
    }

    /// Writes the answer after the question in `out`, which holds header and question as they were sent. `None` if the message
    /// would exceed `limit`: this path does not truncate.
    pub fn copy(&self, key: &AnswerKey<'_>, now: BootTime, limit: usize, out: &mut [u8]) -> Option<Hit> {
        let now_s = now.secs();
        let start = HEADER_BYTES + key.qname.len() + 4;
        let limit = limit.min(out.len());
        if start > limit {
            return None;
        }
        let store = &self.entries.store;
        let hashed = store.hashed(key.qname);
        let out = &mut out[..limit];
        let fact = Key::fact(key.qname, key.qtype.0);
        let mut hit = store.with_hashed(&hashed, &fact, now_s, |bytes, first| from_set(bytes, key, now_s, first, out, start));
        if hit.is_none() {
            let composed = Key::answer(key.qname, key.qtype.0, key.dnssec_ok, key.group);
            hit = store.with_hashed(&hashed, &composed, now_s, |bytes, first| from_entry(bytes, key.generation, now_s, first, out, start));
        }
        if hit.is_none() {
            self.entries.missed();
        }
        hit
    }

    /// Keeps a finished reply without OPT, so that the next one asking gets it from [`copy`](Answers::copy). Never to be
    /// called with bogus or stale data. False if it is not for this path: no question, TTL 0, other classes.
    pub fn put(&self, key: &AnswerKey<'_>, message: &[u8], secure: bool, now: BootTime) -> bool {
        let Some(reply) = Reply::parse(message, key.qname.len()) else {
            return false;
        };
        self.mark_set(key, &reply, secure, now) || self.put_composite(key, &reply, &reply.places, secure, Mark::default(), now)
    }

    /// The same for the server's own data: its TTLs are given unchanged, as long as the entry lives.
    pub fn put_own(&self, key: &AnswerKey<'_>, message: &[u8], mark: Mark, now: BootTime) -> bool {
        Reply::parse(message, key.qname.len()).is_some_and(|reply| self.put_composite(key, &reply, &[], false, mark, now))
    }

    /// Marks the fact as ready if it alone makes exactly this reply.
    fn mark_set(&self, key: &AnswerKey<'_>, reply: &Reply<'_>, secure: bool, now: BootTime) -> bool {
        let [answers, 0, 0] = reply.counts else { return false };
        if key.group >= MARKED_GROUPS || reply.flags.0 != 0 {
            return false;
        }
        let now_s = now.secs();
        let marked = self.entries.store.peek(&Key::fact(key.qname, key.qtype.0), |bytes| {
            let (rank, security) = (entry::rank(bytes), entry::security(bytes));
            let fits = entry::is_set(bytes) && rank.may_answer() && security != Security::Bogus && secure == (security == Security::Secure);
            let same = fits && gives(bytes, key, reply, answers, now_s);
            if same {
                mark(bytes, key);
            }
            same
        });
        marked == Some(true)
    }

    /// `ageing`: the records whose TTLs count down.
    fn put_composite(&self, key: &AnswerKey<'_>, reply: &Reply<'_>, ageing: &[Place], secure: bool, mark: Mark, now: BootTime) -> bool {
        let composed = Key::answer(key.qname, key.qtype.0, key.dnssec_ok, key.group);
        let ttl = reply.places.iter().map(|place| place.ttl).min().unwrap_or(0).min(self.entries.limits.max_ttl);
        if ttl == 0 {
            return false;
        }
        let mut bytes = entry::start(&composed, key.group, ttl, now.secs(), BODY_HEAD_BYTES + 2 * reply.places.len() + reply.records.len());
        bytes.extend_from_slice(&reply.flags.with(Flags::AD, secure).0.to_le_bytes());
        for count in reply.counts {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(&key.generation.to_le_bytes());
        let run = reply.run();
        bytes.extend_from_slice(&[0, run.count]);
        for word in [run.at, run.each, ageing.len()] {
            bytes.extend_from_slice(&(word as u16).to_le_bytes());
        }
        bytes.extend_from_slice(&[mark.number, mark.room.div_ceil(2).min(255) as u8]);
        for place in ageing {
            bytes.extend_from_slice(&(place.ttl_at as u16).to_le_bytes());
        }
        bytes.extend_from_slice(reply.records);
        self.entries.store.update(&composed, |_| Some(entry::finish(bytes)))
    }
}

/// Writes the reply of a marked fact.
fn from_set(bytes: &mut [u8], key: &AnswerKey<'_>, now_s: u32, first: bool, out: &mut [u8], start: usize) -> Option<Hit> {
    let ttl = entry::remaining(bytes, now_s);
    if !entry::is_set(bytes) || ttl == 0 || !is_marked(bytes, key) {
        return None;
    }
    let at = entry::body_at(bytes);
    let rotation = bytes[at];
    let (len, count) = write_set(bytes, key, ttl, usize::from(rotation), out, start)?;
    bytes[at] = rotation.wrapping_add(1);
    out[6..8].copy_from_slice(&count.to_be_bytes());
    out[8..12].fill(0);
    Some(Hit {
        len,
        flags: Flags(0),
        secure: entry::security(bytes) == Security::Secure,
        first,
        own: false,
        mark: Mark::default(),
        due_for_prefetch: first && entry::is_waning(bytes, now_s),
    })
}

fn from_entry(bytes: &mut [u8], generation: u32, now_s: u32, first: bool, out: &mut [u8], start: usize) -> Option<Hit> {
    let at = entry::body_at(bytes);
    if entry::remaining(bytes, now_s) == 0 || entry::u32_at(bytes, at + 8) != generation {
        return None;
    }
    let (ttls_at, ttl_count) = (at + BODY_HEAD_BYTES, usize::from(entry::u16_at(bytes, at + 18)));
    let records = &bytes[ttls_at + 2 * ttl_count..];
    let mark = Mark { number: bytes[at + 20], room: 2 * u16::from(bytes[at + 21]) };
    if start + records.len() + usize::from(mark.room) > out.len() {
        return None;
    }
    let into = out.get_mut(start..start + records.len())?;
    into.copy_from_slice(records);
    let age = entry::age(bytes, now_s);
    for ttl_at in bytes[ttls_at..ttls_at + 2 * ttl_count].chunks_exact(2) {
        let ttl_at = usize::from(u16::from_le_bytes([ttl_at[0], ttl_at[1]]));
        if let Some(ttl) = into.get_mut(ttl_at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *ttl = u32::from_be_bytes(*ttl).saturating_sub(age).to_be_bytes();
        }
    }
    let (count, run_at, each) = (bytes[at + 13], usize::from(entry::u16_at(bytes, at + 14)), usize::from(entry::u16_at(bytes, at + 16)));
    if count > 1 {
        let turn = usize::from(bytes[at + 12] % count);
        if let Some(run) = into.get_mut(run_at..run_at + each * usize::from(count)) {
            run.rotate_left(each * turn);
        }
        bytes[at + 12] = (bytes[at + 12] + 1) % count;
    }
    let len = start + records_len(bytes, ttls_at, ttl_count);
    out[6..12].copy_from_slice(&bytes[at + 2..at + 8]);
    let flags = Flags(entry::u16_at(bytes, at));
    Some(Hit {
        len,
        flags: flags.with(Flags::AD, false),
        secure: flags.has(Flags::AD),
        first,
        own: ttl_count == 0,
        mark,
        due_for_prefetch: first && ttl_count > 0 && entry::is_waning(bytes, now_s),
    })
}

fn records_len(bytes: &[u8], ttls_at: usize, ttl_count: usize) -> usize {
    bytes.len() - ttls_at - 2 * ttl_count
}

/// Writes data (and signatures, if DO) as records; returns where they end and how many they are. Writes nothing unless all of
/// it fits: `out` still holds the query, which the full path reads after a miss.
fn write_set(bytes: &[u8], key: &AnswerKey<'_>, ttl: u32, rotation: usize, out: &mut [u8], start: usize) -> Option<(usize, u16)> {
    let data = sets::data(bytes);
    let sigs = if key.dnssec_ok { sets::sigs(bytes) } else { &[] };
    let (data_count, data_size) = measure(data);
    let (_, sigs_size) = measure(sigs);
    if start + data_size + sigs_size > out.len() {
        return None;
    }
    let mut writing = Writing { out, at: start, count: 0, ttl: ttl.to_be_bytes() };
    let turn = if data_count > 1 && key.qtype.is_address() { rotation % data_count } else { 0 };
    for rdata in items(data).skip(turn) {
        writing.record(key.qtype, rdata)?;
    }
    for rdata in items(data).take(turn) {
        writing.record(key.qtype, rdata)?;
    }
    for rdata in items(sigs) {
        writing.record(Rtype::RRSIG, rdata)?;
    }
    Some((writing.at, writing.count))
}

/// How many items there are, and the octets that they take as records.
#[inline]
fn measure(packed: &[u8]) -> (usize, usize) {
    items(packed).fold((0, 0), |(count, size), rdata| (count + 1, size + RECORD_HEAD_BYTES + rdata.len()))
}

/// The items of a packed `RdataList`, in place.
fn items(mut packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = packed.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        packed = rest;
        Some(rdata)
    })
}

/// A compression pointer to the query name, type, class, TTL, length.
const RECORD_HEAD_BYTES: usize = 12;

struct Writing<'a> {
    out: &'a mut [u8],
    at: usize,
    count: u16,
    ttl: [u8; 4],
}

impl Writing<'_> {
    fn record(&mut self, rtype: Rtype, rdata: &[u8]) -> Option<()> {
        let into = self.out.get_mut(self.at..self.at + RECORD_HEAD_BYTES + rdata.len())?;
        let (head, data) = into.split_first_chunk_mut::<RECORD_HEAD_BYTES>()?;
        let [t0, t1] = rtype.0.to_be_bytes();
        let [c0, c1] = Class::IN.0.to_be_bytes();
        let [l0, l1] = (rdata.len() as u16).to_be_bytes();
        let [a, b, c, d] = self.ttl;
        *head = [QNAME_POINTER[0], QNAME_POINTER[1], t0, t1, c0, c1, a, b, c, d, l0, l1];
        data.copy_from_slice(rdata);
        self.at += RECORD_HEAD_BYTES + rdata.len();
        self.count = self.count.checked_add(1)?;
        Some(())
    }
}

/// Whether `write_set` makes exactly this reply from the fact. TTLs may differ by one second, and addresses may be in another
/// order.
fn gives(bytes: &[u8], key: &AnswerKey<'_>, reply: &Reply<'_>, answers: u16, now_s: u32) -> bool {
    let ttl = entry::remaining(bytes, now_s);
    if ttl == 0 || reply.places.iter().any(|place| place.ttl.abs_diff(ttl) > 1) {
        return false;
    }
    let mut own = vec![0; reply.records.len()];
    let written = write_set(bytes, key, 0, 0, &mut own, 0);
    if written != Some((own.len(), answers)) {
        return false;
    }
    let mut theirs = reply.records.to_vec();
    for place in &reply.places {
        theirs[place.ttl_at..place.ttl_at + 4].fill(0);
    }
    own == theirs || key.qtype.is_address() && sorted(&own, reply) == sorted(&theirs, reply)
}

/// The records, with those of the rotating run in a fixed order.
fn sorted(records: &[u8], reply: &Reply<'_>) -> Vec<u8> {
    let run = reply.run();
    let end = run.at + run.each * usize::from(run.count);
    let Some(middle) = records.get(run.at..end).filter(|middle| !middle.is_empty()) else {
        return records.to_vec();
    };
    let mut chunks: Vec<&[u8]> = middle.chunks(run.each).collect();
    chunks.sort_unstable();
    [&records[..run.at], &chunks.concat(), &records[end..]].concat()
}

fn mark(bytes: &mut [u8], key: &AnswerKey<'_>) {
    let at = entry::body_at(bytes);
    if entry::u32_at(bytes, at + 3) != key.generation {
        sets::clear_ready(bytes);
        bytes[at + 3..at + 7].copy_from_slice(&key.generation.to_le_bytes());
    }
    bytes[at + 1 + usize::from(key.dnssec_ok)] |= 1 << key.group;
}

fn is_marked(bytes: &[u8], key: &AnswerKey<'_>) -> bool {
    let at = entry::body_at(bytes);
    let groups = bytes[at + 1 + usize::from(key.dnssec_ok)];
    key.group < MARKED_GROUPS && groups >> key.group & 1 == 1 && entry::u32_at(bytes, at + 3) == key.generation
}

/// A finished reply, parsed as far as needed.
struct Reply<'a> {
    flags: Flags,
    counts: [u16; 3],
    /// Everything after the question.
    records: &'a [u8],
    places: Vec<Place>,
}

struct Place {
    at: usize,
    end: usize,
    owner: Option<[u8; 2]>,
    rtype: Rtype,
    ttl_at: usize,
    ttl: u32,
}

#[derive(Default)]
struct Run {
    at: usize,
    each: usize,
    count: u8,
}

impl<'a> Reply<'a> {
    fn parse(message: &'a [u8], qname_len: usize) -> Option<Reply<'a>> {
        let header = Header::read(message)?;
        let records =
            message.get(HEADER_BYTES + qname_len + 4..).filter(|_| header.counts[0] == 1 && message.len() <= usize::from(u16::MAX))?;
        if header.flags.has(Flags::TC) {
            return None;
        }
        let flags = Flags(header.flags.0 & Flags::AA).with_rcode(header.flags.rcode());
        let [_, counts @ ..] = header.counts;
        let (mut places, mut at) = (Vec::new(), 0);
        for _ in 0..counts.iter().map(|count| usize::from(*count)).sum() {
            let place = Place::read(records, at)?;
            at = place.end;
            places.push(place);
        }
        (at == records.len()).then_some(Reply { flags, counts, records, places })
    }

    /// The first run of at least two address records in the answer section that may rotate.
    fn run(&self) -> Run {
        let answers = &self.places[..usize::from(self.counts[0]).min(self.places.len())];
        let together = |a: &Place, b: &Place| a.owner.is_some() && a.owner == b.owner && a.rtype == b.rtype && a.end - a.at == b.end - b.at;
        let run = answers.chunk_by(together).find(|run| run.len() > 1 && run[0].rtype.is_address());
        run.map_or(Run::default(), |run| Run { at: run[0].at, each: run[0].end - run[0].at, count: run.len().min(255) as u8 })
    }
}

impl Place {
    fn read(records: &[u8], at: usize) -> Option<Place> {
        let rest = records.get(at..)?;
        let owner_len = owner_len(rest)?;
        let fixed = rest.get(owner_len..)?.first_chunk::<10>()?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let ttl_at = at + owner_len + 4;
        let end = ttl_at + 6 + usize::from(word(8));
        let known = end <= records.len() && word(0) != Rtype::OPT.0 && word(2) == Class::IN.0;
        known.then(|| Place {
            at,
            end,
            owner: (owner_len == 2).then(|| [rest[0], rest[1]]),
            rtype: Rtype(word(0)),
            ttl_at,
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        })
    }
}

/// Length of an owner that may end in a pointer.
fn owner_len(bytes: &[u8]) -> Option<usize> {
    if let Some(len) = wire_name_len(bytes) {
        return Some(len);
    }
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0xc0.. => return Some(at + 2),
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::Cache;
    use super::super::cache::tests::{at, cache, name};
    use super::*;
    use crate::record::{Name, Question, Rank, Rcode, RrSet};
    use crate::wire::{Message, Section, Writer};

    type Rows<'a> = &'a [(Section, &'a str, Rtype, u32, &'a [u8])];

    fn reply(qname: &str, qtype: Rtype, flags: Flags, rows: Rows<'_>) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 0, flags, counts: [0; 4] });
        writer.question(&Question::new(name(qname), qtype)).expect("room");
        for (section, owner, rtype, ttl, rdata) in rows {
            writer.record(*section, &name(owner), *rtype, Class::IN, *ttl, rdata).expect("room");
        }
        writer.finish()
    }

    fn key<'a>(qname: &'a Name, qtype: Rtype) -> AnswerKey<'a> {
        AnswerKey { qname: qname.as_wire(), qtype, dnssec_ok: false, group: 0, generation: 1 }
    }

    /// Asks with odd letter case, as a client would, and returns the message.
    fn ask(cache: &Cache, key: &AnswerKey<'_>, secs: u64) -> Option<(Hit, Vec<u8>)> {
        let mut slot = vec![0xee; 2048];
        slot[..12].copy_from_slice(&Header { id: 77, flags: Flags(Flags::RD), counts: [1, 0, 0, 1] }.to_bytes());
        let end = HEADER_BYTES + key.qname.len();
        slot[HEADER_BYTES..end].copy_from_slice(&key.qname.to_ascii_uppercase());
        slot[end..end + 4].copy_from_slice(&[&key.qtype.0.to_be_bytes()[..], &[0, 1]].concat());
        let hit = cache.answers().copy(key, at(secs), 1232, &mut slot)?;
        assert_eq!(&slot[HEADER_BYTES..end], key.qname.to_ascii_uppercase());
        slot.truncate(hit.len);
        Some((hit, slot))
    }

    fn addresses(count: u8) -> RrSet {
        let mut set = RrSet::new(name("www.test."), Rtype::A, 300);
        (1..=count).for_each(|last| set.data.push(&[192, 0, 2, last]));
        set
    }

    fn answer_lasts(message: &[u8]) -> Vec<(u32, u8)> {
        let parsed = Message::parse(message).expect("message");
        let mut lasts = Vec::new();
        for record in parsed.records(Section::Answer).filter(|record| record.rtype().is_address()) {
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).expect("rdata");
            lasts.push((record.ttl(), rdata[rdata.len() - 1]));
        }
        lasts
    }

    #[test]
    fn a_plain_answer_is_written_from_its_set() {
        let cache = cache();
        let set = addresses(3);
        cache.sets().put(&set, Rank::AuthAnswer, Security::Secure, at(0));
        let rows: Vec<_> = set.data.iter().map(|rdata| (Section::Answer, "www.test.", Rtype::A, 300, rdata)).collect();
        let message = reply("www.test.", Rtype::A, Flags(Flags::QR), &[rows[1], rows[2], rows[0]]);
        let key = key(&set.name, Rtype::A);
        assert!(ask(&cache, &key, 0).is_none(), "not marked yet");
        assert!(cache.answers().put(&key, &message, true, at(0)));
        assert_eq!(cache.stats().answers, 0, "nothing is stored twice");
        let (hit, first) = ask(&cache, &key, 100).expect("hit");
        assert_eq!((hit.len, hit.secure, hit.flags), (message.len(), true, Flags(0)));
        assert_eq!(Header::read(&first).map(|header| header.counts), Some([1, 3, 0, 0]));
        assert_eq!(answer_lasts(&first), [(200, 1), (200, 2), (200, 3)]);
        assert_eq!(answer_lasts(&ask(&cache, &key, 101).expect("hit").1), [(199, 2), (199, 3), (199, 1)]);
        for other in [AnswerKey { generation: 2, ..key }, AnswerKey { group: 1, ..key }, AnswerKey { dnssec_ok: true, ..key }] {
            assert!(ask(&cache, &other, 101).is_none(), "{other:?}");
        }
        assert!(ask(&cache, &key, 300).is_none(), "expired");
        cache.sets().put(&set, Rank::AuthAnswer, Security::Secure, at(301));
        assert!(ask(&cache, &key, 301).is_none(), "a new set must be marked anew");
    }

    #[test]
    fn signatures_go_to_those_who_ask_for_them() {
        let cache = cache();
        let mut set = addresses(1);
        set.sigs.push(b"signature");
        cache.sets().put(&set, Rank::AuthAnswer, Security::Secure, at(0));
        let rows: Rows<'_> = &[
            (Section::Answer, "www.test.", Rtype::A, 300, &[192, 0, 2, 1]),
            (Section::Answer, "www.test.", Rtype::RRSIG, 300, b"signature"),
        ];
        let plain = key(&set.name, Rtype::A);
        let with_do = AnswerKey { dnssec_ok: true, ..plain };
        let (short, long) =
            (reply("www.test.", Rtype::A, Flags(Flags::QR), &rows[..1]), reply("www.test.", Rtype::A, Flags(Flags::QR), rows));
        assert!(cache.answers().put(&plain, &short, true, at(0)) && cache.answers().put(&with_do, &long, true, at(0)));
        assert_eq!(cache.stats().answers, 0);
        let records = |key| ask(&cache, key, 0).map(|(_, message)| message[HEADER_BYTES + 10 + 4..].to_vec());
        assert_eq!(records(&plain).as_deref(), Some(&short[HEADER_BYTES + 10 + 4..]));
        assert_eq!(records(&with_do).as_deref(), Some(&long[HEADER_BYTES + 10 + 4..]));
    }

    #[test]
    fn what_a_set_would_not_give_is_kept_whole() {
        let set = addresses(1);
        let a: (Section, &str, Rtype, u32, &[u8]) = (Section::Answer, "www.test.", Rtype::A, 300, &[192, 0, 2, 1]);
        let other: (Section, &str, Rtype, u32, &[u8]) = (Section::Answer, "www.test.", Rtype::A, 300, &[192, 0, 2, 9]);
        let shorter = (Section::Answer, "www.test.", Rtype::A, 30, a.4);
        let ns: (Section, &str, Rtype, u32, &[u8]) = (Section::Authority, "test.", Rtype::NS, 300, b"\x02ns\x04test\x00");
        let rows: [(Flags, Vec<_>, bool); 5] = [
            (Flags(Flags::QR), vec![a, ns], false),
            (Flags(Flags::QR), vec![other], false),
            (Flags(Flags::QR), vec![shorter], false),
            (Flags(Flags::QR | Flags::AA), vec![a], false),
            (Flags(Flags::QR), vec![a], true),
        ];
        for (flags, rows, secure) in rows {
            let cache = cache();
            cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, at(0));
            let message = reply("www.test.", Rtype::A, flags, &rows);
            let key = key(&set.name, Rtype::A);
            assert!(cache.answers().put(&key, &message, secure, at(0)));
            assert_eq!(cache.stats().answers, 1);
            let (hit, got) = ask(&cache, &key, 0).expect("hit");
            assert_eq!(got[HEADER_BYTES + key.qname.len() + 4..], message[HEADER_BYTES + key.qname.len() + 4..]);
            assert_eq!((hit.secure, hit.flags.has(Flags::AA)), (secure, flags.has(Flags::AA)));
        }
    }

    #[test]
    fn an_alias_chain_ages_and_rotates() {
        let cache = cache();
        let owner = name("www.test.");
        let message = reply(
            "www.test.",
            Rtype::A,
            Flags(Flags::QR),
            &[
                (Section::Answer, "www.test.", Rtype::CNAME, 50, b"\x03web\x05other\x00"),
                (Section::Answer, "web.other.", Rtype::A, 300, &[192, 0, 2, 1]),
                (Section::Answer, "web.other.", Rtype::A, 300, &[192, 0, 2, 2]),
            ],
        );
        let key = AnswerKey { group: 9, ..key(&owner, Rtype::A) };
        assert!(cache.answers().put(&key, &message, false, at(10)));
        assert_eq!(answer_lasts(&ask(&cache, &key, 10).expect("hit").1), [(300, 1), (300, 2)]);
        assert_eq!(answer_lasts(&ask(&cache, &key, 20).expect("hit").1), [(290, 2), (290, 1)]);
        assert_eq!(answer_lasts(&ask(&cache, &key, 59).expect("hit").1), [(251, 1), (251, 2)]);
        assert!(ask(&cache, &key, 60).is_none(), "the alias has ended");
        assert!(ask(&cache, &AnswerKey { group: 1, ..key }, 20).is_none());
    }

    #[test]
    fn a_denial_keeps_its_code() {
        let cache = cache();
        let owner = name("gone.test.");
        let soa = b"\x02ns\x04test\x00\x00\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x3c";
        let flags = Flags(Flags::QR).with_rcode(Rcode::NXDOMAIN.0);
        let message = reply("gone.test.", Rtype::A, flags, &[(Section::Authority, "test.", Rtype::SOA, 60, soa)]);
        assert!(cache.answers().put(&key(&owner, Rtype::A), &message, true, at(0)));
        let (hit, got) = ask(&cache, &key(&owner, Rtype::A), 1).expect("hit");
        assert_eq!((hit.flags.rcode(), hit.secure, Header::read(&got).map(|header| header.counts)), (3, true, Some([1, 0, 1, 0])));
    }

    #[test]
    fn the_drawing_is_true() {
        let cache = cache();
        let owner = name("a.");
        let message = reply(
            "a.",
            Rtype::AAAA,
            Flags(Flags::QR | Flags::AA),
            &[(Section::Answer, "a.", Rtype::AAAA, 60, &[7; 16]), (Section::Answer, "a.", Rtype::AAAA, 60, &[8; 16])],
        );
        let key = AnswerKey { generation: 0x01020304, ..key(&owner, Rtype::AAAA) };
        assert!(cache.answers().put(&key, &message, true, at(0)));
        let mut body = Vec::new();
        cache.entries.store.dump(|bytes| body = bytes[entry::body_at(bytes)..].to_vec());
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let records = &message[HEADER_BYTES + 3 + 4..];
        let expected =
            [&words(&[Flags::AA | Flags::AD])[..], &[0, 2, 0, 0, 0, 0], &[4, 3, 2, 1], &[0, 2], &words(&[0, 28, 2, 0, 6, 34]), records];
        assert_eq!(body, expected.concat());
    }

    #[test]
    fn what_is_not_for_this_path_is_refused() {
        let cache = cache();
        let set = addresses(200);
        cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, at(0));
        let rows: Vec<_> = set.data.iter().map(|rdata| (Section::Answer, "www.test.", Rtype::A, 300, rdata)).collect();
        let message = reply("www.test.", Rtype::A, Flags(Flags::QR), &rows);
        let key = key(&set.name, Rtype::A);
        assert!(cache.answers().put(&key, &message, false, at(0)));
        let mut query = [7; 512];
        assert!(cache.answers().copy(&key, at(0), 512, &mut query).is_none(), "past the limit");
        assert_eq!(query, [7; 512], "the query is still needed");
        for broken in [&message[..message.len() - 1], &message[..20], &[][..], &[&message[..], b"x"].concat()[..]] {
            assert!(!cache.answers().put(&key, broken, false, at(0)));
        }
        let zero = reply("www.test.", Rtype::A, Flags(Flags::QR), &[(Section::Answer, "www.test.", Rtype::A, 0, &[1; 4])]);
        assert!(!cache.answers().put(&key, &zero, false, at(0)));
    }

    proptest::proptest! {
        #[test]
        fn no_message_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120), counts in proptest::array::uniform3(0..4u16)) {
            let cache = cache();
            let owner = name("x.");
            let mut message = reply("x.", Rtype::A, Flags(Flags::QR), &[]);
            message[6..12].copy_from_slice(&counts.iter().flat_map(|count| count.to_be_bytes()).collect::<Vec<_>>());
            message.extend_from_slice(&bytes);
            if cache.answers().put(&key(&owner, Rtype::A), &message, false, at(0)) {
                proptest::prop_assert!(ask(&cache, &key(&owner, Rtype::A), 0).is_some());
            }
        }
    }
}
