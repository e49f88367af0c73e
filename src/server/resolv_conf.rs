//! The text of a resolv.conf (resolv.conf(5)): which servers this machine's programs ask. The only reader of its `nameserver`
//! lines: for `cairn doctor`, for `cairn system`, and for the network's translator (RFC 7050).

use std::io::{self, Read};
use std::path::Path;

use super::passed_file;
use crate::limits::server::RESOLV_CONF_BYTES_MAX;

/// The system's own file.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The servers as they are written, with the scope of an IPv6 address. As the C library reads them: the keyword stands at the
/// start of the line, and a comment may follow the address.
pub fn name_servers(text: &str) -> Vec<&str> {
    text.lines().filter_map(name_server).collect()
}

/// The server that a `nameserver` line names.
pub fn name_server(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("nameserver")?.strip_prefix([' ', '\t'])?;
    rest.trim_start_matches([' ', '\t']).split([' ', '\t', '#', ';']).next().filter(|address| !address.is_empty())
}

/// The text of such a file, if it is a file: it is written by other programs.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    passed_file::open(path)?.take(RESOLV_CONF_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_nothing_else() {
        for (line, expected) in [
            ("nameserver 192.0.2.1", Some("192.0.2.1")),
            ("nameserver\t2001:db8::1 # x", Some("2001:db8::1")),
            ("nameserver  \t192.0.2.1;x", Some("192.0.2.1")),
            ("nameserver fe80::1%eth0", Some("fe80::1%eth0")),
            ("# nameserver 192.0.2.1", None),
            (" nameserver 192.0.2.1", None),
            ("nameserver", None),
            ("nameserver ", None),
            ("nameserver # 192.0.2.1", None),
            ("nameservers 192.0.2.1", None),
            ("search lan", None),
        ] {
            assert_eq!(name_server(line), expected, "{line}");
        }
        assert_eq!(name_servers("nameserver ::1\nsearch lan\r\nnameserver 192.0.2.1\r\n"), ["::1", "192.0.2.1"]);
    }

    #[test]
    fn the_file_is_no_device() {
        assert!(read(Path::new("/dev/zero")).is_err());
        assert!(read(Path::new("/proc/self/status")).is_ok());
    }
}
