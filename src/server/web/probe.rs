//! One question at a time for /readyz, however many ask: what was found is repeated for some seconds.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::env::BootTime;
use crate::limits::server::READY_KEPT;

/// What a check says; `Err`: what is missing.
pub(super) type Ready = Result<(), &'static str>;

#[derive(Default)]
pub(super) struct Probe(Mutex<State>);

/// What was found, and when.
type Found = (Ready, BootTime);

#[derive(Default)]
struct State {
    found: Option<Found>,
    /// It goes on when the client that began it has left; then the next one takes what it finds, unless that is too old by then.
    under_way: Option<JoinHandle<Found>>,
}

impl State {
    async fn end_of_check(&mut self, now: &impl Fn() -> BootTime) {
        if let Some(under_way) = &mut self.under_way {
            let found = under_way.await.unwrap_or_else(|_| (Err("the check failed"), now()));
            self.under_way = None;
            self.found = Some(found);
        }
    }

    fn fresh(&self, now: BootTime) -> Option<Ready> {
        self.found.filter(|(_, at)| now.since(*at) < READY_KEPT).map(|(found, _)| found)
    }
}

impl Probe {
    /// What was found lately, or what `check` finds, which may wait.
    pub(super) async fn ask(
        &self,
        now: impl Fn() -> BootTime + Clone + Send + 'static,
        check: impl FnOnce() -> Ready + Send + 'static,
    ) -> Ready {
        let mut state = self.0.lock().await;
        state.end_of_check(&now).await;
        if let Some(found) = state.fresh(now()) {
            return found;
        }
        let at = now.clone();
        state.under_way = Some(tokio::task::spawn_blocking(move || (check(), at())));
        state.end_of_check(&now).await;
        state.found.map_or(Err("the check failed"), |(found, _)| found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// A clock that the test moves.
    #[derive(Clone, Default)]
    struct Hands(Arc<AtomicU64>);

    impl Hands {
        fn clock(&self) -> impl Fn() -> BootTime + Clone + Send + 'static {
            let hands = self.clone();
            move || BootTime(hands.0.load(Ordering::Relaxed))
        }

        fn set(&self, time: BootTime) {
            self.0.store(time.0, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn many_probes_are_one_question() {
        let (probe, now, count) = (Probe::default(), Hands::default(), Arc::new(AtomicU32::new(0)));
        let counted = |found: Ready| {
            let count = count.clone();
            move || {
                count.fetch_add(1, Ordering::Relaxed);
                found
            }
        };
        let ask = |found| probe.ask(now.clock(), counted(found));
        let all = tokio::join!(ask(Ok(())), ask(Err("second")), ask(Err("third")));
        assert_eq!(all, (Ok(()), Ok(()), Ok(())));
        now.set(BootTime(0) + READY_KEPT / 2);
        assert_eq!(probe.ask(now.clock(), counted(Err("late"))).await, Ok(()));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        now.set(BootTime(0) + READY_KEPT);
        assert_eq!(probe.ask(now.clock(), counted(Err("down"))).await, Err("down"));
        assert_eq!(probe.ask(now.clock(), counted(Ok(()))).await, Err("down"), "a failure is kept as well");
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

    /// A client that leaves and no other one for long: what was found for the first says nothing any more.
    #[tokio::test]
    async fn what_nobody_waited_for_grows_old() {
        let (probe, now, (end, ended)) = (Probe::default(), Hands::default(), mpsc::channel::<()>());
        let begun = probe.ask(now.clock(), move || ended.recv().map_err(|_| "nobody ended it"));
        tokio::select! {
            biased;
            _ = begun => panic!("nobody has ended it"),
            () = tokio::task::yield_now() => {}
        }
        end.send(()).expect("it waits");
        while !probe.0.lock().await.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        now.set(BootTime(0) + READY_KEPT);
        assert_eq!(probe.ask(now.clock(), || Err("down")).await, Err("down"));
    }
}
