//! Lists of address prefixes (RFC 3123): `[!]family:address/prefix` for IPv4 (1) and IPv6 (2).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::lexer::TextError;
use super::mnemonic::decimal;
use super::reader::Reader;
use super::writer::Writer;

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    while reader.peek().is_some() {
        let item = reader.with("a prefix as 1:192.0.2.0/24 or !2:2001:db8::/32", parse)?;
        reader.out.extend_from_slice(&item);
    }
    Ok(())
}

fn parse(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (negated, text) = text.strip_prefix('!').map_or((0, text), |rest| (0x80, rest));
    let (family, text) = text.split_once(':')?;
    let (address, prefix) = text.split_once('/')?;
    let prefix = u8::try_from(decimal(prefix.as_bytes())?).ok()?;
    let (family, mut octets, prefix_max) = match family {
        "1" => (1, address.parse::<Ipv4Addr>().ok()?.octets().to_vec(), 32),
        "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 128),
        _ => return None,
    };
    // RFC 3123 4: zero octets at the end are not sent.
    while octets.last() == Some(&0) {
        octets.pop();
    }
    let mut item = vec![0, family, prefix, negated | octets.len() as u8];
    item.append(&mut octets);
    (prefix <= prefix_max).then_some(item)
}

pub(super) fn write(writer: &mut Writer<'_>) -> Option<()> {
    while !writer.is_empty() {
        let [high, family, prefix, len] = writer.array()?;
        let octets = writer.take(usize::from(len & 0x7f))?;
        let negated = if len & 0x80 != 0 { "!" } else { "" };
        let address = match (high, family) {
            (0, 1) => Ipv4Addr::from(padded::<4>(octets)?).to_string(),
            (0, 2) => Ipv6Addr::from(padded::<16>(octets)?).to_string(),
            _ => return None,
        };
        writer.word(format_args!("{negated}{family}:{address}/{prefix}"));
    }
    Some(())
}

fn padded<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut full = [0; N];
    full.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(full)
}
