//! Server cookies (RFC 7873, in the form of RFC 9018 that servers of one anycast group can share). Every client that sends a
//! cookie gets one; none is required. No state is kept.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::env::{Random, WallTime};

/// Octets of a server cookie in the form of RFC 9018 4.
pub const SERVER_COOKIE_BYTES: usize = 16;

/// RFC 9018 4.3: a cookie is valid for an hour, and may be dated up to five minutes in the future.
const VALID_S: u32 = 3600;
const AHEAD_S: u32 = 300;

/// The secret that server cookies are made with.
pub struct Cookies {
    secret: [u8; 16],
}

impl Cookies {
    /// A new secret: cookies of an earlier run are not accepted.
    pub fn new(random: &Random) -> Cookies {
        let mut secret = [0; 16];
        random.fill(&mut secret);
        Cookies { secret }
    }

    /// Version 1, three reserved octets, the time, and the hash over client cookie, these and the address.
    pub fn make(&self, client_cookie: &[u8], client: IpAddr, now: WallTime) -> [u8; SERVER_COOKIE_BYTES] {
        let mut cookie = [0; SERVER_COOKIE_BYTES];
        cookie[0] = 1;
        cookie[4..8].copy_from_slice(&(now.0 as u32).to_be_bytes());
        let hash = self.hash(client_cookie, &cookie[..8], client);
        cookie[8..].copy_from_slice(&hash.to_le_bytes());
        cookie
    }

    /// Whether we made this cookie, for this address, within the last hour.
    pub fn check(&self, client_cookie: &[u8], server_cookie: &[u8], client: IpAddr, now: WallTime) -> bool {
        let Some(cookie) = server_cookie.first_chunk::<SERVER_COOKIE_BYTES>().filter(|_| server_cookie.len() == SERVER_COOKIE_BYTES) else {
            return false;
        };
        let made = u32::from_be_bytes([cookie[4], cookie[5], cookie[6], cookie[7]]);
        let age = (now.0 as u32).wrapping_sub(made) as i32;
        let in_time = age <= VALID_S as i32 && age >= -(AHEAD_S as i32);
        in_time && cookie[0] == 1 && cookie[8..] == self.hash(client_cookie, &cookie[..8], client).to_le_bytes()
    }

    fn hash(&self, client_cookie: &[u8], head: &[u8], client: IpAddr) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&client_cookie[..client_cookie.len().min(8)]);
        hasher.write(head);
        match client.to_canonical() {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_of_rfc_9018_appendix_a_1() {
        let secret = [0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf];
        let cookies = Cookies { secret };
        let client = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
        let made = cookies.make(&client, "198.51.100.100".parse().expect("address"), WallTime(1_559_731_985));
        assert_eq!(made, [0x01, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80]);
    }

    #[test]
    fn only_our_own_fresh_cookie_of_the_same_client_counts() {
        let cookies = Cookies::new(&Random::from_seed(1));
        let (client, other) = ("192.0.2.1".parse().expect("address"), "192.0.2.2".parse().expect("address"));
        let theirs = [7; 8];
        let now = WallTime(1_000_000);
        let made = cookies.make(&theirs, client, now);
        assert!(cookies.check(&theirs, &made, client, now));
        assert!(cookies.check(&theirs, &made, client, WallTime(now.0 + 3600)));
        assert!(!cookies.check(&theirs, &made, client, WallTime(now.0 + 3601)));
        assert!(!cookies.check(&theirs, &made, other, now));
        assert!(!cookies.check(&[8; 8], &made, client, now));
        assert!(!cookies.check(&theirs, &made[..15], client, now));
    }
}
