//! Checks of this machine: configuration, the running server, its ports, whom programs ask, limits and rights.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::super::load::open_resolver as open_to_all;
use super::super::port_owner::{PortOwner, Transport};
use super::super::ports::FALLBACK_PORT;
use super::facts::{Control, Facts, Held};
use super::verdict::Verdict;
use crate::limits::server::OPEN_FILES_MIN;

/// Mistakes in the configuration keep a server from starting and from reloading.
pub(super) fn configuration(facts: &Facts) -> Verdict {
    match facts.mistakes.as_slice() {
        [] => Verdict::Good,
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Verdict::fault(format!("{first}{more}"), "correct the file; `cairn check` shows every mistake, `cairn reload` takes it over")
        }
    }
}

/// Is there a server, and can commands reach it?
pub(super) fn server(facts: &Facts) -> Verdict {
    let (why, is_forbidden) = match &facts.control {
        Control::Answers { .. } => return Verdict::Good,
        Control::Hangs => {
            return Verdict::fault(
                "a server accepts commands at its control socket and does not answer them",
                "restart it: `sudo systemctl restart cairn`; its log (`journalctl -u cairn`) may say why",
            );
        }
        Control::Unreachable { why, is_forbidden } => (why, *is_forbidden),
    };
    let running = facts.cairn_in_the_tables();
    match running {
        // Rights that this user lacks are no fault of the machine.
        _ if is_forbidden && !facts.held.is_empty() => {
            Verdict::NotKnown("its control socket is another user's: `sudo cairn doctor` can use it")
        }
        Some(process) => Verdict::fault(
            format!("Cairn runs (process {process}), but commands cannot reach it: {why}"),
            "name its socket (`--control-socket PATH`, or `--config FILE` of that server); where the socket is gone, restart the server",
        ),
        None => Verdict::fault(
            format!("no Cairn runs here: {why}"),
            "start it: `sudo systemctl enable --now cairn`, or `cairn run` in a terminal",
        ),
    }
}

/// Does another process have a configured port, or does no interface have the address?
pub(super) fn port(facts: &Facts) -> Verdict {
    let configured = facts.configuration.settings.server.listen.is_some();
    let listening: BTreeSet<SocketAddr> = match &facts.control {
        // It was told on its command line to listen elsewhere, and does.
        Control::Answers { listening, .. } if !configured && !listening.iter().any(|at| at.port() == FALLBACK_PORT) => {
            return Verdict::Good;
        }
        Control::Answers { listening, .. } => listening.iter().copied().collect(),
        Control::Hangs | Control::Unreachable { .. } => BTreeSet::new(),
    };
    let is_cairn = |owner: &PortOwner| owner.process.as_ref().is_some_and(|process| process.command == "cairn");
    let foreign: Vec<&Held> = facts.held.iter().filter(|held| !is_cairn(&held.owner) && !listening.contains(&held.wanted)).collect();
    if let Some(first) = foreign.first() {
        let places: BTreeSet<String> = foreign.iter().map(|held| format!("{} ({})", held.wanted, transport_name(held.transport))).collect();
        let places: Vec<String> = places.into_iter().collect();
        return Verdict::fault(format!("{} is held by {}", places.join(", "), who(&first.owner)), how_to_free(&first.owner));
    }
    let absent = facts.absent.iter().filter(|address| configured && !address.ip().is_unspecified());
    let absent: Vec<String> = absent.map(ToString::to_string).collect();
    if absent.is_empty() {
        return Verdict::Good;
    }
    Verdict::fault(
        format!("no interface of this machine has {}", absent.join(", ")),
        "give it the address (`ip address` shows those it has), or take it out of `listen` below [server]",
    )
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    }
}

fn who(owner: &PortOwner) -> String {
    match &owner.process {
        Some(process) if process.is_certain => format!("{} (process {})", process.command, process.pid),
        Some(process) => format!("a hidden process, probably {} (process {})", process.command, process.pid),
        None => format!("a process of the user with uid {}, hidden from here", owner.uid),
    }
}

fn how_to_free(owner: &PortOwner) -> String {
    let elsewhere = "or let Cairn listen at another address (`listen` below [server])";
    match owner.process.as_ref().map(|process| process.command.as_str()) {
        Some("systemd-resolve") => {
            format!("set DNSStubListener=no in /etc/systemd/resolved.conf and run `sudo systemctl restart systemd-resolved`, {elsewhere}")
        }
        Some(command) => format!("stop it (`sudo systemctl disable --now {command}`, if that is its unit), {elsewhere}"),
        None => format!("`sudo cairn doctor` shows its name; stop it, {elsewhere}"),
    }
}

/// A server that runs and listens, and whose own machine gets no answer from it.
pub(super) fn packet_filter(facts: &Facts) -> Verdict {
    if facts.own.is_empty() {
        return Verdict::NotKnown("nobody listens there");
    }
    let silent: Vec<String> = facts
        .own
        .iter()
        .filter_map(|own| Some(format!("{} over {} ({})", own.address, transport_name(own.transport), own.outcome.as_ref().err()?)))
        .collect();
    if silent.is_empty() {
        return Verdict::Good;
    }
    Verdict::fault(
        format!("what this machine sends to itself gets no answer at {}", silent.join(", ")),
        "a packet filter or a routing rule drops it: look at `sudo nft list ruleset` or `sudo iptables-save`, and at `ip rule`; accept \
         UDP and TCP to port 53 of these addresses and everything on lo, and see that lo is up (`ip link`)",
    )
}

/// Do programs of this machine ask Cairn?
pub(super) fn resolv_conf(facts: &Facts) -> Verdict {
    let resolv_conf = &facts.resolv_conf;
    let listening = facts.listening();
    let here: Vec<SocketAddr> = listening.iter().copied().filter(|address| address.port() == 53).collect();
    let is_here = |ip: &IpAddr| {
        here.iter().any(|at| at.ip() == *ip || at.ip().is_unspecified() && at.is_ipv4() == ip.is_ipv4() && resolv_conf.local.contains(ip))
    };
    let servers = match &resolv_conf.servers {
        Ok(servers) => servers,
        Err(why) => return Verdict::fault(format!("/etc/resolv.conf cannot be read: {why}"), how_to_point_here(&here)),
    };
    // resolv.conf(5): without a `nameserver` line the server on the local machine is asked.
    let local = [IpAddr::from([127, 0, 0, 1])];
    let first = if servers.is_empty() { local.first() } else { servers.first() };
    // It asks the one that its routing domains name, which need not be the first.
    let by_resolved = |ip: &IpAddr| is_of_resolved(*ip) && resolv_conf.behind_resolved.iter().any(is_here);
    match first {
        Some(first) if is_here(first) || by_resolved(first) => Verdict::Good,
        _ => {
            let asked: Vec<String> = servers.iter().map(ToString::to_string).collect();
            let asked = if asked.is_empty() { "127.0.0.1".to_owned() } else { asked.join(", ") };
            let listening: Vec<String> = listening.iter().map(ToString::to_string).collect();
            Verdict::fault(
                format!("programs of this machine ask {asked} (/etc/resolv.conf); Cairn listens on {}", listening.join(", ")),
                how_to_point_here(&here),
            )
        }
    }
}

/// The addresses of its stub resolver.
pub(super) fn is_of_resolved(ip: IpAddr) -> bool {
    [[127, 0, 0, 53], [127, 0, 0, 54]].iter().any(|octets| ip == IpAddr::from(*octets))
}

fn how_to_point_here(here: &[SocketAddr]) -> String {
    let Some(at) = here.first() else {
        return "resolv.conf cannot name a port: let Cairn listen on port 53 (`listen` below [server]), then name its address".to_owned();
    };
    let ip = match at.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    format!("run `sudo cairn system install`, or write `nameserver {ip}` as the first server into the file")
}

/// Each question that waits for a server needs a descriptor.
pub(super) fn open_files(facts: &Facts) -> Verdict {
    match facts.open_files {
        Some(count) if count < OPEN_FILES_MIN => Verdict::fault(
            format!("the server may have {count} files open: that many questions and connections together, and no more"),
            "raise the hard limit: `LimitNOFILE=65536` in the unit, `ulimit -Hn 65536` in a shell of root; then restart the server",
        ),
        _ => Verdict::Good,
    }
}

/// RFC 5358.
pub(super) fn open_resolver(facts: &Facts) -> Verdict {
    match open_to_all(&facts.configuration) {
        Some(problem) => {
            let what = problem.what.strip_prefix("warning: ").unwrap_or(&problem.what).to_owned();
            Verdict::fault(what, problem.hint.unwrap_or_default())
        }
        None => Verdict::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::OwnReply;
    use super::super::test_facts::{Row, each_is_found, none_is_a_fault, socket};
    use super::*;
    use crate::config::{Prefix, Problem};
    use crate::server::port_owner::Process;

    fn held(wanted: &str, command: Option<&str>) -> Held {
        let process = command.map(|command| Process { pid: 12, command: command.to_owned(), is_certain: true });
        let owner = PortOwner { listens_at: socket(wanted), uid: 0, process };
        Held { wanted: socket(wanted), transport: Transport::Udp, owner }
    }

    fn gone(is_forbidden: bool) -> Control {
        Control::Unreachable { why: "/run/cairn/control.sock is not there".to_owned(), is_forbidden }
    }

    #[test]
    fn each_fault_of_the_machine() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let rows: &[Row<'_>] = &[
            ("configuration", "cairn.toml: unknown key (and 1 more)", "cairn check", &|facts| {
                facts.mistakes = vec![Problem::of_file("cairn.toml", "unknown key"), Problem::of_file("cairn.toml", "another")];
            }),
            ("server", "no Cairn runs here: /run/cairn/control.sock is not there", "systemctl enable --now cairn", &|facts| {
                facts.control = gone(false);
            }),
            // Nobody has the port, so the socket was left behind.
            ("server", "no Cairn runs here", "systemctl enable --now cairn", &|facts| facts.control = gone(true)),
            ("server", "Cairn runs (process 12), but commands cannot reach it", "--control-socket", &|facts| {
                facts.control = gone(false);
                facts.held = vec![held("127.0.0.1:53", Some("cairn"))];
            }),
            ("server", "does not answer", "restart it", &|facts| facts.control = Control::Hangs),
            ("port", "192.0.2.7:53 (UDP) is held by dnsmasq (process 12)", "systemctl disable --now dnsmasq", &|facts| {
                facts.configuration.settings.server.listen = Some(vec![socket("192.0.2.7:53")]);
                facts.held = vec![held("192.0.2.7:53", Some("dnsmasq"))];
            }),
            ("port", "is held by systemd-resolve", "DNSStubListener=no", &|facts| {
                facts.configuration.settings.server.listen = Some(vec![socket("127.0.0.53:53")]);
                facts.held = vec![held("127.0.0.53:53", Some("systemd-resolve"))];
            }),
            ("port", "uid 0", "sudo cairn doctor", &|facts| {
                facts.configuration.settings.server.listen = Some(vec![socket("192.0.2.7:53")]);
                facts.held = vec![held("192.0.2.7:53", None)];
            }),
            ("port", "no interface of this machine has 192.0.2.7:53", "ip address", &|facts| {
                facts.configuration.settings.server.listen = Some(vec![socket("192.0.2.7:53")]);
                facts.absent = vec![socket("192.0.2.7:53")];
            }),
            ("packet filter", "no answer at 127.0.0.1:53 over UDP (nothing came)", "nft list ruleset", &|facts| {
                let (address, outcome) = (socket("127.0.0.1:53"), Err("nothing came".to_owned()));
                facts.own[0] = OwnReply { address, transport: Transport::Udp, outcome };
            }),
            ("resolv.conf", "ask 192.0.2.99 (/etc/resolv.conf); Cairn listens on 127.0.0.1:53", "nameserver 127.0.0.1", &|facts| {
                facts.resolv_conf.servers = Ok(vec![ip("192.0.2.99")]);
            }),
            // The first server counts: the others are asked when it is silent.
            ("resolv.conf", "192.0.2.99, 127.0.0.1", "nameserver", &|facts| {
                facts.resolv_conf.servers = Ok(vec![ip("192.0.2.99"), ip("127.0.0.1")]);
            }),
            ("resolv.conf", "ask 127.0.0.53", "cairn system install", &|facts| facts.resolv_conf.servers = Ok(vec![ip("127.0.0.53")])),
            ("resolv.conf", "cannot be read", "nameserver", &|facts| facts.resolv_conf.servers = Err("no such file".to_owned())),
            ("resolv.conf", "listens on 127.0.0.1:5300", "cannot name a port", &|facts| {
                let listening = vec![socket("127.0.0.1:5300")];
                facts.control = Control::Answers { process: 7, listening, privileges: String::new() };
            }),
            ("open files", "may have 64 files open", "LimitNOFILE", &|facts| facts.open_files = Some(64)),
            ("open resolver", "everybody who reaches 192.0.2.7:53", "networks of your clients", &|facts| {
                facts.configuration.settings.server.listen = Some(vec![socket("192.0.2.7:53")]);
                facts.configuration.settings.server.allow = Prefix::new(ip("0.0.0.0"), 0).into_iter().collect();
            }),
        ];
        each_is_found(rows);
    }

    #[test]
    fn what_is_no_fault() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let rows: &[&dyn Fn(&mut Facts)] = &[
            &|facts| facts.held = vec![held("127.0.0.1:53", None)],
            &|facts| facts.held = vec![held("127.0.0.1:53", Some("cairn"))],
            // A user without rights for the control socket of the service.
            &|facts| {
                facts.control = gone(true);
                facts.held = vec![held("127.0.0.1:53", Some("cairn"))];
            },
            // `cairn run --listen` beside another server.
            &|facts| {
                let listening = vec![socket("127.0.0.2:53")];
                facts.control = Control::Answers { process: 7, listening, privileges: String::new() };
                facts.held = vec![held("127.0.0.1:53", Some("dnsmasq"))];
                facts.resolv_conf.servers = Ok(vec![ip("127.0.0.2")]);
            },
            // Nobody configured it: a machine without IPv6.
            &|facts| facts.absent = vec![socket("[::1]:53")],
            &|facts| facts.resolv_conf.servers = Ok(Vec::new()),
            &|facts| {
                facts.resolv_conf.servers = Ok(vec![ip("127.0.0.53")]);
                facts.resolv_conf.behind_resolved = vec![ip("192.0.2.99"), ip("127.0.0.1")];
            },
            &|facts| {
                let listening = vec![socket("0.0.0.0:53")];
                facts.control = Control::Answers { process: 7, listening, privileges: String::new() };
                facts.resolv_conf.servers = Ok(vec![ip("192.0.2.7")]);
                facts.resolv_conf.local = vec![ip("192.0.2.7")];
            },
            &|facts| facts.open_files = None,
        ];
        none_is_a_fault(rows);
    }
}
