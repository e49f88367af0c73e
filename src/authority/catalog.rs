//! Catalog zones (RFC 9432): a zone whose records are the names of other zones, so that a server that is told of one zone
//! serves all of them.
//!
//! `read_catalog` says which members a catalog has, or why it is broken; `owners` says which of several catalogs has a member;
//! `catalog_text` writes the catalog of this server's own zones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::record::{Name, Rtype};
use crate::zone::{Cursor, Zone, records_from};

/// RFC 9432 4.2.
const VERSION: &[u8] = b"\x012";

/// A zone that a catalog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub zone: Name,
    /// The unique label below `zones`. Another label for the same zone means that everything known of it is void (RFC 9432 5.4).
    pub label: Box<[u8]>,
    /// The catalog that may take the member over (RFC 9432 4.4.1).
    pub successor: Option<Name>,
}

/// Why a catalog is not followed (RFC 9432 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenCatalog {
    NoVersion,
    UnknownVersion,
    /// More than one record where there may be one.
    Ambiguous(Name),
    /// The same zone has two labels.
    Twice(Name),
    TooManyMembers(usize),
}

impl fmt::Display for BrokenCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokenCatalog::NoVersion => write!(f, "this is no catalog (RFC 9432): it has no TXT record at the name `version`"),
            BrokenCatalog::UnknownVersion => write!(f, "the catalog has another version than \"2\", or more than one"),
            BrokenCatalog::Ambiguous(name) => write!(f, "the catalog is broken: {name} has more than one PTR record"),
            BrokenCatalog::Twice(zone) => write!(f, "the catalog is broken: it lists {zone} twice"),
            BrokenCatalog::TooManyMembers(max) => write!(f, "the catalogs have more than {max} members together"),
        }
    }
}

/// The members of a catalog in the order of their names. Records that RFC 9432 does not know are left out.
pub fn read_catalog(zone: &Zone, members_max: usize) -> Result<Vec<Member>, BrokenCatalog> {
    let apex_labels = zone.apex().label_count();
    let mut versions: Vec<Vec<u8>> = Vec::new();
    let mut members: BTreeMap<Box<[u8]>, Name> = BTreeMap::new();
    let mut successors: HashMap<Box<[u8]>, Name> = HashMap::new();
    let mut broken = None;
    records_from(zone, &mut Cursor::default(), |record| {
        let Ok(owner) = Name::from_wire(record.owner) else { return true };
        let labels: Vec<&[u8]> = owner.labels().take(owner.label_count().saturating_sub(apex_labels)).collect();
        let target = || Name::from_wire(record.rdata).ok();
        match (labels.as_slice(), record.rtype) {
            ([b"version"], Rtype::TXT) => versions.push(record.rdata.to_vec()),
            ([label, b"zones"], Rtype::PTR) => {
                let Some(target) = target() else { return true };
                if members.len() == members_max {
                    broken = Some(BrokenCatalog::TooManyMembers(members_max));
                } else if members.insert((*label).into(), target).is_some() {
                    broken = Some(BrokenCatalog::Ambiguous(owner));
                }
            }
            ([b"coo", label, b"zones"], Rtype::PTR) => {
                let Some(target) = target() else { return true };
                if successors.insert((*label).into(), target).is_some() {
                    broken = Some(BrokenCatalog::Ambiguous(owner));
                }
            }
            _ => {}
        }
        broken.is_none()
    });
    match versions.as_slice() {
        [] => return Err(BrokenCatalog::NoVersion),
        [version] if version == VERSION => {}
        _ => return Err(BrokenCatalog::UnknownVersion),
    }
    if let Some(broken) = broken {
        return Err(broken);
    }
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(members.len());
    for (label, zone) in members {
        if !seen.insert(zone.clone()) {
            return Err(BrokenCatalog::Twice(zone));
        }
        let successor = successors.remove(&label);
        all.push(Member { zone, label, successor });
    }
    all.sort_by(|one, other| one.zone.cmp(&other.zone));
    Ok(all)
}

/// Which catalog has a member, and under which label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub catalog: Name,
    pub label: Box<[u8]>,
}

/// A zone that a catalog lists and may not have.
#[derive(Debug, PartialEq, Eq)]
pub struct Clash {
    pub catalog: Name,
    pub zone: Name,
}

/// The owner of each member. A zone that the configuration has is no member (RFC 9432 5.2), and a member stays with the catalog
/// that it had `before`, until this one no longer lists it or names a successor that does (RFC 9432 4.4.1).
pub fn owners(
    catalogs: &BTreeMap<Name, Vec<Member>>,
    is_configured: impl Fn(&Name) -> bool,
    before: &BTreeMap<Name, Owner>,
) -> (BTreeMap<Name, Owner>, Vec<Clash>) {
    let mut claims: BTreeMap<&Name, Vec<(&Name, &Member)>> = BTreeMap::new();
    for (catalog, members) in catalogs {
        members.iter().for_each(|member| claims.entry(&member.zone).or_default().push((catalog, member)));
    }
    let (mut owned, mut clashes) = (BTreeMap::new(), Vec::new());
    for (zone, claims) in claims {
        let of = |catalog: &Name| claims.iter().find(|(claimant, _)| *claimant == catalog);
        let had = before.get(zone).and_then(|owner| of(&owner.catalog));
        let successor = had.and_then(|(_, member)| of(member.successor.as_ref()?));
        let owner = successor.or(had).or(claims.first()).filter(|_| !is_configured(zone));
        let others = claims.iter().filter(|(catalog, _)| owner.is_none_or(|(owner, _)| owner != catalog));
        clashes.extend(others.map(|(catalog, _)| Clash { catalog: (*catalog).clone(), zone: zone.clone() }));
        if let Some((catalog, member)) = owner {
            owned.insert(zone.clone(), Owner { catalog: (*catalog).clone(), label: member.label.clone() });
        }
    }
    (owned, clashes)
}

/// The master file of a catalog. `label_of` gives each member a label that stays the same for as long as the zone is listed.
pub fn catalog_text<'m>(
    serial: u32,
    members: impl Iterator<Item = (&'m Name, Option<&'m str>)>,
    label_of: impl Fn(&Name) -> String,
) -> String {
    // RFC 9432 4.1: NS `invalid.`, because nobody is to resolve names in it.
    let mut text = format!("$TTL 0\n@ SOA invalid. invalid. {serial} 3600 600 2147483646 0\n@ NS invalid.\nversion TXT \"2\"\n");
    for (zone, group) in members {
        let label = label_of(zone);
        text += &format!("{label}.zones PTR {zone}\n");
        if let Some(group) = group {
            let mut quoted = String::new();
            for byte in group.bytes() {
                match byte {
                    b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
                    b' '..=b'~' => quoted.push(char::from(byte)),
                    _ => quoted += &format!("\\{byte:03}"),
                }
            }
            text += &format!("group.{label}.zones TXT \"{quoted}\"\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn catalog(text: &str) -> Zone {
        let text = format!("$TTL 0\n@ SOA invalid. invalid. 1 2 3 4 5\n@ NS invalid.\n{text}");
        load_zone(&name("catalog."), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a good zone").0
    }

    fn told(text: &str) -> String {
        let member = |member: &Member| {
            let successor = member.successor.as_ref().map(|to| format!(">{to}")).unwrap_or_default();
            format!("{}={}{successor}", String::from_utf8_lossy(&member.label), member.zone)
        };
        match read_catalog(&catalog(text), 3) {
            Ok(members) => members.iter().map(member).collect::<Vec<_>>().join(" "),
            Err(broken) => broken.to_string(),
        }
    }

    #[test]
    fn members_and_mistakes() {
        const V: &str = "version TXT \"2\"\n";
        for (text, expected) in [
            (V.to_owned(), ""),
            (format!("{V}b.zones PTR two.\na.zones PTR One.\n"), "a=one. b=two."),
            // What is not known is left out: groups, other properties, other types, other depths.
            (
                format!(
                    "{V}a.zones PTR one.\ngroup.a.zones TXT g \"h\"\nx.ext.a.zones TXT y\nb.zones TXT z\nzones PTR three.\nw PTR four.\n"
                ),
                "a=one.",
            ),
            (format!("{V}a.zones PTR one.\ncoo.a.zones PTR other.\ncoo.b.zones PTR other.\n"), "a=one.>other."),
            ("a.zones PTR one.\n".to_owned(), "this is no catalog (RFC 9432): it has no TXT record at the name `version`"),
            ("version TXT 1\n".to_owned(), "the catalog has another version than \"2\", or more than one"),
            ("version TXT 2 2\n".to_owned(), "the catalog has another version than \"2\", or more than one"),
            (format!("{V}version TXT 3\n"), "the catalog has another version than \"2\", or more than one"),
            (format!("{V}a.zones PTR one.\na.zones PTR two.\n"), "the catalog is broken: a.zones.catalog. has more than one PTR record"),
            (
                format!("{V}a.zones PTR one.\ncoo.a.zones PTR x.\ncoo.a.zones PTR y.\n"),
                "the catalog is broken: coo.a.zones.catalog. has more than one PTR record",
            ),
            (format!("{V}a.zones PTR one.\nb.zones PTR ONE.\n"), "the catalog is broken: it lists one. twice"),
            (
                format!("{V}a.zones PTR a.\nb.zones PTR b.\nc.zones PTR c.\nd.zones PTR d.\n"),
                "the catalogs have more than 3 members together",
            ),
        ] {
            assert_eq!(told(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_member_has_one_owner() {
        let member = |zone: &str, label: &str, successor: Option<&str>| Member {
            zone: name(zone),
            label: label.as_bytes().into(),
            successor: successor.map(name),
        };
        type Listed<'a> = &'a [(&'a str, Option<&'a str>)];
        let shown = |one: Listed, two: Listed, before: Option<&str>| {
            let members = |listed: Listed, label: &str| listed.iter().map(|(zone, to)| member(zone, label, *to)).collect::<Vec<_>>();
            let catalogs = [(name("one."), members(one, "1")), (name("two."), members(two, "2"))].into();
            let before = before.map(|catalog| (name("z."), Owner { catalog: name(catalog), label: (*b"0").into() })).into_iter().collect();
            let (owners, clashes) = owners(&catalogs, |zone| *zone == name("own."), &before);
            let owners: Vec<String> = owners.iter().map(|(zone, owner)| format!("{zone}@{}", owner.catalog)).collect();
            let clashes: Vec<String> = clashes.iter().map(|clash| format!("{}!{}", clash.zone, clash.catalog)).collect();
            [owners, clashes].concat().join(" ")
        };
        let z: Listed = &[("z.", None)];
        let given: Listed = &[("z.", Some("two."))];
        for (one, two, before, expected) in [
            (z, &[][..], None, "z.@one."),
            (z, z, None, "z.@one. z.!two."),
            (z, z, Some("two."), "z.@two. z.!one."),
            (z, &[], Some("two."), "z.@one."),
            // The present owner gives it away, to one that wants it.
            (given, z, Some("one."), "z.@two. z.!one."),
            (given, &[], Some("one."), "z.@one."),
            // Only the owner may: the other catalog's word does not count.
            (given, z, Some("two."), "z.@two. z.!one."),
            (&[("own.", None)], &[], None, "own.!one."),
        ] {
            assert_eq!(shown(one, two, before), expected, "{one:?} {two:?} {before:?}");
        }
    }

    #[test]
    fn a_catalog_that_is_written_is_read() {
        let zones = [name("b.example."), name("a.example.")];
        let label = |zone: &Name| zone.labels().next().map(|label| format!("m{}", String::from_utf8_lossy(label))).expect("a label");
        let text = catalog_text(7, zones.iter().map(|zone| (zone, Some("a \"b\"\\é"))), label);
        let zone = load_zone(&name("c."), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a good zone").0;
        let members = read_catalog(&zone, 9).expect("a good catalog");
        let told: Vec<(String, &[u8])> = members.iter().map(|member| (member.zone.to_string(), &*member.label)).collect();
        assert_eq!(told, [("a.example.".to_owned(), &b"ma"[..]), ("b.example.".to_owned(), &b"mb"[..])]);
        assert_eq!((zone.serial(), zone.record_count()), (7, 7));
    }
}
