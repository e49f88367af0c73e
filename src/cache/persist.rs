//! The form of the cache that outlives the process: what a save writes and a load reads.
//!
//! ```text
//! file   ┌───────────────┬─────────┬─────────┬──────────┬───────────┬─────────────┬─────────────────────────────┐
//!        │ "CairnRRs" 8  │ version │ boot id │ boot     │ wall time │ sum of what │ blocks to the end           │
//!        │               │ u32     │ 16      │ time u32 │ s u64     │ precedes u64│                             │
//!        └───────────────┴─────────┴─────────┴──────────┴───────────┴─────────────┴─────────────────────────────┘
//! block  ┌───────────────┬─────────────────┬──────────┬───────────────────────────────────┬─────────────────────┐
//!        │ n: length u32 │ shard: 1 if the │ zero u24 │ sum of the first 8 octets and of  │ n octets of entries │
//!        │               │ protected one u8│          │ the entries u64                   │ as in `entry.rs`    │
//!        └───────────────┴─────────────────┴──────────┴───────────────────────────────────┴─────────────────────┘
//! ```
//! Numbers are little-endian; sums are SipHash-1-3 with a key of zero, which find damage, not malice. A file is read up to the
//! first incomplete block; the blocks before it are good. A change of `entry.rs` or of a saved body needs a new version of the
//! file; a file of an unknown version is ignored.
//!
//! Saved are RRsets (delegations too) and denials, with their proofs, as long as they may be served. Not saved are bogus data,
//! failures, ready answers and statistics of servers, which are learned again with the first questions. Data from a file counts
//! as not validated: its signatures are verified again before it is Secure or Insecure. What its last validation found comes
//! along in the server's own file, and decides whether it may be served stale, without AD: only the owner of the state folder,
//! where the followed trust anchors are as well, can write that file. A file from elsewhere is not believed in this. Data that
//! was learned since the start is newer, and saved data never replaces or displaces it.
//!
//! Within one boot, the boot clock, which nobody sets, tells how long the server was away. Across boots the wall clock tells
//! it. If the wall clock shows a time before the save, the time away is unknown and nothing is loaded, because data of unknown
//! age could be wrong for as long as its TTL. No entry is kept longer than it would have been kept without the save.

use std::hash::Hasher;
use std::io::{self, Read, Write};

use siphasher::sip::SipHasher13;

use super::cache::Cache;
use super::denials;
use super::entry::{self, Key, Kind, TYPE_OF_NXDOMAIN};
use super::sets;
use crate::env::{BootTime, WallTime};
use crate::record::{Name, Rank, Rtype, Security};

const MAGIC: &[u8; 8] = b"CairnRRs";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 48;
const BLOCK_HEAD_BYTES: usize = 16;
/// A page of the slabs is written as one block; the largest block is an entry with a page of its own.
const BLOCK_BYTES_MAX: usize = 128 << 10;

/// The time of a save or a load, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Changes with each boot of the machine; zero: not known.
    pub boot_id: [u8; 16],
    pub boot: BootTime,
    pub wall: WallTime,
}

/// The result of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub taken: usize,
    /// Entries that had expired, found no room, or had a newer one in their place.
    pub left: usize,
    /// The rest of the file was incomplete.
    pub damaged: bool,
    /// Seconds since it was saved.
    pub age_s: u64,
}

/// Reason why nothing was loaded.
#[derive(Debug)]
pub enum LoadError {
    Io(io::Error),
    /// Not a saved cache, or damaged from the start.
    Foreign,
    /// Of another release.
    Version(u32),
    /// The wall clock shows a time before the save.
    SavedInTheFuture,
}

impl Cache {
    /// Writes all entries that are worth saving; returns their number. No lock is held while `out` writes, and each lock only
    /// while one page is copied.
    pub fn save(&self, at: &Moment, out: &mut impl Write) -> io::Result<usize> {
        out.write_all(&head(at))?;
        let (mut count, mut block) = (0, Vec::new());
        self.entries.store.each_page(|protected, mut entries| {
            block.clear();
            block.extend_from_slice(&[0; BLOCK_HEAD_BYTES]);
            while !entries.is_empty() {
                let (one, after) = entries.split_at(entry::len(entries));
                if self.is_worth_saving(one, at.boot.secs()) {
                    block.extend_from_slice(one);
                    count += 1;
                }
                entries = after;
            }
            if block.len() == BLOCK_HEAD_BYTES {
                return Ok(());
            }
            close_block(&mut block, protected);
            out.write_all(&block)
        })?;
        Ok(count)
    }

    /// Loads what this server has saved, block by block; a damaged block and everything after it is dropped.
    pub fn load(&self, now: &Moment, from: &mut impl Read) -> Result<Loaded, LoadError> {
        self.load_of(now, from, true)
    }

    /// The same with a file that may come from anywhere.
    pub fn load_brought(&self, now: &Moment, from: &mut impl Read) -> Result<Loaded, LoadError> {
        self.load_of(now, from, false)
    }

    fn load_of(&self, now: &Moment, from: &mut impl Read, is_own: bool) -> Result<Loaded, LoadError> {
        let mut head = [0; HEAD_BYTES];
        fill(from, &mut head)?.then_some(()).ok_or(LoadError::Foreign)?;
        let saved = read_head(&head)?;
        let age_s = saved.until(now).ok_or(LoadError::SavedInTheFuture)?;
        let mut loaded = Loaded { age_s, ..Loaded::default() };
        let mut block = Vec::new();
        loop {
            match next_block(from, &mut block)? {
                Next::Block => self.take_block(&block, saved.boot.secs(), now.boot.secs(), is_own, &mut loaded),
                Next::End => return Ok(loaded),
                Next::Damage => return Ok(Loaded { damaged: true, ..loaded }),
            }
        }
    }

    fn is_worth_saving(&self, bytes: &[u8], now_s: u32) -> bool {
        is_saved_kind(bytes) && entry::security(bytes) != Security::Bogus && self.is_servable(entry::expires(bytes).into(), now_s)
    }

    /// Whether the entry is live, or may be served stale.
    fn is_servable(&self, expires: i64, now_s: u32) -> bool {
        expires + i64::from(self.entries.limits.stale_max) > i64::from(now_s)
    }

    fn take_block(&self, block: &[u8], saved_s: u32, now_s: u32, is_own: bool, loaded: &mut Loaded) {
        let mut rest = &block[BLOCK_HEAD_BYTES..];
        while let Some((one, after)) = first_entry(rest) {
            let end = i64::from(entry::expires(one)) - i64::from(saved_s) + i64::from(now_s) - loaded.age_s.min(u64::from(u32::MAX)) as i64;
            if self.take(one, end, now_s, is_own) {
                loaded.taken += 1;
            } else {
                loaded.left += 1;
            }
            rest = after;
        }
        // The block's sum was right, so this octet was not written by a save.
        loaded.damaged |= !rest.is_empty();
    }

    fn take(&self, saved: &[u8], end: i64, now_s: u32, is_own: bool) -> bool {
        let Ok(end_s) = u32::try_from(end) else { return false };
        if !is_sound(saved) || !self.is_servable(end, now_s) {
            return false;
        }
        let mut bytes = saved.to_vec();
        let cap = if entry::is_set(&bytes) { self.entries.limits.max_ttl } else { self.entries.limits.negative_max_ttl };
        entry::reopen(&mut bytes, end_s, cap, now_s, is_own);
        if entry::is_set(&bytes) {
            sets::clear_marks(&mut bytes);
        }
        !self.is_contradicted(&bytes, now_s) && self.entries.store.settle(&bytes)
    }

    /// Whether data that was learned since the start contradicts the entry.
    fn is_contradicted(&self, bytes: &[u8], now_s: u32) -> bool {
        let key = Key::of(bytes);
        let stands = |rtype: u16| {
            let answers = |other: &mut [u8]| entry::remaining(other, now_s) > 0 && entry::rank(other).may_answer();
            self.entries.store.peek(&Key::fact(key.name, rtype), answers) == Some(true)
        };
        if entry::is_nxdomain(bytes) {
            return [Rtype::A, Rtype::AAAA, Rtype::CNAME].into_iter().any(|rtype| stands(rtype.0));
        }
        entry::rank(bytes).may_answer() && stands(TYPE_OF_NXDOMAIN)
    }
}

impl Moment {
    /// Seconds from here to `later`; `None` where that cannot be known.
    fn until(&self, later: &Moment) -> Option<u64> {
        if self.boot_id == later.boot_id && self.boot_id != [0; 16] && later.boot >= self.boot {
            return Some(u64::from(later.boot.secs() - self.boot.secs()));
        }
        later.wall.0.checked_sub(self.wall.0)
    }
}

fn sum(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write(part);
    }
    hasher.finish().to_le_bytes()
}

fn head(at: &Moment) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&at.boot_id);
    head.extend_from_slice(&at.boot.secs().to_le_bytes());
    head.extend_from_slice(&at.wall.0.to_le_bytes());
    let sum = sum(&[&head]);
    head.extend_from_slice(&sum);
    head
}

fn read_head(head: &[u8; HEAD_BYTES]) -> Result<Moment, LoadError> {
    let (fields, written_sum) = head.split_at(HEAD_BYTES - 8);
    if !fields.starts_with(MAGIC) || sum(&[fields]) != *written_sum {
        return Err(LoadError::Foreign);
    }
    match entry::u32_at(head, 8) {
        VERSION => {}
        other => return Err(LoadError::Version(other)),
    }
    let mut boot_id = [0; 16];
    boot_id.copy_from_slice(&head[12..28]);
    let wall = u64::from(entry::u32_at(head, 32)) | u64::from(entry::u32_at(head, 36)) << 32;
    Ok(Moment { boot_id, boot: BootTime(u64::from(entry::u32_at(head, 28)) * 1000), wall: WallTime(wall) })
}

fn close_block(block: &mut [u8], protected: bool) {
    let (head, entries) = block.split_at_mut(BLOCK_HEAD_BYTES);
    head[..4].copy_from_slice(&(entries.len() as u32).to_le_bytes());
    head[4] = u8::from(protected);
    let sum = sum(&[&head[..8], entries]);
    head[8..].copy_from_slice(&sum);
}

enum Next {
    Block,
    End,
    Damage,
}

fn next_block(from: &mut impl Read, block: &mut Vec<u8>) -> Result<Next, LoadError> {
    block.clear();
    block.resize(BLOCK_HEAD_BYTES, 0);
    let first = from.read(&mut block[..1])?;
    if first == 0 {
        return Ok(Next::End);
    }
    if !fill(from, &mut block[1..])? {
        return Ok(Next::Damage);
    }
    let len = entry::u32_at(block, 0) as usize;
    if len > BLOCK_BYTES_MAX {
        return Ok(Next::Damage);
    }
    block.resize(BLOCK_HEAD_BYTES + len, 0);
    if !fill(from, &mut block[BLOCK_HEAD_BYTES..])? || sum(&[&block[..8], &block[BLOCK_HEAD_BYTES..]]) != block[8..BLOCK_HEAD_BYTES] {
        return Ok(Next::Damage);
    }
    Ok(Next::Block)
}

/// False when the file ends before `into` is full.
fn fill(from: &mut impl Read, into: &mut [u8]) -> Result<bool, LoadError> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn first_entry(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = rest.get(..entry::HEAD_BYTES).map(entry::len)?;
    if len <= entry::HEAD_BYTES { None } else { rest.split_at_checked(len) }
}

/// A fact, or the last validated one where unvalidated data has its place.
fn is_saved_kind(bytes: &[u8]) -> bool {
    bytes[0] == Kind::Fact as u8 || bytes[0] == Kind::Proved as u8
}

/// Whether these octets, of the length that their head says, may be stored in a slot. All code that reads entries relies on
/// what is checked here.
fn is_sound(bytes: &[u8]) -> bool {
    let name = bytes.get(entry::HEAD_BYTES..entry::HEAD_BYTES + usize::from(bytes[1]));
    let is_name = name.is_some_and(|name| Name::from_wire(name).is_ok_and(|folded| folded.as_wire() == name));
    if !is_name || !is_saved_kind(bytes) || entry::ttl(bytes) == 0 {
        return false;
    }
    let rtype = Rtype(Key::of(bytes).rtype);
    if entry::is_denial(bytes) {
        return entry::is_nxdomain(bytes) == (rtype.0 == TYPE_OF_NXDOMAIN) && denials::is_whole(bytes);
    }
    let has_data = rtype == Rtype::DELEGATION || !rtype.is_meta();
    has_data && Rank::from_u8(entry::rank_bits(bytes)).is_some() && sets::is_whole(bytes, rtype)
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> LoadError {
        LoadError::Io(error)
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::Io(error) => error.fmt(f),
            LoadError::Foreign => f.write_str("this is no saved cache, or its start is damaged"),
            LoadError::Version(version) => write!(f, "it was saved by another release (version {version}, not {VERSION})"),
            LoadError::SavedInTheFuture => f.write_str("it was saved later than the clock shows, so its age is unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::cache::Entry;
    use super::super::cache::tests::{a_set, at, cache, name};
    use super::super::denials::{Denial, DenialKind};
    use super::super::entries::CacheLimits;
    use super::super::sets::Stored;
    use super::*;
    use crate::env::Random;
    use crate::record::{Ede, EdeCode, Question, RrSet};

    const BOOT: [u8; 16] = [7; 16];

    /// `secs` after boot, by both clocks.
    fn moment(secs: u64) -> Moment {
        Moment { boot_id: BOOT, boot: at(secs), wall: WallTime(1_000_000 + secs) }
    }

    fn saved(cache: &Cache, at: &Moment) -> Vec<u8> {
        let mut file = Vec::new();
        cache.save(at, &mut file).expect("memory takes all");
        file
    }

    fn loaded(file: &[u8], now: &Moment) -> (Cache, Result<Loaded, LoadError>) {
        let cache = cache();
        let result = cache.load(now, &mut &file[..]);
        (cache, result)
    }

    fn soa() -> RrSet {
        RrSet::with(name("test."), Rtype::SOA, 60, &[&b"\x02ns\x00\x00"[..], &[0; 16], &60u32.to_be_bytes()].concat())
    }

    fn denial(kind: DenialKind) -> Denial {
        let mut proof = RrSet::with(name("a.test."), Rtype::NSEC, 60, b"\x01z\x04test\x00\x00\x01\x40");
        proof.sigs.push(&[&[0; 18][..], b"\x04test\x00", &[1; 64]].concat());
        Denial { kind, soa: Some(soa()), proof: vec![proof], security: Security::Secure, relayed: false }
    }

    /// Of every kind that is saved, and of every kind that is not.
    fn filled() -> Cache {
        let cache = cache();
        let mut signed = a_set("signed.test.", 300, 1);
        signed.sigs.push(&[&[0; 18][..], b"\x04test\x00", &[1; 64]].concat());
        let sets = [
            (signed, Rank::AuthAnswer, Security::Secure),
            (a_set("plain.test.", 600, 2), Rank::Answer, Security::Insecure),
            (a_set("glue.test.", 600, 3), Rank::Glue, Security::Indeterminate),
            (a_set("bogus.test.", 600, 4), Rank::AuthAnswer, Security::Bogus),
            (RrSet::with(name("test."), Rtype::DELEGATION, 600, &[0]), Rank::Referral, Security::Indeterminate),
            (RrSet::with(name("large.test."), Rtype::TXT, 600, &[9; 60_000]), Rank::AuthAnswer, Security::Insecure),
        ];
        for (set, rank, security) in sets {
            assert_eq!(cache.sets().put(&set, rank, security, at(1000)), Stored::Yes);
        }
        cache.sets().put(&a_set("ns.test.", 600, 5), Rank::Glue, Security::Indeterminate, at(1000));
        let missing = Question::new(name("missing.test."), Rtype::A);
        cache.denials().put(&missing, &denial(DenialKind::NxDomain), at(1000));
        cache.denials().put(&Question::new(name("plain.test."), Rtype::TXT), &denial(DenialKind::NoData), at(1000));
        cache.failures().put(&Question::new(name("failed.test."), Rtype::A), &Ede::new(EdeCode::NETWORK_ERROR, ""), 300, at(1000));
        cache
    }

    fn shown(cache: &Cache, now: u64) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        cache.dump(at(now), |entry| {
            lines.insert(match entry {
                Entry::Set(set) => format!("{} {} {} {:?} {:?}", set.set.name, set.set.rtype, set.set.ttl, set.rank, set.security),
                Entry::Denial(question, denied) => format!("{question} {:?} {} {:?}", denied.kind, denied.ttl, denied.security),
                Entry::Failure(..) => "a failure".to_owned(),
            });
        });
        lines
    }

    #[test]
    fn what_is_worth_it_comes_back_unproved_and_older() {
        let file = saved(&filled(), &moment(1010));
        let (cache, result) = loaded(&file, &moment(1030));
        assert_eq!(result.expect("whole"), Loaded { taken: 8, left: 0, damaged: false, age_s: 20 });
        let expected = [
            "glue.test. A 570 Glue Indeterminate",
            "large.test. TXT 570 AuthAnswer Indeterminate",
            "missing.test. TYPE0 NxDomain 30 Indeterminate",
            "ns.test. A 570 Glue Indeterminate",
            "plain.test. A 570 Answer Indeterminate",
            "plain.test. TXT NoData 30 Indeterminate",
            "signed.test. A 270 AuthAnswer Indeterminate",
            "test. TYPE248 570 Referral Indeterminate",
        ];
        assert_eq!(shown(&cache, 1030), expected.map(str::to_owned).into());
        let got = cache.denials().get(&Question::new(name("missing.test."), Rtype::A), at(1031)).expect("live");
        let whole = denial(DenialKind::NxDomain);
        assert_eq!((got.proof[0].data.clone(), got.proof[0].sigs.clone()), (whole.proof[0].data.clone(), whole.proof[0].sigs.clone()));
        assert!(cache.sets().get(&name("ns.test."), Rtype::A, at(1031)).is_some(), "found where glue of the top level is kept");
    }

    #[test]
    fn the_drawing_is_true() {
        let cache = cache();
        cache.sets().put(&a_set("a.", 60, 9), Rank::AuthAnswer, Security::Secure, at(1000));
        let file = saved(&cache, &Moment { boot_id: BOOT, boot: at(1001), wall: WallTime(0x1_0000_0002) });
        let head = [&MAGIC[..], &[1, 0, 0, 0], &BOOT, &1001u32.to_le_bytes(), &[2, 0, 0, 0, 1, 0, 0, 0]].concat();
        let entry = [&[1, 3, 0, 1][..], &1060u32.to_le_bytes(), &60u32.to_le_bytes(), &[36, 0, 0, 1000u32 as u8, 6 | 2 << 3], b"\x01a\x00"];
        let body = [&[0; 7][..], &[6, 0, 0], &[0, 4, 192, 0, 2, 9]];
        let entry = [entry.concat(), body.concat()].concat();
        let block_head = [36, 0, 0, 0, 1, 0, 0, 0];
        let expected = [&head[..], &sum(&[&head]), &block_head, &sum(&[&block_head, &entry]), &entry].concat();
        assert_eq!(file, expected);
        assert_eq!(sum(&[b"cairn"]), 0x0416_9f24_0b45_244c_u64.to_le_bytes(), "the sum is the same in every release");
    }

    #[test]
    fn how_long_it_was_away() {
        let now = |boot_id: [u8; 16], boot: u64, wall: u64| Moment { boot_id, boot: at(boot), wall: WallTime(wall) };
        let then = now(BOOT, 1000, 5000);
        let rows = [
            ("the same boot, whatever the wall clock says", BOOT, 1300, 9_999_999, Some(300)),
            ("the same boot, the wall clock set back", BOOT, 1300, 10, Some(300)),
            ("another boot", [8; 16], 20, 5400, Some(400)),
            ("another boot, no clock yet", [8; 16], 20, 10, None),
            ("the same boot, but its clock has gone back", BOOT, 20, 5400, Some(400)),
        ];
        for (what, boot_id, boot, wall, away) in rows {
            assert_eq!(then.until(&now(boot_id, boot, wall)), away, "{what}");
        }
        let unknown = Moment { boot_id: [0; 16], ..then };
        assert_eq!(unknown.until(&now([0; 16], 1300, 5100)), Some(100), "an unknown boot is never the same one");
        let (cache, result) = loaded(&saved(&filled(), &then), &now([8; 16], 20, 10));
        assert!(matches!(result, Err(LoadError::SavedInTheFuture)) && shown(&cache, 20).is_empty());
    }

    #[test]
    fn what_ended_meanwhile_is_stale_or_gone() {
        let file = saved(&filled(), &moment(1010));
        let (cache, result) = loaded(&file, &moment(1700));
        assert_eq!(result.map(|loaded| (loaded.taken, loaded.left)).expect("whole"), (8, 0));
        assert!(cache.denials().get(&Question::new(name("missing.test."), Rtype::A), at(1700)).is_none());
        let stale: Vec<_> = cache.denials().all_stale(&Question::new(name("missing.test."), Rtype::A), at(1700)).collect();
        assert_eq!(
            stale.iter().map(|got| (got.security, got.last_judged)).collect::<Vec<_>>(),
            [(Security::Indeterminate, Security::Secure)]
        );
        assert!(cache.sets().get(&name("plain.test."), Rtype::A, at(1700)).is_none());
        assert_eq!(cache.sets().get_stale(&name("plain.test."), Rtype::A, at(1700)).map(|got| got.stale_s), Some(100));
        let (_, result) = loaded(&file, &moment(1600 + 86_400));
        assert_eq!(result.map(|loaded| loaded.taken).expect("whole"), 0);
        // Before the boot clock's zero nothing can end.
        let (_, result) = loaded(&file, &Moment { boot_id: [8; 16], boot: at(5), wall: WallTime(1_001_700) });
        assert_eq!(result.map(|loaded| loaded.taken).expect("whole"), 0);
    }

    #[test]
    fn no_life_is_longer_than_the_limits() {
        let file = saved(&filled(), &moment(1010));
        let limits = CacheLimits { bytes: 4 << 20, max_ttl: 100, negative_max_ttl: 10, ..CacheLimits::default() };
        let cache = Cache::new(limits, &Random::from_seed(9));
        cache.load(&moment(1011), &mut &file[..]).expect("whole");
        assert!(cache.sets().get(&name("plain.test."), Rtype::A, at(1110)).is_some());
        assert!(cache.sets().get(&name("plain.test."), Rtype::A, at(1111)).is_none());
        assert!(cache.denials().get(&Question::new(name("missing.test."), Rtype::A), at(1021)).is_none());
    }

    #[test]
    fn what_was_learned_since_wins() {
        let file = saved(&filled(), &moment(1010));
        let cache = cache();
        cache.sets().put(&a_set("plain.test.", 5, 99), Rank::Glue, Security::Indeterminate, at(1010));
        cache.sets().put(&a_set("missing.test.", 60, 98), Rank::Answer, Security::Indeterminate, at(1010));
        cache.denials().put(&Question::new(name("signed.test."), Rtype::A), &denial(DenialKind::NxDomain), at(1010));
        let result = cache.load(&moment(1011), &mut &file[..]).expect("whole");
        assert_eq!((result.taken, result.left), (5, 3));
        assert_eq!(cache.sets().get(&name("plain.test."), Rtype::A, at(1011)).map(|got| got.set.ttl), Some(4));
        assert!(cache.denials().get(&Question::new(name("missing.test."), Rtype::AAAA), at(1011)).is_none());
        assert!(cache.sets().get(&name("signed.test."), Rtype::A, at(1011)).is_none());
    }

    #[test]
    fn a_load_pushes_nothing_out_and_goes_first() {
        let limits = CacheLimits { bytes: 1 << 20, ..CacheLimits::default() };
        let (old, new) = (Cache::new(limits, &Random::from_seed(1)), Cache::new(limits, &Random::from_seed(2)));
        let put = |cache: &Cache, kind: &str, n: u32, now: u64| {
            let set = RrSet::with(name(&format!("{kind}{n}.test.")), Rtype::TXT, 6000, &[1; 900]);
            cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, at(now));
        };
        (0..2000).for_each(|n| put(&old, "old", n, 1000));
        let fresh = 300;
        (0..fresh).for_each(|n| put(&new, "new", n, 1001));
        let result = new.load(&moment(1002), &mut &saved(&old, &moment(1001))[..]).expect("whole");
        assert!(result.taken > 100 && result.left > 100, "{result:?}");
        let held = |kind: &str, count| {
            (0..count).filter(|n| new.sets().get(&name(&format!("{kind}{n}.test.")), Rtype::TXT, at(1003)).is_some()).count()
        };
        assert_eq!((new.stats().evictions, held("new", fresh)), (0, fresh as usize));
        // Looking at the old ones has made them used; three more of the new ones are put than there is room for.
        let cache = Cache::new(limits, &Random::from_seed(2));
        (0..fresh).for_each(|n| put(&cache, "new", n, 1001));
        cache.load(&moment(1002), &mut &saved(&old, &moment(1001))[..]).expect("whole");
        (fresh..fresh + 100).for_each(|n| put(&cache, "new", n, 1003));
        let kept = (0..fresh + 100).filter(|n| cache.sets().get(&name(&format!("new{n}.test.")), Rtype::TXT, at(1004)).is_some()).count();
        assert_eq!(kept, fresh as usize + 100);
    }

    /// Wherever a file is cut or an octet of it is wrong, what is taken is what was saved, and nothing panics.
    #[test]
    fn only_whole_parts_are_taken() {
        let cache = cache();
        for n in 0..40 {
            let set = RrSet::with(name(&format!("n{n}.test.")), Rtype::TXT, 600, &vec![n as u8; n * 3]);
            cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, at(1000));
        }
        cache.denials().put(&Question::new(name("missing.test."), Rtype::A), &denial(DenialKind::NxDomain), at(1000));
        let file = saved(&cache, &moment(1000));
        let (whole, result) = loaded(&file, &moment(1000));
        let (all, most) = (shown(&whole, 1000), result.expect("whole").taken);
        assert_eq!(most, 41);
        let check = |what: &str, file: &[u8], must_show: bool| {
            let (cache, result) = loaded(file, &moment(1000));
            let seen = shown(&cache, 1000);
            assert!(seen.is_subset(&all), "{what}");
            match result {
                Ok(Loaded { taken, damaged, .. }) => {
                    assert_eq!((taken, damaged || !must_show), (seen.len(), true), "{what}");
                    taken
                }
                Err(error) => {
                    assert!(matches!(error, LoadError::Foreign | LoadError::Version(_)) && seen.is_empty(), "{what}: {error:?}");
                    0
                }
            }
        };
        let mut last = 0;
        for len in 0..file.len() {
            // At the end of a block a file that was cut looks whole, and is.
            let taken = check(&format!("cut at {len}"), &file[..len], false);
            assert!(taken >= last && taken < most);
            last = taken;
        }
        assert!(last > 0, "there are several blocks");
        for place in 0..file.len() {
            for flip in [1, 0x80, 0xff] {
                let mut file = file.clone();
                file[place] ^= flip;
                assert!(check(&format!("{flip:x} at {place}"), &file, true) < most);
            }
        }
    }

    #[test]
    fn what_may_stand_in_a_slot() {
        let put = |at: usize, octets: &'static [u8]| move |entry: &mut Vec<u8>| entry[at..at + octets.len()].copy_from_slice(octets);
        let cut = |len: usize| move |entry: &mut Vec<u8>| entry.truncate(len);
        type Change = Box<dyn Fn(&mut Vec<u8>)>;
        let rows: [(&str, bool, Change); 17] = [
            ("a set", true, Box::new(|_| ())),
            ("no kind", false, Box::new(put(0, &[0]))),
            ("a ready answer", false, Box::new(put(0, &[3]))),
            ("a name that goes on", false, Box::new(put(1, &[200]))),
            ("a name in capitals", false, Box::new(put(18, b"A"))),
            ("the type of NXDOMAIN", false, Box::new(put(2, &[0, 0]))),
            ("OPT", false, Box::new(put(2, &[0, 41]))),
            ("AAAA of 4 octets", false, Box::new(put(2, &[0, 28]))),
            ("TTL 0", false, Box::new(put(8, &[0; 4]))),
            ("no rank", false, Box::new(put(16, &[7]))),
            (
                "a denial without an SOA or a proof",
                true,
                Box::new(|entry| {
                    (entry[16], entry[20]) = (0x80, 0);
                    entry.truncate(21);
                }),
            ),
            (
                "a denial whose SOA is missing",
                false,
                Box::new(|entry| {
                    (entry[16], entry[20]) = (0x80, 1);
                    entry.truncate(21);
                }),
            ),
            (
                "a denial of no octets",
                false,
                Box::new(|entry| {
                    entry[16] = 0x80;
                    entry.truncate(20);
                }),
            ),
            (
                "NXDOMAIN under a type",
                false,
                Box::new(|entry| {
                    (entry[16], entry[20]) = (0x81, 0);
                    entry.truncate(21);
                }),
            ),
            ("no data", false, Box::new(cut(30))),
            ("data that ends too soon", false, Box::new(cut(35))),
            ("a signature of nothing", false, Box::new(|entry| entry.extend_from_slice(&[0, 0]))),
        ];
        let cache = cache();
        cache.sets().put(&a_set("a.", 60, 9), Rank::AuthAnswer, Security::Secure, at(1000));
        let file = saved(&cache, &moment(1000));
        let entry = &file[HEAD_BYTES + BLOCK_HEAD_BYTES..];
        for (what, sound, change) in rows {
            let mut entry = entry.to_vec();
            change(&mut entry);
            entry = entry::finish(entry);
            assert_eq!(is_sound(&entry), sound, "{what}");
            let (_, result) = loaded(&forged(&entry, false), &moment(1000));
            assert_eq!(result.map(|loaded| loaded.taken).ok(), Some(usize::from(sound)), "{what}");
        }
    }

    /// Sums can be made by anybody: entries of any octets under right ones.
    fn forged(entries: &[u8], protected: bool) -> Vec<u8> {
        let mut block = vec![0; BLOCK_HEAD_BYTES];
        block.extend_from_slice(entries);
        close_block(&mut block, protected);
        [head(&moment(1000)), block].concat()
    }

    /// Everything that reads entries.
    fn read_all(cache: &Cache) {
        use super::super::answers::AnswerKey;
        cache.dump(at(1000), |entry| {
            let (owner, rtype) = match entry {
                Entry::Set(set) => (set.set.name, set.set.rtype),
                Entry::Denial(question, _) | Entry::Failure(question, _) => (question.name, question.rtype),
            };
            let question = Question::new(owner.clone(), rtype);
            let _ = (cache.sets().get_stale(&owner, rtype, at(1000)), cache.denials().get(&question, at(1000)));
            let key = AnswerKey { qname: owner.as_wire(), qtype: rtype, dnssec_ok: true, group: 0, generation: 0 };
            cache.answers().copy(&key, at(1000), 1232, &mut [0; 1232]);
            cache.sets().put(&a_set("x.test.", 60, 1), Rank::AuthAnswer, Security::Secure, at(1000));
        });
        cache.flush(&name("test."), true);
        assert!(cache.stats().bytes <= 4 << 20);
    }

    proptest! {
        #[test]
        fn hostile_entries_are_left(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(), protected in any::<bool>(),
        ) {
            let mut entries = Vec::new();
            let _: Result<(), ()> = filled().entries.store.each_page(|_, page| {
                entries.extend_from_slice(&page[..page.len().min(2000)]);
                Ok(())
            });
            for (place, octet) in changes {
                let place = place.index(entries.len());
                entries[place] = octet;
            }
            entries.truncate(1 + cut.index(entries.len()));
            let (cache, result) = loaded(&forged(&entries, protected), &moment(1000));
            prop_assert!(result.is_ok());
            read_all(&cache);
        }

        #[test]
        fn any_octets_at_all(octets in proptest::collection::vec(any::<u8>(), 0..300), protected in any::<bool>()) {
            let (cache, result) = loaded(&forged(&octets, protected), &moment(1000));
            prop_assert!(result.is_ok());
            read_all(&cache);
            let (_, result) = loaded(&octets, &moment(1000));
            prop_assert!(matches!(result, Err(LoadError::Foreign)));
        }
    }
}
