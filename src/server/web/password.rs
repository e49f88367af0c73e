//! The password of the web listener, and how often a client may guess it.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::{constant_time, pbkdf2};
use lru::LruCache;

use crate::env::BootTime;
use crate::limits::server::{
    WEB_FAILED_CLIENTS_MAX, WEB_FAILED_LOGINS_MAX, WEB_LOGIN_WAIT_LEAST, WEB_LOGIN_WAIT_MAX, WEB_PASSWORD_FILE_BYTES_MAX,
    WEB_PASSWORD_ROUNDS_MAX,
};
use crate::policy::ClientNet;
use crate::record::base64_from_text;

const HASHED: &str = "pbkdf2-sha256:";

/// What a client must give, with any user name (RFC 7617).
pub(in crate::server) enum Password {
    Plain(Vec<u8>),
    Hashed { rounds: NonZeroU32, salt: Vec<u8>, hash: Vec<u8> },
}

impl Password {
    /// The first line of the file.
    pub(in crate::server) fn read(file: &Path) -> Result<Password, String> {
        let mut text = String::new();
        let read = File::open(file).and_then(|file| file.take(WEB_PASSWORD_FILE_BYTES_MAX).read_to_string(&mut text));
        read.map_err(|error| error.to_string())?;
        Password::of(text.lines().next().unwrap_or_default())
    }

    fn of(line: &str) -> Result<Password, String> {
        let Some(hashed) = line.strip_prefix(HASHED) else {
            return if line.is_empty() { Err("its first line is empty".to_owned()) } else { Ok(Password::Plain(line.as_bytes().to_vec())) };
        };
        let parts: Vec<&str> = hashed.split(':').collect();
        let [rounds, salt, hash] = parts[..] else { return Err(format!("a hash is {HASHED}ROUNDS:SALT:HASH")) };
        let rounds = rounds.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= WEB_PASSWORD_ROUNDS_MAX);
        let rounds = rounds.ok_or_else(|| format!("the rounds of the hash are 1 to {WEB_PASSWORD_ROUNDS_MAX}"))?;
        let octets = |text: &str| {
            let mut octets = Vec::new();
            base64_from_text(text.as_bytes(), &mut octets).then_some(octets).filter(|octets| !octets.is_empty())
        };
        match (octets(salt), octets(hash)) {
            (Some(salt), Some(hash)) => Ok(Password::Hashed { rounds, salt, hash }),
            _ => Err("the salt and the hash are in base 64".to_owned()),
        }
    }

    /// Takes as long for a wrong password as for the right one.
    fn is(&self, given: &[u8]) -> bool {
        match self {
            Password::Plain(password) => constant_time::verify_slices_are_equal(password, given).is_ok(),
            Password::Hashed { rounds, salt, hash } => pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, *rounds, salt, given, hash).is_ok(),
        }
    }
}

/// What comes of a request's credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Login {
    Good,
    Missing,
    Wrong,
    /// Too many wrong ones: not looked at.
    Wait(Duration),
}

/// The password, and who has failed to give it.
pub(super) struct Logins {
    password: Option<Password>,
    failed: LruCache<ClientNet, Failed>,
}

struct Failed {
    times: u32,
    next: BootTime,
}

impl Logins {
    pub(super) fn new(password: Option<Password>) -> Logins {
        let most = NonZeroUsize::new(WEB_FAILED_CLIENTS_MAX).unwrap_or(NonZeroUsize::MIN);
        Logins { password, failed: LruCache::new(most) }
    }

    /// Is anybody let in?
    pub(super) fn is_open(&self) -> bool {
        self.password.is_none()
    }

    /// `authorization`: the header of that name.
    pub(super) fn check(&mut self, client: IpAddr, authorization: Option<&str>, now: BootTime) -> Login {
        let Some(password) = &self.password else { return Login::Good };
        let client = ClientNet::of(client);
        let Some(given) = authorization.and_then(password_of) else { return Login::Missing };
        if let Some(failed) = self.failed.peek(&client).filter(|failed| now < failed.next) {
            return Login::Wait(failed.next.since(now));
        }
        if password.is(&given) {
            self.failed.pop(&client);
            return Login::Good;
        }
        let times = self.failed.peek(&client).map_or(0, |failed| failed.times).saturating_add(1);
        let wait = match times.checked_sub(WEB_FAILED_LOGINS_MAX) {
            None => Duration::ZERO,
            Some(more) => WEB_LOGIN_WAIT_LEAST.saturating_mul(1 << more.min(16)).min(WEB_LOGIN_WAIT_MAX),
        };
        self.failed.put(client, Failed { times, next: now + wait });
        Login::Wrong
    }
}

/// RFC 7617 2: `Basic`, then user name, colon and password in base 64.
fn password_of(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.trim().split_once(' ')?;
    let mut octets = Vec::new();
    if !scheme.eq_ignore_ascii_case("basic") || !base64_from_text(credentials.trim().as_bytes(), &mut octets) {
        return None;
    }
    let colon = octets.iter().position(|octet| *octet == b':')?;
    Some(octets.split_off(colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::base64_to_text;

    fn basic(user: &str, password: &str) -> String {
        let mut text = "Basic ".to_owned();
        base64_to_text(format!("{user}:{password}").as_bytes(), &mut text);
        text
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn the_password_counts_and_not_the_user() {
        let mut salted = "pbkdf2-sha256:10:c2FsdA==:".to_owned();
        let mut hash = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::new(10).expect("ten"), b"salt", b"pass:word", &mut hash);
        base64_to_text(&hash, &mut salted);
        for line in ["pass:word", &salted] {
            let mut logins = Logins::new(Some(Password::of(line).expect(line)));
            let mut check = |given: Option<&str>| logins.check(client(1), given, BootTime(0));
            assert_eq!(check(None), Login::Missing);
            assert_eq!(check(Some("Bearer abc")), Login::Missing);
            assert_eq!(check(Some("Basic !!!")), Login::Missing);
            assert_eq!(check(Some(&basic("admin", "pass:word"))), Login::Good);
            assert_eq!(check(Some(&basic("", "pass:word"))), Login::Good);
            assert_eq!(check(Some(&basic("admin", "pass:wor"))), Login::Wrong);
            assert_eq!(check(Some(&basic("admin", ""))), Login::Wrong);
        }
        assert_eq!(Logins::new(None).check(client(1), None, BootTime(0)), Login::Good);
    }

    #[test]
    fn files_that_hold_no_password_are_told() {
        let why = |line: &str| Password::of(line).err().unwrap_or_default();
        assert!(why("").contains("empty"));
        assert!(why("pbkdf2-sha256:10:c2FsdA==").contains("ROUNDS"));
        assert!(why("pbkdf2-sha256:0:c2FsdA==:c2FsdA==").contains("rounds"));
        assert!(why("pbkdf2-sha256:99999999:c2FsdA==:c2FsdA==").contains("rounds"));
        assert!(why("pbkdf2-sha256:10:?:c2FsdA==").contains("base 64"));
    }

    #[test]
    fn whoever_guesses_has_to_wait_and_nobody_else() {
        let mut logins = Logins::new(Some(Password::of("right").expect("a password")));
        let (right, wrong) = (basic("", "right"), basic("", "wrong"));
        let mut now = BootTime(1_000_000);
        for _ in 0..WEB_FAILED_LOGINS_MAX {
            assert_eq!(logins.check(client(1), Some(&wrong), now), Login::Wrong);
        }
        assert_eq!(logins.check(client(1), Some(&right), now), Login::Wait(WEB_LOGIN_WAIT_LEAST), "not even the right one");
        assert_eq!(logins.check(client(2), Some(&right), now), Login::Good);
        now = now + WEB_LOGIN_WAIT_LEAST;
        assert_eq!(logins.check(client(1), Some(&wrong), now), Login::Wrong);
        assert_eq!(logins.check(client(1), Some(&right), now), Login::Wait(2 * WEB_LOGIN_WAIT_LEAST));
        now = now + WEB_LOGIN_WAIT_MAX;
        assert_eq!(logins.check(client(1), Some(&right), now), Login::Good);
        assert_eq!(logins.check(client(1), Some(&wrong), now), Login::Wrong, "counted anew");
    }

    #[test]
    fn another_address_of_the_same_line_is_the_same_client() {
        let mut logins = Logins::new(Some(Password::of("right").expect("a password")));
        let (right, wrong, now) = (basic("", "right"), basic("", "wrong"), BootTime(1_000_000));
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        for last in 0..WEB_FAILED_LOGINS_MAX {
            assert_eq!(logins.check(address(&format!("2001:db8:0:{last}::1")), Some(&wrong), now), Login::Wrong);
        }
        assert_eq!(logins.check(address("2001:db8:0:99::1"), Some(&right), now), Login::Wait(WEB_LOGIN_WAIT_LEAST));
        assert_eq!(logins.check(address("2001:db8:0:100::1"), Some(&right), now), Login::Good, "the next /56");
        assert_eq!(logins.check(address("192.0.2.1"), Some(&right), now), Login::Good);
    }
}
