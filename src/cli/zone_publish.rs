//! `cairn zone publish`: changes of the file are put in force, and what the parent must know is printed in the forms that
//! registrars ask for.

use clap::Args;
use serde_json::{Value, json};

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::run::Everywhere;
use super::terminal::{Paint, complain, say};
use super::zone_records::Zone;
use crate::record::{Name, Rtype, base64_to_text, rdata_to_text};
use crate::server::{self, Ds, HostedZone, InForce, Key, NameServer, ParentSide, ZoneError, ZoneUse};
use crate::validate::AlgorithmName;
use crate::zone;

/// Put changes of a zone's file in force, and print what to enter at its registrar
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone publish example.org
  cairn zone publish example.org --json

Printed are the name servers, the addresses of those that lie in the zone (glue, or \"host\" at most registrars), and where the
zone is signed the DS record; some registrars ask for the key in its place. The zone above is not asked: `cairn zone doctor`
compares it with this.")]
pub(super) struct PublishArgs {
    #[command(flatten)]
    zone: Zone,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn publish(args: &PublishArgs, everywhere: &Everywhere) -> u8 {
    let read = args.zone.find(everywhere, ZoneUse::Read).and_then(|hosted| server::read_zone(&hosted).map(|zone| (hosted, zone)));
    let (hosted, zone) = match read {
        Ok(read) => read,
        Err(error) => {
            complain!("{} {error}", Paint::stderr().bad("cairn:"));
            return if matches!(error, ZoneError::Configuration(_)) { MISTAKE } else { FAILED };
        }
    };
    let sockets = everywhere.control_sockets();
    let in_force = server::put_in_force(&sockets, everywhere.config.as_deref(), &hosted.name, zone.serial());
    if let InForce::No(why) = &in_force {
        let file = hosted.path.display();
        complain!("{} {} serial {} is in {file}, and not in force:", Paint::stderr().bad("cairn:"), hosted.name, zone.serial());
        why.iter().for_each(|line| complain!("{line}"));
        return FAILED;
    }
    let side = server::parent_side(&zone, &sockets);
    match args.json {
        true => say!("{}", as_json(&hosted, &zone, &in_force, &side)),
        false => as_text(&hosted, &zone, &in_force, &side).iter().for_each(|line| say!("{line}")),
    }
    GOOD
}

fn as_json(hosted: &HostedZone, zone: &zone::Zone, in_force: &InForce, side: &ParentSide) -> Value {
    let server = |server: &NameServer| json!({ "name": server.name.to_string(), "glue": server.needs_glue, "addresses": server.addresses });
    let ds =
        |ds: &Ds| json!({ "key-tag": ds.key_tag, "algorithm": ds.algorithm, "digest-type": ds.digest_type, "digest": ds.digest_text() });
    let key = |key: &Key| {
        json!({
            "key-tag": key.tag(), "flags": key.flags(), "protocol": key.protocol(), "algorithm": key.algorithm(), "public-key": base64(key)
        })
    };
    json!({
        "zone": hosted.name.to_string(),
        "serial": zone.serial(),
        "in-force": *in_force == InForce::Yes,
        "servers": side.servers.iter().map(server).collect::<Vec<_>>(),
        "ds": side.ds.iter().map(ds).collect::<Vec<_>>(),
        "keys": side.keys.iter().map(key).collect::<Vec<_>>(),
    })
}

fn as_text(hosted: &HostedZone, zone: &zone::Zone, in_force: &InForce, side: &ParentSide) -> Vec<String> {
    let name = &hosted.name;
    let mut lines = vec![match in_force {
        InForce::Yes => format!("{name} serial {} is in force", zone.serial()),
        InForce::NoServer | InForce::No(_) => {
            format!("{name} serial {} is in {}; no server is running here that serves it", zone.serial(), hosted.path.display())
        }
    }];
    lines.push(String::new());
    lines.push(format!("Enter at the registrar of {name}"));
    lines.push(String::new());
    lines.push("Name servers (NS)".to_owned());
    lines.extend(side.servers.iter().map(|server| format!("  {}", bare(&server.name))));
    let glue: Vec<&NameServer> = side.servers.iter().filter(|server| server.needs_glue).collect();
    if !glue.is_empty() {
        lines.push(String::new());
        lines.push("Addresses of these hosts, which lie in the zone itself (glue)".to_owned());
        for server in glue {
            let host = bare(&server.name);
            let rtype = |ip: &std::net::IpAddr| if ip.is_ipv4() { "A" } else { "AAAA" };
            lines.extend(server.addresses.iter().map(|ip| format!("  {host:30} {:4} {ip}", rtype(ip))));
            if server.addresses.is_empty() {
                lines.push(format!("  {host:30} has no address in the zone: write an A or AAAA record first"));
            }
        }
    }
    lines.push(String::new());
    lines.extend(signed(name, side));
    lines.push(String::new());
    lines.push(format!("Afterwards `cairn zone doctor {}` compares the parent and all servers with the zone.", bare(name)));
    lines
}

fn signed(name: &Name, side: &ParentSide) -> Vec<String> {
    let (keys, ds) = (&side.keys, &side.ds);
    if keys.is_empty() && ds.is_empty() {
        return vec!["DS: none, because the zone is not signed. A DS record at the registrar would make all its names fail.".to_owned()];
    }
    let mut lines = vec!["DS record (DNSSEC); some registrars ask for its four fields, some for the line".to_owned()];
    for ds in ds {
        lines.push(format!("  key tag      {}", ds.key_tag));
        lines.push(format!("  algorithm    {}", AlgorithmName(ds.algorithm)));
        lines.push(format!("  digest type  {}", digest_name(ds.digest_type)));
        lines.push(format!("  digest       {}", ds.digest_text()));
        lines.push(format!("  {name} IN DS {} {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type, ds.digest_text()));
    }
    if ds.is_empty() {
        lines.push("  none: the zone asks its parent to have none (CDS, RFC 8078 4)".to_owned());
    }
    lines.push(String::new());
    lines.push("Or the key (DNSKEY), where a registrar asks for that".to_owned());
    for key in keys {
        lines.push(format!("  flags        {}", key.flags()));
        lines.push(format!("  protocol     {}", key.protocol()));
        lines.push(format!("  algorithm    {}", AlgorithmName(key.algorithm())));
        lines.push(format!("  public key   {}", base64(key)));
        lines.push(format!("  {name} IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &key.rdata)));
    }
    lines
}

fn base64(key: &Key) -> String {
    let mut text = String::new();
    base64_to_text(key.public_key(), &mut text);
    text
}

/// Registrars take names without the final dot.
fn bare(name: &Name) -> String {
    let text = name.to_string();
    text.strip_suffix('.').filter(|text| !text.is_empty()).map_or(text.clone(), str::to_owned)
}

fn digest_name(number: u8) -> String {
    match number {
        1 => "1 (SHA-1)".to_owned(),
        2 => "2 (SHA-256)".to_owned(),
        4 => "4 (SHA-384)".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosted() -> (HostedZone, zone::Zone) {
        let name = Name::parse("example.org").expect("a name");
        let text = b"@ 3600 SOA ns1 host 7 1 1 1 1\n@ 3600 NS ns1\nns1 3600 A 192.0.2.1".to_vec();
        let zone = zone::load_zone(&name, "x", &mut |_| Ok(text.clone())).map(|(zone, _)| zone).expect("a zone");
        (HostedZone { name, path: "zones/example.org.zone".into() }, zone)
    }

    fn side(is_signed: bool) -> ParentSide {
        let name = |text: &str| Name::parse(text).expect(text);
        let server = |text: &str, addresses: &[&str]| NameServer {
            name: name(text),
            needs_glue: !addresses.is_empty(),
            addresses: addresses.iter().map(|ip| ip.parse().expect("an address")).collect(),
        };
        let servers = vec![server("ns1.example.org", &["192.0.2.1", "2001:db8::1"]), server("ns.example.net", &[])];
        let (ds, key) = (Ds { key_tag: 7, algorithm: 13, digest_type: 2, digest: vec![0xab, 1] }, Key { rdata: vec![1, 1, 3, 13, 0xff] });
        let (keys, ds) = if is_signed { (vec![key], vec![ds]) } else { (Vec::new(), Vec::new()) };
        ParentSide { servers, keys, ds }
    }

    #[test]
    fn what_to_enter() {
        let (hosted, zone) = hosted();
        let shown = as_text(&hosted, &zone, &InForce::Yes, &side(true)).join("\n");
        let expected = "example.org. serial 7 is in force\n\nEnter at the registrar of example.org.\n\nName servers (NS)\n  ns1.example.org\n  \
                        ns.example.net\n\nAddresses of these hosts, which lie in the zone itself (glue)\n  ns1.example.org                A    \
                        192.0.2.1\n  ns1.example.org                AAAA 2001:db8::1\n\nDS record (DNSSEC); some registrars ask for its four \
                        fields, some for the line\n  key tag      7\n  algorithm    13 (ECDSAP256SHA256)\n  digest type  2 (SHA-256)\n  digest       \
                        AB01\n  example.org. IN DS 7 13 2 AB01\n\nOr the key (DNSKEY), where a registrar asks for that\n  flags        257\n  \
                        protocol     3\n  algorithm    13 (ECDSAP256SHA256)\n  public key   /w==\n  example.org. IN DNSKEY 257 3 13 /w==\n\n\
                        Afterwards `cairn zone doctor example.org` compares the parent and all servers with the zone.";
        assert_eq!(shown, expected);
        let mut lost = side(false);
        lost.servers[0].addresses.clear();
        assert!(
            as_text(&hosted, &zone, &InForce::Yes, &lost).join("\n").contains("ns1.example.org                has no address in the zone")
        );
        let unsigned = as_text(&hosted, &zone, &InForce::NoServer, &side(false)).join("\n");
        assert!(unsigned.contains("DS: none") && unsigned.contains("zones/example.org.zone; no server is running here"), "{unsigned}");
        let json = as_json(&hosted, &zone, &InForce::Yes, &side(true));
        assert_eq!(
            (&json["ds"][0]["digest"], &json["servers"][0]["addresses"][0], &json["in-force"]),
            (&json!("AB01"), &json!("192.0.2.1"), &json!(true))
        );
    }
}
