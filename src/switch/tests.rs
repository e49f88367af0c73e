//! Every owner of /etc/resolv.conf in a folder of its own: installed, undone, disturbed and interrupted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::install::make;
use super::machine::Machine;
use super::manifest::Manifest;
use super::owner::{DHCLIENT_HOOK, DHCPCD_CONF, Facts, NETWORK_MANAGER_DROP_IN, RESOLV_CONF, RESOLVCONF_CONF, RESOLVED_DROP_IN};
use super::plan::{Plan, plan};
use super::report::Report;
use super::status::leads_here;
use super::view::{Node, View};
use super::{Request, install, status, uninstall};
use crate::env::BootTime;
use crate::record::Name;
use crate::server::name_servers;

/// A small system in a folder, gone when the test ends.
struct Root {
    path: PathBuf,
    view: View,
}

impl Root {
    fn new() -> Root {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cairn-system-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        for folder in ["etc", "run", "var/lib", "proc/self"] {
            fs::create_dir_all(path.join(folder)).expect("a temporary folder can be made");
        }
        Root { view: View::new(&path), path }
    }

    fn of(case: &Case) -> Root {
        let root = Root::new();
        for (path, content) in case.files {
            root.put(path, content);
        }
        root
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    /// A file, or with "-> " a link.
    fn put(&self, path: &str, content: &str) {
        let at = self.at(path);
        fs::create_dir_all(at.parent().expect("below the root")).expect("a folder can be made");
        let _ = fs::remove_file(&at);
        match content.strip_prefix("-> ") {
            Some(target) => symlink(target, &at).expect("a link can be made"),
            None => {
                fs::write(&at, content).expect("a file can be written");
                // Not what a new file would be given, so that a restored mode is seen.
                fs::set_permissions(&at, fs::Permissions::from_mode(0o640)).expect("it is ours");
            }
        }
    }

    fn append(&self, path: &str, more: &str) {
        self.put(path, &(self.text(path) + more));
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    /// Everything below the root that lasts: kind, mode and content.
    fn all(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(&self.path, &self.path, &mut found);
        found
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn collect(top: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("it is ours").flatten() {
        let (path, meta) = (entry.path(), entry.metadata().expect("it is there"));
        let content = match () {
            () if meta.is_symlink() => format!("-> {}", fs::read_link(&path).expect("a link").display()),
            () if meta.is_dir() => String::new(),
            () => fs::read_to_string(&path).expect("text"),
        };
        let name = path.strip_prefix(top).expect("below it").display().to_string();
        found.insert(name, format!("{:o} {content}", if meta.is_symlink() { 0 } else { meta.permissions().mode() }));
        if meta.is_dir() {
            collect(top, &path, found);
        }
    }
}

/// A machine whose tools do what those of the owners do: write the file anew from their configuration.
struct Fake<'a> {
    root: &'a Root,
    probe: Result<(), String>,
    failing_tool: &'static str,
    /// From when on the name resolves, in milliseconds; never, if the time is later than any.
    resolves_from: u64,
    now: Cell<u64>,
    /// When dhcpcd, told of its new configuration, writes the file by the old one for the last time.
    writes_late_at: Cell<u64>,
    /// Somebody puts the old file back again and again.
    is_stubborn: bool,
    ran: RefCell<Vec<String>>,
}

impl Fake<'_> {
    fn new(root: &Root) -> Fake<'_> {
        Fake {
            root,
            probe: Ok(()),
            failing_tool: "none",
            resolves_from: 0,
            now: Cell::new(0),
            writes_late_at: Cell::new(u64::MAX),
            is_stubborn: false,
            ran: RefCell::default(),
        }
    }

    /// What the network manager does when a network comes: the file is written again.
    fn rewrite(&self) {
        let server = |path: &str, key: &str| {
            let text = self.root.text(path);
            let values: Vec<String> = text.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect();
            values.last().cloned().unwrap_or_else(|| "192.0.2.1".to_owned())
        };
        let owner = Facts::gather(&self.root.view).expect("readable").owner();
        match owner.key() {
            "systemd-resolved" => {
                let text = format!("nameserver {}\nsearch lan.example\n", server(RESOLVED_DROP_IN, "DNS="));
                self.root.put("/run/systemd/resolve/resolv.conf", &text);
            }
            "network-manager" => {
                let text = format!(
                    "# Generated by NetworkManager\nsearch lan.example\nnameserver {}\n",
                    server(NETWORK_MANAGER_DROP_IN, "servers=")
                );
                let end = self.root.view.end_of_links(Path::new(RESOLV_CONF)).expect("no circle");
                self.root.put(&end.display().to_string(), &text);
            }
            "openresolv" => {
                self.root
                    .put(RESOLV_CONF, &format!("# Generated by resolvconf\nnameserver {}\n", server(RESOLVCONF_CONF, "name_servers=")));
            }
            _ if self.root.text("/run/dhcpcd/pid") == "7" && !self.root.text(DHCPCD_CONF).contains("\nnohook resolv.conf") => {
                self.root.put(RESOLV_CONF, DHCPCD_WROTE);
            }
            _ => {}
        }
    }
}

impl Machine for Fake<'_> {
    fn probe(&self, _: SocketAddr, _: &Name) -> Result<(), String> {
        self.probe.clone()
    }

    fn run(&self, words: &[String]) -> Result<String, String> {
        self.ran.borrow_mut().push(words.join(" "));
        if words[0] == self.failing_tool {
            return Err(format!("`{}`: exit status: 1", words.join(" ")));
        }
        if words[0] == "dhcpcd" {
            self.writes_late_at.set(self.now.get() + 500);
        }
        self.rewrite();
        Ok(if words[0] == "resolvectl" { "Link 2 (eth0): ~.\nLink 3 (tun0): ~corp.example\n".to_owned() } else { String::new() })
    }

    fn look_up(&self, name: &Name, _: Duration) -> Result<(), String> {
        if self.now.get() >= self.resolves_from { Ok(()) } else { Err(format!("{name} does not resolve")) }
    }

    fn now(&self) -> BootTime {
        BootTime(self.now.get())
    }

    fn pause(&self, time: Duration) {
        self.now.set(self.now.get() + time.as_millis() as u64);
        if self.is_stubborn || self.now.get() >= self.writes_late_at.get() {
            self.writes_late_at.set(u64::MAX);
            self.root.put(RESOLV_CONF, DHCPCD_WROTE);
        }
    }
}

struct Case {
    owner: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The paths that change, in order.
    changes: &'static [&'static str],
    tools: &'static [&'static str],
}

const STUB: (&str, &str) = ("/run/systemd/resolve/stub-resolv.conf", "# stub\nnameserver 127.0.0.53\noptions edns0\nsearch lan.example\n");
const UPLINK: (&str, &str) = ("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.1\nsearch lan.example\n");
const DHCPCD_WROTE: &str = "# Generated by dhcpcd from eth0.dhcp\nnameserver 192.0.2.1\n";
const RESTART: &[&str] = &["systemctl restart systemd-resolved.service"];

const CASES: &[Case] = &[
    Case {
        owner: "systemd-resolved",
        files: &[STUB, UPLINK, (RESOLV_CONF, "-> ../run/systemd/resolve/stub-resolv.conf"), ("/etc/systemd/resolved.conf", "[Resolve]\n")],
        changes: &[RESOLVED_DROP_IN],
        tools: RESTART,
    },
    Case {
        owner: "systemd-resolved",
        files: &[STUB, UPLINK, (RESOLV_CONF, "-> /run/systemd/resolve/resolv.conf")],
        changes: &[RESOLVED_DROP_IN, RESOLV_CONF],
        tools: RESTART,
    },
    Case {
        owner: "systemd-resolved",
        files: &[
            STUB,
            UPLINK,
            (RESOLV_CONF, "-> /var/run/systemd/resolve/resolv.conf"),
            ("/etc/systemd/resolved.conf", "DNSStubListener=no\n"),
        ],
        changes: &[RESOLVED_DROP_IN, RESOLV_CONF],
        tools: RESTART,
    },
    Case {
        owner: "systemd-resolved",
        files: &[
            STUB,
            UPLINK,
            ("/usr/lib/systemd/resolv.conf", "nameserver 127.0.0.53\n"),
            (RESOLV_CONF, "-> ../usr/lib/systemd/resolv.conf"),
        ],
        changes: &[RESOLVED_DROP_IN],
        tools: RESTART,
    },
    Case {
        owner: "network-manager",
        files: &[
            (RESOLV_CONF, "# Generated by NetworkManager\nsearch lan.example\nnameserver 192.0.2.1\n"),
            ("/etc/NetworkManager/NetworkManager.conf", "[main]\n"),
        ],
        changes: &[NETWORK_MANAGER_DROP_IN],
        tools: &["nmcli general reload"],
    },
    Case {
        owner: "network-manager",
        files: &[
            ("/run/NetworkManager/resolv.conf", "# Generated by NetworkManager\nsearch lan.example\nnameserver 192.0.2.1\n"),
            (RESOLV_CONF, "-> /run/NetworkManager/resolv.conf"),
        ],
        changes: &[NETWORK_MANAGER_DROP_IN],
        tools: &["nmcli general reload"],
    },
    Case {
        owner: "openresolv",
        files: &[
            (RESOLV_CONF, "# Generated by resolvconf\nnameserver 192.0.2.9\n"),
            (RESOLVCONF_CONF, "resolv_conf=/etc/resolv.conf\nname_servers=192.0.2.9"),
        ],
        changes: &[RESOLVCONF_CONF],
        tools: &["resolvconf -u"],
    },
    Case {
        owner: "dhcpcd",
        files: &[(RESOLV_CONF, DHCPCD_WROTE), (DHCPCD_CONF, "hostname\ninterface eth0\nmetric 1\n"), ("/run/dhcpcd/pid", "7")],
        changes: &[DHCPCD_CONF, RESOLV_CONF],
        tools: &["dhcpcd --rebind"],
    },
    Case {
        owner: "plain-file",
        files: &[(RESOLV_CONF, "# mine\nsearch lan.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2")],
        changes: &[RESOLV_CONF],
        tools: &[],
    },
    Case {
        owner: "plain-file",
        files: &[(RESOLV_CONF, "nameserver 192.0.2.1\n"), ("/etc/dhcp/dhclient-enter-hooks.d/other", "")],
        changes: &[RESOLV_CONF, DHCLIENT_HOOK],
        tools: &[],
    },
    Case { owner: "missing", files: &[], changes: &[RESOLV_CONF], tools: &[] },
    Case {
        owner: "dangling-link",
        files: &[(RESOLV_CONF, "-> ../run/systemd/resolve/stub-resolv.conf")],
        changes: &[RESOLV_CONF],
        tools: &[],
    },
    Case {
        owner: "linked",
        files: &[(RESOLV_CONF, "-> /run/resolvconf/resolv.conf"), ("/run/resolvconf/resolv.conf", "# Dynamic\nnameserver 192.0.2.1\n")],
        changes: &[RESOLV_CONF],
        tools: &[],
    },
    Case {
        owner: "mounted",
        files: &[
            (RESOLV_CONF, "# Generated by Docker Engine.\nnameserver 192.0.2.1\noptions ndots:0\n"),
            ("/proc/self/mountinfo", "35 21 0:30 /c/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda rw\n"),
        ],
        changes: &[RESOLV_CONF],
        tools: &[],
    },
    // The image has a link, and the runtime mounts its file where that ends.
    Case {
        owner: "mounted",
        files: &[
            (RESOLV_CONF, "-> ../run/systemd/resolve/stub-resolv.conf"),
            ("/run/systemd/resolve/stub-resolv.conf", "nameserver 192.0.2.1\n"),
            ("/proc/self/mountinfo", "35 21 0:30 /c/resolv.conf /run/systemd/resolve/stub-resolv.conf rw,relatime - ext4 /dev/sda rw\n"),
        ],
        changes: &["/run/systemd/resolve/stub-resolv.conf"],
        tools: &[],
    },
    Case {
        owner: "plain-file",
        files: &[STUB, UPLINK, (RESOLV_CONF, "nameserver 192.0.2.1\n"), ("/etc/nsswitch.conf", "hosts: files resolve dns\n")],
        changes: &[RESOLV_CONF, RESOLVED_DROP_IN],
        tools: RESTART,
    },
];

fn address() -> SocketAddr {
    "127.0.0.1:53".parse().expect("an address")
}

fn name() -> Name {
    Name::parse("example.com.").expect("a name")
}

fn request(dry_run: bool) -> Request {
    Request { candidates: vec![address()], name: name(), dry_run }
}

fn installed(machine: &Fake<'_>) -> Report {
    install(&machine.root.view, machine, &request(false), &mut |_| {})
}

fn planned(root: &Root) -> Plan {
    plan(&Facts::gather(&root.view).expect("readable"), address()).expect("a way")
}

/// Whether programs ask Cairn alone.
fn leads(root: &Root) -> bool {
    let owner = Facts::gather(&root.view).expect("readable").owner();
    leads_here(&root.view, owner.key() == "systemd-resolved", address()).is_ok()
}

#[test]
fn each_owner_has_its_plan() {
    for case in CASES {
        let root = Root::of(case);
        let plan = planned(&root);
        let changes: Vec<String> = plan.changes.iter().map(|change| change.path.display().to_string()).collect();
        let tools: Vec<String> = plan.tools.iter().map(|tool| tool.words.join(" ")).collect();
        assert_eq!(
            (plan.owner.key(), changes, tools),
            (case.owner, case.changes.iter().map(|c| (*c).to_owned()).collect(), case.tools.iter().map(|t| (*t).to_owned()).collect())
        );
    }
}

#[test]
fn install_and_uninstall_leave_every_octet() {
    for case in CASES {
        let root = Root::of(case);
        let (before, machine) = (root.all(), Fake::new(&root));
        let dry = install(&root.view, &machine, &request(true), &mut |_| {});
        assert_eq!((dry.result, root.all() == before), ("would-change", true), "{}: {dry:?}", case.owner);
        let report = installed(&machine);
        assert_eq!((report.result, report.good), ("installed", true), "{}: {report:?}", case.owner);
        assert!(leads(&root), "{}: {:?}", case.owner, root.all());
        // The network manager writes its file again, and the machine starts anew: that is the same to us.
        machine.rewrite();
        assert!(leads(&root), "{}, written again: {:?}", case.owner, root.all());
        let standing = status(&root.view, &machine, None, &name()).expect("readable");
        assert!(standing.is_good() && standing.json()["installed"] == "yes", "{}: {}", case.owner, standing.json());
        let between = root.all();
        let again = installed(&machine);
        assert_eq!((again.result, root.all() == between), ("already-installed", true), "{}: {again:?}", case.owner);
        let report = uninstall(&root.view, &machine, false);
        assert_eq!((report.result, root.all()), ("uninstalled", before.clone()), "{}: {report:?}", case.owner);
        let nothing = uninstall(&root.view, &machine, false);
        assert_eq!((nothing.result, nothing.good, root.all()), ("nothing-to-undo", true, before), "{}", case.owner);
    }
}

#[test]
fn search_list_and_options_stay() {
    for case in CASES {
        let root = Root::of(case);
        let texts = |root: &Root| root.view.text(&root.view.end_of_links(Path::new(RESOLV_CONF)).expect("no circle")).unwrap_or_default();
        let before = texts(&root);
        assert!(installed(&Fake::new(&root)).good, "{}", case.owner);
        let after = texts(&root) + &root.text(NETWORK_MANAGER_DROP_IN);
        for line in before.lines().filter(|line| line.starts_with("search") || line.starts_with("options")) {
            assert!(after.contains(line.split_once(' ').expect("a value").1), "{}: {line} is not in {after}", case.owner);
        }
    }
}

#[test]
fn nothing_changes_where_cairn_does_not_answer() {
    for case in CASES {
        let root = Root::of(case);
        let before = root.all();
        let machine = Fake { probe: Err("no answer from 127.0.0.1:53".to_owned()), ..Fake::new(&root) };
        let report = installed(&machine);
        assert_eq!((report.result, root.all()), ("refused", before), "{}", case.owner);
        assert!(machine.ran.borrow().is_empty() && report.summary.contains("no answer from"), "{}: {report:?}", case.owner);
    }
}

#[test]
fn a_name_that_does_not_resolve_takes_everything_back_in_30_s() {
    for case in CASES {
        let root = Root::of(case);
        let before = root.all();
        let machine = Fake { resolves_from: u64::MAX, ..Fake::new(&root) };
        let report = installed(&machine);
        assert_eq!((report.result, report.good, root.all()), ("rolled-back", false, before), "{}: {report:?}", case.owner);
        assert!((25_000..=30_000).contains(&machine.now.get()), "{}: after {} ms", case.owner, machine.now.get());
    }
    let dhcpcd = Root::of(&CASES[7]);
    let before = dhcpcd.all();
    let report = installed(&Fake { is_stubborn: true, ..Fake::new(&dhcpcd) });
    assert_eq!((report.result, dhcpcd.all()), ("rolled-back", before), "{report:?}");
    assert!(report.summary.contains("again and again"), "{report:?}");
    let root = Root::of(&CASES[0]);
    let slow = Fake { resolves_from: 20_000, ..Fake::new(&root) };
    assert_eq!(installed(&slow).result, "installed", "the owner may take its time");
}

#[test]
fn a_tool_that_fails_takes_everything_back() {
    for (case, tool) in CASES.iter().filter_map(|case| Some((case, case.tools.first()?.split(' ').next()?))) {
        let root = Root::of(case);
        let before = root.all();
        let report = installed(&Fake { failing_tool: tool, ..Fake::new(&root) });
        match tool {
            // It need not run.
            "dhcpcd" => assert!(report.good, "{report:?}"),
            _ => assert_eq!((report.result, root.all()), ("rolled-back", before), "{}: {report:?}", case.owner),
        }
    }
}

/// Stopped after each number of changes: the manifest is there first, so both commands know what to do.
#[test]
fn an_install_that_was_interrupted_is_undone() {
    for case in CASES {
        for done in 0..=case.changes.len() {
            for goes_on in [false, true] {
                let root = Root::of(case);
                let (before, machine, plan) = (root.all(), Fake::new(&root), planned(&root));
                let mut manifest = Manifest::new(&plan);
                manifest.add(&plan, &root.view);
                manifest.write(&root.view).expect("it can be written");
                manifest.folders.iter().take(done).for_each(|folder| root.view.make_folder(folder, 0o755).expect("it can be made"));
                for change in plan.changes.iter().take(done) {
                    manifest.folders.iter().for_each(|folder| root.view.make_folder(folder, 0o755).expect("it can be made"));
                    make(&root.view, change).expect("it can be made");
                }
                // And a file that was being written.
                root.put("/etc/.resolv.conf.cairn-new", "half");
                if goes_on {
                    let report = installed(&machine);
                    assert_eq!(report.result, "installed", "{} after {done}: {report:?}", case.owner);
                }
                let report = uninstall(&root.view, &machine, false);
                let mut left = root.all();
                if !case.changes.contains(&RESOLV_CONF) {
                    left.remove("etc/.resolv.conf.cairn-new");
                }
                assert_eq!((report.result, left), ("uninstalled", before), "{} after {done}: {report:?}", case.owner);
            }
        }
    }
}

fn edited_and_uninstalled(case: &Case, path: &str, more: &str) -> Root {
    let root = Root::of(case);
    assert!(installed(&Fake::new(&root)).good);
    root.append(path, more);
    uninstall(&root.view, &Fake::new(&root), false);
    root
}

#[test]
fn what_others_wrote_since_stays() {
    let plain = &CASES[8];
    for (edited, expected) in [
        // Beside our lines.
        (None, "# mine\nsearch lan.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2\noptions timeout:1\n"),
        // Instead of them.
        (Some("nameserver 198.51.100.1\n"), "nameserver 198.51.100.1\n"),
    ] {
        let root = Root::of(plain);
        assert!(installed(&Fake::new(&root)).good);
        match edited {
            Some(text) => root.put(RESOLV_CONF, text),
            None => root.append(RESOLV_CONF, "options timeout:1\n"),
        }
        let report = uninstall(&root.view, &Fake::new(&root), false);
        assert_eq!((report.result, root.text(RESOLV_CONF).as_str()), ("uninstalled", expected));
    }
    for (case, path, more, expected) in [
        (&CASES[6], RESOLVCONF_CONF, "search_domains=x\n", "resolv_conf=/etc/resolv.conf\nname_servers=192.0.2.9\nsearch_domains=x\n"),
        (&CASES[0], RESOLVED_DROP_IN, "LLMNR=no\n", "[Resolve]\nLLMNR=no\n"),
    ] {
        assert_eq!(edited_and_uninstalled(case, path, more).text(path), expected);
    }
    let root = edited_and_uninstalled(&CASES[11], RESOLV_CONF, "options timeout:1\n");
    let link = root.view.node(Path::new(RESOLV_CONF)).expect("readable");
    assert_eq!(link, Node::Link { target: "../run/systemd/resolve/stub-resolv.conf".into() });
    assert!(root.text("/etc/resolv.conf.cairn-kept").ends_with("options timeout:1\n"));
}

/// Somebody wrote the file; a second install takes it over again, and an undo brings back what that one wrote.
#[test]
fn a_second_install_takes_over_what_others_wrote() {
    let root = Root::of(&CASES[8]);
    let machine = Fake::new(&root);
    assert!(installed(&machine).good);
    root.put(RESOLV_CONF, "nameserver 198.51.100.1\n");
    assert!(!leads(&root));
    assert_eq!(installed(&machine).result, "installed");
    assert!(leads(&root));
    uninstall(&root.view, &machine, false);
    assert_eq!(root.text(RESOLV_CONF), "nameserver 198.51.100.1\n");
    // Cairn moved: what was there before the first install stays what an undo brings back.
    let root = Root::of(&CASES[8]);
    let (before, machine) = (root.all(), Fake::new(&root));
    assert!(installed(&machine).good);
    let moved = Request { candidates: vec!["192.0.2.53:53".parse().expect("an address")], ..request(false) };
    assert_eq!(install(&root.view, &machine, &moved, &mut |_| {}).result, "installed");
    assert_eq!(name_servers(&root.text(RESOLV_CONF)), ["192.0.2.53"]);
    uninstall(&root.view, &machine, false);
    assert_eq!(root.all(), before);
}

#[test]
fn what_cannot_be_done_is_told() {
    let other_port: SocketAddr = "127.0.0.1:5300".parse().expect("an address");
    for case in CASES {
        let root = Root::of(case);
        let facts = Facts::gather(&root.view).expect("readable");
        match plan(&facts, other_port) {
            Ok(_) => assert!(facts.owner().key() == "systemd-resolved" && facts.stub_listens, "{}", case.owner),
            Err(why) => assert!(why.contains("port 53"), "{}: {why}", case.owner),
        }
    }
    let root = Root::of(&CASES[13]);
    root.put("/proc/self/mountinfo", "35 21 0:30 /c /etc/resolv.conf ro,relatime - ext4 /dev/sda rw\n");
    let report = installed(&Fake::new(&root));
    assert!(report.result == "refused" && report.summary.contains("--dns 127.0.0.1"), "{report:?}");
    let root = Root::of(&CASES[8]);
    assert!(installed(&Fake::new(&root)).good);
    let manifest = root.at("/var/lib/cairn-system/manifest.json");
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let report = uninstall(&root.view, &Fake::new(&root), false);
    assert!(report.result == "refused" && report.summary.contains("others than root"), "{report:?}");
}

/// A link that systemd-resolved has for all names is asked beside Cairn; one for a VPN's own names is nobody's concern.
#[test]
fn links_for_all_names_are_told() {
    let root = Root::of(&CASES[0]);
    let report = installed(&Fake::new(&root));
    assert!(report.notes.iter().any(|note| note.contains("the servers of eth0 are asked beside Cairn")), "{report:?}");
    assert!(root.text(RESOLVED_DROP_IN).contains("\nDNS=\nDNS=127.0.0.1\n"));
}
