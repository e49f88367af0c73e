//! Checks of the records as a zone, after each record has been found correct by itself.
//!
//! Errors would cause wrong or ambiguous answers. What may be intended is a warning, and the zone is served: no NS RRset, missing
//! addresses, servers that are aliases (RFC 2181 10.3), data that a delegation or a DNAME hides. `slips.rs` has the slips of the
//! pen in names and data.

use super::builder::{Entry, ZoneBuilder};
use super::lookup::{lower, within};
use super::problem::{Place, Problems};
use super::shard::{CUT, HAS_DNAME, HAS_WILDCARD, HIDDEN};
use super::slips;
use crate::limits::zone::NSEC3_ITERATIONS_MAX;
use crate::record::{Name, Rtype, rdata_names};

pub(super) fn zone(builder: &ZoneBuilder, problems: &mut Problems) {
    let whole = Place { file: 0, line: 0 };
    let apex = builder.number(builder.apex.as_wire()).unwrap_or(0);
    // A line that could not be read may have held what seems to be missing.
    let complete = problems.error_count() == 0;
    let has_soa = !builder.set(apex, Rtype::SOA).is_empty();
    if !has_soa && let Some((owner, place)) = other_soa(builder) {
        let apex = &builder.apex;
        problems.error(place, format!("found the SOA record of {owner}, expected that of {apex}: is this the file of the zone {owner}?"));
    } else if !has_soa && complete {
        problems.error(whole, format!("found no SOA record, expected one for {}, as `@ SOA ns1 hostmaster 1 1d 2h 4w 1h`", builder.apex));
    }
    if complete && builder.set(apex, Rtype::NS).is_empty() {
        problems.warning(whole, format!("found no NS records, expected at least one for {}", builder.apex));
    }
    signed(builder, apex, problems);
    for node in builder.entries.chunk_by(|a, b| a.name == b.name) {
        alone(builder, node, has_soa, problems);
        slips::owner(builder, node, problems);
        hidden(builder, node, problems);
        for set in node.chunk_by(|a, b| (a.rtype, a.is_sig) == (b.rtype, b.is_sig)) {
            one_ttl(builder, set, problems);
            digests(builder, set, problems);
            slips::data(builder, set, problems);
            if complete && !set[0].is_sig {
                targets(builder, set, problems);
            }
        }
    }
}

/// RFC 4035 3.1.3 and RFC 5155 7.2 require proofs with negative answers; without them a validator rejects the answer.
fn signed(builder: &ZoneBuilder, apex: u32, problems: &mut Problems) {
    let is_signature = |entry: &&Entry| entry.name == apex && entry.is_sig && entry.rtype == Rtype::SOA;
    let Some(signature) = builder.entries.iter().find(is_signature) else { return };
    let (zone, params) = (&builder.apex, builder.set(apex, Rtype::NSEC3PARAM).first());
    match params.map(|params| (params.place, builder.rdata(params))) {
        _ if !builder.set(apex, Rtype::NSEC).is_empty() => {}
        None => problems.warning(
            signature.place,
            format!("found {zone} signed without NSEC and NSEC3PARAM, expected one of them: validators refuse its negative answers"),
        ),
        // RFC 9276 3.1, 3.2.
        Some((place, [_, _, high, low, ..])) if u16::from_be_bytes([*high, *low]) > NSEC3_ITERATIONS_MAX => problems.warning(
            place,
            format!(
                "found {} iterations of NSEC3 for {zone}, expected 0: validators take it for unsigned, or refuse its negative answers",
                u16::from_be_bytes([*high, *low])
            ),
        ),
        Some(_) => {}
    }
}

/// The first SOA record of the file whose owner is not the apex.
fn other_soa(builder: &ZoneBuilder) -> Option<(Name, Place)> {
    let below = builder.entries.iter().filter(|entry| entry.rtype == Rtype::SOA && !entry.is_sig);
    let below = below.map(|entry| (builder.name_of(entry), entry.place));
    below.chain(builder.soa_elsewhere.clone()).min_by_key(|(_, place)| (place.file, place.line))
}

/// Records that may exist only at certain names, only once, or not together with others.
fn alone(builder: &ZoneBuilder, node: &[Entry], has_soa: bool, problems: &mut Problems) {
    let first = &node[0];
    let wire = builder.names.name(first.name);
    let data = || node.iter().filter(|entry| !entry.is_sig);
    for rtype in [Rtype::SOA, Rtype::CNAME, Rtype::DNAME] {
        // RFC 1034 3.6.2, RFC 2181 10.1, RFC 6672 2.4.
        if let Some(second) = data().filter(|entry| entry.rtype == rtype).nth(1) {
            problems.error(second.place, format!("found a second {rtype} record for {}, expected one", builder.name_of(first)));
        }
    }
    if has_soa && let Some(soa) = data().find(|entry| entry.rtype == Rtype::SOA && wire != builder.apex.as_wire()) {
        problems.error(soa.place, format!("found a SOA record for {}, expected it for {} only", builder.name_of(first), builder.apex));
    }
    let cname = data().find(|entry| entry.rtype == Rtype::CNAME);
    if let (Some(cname), Some(other)) = (cname, data().find(|entry| !entry.rtype.may_stand_beside_cname())) {
        let (earlier, later) = if cname.place.line <= other.place.line { (cname, other) } else { (other, cname) };
        problems.error(
            later.place,
            format!(
                "found {} beside the {} of line {} for {}, expected a CNAME to stand alone (RFC 1034 3.6.2): write A and AAAA in its place",
                later.rtype,
                earlier.rtype,
                earlier.place.line,
                builder.name_of(first)
            ),
        );
    }
    let mut aliases = data().filter(|entry| entry.rtype == Rtype::ALIAS);
    if let Some(alias) = aliases.next() {
        if wire != builder.apex.as_wire() {
            let (name, apex) = (builder.name_of(first), &builder.apex);
            problems.error(alias.place, format!("found ALIAS for {name}, expected it for {apex} only: write CNAME"));
        }
        if let Some(second) = aliases.next() {
            problems.error(second.place, format!("found a second ALIAS record for {}, expected one", builder.name_of(first)));
        }
        if builder.rdata(alias) == wire {
            problems.error(alias.place, format!("found ALIAS of {0} to {0} itself, expected another name", builder.name_of(first)));
        }
    }
    // RFC 4592 4.2: a wildcard delegation has no defined meaning.
    if let Some(ns) = data().find(|entry| entry.rtype == Rtype::NS && wire.starts_with(b"\x01*")) {
        problems.error(ns.place, format!("found NS for the wildcard {}, expected no delegation there", builder.name_of(first)));
    }
}

fn hidden(builder: &ZoneBuilder, node: &[Entry], problems: &mut Problems) {
    let number = node[0].name;
    let occluded = |entry: &&Entry| {
        !entry.is_sig
            && if builder.has(number, HIDDEN) {
                !entry.rtype.is_address()
            } else {
                // RFC 4035 2.3 and RFC 2181 6: these types may exist at a cut on the parent's side; addresses are glue.
                builder.has(number, CUT) && !matches!(entry.rtype, Rtype::NS | Rtype::DS | Rtype::NSEC) && !entry.rtype.is_address()
            }
    };
    if let Some(entry) = node.iter().find(occluded) {
        let why = if builder.has(number, CUT) { "at a delegation" } else { "below a delegation or a DNAME" };
        problems.warning(entry.place, format!("found {} for {} {why}: it is never served", entry.rtype, builder.name_of(entry)));
    }
}

/// RFC 2181 5.2.
fn one_ttl(builder: &ZoneBuilder, set: &[Entry], problems: &mut Problems) {
    let least = set.iter().map(|entry| entry.ttl).min().unwrap_or(0);
    // Signatures over one set may differ in what they cover and are not a set of their own (RFC 4035 2.2).
    if let Some(other) = set.iter().find(|entry| entry.ttl != set[0].ttl && !entry.is_sig) {
        let (rtype, name) = (other.rtype, builder.name_of(other));
        problems.warning(
            other.place,
            format!("found TTL {} for {name} {rtype} after {}, expected one TTL in a set: {least} is used", other.ttl, set[0].ttl),
        );
    }
}

/// A digest of the wrong length proves nothing: RFC 4034 5.1.4, RFC 4509, RFC 6605 for DS, RFC 8976 2.2.4 for ZONEMD. A next
/// hashed owner name of the wrong length sorts to a random place among the hashes and denies names that exist (RFC 5155 3.1.7):
/// it is an error.
fn digests(builder: &ZoneBuilder, set: &[Entry], problems: &mut Problems) {
    for entry in set.iter().filter(|entry| !entry.is_sig) {
        let (rtype, rdata) = (entry.rtype, builder.rdata(entry));
        let (have, len) = match (rtype, rdata) {
            (Rtype::DS | Rtype::CDS, [_, _, _, kind @ (1 | 2 | 4), digest @ ..]) => (digest.len(), [0, 20, 32, 0, 48][usize::from(*kind)]),
            (Rtype::ZONEMD, [_, _, _, _, _, kind @ (1 | 2), digest @ ..]) => (digest.len(), [0, 48, 64][usize::from(*kind)]),
            (Rtype::NSEC3, [1, _, _, _, salt_len, rest @ ..]) => (rest.get(usize::from(*salt_len)).map_or(0, |len| usize::from(*len)), 20),
            _ => continue,
        };
        if have == len {
            continue;
        }
        let name = builder.name_of(entry);
        match rtype {
            Rtype::NSEC3 => {
                problems.error(entry.place, format!("found a next hash of {have} octets for {name} NSEC3, expected the {len} of SHA-1"))
            }
            _ => problems.warning(entry.place, format!("found a {rtype} digest of {have} octets for {name}, expected {len}")),
        }
    }
}

/// Names in NS, MX and SRV records whose addresses this zone must have.
fn targets(builder: &ZoneBuilder, set: &[Entry], problems: &mut Problems) {
    let apex = builder.apex.as_wire();
    for entry in set {
        let rdata = builder.rdata(entry);
        if slips::targets(builder, entry, problems) {
            continue;
        }
        let server = match entry.rtype {
            Rtype::NS | Rtype::MX | Rtype::SRV => rdata_names(entry.rtype, rdata).next().filter(|target| *target != [0]),
            _ => None,
        };
        let Some(target) = server else { continue };
        let Some(folded) = lower(target) else { continue };
        let folded = &folded.0[..target.len()];
        if within(folded, apex) {
            address_known(builder, entry, folded, problems);
        }
    }
}

fn address_known(builder: &ZoneBuilder, entry: &Entry, target: &[u8], problems: &mut Problems) {
    let (rtype, owner) = (entry.rtype, builder.name_of(entry));
    let shown = || Name::from_wire(target).map(|name| name.to_string()).unwrap_or_default();
    let Some(number) = builder.closest(target) else { return };
    let exact = builder.names.name(number) == target;
    if exact && !builder.set(number, Rtype::CNAME).is_empty() {
        // RFC 2181 10.3.
        problems.warning(
            entry.place,
            format!(
                "found {rtype} of {owner} to {}, an alias, expected a name with addresses: write the name that the alias leads to",
                shown()
            ),
        );
    } else if exact && [Rtype::A, Rtype::AAAA].iter().any(|rtype| !builder.set(number, *rtype).is_empty()) {
    } else if !exact && builder.has(number, HAS_WILDCARD) {
        // A wildcard may provide the address. It could not serve as glue, but the delegation's own check finds that.
    } else if !builder.has(number, CUT | HIDDEN | HAS_DNAME) {
        problems.warning(entry.place, format!("found no address for {}, expected A or AAAA for the {rtype} of {owner}", shown()));
    } else if rtype == Rtype::NS && within(target, owner.as_wire()) && owner.as_wire() != builder.apex.as_wire() {
        problems.warning(entry.place, format!("found no glue for {}, expected A or AAAA: it lies in {owner} itself", shown()));
    }
}
