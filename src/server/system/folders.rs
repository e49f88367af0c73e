//! Who may own a folder whose files a server believes: saved caches, followed trust anchors, the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::account;

/// The account that packages create for Cairn.
pub(super) const DEFAULT_USER: &str = "cairn";

/// Root, the user that this process is, the default account, and `user`: the value of `server.user`, to which an earlier
/// start as root has given the folder.
fn owners(user: Option<&str>) -> Vec<u32> {
    let uid = |name: &str| account::find(name).ok().flatten().map(|account| account.uid);
    [Some(0), Some(account::effective_uid()), uid(DEFAULT_USER), user.and_then(uid)].into_iter().flatten().collect()
}

/// Refuses a folder that belongs to another user, or that others may write to. `user` is `server.user`.
pub(in crate::server) fn belongs_to_us(folder: &Path, user: Option<&str>) -> io::Result<()> {
    let meta = fs::metadata(folder)?;
    match why_foreign(meta.mode(), meta.uid(), &owners(user)) {
        Some(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
        None => Ok(()),
    }
}

fn why_foreign(mode: u32, owner: u32, ours: &[u32]) -> Option<String> {
    const BY_OTHERS: u32 = 0o002;
    if mode & BY_OTHERS != 0 {
        return Some("anybody may write to it".to_owned());
    }
    (!ours.contains(&owner)).then(|| format!("it belongs to another user (uid {owner})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_not_ours() {
        for (mode, owner, expected) in [
            (0o40700, 0, None),
            (0o40775, 100, None),
            (0o40700, 1000, None),
            (0o40700, 1001, Some("it belongs to another user (uid 1001)")),
            (0o40757, 0, Some("anybody may write to it")),
            (0o41777, 0, Some("anybody may write to it")),
        ] {
            assert_eq!(why_foreign(mode, owner, &[0, 100, 1000]).as_deref(), expected, "{mode:o} {owner}");
        }
        assert!(owners(None).contains(&0));
        assert!(owners(Some("65531")).contains(&65_531) && !owners(None).contains(&65_531), "of `server.user`, listed or not");
    }
}
