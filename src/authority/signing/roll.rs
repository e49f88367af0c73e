//! The keys of one zone and the way each of them goes, in the terms of RFC 7583 3: pure, moved by time and by what the parent shows.
//!
//! ```text
//!              algorithm roll only
//!            ┌──────────┐   data TTL
//! new key ──►│ Signing  ├──────────────┐
//!            └──────────┘              ▼      key TTL            parent's DS + its TTL
//! new key ────────────────────►┌───────────┐─────────►┌───────┐─────────────────────►┌────────┐
//!                              │ Published │          │ Ready │  a ZSK: at once      │ Active │
//!                              └───────────┘          └───────┘                      └───┬────┘
//!                                                                     the next is Active │
//!                                       ┌─────────┐      data TTL       ┌─────────┐      │
//!                                       │ Removed │◄────────────────────┤ Retired │◄─────┤
//!                                       └─────────┘◄──────────┐         └─────────┘      │
//!                                                     key TTL └───┤ Withdrawn │◄─────────┘
//!                                                                   algorithm roll only
//! ```
//!
//! - A ZSK rolls by pre-publication (RFC 7583 3.2.1), a KSK by double signatures of the key set (3.3.1). A CSK does both: it takes
//!   over the data when it is Ready, and the DS afterwards.
//! - In an algorithm roll (RFC 6781 4.1.4) signatures come before their key and go after it: at no time does a validator see an
//!   algorithm in the key set, or in the DS set, that has not signed everything (RFC 4035 2.2).
//!
//! Each wait covers what caches may hold, and the time until every server of the zone, or of the parent, has the change.

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::key::Role;

/// Where a key is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It signs data; its DNSKEY record is not in the zone yet.
    Signing,
    /// Its DNSKEY record is in the zone, and not yet known to every cache.
    Published,
    /// Every cache knows it. A key with a DS waits for the parent.
    Ready,
    Active,
    /// Another key has taken its place; caches hold signatures by it.
    Retired,
    /// Its DNSKEY record has gone; caches hold it, so that its signatures stay.
    Withdrawn,
    Removed,
}

impl Stage {
    pub fn word(self) -> &'static str {
        match self {
            Stage::Signing => "signing",
            Stage::Published => "published",
            Stage::Ready => "ready",
            Stage::Active => "active",
            Stage::Retired => "retired",
            Stage::Withdrawn => "withdrawn",
            Stage::Removed => "removed",
        }
    }
}

/// One key of the zone. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyState {
    pub tag: u16,
    pub algorithm: u8,
    pub role: RoleName,
    pub stage: Stage,
    /// When this stage began.
    pub since: u64,
    pub created: u64,
    /// The zone's first key: it signs from the first version on.
    is_first: bool,
    /// It came by an algorithm roll: it signs data before it is published.
    signs_early: bool,
    /// When another key took over the data.
    data_passed_on: Option<u64>,
    /// Since when the parent has had its DS record, and none of the key before.
    ds_since: Option<u64>,
}

/// `Role`, as the state file writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    Ksk,
    Zsk,
    Csk,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> RoleName {
        match role {
            Role::Ksk => RoleName::Ksk,
            Role::Zsk => RoleName::Zsk,
            Role::Csk => RoleName::Csk,
        }
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Role {
        match role {
            RoleName::Ksk => Role::Ksk,
            RoleName::Zsk => Role::Zsk,
            RoleName::Csk => Role::Csk,
        }
    }
}

/// How long each kind of data may be in a cache, or not yet on every server. Seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// TTL of the DNSKEY set.
    pub key_ttl_s: u32,
    /// The longest TTL in the zone.
    pub data_ttl_s: u32,
    /// Until all servers of the zone have a change.
    pub propagation_s: u32,
    /// TTL of the DS set at the parent.
    pub ds_ttl_s: u32,
    /// Until all servers of the parent have a change.
    pub parent_propagation_s: u32,
}

/// What a key does in the version of the zone that is made now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    pub is_published: bool,
    pub signs_keys: bool,
    pub signs_data: bool,
    pub is_for_parent: bool,
}

/// What happens next with a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextStep {
    pub stage: Stage,
    /// `None`: it waits for the parent, not for a time.
    pub at: Option<u64>,
    pub reason: String,
}

/// What to roll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Roll {
    Key(Role),
    /// To another algorithm.
    Algorithm(Algorithm),
}

/// A DS record: tag, algorithm, digest type, digest.
pub type DsRdata = Vec<u8>;

/// All keys of one zone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeySet {
    pub keys: Vec<KeyState>,
}

impl KeyState {
    fn new(tag: u16, algorithm: Algorithm, role: Role, stage: Stage, now: u64) -> KeyState {
        KeyState {
            tag,
            algorithm: algorithm.number(),
            role: role.into(),
            stage,
            since: now,
            created: now,
            is_first: false,
            signs_early: false,
            data_passed_on: None,
            ds_since: None,
        }
    }

    fn role(&self) -> Role {
        self.role.into()
    }

    fn moved(&mut self, stage: Stage, now: u64) {
        (self.stage, self.since) = (stage, now);
    }

    fn is_published(&self) -> bool {
        matches!(self.stage, Stage::Published | Stage::Ready | Stage::Active | Stage::Retired)
    }

    fn signs_keys(&self) -> bool {
        self.role().signs_keys() && matches!(self.stage, Stage::Published | Stage::Ready | Stage::Active)
    }

    fn signs_data(&self) -> bool {
        self.role().signs_data()
            && match self.stage {
                Stage::Signing | Stage::Withdrawn => true,
                Stage::Published => self.is_first || self.signs_early,
                Stage::Ready | Stage::Active => self.data_passed_on.is_none(),
                Stage::Retired | Stage::Removed => false,
            }
    }
}

impl KeySet {
    /// The first keys of a zone that was unsigned.
    pub fn first(keys: &[(u16, Algorithm, Role)], now: u64) -> KeySet {
        let first = |(tag, algorithm, role): &(u16, Algorithm, Role)| KeyState {
            is_first: true,
            ..KeyState::new(*tag, *algorithm, *role, Stage::Published, now)
        };
        KeySet { keys: keys.iter().map(first).collect() }
    }

    /// A key that signed this zone elsewhere: in use at once. It is for its owner to know what the parent has.
    pub fn adopt(&mut self, tag: u16, algorithm: Algorithm, role: Role, now: u64) {
        let state = KeyState { ds_since: Some(now), ..KeyState::new(tag, algorithm, role, Stage::Active, now) };
        self.keys.push(state);
    }

    /// What the key does in the present version.
    pub fn part(&self, key: &KeyState) -> Part {
        Part {
            is_published: key.is_published(),
            signs_keys: key.signs_keys(),
            signs_data: key.signs_data(),
            is_for_parent: self.for_parent().any(|wanted| wanted == key),
        }
    }

    /// The keys that the parent's DS set is to name: those that are Ready for it, else those that it has named so far.
    pub fn for_parent(&self) -> impl Iterator<Item = &KeyState> {
        let has_ds = |key: &&KeyState| key.role().signs_keys();
        let rank = |key: &KeyState| match key.stage {
            Stage::Ready => 3,
            Stage::Active => 2,
            Stage::Published if key.is_first => 1,
            _ => 0,
        };
        let highest = self.keys.iter().filter(has_ds).map(rank).max().unwrap_or(0);
        self.keys.iter().filter(has_ds).filter(move |key| highest > 0 && rank(key) == highest)
    }

    /// Which keys are to be made for a roll, or why it cannot begin.
    pub fn plan(&self, roll: Roll) -> Result<Vec<(Algorithm, Role)>, String> {
        if let Some(busy) = self.keys.iter().find(|key| key.stage != Stage::Active) {
            let (tag, stage) = (busy.tag, busy.stage.word());
            return Err(match busy.is_first {
                true => {
                    format!("key {tag} is {stage}: a key can be rolled once the parent has had its DS record for as long as caches keep it")
                }
                false => format!("a roll is in progress: key {tag} is {stage}; `cairn zone sign status` shows what it waits for"),
            });
        }
        let has = |role: Role| self.keys.iter().any(|key| key.role() == role);
        let algorithm = self.keys.first().and_then(|key| Algorithm::from_number(key.algorithm)).ok_or("the zone has no key")?;
        match roll {
            Roll::Algorithm(new) if self.keys.iter().all(|key| key.algorithm == new.number()) => {
                Err(format!("the zone is signed with {new} already: name another one in `dnssec-algorithm` of its [[zone]]"))
            }
            Roll::Algorithm(new) => {
                let mut roles: Vec<Role> = self.keys.iter().map(KeyState::role).collect();
                roles.sort_by_key(|role| role.word());
                roles.dedup();
                Ok(roles.into_iter().map(|role| (new, role)).collect())
            }
            Roll::Key(role) if has(role) => Ok(vec![(algorithm, role)]),
            Roll::Key(role) => {
                let mut roles: Vec<&str> = self.keys.iter().map(|key| key.role().word()).collect();
                roles.sort_unstable();
                roles.dedup();
                Err(format!("the zone has no {role}: write {}", roles.join(" or ")))
            }
        }
    }

    /// The keys that `plan` asked for are made.
    pub fn begin(&mut self, roll: Roll, keys: &[(u16, Algorithm, Role)], now: u64) {
        let signs_early = matches!(roll, Roll::Algorithm(_));
        let stage = if signs_early { Stage::Signing } else { Stage::Published };
        for (tag, algorithm, role) in keys {
            // A KSK signs nothing before it is published.
            self.keys.push(KeyState { signs_early, ..KeyState::new(*tag, *algorithm, *role, stage, now) });
        }
    }

    /// What the parent's servers say: the DS set, empty if there is none. `is_ds_of` compares a record with a key.
    pub fn parent_has(&mut self, ds_set: &[DsRdata], is_ds_of: impl Fn(&DsRdata, &KeyState) -> bool, now: u64) {
        let wanted: Vec<(u16, u8)> = self.for_parent().map(|key| (key.tag, key.algorithm)).collect();
        let is_wanted = |key: &KeyState| wanted.contains(&(key.tag, key.algorithm));
        let has = |key: &KeyState| ds_set.iter().any(|ds| is_ds_of(ds, key));
        let is_settled = self.keys.iter().all(|key| has(key) == is_wanted(key) || !key.role().signs_keys());
        for key in self.keys.iter_mut().filter(|key| key.stage == Stage::Ready && is_wanted(key)) {
            key.ds_since = if is_settled { key.ds_since.or(Some(now)) } else { None };
        }
    }

    /// Moves every key that is due; true if any has moved, so that the zone is to be signed anew.
    pub fn advance(&mut self, timing: &Timing, now: u64) -> bool {
        let mut has_moved = false;
        while let Some(at) =
            (0..self.keys.len()).find(|at| self.next(&self.keys[*at], timing).and_then(|next| next.at).is_some_and(|at| at <= now))
        {
            let Some(next) = self.next(&self.keys[at], timing) else { break };
            self.keys[at].moved(next.stage, now);
            let key = self.keys[at].clone();
            match key.stage {
                Stage::Ready => self.take_over_data(&key, now),
                Stage::Active => self.retire_those_before(&key, now),
                _ => {}
            }
            self.keys.retain(|key| key.stage != Stage::Removed);
            has_moved = true;
        }
        has_moved
    }

    /// The version that shows the present stages is served only from now on.
    pub fn wait_again(&mut self, now: u64) {
        for key in &mut self.keys {
            key.data_passed_on = key.data_passed_on.map(|_| now);
            if key.stage != Stage::Active {
                key.since = now;
            }
        }
    }

    /// A key that is known everywhere signs the data in place of those of its algorithm.
    fn take_over_data(&mut self, new: &KeyState, now: u64) {
        if !new.role().signs_data() {
            return;
        }
        for old in self.keys.iter_mut().filter(|old| is_before(old, new) && old.algorithm == new.algorithm && old.role().signs_data()) {
            old.data_passed_on = old.data_passed_on.or(Some(now));
        }
    }

    fn retire_those_before(&mut self, new: &KeyState, now: u64) {
        // A key of another algorithm goes with the key whose DS takes its place.
        let goes = |old: &KeyState| match old.algorithm == new.algorithm {
            true => old.role() == new.role(),
            false => new.role().signs_keys(),
        };
        for old in self.keys.iter_mut().filter(|old| old.stage == Stage::Active && is_before(old, new) && goes(old)) {
            let stage = if old.algorithm == new.algorithm { Stage::Retired } else { Stage::Withdrawn };
            old.moved(stage, now);
        }
    }

    /// What comes next for a key; `None` where nothing is to come.
    pub fn next(&self, key: &KeyState, timing: &Timing) -> Option<NextStep> {
        let wait = |ttl: u32, propagation: u32| u64::from(ttl) + u64::from(propagation);
        let (data, keys) = (wait(timing.data_ttl_s, timing.propagation_s), wait(timing.key_ttl_s, timing.propagation_s));
        let step = |stage: Stage, at: u64, reason: String| Some(NextStep { stage, at: Some(at), reason });
        match key.stage {
            Stage::Signing => step(
                Stage::Published,
                key.since + data,
                format!(
                    "data without signatures of the new algorithm must have left all caches: {} s TTL and {} s until all servers have the zone",
                    timing.data_ttl_s, timing.propagation_s
                ),
            ),
            Stage::Published if key.is_first => step(
                Stage::Ready,
                key.since + data.max(keys),
                format!(
                    "unsigned data must have left all caches: {} s TTL and {} s until all servers have the zone",
                    timing.data_ttl_s.max(timing.key_ttl_s),
                    timing.propagation_s
                ),
            ),
            Stage::Published => step(
                Stage::Ready,
                key.since + keys,
                format!(
                    "key sets without this key must have left all caches: {} s TTL and {} s until all servers have the zone",
                    timing.key_ttl_s, timing.propagation_s
                ),
            ),
            Stage::Ready if !key.role().signs_keys() => step(Stage::Active, key.since, "every cache knows it".to_owned()),
            Stage::Ready => match key.ds_since {
                Some(since) => step(
                    Stage::Active,
                    since + wait(timing.ds_ttl_s, timing.parent_propagation_s),
                    format!(
                        "the DS set before must have left all caches: {} s TTL and {} s until all servers of the parent have the new one",
                        timing.ds_ttl_s, timing.parent_propagation_s
                    ),
                ),
                None => Some(NextStep { stage: Stage::Active, at: None, reason: self.wanted_of_parent(key) }),
            },
            Stage::Active => None,
            Stage::Retired => step(
                Stage::Removed,
                key.data_passed_on.filter(|_| key.role().signs_data()).map_or(key.since, |since| (since + data).max(key.since)),
                format!(
                    "its signatures must have left all caches: {} s TTL and {} s until all servers have the zone",
                    timing.data_ttl_s, timing.propagation_s
                ),
            ),
            Stage::Withdrawn => step(
                Stage::Removed,
                key.since + keys,
                format!(
                    "key sets with this key must have left all caches: {} s TTL and {} s until all servers have the zone",
                    timing.key_ttl_s, timing.propagation_s
                ),
            ),
            Stage::Removed => None,
        }
    }

    fn wanted_of_parent(&self, key: &KeyState) -> String {
        let before: Vec<String> = self
            .keys
            .iter()
            .filter(|old| old.role().signs_keys() && is_before(old, key) && old.stage == Stage::Active)
            .map(|old| old.tag.to_string())
            .collect();
        match before.is_empty() {
            true => format!("the parent must have the DS record of key {}", key.tag),
            false => format!("the parent must have the DS record of key {} in place of that of key {}", key.tag, before.join(" and ")),
        }
    }

    /// When to look again; `None` while only the parent can move anything.
    pub fn wake_at(&self, timing: &Timing) -> Option<u64> {
        self.keys.iter().filter_map(|key| self.next(key, timing)?.at).min()
    }

    /// Whether a key waits for the parent's DS set.
    pub fn waits_for_parent(&self) -> bool {
        self.keys.iter().any(|key| key.stage == Stage::Ready && key.role().signs_keys())
    }
}

/// Keys stand in the order in which they came.
fn is_before(old: &KeyState, new: &KeyState) -> bool {
    (old.tag, old.algorithm) != (new.tag, new.algorithm)
        && old.created <= new.created
        && !matches!(old.stage, Stage::Signing | Stage::Published)
}

/// The longest TTL that caches may still hold: of the present version, or of one before that was in force not long ago.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LongestTtl {
    ttl_s: u32,
    /// When data with this TTL has left all caches.
    until: u64,
}

impl LongestTtl {
    /// Called with each version when it comes into force and when it goes.
    pub fn note(&mut self, ttl_s: u32, now: u64) {
        if ttl_s >= self.ttl_s || now >= self.until {
            *self = LongestTtl { ttl_s, until: now + u64::from(ttl_s) };
        }
    }

    pub fn ttl_s(&self) -> u32 {
        self.ttl_s
    }
}
