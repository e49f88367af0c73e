//! The box that a server puts itself in before it serves: another user, no capability, few files, few system calls.
//!
//! Called while the process has one thread: threads that are started later are in the box from their first instruction.
//! What the kernel does not have is left out, and told.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    path_beneath_rules,
};

use super::account::{self, Account};
use super::syscalls;

/// Folders and files that the server goes on to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Paths {
    pub(in crate::server) read: Vec<PathBuf>,
    pub(in crate::server) write: Vec<PathBuf>,
}

/// What the system itself shows: clock and identity of this boot, addresses in use, limits of a container, time zone.
const READ_OF_SYSTEM: &[&str] = &["/proc", "/sys/fs/cgroup", "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/dev/random"];
const WRITTEN_OF_SYSTEM: &[&str] = &["/dev/null"];

/// What holds for this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct InForce {
    user: String,
    parts: Vec<String>,
    /// What could not be had, and why.
    pub(in crate::server) missing: Vec<String>,
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.user)?;
        self.parts.iter().try_for_each(|part| write!(f, ", {part}"))
    }
}

/// Whether files outside the paths of the start can no longer be opened.
static FILES_BOUND: OnceLock<()> = OnceLock::new();

pub(in crate::server) fn are_files_bound() -> bool {
    FILES_BOUND.get().is_some()
}

/// Becomes `user`, where there is one to become, and gives up what serving does not need. With `sandbox` false only the user changes.
pub(in crate::server) fn enter(user: Option<&Account>, sandbox: bool, paths: &Paths) -> io::Result<InForce> {
    let (mut parts, mut missing) = (Vec::new(), Vec::new());
    let mut note = |part: &str, outcome: Result<(), String>| match outcome {
        Ok(()) => parts.push(part.to_owned()),
        Err(why) => missing.push(format!("{part}: {why}")),
    };
    let kept = kept();
    // The list of accounts cannot be read any more from inside.
    let uid = user.map_or_else(account::effective_uid, |user| user.uid);
    let own = || account::find(&uid.to_string()).ok().flatten();
    let name = user.cloned().or_else(own).map_or_else(|| uid.to_string(), |account| account.name);
    if sandbox {
        // A process without the right to change its bounding set cannot use it either: it gets no new privileges.
        let _ = drop_bounding(&kept);
    }
    if let Some(user) = user {
        // Where this fails, the new user only lacks the kept ones.
        let _ = caps::securebits::set_keepcaps(true);
        user.become_it()?;
        let _ = caps::securebits::set_keepcaps(false);
    }
    if sandbox || user.is_some() {
        let part = if kept.is_empty() { "no capabilities" } else { "no capability but NET_BIND_SERVICE" };
        note(part, drop_all_but(&kept).map_err(|error| error.to_string()));
    }
    if sandbox {
        note("no new privileges", account::no_new_privileges().map_err(|error| error.to_string()));
        note("landlock", bind_files(paths));
        note("seccomp", syscalls::filter().map_err(|error| error.to_string()));
    } else {
        missing.push("sandbox: turned off by server.sandbox".to_owned());
    }
    Ok(InForce { user: format!("{name} (uid {uid})"), parts, missing })
}

/// A reload may change `listen` to another address with port 53. Nothing is kept that was not there.
fn kept() -> CapsHashSet {
    const PORTS: Capability = Capability::CAP_NET_BIND_SERVICE;
    let has_it = caps::has_cap(None, CapSet::Permitted, PORTS).unwrap_or(false);
    [PORTS].into_iter().filter(|_| has_it).collect()
}

/// While the right to do so is still there.
fn drop_bounding(kept: &CapsHashSet) -> Result<(), CapsError> {
    caps::all().difference(kept).try_for_each(|capability| caps::drop(None, CapSet::Bounding, *capability))
}

fn drop_all_but(kept: &CapsHashSet) -> Result<(), CapsError> {
    // Ambient capabilities need a kernel from 2015 on.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::clear(None, CapSet::Inheritable)?;
    // What is effective must be permitted.
    caps::set(None, CapSet::Effective, kept)?;
    caps::set(None, CapSet::Permitted, kept)
}

fn bind_files(paths: &Paths) -> Result<(), String> {
    match restrict(paths) {
        Ok(RulesetStatus::NotEnforced) => Err("this kernel does not have it".to_owned()),
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => {
            let _ = FILES_BOUND.set(());
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn restrict(paths: &Paths) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V5;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let nobody_needs: BitFlags<AccessFs> = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let write = AccessFs::from_all(abi) & !nobody_needs;
    // A rule for a file takes only the rights that files have.
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(READ_OF_SYSTEM, read))?
        .add_rules(path_beneath_rules(WRITTEN_OF_SYSTEM, write))?
        .add_rules(path_beneath_rules(&paths.read, read))?
        .add_rules(path_beneath_rules(&paths.write, write))?
        .restrict_self()?;
    Ok(status.ruleset)
}
