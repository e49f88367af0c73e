//! How many delayed answers leave to one UDP client at once.
//!
//! A server that holds its replies back and releases them together turns a trickle of questions from a forged address into one
//! pulse of answers towards it (CVE-2024-33655, DNSBomb). So answers that had to be waited for are spread over time: only a
//! limited number leaves in any window, the others later, in their order. None is dropped: each keeps its question's place
//! among the pending ones until it has left, which bounds their number.
//!
//! An answer that has to wait is given a time. A timer may fire late, so the time at which an answer does leave counts
//! too: those behind a late one wait once more.
//!
//! A client that asks as fast as it is answered (a forwarder in front of many) gets no pulse: it may be sent twice as
//! many answers in a window as it has just asked questions. Who forges the questions would have to send half of the
//! flood himself, at the same time.
//!
//! Answers without a wait leave as fast as their questions come, and are not counted.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::ClientNet;
use crate::env::Instant;
use crate::limits::clients::PULSE_CLIENTS_MIN;

/// The delayed answers of all clients of one thread.
pub struct Pulses {
    /// Only clients with a delayed answer in the last window, or one still to leave.
    clients: HashMap<ClientNet, Client, RandomState>,
    answers_max: usize,
    window: Duration,
    /// At this many clients, those without an answer in the last window are forgotten.
    sweep_at: usize,
}

#[derive(Default)]
struct Client {
    /// The times given to its latest answers, in order; not more than can still matter.
    leaves: VecDeque<Instant>,
    /// When its latest answers did leave, the same.
    left: VecDeque<Instant>,
    /// Questions of this window and of the one before.
    asked: [u32; 2],
    asked_since: Option<Instant>,
}

impl Pulses {
    /// At most `answers_max` answers leave in any `window`.
    pub fn new(answers_max: usize, window: Duration) -> Pulses {
        Pulses { clients: HashMap::default(), answers_max: answers_max.max(1), window, sweep_at: PULSE_CLIENTS_MIN }
    }

    /// A question of this client has to wait.
    pub fn asked(&mut self, client: ClientNet, now: Instant) {
        let window = self.window;
        let client = self.client(client, now);
        client.turn(now, window);
        client.asked[0] = client.asked[0].saturating_add(1);
    }

    /// When an answer that is ready now may leave. Called once for each answer. If that is now, it counts as having left.
    pub fn leave_at(&mut self, client: ClientNet, now: Instant) -> Instant {
        let (window, least) = (self.window, self.answers_max);
        let client = self.client(client, now);
        client.turn(now, window);
        let most = client.most(least);
        let after_others = client.leaves.back().map_or(now, |last| now.max(*last));
        let at =
            room_at(&client.leaves, most, window).into_iter().chain(room_at(&client.left, most, window)).fold(after_others, Instant::max);
        forget_before(&mut client.leaves, now, window);
        client.leaves.push_back(at);
        if at <= now {
            client.leave(now, window);
        }
        at
    }

    /// An answer whose time has come leaves now (`None`), or, where those before it were late, at this time.
    pub fn leave(&mut self, client: ClientNet, now: Instant) -> Option<Instant> {
        let (window, least) = (self.window, self.answers_max);
        let client = self.client(client, now);
        client.turn(now, window);
        let later = room_at(&client.left, client.most(least), window).filter(|at| *at > now);
        if later.is_none() {
            client.leave(now, window);
        }
        later
    }

    fn client(&mut self, client: ClientNet, now: Instant) -> &mut Client {
        if self.clients.len() >= self.sweep_at && !self.clients.contains_key(&client) {
            let window = self.window;
            self.clients.retain(|_, client| client.matters(now, window));
            self.sweep_at = (2 * self.clients.len()).max(PULSE_CLIENTS_MIN);
        }
        self.clients.entry(client).or_default()
    }
}

impl Client {
    /// Begins a new window if the current one has ended.
    fn turn(&mut self, now: Instant, window: Duration) {
        match self.asked_since {
            Some(since) if now < since + window => {}
            Some(since) if now < since + 2 * window => (self.asked, self.asked_since) = ([0, self.asked[0]], Some(since + window)),
            Some(_) | None => (self.asked, self.asked_since) = ([0, 0], Some(now)),
        }
    }

    /// Answers in one window.
    fn most(&self, least: usize) -> usize {
        least.max(2 * self.asked.iter().map(|count| *count as usize).max().unwrap_or(0))
    }

    fn leave(&mut self, now: Instant, window: Duration) {
        forget_before(&mut self.left, now, window);
        self.left.push_back(now);
    }

    fn matters(&self, now: Instant, window: Duration) -> bool {
        let is_recent = |times: &VecDeque<Instant>| times.back().is_some_and(|last| *last + window > now);
        is_recent(&self.leaves) || is_recent(&self.left) || self.asked_since.is_some_and(|since| now < since + 2 * window)
    }
}

/// When one more has room, if as many as `most` are in the list.
fn room_at(times: &VecDeque<Instant>, most: usize, window: Duration) -> Option<Instant> {
    times.len().checked_sub(most).map(|at| times[at] + window)
}

fn forget_before(times: &mut VecDeque<Instant>, now: Instant, window: Duration) {
    while times.front().is_some_and(|first| *first + window <= now) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(25);

    fn client(last: u8) -> ClientNet {
        ClientNet::of([192, 0, 2, last].into())
    }

    /// The most that leave in any stretch of 20 ms.
    fn most_in_20_ms(leaves: &[Instant]) -> usize {
        let within = |from: &Instant| leaves.iter().filter(|at| **at >= *from && **at < *from + Duration::from_millis(20)).count();
        leaves.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn what_becomes_ready_together_leaves_in_turns() {
        let (mut pulses, start) = (Pulses::new(50, WINDOW), Instant::now());
        let one = pulses.leave_at(client(1), start);
        assert_eq!(one, start);
        let ready = start + Duration::from_millis(24);
        let leaves: Vec<_> = (0..300).map(|_| pulses.leave_at(client(1), ready)).collect();
        assert!(leaves.is_sorted());
        assert_eq!(most_in_20_ms(&[&[one][..], &leaves].concat()), 50);
        assert!(*leaves.last().expect("300") <= ready + 6 * WINDOW);
        assert_eq!(pulses.leave_at(client(2), ready), ready, "another client is not concerned");
    }

    /// A busy thread: every timer fires late, and each by another time.
    #[test]
    fn late_timers_make_no_pulse() {
        let (mut pulses, start) = (Pulses::new(50, WINDOW), Instant::now());
        let mut waiting: Vec<Instant> = (0..300).map(|_| pulses.leave_at(client(1), start)).collect();
        let mut left: Vec<Instant> = waiting.extract_if(.., |at| *at <= start).collect();
        let late_ms = [19, 0, 12, 24, 3, 0, 17, 60, 0, 1];
        for late_ms in late_ms.into_iter().cycle().take(1_000) {
            let Some(next) = waiting.iter().min() else { break };
            let now = *next + Duration::from_millis(late_ms);
            for at in waiting.extract_if(.., |at| *at <= now).collect::<Vec<_>>() {
                assert!(at <= now);
                match pulses.leave(client(1), now) {
                    None => left.push(now),
                    Some(later) => waiting.push(later),
                }
            }
        }
        assert_eq!((left.len(), most_in_20_ms(&left)), (300, 50));
        assert!(*left.last().expect("300") <= start + 40 * WINDOW);
    }

    #[test]
    fn who_asks_as_fast_as_it_is_answered_is_not_slowed_down() {
        let (mut pulses, start) = (Pulses::new(50, WINDOW), Instant::now());
        for step in 0..40_000u32 {
            let now = start + step * Duration::from_micros(100);
            pulses.asked(client(1), now);
            if step >= 2_000 {
                assert_eq!(pulses.leave_at(client(1), now), now, "10,000 a second, each 200 ms after its question: step {step}");
            }
        }
    }

    #[test]
    fn clients_are_forgotten() {
        let (mut pulses, start) = (Pulses::new(50, WINDOW), Instant::now());
        for step in 0..20_000u32 {
            let now = start + step * Duration::from_micros(100);
            let forged = ClientNet::of((0x0a00_0000 + step).to_be_bytes().into());
            pulses.asked(forged, now);
            pulses.leave_at(forged, now);
        }
        assert!(pulses.clients.len() <= 2_000, "{}", pulses.clients.len());
        let last = pulses.clients.values().map(|client| client.leaves.len()).max();
        assert_eq!(last, Some(1));
    }
}
