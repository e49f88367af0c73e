//! Finds the prefix of the network's translator (NAT64, RFC 7050 3): the resolvers of the network make IPv6 addresses for
//! `ipv4only.arpa.`, which has none, and the prefix is what stands before the known IPv4 addresses in them.
//!
//! Looked for when a zone turns out to have servers with IPv4 alone and IPv4 has no route: on all other machines never. Nothing
//! proves the answer. It comes from those whom the operator or the network's administrator has named, and it is used only where
//! without it there is no way at all.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::TranslationPrefix;
use crate::limits::servers::NAT64_PATIENCE;
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::network::network::Network;
use crate::resolve::network::probe::edns_of_probe;
use crate::upstream::{Ask, SocketWait, TlsServer};
use crate::wire::{Message, Section};

impl Network {
    /// Looks for the translator's prefix if it is neither configured nor known. True if it was found meanwhile.
    pub(in crate::resolve) async fn find_translator(&self, context: &Context) -> bool {
        let (routes, found) = (&context.routes, self.found_translator());
        let is_known = routes.nat64_prefix.is_some() || found.prefix().is_some();
        if is_known || routes.recursion.ipv6 == Some(false) {
            return false;
        }
        let _turn = found.looking.lock().await;
        if found.prefix().is_some() || !found.may_look(self.now()) {
            return found.prefix().is_some();
        }
        let Ok(name) = Name::parse("ipv4only.arpa.") else { return false };
        let question = Question::new(name, Rtype::AAAA);
        for (server, tls) in routes.resolvers_of_the_network(&context.local.own_addresses()) {
            if !self.upstream().has_route(server, None) || context.budget.take_query().is_err() {
                continue;
            }
            let addresses = self.addresses_by(server, tls.as_ref(), &question).await;
            if let Some(prefix) = TranslationPrefix::found_in(&addresses) {
                tracing::info!(%server, "found the prefix of the network's translator (NAT64): {prefix}");
                found.prefix.store(Some(prefix.into()));
                return true;
            }
        }
        found.missed.store(self.now().0 + 1, Ordering::Relaxed);
        false
    }

    async fn addresses_by(&self, server: SocketAddr, tls: Option<&Arc<TlsServer>>, question: &Question) -> Vec<Ipv6Addr> {
        self.count_query();
        let ask = Ask {
            server,
            tls,
            zone: None,
            translator: None,
            question,
            recursion_desired: true,
            checking_disabled: false,
            edns: edns_of_probe(tls),
            randomise_case: true,
            timeout: NAT64_PATIENCE,
            overdue: None,
            tcp_timeout: NAT64_PATIENCE,
            force_tcp: false,
            wait: SocketWait { most: NAT64_PATIENCE, client: 0, known: None },
        };
        let Ok(reply) = self.upstream().ask(&ask).await else { return Vec::new() };
        let Ok(message) = Message::parse(&reply.bytes) else { return Vec::new() };
        let records = message.records(Section::Answer).filter(|record| record.rtype() == Rtype::AAAA);
        let addresses = records.filter_map(|record| {
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).ok()?;
            <[u8; 16]>::try_from(&rdata[..]).ok().map(Ipv6Addr::from)
        });
        addresses.collect()
    }
}
