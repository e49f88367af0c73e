//! Whether Cairn is the system's resolver: what was installed, what is still in place, and where names are asked for now.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::machine::Machine;
use super::manifest::{Manifest, Stage};
use super::owner::{Facts, Owner, RESOLV_CONF};
use super::view::{Node, View};
use crate::limits::switch::NAME_LOOK_UP_MAX;
use crate::record::Name;
use crate::server::name_servers;

const RESOLVED_UPLINK: &str = "/run/systemd/resolve/resolv.conf";
/// The stub of systemd-resolved, and its proxy without rules of its own.
const RESOLVED_STUBS: [&str; 2] = ["127.0.0.53", "127.0.0.54"];

/// What stands where.
#[derive(Debug)]
pub struct Standing {
    owner: Owner,
    servers: Vec<String>,
    /// The install that was made; an error says why that cannot be known.
    manifest: Result<Option<Manifest>, String>,
    /// Each changed path, and whether it is as we left it.
    changes: Vec<(String, &'static str)>,
    leads_here: Result<(), String>,
    resolves: Result<(), String>,
}

pub fn status(view: &View, machine: &dyn Machine, address: Option<SocketAddr>, name: &Name) -> io::Result<Standing> {
    let facts = Facts::gather(view)?;
    let manifest = Manifest::read(view).map_err(|error| error.to_string());
    let known = manifest.as_ref().ok().and_then(Option::as_ref);
    let owner = facts.owner();
    let address = known.map(|known| known.address).or(address);
    let changes = known.iter().flat_map(|known| &known.made).map(|made| {
        let now = view.node(&made.path).unwrap_or(Node::Other);
        let state = match () {
            () if made.after.is(&now) => "in place",
            () if now.is_same(&made.before) => "as before the install",
            () if now == Node::Absent => "removed by others",
            () => "changed by others",
        };
        (made.path.display().to_string(), state)
    });
    Ok(Standing {
        servers: name_servers(facts.text.as_deref().unwrap_or_default()).into_iter().map(str::to_owned).collect(),
        changes: changes.collect(),
        leads_here: match address {
            Some(address) => leads_here(view, matches!(owner, Owner::Resolved { .. }), address),
            None => Err("Cairn's address is not known".to_owned()),
        },
        resolves: machine.look_up(name, NAME_LOOK_UP_MAX),
        owner,
        manifest,
    })
}

impl Standing {
    /// Whether programs ask Cairn, and get answers.
    pub fn is_good(&self) -> bool {
        self.leads_here.is_ok() && self.resolves.is_ok()
    }

    fn installed(&self) -> (&'static str, String) {
        match &self.manifest {
            Ok(None) => ("no", "no".to_owned()),
            Ok(Some(manifest)) => match manifest.stage {
                Stage::Installed => ("yes", format!("yes, Cairn at {}", manifest.address)),
                Stage::Switching => ("interrupted", "interrupted: run `cairn system install` or `cairn system uninstall`".to_owned()),
            },
            Err(why) => ("unknown", format!("not known: {why}")),
        }
    }

    pub fn json(&self) -> Value {
        let problems: Vec<&String> = [&self.leads_here, &self.resolves].into_iter().filter_map(|done| done.as_ref().err()).collect();
        json!({
            "good": self.is_good(),
            "installed": self.installed().0,
            "owner": self.owner.key(),
            "servers": self.servers,
            "address": self.manifest.as_ref().ok().and_then(Option::as_ref).map(|manifest| manifest.address),
            "changes": self.changes.iter().map(|(path, state)| json!({ "path": path, "state": state })).collect::<Vec<_>>(),
            "leads-to-cairn": self.leads_here.is_ok(),
            "resolves": self.resolves.is_ok(),
            "problems": problems,
        })
    }

    pub fn lines(&self) -> Vec<String> {
        let told = |done: &Result<(), String>| done.as_ref().err().cloned().unwrap_or_else(|| "yes".to_owned());
        let mut lines = vec![format!("{:17}{}", "installed", self.installed().1)];
        lines.extend(self.changes.iter().map(|(path, state)| format!("  {path}: {state}")));
        lines.push(format!("{:17}{}", RESOLV_CONF, self.owner));
        lines.push(format!("{:17}{}", "names", if self.servers.is_empty() { "no server".to_owned() } else { self.servers.join(", ") }));
        lines.push(format!("{:17}{}", "leads to Cairn", told(&self.leads_here)));
        lines.push(format!("{:17}{}", "resolves names", told(&self.resolves)));
        lines
    }
}

/// Whether /etc/resolv.conf leads to Cairn and to nobody else.
pub fn leads_here(view: &View, is_resolved: bool, address: SocketAddr) -> Result<(), String> {
    let text = view.end_of_links(Path::new(RESOLV_CONF)).and_then(|end| view.text(&end)).unwrap_or_default();
    let uplinks = is_resolved.then(|| view.text(Path::new(RESOLVED_UPLINK)).unwrap_or_default());
    leads_to(&name_servers(&text), uplinks.as_deref().map(name_servers).as_deref(), address)
}

fn leads_to(named: &[&str], uplinks: Option<&[&str]>, address: SocketAddr) -> Result<(), String> {
    let is_cairn = |server: &&str| server.parse().is_ok_and(|server: std::net::IpAddr| server == address.ip());
    if named.is_empty() {
        return Err(format!("{RESOLV_CONF} names no server"));
    }
    if address.port() == 53 && named.iter().all(is_cairn) {
        return Ok(());
    }
    let Some(uplinks) = uplinks.filter(|_| named.iter().all(|server| RESOLVED_STUBS.contains(server))) else {
        return Err(format!("{RESOLV_CONF} names {}, and not {} alone", named.join(", "), address.ip()));
    };
    // Its file cannot show another port.
    match address.port() != 53 || uplinks.iter().any(is_cairn) {
        true => Ok(()),
        false => Err(format!("systemd-resolved asks {}, and not {}", uplinks.join(", "), address.ip())),
    }
}

/// Links whose servers are asked for all names, in the output of `resolvectl domain`.
pub fn links_for_all_names(domains: &str) -> Vec<String> {
    let of_links = domains.lines().filter_map(|line| line.strip_prefix("Link ")?.split_once(':'));
    let all = of_links.filter(|(_, domains)| domains.split_whitespace().any(|domain| domain == "~."));
    all.map(|(link, _)| link.split_once('(').map_or(link, |(_, name)| name.trim_end_matches(')')).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_names_are_asked_for() {
        let cairn: SocketAddr = "127.0.0.1:53".parse().expect("an address");
        let other_port: SocketAddr = "127.0.0.1:5300".parse().expect("an address");
        for (named, uplinks, address, good) in [
            (&["127.0.0.1"][..], None, cairn, true),
            (&["127.0.0.1", "192.0.2.1"], None, cairn, false),
            (&[], None, cairn, false),
            (&["127.0.0.1"], None, other_port, false),
            (&["127.0.0.53"], None, cairn, false),
            (&["127.0.0.53"], Some(&["127.0.0.1", "192.0.2.1"][..]), cairn, true),
            (&["127.0.0.53"], Some(&["192.0.2.1"]), cairn, false),
            (&["127.0.0.53"], Some(&["192.0.2.1"]), other_port, true),
            (&["127.0.0.53", "192.0.2.1"], Some(&["127.0.0.1"]), cairn, false),
        ] {
            assert_eq!(leads_to(named, uplinks, address).is_ok(), good, "{named:?} {uplinks:?} {address}");
        }
    }

    #[test]
    fn links_for_all_names_are_seen() {
        let domains = "Global: ~.\nLink 2 (eth0): ~.\nLink 3 (wlan0): corp.example ~.\nLink 4 (tun0): ~corp.example\nLink 5 (lo):\n";
        assert_eq!(links_for_all_names(domains), ["eth0", "wlan0"]);
    }
}
