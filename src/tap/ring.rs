//! A ring of octets between one writer and one reader. The writer never waits: what finds no room is left out and counted.
//!
//! It is made of words that are read and written atomically, so that it needs no `unsafe`. A record is its length in octets, one
//! word, and then its octets.

use std::sync::atomic::{AtomicU64, Ordering};

const WORD: usize = 8;

/// Keeps what one thread writes out of the cache lines of what the other writes.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Positions count words and only grow; `written - read` words are in the ring.
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    written: Apart<AtomicU64>,
    read: Apart<AtomicU64>,
    left_out: AtomicU64,
}

impl Ring {
    /// With room for this many octets, rounded up to a power of two.
    pub(super) fn new(bytes: usize) -> Ring {
        let count = bytes.div_ceil(WORD).next_power_of_two();
        Ring {
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
            written: Apart::default(),
            read: Apart::default(),
            left_out: AtomicU64::new(0),
        }
    }

    /// Called by one thread only. Whether there was room.
    pub(super) fn push(&self, record: &[u8]) -> bool {
        let at = self.written.0.load(Ordering::Relaxed);
        let used = at.wrapping_sub(self.read.0.load(Ordering::Acquire));
        let needed = 1 + record.len().div_ceil(WORD) as u64;
        if needed > self.words.len() as u64 - used {
            // One writer: no locked instruction is needed.
            self.left_out.store(self.left_out.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return false;
        }
        let mut place = at;
        let mut put = |word: u64| {
            self.word(place).store(word, Ordering::Relaxed);
            place = place.wrapping_add(1);
        };
        put(record.len() as u64);
        let (whole, rest) = record.as_chunks::<WORD>();
        whole.iter().for_each(|octets| put(u64::from_le_bytes(*octets)));
        if !rest.is_empty() {
            let mut octets = [0; WORD];
            octets[..rest.len()].copy_from_slice(rest);
            put(u64::from_le_bytes(octets));
        }
        self.written.0.store(place, Ordering::Release);
        true
    }

    /// Called by one thread at a time. Replaces `record` by the oldest one; `false`: there is none.
    pub(super) fn pop(&self, record: &mut Vec<u8>) -> bool {
        let at = self.read.0.load(Ordering::Relaxed);
        if at == self.written.0.load(Ordering::Acquire) {
            return false;
        }
        let len = self.word(at).load(Ordering::Relaxed) as usize;
        let words = len.div_ceil(WORD) as u64;
        record.clear();
        for place in 1..=words {
            record.extend_from_slice(&self.word(at.wrapping_add(place)).load(Ordering::Relaxed).to_le_bytes());
        }
        record.truncate(len);
        self.read.0.store(at.wrapping_add(1 + words), Ordering::Release);
        true
    }

    /// Whether everything has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.read.0.load(Ordering::Relaxed) == self.written.0.load(Ordering::Acquire)
    }

    /// Records that found no room, since the ring was made.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    fn word(&self, place: u64) -> &AtomicU64 {
        &self.words[place as usize & (self.words.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// The record with this number: as long as the number says, each octet tells which it is.
    fn record(number: u64) -> Vec<u8> {
        vec![number as u8; (number % 61) as usize]
    }

    #[test]
    fn records_come_out_whole_and_in_order() {
        let ring = Ring::new(256);
        let mut read = Vec::new();
        assert!(!ring.pop(&mut read));
        let (mut first, mut next) = (0, 0);
        while first < 1_000 {
            while ring.push(&record(next)) {
                next += 1;
            }
            assert!(next > first, "an empty ring has room for any of them");
            while ring.pop(&mut read) {
                assert_eq!(read, record(first));
                first += 1;
            }
            assert_eq!(first, next);
        }
        assert!(ring.left_out() > 100);
    }

    #[test]
    fn what_is_longer_than_the_ring_is_left_out() {
        let ring = Ring::new(64);
        assert!(!ring.push(&[7; 57]));
        assert!(ring.push(&[7; 56]), "a word is its length");
        assert!(!ring.push(&[]));
        assert_eq!(ring.left_out(), 2);
    }

    #[test]
    fn a_reader_on_another_thread_sees_each_record_that_was_taken() {
        let ring = Arc::new(Ring::new(1024));
        let writer = Arc::clone(&ring);
        let writing = thread::spawn(move || (0..200_000u64).filter(|number| writer.push(&number.to_le_bytes())).count());
        let (mut seen, mut last, mut read) = (0, None, Vec::new());
        loop {
            let is_over = writing.is_finished();
            while ring.pop(&mut read) {
                let number = u64::from_le_bytes(read[..].try_into().expect("eight octets"));
                assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
                (seen, last) = (seen + 1, Some(number));
            }
            if is_over {
                break;
            }
        }
        assert_eq!(writing.join().expect("no panic"), seen);
        assert_eq!(seen as u64 + ring.left_out(), 200_000);
    }
}
