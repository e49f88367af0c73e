//! Makes the table of all lists out of their rules, in little more memory than the table takes.
//!
//! Each rule becomes a record of ten octets, which goes into one of 64 partitions by its hash; a partition after the other is
//! sorted and becomes segments. Beside a table that is in force, and for very many names, the partitions are filled in several rounds,
//! for which the lists are read again each time: only a part of the records is in memory at once. Lists that have not changed are taken over from the
//! old table, and so are segments in which nothing has changed.

use super::combination::{Combinations, Mark};
use super::detailed::{self, DetailedRule};
use super::segment::{Segment, Split};
use super::table::hash;
use super::{ListId, ListSet, Lists, Rule};
use crate::limits::lists::{
    COMBINATIONS_KEPT_MAX, FREED_BYTES_MAX, ROUNDS, ROUNDS_AT_START, ROUNDS_AT_START_FROM_NAMES, ROUNDS_FROM_NAMES,
};

const PARTITION_BITS: u32 = 6;
const PARTITIONS: usize = 1 << PARTITION_BITS;
const RECORD: usize = 10;
/// The first piece of a partition. Most tables need no other.
const FIRST_CHUNK: usize = RECORD * 1_600;
/// A later one: so large (over 512 KiB) that the allocator keeps nothing else beside it, and can give its memory back once it is free.
/// What is not written takes no memory.
const CHUNK: usize = RECORD * 54_000;
const ONE_ROUND: &[usize] = &[PARTITIONS];

/// Takes the rules of all lists, as often as there are rounds.
pub struct Builder<'o> {
    old: &'o Lists,
    /// For each list its place in the old table, if it is taken over from there.
    kept: Vec<Option<ListId>>,
    /// Combinations have the same numbers as in the old table.
    shares: bool,
    next: Lists,
    /// Records of each partition, in pieces, so that none is ever copied to grow.
    partitions: Vec<Vec<Vec<u8>>>,
    /// The partitions of this round.
    round: Option<usize>,
    /// How many partitions each round is for.
    rounds: &'static [usize],
    /// The number of segments has been chosen.
    is_split: bool,
    counts: Vec<u64>,
    problem: Option<TooMuch>,
    /// Has the allocator give back what is free.
    give_back: fn(),
    /// Octets that have been freed since.
    freed: usize,
}

/// The lists do not fit into one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMuch;

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the lists have too many names, or overlap in too many ways")
    }
}

impl<'o> Builder<'o> {
    /// `names`: what the configuration calls the lists, in their order. `key` is secret, and used where the old table is empty.
    /// `kept`: for each list its place in the old table, if it is as it was.
    pub fn new(names: Vec<String>, key: [u64; 2], old: &'o Lists, kept: Vec<Option<ListId>>) -> Builder<'o> {
        let key = if old.is_empty() { key } else { old.key };
        let shares = !old.is_empty() && old.combinations.len() <= COMBINATIONS_KEPT_MAX;
        let combinations = if shares { old.combinations.clone() } else { Combinations::default() };
        let rounds = if old.len < ROUNDS_FROM_NAMES { ONE_ROUND } else { ROUNDS };
        let next = Lists { names, key, combinations, ..Lists::default() };
        let partitions = (0..PARTITIONS).map(|_| Vec::new()).collect();
        Builder {
            old,
            kept,
            shares,
            next,
            partitions,
            round: None,
            rounds,
            is_split: false,
            counts: Vec::new(),
            problem: None,
            give_back: || (),
            freed: 0,
        }
    }

    /// `give_back` has the allocator give back what is free. Without it, all records of a round and their part of the table take
    /// memory side by side.
    pub fn giving_back(self, give_back: fn()) -> Builder<'o> {
        Builder { give_back, ..self }
    }

    /// About so many names will come.
    pub fn expecting(mut self, names: usize) -> Builder<'o> {
        if names >= ROUNDS_AT_START_FROM_NAMES {
            self.rounds = if self.rounds.len() < ROUNDS_AT_START.len() { ROUNDS_AT_START } else { self.rounds };
        }
        self
    }

    /// Is there another round, for which all rules of lists that are not kept are to be added?
    pub fn next_round(&mut self) -> bool {
        if self.round.is_some() {
            self.end_round();
        }
        let round = self.round.map_or(0, |round| round + 1);
        if round == self.rounds.len() {
            return false;
        }
        self.round = Some(round);
        self.take_over();
        true
    }

    fn range(&self) -> std::ops::Range<usize> {
        let round = self.round.unwrap_or(0);
        let start: usize = self.rounds.iter().take(round).sum();
        start..start + self.rounds.get(round).copied().unwrap_or(0)
    }

    pub fn add(&mut self, list: ListId, rule: &Rule<'_>) {
        let hash = hash(self.next.key, rule.name);
        if !self.range().contains(&partition(hash)) {
            return;
        }
        self.next.has_single_labels |= rule.name.first().is_some_and(|len| rule.name.len() == usize::from(*len) + 2);
        let Rule { kind, reach, cancels, .. } = *rule;
        match rule.detail.clone() {
            None => self.record(hash, Mark::of(list, kind, reach, cancels)),
            Some(detail) => {
                self.next.detailed.entry(hash).or_default().push(DetailedRule {
                    list,
                    kind,
                    reach,
                    cancels,
                    unless: ListSet::default(),
                    detail,
                });
                self.record(hash, Mark::detailed(list));
            }
        }
    }

    fn record(&mut self, hash: u64, mark: Mark) {
        let Some(chunks) = self.partitions.get_mut(partition(hash)) else { return };
        if chunks.last().is_none_or(|chunk| chunk.len() + RECORD > chunk.capacity()) {
            chunks.push(Vec::with_capacity(if chunks.is_empty() { FIRST_CHUNK } else { CHUNK }));
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.extend_from_slice(&hash.to_le_bytes());
            chunk.extend_from_slice(&mark.bits().to_le_bytes());
        }
    }

    /// Adds the records of lists that are kept, as far as they belong to this round.
    fn take_over(&mut self) {
        let place =
            |list: ListId, kept: &[Option<ListId>]| (0u8..).zip(kept).find(|(_, old)| **old == Some(list)).map(|(at, _)| ListId(at));
        if self.kept.iter().all(Option::is_none) {
            return;
        }
        let old = self.old;
        self.next.has_single_labels |= old.has_single_labels;
        let range = self.range();
        let each = old.split.segments() / PARTITIONS;
        for at in range.start * each..range.end * each {
            let Some(segment) = old.segments.get(at) else { continue };
            segment.each(old.split, at, |hash, number| {
                for mark in old.combinations.get(number).map(|combination| &*combination.marks).unwrap_or_default() {
                    if let Some(list) = place(mark.list(), &self.kept) {
                        self.record(hash, mark.with_list(list));
                    }
                }
            });
        }
        for (hash, rules) in old.detailed.iter().filter(|(hash, _)| range.contains(&partition(**hash))) {
            for rule in rules {
                if let Some(list) = place(rule.list, &self.kept) {
                    self.next.detailed.entry(*hash).or_default().push(DetailedRule { list, unless: ListSet::default(), ..rule.clone() });
                }
            }
        }
    }

    fn end_round(&mut self) {
        let range = self.range();
        if !self.is_split {
            self.is_split = true;
            let records: usize = self.partitions.iter().flatten().map(|chunk| chunk.len() / RECORD).sum();
            self.split(records * PARTITIONS / range.len().max(1));
        }
        for partition in range {
            let chunks = self.partitions.get_mut(partition).map(std::mem::take).unwrap_or_default();
            let octets: usize = chunks.iter().map(Vec::len).sum();
            let mut records: Vec<(u64, u16)> = Vec::with_capacity(octets / RECORD);
            for chunk in chunks {
                records.extend(chunk.chunks_exact(RECORD).map(|octets| {
                    let hash = u64::from_le_bytes([octets[0], octets[1], octets[2], octets[3], octets[4], octets[5], octets[6], octets[7]]);
                    (self.next.split.kept(hash), u16::from_le_bytes([octets[8], octets[9]]))
                }));
            }
            records.sort_unstable();
            records.dedup();
            self.freed += octets;
            if self.freed >= FREED_BYTES_MAX {
                self.freed = 0;
                (self.give_back)();
            }
            self.segments(partition, &records);
        }
    }

    /// Chooses the number of segments.
    fn split(&mut self, names: usize) {
        let old = self.old.split;
        self.next.split = match self.kept.iter().any(Option::is_some) {
            _ if !self.old.is_empty() && old.suits(names) => old,
            // Of what is kept, no more bits of its hashes are known.
            true => Split::for_names(names).min(old),
            false => Split::for_names(names),
        };
        self.next.segments.reserve_exact(self.next.split.segments());
    }

    /// Makes the segments of one partition out of its sorted records.
    fn segments(&mut self, partition: usize, records: &[(u64, u16)]) {
        let split = self.next.split;
        let each = split.segments() / PARTITIONS;
        let mut rest = records;
        let (mut entries, mut marks): (Vec<(u64, u16)>, Vec<Mark>) = (Vec::new(), Vec::new());
        for at in partition * each..(partition + 1) * each {
            let len = rest.iter().take_while(|(hash, _)| split.segment(*hash) == at).count();
            let (of_segment, after) = rest.split_at(len);
            rest = after;
            entries.clear();
            for same in of_segment.chunk_by(|one, other| one.0 == other.0) {
                marks.clear();
                marks.extend(same.iter().map(|(_, bits)| Mark::from_bits(*bits)));
                match self.next.combinations.number(&marks) {
                    Some(number) => entries.push((same[0].0, number)),
                    None => self.problem = Some(TooMuch),
                }
            }
            for (_, number) in &entries {
                let number = usize::from(*number);
                if self.counts.len() <= number {
                    self.counts.resize(number + 1, 0);
                }
                self.counts[number] += 1;
            }
            self.next.len += entries.len();
            match Segment::of(split, &entries) {
                Some(segment) => {
                    let same = self.old.segments.get(at).filter(|old| self.shares && self.old.split == split && **old == segment);
                    let segment = same.cloned().unwrap_or(segment);
                    self.next.segments.push(segment);
                }
                None => self.problem = Some(TooMuch),
            }
        }
    }

    /// The table, after the last round.
    pub fn finish(self) -> Result<Lists, TooMuch> {
        let Builder { mut next, counts, problem, .. } = self;
        next.detailed.values_mut().for_each(|rules| detailed::settle(rules));
        next.counts = vec![0; next.names.len()];
        for (number, count) in (0..).zip(counts).filter(|(_, count)| *count > 0) {
            let marks = next.combinations.get(number).map(|combination| &*combination.marks).unwrap_or_default();
            let mut before = None;
            let mut lists: Vec<ListId> = marks.iter().map(|mark| mark.list()).collect();
            lists.sort_unstable();
            for list in lists {
                if before.replace(list) != Some(list)
                    && let Some(sum) = next.counts.get_mut(usize::from(list.0))
                {
                    *sum += count;
                }
            }
        }
        problem.map_or(Ok(next), Err)
    }
}

fn partition(hash: u64) -> usize {
    (hash >> (64 - PARTITION_BITS)) as usize
}
