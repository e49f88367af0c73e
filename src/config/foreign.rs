//! Keys of other resolvers' configuration files (unbound.conf, named.conf, dnsmasq.conf), and what to write in their place.

/// What another resolver's key is called here.
enum Means {
    /// A section and a key.
    Key(&'static str, &'static str),
    /// No single key: a sentence without a final stop.
    Other(&'static str),
}

/// The advice for a key of another resolver that was written in `section`; `section` is empty outside of all sections.
pub(super) fn hint(section: &str, written: &str) -> Option<String> {
    let written = written.to_ascii_lowercase().replace('_', "-");
    let (_, means) = FOREIGN.iter().find(|(word, _)| *word == written)?;
    Some(match means {
        Means::Key(home, key) if *home == section => format!("the key is \"{key}\" here"),
        Means::Key(home, key) => format!("the key is \"{key}\" in [{home}] here"),
        Means::Other(advice) => (*advice).to_owned(),
    })
}

#[rustfmt::skip]
const FOREIGN: &[(&str, Means)] = &[
    ("interface", Means::Key("server", "listen")),
    ("listen-on", Means::Key("server", "listen")),
    ("listen-on-v6", Means::Key("server", "listen")),
    ("listen-address", Means::Key("server", "listen")),
    ("bind-address", Means::Key("server", "listen")),
    ("access-control", Means::Key("server", "allow")),
    ("allow-query", Means::Key("server", "allow")),
    ("allow-recursion", Means::Key("server", "allow")),
    ("allow-query-cache", Means::Key("server", "allow")),
    ("num-threads", Means::Key("server", "workers")),
    ("threads", Means::Key("server", "workers")),
    ("username", Means::Key("server", "user")),
    ("run-as", Means::Key("server", "user")),
    ("server-id", Means::Key("server", "identity")),
    ("hide-identity", Means::Key("server", "identity")),
    ("nsid", Means::Key("server", "identity")),
    ("hide-version", Means::Key("server", "version")),
    ("version-string", Means::Key("server", "version")),
    ("do-nat64", Means::Key("server", "nat64-prefix")),
    ("chroot", Means::Key("server", "sandbox")),
    ("dnssec-validation", Means::Key("recursion", "dnssec")),
    ("dnssec-enable", Means::Key("recursion", "dnssec")),
    ("module-config", Means::Key("recursion", "dnssec")),
    ("val-permissive-mode", Means::Key("recursion", "dnssec")),
    ("recursion", Means::Key("recursion", "enabled")),
    ("auto-trust-anchor-file", Means::Key("recursion", "trust-anchor")),
    ("trust-anchor-file", Means::Key("recursion", "trust-anchor")),
    ("trust-anchors", Means::Key("recursion", "trust-anchor")),
    ("managed-keys", Means::Key("recursion", "trust-anchor")),
    ("trusted-keys", Means::Key("recursion", "trust-anchor")),
    ("domain-insecure", Means::Key("recursion", "negative-trust-anchors")),
    ("validate-except", Means::Key("recursion", "negative-trust-anchors")),
    ("do-not-query-localhost", Means::Key("recursion", "query-loopback")),
    ("do-ip4", Means::Key("recursion", "ipv4")),
    ("do-ipv4", Means::Key("recursion", "ipv4")),
    ("do-ip6", Means::Key("recursion", "ipv6")),
    ("do-ipv6", Means::Key("recursion", "ipv6")),
    ("qname-minimization", Means::Key("recursion", "qname-minimisation")),
    ("cache-size", Means::Key("cache", "size")),
    ("max-cache-size", Means::Key("cache", "size")),
    ("msg-cache-size", Means::Key("cache", "size")),
    ("rrset-cache-size", Means::Key("cache", "size")),
    ("cache-max-ttl", Means::Key("cache", "max-ttl")),
    ("max-cache-ttl", Means::Key("cache", "max-ttl")),
    ("cache-min-ttl", Means::Key("cache", "min-ttl")),
    ("min-cache-ttl", Means::Key("cache", "min-ttl")),
    ("cache-max-negative-ttl", Means::Key("cache", "negative-max-ttl")),
    ("max-ncache-ttl", Means::Key("cache", "negative-max-ttl")),
    ("neg-ttl", Means::Key("cache", "negative-max-ttl")),
    ("serve-expired", Means::Key("cache", "serve-stale")),
    ("stale-answer-enable", Means::Key("cache", "serve-stale")),
    ("use-stale-cache", Means::Key("cache", "serve-stale")),
    ("serve-expired-ttl", Means::Key("cache", "stale-max")),
    ("max-stale-ttl", Means::Key("cache", "stale-max")),
    ("synth-from-dnssec", Means::Key("cache", "aggressive-nsec")),
    ("private-address", Means::Key("policy", "rebinding-protection")),
    ("stop-dns-rebind", Means::Key("policy", "rebinding-protection")),
    ("deny-answer-addresses", Means::Key("policy", "rebinding-protection")),
    ("private-domain", Means::Key("policy", "rebinding-allow")),
    ("rebind-domain-ok", Means::Key("policy", "rebinding-allow")),
    ("addn-hosts", Means::Key("policy", "hosts-file")),
    ("address", Means::Key("policy", "local-data")),
    ("host-record", Means::Key("policy", "local-data")),
    ("ptr-record", Means::Key("policy", "local-data")),
    ("local-zone", Means::Key("policy", "local-data")),
    ("empty-zones-enable", Means::Key("policy", "special-use-except")),
    ("disable-empty-zone", Means::Key("policy", "special-use-except")),
    ("unblock-lan-zones", Means::Key("policy", "special-use-except")),
    ("verbosity", Means::Key("log", "level")),
    ("log-queries", Means::Key("log", "level")),
    ("forwarders", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("forward-zone", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("forward-addr", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("forward-host", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("upstream", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("upstreams", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("nameserver", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("nameservers", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("resolvers", Means::Other("write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]")),
    ("stub-zone", Means::Other("write [[stub]] with zone = \"example.com\" and to = [\"192.0.2.1\"]")),
    ("stub-addr", Means::Other("write [[stub]] with zone = \"example.com\" and to = [\"192.0.2.1\"]")),
    ("stub-host", Means::Other("write [[stub]] with zone = \"example.com\" and to = [\"192.0.2.1\"]")),
    ("auth-zone", Means::Other("write [[zone]] with name = \"example.com\" and file = \"example.com.zone\"")),
    ("zonefile", Means::Other("write [[zone]] with name = \"example.com\" and file = \"example.com.zone\"")),
    ("zone-file", Means::Other("write [[zone]] with name = \"example.com\" and file = \"example.com.zone\"")),
    ("allow-transfer", Means::Other("write transfer = [\"192.0.2.2\"] in the [[zone]]")),
    ("provide-xfr", Means::Other("write transfer = [\"192.0.2.2\"] in the [[zone]]")),
    ("also-notify", Means::Other("write notify = [\"192.0.2.2\"] in the [[zone]]")),
    ("masters", Means::Other("write primaries = [\"192.0.2.1\"] in the [[zone]]")),
    ("request-xfr", Means::Other("write primaries = [\"192.0.2.1\"] in the [[zone]]")),
    ("port", Means::Other("the port follows the address: write listen = [\"127.0.0.1:5353\"] in [server]")),
    ("logfile", Means::Other("the log goes to stderr and the journal: the key is not needed")),
    ("log-facility", Means::Other("the log goes to stderr and the journal: the key is not needed")),
    ("pidfile", Means::Other("no file of this kind is written: the key is not needed")),
    ("pid-file", Means::Other("no file of this kind is written: the key is not needed")),
    ("harden-glue", Means::Other("this is always done: the key is not needed")),
    ("harden-dnssec-stripped", Means::Other("this is always done: the key is not needed")),
    ("harden-below-nxdomain", Means::Other("this is always done: the key is not needed")),
    ("bogus-priv", Means::Other("this is always done: the key is not needed")),
    ("domain-needed", Means::Other("names of one label go where other names go: there is no such key")),
    ("use-caps-for-id", Means::Other("this is always done: the key is not needed")),
];

#[cfg(test)]
mod tests {
    use super::super::keys::SECTIONS;
    use super::*;

    /// Advice names keys that exist, and no key of this program's own section is taken for a foreign one.
    #[test]
    fn advice_names_keys_that_exist() {
        for (word, means) in FOREIGN {
            if let Means::Key(home, key) = means {
                let section = SECTIONS.iter().find(|section| section.name == *home).expect(home);
                assert!(section.rows.iter().any(|row| row.key == *key), "{word}: {home}.{key}");
                assert!(section.rows.iter().all(|row| row.key != *word), "{word} is a key of [{home}]");
            }
        }
        assert_eq!(hint("server", "Listen_On").as_deref(), Some("the key is \"listen\" here"));
        assert_eq!(hint("server", "cache-size").as_deref(), Some("the key is \"size\" in [cache] here"));
        assert_eq!(hint("server", "listen"), None);
    }
}
