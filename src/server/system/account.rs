//! Accounts of this system, by the files that name them.
//!
//! /etc/passwd and /etc/group are read here, and not by the C library: its name service may load modules, which a static
//! program cannot, and may ask the network, where Cairn is what answers.

use std::fs;
use std::io;

const PASSWD: &str = "/etc/passwd";

/// An account that Cairn may serve as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Account {
    pub(in crate::server) name: String,
    pub(in crate::server) uid: u32,
}

/// `None`: there is no such account. A number names the account with that uid, whether it is listed or not.
pub(in crate::server) fn find(name: &str) -> io::Result<Option<Account>> {
    let text = match fs::read_to_string(PASSWD) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(find_in(name, &text))
}

fn find_in(name: &str, passwd: &str) -> Option<Account> {
    let listed = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (listed, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
        let uid: u32 = uid.parse().ok()?;
        (listed == name || name.parse() == Ok(uid)).then(|| Account { name: listed.to_owned(), uid })
    });
    listed.or_else(|| name.parse().ok().map(|uid| Account { name: name.to_owned(), uid }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name_and_by_number() {
        let passwd = "root:x:0:0:root:/:/bin/sh\nodd\nbad:x:minus:1::/:\ncairn:x:105:112::/var/lib/cairn:/usr/sbin/nologin\n";
        for (name, expected) in [
            ("root", Some(("root", 0))),
            ("cairn", Some(("cairn", 105))),
            ("105", Some(("cairn", 105))),
            ("65532", Some(("65532", 65_532))),
            ("bad", None),
            ("odd", None),
            ("-1", None),
            ("", None),
        ] {
            let found = find_in(name, passwd);
            assert_eq!(found.as_ref().map(|account| (&*account.name, account.uid)), expected, "{name}");
        }
    }
}
