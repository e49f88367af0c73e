//! Accounts of this system, by the files that name them; and how a process becomes one.
//!
//! /etc/passwd and /etc/group are read here, and not by the C library: its name service may load modules, which a static
//! program cannot do, and may query the network, where Cairn itself may be the resolver.

#![allow(unsafe_code)]

use std::fs;
use std::io;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// An account that Cairn may serve as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Account {
    pub(in crate::server) name: String,
    pub(in crate::server) uid: u32,
    pub(in crate::server) gid: u32,
    /// Groups that list it as a member: they may own certificates and logs.
    groups: Vec<u32>,
}

/// `None`: there is no such account. A number names the account with that uid, whether it is listed or not.
pub(in crate::server) fn find(name: &str) -> io::Result<Option<Account>> {
    Ok(find_in(name, &text_of(PASSWD)?, &text_of(GROUP)?))
}

/// The name of the account with this number, or the number.
pub(in crate::server) fn name_of(uid: u32) -> String {
    let number = uid.to_string();
    find(&number).ok().flatten().map_or(number, |account| account.name)
}

/// A system without the file has no accounts that are listed: a container from scratch.
fn text_of(file: &str) -> io::Result<String> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn find_in(name: &str, passwd: &str, group: &str) -> Option<Account> {
    let number: Option<u32> = name.parse().ok();
    let listed = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[listed, _, uid, gid, ..] = fields.as_slice() else { return None };
        let (uid, gid): (u32, u32) = (uid.parse().ok()?, gid.parse().ok()?);
        (listed == name || number == Some(uid)).then(|| (listed.to_owned(), uid, gid))
    });
    let (name, uid, gid) = listed.or_else(|| number.map(|number| (name.to_owned(), number, number)))?;
    let groups = groups_of(&name, group);
    Some(Account { name, uid, gid, groups })
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    let member_of = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[_, _, gid, members] = fields.as_slice() else { return None };
        members.split(',').any(|member| member == name).then(|| gid.parse().ok())?
    };
    group.lines().filter_map(member_of).collect()
}

impl Account {
    /// The whole process becomes this account, for good: the saved ids go too. Only root may.
    pub(in crate::server) fn become_it(&self) -> io::Result<()> {
        let groups: Vec<libc::gid_t> = self.groups.clone();
        // SAFETY: the pointer and the length are those of a live array, which the kernel only reads.
        told(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
        // SAFETY: takes plain numbers.
        told(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })?;
        // SAFETY: takes plain numbers.
        told(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })
    }
}

fn told(outcome: libc::c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(in crate::server) fn effective_uid() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() }
}

/// Nothing that this process starts, and no file that it executes, gives it a right that it does not have now.
pub(super) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: takes plain numbers.
    told(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

#[cfg(test)]
pub(super) mod testing {
    use super::Account;

    pub(in super::super) fn account(name: &str, id: u32) -> Account {
        Account { name: name.to_owned(), uid: id, gid: id, groups: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name_and_by_number() {
        let passwd = "root:x:0:0:root:/:/bin/sh\nodd\nbad:x:minus:1::/:\ncairn:x:105:112::/var/lib/cairn:/usr/sbin/nologin\n";
        let group = "root:x:0:\nssl-cert:x:110:www,cairn\ncairn:x:112:\nodd:cairn\nother:x:7:cairnx\n";
        for (name, expected) in [
            ("root", Some(("root", 0, 0, &[][..]))),
            ("cairn", Some(("cairn", 105, 112, &[110]))),
            ("105", Some(("cairn", 105, 112, &[110]))),
            ("65532", Some(("65532", 65_532, 65_532, &[]))),
            ("bad", None),
            ("odd", None),
            ("-1", None),
            ("", None),
        ] {
            let found = find_in(name, passwd, group);
            let found = found.as_ref().map(|found| (&*found.name, found.uid, found.gid, &*found.groups));
            assert_eq!(found, expected, "{name}");
        }
    }
}
