//! Looks that may take long, each on a thread of its own and with one bound in time for all, for commands that diagnose.

use std::sync::mpsc;
use std::thread;

use crate::env::{BootTime, Clock, RealClock};

/// One of them.
pub(super) type Look<T> = Box<dyn FnOnce() -> T + Send>;

/// What was found in time. `progress` is told how many of how many looks have come to an end.
pub(super) fn all_at_once<T: Send + 'static>(looks: Vec<Look<T>>, until: BootTime, progress: &dyn Fn(usize, usize)) -> Vec<T> {
    let (sender, found) = mpsc::channel();
    let total = looks.len();
    for look in looks {
        let sender = sender.clone();
        // Where no thread can be started, nothing is known of this; the receiver may have given up.
        let _ = thread::Builder::new().name("doctor".to_owned()).spawn(move || drop(sender.send(look())));
    }
    drop(sender);
    let mut all = Vec::with_capacity(total);
    progress(0, total);
    while let Ok(one) = found.recv_timeout(until.since(RealClock.boot())) {
        all.push(one);
        progress(all.len(), total);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_look_that_hangs_does_not_keep_the_others() {
        let (end, ended) = mpsc::channel::<()>();
        let mut looks: Vec<Look<u8>> = vec![Box::new(|| 1), Box::new(|| 2)];
        // Ends with the test, which holds the other side.
        looks.push(Box::new(move || ended.recv().map_or(3, |()| 3)));
        let counted = Cell::new((0, 0));
        let until = RealClock.boot() + Duration::from_millis(100);
        let mut found = all_at_once(looks, until, &|done, total| counted.set((done, total)));
        found.sort_unstable();
        assert_eq!((found, counted.get()), (vec![1, 2], (2, 3)));
        drop(end);
    }
}
