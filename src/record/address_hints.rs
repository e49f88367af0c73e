//! The addresses that an SVCB or HTTPS record hints at (RFC 9460 7.3).

use std::net::IpAddr;

use super::Name;

const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;

/// All hints of one record, in their order. What cannot be read ends them.
pub fn address_hints(rdata: &[u8]) -> impl Iterator<Item = IpAddr> + '_ {
    parameters(rdata).flat_map(|(key, value)| {
        let v4 = value.chunks_exact(4).filter(move |_| key == IPV4HINT).filter_map(|octets| <[u8; 4]>::try_from(octets).ok());
        let v6 = value.chunks_exact(16).filter(move |_| key == IPV6HINT).filter_map(|octets| <[u8; 16]>::try_from(octets).ok());
        v4.map(IpAddr::from).chain(v6.map(IpAddr::from))
    })
}

/// SvcParams (RFC 9460 2.2) after priority and target: pairs of key and value, each with a length.
fn parameters(rdata: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let target = rdata.get(2..).unwrap_or_default();
    let mut rest = Name::from_wire_prefix(target).ok().and_then(|(_, len)| target.get(len..)).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&[key_high, key_low, len_high, len_low], after) = rest.split_first_chunk()?;
        let (value, next) = after.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
        rest = next;
        Some((u16::from_be_bytes([key_high, key_low]), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(parameters: &[(u16, &[u8])]) -> Vec<String> {
        let mut rdata = b"\x00\x01\x03svc\x00".to_vec();
        for (key, value) in parameters {
            rdata.extend_from_slice(&key.to_be_bytes());
            rdata.extend_from_slice(&(value.len() as u16).to_be_bytes());
            rdata.extend_from_slice(value);
        }
        address_hints(&rdata).map(|address| address.to_string()).collect()
    }

    #[test]
    fn hints_of_both_families_and_nothing_else() {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let all: &[(u16, &[u8])] = &[(1, b"\x02h2"), (4, &[192, 0, 2, 1, 192, 0, 2, 2]), (5, &[1, 2, 3, 4]), (6, &v6)];
        assert_eq!(hints(all), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(hints(&[]), Vec::<String>::new());
        assert_eq!(hints(&[(4, &[192, 0, 2])]), Vec::<String>::new(), "no whole address");
    }

    #[test]
    fn broken_records_have_fewer() {
        let whole = b"\x00\x01\x00\x00\x04\x00\x04\xc0\x00\x02\x01";
        assert_eq!(address_hints(whole).count(), 1);
        for len in 0..whole.len() {
            assert_eq!(address_hints(&whole[..len]).count(), 0, "{len}");
        }
    }
}
