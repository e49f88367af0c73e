//! Finds the process that holds a port, so that the error after a failed bind can name it.
//!
//! `/proc/net/{udp,udp6,tcp,tcp6}` gives inode and owner of each bound socket, `/proc/PID/fd` the process that has it open.
//! Processes of other users, and processes with capabilities, show their descriptors to root only; then a well-known name
//! server that runs as the socket's owner is the likely one.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PortOwner {
    /// The address where it listens, which may be a wildcard.
    pub(super) listens_at: SocketAddr,
    pub(super) uid: u32,
    /// `None` if it is hidden from us and no likely process runs.
    pub(super) process: Option<Process>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// As the kernel stores it: cut after 15 characters.
    pub(super) command: String,
    /// It was seen to have the socket open; otherwise it is only likely.
    pub(super) is_certain: bool,
}

/// Name servers that usually hold port 53; names as the kernel cuts them.
const NAME_SERVERS: &[&str] = &[
    "cairn",
    "systemd-resolve",
    "dnsmasq",
    "unbound",
    "named",
    "pdns_recursor",
    "pdns_server",
    "kresd",
    "knotd",
    "nsd",
    "coredns",
    "AdGuardHome",
    "pihole-FTL",
    "dnscrypt-proxy",
    "avahi-daemon",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// The first socket that prevents `wanted` from being bound.
pub(super) fn port_owner(wanted: SocketAddr, transport: Transport) -> Option<PortOwner> {
    let tables = match transport {
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let bound = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).find_map(|text| find_bound(&text, wanted, transport))?;
    Some(PortOwner { listens_at: bound.at, uid: bound.uid, process: process_of(bound.inode).or_else(|| likely_process(bound.uid)) })
}

struct Bound {
    at: SocketAddr,
    uid: u32,
    inode: u64,
}

/// Searches the text of one table; the first line is its header.
fn find_bound(table: &str, wanted: SocketAddr, transport: Transport) -> Option<Bound> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = socket_from_hex(fields.get(1)?)?;
        // 0A is LISTEN; a TCP connection that uses the port as its local end prevents nobody from binding.
        let listens = transport == Transport::Udp || *fields.get(3)? == "0A";
        if !listens || at.port() != wanted.port() || !collide(at.ip(), wanted.ip()) {
            return None;
        }
        Some(Bound { at, uid: fields.get(7)?.parse().ok()?, inode: fields.get(9)?.parse().ok()? })
    })
}

fn collide(held: IpAddr, wanted: IpAddr) -> bool {
    // `::` may be dual-stack and then holds IPv4 as well; our own IPv6 wildcard never is.
    held == wanted
        || (held.is_unspecified() && (held.is_ipv6() || wanted.is_ipv4()))
        || (wanted.is_unspecified() && wanted.is_ipv4() == held.is_ipv4())
}

/// `0100007F:0035`: 32-bit groups in the machine's byte order, then the port in network order.
fn socket_from_hex(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        octets.extend_from_slice(&u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip: IpAddr = match octets.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn process_of(inode: u64) -> Option<Process> {
    let target = format!("socket:[{inode}]");
    let pid = pids().find(|pid| has_open(Path::new(&format!("/proc/{pid}/fd")), &target))?;
    Some(Process { pid, command: command_of(pid)?, is_certain: true })
}

/// A name server that runs as the socket's owner and hides its descriptors from us.
fn likely_process(uid: u32) -> Option<Process> {
    pids().find_map(|pid| {
        let command = command_of(pid).filter(|command| NAME_SERVERS.contains(&command.as_str()))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let hides = fs::read_dir(format!("/proc/{pid}/fd")).is_err();
        (hides && uid_of(&status) == Some(uid)).then_some(Process { pid, command, is_certain: false })
    })
}

/// The effective user of a process: `Uid:` is followed by the real, effective, saved and file system one.
fn uid_of(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn command_of(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

fn has_open(descriptors: &Path, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(descriptors) else { return false };
    entries.filter_map(Result::ok).any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn our_own_sockets_are_found() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let udp = UdpSocket::bind(address).expect("a port is free");
            let tcp = TcpListener::bind(address).expect("a port is free");
            for (local, transport) in
                [(udp.local_addr().expect("bound"), Transport::Udp), (tcp.local_addr().expect("bound"), Transport::Tcp)]
            {
                let wanted = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), local.port());
                let owner = port_owner(wanted, transport).expect("the kernel lists it");
                assert_eq!(owner.listens_at, local);
                assert_eq!(owner.process.map(|process| process.pid), Some(std::process::id()));
            }
        }
    }

    #[test]
    fn table_lines() {
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";
        let listening = "  12: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 12345 2 0 0\n";
        let connected = "  13: 0100007F:0035 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 12346 2 0 0\n";
        let table = format!("{header}{listening}{connected}");
        let find = |wanted: &str, transport| {
            let found = find_bound(&table, wanted.parse().expect("an address"), transport);
            found.map(|bound| (bound.at.to_string(), bound.uid, bound.inode))
        };
        let resolved = Some(("127.0.0.53:53".to_owned(), 101, 12345));
        assert_eq!(find("127.0.0.53:53", Transport::Tcp), resolved);
        assert_eq!(find("0.0.0.0:53", Transport::Tcp), resolved);
        assert_eq!(find("127.0.0.1:53", Transport::Tcp), None);
        assert_eq!(find("127.0.0.1:53", Transport::Udp), Some(("127.0.0.1:53".to_owned(), 0, 12346)));
        assert_eq!(find("[::]:53", Transport::Tcp), None);
    }

    #[test]
    fn the_owner_is_the_effective_user() {
        assert_eq!(uid_of("Name:\tx\nUid:\t1000\t101\t102\t103\nGid:\t1\t2\t3\t4\n"), Some(101));
        assert_eq!(uid_of("Name:\tx\n"), None);
        assert!(NAME_SERVERS.iter().all(|name| name.len() <= 15), "the kernel keeps 15 characters");
    }

    #[test]
    fn hexadecimal_addresses() {
        if cfg!(target_endian = "little") {
            assert_eq!(socket_from_hex("0100007F:0035"), "127.0.0.1:53".parse().ok());
            assert_eq!(socket_from_hex("00000000000000000000000001000000:0035"), "[::1]:53".parse().ok());
        }
        for bad in ["", ":", "0100007F", "0100007:0035", "0100007F:10035", "zz:1", "é100007F:0035"] {
            assert_eq!(socket_from_hex(bad), None, "{bad}");
        }
    }
}
