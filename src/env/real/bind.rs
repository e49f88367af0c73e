//! Listening sockets: one per worker for each configured address. They share the port among themselves and with no other
//! program.
//!
//! SO_REUSEPORT alone would let a second server of the same user share the port silently. So the first socket is bound
//! without it, which fails if the port is in use. Then sharing is switched on and the others are bound. The first bind
//! of a second server fails in the same way.
//!
//! A socket on `[::]` receives IPv6 only, so that `0.0.0.0` can be bound to the same port.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::syscalls::{self, Family, Shape};
use crate::limits::clients::ACCEPT_BACKLOG_MAX;

/// `count` UDP sockets (at least one) on one address. With port 0 all get the port that the first was given.
/// `receive_bytes` is the receive buffer that bridges the time in which a worker is busy. The kernel may grant less
/// (net.core.rmem_max) without an error, and that is not reported here either.
pub fn bind_udp(address: SocketAddr, count: usize, receive_bytes: usize) -> io::Result<Vec<UdpSocket>> {
    let sockets = bind_shared(address, count, |address| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        let _ = socket.set_recv_buffer_size(receive_bytes);
        let shape = Shape::of(address);
        match shape.family {
            Family::V4 => syscalls::ignore_path_mtu(socket.as_raw_fd())?,
            Family::V6 => socket.set_only_v6(true)?,
        }
        if shape.is_wildcard() {
            syscalls::receive_destinations(socket.as_raw_fd(), shape.family)?;
        }
        Ok(socket)
    })?;
    Ok(sockets.into_iter().map(UdpSocket::from).collect())
}

/// The same for TCP; the sockets are already listening.
pub fn bind_tcp(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let sockets = bind_shared(address, count, |address| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        // Allows the port of an earlier run whose connections are in TIME_WAIT. The bind still fails while another listener
        // lives.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        Ok(socket)
    })?;
    sockets.iter().try_for_each(|socket| socket.listen(ACCEPT_BACKLOG_MAX))?;
    Ok(sockets.into_iter().map(TcpListener::from).collect())
}

fn bind_shared(address: SocketAddr, count: usize, make: impl Fn(SocketAddr) -> io::Result<Socket>) -> io::Result<Vec<Socket>> {
    let first = make(address)?;
    bind_early(&first, address)?;
    let bound = first.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    first.set_reuse_port(true)?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let next = make(bound)?;
        next.set_reuse_port(true)?;
        bind_early(&next, bound)?;
        sockets.push(next);
    }
    Ok(sockets)
}

/// An address that the machine does not have yet, as at a start before the network is up, can be bound all the same.
fn bind_early(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match socket.bind(&address.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            match address {
                SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
                SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
            }
            socket.bind(&address.into())
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: usize = 1 << 16;

    #[test]
    fn workers_share_a_port_and_strangers_do_not() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
        let udp = bind_udp(any, 3, BUFFER).expect("free port");
        let tcp = bind_tcp(any, 3).expect("free port");
        let udp_at = udp[0].local_addr().expect("bound");
        let tcp_at = tcp[0].local_addr().expect("bound");
        assert!(udp.iter().all(|socket| socket.local_addr().ok() == Some(udp_at)));
        assert!(tcp.iter().all(|socket| socket.local_addr().ok() == Some(tcp_at)));
        assert_eq!(bind_udp(udp_at, 2, BUFFER).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        assert_eq!(bind_tcp(tcp_at, 2).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
    }

    #[test]
    fn both_wildcards_fit_on_one_port() {
        let v4 = bind_udp("0.0.0.0:0".parse().expect("address"), 2, BUFFER).expect("free port");
        let port = v4[0].local_addr().expect("bound").port();
        match bind_udp(format!("[::]:{port}").parse().expect("address"), 2, BUFFER) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => eprintln!("skipped: no IPv6 here"),
            Err(error) => panic!("{error}"),
        }
    }
}
