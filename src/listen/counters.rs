//! What one worker counts. Written by its thread alone (so never contended), read by whoever reports.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: usize) {
        if more > 0 {
            self.0.fetch_add(more as u64, Ordering::Relaxed);
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub struct Counters {
    pub udp_queries: Counter,
    pub udp_at_once: Counter,
    /// Longer than any slot: answered FORMERR unread.
    pub udp_cut_off: Counter,
    /// Replies that the kernel did not take.
    pub udp_unsent: Counter,
    /// Replies that left later, so that not too many leave to one client at once.
    pub udp_paced: Counter,
    pub receive_errors: Counter,
    pub stream_queries: Counter,
    pub stream_at_once: Counter,
    pub connections: Counter,
    /// Closed to make room for others.
    pub connections_evicted: Counter,
    /// Closed because nothing came, too little came, or nothing was read.
    pub connections_timed_out: Counter,
    pub accept_errors: Counter,
    /// Questions turned away because too many were waiting.
    pub turned_away: Counter,
    /// Panics while answering; each cost one question.
    pub panics: Counter,
}

impl Counters {
    pub fn rows(&self) -> [(&'static str, u64); 14] {
        [
            ("udp-queries", self.udp_queries.get()),
            ("udp-at-once", self.udp_at_once.get()),
            ("udp-cut-off", self.udp_cut_off.get()),
            ("udp-unsent", self.udp_unsent.get()),
            ("udp-paced", self.udp_paced.get()),
            ("receive-errors", self.receive_errors.get()),
            ("stream-queries", self.stream_queries.get()),
            ("stream-at-once", self.stream_at_once.get()),
            ("connections", self.connections.get()),
            ("connections-evicted", self.connections_evicted.get()),
            ("connections-timed-out", self.connections_timed_out.get()),
            ("accept-errors", self.accept_errors.get()),
            ("turned-away", self.turned_away.get()),
            ("panics", self.panics.get()),
        ]
    }
}
