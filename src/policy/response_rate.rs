//! Response rate limiting: replies to a forged address must not become a flood (RFC 5358 is about the same attack). It applies
//! only to UDP, and only to clients outside `server.allow`, which get only hosted zones.
//!
//! Each IPv4 /24 and IPv6 /56 has a token bucket. Above the rate, every second reply is sent empty with TC set ("slip"): a real
//! client then asks over TCP, which cannot be forged, and an amplifier gains nothing.
//!
//! All workers share the buckets. A prefix belongs to one of several parts with a lock each, so that workers seldom meet. No part
//! grows: a prefix has two possible places, and a new prefix takes the one whose bucket is fuller, so that a prefix which is being
//! limited is not displaced by one which is not.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::quality::FixedState;
use parking_lot::Mutex;

use crate::env::BootTime;
use crate::limits::Limits;
use crate::limits::clients::RESPONSE_RATE_BUCKETS_MAX;

/// The buckets of all prefixes.
pub struct ResponseRate {
    parts: [Mutex<Part>; PARTS],
    hasher: FixedState,
}

const PARTS: usize = 16;
const BUCKETS: usize = RESPONSE_RATE_BUCKETS_MAX / PARTS;

/// Empty until the first client outside `server.allow` comes.
#[derive(Default)]
struct Part(Vec<Bucket>);

/// How many replies one prefix gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// `burst` at once, then `per_second`, of whatever is paced.
    pub fn of(per_second: u32, burst: u32) -> Rate {
        Rate { per_second: per_second.clamp(1, 1_000_000), burst: burst.clamp(1, 1_000_000) }
    }

    /// `burst` replies at once, then `per_second`.
    pub fn new(limits: &Limits) -> Rate {
        Rate::of(limits.responses_per_second, limits.responses_burst)
    }
}

/// What happens to a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    Send,
    /// Send the header and the question alone, with TC set.
    Slip,
    Drop,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// 0: never used. The low bits of a prefix are zero and the lowest marks use, so no prefix equals 0.
    prefix: u64,
    /// In milliseconds; 32 bits would wrap after 49 days.
    filled_at: BootTime,
    /// Thousandths of a reply, so that a slow rate fills smoothly.
    milli_tokens: u32,
    held_back: u32,
}

impl ResponseRate {
    /// `seed` is secret, so that nobody can choose prefixes that share a bucket.
    pub fn new(seed: u64) -> ResponseRate {
        ResponseRate { parts: Default::default(), hasher: FixedState::with_seed(seed) }
    }

    /// Called once for each UDP reply to a client outside `server.allow`.
    pub fn pace(&self, client: IpAddr, rate: Rate, now: BootTime) -> Pace {
        let prefix = accountable(client);
        let hash = self.hasher.hash_one(prefix) as usize;
        let (per_second, full) = (rate.per_second, rate.burst * 1_000);
        let mut part = self.parts[hash % PARTS].lock();
        let bucket = part.bucket(prefix, hash / PARTS, rate, now);
        let earned = now.since(bucket.filled_at).as_millis().min(u128::from(u32::MAX)) as u64 * u64::from(per_second);
        bucket.milli_tokens = u32::try_from(earned).unwrap_or(u32::MAX).saturating_add(bucket.milli_tokens).min(full);
        bucket.filled_at = bucket.filled_at.max(now);
        if let Some(left) = bucket.milli_tokens.checked_sub(1_000) {
            bucket.milli_tokens = left;
            bucket.held_back = 0;
            return Pace::Send;
        }
        bucket.held_back = bucket.held_back.wrapping_add(1);
        if bucket.held_back.is_multiple_of(2) { Pace::Slip } else { Pace::Drop }
    }

    /// Puts back so many thousandths of what has been paced.
    pub fn give_back(&self, client: IpAddr, rate: Rate, milli: u32) {
        let prefix = accountable(client);
        let hash = self.hasher.hash_one(prefix) as usize;
        let mut part = self.parts[hash % PARTS].lock();
        if let Some(bucket) = part.known(prefix, hash / PARTS) {
            bucket.milli_tokens = bucket.milli_tokens.saturating_add(milli).min(rate.burst * 1_000);
        }
    }
}

impl Part {
    /// The bucket of this prefix, if it has one.
    fn known(&mut self, prefix: u64, hash: usize) -> Option<&mut Bucket> {
        let at = places(hash).into_iter().find(|at| self.0.get(*at).is_some_and(|bucket| bucket.prefix == prefix))?;
        self.0.get_mut(at)
    }

    fn bucket(&mut self, prefix: u64, hash: usize, rate: Rate, now: BootTime) -> &mut Bucket {
        let fresh = Bucket { prefix: 0, filled_at: now, milli_tokens: rate.burst * 1_000, held_back: 0 };
        if self.0.is_empty() {
            self.0.resize(BUCKETS, fresh);
        }
        let places = places(hash);
        if let Some(at) = places.into_iter().find(|at| self.0[*at].prefix == prefix) {
            return &mut self.0[at];
        }
        let wealth = |at: &usize| {
            let bucket = &self.0[*at];
            let earned = now.since(bucket.filled_at).as_millis() * u128::from(rate.per_second);
            (bucket.prefix == 0, earned + u128::from(bucket.milli_tokens))
        };
        let at = if wealth(&places[0]) >= wealth(&places[1]) { places[0] } else { places[1] };
        self.0[at] = Bucket { prefix, ..fresh };
        &mut self.0[at]
    }
}

fn places(hash: usize) -> [usize; 2] {
    [hash % BUCKETS, hash / BUCKETS % BUCKETS]
}

/// The /24 or /56 as a number that is never 0.
fn accountable(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8) << 8 | 1,
        IpAddr::V6(v6) => (v6.to_bits() >> 72 << 8) as u64 | 3,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    const START: BootTime = BootTime(5_000_000_000);

    #[test]
    fn a_burst_then_the_rate_then_slips_and_silence() {
        let (rate, limit) = (ResponseRate::new(7), Rate { per_second: 10, burst: 20 });
        let one = address("192.0.2.1");
        assert!((0..20).all(|_| rate.pace(one, limit, START) == Pace::Send));
        let then: Vec<Pace> = (0..4).map(|_| rate.pace(one, limit, START)).collect();
        assert_eq!(then, [Pace::Drop, Pace::Slip, Pace::Drop, Pace::Slip]);
        assert_eq!(rate.pace(address("192.0.2.200"), limit, START), Pace::Drop, "the whole /24 is one client");
        assert_eq!(rate.pace(address("192.0.3.1"), limit, START), Pace::Send, "the next is another");
        let later = START + Duration::from_millis(250);
        let then: Vec<Pace> = (0..3).map(|_| rate.pace(one, limit, later)).collect();
        assert_eq!(then, [Pace::Send, Pace::Send, Pace::Drop], "ten a second: two and a half in a quarter");
    }

    #[test]
    fn a_steady_client_below_the_rate_is_never_hurt() {
        let (rate, limit) = (ResponseRate::new(1), Rate::new(&Limits::default()));
        let client = address("2001:db8::1");
        let paced = (0..20_000u64).map(|count| rate.pace(client, limit, START + Duration::from_millis(count * 5)));
        assert!(paced.into_iter().all(|pace| pace == Pace::Send));
    }

    #[test]
    fn all_workers_together_give_a_client_one_rate() {
        let (rate, limit) = (ResponseRate::new(7), Rate { per_second: 10, burst: 100 });
        let worker = || (0..100).filter(|_| rate.pace(address("192.0.2.1"), limit, START) == Pace::Send).count();
        let sent: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
        });
        assert_eq!(sent, 100);
    }

    #[test]
    fn ipv6_counts_by_56_bits() {
        let (rate, limit) = (ResponseRate::new(7), Rate { per_second: 1, burst: 1 });
        assert_eq!(rate.pace(address("2001:db8:0:100::1"), limit, START), Pace::Send);
        assert_ne!(rate.pace(address("2001:db8:0:1ff::1"), limit, START), Pace::Send);
        assert_eq!(rate.pace(address("2001:db8:0:200::1"), limit, START), Pace::Send);
        assert_ne!(accountable(address("0.0.0.0")), accountable(address("::")));
    }

    #[test]
    fn newcomers_do_not_make_a_flooded_prefix_forgotten() {
        let (rate, limit) = (ResponseRate::new(7), Rate { per_second: 10, burst: 20 });
        let victim = address("192.0.2.1");
        for _ in 0..100 {
            rate.pace(victim, limit, START);
        }
        for count in 0..4_000u32 {
            rate.pace(IpAddr::from((0x0a00_0000 + (count << 8)).to_be_bytes()), limit, START);
        }
        assert_ne!(rate.pace(victim, limit, START), Pace::Send);
        assert!(rate.parts.iter().all(|part| part.lock().0.len() == BUCKETS));
    }

    #[test]
    fn a_clock_that_stands_still_or_is_far_away_does_no_harm() {
        let (rate, limit) = (ResponseRate::new(7), Rate { per_second: 1_000_000, burst: 1_000_000 });
        let client = address("192.0.2.1");
        for now in [BootTime(0), BootTime(u64::MAX), BootTime(0), START] {
            assert_eq!(rate.pace(client, limit, now), Pace::Send);
        }
    }
}
