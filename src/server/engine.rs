//! What answers queries, as the life of a server sees it.

use tokio::sync::watch;

use super::command::{Command, Reply};
use super::load::Sources;
use super::ports::WorkerSockets;
use crate::cache::Cache;
use crate::env::NetworkChange;

/// What answers. Shared by all workers and by the control thread.
pub trait Engine: Send + Sync + 'static {
    /// The body of one worker's thread: serves until `stop` turns true, sends what is under way, and returns.
    fn work(&self, worker: usize, sockets: WorkerSockets, stop: watch::Receiver<bool>);

    /// Swaps in what was read again; the cache stays. Everything in it is checked already, so it cannot fail.
    fn reload(&self, sources: Sources);

    /// Links, addresses or routes of this machine have changed.
    fn network_changed(&self, change: NetworkChange);

    /// A command of the control socket. `reply` may be called later, from any thread.
    fn command(&self, command: Command, reply: Reply);

    /// What is to outlive a restart.
    fn cache(&self) -> Option<&Cache>;
}

/// An engine that answers no question, for the tests of what is around it.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    pub(crate) struct Idle {
        pub(crate) reloads: AtomicUsize,
        pub(crate) at_work: Option<std::sync::mpsc::SyncSender<()>>,
        pub(crate) fails: bool,
        pub(crate) cache: Option<Cache>,
    }

    impl Engine for Idle {
        fn work(&self, _worker: usize, _sockets: WorkerSockets, mut stop: watch::Receiver<bool>) {
            assert!(!self.fails, "a planted failure");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            if let Some(at_work) = &self.at_work {
                at_work.send(()).expect("the test waits");
            }
            let _ = runtime.block_on(stop.wait_for(|stop| *stop));
        }

        fn reload(&self, _sources: Sources) {
            self.reloads.fetch_add(1, Ordering::SeqCst);
            if let Some(at_work) = &self.at_work {
                at_work.send(()).expect("the test waits");
            }
        }

        fn network_changed(&self, _change: NetworkChange) {}

        fn command(&self, command: Command, reply: Reply) {
            let heard = serde_json::json!({ "heard": format!("{command:?}") });
            std::thread::spawn(move || (reply.line(heard.clone()), reply.line(heard)));
        }

        fn cache(&self) -> Option<&Cache> {
            self.cache.as_ref()
        }
    }
}
