//! Finds the prefix of the network's translator (NAT64, RFC 7050 3): the resolvers of the network make IPv6 addresses for
//! `ipv4only.arpa.`, which has none, and the prefix is what stands before the known IPv4 addresses in them.
//!
//! Looked for when a zone turns out to have servers with IPv4 alone and IPv4 has no route: on all other machines never. Nothing
//! proves the answer. It comes from those whom the operator or the network's administrator has named, and it is used only where
//! without it there is no way at all.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::config::TranslationPrefix;
use crate::env::BootTime;
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::network::network::Network;
use crate::upstream::{Ask, SocketWait};
use crate::wire::{Message, Section};

/// A network that has no translator is asked again after this time, or when it changes.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The resolvers of the network are near.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is known of the network's translator. Shared by all workers.
#[derive(Default)]
pub struct FoundTranslator {
    prefix: ArcSwapOption<TranslationPrefix>,
    /// When a search ended without one, in milliseconds since boot, plus one; 0: never.
    missed: AtomicU64,
    /// Held by the walk that looks, while others wait for what it finds.
    looking: Mutex<()>,
}

impl FoundTranslator {
    /// The prefix, if it was found.
    pub fn prefix(&self) -> Option<TranslationPrefix> {
        self.prefix.load().as_ref().map(|prefix| **prefix)
    }

    /// Another network may have another translator.
    pub fn forget(&self) {
        self.prefix.store(None);
        self.missed.store(0, Ordering::Relaxed);
    }

    fn may_look(&self, now: BootTime) -> bool {
        match self.missed.load(Ordering::Relaxed) {
            0 => true,
            missed => now.since(BootTime(missed - 1)) >= LOOK_AGAIN,
        }
    }
}

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
        for server in routes.resolvers_of_the_network(&context.local.own_addresses()) {
            if !self.upstream().has_route(server, None) || context.budget.take_query().is_err() {
                continue;
            }
            let addresses = self.addresses_by(server, &question).await;
            if let Some(prefix) = TranslationPrefix::found_in(&addresses) {
                tracing::info!(%server, "found the prefix of the network's translator (NAT64): {prefix}");
                found.prefix.store(Some(prefix.into()));
                return true;
            }
        }
        found.missed.store(self.now().0 + 1, Ordering::Relaxed);
        false
    }

    async fn addresses_by(&self, server: SocketAddr, question: &Question) -> Vec<Ipv6Addr> {
        self.count_query();
        let ask = Ask {
            server,
            translator: None,
            question,
            recursion_desired: true,
            checking_disabled: false,
            edns: None,
            randomise_case: true,
            timeout: PATIENCE,
            overdue: None,
            tcp_timeout: PATIENCE,
            force_tcp: false,
            wait: SocketWait { most: PATIENCE, client: 0, known: None },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_without_a_translator_is_not_asked_all_the_time() {
        let found = FoundTranslator::default();
        assert!(found.may_look(BootTime(5)));
        found.missed.store(10_001, Ordering::Relaxed);
        assert!(!found.may_look(BootTime(69_999)) && found.may_look(BootTime(70_000)));
        found.forget();
        assert!(found.may_look(BootTime(10_001)));
        found.prefix.store(Some(TranslationPrefix::WELL_KNOWN.into()));
        assert_eq!(found.prefix(), Some(TranslationPrefix::WELL_KNOWN));
        found.forget();
        assert_eq!(found.prefix(), None);
    }
}
