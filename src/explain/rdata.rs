//! RDATA of common types by its fields, as hickory-proto reads it. Records that it refuses, and other types, are shown in
//! presentation form alone.

use hickory_proto::dnssec::PublicKey;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::SVCB;
use serde::Serialize;

use crate::record::Rtype;
use crate::wire::{name_of, typed_rdata};

/// The fields of common RDATA.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum Rdata {
    /// A, AAAA.
    Address { address: String },
    /// NS, CNAME, PTR.
    Target { target: String },
    /// MX.
    MailExchange { preference: u16, exchange: String },
    /// TXT.
    Text { strings: Vec<String> },
    /// SOA.
    Authority { mname: String, rname: String, serial: u32, refresh: i32, retry: i32, expire: i32, minimum: u32 },
    /// SRV.
    Server { priority: u16, weight: u16, port: u16, target: String },
    /// SVCB, HTTPS.
    Service { priority: u16, target: String, parameters: Vec<Parameter> },
    /// CAA.
    CertificateAuthority { critical: bool, tag: String, value: String },
    /// DS.
    DelegationSigner { key_tag: u16, algorithm: u8, digest_type: u8, digest: String },
    /// DNSKEY.
    Key { flags: u16, algorithm: u8, key_tag: u16, zone_key: bool, secure_entry_point: bool, revoked: bool },
}

/// One SvcParam.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parameter {
    pub key: String,
    pub value: String,
}

impl Rdata {
    /// `None` if hickory-proto refuses the record, and for types without fields here.
    pub fn of(rtype: Rtype, rdata: &[u8]) -> Option<Rdata> {
        let name = |name: &hickory_proto::rr::Name| name_of(name).map(|name| name.to_string());
        Some(match typed_rdata(rtype, rdata)? {
            RData::A(a) => Rdata::Address { address: a.0.to_string() },
            RData::AAAA(aaaa) => Rdata::Address { address: aaaa.0.to_string() },
            RData::NS(target) => Rdata::Target { target: name(&target.0)? },
            RData::CNAME(target) => Rdata::Target { target: name(&target.0)? },
            RData::PTR(target) => Rdata::Target { target: name(&target.0)? },
            RData::MX(mx) => Rdata::MailExchange { preference: mx.preference, exchange: name(&mx.exchange)? },
            RData::TXT(txt) => {
                Rdata::Text { strings: txt.txt_data.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect() }
            }
            RData::SOA(soa) => Rdata::Authority {
                mname: name(&soa.mname)?,
                rname: name(&soa.rname)?,
                serial: soa.serial,
                refresh: soa.refresh,
                retry: soa.retry,
                expire: soa.expire,
                minimum: soa.minimum,
            },
            RData::SRV(srv) => Rdata::Server { priority: srv.priority, weight: srv.weight, port: srv.port, target: name(&srv.target)? },
            RData::SVCB(service) => of_service(&service)?,
            RData::HTTPS(service) => of_service(&service.0)?,
            RData::CAA(caa) => Rdata::CertificateAuthority {
                critical: caa.issuer_critical,
                tag: caa.tag.clone(),
                value: String::from_utf8_lossy(&caa.value).into_owned(),
            },
            RData::DNSSEC(data) => of_dnssec(&data)?,
            _ => return None,
        })
    }
}

fn of_service(service: &SVCB) -> Option<Rdata> {
    let parameters = service.svc_params.iter().map(|(key, value)| Parameter { key: key.to_string(), value: value.to_string() });
    Some(Rdata::Service {
        priority: service.svc_priority,
        target: name_of(&service.target_name)?.to_string(),
        parameters: parameters.collect(),
    })
}

fn of_dnssec(data: &DNSSECRData) -> Option<Rdata> {
    match data {
        DNSSECRData::DS(ds) => Some(Rdata::DelegationSigner {
            key_tag: ds.key_tag(),
            algorithm: ds.algorithm().into(),
            digest_type: ds.digest_type().into(),
            digest: hex(ds.digest()),
        }),
        DNSSECRData::DNSKEY(key) => Some(Rdata::Key {
            flags: key.flags(),
            algorithm: key.public_key().algorithm().into(),
            key_tag: key.calculate_key_tag().ok()?,
            zone_key: key.zone_key(),
            secure_entry_point: key.secure_entry_point(),
            revoked: key.revoke(),
        }),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RrSet;
    use crate::zone::parse_records;

    fn json(line: &str) -> String {
        let (sets, _) = parse_records("test", format!("{line}\n").as_bytes()).expect(line);
        let set: &RrSet = sets.first().expect("a set");
        let rdata = set.data.iter().next().expect("a record");
        serde_json::to_string(&Rdata::of(set.rtype, rdata)).expect("plain data")
    }

    #[test]
    fn common_types_by_their_fields() {
        for (line, expected) in [
            ("a. 1 IN A 192.0.2.1", r#"{"form":"address","address":"192.0.2.1"}"#),
            ("a. 1 IN AAAA 2001:db8::1", r#"{"form":"address","address":"2001:db8::1"}"#),
            ("a. 1 IN NS ns.a/b.", r#"{"form":"target","target":"ns.a/b."}"#),
            ("a. 1 IN MX 10 mail.a.", r#"{"form":"mail-exchange","preference":10,"exchange":"mail.a."}"#),
            ("a. 1 IN TXT \"x\" \"y z\"", r#"{"form":"text","strings":["x","y z"]}"#),
            ("a. 1 IN SRV 1 2 443 host.a.", r#"{"form":"server","priority":1,"weight":2,"port":443,"target":"host.a."}"#),
            ("a. 1 IN CAA 0 issue \"ca.test\"", r#"{"form":"certificate-authority","critical":false,"tag":"issue","value":"ca.test"}"#),
            ("a. 1 IN DS 7 13 2 00FF", r#"{"form":"delegation-signer","key_tag":7,"algorithm":13,"digest_type":2,"digest":"00FF"}"#),
            ("a. 1 IN TYPE731 \\# 1 00", "null"),
            ("a. 1 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m", "null"),
        ] {
            assert_eq!(json(line), expected, "{line}");
        }
    }
}
