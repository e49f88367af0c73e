//! LOC (RFC 1876 3): degrees, minutes and seconds, altitude and precision in metres.

use super::lexer::TextError;
use super::mnemonic::decimal;
use super::reader::Reader;
use super::writer::Writer;

/// The equator and the prime meridian; a unit is a thousandth of a second of arc.
const MIDDLE: u32 = 1 << 31;
/// Altitudes count from 100 km below the reference, in centimetres.
const ALTITUDE_BASE_CM: i64 = 10_000_000;

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let latitude = read_angle(reader, 90, b'N', b'S')?;
    let longitude = read_angle(reader, 180, b'E', b'W')?;
    let altitude = reader.with("an altitude in metres", |text| {
        let below = text.strip_prefix(b"-");
        let cm = i64::try_from(centimetres(below.unwrap_or(text))?).ok()?;
        u32::try_from(ALTITUDE_BASE_CM + if below.is_some() { -cm } else { cm }).ok()
    })?;
    // RFC 1876 3: a size of 1 m, precisions of 10 km and 10 m where nothing is said.
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        if reader.peek().is_some() {
            *size = reader.with("a size in metres, up to 90000000", |text| power_of_ten(centimetres(text)?))?;
        }
    }
    reader.out.push(0);
    reader.out.extend_from_slice(&sizes);
    for value in [latitude, longitude, altitude] {
        reader.out.extend_from_slice(&value.to_be_bytes());
    }
    Ok(())
}

fn read_angle(reader: &mut Reader<'_, '_>, degrees_max: u64, plus: u8, minus: u8) -> Result<u32, TextError> {
    let direction = |text: &[u8]| match text {
        [letter] if letter.eq_ignore_ascii_case(&plus) => Some(true),
        [letter] if letter.eq_ignore_ascii_case(&minus) => Some(false),
        _ => None,
    };
    let expected = if plus == b'N' { "a latitude as 42 21 54.5 N" } else { "a longitude as 71 6 18 W" };
    let mut total = 0;
    for (unit, limit) in [(3_600_000, degrees_max + 1), (60_000, 60), (1, 60_000)] {
        if unit != 3_600_000
            && let Some(positive) = reader.peek().filter(|token| !token.quoted).and_then(|token| direction(token.raw))
        {
            reader.token(expected)?;
            return angle(total, positive, degrees_max).ok_or_else(|| reader.error_before(expected));
        }
        let parse = |text| if unit == 1 { fixed_point(text, 3) } else { decimal(text) };
        total += unit * reader.with(expected, |text| parse(text).filter(|value| *value < limit))?;
    }
    let positive = reader.with(expected, direction)?;
    angle(total, positive, degrees_max).ok_or_else(|| reader.error_before(expected))
}

fn angle(total: u64, positive: bool, degrees_max: u64) -> Option<u32> {
    let total = u32::try_from(total).ok().filter(|_| total <= degrees_max * 3_600_000)?;
    Some(if positive { MIDDLE + total } else { MIDDLE - total })
}

/// `12.34` with at most `digits` digits after the point, as an integer.
fn fixed_point(text: &[u8], digits: usize) -> Option<u64> {
    let at = text.iter().position(|octet| *octet == b'.').unwrap_or(text.len());
    let fraction = text.get(at + 1..).unwrap_or_default();
    if fraction.len() > digits {
        return None;
    }
    let scale = 10u64.pow(digits as u32);
    let part = if fraction.is_empty() { 0 } else { decimal(fraction)? * 10u64.pow((digits - fraction.len()) as u32) };
    decimal(&text[..at])?.checked_mul(scale)?.checked_add(part)
}

fn centimetres(text: &[u8]) -> Option<u64> {
    fixed_point(text.strip_suffix(b"m").or_else(|| text.strip_suffix(b"M")).unwrap_or(text), 2)
}

/// One digit and an exponent (RFC 1876 2); what does not fit is rounded down.
fn power_of_ten(mut value: u64) -> Option<u8> {
    let mut exponent = 0;
    while value > 9 {
        value /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some((value as u8) << 4 | exponent)
}

pub(super) fn write(writer: &mut Writer<'_>) -> Option<()> {
    let [version, sizes @ ..] = writer.array::<4>()?;
    if version != 0 {
        return None;
    }
    write_angle(writer, 'N', 'S')?;
    write_angle(writer, 'E', 'W')?;
    let altitude = i64::from(writer.u32()?) - ALTITUDE_BASE_CM;
    let sign = if altitude < 0 { "-" } else { "" };
    writer.word(format_args!("{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100));
    for size in sizes {
        let (digit, exponent) = (u64::from(size >> 4), u32::from(size & 15));
        let value = digit * 10u64.pow(exponent);
        writer.word(format_args!("{}.{:02}m", value / 100, value % 100));
    }
    Some(())
}

fn write_angle(writer: &mut Writer<'_>, plus: char, minus: char) -> Option<()> {
    let value = writer.u32()?;
    let letter = if value >= MIDDLE { plus } else { minus };
    let total = value.abs_diff(MIDDLE);
    let (degrees, minutes, thousandths) = (total / 3_600_000, total / 60_000 % 60, total % 60_000);
    writer.word(format_args!("{degrees} {minutes} {}.{:03} {letter}", thousandths / 1000, thousandths % 1000));
    Some(())
}
