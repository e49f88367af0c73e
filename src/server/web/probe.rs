//! One question at a time for /readyz, however many ask: what was found is repeated for some seconds.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::env::BootTime;
use crate::limits::server::READY_KEPT;

/// What a check says; `Err`: what is missing.
pub(super) type Ready = Result<(), &'static str>;

#[derive(Default)]
pub(super) struct Probe(Mutex<State>);

#[derive(Default)]
struct State {
    found: Option<(Ready, BootTime)>,
    /// It goes on when the client that began it has left; then the next one takes what it finds.
    under_way: Option<JoinHandle<Ready>>,
}

impl Probe {
    /// What was found lately, or what `check` finds, which may wait.
    pub(super) async fn ask(&self, now: impl Fn() -> BootTime, check: impl FnOnce() -> Ready + Send + 'static) -> Ready {
        let mut state = self.0.lock().await;
        if let Some((found, at)) = state.found
            && now().since(at) < READY_KEPT
        {
            return found;
        }
        let under_way = state.under_way.get_or_insert_with(|| tokio::task::spawn_blocking(check));
        let found = under_way.await.unwrap_or(Err("the check failed"));
        state.under_way = None;
        state.found = Some((found, now()));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn many_probes_are_one_question() {
        let (probe, now, count) = (Probe::default(), Cell::new(BootTime(0)), Arc::new(AtomicU32::new(0)));
        let counted = |found: Ready| {
            let count = count.clone();
            move || {
                count.fetch_add(1, Ordering::Relaxed);
                found
            }
        };
        let ask = |found| probe.ask(|| now.get(), counted(found));
        let all = tokio::join!(ask(Ok(())), ask(Err("second")), ask(Err("third")));
        assert_eq!(all, (Ok(()), Ok(()), Ok(())));
        now.set(BootTime(0) + READY_KEPT / 2);
        assert_eq!(probe.ask(|| now.get(), counted(Err("late"))).await, Ok(()));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        now.set(BootTime(0) + READY_KEPT);
        assert_eq!(probe.ask(|| now.get(), counted(Err("down"))).await, Err("down"));
        assert_eq!(probe.ask(|| now.get(), counted(Ok(()))).await, Err("down"), "a failure is kept as well");
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    /// A client that leaves does not make the next one ask a second time.
    #[tokio::test]
    async fn a_check_outlives_the_client_that_began_it() {
        let (probe, (end, ended)) = (Probe::default(), mpsc::channel::<()>());
        let begun = probe.ask(|| BootTime(0), move || ended.recv().map_err(|_| "nobody ended it"));
        tokio::select! {
            biased;
            _ = begun => panic!("nobody has ended it"),
            () = tokio::task::yield_now() => {}
        }
        end.send(()).expect("it waits");
        assert_eq!(probe.ask(|| BootTime(0), || Err("a second question")).await, Ok(()));
    }
}
