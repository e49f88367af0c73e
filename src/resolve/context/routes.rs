//! Which servers the configuration has asked: forward and stub rules, root hints, address families. Compiled at reload and
//! swapped whole; a query takes one snapshot at its start.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{NegativeAnchor, RecursionSettings, RouteSettings, Settings, TranslationPrefix, ViewForward};
use crate::env::{Clock, WallTime};
use crate::limits::Limits;
use crate::limits::servers::NAT64_RESOLVERS_MAX;
use crate::record::{Name, Question, RrSet, Rtype};
use crate::resolve::context::never_public::never_public;
use crate::resolve::context::targets::{Target, Targets};
use crate::upstream::{TlsServer, Translator, may_ask};
use crate::validate::Anchor;

/// TTL of the hints where they are told: the root is asked soon.
const HINTS_TTL_S: u32 = 60;

/// The trust anchors in force.
pub type Anchors = Arc<Vec<Anchor>>;

/// Holds the routes in force, together with everything else that a query takes with them, in one value that is swapped
/// whole. `answer` implements it for its snapshot.
pub trait RoutesInForce: Send + Sync {
    fn routes(&self) -> Arc<Routes>;

    /// The rest of the value stays as it is.
    fn replace_routes(&self, routes: Arc<Routes>);
}

/// What the configuration says about where to ask.
#[derive(Clone)]
pub struct Routes {
    pub recursion: RecursionSettings,
    /// Of the network's translator, if it is configured.
    pub nat64_prefix: Option<TranslationPrefix>,
    pub limits: Limits,
    /// Trust anchors, of any name.
    pub anchors: Anchors,
    /// RFC 7646. An expired one has no effect, even before it is removed.
    pub negatives: Arc<Vec<NegativeAnchor>>,
    /// Root servers to prime from: name and address.
    pub hints: Vec<(Name, IpAddr)>,
    pub serve_stale: bool,
    pub prefetch: bool,
    pub keep_warm: bool,
    /// RFC 8198.
    pub aggressive_nsec: bool,
    /// Longest zone name first.
    rules: Vec<Rule>,
    targets: Targets,
}

/// A forward or stub rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub zone: Name,
    /// RD=1 (a forwarder) or RD=0 (a stub's authorities).
    pub forward: bool,
    /// None: rules of zones above do not hold here, and servers are found by iteration.
    pub to: Vec<Target>,
    pub fallback: bool,
    /// A zone that the public tree denies has to be proved all the same.
    pub dnssec: bool,
    /// The name at or above `zone` that the public tree never has.
    never_public: Option<Name>,
}

impl Rule {
    /// The addresses that the configuration gives, and how each is asked.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, Option<Arc<TlsServer>>)> {
        self.to.iter().flat_map(|target| target.addresses.iter().map(|address| (*address, target.tls.clone())))
    }
}

impl Routes {
    /// Compiles the settings; `hints` are the addresses of the root's servers. The clock is that of certificates.
    pub fn new(settings: &Settings, limits: Limits, hints: Vec<(Name, IpAddr)>, anchors: Anchors, clock: Arc<dyn Clock>) -> Routes {
        let targets = Targets::new(settings, clock);
        let rule = |forward: bool| {
            let targets = &targets;
            move |route: &RouteSettings| Rule {
                zone: route.zone.clone(),
                forward,
                to: targets.of(route),
                fallback: route.fallback,
                dnssec: route.dnssec,
                never_public: never_public(&route.zone),
            }
        };
        let mut rules: Vec<Rule> = settings.forwards.iter().map(rule(true)).chain(settings.stubs.iter().map(rule(false))).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.zone.label_count()));
        Routes {
            recursion: settings.recursion.clone(),
            nat64_prefix: settings.server.nat64_prefix,
            limits,
            anchors,
            negatives: Arc::new(settings.recursion.negative_trust_anchors.clone()),
            hints,
            serve_stale: settings.cache.serve_stale,
            prefetch: settings.cache.prefetch,
            keep_warm: settings.cache.keep_warm,
            aggressive_nsec: settings.cache.aggressive_nsec,
            rules,
            targets,
        }
    }

    /// The same for clients of a view that has forward rules of its own: they replace a rule for the same zone.
    pub fn with_forwards(&self, forwards: &[ViewForward]) -> Routes {
        let own = forwards.iter().map(|forward| Rule {
            zone: forward.zone.clone(),
            forward: true,
            to: self.targets.of_view(&forward.to),
            fallback: forward.fallback,
            dnssec: false,
            never_public: never_public(&forward.zone),
        });
        let is_replaced = |rule: &Rule| forwards.iter().any(|forward| forward.zone == rule.zone);
        let mut rules: Vec<Rule> = own.chain(self.rules.iter().filter(|rule| !is_replaced(rule)).cloned()).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.zone.label_count()));
        Routes { rules, ..self.clone() }
    }

    /// The rule that says whom to ask for `name`: that with the longest zone, if it has servers.
    pub fn rule_for(&self, name: &Name) -> Option<&Rule> {
        self.nearest_rule(name).filter(|rule| !rule.to.is_empty())
    }

    /// The same, also where it says that servers are found by iteration.
    pub fn nearest_rule(&self, name: &Name) -> Option<&Rule> {
        self.rules.iter().find(|rule| name.is_within(&rule.zone))
    }

    /// Does the administrator say that this zone exists, whatever the public tree says? Data of such a zone cannot be proved
    /// from above; a signed delegation or a trust anchor still counts.
    pub fn is_zone_by_rule(&self, zone: &Name) -> bool {
        self.zones_by_rule().any(|by_rule| by_rule == zone)
    }

    /// Is `zone` such a zone, and one that the public tree never has? No proof of that is needed. `anchored` is the closest trust anchor;
    /// one of the internal name itself still has to prove its data.
    pub fn is_internal_zone_by_rule(&self, zone: &Name, anchored: &Name) -> bool {
        self.rules_that_make_zones()
            .filter(|rule| rule.zone == *zone)
            .any(|rule| rule.never_public.as_ref().is_some_and(|name| !anchored.is_within(name)))
    }

    /// Does the administrator say that there is a zone at or below `name`?
    pub fn has_zone_by_rule_within(&self, name: &Name) -> bool {
        self.zones_by_rule().any(|by_rule| by_rule.is_within(name))
    }

    fn zones_by_rule(&self) -> impl Iterator<Item = &Name> {
        self.rules_that_make_zones().map(|rule| &rule.zone)
    }

    fn rules_that_make_zones(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| !rule.zone.is_root() && !rule.to.is_empty() && !rule.dnssec)
    }

    /// The root's servers and their addresses, as the hints have them.
    pub fn hinted(&self) -> (Option<RrSet>, Vec<RrSet>) {
        let mut servers = RrSet::new(Name::root(), Rtype::NS, HINTS_TTL_S);
        let mut addresses: Vec<RrSet> = Vec::new();
        for (name, address) in &self.hints {
            servers.data.push_new(name.as_wire());
            let (rtype, rdata) = match address {
                IpAddr::V4(v4) => (Rtype::A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (Rtype::AAAA, v6.octets().to_vec()),
            };
            match addresses.iter_mut().find(|set| set.name == *name && set.rtype == rtype) {
                Some(set) => set.data.push(&rdata),
                None => addresses.push(RrSet::with(name.clone(), rtype, HINTS_TTL_S, &rdata)),
            }
        }
        (Some(servers).filter(|servers| !servers.data.is_empty()), addresses)
    }

    /// The rule for a question. DS is the parent's to answer (RFC 4035 3.1.4.1): a zone's own rule does not catch it.
    pub fn rule_for_question(&self, question: &Question) -> Option<&Rule> {
        match question.rtype {
            Rtype::DS => self.rule_for(&question.name.parent()?),
            _ => self.rule_for(&question.name),
        }
    }

    /// The same without one rule: its servers failed, and it has `fallback`.
    pub fn without_rule(&self, zone: &Name) -> Routes {
        let rules = self.rules.iter().filter(|rule| rule.zone != *zone).cloned().collect();
        Routes { rules, ..self.clone() }
    }

    /// The zones for which the two have different rules.
    pub fn ruled_otherwise(&self, other: &Routes) -> Vec<Name> {
        let [ours, theirs] = [self, other].map(|routes| routes.rules.iter().collect::<HashSet<&Rule>>());
        ours.symmetric_difference(&theirs).map(|rule| rule.zone.clone()).collect()
    }

    /// The deepest trust anchor at or above `name`.
    pub fn anchored(&self, name: &Name) -> Option<&Name> {
        self.anchors.iter().map(|anchor| &anchor.name).filter(|anchored| name.is_within(anchored)).max_by_key(|name| name.label_count())
    }

    /// The negative trust anchor that turns validation off for `name`. RFC 7646 2: it ends the trust from above it, and not
    /// that of an anchor below it.
    pub fn turned_off(&self, name: &Name, wall: WallTime) -> Option<&NegativeAnchor> {
        let live = |off: &&NegativeAnchor| name.is_within(&off.name) && !off.is_over(wall.0);
        let off = self.negatives.iter().filter(live).max_by_key(|off| off.name.label_count())?;
        (!self.anchored(name)?.is_below(&off.name)).then_some(off)
    }

    /// The translator with this prefix, through which servers that have only IPv4 are reached over IPv6.
    pub fn translator_at(&self, prefix: TranslationPrefix) -> Option<Translator> {
        let after_ipv4 = self.recursion.ipv4.unwrap_or(true);
        self.recursion.ipv6.unwrap_or(true).then_some(Translator { prefix, after_ipv4 })
    }

    /// Who is asked for the prefix of the network's translator (RFC 7050 3): the forwarders for everything, and the resolvers
    /// that the system knows. Not this server itself.
    pub fn resolvers_of_the_network(&self, own: &[SocketAddr]) -> Vec<(SocketAddr, Option<Arc<TlsServer>>)> {
        let rule = self.rule_for(&Name::root()).filter(|rule| rule.forward);
        let forwarders = rule.into_iter().flat_map(Rule::addresses);
        let all = forwarders.chain(self.recursion.system_resolvers.iter().map(|server| (*server, None)));
        all.filter(|(server, _)| may_ask(*server, true, own, None).is_ok()).take(NAT64_RESOLVERS_MAX).collect()
    }

    /// Families that may be used towards servers. Unset means both until one is found not to work.
    pub fn family_enabled(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.type_enabled(Rtype::A),
            IpAddr::V6(_) => self.type_enabled(Rtype::AAAA),
        }
    }

    /// The same by the type of an address record.
    pub fn type_enabled(&self, rtype: Rtype) -> bool {
        match rtype {
            Rtype::AAAA => self.recursion.ipv6.unwrap_or(true),
            _ => self.recursion.ipv4.unwrap_or(true) || self.nat64_prefix.is_some(),
        }
    }
}
