//! Low priority for threads that are not urgent: workers get the processor first.
//!
//! `unsafe`, because the standard library has no call for it.

#![allow(unsafe_code)]

use std::{io, thread};

use super::pages;

/// From now on the calling thread, and only it, gives way to all others.
pub(super) fn give_way() -> io::Result<()> {
    const LEAST: libc::c_int = 19;
    set(LEAST)
}

/// From now on the calling thread gets a third of what a worker gets where both want the same processor: a flood of TLS handshakes
/// must not delay plain DNS.
pub(super) fn stand_behind_workers() -> io::Result<()> {
    const THIRD: libc::c_int = 5;
    set(THIRD)
}

fn set(priority: libc::c_int) -> io::Result<()> {
    // SAFETY: takes and returns plain numbers. Linux keeps the priority of each thread, and 0 means the calling one.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, priority) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on the calling thread runs only when nothing else needs its processor, and is interrupted at once when something
/// does; a thread of the lowest priority may finish its time slice first, which takes milliseconds. Only for threads that hold
/// no lock that others wait for: on a busy machine it may stand still for long.
fn give_way_at_once() -> io::Result<()> {
    let at_least = give_way();
    // SAFETY: all zero is a valid value of a struct of numbers.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: reads the struct, which outlives the call; 0 means the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) } {
        0 => Ok(()),
        _ => at_least,
    }
}

/// Does long work that nobody waits for on a thread of its own, which runs only when nothing else needs its processor. The caller
/// may hold no lock that workers need.
pub(super) fn aside<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let aside = || {
        let _ = give_way_at_once();
        let done = work();
        pages::give_back_now();
        done
    };
    thread::scope(|scope| scope.spawn(aside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    fn nice() -> Option<i32> {
        // After the command in parentheses: the state is the third field of all, the priority the nineteenth.
        let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
    }

    #[test]
    fn one_thread_gives_way() {
        let before = nice();
        let other = std::thread::spawn(|| super::give_way().map(|()| nice())).join().expect("no panic");
        assert_eq!(other.expect("always permitted"), Some(19));
        assert_eq!(nice(), before);
    }

    #[test]
    fn one_thread_gives_way_at_once() {
        let policy = || {
            // SAFETY: takes and returns plain numbers.
            unsafe { libc::sched_getscheduler(0) }
        };
        let before = policy();
        let other = std::thread::spawn(move || super::give_way_at_once().map(|()| policy())).join().expect("no panic");
        assert_eq!(other.expect("always permitted"), libc::SCHED_IDLE);
        assert_eq!(policy(), before);
    }
}
