//! One entry of the query log as text: an object of JSON for programs, or a sentence for people.
//!
//! Names and texts come from strangers: they are escaped, so that a line is always one line, and harmless on a terminal.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use crate::config::LogFormat;
use crate::record::{Class, Rcode, Rtype, Security, write_presentation};
use crate::tap::Answered;

/// Version of the fields. It grows when one changes its meaning or goes; new ones may come at any time.
const VERSION: u8 = 1;

const OPCODE_QUERY: u8 = 0;
const CLASS_IN: u16 = 1;

/// Writes entries.
pub(super) struct Lines {
    pub(super) format: LogFormat,
    pub(super) anonymise: bool,
    /// The second that `second_text` stands for.
    second: u64,
    second_text: String,
}

impl Lines {
    pub(super) fn new(format: LogFormat, anonymise: bool) -> Lines {
        Lines { format, anonymise, second: u64::MAX, second_text: String::new() }
    }

    /// Appends a line.
    pub(super) fn write(&mut self, answered: &Answered<'_>, line: &mut Vec<u8>) {
        match self.format {
            LogFormat::Json => self.json(answered, line),
            LogFormat::Text => self.text(answered, line),
        }
    }

    fn json(&mut self, answered: &Answered<'_>, line: &mut Vec<u8>) {
        let Answered { client, transport, name, rtype, class, rcode, answers, source, verdict, reason, .. } = *answered;
        put(line, format_args!("{{\"v\":{VERSION},\"time\":\""));
        self.time(answered.came_us, line);
        put(line, format_args!("\",\"client\":\"{}\"", self.shown(client.ip())));
        if !self.anonymise {
            put(line, format_args!(",\"port\":{}", client.port()));
        }
        put(line, format_args!(",\"transport\":\"{transport}\""));
        if answered.opcode != OPCODE_QUERY {
            put(line, format_args!(",\"opcode\":\"{}\"", opcode(answered.opcode)));
        }
        if name.is_empty() {
            line.extend_from_slice(b",\"name\":null");
        } else {
            line.extend_from_slice(b",\"name\":\"");
            name_text(name, LogFormat::Json, line);
            put(line, format_args!("\",\"type\":\"{}\",\"class\":\"{}\"", Rtype(rtype), Class(class)));
        }
        put(line, format_args!(",\"rcode\":\"{}\",\"answers\":{answers},\"ms\":", Rcode(rcode)));
        milliseconds(answered.took_us, line);
        put(line, format_args!(",\"source\":\"{source}\""));
        if let Some(verdict) = verdict_word(verdict) {
            put(line, format_args!(",\"dnssec\":\"{verdict}\""));
        }
        if answered.is_dropped {
            line.extend_from_slice(b",\"dropped\":true");
        }
        for (key, value) in [("view", reason.view), ("list", reason.list), ("rule", reason.rule)] {
            json_text(key, value, line);
        }
        if let Some(code) = reason.ede {
            put(line, format_args!(",\"ede\":{code}"));
        }
        json_text("reason", reason.text, line);
        line.extend_from_slice(b"}\n");
    }

    fn text(&mut self, answered: &Answered<'_>, line: &mut Vec<u8>) {
        let Answered { client, transport, name, rtype, class, rcode, answers, source, verdict, reason, .. } = *answered;
        self.time(answered.came_us, line);
        put(line, format_args!(" {}", self.shown(client.ip())));
        if !self.anonymise {
            put(line, format_args!("#{}", client.port()));
        }
        put(line, format_args!(" {transport} "));
        if answered.opcode != OPCODE_QUERY {
            put(line, format_args!("{} ", opcode(answered.opcode)));
        }
        if name.is_empty() {
            line.extend_from_slice(b"(no question)");
        } else {
            name_text(name, LogFormat::Text, line);
            if class != CLASS_IN {
                put(line, format_args!(" {}", Class(class)));
            }
            put(line, format_args!(" {}", Rtype(rtype)));
        }
        put(line, format_args!(": {}", Rcode(rcode)));
        match answers {
            0 => {}
            1 => line.extend_from_slice(b", 1 record"),
            more => put(line, format_args!(", {more} records")),
        }
        put(line, format_args!(", {source}"));
        if let Some(verdict) = verdict_word(verdict) {
            put(line, format_args!(", {verdict}"));
        }
        line.extend_from_slice(b", ");
        milliseconds(answered.took_us, line);
        line.extend_from_slice(b" ms");
        if answered.is_dropped {
            line.extend_from_slice(b", not sent");
        }
        for (word, value) in [("view", reason.view), ("list", reason.list), ("rule", reason.rule)] {
            if !value.is_empty() {
                put(line, format_args!(", {word} "));
                escaped(value, LogFormat::Text, line);
            }
        }
        // The text of a list's reason names the list once more.
        if !reason.text.is_empty() && reason.list.is_empty() {
            line.extend_from_slice(b": ");
            escaped(reason.text, LogFormat::Text, line);
        }
        line.push(b'\n');
    }

    /// RFC 3339, in UTC.
    fn time(&mut self, us: u64, line: &mut Vec<u8>) {
        let second = us / 1_000_000;
        if second != self.second {
            let time = Timestamp::from_second(i64::try_from(second).unwrap_or(0)).unwrap_or_default();
            self.second = second;
            self.second_text = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        line.extend_from_slice(self.second_text.as_bytes());
        put(line, format_args!(".{:06}Z", us % 1_000_000));
    }

    fn shown(&self, client: IpAddr) -> IpAddr {
        match client.to_canonical() {
            client if !self.anonymise => client,
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(u32::from(v4) & !0xff)),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !((1 << 80) - 1))),
        }
    }
}

/// Writing to memory does not fail.
fn put(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = line.write_fmt(text);
}

/// With microseconds, as figures behind the point.
fn milliseconds(us: u32, line: &mut Vec<u8>) {
    put(line, format_args!("{}.{:03}", us / 1_000, us % 1_000));
}

fn verdict_word(verdict: Security) -> Option<&'static str> {
    match verdict {
        Security::Indeterminate => None,
        Security::Insecure => Some("insecure"),
        Security::Secure => Some("secure"),
        Security::Bogus => Some("bogus"),
    }
}

/// RFC 6895 2.2.
fn opcode(opcode: u8) -> &'static str {
    match opcode {
        0 => "QUERY",
        1 => "IQUERY",
        2 => "STATUS",
        4 => "NOTIFY",
        5 => "UPDATE",
        6 => "DSO",
        _ => "unknown",
    }
}

/// Escapes what is written: for JSON, or for a terminal.
struct Escaped<'a> {
    line: &'a mut Vec<u8>,
    format: LogFormat,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.format {
            LogFormat::Json => text.chars().for_each(|letter| match letter {
                '"' | '\\' => self.line.extend_from_slice(&[b'\\', letter as u8]),
                _ if is_obeyed(letter) => put(self.line, format_args!("\\u{:04x}", u32::from(letter))),
                _ => self.line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }),
            LogFormat::Text => text.bytes().for_each(|octet| match octet {
                b' '..=b'~' => self.line.push(octet),
                _ => put(self.line, format_args!("\\x{octet:02x}")),
            }),
        }
        Ok(())
    }
}

/// A letter that changes what a terminal or an editor shows of the letters beside it: a control, those beyond ASCII included (U+0080 to
/// U+009F), a line end, or one that turns the direction of writing. All of them have four hexadecimal digits.
fn is_obeyed(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name in presentation form (RFC 1035 5.1). Letter case does not count.
fn name_text(wire: &[u8], format: LogFormat, line: &mut Vec<u8>) {
    let mut folded = [0; 256];
    let Some(folded) = folded.get_mut(..wire.len()) else { return };
    folded.copy_from_slice(wire);
    folded.make_ascii_lowercase();
    let _ = write_presentation(folded, &mut Escaped { line, format });
}

fn escaped(text: &str, format: LogFormat, line: &mut Vec<u8>) {
    let _ = fmt::Write::write_str(&mut Escaped { line, format }, text);
}

/// Nothing where the text is empty.
fn json_text(key: &str, text: &str, line: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    put(line, format_args!(",\"{key}\":\""));
    escaped(text, LogFormat::Json, line);
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Name;
    use crate::tap::Reason;

    fn answered<'a>(name: &'a [u8]) -> Answered<'a> {
        Answered {
            came_us: 1_796_053_512_000_250,
            took_us: 45,
            client: "192.0.2.77:53000".parse().expect("an address"),
            transport: "udp",
            opcode: 0,
            name,
            rtype: 1,
            class: 1,
            rcode: 0,
            answers: 2,
            source: "cache",
            verdict: Security::Secure,
            is_dropped: false,
            reason: Reason::default(),
        }
    }

    fn line(format: LogFormat, anonymise: bool, answered: &Answered<'_>) -> String {
        let mut line = Vec::new();
        Lines::new(format, anonymise).write(answered, &mut line);
        String::from_utf8(line).expect("text")
    }

    #[test]
    fn both_forms() {
        let whole = answered(b"\x03WWW\x07example\0");
        let blocked = Answered {
            client: "[2001:db8:1:2:3::4]:53000".parse().expect("an address"),
            transport: "https",
            took_us: 1_234_567,
            answers: 1,
            verdict: Security::Insecure,
            source: "policy",
            reason: Reason { view: "children", list: "ads", rule: "", ede: Some(15), text: "list ads" },
            ..whole
        };
        let dropped = Answered { is_dropped: true, answers: 0, reason: Reason { rule: "drop", ..Reason::default() }, ..whole };
        let update = Answered { opcode: 5, rtype: 6, rcode: 5, answers: 0, verdict: Security::Indeterminate, source: "zone", ..whole };
        let unread = Answered { name: b"", rcode: 1, answers: 0, verdict: Security::Indeterminate, source: "policy", ..whole };
        let failing = Answered {
            name: b"\0",
            rcode: 2,
            answers: 0,
            verdict: Security::Bogus,
            source: "walk",
            reason: Reason { ede: Some(6), text: "a \"forged\"\nset", ..Reason::default() },
            ..whole
        };
        for (given, json, text) in [
            (
                &whole,
                r#"{"v":1,"time":"2026-11-30T15:45:12.000250Z","client":"192.0.2.77","port":53000,"transport":"udp","name":"www.example.","type":"A","class":"IN","rcode":"NOERROR","answers":2,"ms":0.045,"source":"cache","dnssec":"secure"}"#,
                "2026-11-30T15:45:12.000250Z 192.0.2.77#53000 udp www.example. A: NOERROR, 2 records, cache, secure, 0.045 ms",
            ),
            (
                &blocked,
                r#"{"v":1,"time":"2026-11-30T15:45:12.000250Z","client":"2001:db8:1:2:3::4","port":53000,"transport":"https","name":"www.example.","type":"A","class":"IN","rcode":"NOERROR","answers":1,"ms":1234.567,"source":"policy","dnssec":"insecure","view":"children","list":"ads","ede":15,"reason":"list ads"}"#,
                "2026-11-30T15:45:12.000250Z 2001:db8:1:2:3::4#53000 https www.example. A: NOERROR, 1 record, policy, insecure, 1234.567 ms, view children, list ads",
            ),
            (
                &dropped,
                r#"{"v":1,"time":"2026-11-30T15:45:12.000250Z","client":"192.0.2.77","port":53000,"transport":"udp","name":"www.example.","type":"A","class":"IN","rcode":"NOERROR","answers":0,"ms":0.045,"source":"cache","dnssec":"secure","dropped":true,"rule":"drop"}"#,
                "2026-11-30T15:45:12.000250Z 192.0.2.77#53000 udp www.example. A: NOERROR, cache, secure, 0.045 ms, not sent, rule drop",
            ),
            (
                &update,
                r#"{"v":1,"time":"2026-11-30T15:45:12.000250Z","client":"192.0.2.77","port":53000,"transport":"udp","opcode":"UPDATE","name":"www.example.","type":"SOA","class":"IN","rcode":"REFUSED","answers":0,"ms":0.045,"source":"zone"}"#,
                "2026-11-30T15:45:12.000250Z 192.0.2.77#53000 udp UPDATE www.example. SOA: REFUSED, zone, 0.045 ms",
            ),
            (
                &unread,
                r#"{"v":1,"time":"2026-11-30T15:45:12.000250Z","client":"192.0.2.77","port":53000,"transport":"udp","name":null,"rcode":"FORMERR","answers":0,"ms":0.045,"source":"policy"}"#,
                "2026-11-30T15:45:12.000250Z 192.0.2.77#53000 udp (no question): FORMERR, policy, 0.045 ms",
            ),
            (
                &failing,
                r#"{"v":1,"time":"2026-11-30T15:45:12.000250Z","client":"192.0.2.77","port":53000,"transport":"udp","name":".","type":"A","class":"IN","rcode":"SERVFAIL","answers":0,"ms":0.045,"source":"walk","dnssec":"bogus","ede":6,"reason":"a \"forged\"\u000aset"}"#,
                "2026-11-30T15:45:12.000250Z 192.0.2.77#53000 udp . A: SERVFAIL, walk, bogus, 0.045 ms: a \"forged\"\\x0aset",
            ),
        ] {
            assert_eq!(line(LogFormat::Json, false, given), format!("{json}\n"));
            assert_eq!(line(LogFormat::Text, false, given), format!("{text}\n"));
        }
    }

    #[test]
    fn clients_of_one_network_look_alike() {
        let shown = |client: &str| {
            let text = line(LogFormat::Json, true, &Answered { client: client.parse().expect("an address"), ..answered(b"\0") });
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(value.get("port"), None);
            value["client"].as_str().expect("an address").to_owned()
        };
        assert_eq!(shown("192.0.2.77:1"), "192.0.2.0");
        assert_eq!(shown("[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1::");
        assert_eq!(shown("[::ffff:192.0.2.77]:1"), "192.0.2.0");
    }

    proptest! {
        /// Whatever the name and the texts are: one line, JSON that is read back to the same, nothing that a terminal obeys.
        #[test]
        fn a_line_is_one_line(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..6),
            text in proptest::collection::vec(prop_oneof![any::<char>(), proptest::char::range('\0', '\u{9f}'), proptest::char::range('\u{200c}', '\u{206a}')], 0..30),
        ) {
            let text: String = text.into_iter().collect();
            let wire: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], &label[..]].concat()).chain([0]).collect();
            let given = Answered { reason: Reason { text: &text, view: &text, ..Reason::default() }, ..answered(&wire) };
            for format in [LogFormat::Json, LogFormat::Text] {
                let line = line(format, false, &given);
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert!(!line.trim_end_matches('\n').chars().any(is_obeyed));
            }
            let value: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, false, &given)).expect("JSON");
            let name = Name::from_wire(&wire).expect("a name");
            prop_assert_eq!(value["name"].as_str().map(Name::parse), Some(Ok(name)));
            prop_assert_eq!(value["reason"].as_str().unwrap_or_default(), text);
        }
    }
}
