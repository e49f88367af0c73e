//! What a rule does, as its records say it (section 3 of the draft).

use std::fmt;

use crate::record::{Name, RrSet, Rtype};
use crate::zone::NodeRef;

/// What a rule does to the response.
#[derive(Clone)]
pub enum Action<'z> {
    NxDomain,
    NoData,
    /// The response stays as it is, whatever rules of lower precedence say.
    Passthru,
    /// No reply at all.
    Drop,
    /// A truncated reply over UDP; over other transports the response stays as it is.
    TcpOnly,
    /// CNAME to this name; where it is a wildcard, to the query name put in its place.
    Alias(Name, u32),
    Data(LocalData<'z>),
}

/// The records of a rule.
#[derive(Clone, Copy)]
pub struct LocalData<'z>(NodeRef<'z>);

/// What local data says of one question, its owner being the name that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocalAction {
    Sets(Vec<RrSet>),
    /// The alias has to be followed.
    Alias {
        set: RrSet,
        target: Name,
    },
    NoData,
    /// The query name does not fit in front of the target of a wildcard CNAME.
    TooLong,
}

/// TTL of an alias that the configuration asks for with `policy`.
pub(super) const OVERRIDE_TTL_S: u32 = 300;

impl<'z> Action<'z> {
    /// `trigger` gives the owner without the labels that say what kind of trigger it is. `Ok(None)`: the node has no rule at all.
    pub(super) fn of(node: NodeRef<'z>, trigger: impl FnOnce() -> Name) -> Result<Option<Action<'z>>, String> {
        if let Some(alias) = node.set(Rtype::CNAME) {
            return of_alias(alias.rdatas().next(), alias.ttl, trigger).map(Some);
        }
        if node.sets().any(|set| is_policy(set.rtype)) {
            return Ok(Some(Action::Data(LocalData(node))));
        }
        match node.sets().map(|set| set.rtype).find(|rtype| matches!(*rtype, Rtype::DNAME | Rtype::NS)) {
            Some(rtype) => Err(format!("{rtype} is no action")),
            None => Ok(None),
        }
    }

    /// What the response to `name` and `rtype` is made of; only for actions with data.
    pub fn local(&self, name: &Name, rtype: Rtype) -> Option<LocalAction> {
        match self {
            Action::Alias(target, ttl) => Some(alias(name, rtype, target, *ttl)),
            Action::Data(data) => Some(data.answer(name, rtype)),
            Action::NxDomain | Action::NoData | Action::Passthru | Action::Drop | Action::TcpOnly => None,
        }
    }
}

impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::NxDomain => f.write_str("NXDOMAIN"),
            Action::NoData => f.write_str("NODATA"),
            Action::Passthru => f.write_str("PASSTHRU"),
            Action::Drop => f.write_str("DROP"),
            Action::TcpOnly => f.write_str("TCP-ONLY"),
            Action::Alias(target, _) => write!(f, "CNAME {target}"),
            Action::Data(_) => f.write_str("local data"),
        }
    }
}

impl LocalData<'_> {
    fn answer(self, name: &Name, rtype: Rtype) -> LocalAction {
        let sets = self.0.sets().filter(|set| is_policy(set.rtype) && (set.rtype == rtype || rtype == Rtype::ANY));
        let sets: Vec<RrSet> = sets.map(|set| RrSet { sigs: Default::default(), ..set.to_rrset(name.clone()) }).collect();
        if sets.is_empty() { LocalAction::NoData } else { LocalAction::Sets(sets) }
    }
}

/// Section 3.6: types that encode no action.
fn is_policy(rtype: Rtype) -> bool {
    !matches!(
        rtype,
        Rtype::SOA
            | Rtype::NS
            | Rtype::DNAME
            | Rtype::DS
            | Rtype::DNSKEY
            | Rtype::RRSIG
            | Rtype::NSEC
            | Rtype::NSEC3
            | Rtype::NSEC3PARAM
            | Rtype::CDS
            | Rtype::CDNSKEY
            | Rtype::ZONEMD
    )
}

fn of_alias<'z>(rdata: Option<&[u8]>, ttl: u32, trigger: impl FnOnce() -> Name) -> Result<Action<'z>, String> {
    let target = rdata.and_then(|rdata| Name::from_wire(rdata).ok()).ok_or("its CNAME cannot be read")?;
    if target.is_root() {
        return Ok(Action::NxDomain);
    }
    if target.as_wire() == b"\x01*\0" {
        return Ok(Action::NoData);
    }
    // Section 10: the old form of PASSTHRU names the trigger itself.
    if !target.is_wildcard() && target == trigger() {
        return Ok(Action::Passthru);
    }
    let top = target.suffix_wire(1);
    if !top.get(1..).is_some_and(|label| label.starts_with(b"rpz-")) {
        return Ok(Action::Alias(target, ttl));
    }
    match target.as_wire() {
        b"\x0crpz-passthru\0" => Ok(Action::Passthru),
        b"\x08rpz-drop\0" => Ok(Action::Drop),
        b"\x0crpz-tcp-only\0" => Ok(Action::TcpOnly),
        _ => Err(format!("{target} is no action")),
    }
}

fn alias(name: &Name, rtype: Rtype, target: &Name, ttl: u32) -> LocalAction {
    let target = match target.parent().filter(|_| target.is_wildcard()) {
        Some(garden) if name.is_root() => Some(garden),
        Some(garden) => name.rebase(&Name::root(), &garden),
        None => Some(target.clone()),
    };
    let Some(target) = target else { return LocalAction::TooLong };
    let set = RrSet::with(name.clone(), Rtype::CNAME, ttl, target.as_wire());
    match rtype {
        Rtype::CNAME | Rtype::ANY => LocalAction::Sets(vec![set]),
        _ => LocalAction::Alias { set, target },
    }
}
