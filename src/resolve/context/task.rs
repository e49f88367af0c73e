//! Tasks of one worker: cold work in short slices, a bound on waiting, work that nobody waits for.

use std::time::Duration;

use tokio::task::spawn_local;

use crate::limits::walk::{SLICE_US_MAX, STEPS_PER_SLICE_MAX};

/// Does cold work in slices, and yields to the other tasks of this thread after each slice. A step takes no longer than
/// `Limits::cold_slice_us`; while the slice has cost little (by `spent_us`), another step is done in it.
pub(in crate::resolve) async fn in_slices<R>(spent_us: impl Fn() -> u64, mut step: impl FnMut() -> Option<R>) -> R {
    loop {
        let until_us = spent_us() + SLICE_US_MAX;
        for _ in 0..STEPS_PER_SLICE_MAX {
            if let Some(result) = step() {
                return result;
            }
            if spent_us() >= until_us {
                break;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The result of `work`, or `None` when it takes longer than `time`.
pub(in crate::resolve) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = tokio::time::sleep(time) => None,
    }
}

/// Runs `work` as a task of its own on this thread; nobody waits for it.
pub(in crate::resolve) fn in_background(work: impl Future<Output = ()> + 'static) {
    spawn_local(work);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many of ten steps, each costing `step_us`, were done each time another task ran.
    async fn steps_between_slices(step_us: u64) -> Vec<usize> {
        let (steps, mut seen) = (Cell::new(0), Vec::new());
        let work = in_slices(
            || steps.get() as u64 * step_us,
            || {
                steps.set(steps.get() + 1);
                (steps.get() == 10).then_some(())
            },
        );
        let other = async {
            while steps.get() < 10 {
                seen.push(steps.get());
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(biased; work, other);
        seen
    }

    #[tokio::test]
    async fn other_tasks_run_between_two_slices() {
        assert_eq!(steps_between_slices(SLICE_US_MAX).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(steps_between_slices(SLICE_US_MAX - 1).await, [2, 4, 6, 8]);
        assert_eq!(steps_between_slices(0).await, [4, 8], "steps that cost nothing end a slice too");
    }
}
