//! One line a minute for each limit towards clients that is reached, whoever reaches it and on whatever worker: a flood must not
//! become a flood of lines. The line counts what was left out, and names the key that raises the limit.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::ClientNet;
use crate::env::BootTime;
use crate::limits::clients::LIMIT_LINES_S_MIN;
use crate::metrics::ClientLimit;

/// Shared by all workers.
#[derive(Default)]
pub struct LimitLog([Line; ClientLimit::COUNT]);

#[derive(Default)]
struct Line {
    /// The second of the last line, and one: 0 means that there was none.
    written: AtomicU32,
    left_out: AtomicU64,
}

impl LimitLog {
    /// This client has reached the limit.
    pub fn reached(&self, limit: ClientLimit, client: ClientNet, now: BootTime) {
        let Some(left_out) = self.0[limit as usize].admit(now.secs()) else { return };
        let (key, what) = (limit.key(), consequence(limit));
        let more = if left_out == 0 { String::new() } else { format!("; {left_out} times more since the last line") };
        tracing::warn!(
            event = "limit-reached", limit = key, %client, left_out,
            "limit reached by client {client}: {what}{more}; `{key}` below [limits] raises it"
        );
    }
}

impl Line {
    /// `Some`: a line may be written; so many were left out since the last one.
    fn admit(&self, now_s: u32) -> Option<u64> {
        let (written, now) = (self.written.load(Ordering::Relaxed), now_s.saturating_add(1));
        let is_due = written == 0 || now.saturating_sub(written) >= LIMIT_LINES_S_MIN;
        // Of several workers at the same moment one writes.
        if is_due && self.written.compare_exchange(written, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn consequence(limit: ClientLimit) -> &'static str {
    match limit {
        ClientLimit::Responses => "answers over UDP to it are left out or sent truncated (it is not in server.allow)",
        ClientLimit::Waiting => "as many questions wait for servers as may; the client with most loses its oldest",
        ClientLimit::WaitingPerClient => {
            "it has as many questions waiting for servers as one client may; its oldest or newest is not answered"
        }
        ClientLimit::WaitingDatagrams => "it has as many questions over UDP waiting as one client may; new ones are not answered",
        ClientLimit::Connections => "there are as many TCP connections as may be; the one that has been idle longest is closed",
        ClientLimit::ConnectionsPerClient => {
            "it has as many TCP connections as one client may; the one that has been idle longest is closed"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_for_all_workers_together() {
        let (line, started) = (Line::default(), std::sync::Barrier::new(4));
        let written = |now_s: u32| -> Vec<u64> {
            let worker = || {
                started.wait();
                (0..10).filter_map(|_| line.admit(now_s)).collect::<Vec<_>>()
            };
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
                workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
            })
        };
        // What others leave out between the decision and the count is in the line already.
        let first = written(0);
        assert_eq!(first.len(), 1, "also in the first second after boot");
        assert_eq!(written(59), Vec::<u64>::new());
        let counted = written(60);
        assert_eq!(counted.len(), 1);
        assert!((79..=118).contains(&(first[0] + counted[0])), "{first:?} {counted:?}");
        let rest = written(10_000);
        assert_eq!(first[0] + 1 + counted[0] + 1 + rest[0] + 1 + line.left_out.load(Ordering::Relaxed), 160, "none is lost");
    }
}
