//! The addresses that are listened on, and what to do about one that cannot be bound.
//!
//! Every worker gets sockets of its own on each address (`env` binds them, so that no second server can silently share one).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::port_owner::{PortOwner, Transport, port_owner};
use crate::config::ServerSettings;
use crate::env::{bind_tcp, bind_udp};
use crate::listen::EncryptedAddr;

/// The port that is used if no address was configured and port 53 cannot be bound.
pub(super) const FALLBACK_PORT: u16 = 5300;

/// The sockets of one worker: one of each kind per address, in the order of [`Ports::addrs`]. Non-blocking.
#[derive(Debug, Default)]
pub struct WorkerSockets {
    pub udp: Vec<UdpSocket>,
    pub tcp: Vec<TcpListener>,
}

/// The bound sockets of all workers.
#[derive(Debug)]
pub struct Ports {
    pub workers: Vec<WorkerSockets>,
    pub addrs: Vec<SocketAddr>,
    /// For encrypted transports, one listening socket for each of their threads.
    pub encrypted: Vec<(EncryptedAddr, Vec<TcpListener>)>,
    /// Why these addresses are not the default ones, for the person at the terminal.
    pub notes: Vec<String>,
}

/// An address that could not be bound, with all that helps to fix it.
#[derive(Debug)]
pub struct BindError {
    pub addr: SocketAddr,
    transport: Transport,
    cause: io::Error,
    owner: Option<PortOwner>,
}

/// Binds the configured or the default addresses; `receive_bytes` is the kernel buffer of each UDP socket.
pub fn bind(server: &ServerSettings, receive_bytes: usize) -> Result<Ports, BindError> {
    let workers = server.worker_count();
    if let Some(addrs) = &server.listen {
        let ports = bind_all(addrs, workers, receive_bytes)?;
        let is_absent = |addr: &&SocketAddr| {
            UdpSocket::bind(SocketAddr::new(addr.ip(), 0)).is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
        };
        let absent = addrs.iter().filter(is_absent);
        let notes =
            absent.map(|addr| format!("{addr}: this machine does not have this address yet; it is served from when it has")).collect();
        return Ok(Ports { notes, ..ports });
    }
    let defaults = server.listen_addrs();
    bind_default(&defaults, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), FALLBACK_PORT), workers, receive_bytes)
}

fn bind_default(defaults: &[SocketAddr], fallback: SocketAddr, workers: usize, receive_bytes: usize) -> Result<Ports, BindError> {
    let (usable, mut notes) = without_missing_ipv6(defaults);
    match bind_all(&usable, workers, receive_bytes) {
        Ok(ports) => Ok(Ports { notes, ..ports }),
        // A second Cairn is a mistake to report, not a reason to use a third port.
        Err(error) if error.is_held_by_cairn() => Err(error),
        Err(error) => {
            let ports = bind_all(&[fallback], workers, receive_bytes)?;
            notes.push(error.to_string());
            notes.push(format!("using {fallback} instead, since no address was asked for: dig @{} -p {}", fallback.ip(), fallback.port()));
            Ok(Ports { notes, ..ports })
        }
    }
}

/// Leaves out default IPv6 addresses on a machine without IPv6; configured ones are kept.
fn without_missing_ipv6(addrs: &[SocketAddr]) -> (Vec<SocketAddr>, Vec<String>) {
    let has_address = |addr: &SocketAddr| match UdpSocket::bind(SocketAddr::new(addr.ip(), 0)) {
        Ok(_) => true,
        Err(error) => !is_missing_address(&error),
    };
    let (usable, missing): (Vec<SocketAddr>, Vec<SocketAddr>) = addrs.iter().partition(|addr| addr.is_ipv4() || has_address(addr));
    let notes = missing.iter().map(|addr| format!("not listening on {addr}: this machine has no IPv6")).collect();
    (usable, notes)
}

fn is_missing_address(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT))
}

/// One address, for a server that runs already.
pub(super) fn bind_one(addr: SocketAddr, workers: usize, receive_bytes: usize) -> Result<Ports, BindError> {
    bind_all(&[addr], workers, receive_bytes)
}

/// Listening sockets of one address for encrypted transports, one for each thread.
pub(super) fn bind_stream(addr: SocketAddr, threads: usize) -> Result<Vec<TcpListener>, BindError> {
    bind_tcp(addr, threads).map_err(|cause| BindError::of_stream(addr, cause))
}

/// All or nothing: sockets bound before a failure are closed again.
fn bind_all(addrs: &[SocketAddr], workers: usize, receive_bytes: usize) -> Result<Ports, BindError> {
    let mut all: Vec<WorkerSockets> = (0..workers.max(1)).map(|_| WorkerSockets::default()).collect();
    for addr in addrs {
        let failed = |transport| move |cause: io::Error| BindError::new(*addr, transport, cause);
        let udp = bind_udp(*addr, all.len(), receive_bytes).map_err(failed(Transport::Udp))?;
        let tcp = bind_tcp(*addr, all.len()).map_err(failed(Transport::Tcp))?;
        for (worker, (udp, tcp)) in all.iter_mut().zip(udp.into_iter().zip(tcp)) {
            worker.udp.push(udp);
            worker.tcp.push(tcp);
        }
    }
    Ok(Ports { workers: all, addrs: addrs.to_vec(), encrypted: Vec::new(), notes: Vec::new() })
}

impl BindError {
    fn new(addr: SocketAddr, transport: Transport, cause: io::Error) -> BindError {
        let owner = if cause.kind() == io::ErrorKind::AddrInUse { port_owner(addr, transport) } else { None };
        BindError { addr, transport, cause, owner }
    }

    pub(super) fn of_stream(addr: SocketAddr, cause: io::Error) -> BindError {
        BindError::new(addr, Transport::Tcp, cause)
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.cause.kind() == io::ErrorKind::AddrInUse
    }

    fn is_held_by_cairn(&self) -> bool {
        self.owner.as_ref().and_then(|owner| owner.process.as_ref()).is_some_and(|process| process.command == "cairn")
    }
}

impl std::error::Error for BindError {}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (addr, port) = (self.addr, self.addr.port());
        let transport = if self.transport == Transport::Udp { "UDP" } else { "TCP" };
        match self.cause.kind() {
            io::ErrorKind::PermissionDenied => {
                let program = std::env::current_exe().map_or_else(|_| "cairn".to_owned(), |path| path.display().to_string());
                writeln!(f, "{transport} {addr} is not permitted: ports below 1024 need a privilege. One of these grants it:")?;
                writeln!(f, "    sudo setcap cap_net_bind_service=+ep {program}")?;
                write!(f, "    sudo sysctl net.ipv4.ip_unprivileged_port_start={port}")
            }
            io::ErrorKind::AddrInUse => {
                write!(f, "{transport} {addr} is in use ")?;
                match &self.owner {
                    Some(owner) => write!(f, "by {}", PortOwnerText { owner, wanted: addr, transport: self.transport }),
                    None => write!(f, "by another process; this shows by which: {}", ss_command(self.transport, port)),
                }
            }
            _ if is_missing_address(&self.cause) => {
                write!(f, "{transport} {addr}: this machine has no such address; `ip address` shows those it has")
            }
            _ => write!(f, "{transport} {addr}: {}", self.cause),
        }
    }
}

struct PortOwnerText<'a> {
    owner: &'a PortOwner,
    wanted: SocketAddr,
    transport: Transport,
}

impl fmt::Display for PortOwnerText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.owner.listens_at;
        let Some(process) = &self.owner.process else {
            let show = ss_command(self.transport, at.port());
            return write!(f, "a process of the user with uid {} (it listens on {at}); this shows which: {show}", self.owner.uid);
        };
        let likely = if process.is_certain { "" } else { "a hidden process, probably " };
        write!(f, "{likely}{} (process {}, it listens on {at})", process.command, process.pid)?;
        match process.command.as_str() {
            "cairn" => write!(f, ": Cairn is already running; `kill {}` stops it", process.pid),
            "systemd-resolve" => systemd_resolved(f, self.wanted.ip(), at.ip()),
            _ => write!(f, ": stop it, or choose another address with --listen"),
        }
    }
}

/// Its stub resolver listens on 127.0.0.53 and 127.0.0.54 only, so it conflicts with those and with wildcards.
fn systemd_resolved(f: &mut fmt::Formatter<'_>, wanted: IpAddr, at: IpAddr) -> fmt::Result {
    if wanted.is_unspecified() && at.is_loopback() {
        write!(f, ": listen on the machine's own addresses instead of {wanted} (127.0.0.1 is free beside it), or free the port: ")?;
    } else {
        write!(f, ": to free the port, ")?;
    }
    write!(f, "set DNSStubListener=no in /etc/systemd/resolved.conf and run `sudo systemctl restart systemd-resolved`")
}

fn ss_command(transport: Transport, port: u16) -> String {
    let flag = if transport == Transport::Udp { 'u' } else { 't' };
    format!("sudo ss -Hlnp{flag} 'sport = :{port}'")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::port_owner::Process;
    use super::*;
    use crate::env::{DatagramBatch, DatagramSocket, RealDatagramSocket};

    const BUFFER: usize = 1 << 16;

    /// A loopback address with a port that is free for UDP and TCP; 127.x.y.z so that parallel tests do not meet.
    fn free_place() -> SocketAddr {
        loop {
            let tcp = TcpListener::bind("127.83.0.1:0").expect("a port is free");
            let addr = tcp.local_addr().expect("bound");
            if UdpSocket::bind(addr).is_ok() {
                return addr;
            }
        }
    }

    #[test]
    fn workers_share_and_a_second_server_is_refused() {
        let addr = free_place();
        let ports = bind_all(&[addr], 3, BUFFER).expect("free");
        assert_eq!((ports.workers.len(), ports.addrs), (3, vec![addr]));
        let second = bind_all(&[addr], 3, BUFFER).expect_err("somebody is there");
        assert_eq!((second.addr, second.cause.kind()), (addr, io::ErrorKind::AddrInUse));
        assert_eq!(second.owner.and_then(|owner| owner.process).map(|process| process.pid), Some(std::process::id()));
        drop(ports.workers);
        bind_all(&[addr], 3, BUFFER).expect("free again at once");
    }

    /// Somebody who holds the TCP port alone, with every option set, is found too, and so is a UDP-only owner.
    #[test]
    fn half_a_port_is_not_enough() {
        let addr = free_place();
        let other = bind_tcp(addr, 1).expect("free");
        let refused = bind_all(&[addr], 2, BUFFER).expect_err("TCP is taken");
        assert_eq!(refused.transport, Transport::Tcp);
        drop(other);
        let _other = bind_udp(addr, 1, BUFFER).expect("free");
        let refused = bind_all(&[addr], 2, BUFFER).expect_err("UDP is taken");
        assert_eq!(refused.transport, Transport::Udp);
    }

    /// The group is a real one: datagrams of many clients reach every worker, and none is lost.
    #[test]
    fn clients_are_spread_over_the_workers() {
        let addr = free_place();
        let ports = bind_all(&[addr], 2, 1 << 20).expect("free");
        let clients: Vec<UdpSocket> = (0..64).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port is free")).collect();
        clients.iter().for_each(|client| assert_eq!(client.send_to(b"x", addr).ok(), Some(1)));
        let mut buffer = [0; 8];
        let mut counts = Vec::new();
        for worker in &ports.workers {
            let socket = &worker.udp[0];
            counts.push(std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count());
        }
        assert_eq!(counts.iter().sum::<usize>(), clients.len(), "{counts:?}");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        let mut accepted = vec![0; 2];
        let connections: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(addr).expect("listening")).collect();
        for (worker, count) in ports.workers.iter().zip(&mut accepted) {
            while worker.tcp[0].accept().is_ok() {
                *count += 1;
            }
        }
        assert_eq!(accepted.iter().sum::<usize>(), connections.len(), "{accepted:?}");
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    }

    #[test]
    fn falls_back_only_when_nothing_was_asked_for() {
        let (taken, fallback) = (free_place(), free_place());
        let _holder = bind_udp(taken, 1, BUFFER).expect("free");
        let ports = bind_default(&[taken], fallback, 1, BUFFER).expect("the other place is free");
        assert_eq!(ports.addrs, [fallback]);
        assert!(ports.notes[0].contains("is in use by"), "{:?}", ports.notes);
        assert!(ports.notes[1].contains(&format!("using {fallback} instead")), "{:?}", ports.notes);
        let asked = ServerSettings { listen: Some(vec![taken]), workers: Some(1), ..ServerSettings::default() };
        bind(&asked, BUFFER).expect_err("what was asked for is not replaced");
    }

    #[test]
    fn both_wildcards_can_be_bound() {
        let port = free_place().port();
        let addrs = [SocketAddr::new("0.0.0.0".parse().expect("v4"), port), SocketAddr::new("::".parse().expect("v6"), port)];
        let (usable, _) = without_missing_ipv6(&addrs);
        bind_all(&usable, 2, BUFFER).expect("IPv6 does not take IPv4 with it");
    }

    #[tokio::test]
    async fn on_a_wildcard_address_the_reply_leaves_from_where_was_asked() {
        let any = SocketAddr::new("0.0.0.0".parse().expect("v4"), free_place().port());
        let socket = bind_all(&[any], 1, BUFFER).expect("free").workers.remove(0).udp.remove(0);
        let server = RealDatagramSocket::new(socket).expect("inside a runtime");
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port is free");
        let asked = SocketAddr::new("127.83.0.2".parse().expect("v4"), any.port());
        client.send_to(b"x", asked).await.expect("loopback");
        let mut batch = DatagramBatch::new();
        poll_fn(|cx| server.poll_recv(cx, &mut batch)).await.expect("readable");
        assert_eq!(server.send(&batch), 0);
        assert_eq!(client.recv_from(&mut [0; 8]).await.expect("reply"), (1, asked));
    }

    #[test]
    fn messages_tell_the_way_out() {
        let error = |kind: io::ErrorKind, owner| BindError {
            addr: "0.0.0.0:53".parse().expect("an address"),
            transport: Transport::Udp,
            cause: kind.into(),
            owner,
        };
        let owner = |command: &str, at: &str| {
            let process = Some(Process { pid: 7, command: command.to_owned(), is_certain: true });
            Some(PortOwner { listens_at: at.parse().expect("an address"), uid: 101, process })
        };
        let unknown = PortOwner { listens_at: "0.0.0.0:53".parse().expect("an address"), uid: 101, process: None };
        for (error, parts) in [
            (
                error(io::ErrorKind::PermissionDenied, None),
                &["sudo setcap cap_net_bind_service=+ep /", "ip_unprivileged_port_start=53"][..],
            ),
            (error(io::ErrorKind::AddrInUse, None), &["another process", "sudo ss -Hlnpu 'sport = :53'"]),
            (error(io::ErrorKind::AddrInUse, owner("dnsmasq", "0.0.0.0:53")), &["by dnsmasq (process 7", "--listen"]),
            (error(io::ErrorKind::AddrInUse, owner("cairn", "0.0.0.0:53")), &["Cairn is already running", "kill 7"]),
            (
                error(io::ErrorKind::AddrInUse, owner("systemd-resolve", "127.0.0.53:53")),
                &["DNSStubListener=no", "127.0.0.1 is free beside it"],
            ),
            (error(io::ErrorKind::AddrInUse, Some(unknown)), &["uid 101", "sudo ss"]),
        ] {
            let text = error.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
        assert!(error(io::ErrorKind::AddrInUse, owner("cairn", "0.0.0.0:53")).is_held_by_cairn());
    }
}
