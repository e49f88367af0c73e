//! Where the parent of a zone is told of new CDS records: looked up as the parent publishes it (RFC 9859 4.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use crate::answer::{Explain, Outcome, Worker};
use crate::authority::{DsyncTarget, dsync_name, dsync_names_of_parent, read_dsync};
use crate::limits::zone::PARENT_TARGETS_MAX;
use crate::record::{Name, Question, Rcode, Rtype};

/// The addresses; none where the parent does not want to be told.
pub(super) async fn of_parent(worker: &Rc<Worker>, zone: &Name) -> Result<Vec<SocketAddr>, String> {
    let Some(first) = dsync_name(zone) else { return Ok(Vec::new()) };
    let outcome = asked(worker, &first, Rtype::DSYNC).await?;
    let mut targets = in_answer(&outcome);
    if targets.is_empty() {
        let apex = outcome.authority.iter().find(|set| set.rtype == Rtype::SOA).map(|set| set.name.clone());
        for name in apex.map(|apex| dsync_names_of_parent(zone, &apex)).unwrap_or_default() {
            targets = in_answer(&asked(worker, &name, Rtype::DSYNC).await?);
            if !targets.is_empty() {
                break;
            }
        }
    }
    let mut servers = Vec::new();
    for target in targets.into_iter().take(PARENT_TARGETS_MAX) {
        for rtype in [Rtype::A, Rtype::AAAA] {
            let outcome = asked(worker, &target.name, rtype).await?;
            let sets = outcome.answers.iter().filter(|set| set.rtype == rtype);
            let addresses = sets.flat_map(|set| set.data.iter().filter_map(address)).filter(|address| is_elsewhere(*address));
            servers.extend(addresses.map(|address| SocketAddr::new(address, target.port)));
        }
    }
    servers.truncate(PARENT_TARGETS_MAX);
    Ok(servers)
}

async fn asked(worker: &Rc<Worker>, name: &Name, rtype: Rtype) -> Result<Outcome, String> {
    let outcome = worker.resolve(&Explain::new(Question::new(name.clone(), rtype), None)).await.outcome;
    match outcome.rcode {
        Some(Rcode::NOERROR | Rcode::NXDOMAIN) => Ok(outcome),
        other => Err(format!("{name} {rtype}: {}", other.map_or_else(|| "no answer".to_owned(), |rcode| rcode.to_string()))),
    }
}

fn in_answer(outcome: &Outcome) -> Vec<DsyncTarget> {
    let sets = outcome.answers.iter().filter(|set| set.rtype == Rtype::DSYNC);
    sets.flat_map(|set| set.data.iter().filter_map(read_dsync)).collect()
}

fn address(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => <[u8; 4]>::try_from(rdata).ok().map(|octets| Ipv4Addr::from(octets).into()),
        _ => <[u8; 16]>::try_from(rdata).ok().map(|octets| Ipv6Addr::from(octets).into()),
    }
}

/// A parent must not have this machine send to itself.
fn is_elsewhere(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}
