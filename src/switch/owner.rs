//! Who writes /etc/resolv.conf: facts are gathered from the files of a root, and the decision is made of the facts alone.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::view::{Node, View};

pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Of several drop-ins the last one counts, and this name is last in nearly every alphabet.
pub const RESOLVED_DROP_IN: &str = "/etc/systemd/resolved.conf.d/zz-cairn.conf";
pub const NETWORK_MANAGER_DROP_IN: &str = "/etc/NetworkManager/conf.d/zz-cairn.conf";
pub const RESOLVCONF_CONF: &str = "/etc/resolvconf.conf";
pub const DHCPCD_CONF: &str = "/etc/dhcpcd.conf";
pub const DHCLIENT_HOOK: &str = "/etc/dhcp/dhclient-enter-hooks.d/zz-cairn";

const RESOLVED_STUB: &str = "/run/systemd/resolve/stub-resolv.conf";
const RESOLVED_UPLINK: &str = "/run/systemd/resolve/resolv.conf";
const RESOLVED_STATIC: &str = "/usr/lib/systemd/resolv.conf";

/// Who writes the file, and so who has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// systemd-resolved; `lists_uplinks`: programs ask the servers of the links themselves, and not its stub.
    Resolved {
        lists_uplinks: bool,
    },
    NetworkManager,
    Openresolv,
    Dhcpcd,
    /// A file that whoever made this container or namespace mounted over it.
    Mounted {
        read_only: bool,
    },
    /// A link to a file of some other program.
    Linked {
        to: PathBuf,
    },
    /// A link to a file that is not there.
    Dangling {
        to: PathBuf,
    },
    /// A file that nobody is known to write.
    Plain,
    Missing,
}

impl Owner {
    /// For programs.
    pub fn key(&self) -> &'static str {
        match self {
            Owner::Resolved { .. } => "systemd-resolved",
            Owner::NetworkManager => "network-manager",
            Owner::Openresolv => "openresolv",
            Owner::Dhcpcd => "dhcpcd",
            Owner::Mounted { .. } => "mounted",
            Owner::Linked { .. } => "linked",
            Owner::Dangling { .. } => "dangling-link",
            Owner::Plain => "plain-file",
            Owner::Missing => "missing",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Resolved { lists_uplinks: false } => f.write_str("written by systemd-resolved, which programs ask at its stub"),
            Owner::Resolved { lists_uplinks: true } => f.write_str("written by systemd-resolved, with the servers of the links"),
            Owner::NetworkManager => f.write_str("written by NetworkManager"),
            Owner::Openresolv => f.write_str("written by openresolv (resolvconf)"),
            Owner::Dhcpcd => f.write_str("written by dhcpcd"),
            Owner::Mounted { read_only: false } => f.write_str("mounted over by the container's runtime"),
            Owner::Mounted { read_only: true } => f.write_str("mounted over by the container's runtime, to be read only"),
            Owner::Linked { to } => write!(f, "a link to {}, of a program that is not known here", to.display()),
            Owner::Dangling { to } => write!(f, "a link to {}, which is not there", to.display()),
            Owner::Plain => f.write_str("a plain file"),
            Owner::Missing => f.write_str("not there"),
        }
    }
}

/// What was found on the system, all that the owner and the plan depend on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What is at each path that a plan may change, /etc/resolv.conf first.
    nodes: Vec<(&'static str, Node)>,
    /// Where the links from /etc/resolv.conf end, and the text there.
    pub end: Option<PathBuf>,
    pub text: Option<String>,
    /// What is mounted over /etc/resolv.conf, or over the file at the end of its links: runtimes of containers follow a link that
    /// the image has, and mount their file there.
    pub mounted: Option<Mounted>,
    /// Whether systemd-resolved runs, its stub listens, and the C library asks it past /etc/resolv.conf (nss-resolve).
    pub resolved_runs: bool,
    pub stub_listens: bool,
    pub nss_resolve: bool,
    /// dhclient runs scripts here before it writes the file.
    pub dhclient_hooks: bool,
    /// NetworkManager runs: it may give systemd-resolved the servers of links.
    pub network_manager_runs: bool,
    pub selinux: bool,
}

/// A file that is mounted where programs read their servers: it cannot be replaced, only its content.
#[derive(Clone, Debug)]
pub struct Mounted {
    pub at: PathBuf,
    pub before: Node,
    pub read_only: bool,
}

impl Facts {
    pub fn gather(view: &View) -> io::Result<Facts> {
        let paths = [RESOLV_CONF, RESOLVED_DROP_IN, NETWORK_MANAGER_DROP_IN, RESOLVCONF_CONF, DHCPCD_CONF, DHCLIENT_HOOK];
        let node = |path: &'static str| match view.node(Path::new(path)) {
            Ok(node) => Ok((path, node)),
            Err(error) => Err(io::Error::new(error.kind(), format!("{path}: {error}"))),
        };
        let end = view.end_of_links(Path::new(RESOLV_CONF));
        let mounts = view.mounts();
        let mounted = [Some(Path::new(RESOLV_CONF)), end.as_deref()].into_iter().flatten();
        let mounted = mounted.filter_map(|path| Some((path, mount_at(&mounts, path)?))).next();
        let mounted = mounted.map(|(at, read_only)| Ok::<_, io::Error>(Mounted { at: at.to_owned(), before: view.node(at)?, read_only }));
        Ok(Facts {
            nodes: paths.into_iter().map(node).collect::<io::Result<_>>()?,
            text: end.as_ref().and_then(|end| view.text(end)),
            end,
            mounted: mounted.transpose()?,
            resolved_runs: view.exists(RESOLVED_STUB) || view.exists(RESOLVED_UPLINK),
            stub_listens: stub_listens(&resolved_configuration(view)),
            nss_resolve: view.text(Path::new("/etc/nsswitch.conf")).is_some_and(|text| asks_resolved(&text)),
            dhclient_hooks: view.exists("/etc/dhcp/dhclient-enter-hooks.d"),
            network_manager_runs: view.exists("/run/NetworkManager"),
            selinux: view.exists("/sys/fs/selinux/enforce"),
        })
    }

    /// What is at one of the paths that a plan may change.
    pub fn node(&self, path: &str) -> &Node {
        self.nodes.iter().find(|(known, _)| *known == path).map_or(&Node::Absent, |(_, node)| node)
    }

    pub fn owner(&self) -> Owner {
        if let Some(mounted) = &self.mounted {
            return Owner::Mounted { read_only: mounted.read_only };
        }
        let end = self.end.as_deref().unwrap_or(Path::new(RESOLV_CONF));
        let is_link = matches!(self.node(RESOLV_CONF), Node::Link { .. });
        let Some(text) = &self.text else {
            return if is_link { Owner::Dangling { to: end.to_owned() } } else { Owner::Missing };
        };
        if is_link && self.resolved_runs {
            match end.to_str() {
                Some(RESOLVED_STUB | RESOLVED_STATIC | "/lib/systemd/resolv.conf") => return Owner::Resolved { lists_uplinks: false },
                Some(RESOLVED_UPLINK) => return Owner::Resolved { lists_uplinks: true },
                _ => {}
            }
        }
        let first = text.lines().next().unwrap_or_default();
        let is_by =
            |program: &str| first.strip_prefix("# Generated by ").is_some_and(|rest| rest.split_whitespace().next() == Some(program));
        match () {
            () if is_by("NetworkManager") || end.starts_with("/run/NetworkManager") => Owner::NetworkManager,
            () if is_by("resolvconf") => Owner::Openresolv,
            () if is_by("dhcpcd") => Owner::Dhcpcd,
            () if is_link => Owner::Linked { to: end.to_owned() },
            () => Owner::Plain,
        }
    }
}

/// Whether something is mounted at exactly this path, and then whether it is read-only (proc_pid_mountinfo(5)).
fn mount_at(mounts: &str, path: &Path) -> Option<bool> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut at = fields.filter(|fields| fields.get(4).is_some_and(|point| Path::new(point) == path));
    at.next_back().map(|fields| fields.get(5).is_some_and(|options| options.split(',').any(|option| option == "ro")))
}

/// All of its configuration, in the order in which it counts (resolved.conf(5)).
fn resolved_configuration(view: &View) -> String {
    let mut files = vec!["/etc/systemd/resolved.conf".to_owned()];
    let folders = ["/usr/lib/systemd/resolved.conf.d", "/run/systemd/resolved.conf.d", "/etc/systemd/resolved.conf.d"];
    let mut drop_ins: Vec<(String, &str)> =
        folders.iter().flat_map(|folder| view.names(folder).into_iter().map(move |name| (name, *folder))).collect();
    drop_ins.sort_by(|(a, _), (b, _)| a.cmp(b));
    files.extend(drop_ins.into_iter().filter(|(name, _)| name.ends_with(".conf")).map(|(name, folder)| format!("{folder}/{name}")));
    files.iter().filter_map(|file| view.text(Path::new(file))).collect::<Vec<_>>().join("\n")
}

fn stub_listens(configuration: &str) -> bool {
    let mut values = configuration.lines().filter_map(|line| line.trim().strip_prefix("DNSStubListener=")).map(str::trim);
    !values.next_back().is_some_and(|value| ["no", "false", "off", "0", "n", "f"].contains(&value.to_ascii_lowercase().as_str()))
}

/// Whether the line for host names has the module `resolve` (nsswitch.conf(5)).
fn asks_resolved(nsswitch: &str) -> bool {
    let hosts = nsswitch.lines().filter_map(|line| line.split('#').next()?.trim_start().strip_prefix("hosts:"));
    hosts.flat_map(str::split_whitespace).any(|module| module == "resolve")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_seen_at_exactly_their_place() {
        let mounts = "21 1 0:19 / / rw - overlay overlay rw\n35 21 0:30 /c/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda rw\n\
                      36 21 0:30 /c /mnt/ro ro,nosuid - ext4 /dev/sda rw\n";
        for (path, expected) in [("/etc/resolv.conf", Some(false)), ("/mnt/ro", Some(true)), ("/etc", None), ("/etc/resolv.con", None)] {
            assert_eq!(mount_at(mounts, Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn settings_of_systemd_are_read() {
        for (text, expected) in [
            ("", true),
            ("#DNSStubListener=no", true),
            ("[Resolve]\nDNSStubListener=no\n", false),
            ("DNSStubListener=no\nDNSStubListener=udp", true),
            ("DNSStubListener=False", false),
        ] {
            assert_eq!(stub_listens(text), expected, "{text}");
        }
        for (text, expected) in [
            ("hosts: files dns", false),
            ("passwd: files resolve\n", false),
            ("hosts:  mymachines resolve [!UNAVAIL=return] files dns", true),
            ("# hosts: resolve\nhosts: files # resolve", false),
        ] {
            assert_eq!(asks_resolved(text), expected, "{text}");
        }
    }
}
