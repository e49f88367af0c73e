//! Looks at machine and network, everything at once: each look has a thread of its own and a bound in time.
//!
//! Queries go to root servers, to servers that the configuration names, and to this machine itself; to nobody else.

use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::super::all_at_once::{self, all_at_once};
use super::super::command::Command;
use super::super::encrypted_query::{Forwarders, ask_encrypted};
use super::super::health::reachable_here;
use super::super::load::{StartOptions, configuration_as_far_as_it_goes, read_authorities, root_hints, trust_anchors};
use super::super::port_owner::{Transport, port_owner};
use super::super::resolv_conf::{self, RESOLV_CONF, name_servers};
use super::super::single_query::SingleQuery;
use super::super::{passed_file, socket, state};
use super::facts::{Asked, Control, Facts, Held, Outcome, OwnReply, ResolvConf, Role, Trusted};
use super::machine::is_of_resolved;
use super::seen::Seen;
use crate::config::Settings;
use crate::env::{Clock, Random, RealClock};
use crate::limits::server::{
    DOCTOR_FORWARDERS_MAX, DOCTOR_OWN_ADDRESSES_MAX, DOCTOR_ROOTS_MAX, DOCTOR_TIME_MAX, DOCTOR_TRIES_MAX, DOCTOR_WAIT_MAX,
    TRUST_FILE_BYTES_MAX,
};
use crate::record::{Name, Question, Rtype};
use crate::upstream::{AskError, TlsServer};
use crate::validate::TrustPoints;

/// The servers that systemd-resolved asks.
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const IPV6_ADDRESSES: &str = "/proc/net/if_inet6";

/// One thing that was found, and how it changes the facts.
type Found = Box<dyn FnOnce(&mut Facts) + Send>;
type Look = all_at_once::Look<Found>;

/// The queries to one server.
#[derive(Clone, Copy)]
enum Probe {
    Small,
    Recursive,
    Invented,
    Large,
    Tcp,
}

pub(super) fn gather(options: &StartOptions, places: &[PathBuf], progress: &dyn Fn(usize, usize)) -> Facts {
    let (configuration, mut mistakes) = configuration_as_far_as_it_goes(options);
    let mut settings = configuration.settings.clone();
    mistakes.extend(read_authorities(&mut settings, configuration.file.as_deref()));
    let hints = root_hints(settings.recursion.root_hints.as_deref()).unwrap_or_else(|problems| {
        mistakes.extend(problems);
        Vec::new()
    });
    let control = control(places.to_vec());
    let asked = whom_to_ask(&settings, &hints);
    let mut facts = Facts {
        configuration,
        mistakes,
        control,
        held: Vec::new(),
        absent: Vec::new(),
        resolv_conf: ResolvConf { servers: Err("it could not be read in time".to_owned()), local: Vec::new(), behind_resolved: Vec::new() },
        open_files: None,
        own: Vec::new(),
        hints,
        trusted: Trusted::default(),
        asked,
        has_ipv6_address: false,
        now: RealClock.wall(),
    };
    look_at_ports(&mut facts);
    let mut looks = looks_at_machine(&facts);
    looks.extend(looks_at_servers(&mut facts));
    for found in all_at_once(looks, RealClock.boot() + DOCTOR_TIME_MAX, progress) {
        found(&mut facts);
    }
    facts
}

/// What the control socket says; a server that hangs is not waited for.
fn control(places: Vec<PathBuf>) -> Control {
    let (sender, answer) = mpsc::channel();
    let asked = places.clone();
    let _ = thread::Builder::new().name("doctor".to_owned()).spawn(move || {
        let mut status = Value::Null;
        let reached = socket::ask(&asked, &Command::Status, |line| status = line);
        // The receiver may have given up.
        let _ = sender.send(reached.map(|reached| (reached, status)));
    });
    match answer.recv_timeout(DOCTOR_WAIT_MAX) {
        Ok(Ok((true, status))) => control_of(&status),
        Ok(Err(_)) | Err(_) => Control::Hangs,
        Ok(Ok((false, _))) => {
            Control::Unreachable { why: socket::why_no_server(&places), is_forbidden: places.iter().any(|path| is_forbidden(path)) }
        }
    }
}

fn is_forbidden(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn control_of(status: &Value) -> Control {
    let listening = status["listening-on"].as_array().map(Vec::as_slice).unwrap_or_default();
    Control::Answers {
        process: status["process"].as_u64().unwrap_or(0),
        listening: listening.iter().filter_map(|address| address.as_str()?.parse().ok()).collect(),
        privileges: status["privileges"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Both tables of the kernel are read in no time, and whom to ask depends on them.
fn look_at_ports(facts: &mut Facts) {
    for wanted in facts.configuration.settings.server.listen_addrs() {
        for transport in [Transport::Udp, Transport::Tcp] {
            facts.held.extend(port_owner(wanted, transport).map(|owner| Held { wanted, transport, owner }));
        }
        if UdpSocket::bind(SocketAddr::new(wanted.ip(), 0)).is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable) {
            facts.absent.push(wanted);
        }
    }
}

fn looks_at_machine(facts: &Facts) -> Vec<Look> {
    let process = match facts.control {
        Control::Answers { process, .. } => Some(process),
        Control::Hangs | Control::Unreachable { .. } => facts.cairn_in_the_tables().map(u64::from),
    };
    let settings = facts.configuration.settings.clone();
    let mut looks: Vec<Look> = vec![
        Box::new(|| {
            let resolv_conf = resolv_conf();
            Box::new(|facts| facts.resolv_conf = resolv_conf)
        }),
        Box::new(move || {
            let open_files = open_files(process);
            Box::new(move |facts| facts.open_files = open_files)
        }),
        Box::new(move || {
            let trusted = trusted(&settings);
            Box::new(|facts| facts.trusted = trusted)
        }),
        Box::new(|| {
            let has = fs::read_to_string(IPV6_ADDRESSES).is_ok_and(|text| has_ipv6_address(&text));
            Box::new(move |facts| facts.has_ipv6_address = has)
        }),
    ];
    let is_served = process.is_some() && facts.control != Control::Hangs;
    let addresses = facts.listening().into_iter().filter(|address| !facts.absent.contains(address)).take(DOCTOR_OWN_ADDRESSES_MAX);
    for address in addresses.map(reachable_here) {
        let transports = if is_served { vec![Transport::Udp, Transport::Tcp] } else { vec![Transport::Udp] };
        looks.extend(transports.into_iter().map(|transport| -> Look {
            Box::new(move || {
                let own = if is_served { ask_ourselves(address, transport) } else { send_to_ourselves(address) };
                Box::new(|facts| facts.own.push(own))
            })
        }));
    }
    looks
}

/// Any reply shows that packets go both ways.
fn ask_ourselves(address: SocketAddr, transport: Transport) -> OwnReply {
    let localhost = Question::new(Name::parse("localhost.").unwrap_or_else(|_| Name::root()), Rtype::A);
    let outcome = match ask(address, &localhost, true, false, transport) {
        Outcome::Reply(_) | Outcome::NotAsked => Ok(()),
        Outcome::Silence => Err("nothing came".to_owned()),
        Outcome::NoRoute(why) | Outcome::Failed(why) => Err(why),
    };
    OwnReply { address, transport, outcome }
}

/// Where no server runs: from one socket of ours to another one at the same address.
fn send_to_ourselves(address: SocketAddr) -> OwnReply {
    let exchange = || -> io::Result<SocketAddr> {
        let (to, from) = (UdpSocket::bind(SocketAddr::new(address.ip(), 0))?, UdpSocket::bind(SocketAddr::new(address.ip(), 0))?);
        to.set_read_timeout(Some(DOCTOR_WAIT_MAX))?;
        let at = to.local_addr()?;
        from.send_to(b"cairn doctor", at)?;
        to.recv(&mut [0; 16]).map(|_| at)
    };
    match exchange() {
        Ok(address) => OwnReply { address, transport: Transport::Udp, outcome: Ok(()) },
        Err(error) => {
            let why = if error.kind() == io::ErrorKind::WouldBlock { "nothing came".to_owned() } else { error.to_string() };
            OwnReply { address, transport: Transport::Udp, outcome: Err(why) }
        }
    }
}

/// At most so much of a file that others write.
fn resolv_conf() -> ResolvConf {
    let read = |file: &str| resolv_conf::read(Path::new(file)).map(|text| asked_by_programs(&text));
    let servers = read(RESOLV_CONF).map_err(|error| error.to_string());
    let listed = servers.clone().unwrap_or_default();
    let is_local = |ip: &IpAddr| UdpSocket::bind(SocketAddr::new(*ip, 0)).is_ok();
    let by_resolved = listed.iter().any(|ip| is_of_resolved(*ip));
    let behind_resolved = if by_resolved { read(BEHIND_RESOLVED).unwrap_or_default() } else { Vec::new() };
    ResolvConf { local: listed.iter().chain(&behind_resolved).copied().filter(is_local).collect(), servers, behind_resolved }
}

/// resolv.conf(5): a later server than the third is never asked.
fn asked_by_programs(text: &str) -> Vec<IpAddr> {
    name_servers(text).iter().filter_map(|server| server.split('%').next()?.parse().ok()).take(3).collect()
}

/// `None`: there is no limit, or none is known.
fn open_files(process: Option<u64>) -> Option<u64> {
    let Some(process) = process else { return limit_of(&fs::read_to_string("/proc/self/limits").ok()?, true) };
    // The number may be that of another process here: a server in a container counts its own.
    let command = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    command.starts_with("cairn").then(|| limit_of(&fs::read_to_string(format!("/proc/{process}/limits")).ok()?, false))?
}

/// The soft limit that is in force, or the hard one, to which a server raises it.
fn limit_of(limits: &str, hard: bool) -> Option<u64> {
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().nth(usize::from(hard))?.parse().ok()
}

/// The fields are address, index, prefix length, scope, flags and interface; scope 00 is global (if_inet6 of proc(5)).
fn has_ipv6_address(text: &str) -> bool {
    let address = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
        (fields.nth(2)? == "00").then_some(address)
    };
    // RFC 4193: unique local addresses lead nowhere outside.
    text.lines().filter_map(address).any(|address| !address.is_unique_local())
}

fn trusted(settings: &Settings) -> Trusted {
    let file = settings.recursion.trust_anchor.clone();
    let mut trusted = Trusted { file, ..Trusted::default() };
    let configured = trust_anchors(trusted.file.as_deref()).unwrap_or_else(|problems| {
        trusted.mistakes.extend(problems.iter().map(ToString::to_string));
        Vec::new()
    });
    let path = state::place(&settings.server).map(|folder| folder.join(state::ANCHORS));
    let saved = match path.as_ref().and_then(|path| saved_points(path)) {
        Some(Ok(saved)) => saved,
        Some(Err(why)) => {
            trusted.mistakes.extend(path.map(|path| format!("{}: {why}", path.display())));
            TrustPoints::default()
        }
        None => TrustPoints::default(),
    };
    let anchors = TrustPoints::new(&configured, saved).anchors();
    trusted.tags = anchors.iter().filter(|anchor| anchor.name.is_root()).map(crate::validate::Anchor::key_tag).collect();
    trusted
}

/// `None`: there is no such file, or it is not for us.
fn saved_points(path: &Path) -> Option<Result<TrustPoints, String>> {
    let mut bytes = Vec::new();
    let read = passed_file::open(path).ok()?.take(TRUST_FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    Some(match (read, String::from_utf8(bytes)) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(count), _) if count as u64 > TRUST_FILE_BYTES_MAX => Err("it is too long to be what Cairn wrote".to_owned()),
        (Ok(_), Err(_)) => Err("it is not text".to_owned()),
        (Ok(_), Ok(text)) => TrustPoints::from_text(&text),
    })
}

/// The servers to ask: those that the configuration names, and root servers where names are resolved from the root.
fn whom_to_ask(settings: &Settings, hints: &[(Name, IpAddr)]) -> Vec<Asked> {
    let recursion = &settings.recursion;
    if !recursion.enabled {
        return Vec::new();
    }
    let mut asked: Vec<Asked> = Vec::new();
    let forwards = settings.forwards.iter().map(|rule| {
        let proofs = recursion.dnssec && (rule.zone.is_root() || rule.dnssec);
        (rule, Role::Forwarder { zone: rule.zone.clone(), proofs })
    });
    let servers = Forwarders::new(settings);
    for (rule, role) in forwards.chain(settings.stubs.iter().map(|rule| (rule, Role::Stub { zone: rule.zone.clone() }))) {
        asked.extend(servers.of(&rule.zone).into_iter().map(|(to, tls)| Asked { tls, ..Asked::of(to, role.clone()) }));
    }
    asked.truncate(DOCTOR_FORWARDERS_MAX);
    let rules = settings.forwards.iter().chain(&settings.stubs);
    let is_forwarded = rules.into_iter().any(|rule| rule.zone.is_root() && !rule.to.is_empty() && !rule.fallback);
    if !is_forwarded {
        for (ipv6, allowed) in [(false, recursion.ipv4), (true, recursion.ipv6)] {
            let of_family = hints.iter().map(|(_, ip)| *ip).filter(|ip| ip.is_ipv6() == ipv6 && allowed != Some(false));
            let chosen = at_random(of_family.collect(), DOCTOR_ROOTS_MAX);
            asked.extend(chosen.into_iter().map(|ip| Asked::of(SocketAddr::new(ip, 53), Role::Root)));
        }
    }
    asked
}

/// Not always the same servers: one of them may be out of order.
fn at_random(mut from: Vec<IpAddr>, count: usize) -> Vec<IpAddr> {
    if let Ok(random) = Random::from_system() {
        for last in (1..from.len()).rev() {
            from.swap(last, random.below(last + 1));
        }
    }
    from.truncate(count);
    from
}

fn looks_at_servers(facts: &mut Facts) -> Vec<Look> {
    let tag = Random::from_system().map_or(0, |random| random.u32());
    // RFC 6761 6.4: nobody registers a name below `invalid`.
    let invented = Name::parse(&format!("cairn-doctor-{tag:08x}.invalid.")).unwrap_or_else(|_| Name::root());
    let mut looks: Vec<Look> = Vec::new();
    for (index, asked) in facts.asked.iter_mut().enumerate() {
        for (probe, question, recursion_desired) in questions(&asked.role, &invented) {
            // What does not end in time is silence.
            *outcome_of(asked, probe) = Outcome::Silence;
            let (server, tls) = (asked.server, asked.tls.clone());
            looks.push(Box::new(move || {
                let transport = if matches!(probe, Probe::Tcp) { Transport::Tcp } else { Transport::Udp };
                let dnssec = matches!(probe, Probe::Large);
                let outcome = match &tls {
                    Some(tls) => ask_over_tls(server, tls, &question, dnssec),
                    None => ask(server, &question, recursion_desired, dnssec, transport),
                };
                Box::new(move |facts| {
                    if let Some(asked) = facts.asked.get_mut(index) {
                        *outcome_of(asked, probe) = outcome;
                    }
                })
            }));
        }
    }
    looks
}

fn outcome_of(asked: &mut Asked, probe: Probe) -> &mut Outcome {
    match probe {
        Probe::Small => &mut asked.small,
        Probe::Recursive => &mut asked.recursive,
        Probe::Invented => &mut asked.invented,
        Probe::Large => &mut asked.large,
        Probe::Tcp => &mut asked.tcp,
    }
}

/// What a server is asked, and whether with RD.
fn questions(role: &Role, invented: &Name) -> Vec<(Probe, Question, bool)> {
    let ns = || Question::new(Name::root(), Rtype::NS);
    let keys = |zone: &Name| Question::new(zone.clone(), Rtype::DNSKEY);
    let known = Name::parse("example.com.").unwrap_or_else(|_| Name::root());
    let of_everything = |rd: bool| {
        vec![
            (Probe::Small, ns(), rd),
            (Probe::Tcp, ns(), rd),
            (Probe::Large, keys(&Name::root()), rd),
            // A server that does not recurse ignores RD.
            (Probe::Recursive, Question::new(known.clone(), Rtype::A), true),
            (Probe::Invented, Question::new(invented.clone(), Rtype::A), true),
        ]
    };
    match role {
        Role::Root => of_everything(false),
        Role::Forwarder { zone, proofs: true } if zone.is_root() => of_everything(true),
        Role::Forwarder { zone, .. } if zone.is_root() => {
            of_everything(true).into_iter().filter(|(probe, ..)| !matches!(probe, Probe::Large)).collect()
        }
        Role::Forwarder { zone, proofs } => {
            let small = (Probe::Small, Question::new(zone.clone(), Rtype::SOA), true);
            [small].into_iter().chain(proofs.then(|| (Probe::Large, keys(zone), true))).collect()
        }
        Role::Stub { zone } => vec![(Probe::Small, Question::new(zone.clone(), Rtype::SOA), false)],
    }
}

/// A server that is asked over encrypted connections is never asked in clear text.
fn ask_over_tls(server: SocketAddr, tls: &Arc<TlsServer>, question: &Question, dnssec: bool) -> Outcome {
    match ask_encrypted(server, tls, question, dnssec, DOCTOR_WAIT_MAX * DOCTOR_TRIES_MAX as u32) {
        Ok(reply) => Seen::read(&reply).map_or_else(|| Outcome::Failed("the reply is no message".to_owned()), Outcome::Reply),
        Err(AskError::Timeout { .. }) => Outcome::Silence,
        Err(error @ AskError::Unreachable(_)) => Outcome::NoRoute(error.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Over UDP again if nothing comes: one lost datagram is no fault.
fn ask(server: SocketAddr, question: &Question, recursion_desired: bool, dnssec: bool, transport: Transport) -> Outcome {
    let tcp = transport == Transport::Tcp;
    let tries = if tcp { 1 } else { DOCTOR_TRIES_MAX };
    let wait: Duration = if tcp { DOCTOR_WAIT_MAX * DOCTOR_TRIES_MAX as u32 } else { DOCTOR_WAIT_MAX };
    let mut last = Outcome::Silence;
    for _ in 0..tries {
        last = match (SingleQuery { server, question, recursion_desired, dnssec, tcp, wait }).ask() {
            Ok(reply) => match Seen::read(&reply) {
                Some(seen) => return Outcome::Reply(seen),
                None => Outcome::Failed("the reply is no message".to_owned()),
            },
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut => Outcome::Silence,
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable => {
                    return Outcome::NoRoute(error.to_string());
                }
                _ => return Outcome::Failed(error.to_string()),
            },
        };
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let text = "# nameserver 192.0.2.1\nsearch lan\nnameserver\t127.0.0.1\nnameserver fe80::1%eth0\nnameserver x\nnameserver ::1\nnameserver 192.0.2.4\n";
        assert_eq!(asked_by_programs(text), [ip("127.0.0.1"), ip("fe80::1"), ip("::1")]);
        let limits = "Limit   Soft  Hard  Units\nMax open files            1024                 524288               files     \n";
        assert_eq!((limit_of(limits, false), limit_of(limits, true)), (Some(1_024), Some(524_288)));
        assert_eq!(limit_of("Max open files            unlimited            unlimited            files     \n", true), None);
        let line = |address: &str, scope: &str| format!("{address} 02 40 {scope} 80     eth0\n");
        for (address, scope, is_global) in [
            ("20010db8000c00000000000000000053", "00", true),
            ("fd000db8000c00000000000000000053", "00", false),
            ("fe800000000000000000000000000001", "20", false),
            ("00000000000000000000000000000001", "10", false),
            ("nonsense", "00", false),
        ] {
            assert_eq!(has_ipv6_address(&line(address, scope)), is_global, "{address}");
        }
    }

    #[test]
    fn only_configured_servers_and_root_servers_are_asked() {
        let hints = root_hints(None).expect("built in");
        let asked = |config: &str| {
            let (settings, problems) = Settings::read_toml(config, "cairn.toml");
            assert!(problems.is_empty(), "{problems:?}");
            let asked = whom_to_ask(&settings, &hints);
            let roots = asked.iter().filter(|asked| asked.role == Role::Root).count();
            (
                roots,
                asked.iter().filter(|asked| asked.role != Role::Root).map(|asked| asked.server.to_string()).collect::<Vec<_>>().join(" "),
            )
        };
        for (config, expected) in [
            ("", (6, "")),
            ("[recursion]\nipv6 = false\n", (3, "")),
            ("[recursion]\nenabled = false\n", (0, "")),
            (
                "[[forward]]\nzone = 'corp.example'\nto = ['10.0.0.1']\n[[stub]]\nzone = 'lab.example'\nto = ['192.0.2.1:5353']\n",
                (6, "10.0.0.1:53 192.0.2.1:5353"),
            ),
            ("[[forward]]\nzone = '.'\nto = ['10.0.0.1']\n", (0, "10.0.0.1:53")),
            ("[[forward]]\nzone = '.'\nto = ['10.0.0.1']\nfallback = true\n", (6, "10.0.0.1:53")),
        ] {
            assert_eq!(asked(config), (expected.0, expected.1.to_owned()), "{config}");
        }
    }
}
