//! The JSON form of DNS over HTTPS, with the names of fields and parameters that Google Public DNS and Cloudflare document: parameters
//! become a query, and the reply becomes text. No document of the IETF defines it.

use std::fmt;

use serde::Serialize;

use super::form::field;
use super::media_type::{DNS_JSON, DNS_MESSAGE};
use crate::limits::clients::{JSON_TEXT_BYTES_MAX, UDP_REPLY_BYTES_MAX};
use crate::record::{Ede, EdeCode, Name, Question, Rcode, Rtype, rdata_to_text, to_ascii_name};
use crate::wire::{Flags, Header, Message, OptionCode, Record, Section, Writer, options};

/// A second path, which Google uses; the first is that of RFC 8484.
pub(super) const PATH: &str = "/resolve";

/// What the parameters of a URI ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct JsonQuery {
    pub(super) message: Vec<u8>,
    /// `ct=application/dns-message`: the reply itself, and not its text.
    pub(super) wants_message: bool,
}

/// What is wrong with the parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BadParameter(String);

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the parameters are of this form: those of RFC 8484 have `dns` and no name.
pub(super) fn is_meant(parameters: &str) -> bool {
    field(parameters, "name").is_some() && field(parameters, "dns").is_none()
}

/// The query: always with EDNS, so that errors have their reasons, and with AD, so that the client is told what is validated (RFC 6840 5.7).
pub(super) fn query(parameters: &str) -> Result<JsonQuery, BadParameter> {
    let wrong = |what: &str| BadParameter(what.to_owned());
    let value = |key: &str| field(parameters, key);
    let name = value("name").filter(|name| !name.is_empty()).ok_or_else(|| wrong("name= is missing"))?;
    let ascii = if name.is_ascii() { Some(name.clone()) } else { to_ascii_name(&name) };
    let name = ascii.and_then(|name| Name::parse(&name).ok()).ok_or_else(|| wrong("name= is no domain name"))?;
    let rtype = match value("type").filter(|rtype| !rtype.is_empty()) {
        None => Rtype::A,
        Some(text) => type_of(&text).ok_or_else(|| wrong("type= is neither a type nor a number from 1 to 65535"))?,
    };
    let flag = |key: &'static str| match value(key).as_deref() {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(BadParameter(format!("{key}= takes 1, true, 0 or false"))),
    };
    let (checking_disabled, dnssec_ok) = (flag("cd")?, flag("do")?);
    let wants_message = match value("ct").as_deref() {
        None | Some("" | DNS_JSON | "application/json" | "application/x-javascript") => false,
        Some(DNS_MESSAGE) => true,
        Some(_) => return Err(wrong("ct= takes application/dns-json or application/dns-message")),
    };
    let mut writer = Writer::new(Vec::with_capacity(300), 512);
    let flags = Flags(Flags::RD | Flags::AD).with(Flags::CD, checking_disabled);
    writer.header(Header { id: 0, flags, counts: [0; 4] });
    let whole = |_| wrong("name= is too long");
    writer.question(&Question::new(name, rtype)).map_err(whole)?;
    writer.opt(UDP_REPLY_BYTES_MAX as u16, Rcode::NOERROR, dnssec_ok, &[]).map_err(whole)?;
    Ok(JsonQuery { message: writer.finish(), wants_message })
}

fn type_of(text: &str) -> Option<Rtype> {
    let rtype = match text.parse::<u16>() {
        Ok(number) => Rtype(number),
        Err(_) => text.parse().ok()?,
    };
    // OPT and what is no type of data (RFC 6895 3.1): they are no questions of this form.
    (rtype.0 != 0 && rtype != Rtype::OPT).then_some(rtype)
}

#[derive(Serialize)]
struct Text {
    #[serde(rename = "Status")]
    status: u16,
    #[serde(rename = "TC")]
    truncated: bool,
    #[serde(rename = "RD")]
    recursion_desired: bool,
    #[serde(rename = "RA")]
    recursion_available: bool,
    #[serde(rename = "AD")]
    authentic: bool,
    #[serde(rename = "CD")]
    checking_disabled: bool,
    #[serde(rename = "Question")]
    question: Vec<Asked>,
    #[serde(rename = "Answer", skip_serializing_if = "Vec::is_empty")]
    answer: Vec<Line>,
    #[serde(rename = "Authority", skip_serializing_if = "Vec::is_empty")]
    authority: Vec<Line>,
    #[serde(rename = "Comment", skip_serializing_if = "String::is_empty")]
    comment: String,
}

#[derive(Serialize)]
struct Asked {
    name: String,
    #[serde(rename = "type")]
    rtype: u16,
}

#[derive(Serialize)]
struct Line {
    name: String,
    #[serde(rename = "type")]
    rtype: u16,
    #[serde(rename = "TTL")]
    ttl: u32,
    data: String,
}

/// The reply as text; `None`: it is no DNS message.
pub(super) fn text(reply: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(reply).ok()?;
    let has = |flag| message.header().flags.has(flag);
    let mut room = JSON_TEXT_BYTES_MAX;
    let (answer, authority) = (lines(&message, Section::Answer, &mut room), lines(&message, Section::Authority, &mut room));
    let text = Text {
        status: message.rcode().0,
        truncated: has(Flags::TC) || answer.is_none() || authority.is_none(),
        recursion_desired: has(Flags::RD),
        recursion_available: has(Flags::RA),
        authentic: has(Flags::AD),
        checking_disabled: has(Flags::CD),
        question: message.question().map(|(name, rtype, _)| Asked { name: name.to_string(), rtype: rtype.0 }).into_iter().collect(),
        answer: answer.unwrap_or_default(),
        authority: authority.unwrap_or_default(),
        comment: comment(&message),
    };
    serde_json::to_vec(&text).ok()
}

/// The records of a section, as far as there is room; `None`: there is not.
fn lines(message: &Message<'_>, section: Section, room: &mut usize) -> Option<Vec<Line>> {
    let mut lines = Vec::new();
    for line in message.records(section).filter_map(|record| line(&record)) {
        *room = room.checked_sub(line.name.len() + line.data.len())?;
        lines.push(line);
    }
    Some(lines)
}

fn line(record: &Record<'_>) -> Option<Line> {
    let (rtype, mut rdata) = (record.rtype(), Vec::new());
    record.expand_rdata(&mut rdata).ok()?;
    Some(Line { name: record.owner().ok()?.to_string(), rtype: rtype.0, ttl: record.ttl(), data: rdata_to_text(rtype, &rdata) })
}

/// The extended errors of the reply (RFC 8914).
fn comment(message: &Message<'_>) -> String {
    let edns = message.edns();
    let errors = edns.iter().flat_map(|edns| options(edns.data)).filter_map(Result::ok).filter(|option| option.code == OptionCode::EDE);
    let error = |data: &[u8]| {
        let (code, text) = data.split_first_chunk::<2>()?;
        Some(Ede::new(EdeCode(u16::from_be_bytes(*code)), String::from_utf8_lossy(text)).to_string())
    };
    errors.filter_map(|option| error(option.data)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::Class;

    fn asked(parameters: &str) -> Result<(String, u16, Flags, bool, bool), String> {
        let query = query(parameters).map_err(|wrong| wrong.to_string())?;
        let message = Message::parse(&query.message).expect("well formed");
        let (name, rtype, class) = message.question().expect("a question");
        assert_eq!((class, message.header().id), (Class::IN, 0));
        let edns = message.edns().expect("EDNS");
        Ok((name.to_string(), rtype.0, message.header().flags, edns.dnssec_ok, query.wants_message))
    }

    #[test]
    fn parameters_become_a_query() {
        let plain = Flags(Flags::RD | Flags::AD);
        let of = |name: &str, rtype: u16| Ok((name.to_owned(), rtype, plain, false, false));
        assert_eq!(asked("name=example.com"), of("example.com.", 1));
        assert_eq!(asked("type=&name=example.com."), of("example.com.", 1));
        assert_eq!(asked("name=example.com&type=AAAA&edns_client_subnet=192.0.2.0/24&random_padding=xx"), of("example.com.", 28));
        assert_eq!(asked("name=example.com&type=aaaa&name=other."), of("example.com.", 28));
        assert_eq!(asked("name=example.com&type=65"), of("example.com.", 65));
        assert_eq!(asked("name=example.com&type=TYPE999"), of("example.com.", 999));
        assert_eq!(asked("name=.&type=NS"), of(".", 2));
        assert_eq!(asked("name=%65xample%2Ecom"), of("example.com.", 1));
        assert_eq!(asked("name=b%C3%BCcher.example"), of("xn--bcher-kva.example.", 1));
        let with = |flags, dnssec_ok, wants_message| Ok(("a.".to_owned(), 1, flags, dnssec_ok, wants_message));
        assert_eq!(asked("name=a&cd=1&do=true"), with(plain.with(Flags::CD, true), true, false));
        assert_eq!(asked("name=a&cd=false&do=0&ct=application/dns-json"), with(plain, false, false));
        assert_eq!(asked("name=a&cd&do=&ct=application%2Fdns-message"), with(plain, false, true));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let long = format!("name={}", "a.".repeat(130));
        let label = format!("name={}", "a".repeat(64));
        for (parameters, what) in [
            ("", "name= is missing"),
            ("name=", "name= is missing"),
            ("name=a..b", "name= is no"),
            (&long, "name= is no"),
            (&label, "name= is no"),
            ("name=a&type=0", "type="),
            ("name=a&type=65536", "type="),
            ("name=a&type=41", "type="),
            ("name=a&type=nothing", "type="),
            ("name=a&cd=2", "cd="),
            ("name=a&do=yes", "do="),
            ("name=a&ct=text/html", "ct="),
        ] {
            assert!(asked(parameters).is_err_and(|wrong| wrong.starts_with(what)), "{parameters}: {:?}", asked(parameters));
        }
        assert!(is_meant("name=a") && is_meant("type=A&name=") && !is_meant("dns=AAAA&name=a") && !is_meant("type=A") && !is_meant(""));
    }

    #[test]
    fn a_reply_becomes_text() {
        let (owner, apex): (Name, Name) = ("www.example.".parse().expect("a name"), "example.".parse().expect("a name"));
        let mut writer = Writer::new(Vec::new(), 1_232);
        let flags = Flags(Flags::QR | Flags::RD | Flags::RA | Flags::AD).with_rcode(Rcode::NXDOMAIN.0);
        writer.header(Header { id: 7, flags, counts: [0; 4] });
        writer.question(&Question::new(owner.clone(), Rtype::TXT)).expect("room");
        writer.record(Section::Answer, &owner, Rtype::TXT, Class::IN, 300, b"\x05a \"b\\").expect("room");
        writer.record(Section::Answer, &owner, Rtype::CNAME, Class::IN, 20, b"\x01a\x07example\0").expect("room");
        let soa = [b"\x02ns\x07example\0\0".as_slice(), &[0; 20]].concat();
        writer.record(Section::Authority, &apex, Rtype::SOA, Class::IN, 60, &soa).expect("room");
        let errors: [(OptionCode, &[u8]); 2] = [(OptionCode::EDE, b"\0\x0freason"), (OptionCode::EDE, b"\0\x06")];
        writer.opt(1_232, Rcode::NOERROR, false, &errors).expect("room");
        let read: Value = serde_json::from_slice(&text(&writer.finish()).expect("a message")).expect("JSON");
        let expected = json!({
            "Status": 3, "TC": false, "RD": true, "RA": true, "AD": true, "CD": false,
            "Question": [{ "name": "www.example.", "type": 16 }],
            "Answer": [
                { "name": "www.example.", "type": 16, "TTL": 300, "data": "\"a \\\"b\\\\\"" },
                { "name": "www.example.", "type": 5, "TTL": 20, "data": "a.example." },
            ],
            "Authority": [{ "name": "example.", "type": 6, "TTL": 60, "data": "ns.example. . 0 0 0 0 0" }],
            "Comment": "EDE 15 (Blocked): reason; EDE 6 (DNSSEC Bogus)",
        });
        assert_eq!(read, expected);
        assert_eq!(text(b"short"), None);
    }

    /// In the message each record points to the name; here it is written out each time.
    #[test]
    fn a_long_name_with_many_records_stays_short() {
        let owner = Name::parse(&format!("{0}.{0}.{0}.example.", "\\001".repeat(63))).expect("a name");
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 7, flags: Flags(Flags::QR), counts: [0; 4] });
        writer.question(&Question::new(owner.clone(), Rtype::A)).expect("room");
        let count = (0..4_000u32)
            .take_while(|n| writer.record(Section::Answer, &owner, Rtype::A, Class::IN, 300, &n.to_be_bytes()).is_ok())
            .count();
        assert!(count > 3_000);
        let text = text(&writer.finish()).expect("a message");
        assert!(text.len() < 3 * JSON_TEXT_BYTES_MAX, "{}", text.len());
        let read: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!((&read["TC"], &read["Answer"]), (&json!(true), &Value::Null));
    }
}
