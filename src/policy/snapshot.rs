//! Everything in the policy that only a reload changes, in one value: made from the settings, shared by the threads, swapped as
//! a whole. A question takes the snapshot once at its start and never sees half a reload.

use std::net::IpAddr;

use super::{Acl, Dns64, Identity, LocalData, Rebinding, SpecialUse, Views};
use crate::config::{ListReason, Settings};
use crate::record::EdeCode;

/// The compiled policy.
pub struct Policy {
    /// Clients that may use recursion and the cache.
    pub allow: Acl,
    /// Load balancers, each of which says on whose behalf it asks.
    pub proxies: Acl,
    /// Clients that may read the cache with RD=0, if they are also in `allow`.
    pub allow_snoop: Acl,
    pub special_use: SpecialUse,
    pub local_data: LocalData,
    pub rebinding: Rebinding,
    pub dns64: Dns64,
    pub identity: Identity,
    pub views: Views,
    pub block_ttl: u32,
    /// Lists that block for another reason than the operator's own choice.
    pub list_codes: Vec<(String, EdeCode)>,
    /// URIs for complaints about blocked names.
    pub block_contact: Vec<String>,
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Inside `server.allow`.
    pub allowed: bool,
    /// May learn what the cache holds.
    pub may_read_cache: bool,
}

fn ede_code(reason: ListReason) -> EdeCode {
    match reason {
        ListReason::Blocked => EdeCode::BLOCKED,
        ListReason::Censored => EdeCode::CENSORED,
        ListReason::Filtered => EdeCode::FILTERED,
    }
}

impl Policy {
    /// Compiles the settings.
    pub fn new(settings: &Settings) -> Policy {
        Policy {
            allow: Acl::new(&settings.server.allow),
            proxies: Acl::new(&settings.server.proxy_from),
            allow_snoop: Acl::new(&settings.policy.allow_snoop),
            special_use: SpecialUse::new(&settings.policy.special_use_except),
            local_data: LocalData::new(&settings.policy.local_records),
            rebinding: Rebinding::new(settings.policy.rebinding_protection, &settings.policy.rebinding_allow),
            dns64: Dns64::new(settings),
            identity: Identity::new(settings),
            views: Views::new(settings),
            block_ttl: settings.policy.block_ttl_s,
            list_codes: settings.lists.iter().map(|list| (list.name().to_owned(), ede_code(list.reason))).collect(),
            block_contact: settings.policy.block_contact.clone(),
        }
    }

    /// The rights of this client, for a question with or without RD.
    pub fn access(&self, client: IpAddr, recursion_desired: bool) -> Access {
        let allowed = self.allow.contains(client);
        Access { allowed, may_read_cache: allowed && (recursion_desired || self.allow_snoop.contains(client)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Verdict;
    use crate::record::{Name, RrSet, Rtype};

    fn policy(text: &str) -> Policy {
        Policy::new(&Settings::from_toml(text, "cairn.toml").expect("the settings of the test are valid"))
    }

    #[test]
    fn by_default_only_the_machine_itself_may_ask_and_nobody_snoops() {
        let policy = policy("");
        for (client, recursion_desired, may) in [
            ("127.0.0.1", true, true),
            ("::1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("127.0.0.1", false, false),
            ("192.0.2.1", true, false),
            ("2001:db8::1", true, false),
        ] {
            let client = client.parse().expect("an address");
            assert_eq!(policy.access(client, recursion_desired).may_read_cache, may, "{client} RD={recursion_desired}");
        }
        assert!(policy.special_use.find(b"\x05onion\0").is_some());
        let private = RrSet::with(Name::root(), Rtype::A, 1, &[10, 0, 0, 1]);
        assert_ne!(policy.rebinding.check(&Name::root(), &private), Verdict::Clean);
    }

    #[test]
    fn each_setting_arrives() {
        let policy = policy(
            r#"
            [server]
            allow = ["192.0.2.0/24"]
            [policy]
            rebinding-protection = false
            allow-snoop = ["192.0.2.7", "127.0.0.1"]
            special-use-except = ["onion"]
            "#,
        );
        let may = |client: [u8; 4], recursion_desired| policy.access(client.into(), recursion_desired).may_read_cache;
        assert!(may([192, 0, 2, 7], false) && may([192, 0, 2, 8], true));
        assert!(!may([192, 0, 2, 8], false));
        assert!(!may([127, 0, 0, 1], false), "one who may not ask may not snoop either");
        assert!(policy.special_use.find(b"\x05onion\0").is_none());
        let private = RrSet::with(Name::root(), Rtype::A, 1, &[10, 0, 0, 1]);
        assert_eq!(policy.rebinding.check(&Name::root(), &private), Verdict::Clean);
    }
}
