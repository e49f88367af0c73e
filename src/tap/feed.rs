//! What workers write to, and what the reader reads from.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::answered::Answered;
use super::passed::Passed;
use super::ring::Ring;

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    Nothing,
    /// One of this many.
    Each(u32),
    /// Only answers other than NOERROR and NXDOMAIN, one of this many.
    Failing(u32),
}

/// The rings of all workers, and their one reader.
pub struct Tap {
    /// 0: nothing, 1: all, 2: what fails.
    what: AtomicU8,
    one_of: AtomicU32,
    rings: Mutex<Vec<Arc<Ring>>>,
    /// Held by the one who reads, who may be slow; `rings` is held for moments only, since workers wait for it.
    reading: Mutex<()>,
    ring_bytes: usize,
    /// By rings of workers that are gone.
    left_out: AtomicU64,
}

/// One worker's way in. Its ring is made when it is needed first.
pub struct Feed {
    tap: Arc<Tap>,
    ring: OnceCell<Arc<Ring>>,
    record: RefCell<Vec<u8>>,
    /// Of those that were not told since the last that was.
    passed_over: std::cell::Cell<u32>,
}

impl Tap {
    /// `ring_bytes`: for each worker that has something to tell.
    pub fn new(ring_bytes: usize) -> Arc<Tap> {
        Arc::new(Tap {
            what: AtomicU8::new(0),
            one_of: AtomicU32::new(1),
            rings: Mutex::default(),
            reading: Mutex::default(),
            ring_bytes,
            left_out: AtomicU64::new(0),
        })
    }

    /// In force for what comes from now on.
    pub fn set(&self, rule: Rule) {
        let (what, one_of) = match rule {
            Rule::Nothing => (0, 1),
            Rule::Each(one_of) => (1, one_of),
            Rule::Failing(one_of) => (2, one_of),
        };
        self.one_of.store(one_of.max(1), Ordering::Relaxed);
        self.what.store(what, Ordering::Relaxed);
    }

    /// Whether somebody reads.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.what.load(Ordering::Relaxed) != 0
    }

    /// For one more worker.
    pub fn feed(self: &Arc<Self>) -> Feed {
        Feed { tap: Arc::clone(self), ring: OnceCell::new(), record: RefCell::default(), passed_over: std::cell::Cell::new(0) }
    }

    /// Hands out the records of all rings, of each at most about as many as it can hold, and says how many there were.
    pub fn read(&self, mut each: impl FnMut(&[u8])) -> usize {
        let _reading = self.reading.lock();
        let (mut count, mut record) = (0, Vec::new());
        let all = self.rings.lock().clone();
        for ring in &all {
            // A writer that is faster than the reader must not keep it at one ring.
            let mut octets = 0;
            while octets < self.ring_bytes && ring.pop(&mut record) {
                each(&record);
                octets += record.len() + 8;
                count += 1;
            }
        }
        drop(all);
        // Of workers that are gone, once they are empty.
        self.rings.lock().retain(|ring| {
            let is_used = Arc::strong_count(ring) > 1 || !ring.is_empty();
            if !is_used {
                self.left_out.fetch_add(ring.left_out(), Ordering::Relaxed);
            }
            is_used
        });
        count
    }

    /// Memory of all rings.
    pub fn octets(&self) -> usize {
        self.rings.lock().len() * self.ring_bytes.next_power_of_two()
    }

    /// Records that found no room.
    pub fn left_out(&self) -> u64 {
        let rings = self.rings.lock();
        rings.iter().map(|ring| ring.left_out()).sum::<u64>() + self.left_out.load(Ordering::Relaxed)
    }
}

impl Feed {
    /// Whether somebody reads.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.tap.is_on()
    }

    /// Tells of an answer, if it is one of those that are told.
    pub fn answered(&self, answered: &Answered<'_>) {
        const TOLD_AS_FOUND: [u16; 2] = [0, 3];
        if self.tap.what.load(Ordering::Relaxed) == 2 && TOLD_AS_FOUND.contains(&answered.rcode) {
            return;
        }
        if self.is_turn() {
            self.push(|record| answered.put(record));
        }
    }

    /// Tells of a message.
    pub fn passed(&self, passed: &Passed<'_>) {
        self.push(|record| passed.put(record));
    }

    /// One of so many is told.
    fn is_turn(&self) -> bool {
        let passed_over = self.passed_over.get() + 1;
        let is_turn = passed_over >= self.tap.one_of.load(Ordering::Relaxed);
        self.passed_over.set(if is_turn { 0 } else { passed_over });
        is_turn
    }

    fn push(&self, put: impl FnOnce(&mut Vec<u8>)) {
        let ring = self.ring.get_or_init(|| {
            let ring = Arc::new(Ring::new(self.tap.ring_bytes));
            self.tap.rings.lock().push(Arc::clone(&ring));
            ring
        });
        let mut record = self.record.borrow_mut();
        record.clear();
        put(&mut record);
        ring.push(&record);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;
    use crate::record::Security;

    fn answered(rcode: u16) -> Answered<'static> {
        Answered {
            came_us: 1,
            took_us: 2,
            client: "192.0.2.1:5300".parse().expect("an address"),
            transport: "udp",
            opcode: 0,
            name: b"\x01a\0",
            rtype: 1,
            class: 1,
            rcode,
            answers: 1,
            source: "cache",
            verdict: Security::Indeterminate,
            is_dropped: false,
            reason: Reason::default(),
        }
    }

    fn rcodes(tap: &Tap) -> Vec<u16> {
        let mut rcodes = Vec::new();
        tap.read(|record| rcodes.extend(Answered::read(record).map(|answered| answered.rcode)));
        rcodes
    }

    #[test]
    fn the_rule_says_what_is_told() {
        let tap = Tap::new(1 << 14);
        let feed = tap.feed();
        assert!(!feed.is_on());
        for (rule, expected) in
            [(Rule::Each(1), &[0, 2, 3, 5, 0, 2][..]), (Rule::Failing(1), &[2, 5, 2]), (Rule::Each(3), &[3, 2]), (Rule::Failing(2), &[5])]
        {
            tap.set(rule);
            assert!(feed.is_on());
            feed.passed_over.set(0);
            [0, 2, 3, 5, 0, 2].iter().for_each(|rcode| feed.answered(&answered(*rcode)));
            assert_eq!(rcodes(&tap), expected, "{rule:?}");
        }
        tap.set(Rule::Nothing);
        assert!(!feed.is_on());
    }

    #[test]
    fn what_finds_no_room_is_counted_also_when_its_worker_is_gone() {
        let tap = Tap::new(256);
        tap.set(Rule::Each(1));
        let (one, other) = (tap.feed(), tap.feed());
        assert_eq!(tap.octets(), 0, "nobody has told anything");
        (0..10).for_each(|_| one.answered(&answered(0)));
        other.answered(&answered(2));
        assert_eq!(tap.octets(), 512);
        let held = 11 - tap.left_out() as usize;
        assert!((2..11).contains(&held), "{held}");
        drop(one);
        assert_eq!(rcodes(&tap).len(), held);
        assert_eq!((rcodes(&tap).len(), tap.left_out() as usize), (0, 11 - held));
        assert_eq!(tap.rings.lock().len(), 1, "the ring of the worker that is gone is freed");
    }
}
