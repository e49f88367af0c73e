//! A network of three servers that answer at once: the root, `com.`, and one that serves every zone below.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use cairn::env::{BoxFuture, Net, Stream, UdpFlow};
use cairn::record::{Class, Name, Rtype};
use cairn::wire::{Flags, Header, QueryView, Section, Writer};

pub const ROOT: IpAddr = IpAddr::V4(Ipv4Addr::new(5, 0, 0, 1));
pub const TOP_LEVEL: IpAddr = IpAddr::V4(Ipv4Addr::new(5, 0, 0, 2));
const BELOW: IpAddr = IpAddr::V4(Ipv4Addr::new(5, 0, 0, 3));

pub struct Internet;

impl Net for Internet {
    fn udp(&self, server: SocketAddr, _port: u16) -> io::Result<Box<dyn UdpFlow>> {
        Ok(Box::new(Flow { server: server.ip(), replies: RefCell::default() }))
    }

    fn tcp(&self, _server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

struct Flow {
    server: IpAddr,
    replies: RefCell<VecDeque<Vec<u8>>>,
}

impl UdpFlow for Flow {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.replies.borrow_mut().extend(reply(bytes, self.server));
        Ok(())
    }

    fn poll_recv(&self, _cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(reply) = self.replies.borrow_mut().pop_front() else { return Poll::Pending };
        into[..reply.len()].copy_from_slice(&reply);
        Poll::Ready(Ok(reply.len()))
    }
}

/// What `server` says to `query`.
pub fn reply(query: &[u8], server: IpAddr) -> Option<Vec<u8>> {
    let view = QueryView::check(query).ok()?;
    let (asked, rtype) = (view.qname().ok()?, view.qtype());
    let flags = |authoritative| Flags(Flags::QR).with(Flags::AA, authoritative);
    let mut writer = Writer::new(Vec::with_capacity(512), 1232);
    let authoritative = server == BELOW || server == ROOT && asked.is_root();
    writer.header(Header { id: view.id(), flags: flags(authoritative), counts: [0; 4] });
    writer.question_wire(view.question_wire()).ok()?;
    let name = |text: &str| Name::parse(text).expect("a name of this file");
    match server {
        ROOT if asked.is_root() => delegate(&mut writer, Section::Answer, &asked, &[name("a.root-servers.net.")], ROOT)?,
        ROOT => delegate(&mut writer, Section::Authority, &asked.suffix(1), &[name("a.gtld.com."), name("b.gtld.com.")], TOP_LEVEL)?,
        TOP_LEVEL => {
            let cut = asked.suffix(2);
            let servers = [cut.child(b"ns1").ok()?, cut.child(b"ns2").ok()?];
            delegate(&mut writer, Section::Authority, &cut, &servers, BELOW)?;
        }
        _ => answer(&mut writer, &asked, rtype)?,
    }
    if view.edns().is_some() {
        writer.opt(1232, cairn::record::Rcode::NOERROR, view.edns().is_some_and(|edns| edns.dnssec_ok), &[]).ok()?;
    }
    Some(writer.finish())
}

fn delegate(writer: &mut Writer, section: Section, cut: &Name, servers: &[Name], address: IpAddr) -> Option<()> {
    for server in servers {
        writer.record(section, cut, Rtype::NS, Class::IN, 86_400, server.as_wire()).ok()?;
    }
    for server in servers {
        add_address(writer, Section::Additional, server, address)?;
    }
    Some(())
}

fn answer(writer: &mut Writer, asked: &Name, rtype: Rtype) -> Option<()> {
    let zone = asked.suffix(2);
    let target = zone.child(b"www").ok()?;
    let is_alias = asked.as_wire().starts_with(b"\x05alias");
    if is_alias {
        writer.record(Section::Answer, asked, Rtype::CNAME, Class::IN, 3600, target.as_wire()).ok()?;
    }
    if rtype == Rtype::A && asked.label_count() > 2 {
        return add_address(writer, Section::Answer, if is_alias { &target } else { asked }, BELOW);
    }
    let soa = [zone.as_wire(), zone.as_wire(), &[0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16]].concat();
    writer.record(Section::Authority, &zone, Rtype::SOA, Class::IN, 3600, &soa).ok()
}

fn add_address(writer: &mut Writer, section: Section, owner: &Name, address: IpAddr) -> Option<()> {
    let IpAddr::V4(address) = address else { return None };
    writer.record(section, owner, Rtype::A, Class::IN, 3600, &address.octets()).ok()
}
