//! The socket calls that std lacks: recvmmsg, sendmmsg with a source address (RFC 3542 6), disconnecting, three socket
//! options, network change events, and registering a socket with the reactor. All `unsafe` for the network is here.
//!
//! Invariants: pointers handed to the kernel are made anew for each call, from buffers borrowed until the call returns;
//! no pointer is kept. Lengths that the kernel reports are cut to the buffer before they are used.
//!
//! An IPv6 socket may carry IPv4 in mapped form (RFC 4291 2.5.5.2). Addresses leave this file as plain IPv4 and are
//! mapped again on the way back, so that callers never see one client under two addresses.

#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::rc::Rc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::super::net::{Datagram, DatagramBatch};

const SLOTS: usize = DatagramBatch::SLOTS;
/// Room for one IPV6_PKTINFO (40 octets with its header), the larger of the two.
const CONTROL_BYTES: usize = 64;
/// `IP_PMTUDISC_OMIT`: never lower the MTU because of an ICMP message, which could be forged to make us send fragments;
/// and never set DF.
const PMTUDISC_OMIT: libc::c_int = 5;

/// IPv4 or IPv6, as the kernel numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    V4,
    V6,
}

/// Facts about a socket besides its descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub family: Family,
    /// The address it is bound to. If that is unspecified, each datagram carries its destination address.
    pub bound: SocketAddr,
}

impl Shape {
    /// The facts that follow from the address a socket is bound to.
    pub fn of(bound: SocketAddr) -> Shape {
        Shape { family: if bound.is_ipv4() { Family::V4 } else { Family::V6 }, bound }
    }

    /// Whether the socket is bound to 0.0.0.0 or [::].
    pub fn is_wildcard(&self) -> bool {
        self.bound.ip().is_unspecified()
    }
}

/// A socket that receives the changes of this machine's links, addresses and routes (rtnetlink(7)).
pub fn network_events() -> io::Result<AsyncFd<Socket>> {
    let domain = Domain::from(libc::AF_NETLINK);
    let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(Protocol::from(libc::NETLINK_ROUTE)))?;
    // SAFETY: plain integers, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_nl = unsafe { zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    let groups =
        libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV4_ROUTE | libc::RTMGRP_IPV6_IFADDR | libc::RTMGRP_IPV6_ROUTE;
    address.nl_groups = groups as u32;
    let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: the pointer is to a live `sockaddr_nl` of the length given, which the kernel only reads.
    if unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a Socket always names the same descriptor and keeps it open; the AsyncFd owns it.
    let watched = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// The result of sending a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    pub sent: usize,
    pub dropped: usize,
    pub last_error: Option<i32>,
}

/// One datagram to be sent.
pub struct Outgoing<'a> {
    pub bytes: &'a [u8],
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

/// Space for the headers of one call, kept from call to call.
pub struct Headers {
    messages: Box<[libc::mmsghdr; SLOTS]>,
    vectors: Box<[libc::iovec; SLOTS]>,
    names: Box<[Name; SLOTS]>,
    controls: Box<[Control; SLOTS]>,
}

impl Headers {
    /// Space for a batch.
    pub fn new() -> Headers {
        // SAFETY: all four are plain C data (integers and pointers) for which all zeroes is a valid value.
        unsafe {
            Headers { messages: Box::new(zeroed()), vectors: Box::new(zeroed()), names: Box::new(zeroed()), controls: Box::new(zeroed()) }
        }
    }

    /// Reads what has arrived, at most one batch, into the empty `batch`. `WouldBlock` if nothing has.
    pub fn receive(&mut self, fd: RawFd, shape: &Shape, batch: &mut DatagramBatch) -> io::Result<usize> {
        batch.clear();
        let slots = batch.arena().chunks_exact_mut(DatagramBatch::SLOT_BYTES).take(SLOTS);
        let count = slots.len();
        for (index, slot) in slots.enumerate() {
            self.vectors[index] = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            // The kernel shortens both lengths to what it wrote, so they must be whole before every call.
            let control_len = if shape.is_wildcard() { CONTROL_BYTES } else { 0 };
            self.point(index, size_of::<Name>(), control_len);
        }
        // SAFETY: the first `count` headers point at live, distinct buffers of the lengths they state, borrowed
        // (the arena through `batch`, the rest through `self`) until the call returns.
        let got = unsafe { libc::recvmmsg(fd, self.messages.as_mut_ptr(), count as libc::c_uint, libc::MSG_DONTWAIT, ptr::null_mut()) };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        let got = (got as usize).min(count);
        for index in 0..got {
            let datagram = self.received(index, shape);
            batch.push(datagram);
        }
        Ok(got)
    }

    /// Sends up to one batch. A message that the kernel refuses is skipped: sendmmsg stops before it, reports the error
    /// only on the next call, and would stop there for ever. When the kernel has no room the rest is dropped: clients
    /// ask again, while a loop here would stop the worker.
    pub fn send<'a>(&mut self, fd: RawFd, shape: &Shape, outgoing: impl Iterator<Item = Outgoing<'a>>) -> Sent {
        let mut count = 0;
        for (index, datagram) in outgoing.take(SLOTS).enumerate() {
            // The kernel only reads through this pointer.
            self.vectors[index] = libc::iovec { iov_base: datagram.bytes.as_ptr().cast_mut().cast(), iov_len: datagram.bytes.len() };
            let name_len = self.names[index].write(shape.family, datagram.peer);
            let control_len = if shape.is_wildcard() { self.controls[index].write(shape.family, datagram.local) } else { 0 };
            self.point(index, name_len, control_len);
            count = index + 1;
        }
        let mut outcome = Sent::default();
        let mut next = 0;
        while next < count {
            let rest = &mut self.messages[next..count];
            // SAFETY: every header in `rest` points at live buffers of the lengths it states; the payloads are
            // borrowed for 'a, which outlives this call.
            let sent =
                unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), rest.len() as libc::c_uint, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
            if sent > 0 {
                outcome.sent += sent as usize;
                next += sent as usize;
                continue;
            }
            let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
            if error == libc::EINTR {
                continue;
            }
            let no_room = error == libc::EAGAIN || error == libc::ENOBUFS || error == libc::ENOMEM;
            let lost = if no_room { count - next } else { 1 };
            outcome.dropped += lost;
            outcome.last_error = Some(error);
            next += lost;
        }
        outcome
    }

    /// Lets header `index` point at its name, vector and control buffer.
    fn point(&mut self, index: usize, name_len: usize, control_len: usize) {
        let header = &mut self.messages[index].msg_hdr;
        header.msg_name = (&raw mut self.names[index]).cast();
        header.msg_namelen = name_len as libc::socklen_t;
        header.msg_iov = &raw mut self.vectors[index];
        header.msg_iovlen = 1;
        header.msg_control = if control_len == 0 { ptr::null_mut() } else { (&raw mut self.controls[index]).cast() };
        header.msg_controllen = control_len as _;
        header.msg_flags = 0;
        self.messages[index].msg_len = 0;
    }

    fn received(&self, index: usize, shape: &Shape) -> Datagram {
        let message = &self.messages[index];
        Datagram {
            len: (message.msg_len as usize).min(DatagramBatch::SLOT_BYTES),
            peer: self.names[index].read(),
            local: if shape.is_wildcard() { asked_at(&message.msg_hdr, shape.bound) } else { plain(shape.bound) },
            cut_off: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        }
    }
}

/// The address that a datagram was sent to, or the wildcard itself if the kernel did not report it.
fn asked_at(header: &libc::msghdr, bound: SocketAddr) -> SocketAddr {
    let (mut ip, mut scope) = (bound.ip(), 0);
    // SAFETY: `header` was filled by recvmmsg just now and its control buffer is still alive; CMSG_FIRSTHDR and
    // CMSG_NXTHDR stay within msg_controllen. The kernel writes a whole in_pktinfo or in6_pktinfo behind these
    // two types; they are read unaligned because the buffer promises no more.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(at).cast());
                    ip = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into();
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(at).cast());
                    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    ip = address.to_canonical();
                    scope = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, bound.port()),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, bound.port(), 0, scope).into(),
    }
}

/// Registers a socket with the reactor of the running runtime, for reading only. Not generic: the safety argument below
/// is about this one type.
pub fn watch_readable(socket: Rc<UdpSocket>) -> io::Result<AsyncFd<Rc<UdpSocket>>> {
    // SAFETY: a UdpSocket always names the same descriptor and keeps it open; the AsyncFd owns a share of it.
    let watched = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// Takes a UDP socket off its peer. A port that the kernel drew for it is free again (connect(2), AF_UNSPEC).
pub fn disconnect(fd: RawFd) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    // SAFETY: the kernel reads one sockaddr from `nobody`, which lives until the call returns.
    let result = unsafe { libc::connect(fd, &raw const nobody, size_of::<libc::sockaddr>() as libc::socklen_t) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks for the destination address of each datagram, on a socket bound to a wildcard address.
pub fn receive_destinations(fd: RawFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        Family::V6 => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Sends without DF, and ignores path MTU reports by ICMP (IPv4).
pub fn ignore_path_mtu(fd: RawFd) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, PMTUDISC_OMIT)
}

fn set_option(fd: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one c_int from `value`, which lives until the call returns.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size_of::<libc::c_int>() as libc::socklen_t) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `address` without the IPv4-mapped form.
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// A socket address as the kernel lays it out; both forms begin with the family.
#[repr(C)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    fn read(&self) -> SocketAddr {
        // SAFETY: both members are plain integers, valid whatever their bits; the union is never smaller than the
        // member that is read, and was zeroed or written by the kernel. The family lies at the same place in both.
        unsafe {
            if libc::c_int::from(self.v4.sin_family) == libc::AF_INET {
                let ip = Ipv4Addr::from(u32::from_be(self.v4.sin_addr.s_addr));
                return SocketAddr::new(ip.into(), u16::from_be(self.v4.sin_port));
            }
            let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
            let scope = if ip.is_unicast_link_local() { self.v6.sin6_scope_id } else { 0 };
            plain(SocketAddrV6::new(ip, u16::from_be(self.v6.sin6_port), 0, scope).into())
        }
    }

    /// Writes `address` for a socket of `family` and returns its length.
    fn write(&mut self, family: Family, address: SocketAddr) -> usize {
        match (family, address) {
            (Family::V4, SocketAddr::V4(v4)) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>()
            }
            (_, address) => {
                let (ip, scope) = match address {
                    SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
                    SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
                };
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
                    sin6_scope_id: scope,
                };
                size_of::<libc::sockaddr_in6>()
            }
        }
    }
}

/// One control message, aligned as `cmsghdr` must be.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

impl Control {
    /// Writes the address to leave from and returns the length of it all; 0 leaves the choice to the kernel.
    fn write(&mut self, family: Family, local: SocketAddr) -> usize {
        match (family, local) {
            (_, local) if local.ip().is_unspecified() => 0,
            (Family::V4, SocketAddr::V4(v4)) => {
                let address = libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: libc::in_addr { s_addr: 0 } };
                self.put(libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            (Family::V4, SocketAddr::V6(_)) => 0,
            (Family::V6, local) => {
                let (ip, scope) = match local {
                    SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
                    SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
                };
                let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: scope as _ };
                self.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
        }
    }

    fn put<T: Copy>(&mut self, level: libc::c_int, kind: libc::c_int, data: T) -> usize {
        const { assert!(size_of::<libc::cmsghdr>() + size_of::<T>() + 16 <= CONTROL_BYTES) };
        // SAFETY: the buffer is aligned for a cmsghdr and, by the assertion above, holds header, padding and data;
        // CMSG_DATA of a header inside it lies inside it as well.
        unsafe {
            let header: *mut libc::cmsghdr = self.0.as_mut_ptr().cast();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<T>() as libc::c_uint) as _;
            ptr::write_unaligned(libc::CMSG_DATA(header).cast(), data);
            libc::CMSG_SPACE(size_of::<T>() as libc::c_uint) as usize
        }
    }
}
