//! How long each worker has been busy: its runtime measures that by itself, each time when it has nothing to do. So nothing is paid for
//! it on the way of a query, and reading it touches no worker.

use std::borrow::Cow;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::metrics::{Kind, Row};

/// The runtimes of all workers, by their names in reports.
#[derive(Default)]
pub(super) struct BusyTime(Mutex<Vec<(String, Handle)>>);

impl BusyTime {
    /// The runtime that this thread is in belongs to this worker.
    pub(super) fn is_of(&self, worker: String) {
        self.0.lock().push((worker, Handle::current()));
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let of = |(worker, runtime): &(String, Handle)| Row {
            name: "worker-busy-us",
            help: "Microseconds for which a worker had something to do",
            kind: Kind::Counter,
            labels: vec![("worker", Cow::Owned(worker.clone()))],
            value: busy(runtime).as_micros() as u64,
        };
        self.0.lock().iter().map(of).collect()
    }
}

/// A runtime of one thread has one worker.
fn busy(runtime: &Handle) -> Duration {
    runtime.metrics().worker_total_busy_duration(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Instant;

    #[test]
    fn a_worker_that_works_is_busy() {
        let busy_time = BusyTime::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            busy_time.is_of("0".to_owned());
            let began = Instant::now();
            // Each turn of the loop is a poll of its own, after which the runtime measures.
            while began.elapsed() < Duration::from_millis(5) {
                tokio::task::yield_now().await;
            }
        });
        let rows = busy_time.rows();
        assert_eq!((rows.len(), rows[0].labels[0].0, &*rows[0].labels[0].1), (1, "worker", "0"));
        assert!((1_000..5_000_000).contains(&rows[0].value), "{rows:?}");
    }
}
