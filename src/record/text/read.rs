//! From tokens to wire RDATA. Names keep their letter case; a relative name is completed with the origin.

use super::super::Rtype;
use super::encoding::{base32_from_text, base64_from_text, hex_from_text};
use super::form::{Form, forms};
use super::lexer::{Lexer, TextError, Token};
use super::reader::{Reader, read_text_of_any_length, small};
use super::{apl, gateway, location, mnemonic, svcb, types};

const RDATA_BYTES_MAX: usize = 65_535;

/// Reads `tokens` as RDATA and appends it to `out`; on error `out` is as before. `origin` is a wire name. An error at the end
/// of an empty list has line 0: the caller knows the line.
pub fn rdata_from_tokens(rtype: Rtype, tokens: &[Token<'_>], origin: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let start = out.len();
    let result = read_rdata(rtype, tokens, origin, out).and_then(|()| match out.len() - start {
        0..=RDATA_BYTES_MAX => Ok(()),
        _ => Err(TextError::at(&tokens[0], "RDATA of at most 65535 octets")),
    });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// One record's RDATA as it would stand at the end of a line.
pub fn rdata_from_text(rtype: Rtype, text: &str, origin: &[u8]) -> Result<Vec<u8>, TextError> {
    let (mut tokens, mut out) = (Vec::new(), Vec::new());
    let mut lexer = Lexer::new(text.as_bytes());
    lexer.next_entry(&mut tokens)?;
    rdata_from_tokens(rtype, &tokens, origin, &mut out)?;
    if lexer.next_entry(&mut tokens)?.is_some() {
        return Err(TextError::at(&tokens[0], "one line"));
    }
    Ok(out)
}

fn read_rdata(rtype: Rtype, tokens: &[Token<'_>], origin: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut reader = Reader::new(tokens, origin, out);
    if tokens.first().is_some_and(|first| first.is("\\#")) {
        reader.generic()?;
    } else if let Some(forms) = forms(rtype) {
        for form in forms {
            read_field(&mut reader, *form)?;
        }
    } else {
        return Err(reader.error("`\\# length hex`, the only form this type has (RFC 3597)"));
    }
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err(reader.error("the end of the record")),
    }
}

fn read_field(reader: &mut Reader<'_, '_>, form: Form) -> Result<(), TextError> {
    match form {
        Form::U8 => reader.u8("a number from 0 to 255").map(|value| reader.out.push(value)),
        Form::U16 => reader.u16("a number from 0 to 65535").map(|value| reader.out.extend_from_slice(&value.to_be_bytes())),
        Form::U32 => reader.u32().map(|value| reader.out.extend_from_slice(&value.to_be_bytes())),
        Form::U64 => {
            let value = reader.with("a number", mnemonic::decimal)?;
            reader.out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }
        Form::Seconds => {
            let value = reader.with("a time in seconds or with units as in 1h30m", mnemonic::parse_duration)?;
            reader.out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }
        Form::Name => reader.name(),
        Form::Names => {
            while reader.peek().is_some() {
                reader.name()?;
            }
            Ok(())
        }
        Form::Ipv4 => reader.ipv4(),
        Form::Ipv6 => reader.ipv6(),
        Form::Text => reader.text(),
        Form::TextOptional => reader.peek().map_or(Ok(()), |_| reader.text()),
        Form::Tag => reader.tag(),
        Form::Texts => {
            reader.text()?;
            while reader.peek().is_some() {
                reader.text()?;
            }
            Ok(())
        }
        Form::JoinedTexts => {
            read_text_of_any_length(reader)?;
            while reader.peek().is_some() {
                read_text_of_any_length(reader)?;
            }
            Ok(())
        }
        Form::LongText => reader.long_text(),
        Form::Hex => reader.pieces("hex digits, two for each octet", hex_from_text),
        Form::Base64 => reader.pieces("base 64", base64_from_text),
        Form::Base64Optional => reader.peek().map_or(Ok(()), |_| reader.pieces("base 64", base64_from_text)),
        Form::Salt => reader.salt(),
        Form::Hash => reader.with_length("a hash in base 32 (extended hex)", base32_from_text),
        Form::Type => {
            let rtype = reader.rtype()?;
            reader.out.extend_from_slice(&rtype.0.to_be_bytes());
            Ok(())
        }
        Form::Types => types::read(reader),
        Form::OldTypes => types::read_old(reader),
        Form::Algorithm => {
            let expected = "a DNSSEC algorithm: a number or a word as ECDSAP256SHA256";
            let value = reader.with(expected, |text| small(text).or_else(|| mnemonic::algorithm(text)))?;
            reader.out.push(value);
            Ok(())
        }
        Form::Scheme => {
            let value = reader.with("a scheme: a number or NOTIFY", |text| small(text).or_else(|| mnemonic::scheme(text)))?;
            reader.out.push(value);
            Ok(())
        }
        Form::Certificate => {
            let number = |text: &[u8]| mnemonic::decimal(text).and_then(|value| u16::try_from(value).ok());
            let value = reader
                .with("a certificate type: a number or a word as PKIX", |text| number(text).or_else(|| mnemonic::certificate(text)))?;
            reader.out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }
        Form::Time => {
            let value = reader.with("a time as YYYYMMDDHHmmSS", mnemonic::timestamp)?;
            reader.out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }
        Form::Eui(octets) => reader.groups(octets, 2, b'-', "octets in hex joined by `-`"),
        Form::Locator => reader.groups(4, 4, b':', "four groups of hex digits joined by `:`"),
        Form::Nsap => reader.nsap(),
        Form::AtmAddress => reader.atm_address(),
        Form::A6 => gateway::read_a6(reader),
        Form::Services => gateway::read_services(reader),
        Form::Location => location::read(reader),
        Form::AddressPrefixes => apl::read(reader),
        Form::IpsecGateway => gateway::read_ipsec(reader),
        Form::Relay => gateway::read_relay(reader),
        Form::HostIdentity => gateway::read_host_identity(reader),
        Form::ServiceParameters => svcb::read(reader),
    }
}
