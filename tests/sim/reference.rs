//! A resolver as small as one can be: no cache, no care, no DNSSEC. It proves that worlds and scenarios can be
//! resolved at all, apart from the resolver under test.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use cairn::env::{Net, Random};
use cairn::record::{Name, Rcode, Rtype};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::engine::Start;
use super::packet::{AA, Edns, Packet, QR, RA, RD, TC};
use super::record::Rr;

pub struct Reference {
    net: Rc<dyn Net>,
    hints: Vec<Rr>,
    random: Random,
}

const PATIENCE: Duration = Duration::from_secs(20);
/// Upstream queries for one question.
const QUERIES: u32 = 100;

impl Reference {
    pub fn new(start: &Start) -> Reference {
        Reference { net: start.net.clone(), hints: start.root_hints.clone(), random: Random::from_seed(start.seed) }
    }

    pub async fn in_full(&self, wire: &[u8]) -> Option<Vec<u8>> {
        let query = Packet::decode(wire)?;
        let asked = query.question.clone()?;
        let mut reply = query.reply();
        reply.flags = QR | RA | query.flags & RD;
        let mut left = QUERIES;
        match timeout(PATIENCE, self.resolve(asked.name, asked.rtype, 0, &mut left)).await.ok().flatten() {
            Some(found) => (reply.rcode, reply.answer, reply.authority) = (found.rcode, found.answer, found.authority),
            None => reply.rcode = Rcode::SERVFAIL,
        }
        Some(reply.encode_within(reply.edns.as_ref().map_or(512, |_| 4096)))
    }

    /// Follows aliases across zones.
    fn resolve<'a>(
        &'a self,
        name: Name,
        rtype: Rtype,
        depth: usize,
        left: &'a mut u32,
    ) -> Pin<Box<dyn Future<Output = Option<Packet>> + 'a>> {
        Box::pin(async move {
            let (mut name, mut chain) = (name, Vec::new());
            for _ in 0..12 {
                let mut found = self.walk(&name, rtype, depth, left).await?;
                found.authority.retain(|rr| rr.rtype == Rtype::SOA);
                let ends = follow(&name, rtype, &found.answer, &mut chain);
                if ends == name || found.rcode != Rcode::NOERROR || chain.last().is_some_and(|rr: &Rr| rr.rtype == rtype) {
                    found.answer = chain;
                    return Some(found);
                }
                name = ends;
            }
            None
        })
    }

    /// From the root down to a server that knows.
    async fn walk(&self, name: &Name, rtype: Rtype, depth: usize, left: &mut u32) -> Option<Packet> {
        let (mut cut, mut ns, mut glue) = (None, self.hints.clone(), self.hints.clone());
        'down: for _ in 0..30 {
            for server in ns.iter().filter(|rr| rr.rtype == Rtype::NS).filter_map(Rr::target) {
                for address in self.addresses(&server, &glue, depth, left).await {
                    let Some(reply) = self.ask(address, name, rtype, left).await else { continue };
                    let closer = |rr: &&Rr| {
                        rr.rtype == Rtype::NS && name.is_within(&rr.name) && cut.as_ref().is_none_or(|cut| rr.name.is_below(cut))
                    };
                    if reply.has(AA) && matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) {
                        return Some(reply);
                    }
                    if let (Some(next), Rcode::NOERROR) = (reply.authority.iter().find(closer), reply.rcode) {
                        cut = Some(next.name.clone());
                        (ns, glue) = (reply.authority, reply.additional);
                        continue 'down;
                    }
                }
            }
            return None;
        }
        None
    }

    async fn addresses(&self, server: &Name, glue: &[Rr], depth: usize, left: &mut u32) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = glue.iter().filter(|rr| rr.name == *server).filter_map(address).collect();
        for rtype in [Rtype::A, Rtype::AAAA] {
            if found.is_empty() && depth < 4 {
                let reply = self.resolve(server.clone(), rtype, depth + 1, left).await;
                found.extend(reply.iter().flat_map(|reply| reply.answer.iter().filter_map(address)));
            }
        }
        found
    }

    async fn ask(&self, server: IpAddr, name: &Name, rtype: Rtype, left: &mut u32) -> Option<Packet> {
        let server = SocketAddr::new(server, 53);
        let mut query = Packet::query(self.random.u16(), name, rtype);
        query.edns = Some(Edns { size: 1232, ..Edns::default() });
        for _ in 0..3 {
            *left = left.checked_sub(1)?;
            match timeout(Duration::from_millis(400), self.over_udp(server, &query)).await {
                Ok(Some(reply)) if reply.rcode == Rcode::FORMERR && query.edns.take().is_some() => {}
                Ok(Some(reply)) if reply.has(TC) => return timeout(Duration::from_secs(2), self.over_tcp(server, &query)).await.ok()?,
                Ok(reply) => return reply,
                Err(_) => {}
            }
        }
        None
    }

    async fn over_udp(&self, server: SocketAddr, query: &Packet) -> Option<Packet> {
        let flow = self.net.udp(server, 0).ok()?;
        flow.send(&query.encode()).ok()?;
        let mut buffer = vec![0; 65_535];
        loop {
            let len = poll_fn(|cx| flow.poll_recv(cx, &mut buffer)).await.ok()?;
            let asked = |packet: &Packet| packet.question.as_ref().map(|asked| (asked.wire.clone(), asked.rtype));
            match Packet::decode(&buffer[..len]) {
                Some(reply) if reply.id == query.id && asked(&reply) == asked(query) => return Some(reply),
                _ => {}
            }
        }
    }

    async fn over_tcp(&self, server: SocketAddr, query: &Packet) -> Option<Packet> {
        let mut stream = self.net.tcp(server).await.ok()?;
        let wire = query.encode();
        stream.write_all(&[&(wire.len() as u16).to_be_bytes()[..], &wire].concat()).await.ok()?;
        let mut reply = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut reply).await.ok()?;
        Packet::decode(&reply)
    }
}

/// Moves the records of the chain that starts at `name` over; returns the name where it ends.
fn follow(name: &Name, rtype: Rtype, answer: &[Rr], chain: &mut Vec<Rr>) -> Name {
    let mut name = name.clone();
    for _ in 0..answer.len() + 1 {
        if answer.iter().any(|rr| rr.name == name && (rr.rtype == rtype || rtype == Rtype::ANY)) {
            chain.extend(answer.iter().filter(|rr| rr.name == name && (rr.rtype == rtype || rtype == Rtype::ANY)).cloned());
            return name;
        }
        chain.extend(answer.iter().filter(|rr| rr.rtype == Rtype::DNAME && name.is_below(&rr.name)).cloned());
        let Some(alias) = answer.iter().find(|rr| rr.name == name && rr.rtype == Rtype::CNAME) else { return name };
        chain.push(alias.clone());
        name = alias.target().unwrap_or(name);
    }
    name
}

fn address(rr: &Rr) -> Option<IpAddr> {
    match rr.rtype {
        Rtype::A => <[u8; 4]>::try_from(&rr.rdata[..]).ok().map(|a| Ipv4Addr::from(a).into()),
        Rtype::AAAA => <[u8; 16]>::try_from(&rr.rdata[..]).ok().map(|a| Ipv6Addr::from(a).into()),
        _ => None,
    }
}
