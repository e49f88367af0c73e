//! RDATA in which one field says how the next is written: IPSECKEY (RFC 4025), AMTRELAY (RFC 8777),
//! HIP (RFC 8005), A6 (RFC 2874), WKS (RFC 1035 3.4.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{base64_from_text, base64_to_text, hex_from_text, hex_to_text};
use super::lexer::TextError;
use super::mnemonic::service_port;
use super::reader::Reader;
use super::writer::Writer;

/// In text and on the wire: gateway type, algorithm, gateway.
pub(super) fn read_ipsec(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let kind = reader.u8("a gateway type: 0 none, 1 IPv4, 2 IPv6, 3 name")?;
    let algorithm = reader.u8("a number from 0 to 255")?;
    reader.out.extend_from_slice(&[kind, algorithm]);
    read_gateway(reader, kind)
}

pub(super) fn write_ipsec(writer: &mut Writer<'_>) -> Option<()> {
    let [kind, algorithm] = writer.array()?;
    writer.word(kind);
    writer.word(algorithm);
    write_gateway(writer, kind)
}

/// In text: discovery bit, relay type, relay; on the wire the first two share an octet.
pub(super) fn read_relay(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let discovery = reader.with("the discovery bit, 0 or 1", |text| match text {
        b"0" => Some(0),
        b"1" => Some(0x80),
        _ => None,
    })?;
    let kind = reader.u8("a relay type: 0 none, 1 IPv4, 2 IPv6, 3 name")?;
    reader.out.push(discovery | kind);
    read_gateway(reader, kind)
}

pub(super) fn write_relay(writer: &mut Writer<'_>) -> Option<()> {
    let octet = writer.u8()?;
    writer.word(octet >> 7);
    writer.word(octet & 0x7f);
    write_gateway(writer, octet & 0x7f)
}

fn read_gateway(reader: &mut Reader<'_, '_>, kind: u8) -> Result<(), TextError> {
    match kind {
        0 => reader.with("`.`: there is no gateway", |text| (text == b".").then_some(())),
        1 => reader.ipv4(),
        2 => reader.ipv6(),
        3 => reader.name(),
        _ => Err(reader.error_before("a gateway type: 0 none, 1 IPv4, 2 IPv6, 3 name")),
    }
}

fn write_gateway(writer: &mut Writer<'_>, kind: u8) -> Option<()> {
    match kind {
        0 => {
            writer.word('.');
            Some(())
        }
        1 => writer.array::<4>().map(|octets| writer.word(Ipv4Addr::from(octets))),
        2 => writer.array::<16>().map(|octets| writer.word(Ipv6Addr::from(octets))),
        3 => writer.name(),
        _ => None,
    }
}

/// On the wire: length of the HIT, algorithm, length of the key, HIT, key.
pub(super) fn read_host_identity(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let algorithm = reader.u8("a number from 0 to 255")?;
    let (mut tag, mut key) = (Vec::new(), Vec::new());
    reader.with("a host identity tag in hex", |text| (!text.is_empty() && hex_from_text(text, &mut tag)).then_some(()))?;
    let tag_len = u8::try_from(tag.len()).map_err(|_| reader.error_before("a tag of at most 255 octets"))?;
    reader.with("a public key in base 64", |text| (!text.is_empty() && base64_from_text(text, &mut key)).then_some(()))?;
    let key_len = u16::try_from(key.len()).map_err(|_| reader.error_before("a key of at most 65535 octets"))?;
    reader.out.extend_from_slice(&[tag_len, algorithm]);
    reader.out.extend_from_slice(&key_len.to_be_bytes());
    reader.out.extend_from_slice(&tag);
    reader.out.extend_from_slice(&key);
    Ok(())
}

pub(super) fn write_host_identity(writer: &mut Writer<'_>) -> Option<()> {
    let [tag_len, algorithm] = writer.array()?;
    let key_len = writer.u16()?;
    let tag = writer.take(usize::from(tag_len))?;
    let key = writer.take(usize::from(key_len))?;
    writer.word(algorithm);
    writer.encoded(tag, hex_to_text);
    writer.encoded(key, base64_to_text);
    Some(())
}

/// The suffix is what the prefix leaves of the address; the name is missing when there is no prefix.
pub(super) fn read_a6(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let prefix = reader
        .with("a prefix length from 0 to 128", |text| super::mnemonic::decimal(text).filter(|bits| *bits <= 128).map(|bits| bits as u8))?;
    reader.out.push(prefix);
    if prefix < 128 {
        let start = reader.out.len();
        reader.ipv6()?;
        let kept = start + usize::from(prefix / 8);
        reader.out.drain(start..kept);
        if let Some(first) = reader.out.get_mut(start) {
            *first &= 0xff >> (prefix % 8);
        }
    }
    if prefix > 0 { reader.name() } else { Ok(()) }
}

pub(super) fn write_a6(writer: &mut Writer<'_>) -> Option<()> {
    let prefix = writer.u8().filter(|bits| *bits <= 128)?;
    writer.word(prefix);
    if prefix < 128 {
        let mut octets = [0u8; 16];
        let start = usize::from(prefix / 8);
        octets[start..].copy_from_slice(writer.take(16 - start)?);
        writer.word(Ipv6Addr::from(octets));
    }
    if prefix > 0 { writer.name() } else { Some(()) }
}

pub(super) fn read_services(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    reader.ipv4()?;
    let protocol = reader.with("a protocol: tcp, udp or a number", |text| match text.to_ascii_lowercase().as_slice() {
        b"tcp" => Some(6),
        b"udp" => Some(17),
        number => super::mnemonic::decimal(number).and_then(|number| u8::try_from(number).ok()),
    })?;
    reader.out.push(protocol);
    let mut bits = Vec::new();
    while reader.peek().is_some() {
        let port = usize::from(reader.with("a port number or the name of a service", service_port)?);
        bits.resize(bits.len().max(port / 8 + 1), 0u8);
        bits[port / 8] |= 0x80 >> (port % 8);
    }
    reader.out.append(&mut bits);
    Ok(())
}

pub(super) fn write_services(writer: &mut Writer<'_>) -> Option<()> {
    let address = Ipv4Addr::from(writer.array::<4>()?);
    writer.word(address);
    let protocol = writer.u8()?;
    writer.word(protocol);
    let bits = writer.take_rest();
    if bits.len() > 8192 {
        return None;
    }
    for (at, octet) in bits.iter().enumerate() {
        for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
            writer.word(at * 8 + bit);
        }
    }
    Some(())
}
