//! What has to change so that programs ask Cairn: a value, made of the facts alone.
//!
//! The way is always the owner's own: a drop-in that it reads at each start, so that it writes Cairn's address whenever it
//! writes the file. Only a file that nobody writes is written by us.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::lines::without;
use super::owner::{
    DHCLIENT_HOOK, DHCPCD_CONF, Facts, Mounted, NETWORK_MANAGER_DROP_IN, Owner, RESOLV_CONF, RESOLVCONF_CONF, RESOLVED_DROP_IN,
};
use super::resolv_conf::{self, MARK, Rewritten, pointed_at};
use super::view::Node;

/// The only port that resolv.conf(5) knows.
const DNS_PORT: u16 = 53;

/// One file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub before: Node,
    pub after: Node,
    /// Lines of the new text that are ours: they alone are taken out of a file that others have edited since.
    pub ours: Vec<String>,
    /// The lines that ours stand for, which then come back.
    pub replaced: Vec<String>,
    /// A mounted file cannot be replaced, only its content.
    pub in_place: bool,
}

/// A tool of the system that makes the owner read its configuration again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tool {
    pub words: Vec<String>,
    /// Whether the switch has failed if the tool fails.
    pub must: bool,
}

/// Everything that will be done, and what a person should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub owner: Owner,
    pub address: SocketAddr,
    pub changes: Vec<Change>,
    pub tools: Vec<Tool>,
    pub notes: Vec<String>,
}

/// What to do where `address` is Cairn's; an error says why nothing can be done, and the way out.
pub fn plan(facts: &Facts, address: SocketAddr) -> Result<Plan, String> {
    let owner = facts.owner();
    let mut steps = Steps { facts, address, changes: Vec::new(), tools: Vec::new(), notes: Vec::new() };
    let only_resolved_is_asked = matches!(owner, Owner::Resolved { .. }) && facts.stub_listens;
    if address.port() != DNS_PORT && !only_resolved_is_asked {
        return Err(format!(
            "programs that read {RESOLV_CONF} ask port 53 only, and Cairn listens on {address}: free port 53 and restart Cairn \
             (its log says who holds the port)"
        ));
    }
    match &owner {
        Owner::Resolved { lists_uplinks } => {
            steps.resolved();
            match (lists_uplinks, facts.stub_listens) {
                (true, true) => steps.ask_the_stub(),
                (true, false) => steps.resolv_conf(false),
                (false, _) => {}
            }
        }
        Owner::NetworkManager => steps.network_manager(),
        Owner::Openresolv => steps.openresolv(),
        Owner::Dhcpcd => {
            steps.dhcpcd();
            steps.resolv_conf(false);
        }
        Owner::Mounted { read_only: true } => {
            return Err(format!(
                "{RESOLV_CONF} is mounted read-only: give the container's runtime the address instead (`--dns {}`)",
                address.ip()
            ));
        }
        Owner::Mounted { read_only: false } => {
            facts.mounted.iter().for_each(|mounted| steps.mounted(mounted));
            steps.note(format!(
                "{RESOLV_CONF} is mounted by the container's runtime, which makes it anew with each container: there, \
                 `--dns {}` lasts",
                address.ip()
            ));
        }
        Owner::Linked { to } => {
            steps.resolv_conf(false);
            steps.note(format!("the program that writes {} may put its link back at a start; `cairn system status` tells", to.display()));
        }
        Owner::Dangling { .. } => steps.resolv_conf(false),
        Owner::Plain | Owner::Missing => {
            steps.resolv_conf(true);
            if facts.dhclient_hooks {
                steps.dhclient();
            }
        }
    }
    if facts.resolved_runs && facts.nss_resolve && !matches!(owner, Owner::Resolved { .. }) {
        steps.resolved();
        steps.note("programs ask systemd-resolved too, past /etc/resolv.conf (`resolve` in /etc/nsswitch.conf)".to_owned());
    }
    let Steps { changes, tools, notes, .. } = steps;
    Ok(Plan { owner, address, changes, tools, notes })
}

struct Steps<'a> {
    facts: &'a Facts,
    address: SocketAddr,
    changes: Vec<Change>,
    tools: Vec<Tool>,
    notes: Vec<String>,
}

impl Steps<'_> {
    /// Servers that systemd-resolved is told for single domains of a link, as a VPN does, stay more specific than ours.
    fn resolved(&mut self) {
        let server = match self.address.port() {
            DNS_PORT => self.address.ip().to_string(),
            _ => self.address.to_string(),
        };
        let ours = [
            MARK,
            "# An empty value first: servers of other files would be asked beside Cairn.",
            "DNS=",
            &format!("DNS={server}"),
            "# For all names but those for which a link, such as a VPN, has domains of its own.",
            "Domains=~.",
            "# Cairn is on this machine, and answers here without TLS.",
            "DNSOverTLS=no",
        ];
        self.drop_in(RESOLVED_DROP_IN, "[Resolve]", &ours);
        self.tool(&["systemctl", "restart", "systemd-resolved.service"], true);
    }

    /// The file that lists the servers of links leads past Cairn: a program asks the next one after SERVFAIL.
    fn ask_the_stub(&mut self) {
        let target = PathBuf::from("../run/systemd/resolve/stub-resolv.conf");
        self.change(RESOLV_CONF, Node::Link { target }, Vec::new(), Vec::new());
    }

    /// A global server takes the place of those of all connections, in the file that NetworkManager goes on writing. (With
    /// `dns=none` it would write no search list any more.)
    fn network_manager(&mut self) {
        let text = self.facts.text.as_deref().unwrap_or_default();
        let (searches, options) = (resolv_conf::search(text).join(","), resolv_conf::options(text).join(","));
        let mut ours = vec![MARK.to_owned()];
        if !searches.is_empty() || !options.is_empty() {
            ours.push("[global-dns]".to_owned());
            ours.extend((!searches.is_empty()).then(|| format!("searches={searches}")));
            ours.extend((!options.is_empty()).then(|| format!("options={options}")));
        }
        ours.extend(["[global-dns-domain-*]".to_owned(), format!("servers={}", self.address.ip())]);
        self.drop_in(NETWORK_MANAGER_DROP_IN, "", &ours.iter().map(String::as_str).collect::<Vec<_>>());
        self.tool(&["nmcli", "general", "reload"], true);
        if !searches.is_empty() {
            self.note(format!("the search list is fixed to {searches} until `cairn system uninstall`"));
        }
    }

    /// The file is read by a shell from the top: what stands last counts.
    fn openresolv(&mut self) {
        let mut ours = vec![
            "# Added by `cairn system install`: Cairn alone, where others would be asked after it.".to_owned(),
            format!("name_servers={}", self.address.ip()),
            "resolv_conf_local_only=YES".to_owned(),
        ];
        if !self.address.ip().is_loopback() {
            ours.push(format!("local_nameservers=\"127.* 0.0.0.0 255.255.255.255 ::1 {}\"", self.address.ip()));
        }
        ours.push("# End of what `cairn system install` added.".to_owned());
        self.block(RESOLVCONF_CONF, &ours, Place::End);
        self.tool(&["resolvconf", "-u"], true);
    }

    /// Options below an `interface` line would be of that interface alone, so ours stand first (dhcpcd.conf(5)).
    fn dhcpcd(&mut self) {
        let ours = [
            "# Added by `cairn system install`: dhcpcd leaves /etc/resolv.conf alone.",
            "nohook resolv.conf",
            "# End of what `cairn system install` added.",
        ];
        self.block(DHCPCD_CONF, &ours.map(str::to_owned), Place::Start);
        self.tool(&["dhcpcd", "--rebind"], false);
    }

    /// The hook replaces the function that would write the file (dhclient-script(8)).
    fn dhclient(&mut self) {
        let ours = [MARK, "make_resolv_conf() {", "    :", "}"];
        self.drop_in(DHCLIENT_HOOK, "", &ours);
    }

    fn resolv_conf(&mut self, keep_comments: bool) {
        let before = self.facts.node(RESOLV_CONF);
        let rewritten = self.pointed_at(keep_comments);
        // Behind a link the lines are those of another program, which writes them again.
        let replaced = if matches!(before, Node::File { .. }) { rewritten.replaced } else { Vec::new() };
        self.change(RESOLV_CONF, before.with_text(rewritten.text), rewritten.ours, replaced);
        if self.facts.selinux {
            self.tool(&["restorecon", RESOLV_CONF], false);
        }
    }

    fn mounted(&mut self, mounted: &Mounted) {
        let Rewritten { text, ours, replaced } = self.pointed_at(true);
        let (before, after) = (mounted.before.clone(), mounted.before.with_text(text));
        if !before.is_same(&after) {
            self.changes.push(Change { path: mounted.at.clone(), before, after, ours, replaced, in_place: true });
        }
    }

    fn pointed_at(&self, keep_comments: bool) -> Rewritten {
        pointed_at(self.facts.text.as_deref().unwrap_or_default(), self.address.ip(), keep_comments)
    }

    fn drop_in(&mut self, path: &'static str, section: &str, ours: &[&str]) {
        let first = if section.is_empty() { String::new() } else { format!("{section}\n") };
        let after = Node::new_file(format!("{first}{}\n", ours.join("\n")));
        self.change(path, after, ours.iter().map(|line| (*line).to_owned()).collect(), Vec::new());
    }

    fn block(&mut self, path: &'static str, ours: &[String], place: Place) {
        let before = self.facts.node(path);
        let block = format!("{}\n", ours.join("\n"));
        let old = before.text().unwrap_or_default();
        let mut old = without(old, ours, &[]);
        let text = match place {
            Place::Start => format!("{block}{old}"),
            Place::End => {
                if !old.is_empty() && !old.ends_with('\n') {
                    old.push('\n');
                }
                old + &block
            }
        };
        self.change(path, before.with_text(text), ours.to_vec(), Vec::new());
    }

    fn change(&mut self, path: &'static str, after: Node, ours: Vec<String>, replaced: Vec<String>) {
        let before = self.facts.node(path).clone();
        if !before.is_same(&after) {
            self.changes.push(Change { path: path.into(), before, after, ours, replaced, in_place: false });
        }
    }

    fn tool(&mut self, words: &[&str], must: bool) {
        self.tools.push(Tool { words: words.iter().map(|word| (*word).to_owned()).collect(), must });
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

#[derive(Clone, Copy)]
enum Place {
    Start,
    End,
}
