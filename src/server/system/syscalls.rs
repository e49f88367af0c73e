//! The system calls that a serving process may make; any other one ends it at once.
//!
//! The list is what the tests of this project, with real servers and clients, have been seen to use, and what the C library
//! may use in place of those: on other kernels, without the vDSO, for its allocator and its threads. It has no call that starts
//! a program, makes memory executable, or leads out of this process.
//!
//! A few calls are bound by their arguments: threads but no processes, sockets of three families and of the routing tables, memory that is never executable.

use std::collections::BTreeMap;
use std::fmt;

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

/// Allowed whatever the arguments are.
const ALLOWED: &[libc::c_long] = &[
    // Files.
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fadvise64,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_getcwd,
    libc::SYS_umask,
    libc::SYS_utimensat,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    libc::SYS_get_mempolicy,
    // The network.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getcpu,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Threads and the process itself.
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_capget,
    libc::SYS_getrusage,
    libc::SYS_getrlimit,
    libc::SYS_getpriority,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Answered with "not there" by the second filter, so that the C library takes `clone`, whose arguments can be seen.
    libc::SYS_clone3,
];

/// Older calls that only this processor has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// What `ioctl` may ask of a descriptor: whether it is a terminal and how wide, how much is to be read, not to block.
const CONTROLS: &[libc::c_ulong] = &[libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX];

/// What `prctl` may do: names of threads, names of memory, and never more rights.
const PROCESS_CONTROLS: &[libc::c_int] = &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_NO_NEW_PRIVS, libc::PR_SET_VMA];

const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Each would be a namespace of its own, in which a process could be root.
const NAMESPACES: libc::c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

#[derive(Debug)]
pub(super) struct FilterError(String);

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Holds for the calling thread and for every thread that it starts.
pub(super) fn filter() -> Result<(), FilterError> {
    let told = |error: &dyn fmt::Display| FilterError(error.to_string());
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| told(&error))?;
    let program = |rules, otherwise, matched| -> Result<BpfProgram, FilterError> {
        let filter = SeccompFilter::new(rules, otherwise, matched, arch).map_err(|error| told(&error))?;
        filter.try_into().map_err(|error: seccompiler::BackendError| told(&error))
    };
    let rules = rules().map_err(|error| told(&error))?;
    // The kernel asks all filters, and the strictest answer holds.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let not_there = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    for program in [program(clone3, SeccompAction::Allow, not_there)?, program(rules, SeccompAction::KillProcess, SeccompAction::Allow)?] {
        seccompiler::apply_filter(&program).map_err(|error| told(&error))?;
    }
    Ok(())
}

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// No rule for a call: all arguments will do. Several: one of them must fit.
fn rules() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let bits = |argument, mask: libc::c_int, value: libc::c_int| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(number(mask)), number(value))
    };
    let is = |argument, value: u64| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let one_of = |argument, values: Vec<u64>| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        values.into_iter().map(|value| SeccompRule::new(vec![is(argument, value)?])).collect()
    };
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![bits(2, libc::PROT_EXEC, 0)?])?]);
    }
    // The flags are the first argument on both processors that are known here.
    let is_thread = bits(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is_thread, bits(0, NAMESPACES, 0)?])?]);
    let mut sockets = one_of(0, FAMILIES.iter().map(|family| number(*family)).collect())?;
    // Addresses and routes of this machine, and no other subject of the kernel.
    sockets.push(SeccompRule::new(vec![is(0, number(libc::AF_NETLINK))?, is(2, number(libc::NETLINK_ROUTE))?])?);
    rules.insert(libc::SYS_socket, sockets);
    rules.insert(libc::SYS_socketpair, one_of(0, vec![number(libc::AF_UNIX)])?);
    // Limits and priority of this process and of the calling thread, which 0 stands for.
    for (call, whose) in [(libc::SYS_prlimit64, 0), (libc::SYS_setpriority, 1), (libc::SYS_sched_setscheduler, 0)] {
        rules.insert(call, one_of(whose, vec![0])?);
    }
    rules.insert(libc::SYS_ioctl, one_of(1, CONTROLS.to_vec())?);
    rules.insert(libc::SYS_prctl, one_of(0, PROCESS_CONTROLS.iter().map(|control| number(*control)).collect())?);
    // A signal to a thread of this process alone: how `abort` ends it.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, one_of(0, vec![own])?);
    Ok(rules)
}

fn number(value: libc::c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an attacker wants first is on no list.
    #[test]
    fn no_call_that_leads_out() {
        let rules = rules().expect("the conditions are right");
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_init_module,
            libc::SYS_keyctl,
            libc::SYS_setresuid,
            libc::SYS_chroot,
            libc::SYS_kill,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_memfd_create,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
        for call in [
            libc::SYS_clone,
            libc::SYS_mmap,
            libc::SYS_mprotect,
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
            libc::SYS_setpriority,
            libc::SYS_sched_setscheduler,
            libc::SYS_ioctl,
            libc::SYS_tgkill,
        ] {
            assert!(!rules[&call].is_empty(), "{call} is bound by its arguments");
        }
    }
}
