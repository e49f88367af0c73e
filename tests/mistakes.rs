//! The mistakes that people make: what is written, what happens, what is said of it, and the exit code of `cairn check`.
//!
//! Every message says what to write, or names the place where something is missing. With `--strict` each row exits with 2.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use In::{Config, Zone};

/// The file with the mistake.
#[derive(Clone, Copy, Debug)]
enum In {
    /// Lines below a good zone of four lines, `example.org`.
    Zone(&'static str),
    /// A whole configuration file, beside that good zone.
    Config(&'static str),
}

/// What happens to a server with this mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happens {
    /// It serves, with a warning.
    Served,
    /// It serves all but this zone.
    NotServed,
    /// It does not start, or keeps its old configuration at a reload.
    Refused,
}
use Happens::{NotServed, Refused, Served};

/// The message begins with line and column. `LONG` stands for 300 octets of text.
struct Row(In, Happens, &'static str, i32);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row(In::Zone("www.example.org A 192.0.2.2"), Served, "5: warning: found the name www.example.org.example.org., expected a final dot after www.example.org: write `www.example.org.` or `www`", 0),
    Row(In::Zone("mail CNAME www.example.org"), Served, "5: warning: found the name www.example.org.example.org., expected a final dot after www.example.org: write `www.example.org.` or `www`", 0),
    Row(In::Zone("@ MX 10 mail.example.org"), Served, "5: warning: found the name mail.example.org.example.org., expected a final dot after mail.example.org: write `mail.example.org.` or `mail`", 0),
    Row(In::Zone("example.org TXT \"x\""), Served, "5: warning: found the name example.org.example.org., expected a final dot after example.org: write `example.org.` or `@`", 0),
    Row(In::Zone("www CNAME 192.0.2.2"), Served, "5: warning: found the address 192.0.2.2 as the target of CNAME of www.example.org., expected a name: write `www.example.org. A 192.0.2.2`", 0),
    Row(In::Zone("@ MX 10 192.0.2.2"), Served, "5: warning: found the address 192.0.2.2 as the target of MX of example.org., expected a name: write a name, and `A 192.0.2.2` for that name", 0),
    Row(In::Zone("sub NS 192.0.2.2"), Served, "5: warning: found the address 192.0.2.2 as the target of NS of sub.example.org., expected a name: write a name, and `A 192.0.2.2` for that name", 0),
    Row(In::Zone("_sip._tcp SRV 0 0 5060 2001:db8::1"), Served, "5: warning: found the address 2001:db8::1 as the target of SRV of _sip._tcp.example.org., expected a name: write a name, and `AAAA 2001:db8::1` for that name", 0),
    Row(In::Zone("www CNAME https://www.example.net/path"), Served, "5: warning: found the URL `https://www.example.net/path` as the target of CNAME of www.example.org., expected a name: write `www.example.net.`; only a web server can redirect to a URL", 0),
    Row(In::Zone("@ MX 10 http://mail.example.net"), Served, "5: warning: found the URL `http://mail.example.net` as the target of MX of example.org., expected a name: write `mail.example.net.`", 0),
    Row(In::Zone("192.0.2.5 PTR host"), Served, "5: warning: found the address 192.0.2.5 as the owner of PTR, expected its name in the reverse zone: write `5.2.0.192.in-addr.arpa.`", 0),
    Row(In::Zone("2001:db8::5 PTR host"), Served, "5: warning: found the address 2001:db8::5 as the owner of PTR, expected its name in the reverse zone: write `5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.`", 0),
    Row(In::Zone("host PTR 192.0.2.5"), Served, "5: warning: found the address 192.0.2.5 as the target of PTR of host.example.org., expected a name: write the name that has this address", 0),
    Row(In::Zone("@ TXT v=spf1 mx -all"), Served, "5: warning: found 3 strings without quotes in TXT data, which clients join to `v=spf1mx-all`: write `TXT \"v=spf1 mx -all\"`", 0),
    Row(In::Zone("@ TXT “v=spf1 mx -all”"), Served, "5: warning: found curly quotes in TXT data, which are text: write `TXT \"v=spf1 mx -all\"`", 0),
    Row(In::Zone("_dmarc TXT v=DMARC1; p=none"), Served, "5: warning: found a `;` after `v=DMARC1` in TXT data, where it begins a comment: write quotes around the whole text", 0),
    Row(In::Zone("@ TXT \"v=spf1 mx -all\"\n@ TXT \"v=spf1 include:mail.example.net ~all\""), Served, "6: warning: found 2 SPF records for example.org., expected one (RFC 7208 3.2): write `TXT \"v=spf1 mx include:mail.example.net ~all\"`", 0),
    Row(In::Zone("_dmarc TXT \"v=DMARC1; p=none\"\n_dmarc TXT \"v=DMARC1; p=reject\""), Served, "6: warning: found 2 DMARC records for _dmarc.example.org., expected one (RFC 7489 6.6.3): keep one", 0),
    Row(In::Zone("@ TXT \"v=spf1 include:mail.example.net\" \"-all\""), Served, "5: warning: found an SPF record for example.org. whose strings join to \"v=spf1 include:mail.example.net-all\": write `TXT \"v=spf1 include:mail.example.net -all\"`", 0),
    Row(In::Zone("www* A 192.0.2.2"), Served, "5: warning: found `*` inside the label `www*` of www*.example.org., where it stands for itself only (RFC 4592 2.1.1): write `*` as the whole first label for all names there", 0),
    Row(In::Zone("long TXT \"LONG\""), Served, "5: warning: found a string of more than 255 octets in TXT data, which is split into 2 strings; clients join them: write `\"first part\" \"second part\"` to split it elsewhere", 0),
    Row(In::Zone("www A 192.0.2"), NotServed, "5:7: found `192.0.2`, expected an IPv4 address", 2),
    Row(In::Zone("www AAAA 192.0.2.2"), NotServed, "5:10: found `192.0.2.2`, expected an IPv6 address: write A for this one", 2),
    Row(In::Zone("www A 2001:db8::1"), NotServed, "5:7: found `2001:db8::1`, expected an IPv4 address: write AAAA for this one", 2),
    Row(In::Zone("www CNMAE ns"), NotServed, "5:5: found `CNMAE`, expected a record type; did you mean CNAME?", 2),
    Row(In::Zone("  www A 192.0.2.2"), NotServed, "5:3: found `www`, expected a TTL, class or type: a line that begins with a blank has the owner of the record before; take the blank away", 2),
    Row(In::Zone("# a comment"), NotServed, "5:1: found `#`, expected `;` in front of a comment", 2),
    Row(In::Zone("www A 192.0.2.2\nwww CNAME ns"), NotServed, "6: found CNAME beside the A of line 5 for www.example.org., expected a CNAME to stand alone (RFC 1034 3.6.2): write A and AAAA in its place", 2),
    Row(In::Zone("@ CNAME www.example.net."), NotServed, "5: found CNAME beside the NS of line 3 for example.org., expected a CNAME to stand alone (RFC 1034 3.6.2): write A and AAAA in its place", 2),
    Row(In::Zone("@ NS nowhere"), Served, "5: warning: found no address for nowhere.example.org., expected A or AAAA for the NS of example.org.", 0),
    Row(In::Zone("@ MX 10 alias\nalias CNAME ns"), Served, "5: warning: found MX of example.org. to alias.example.org., an alias, expected a name with addresses: write the name that the alias leads to", 0),
    Row(In::Zone("sub NS ns.sub"), Served, "5: warning: found no glue for ns.sub.example.org., expected A or AAAA: it lies in sub.example.org. itself", 0),
    Row(In::Zone("host.example.net. A 192.0.2.2"), Served, "5: warning: found a record for host.example.net., expected names in example.org.: it is left out; write it into the file of its own zone", 0),
    Row(In::Zone("www 300 A 192.0.2.2\nwww 600 A 192.0.2.3"), Served, "6: warning: found TTL 600 for www.example.org. A after 300, expected one TTL in a set: 300 is used", 0),
    Row(In::Zone("müller A 192.0.2.2"), Served, "5: warning: found the name `müller`, expected ASCII, which clients ask for (RFC 5891 4.4): write `xn--mller-kva`", 0),
    Row(In::Zone("$TTLL 60"), NotServed, "5:1: found `$TTLL`, expected $ORIGIN, $TTL, $INCLUDE or $GENERATE; did you mean $TTL?", 2),
    Row(In::Zone("$INCLUDE missing.inc"), NotServed, "5:10: found `missing.inc`, expected a file that can be included, but zones/missing.inc: there is no such file or folder", 2),
    Row(In::Zone("www MX mail"), NotServed, "5:8: found `mail`, expected a number from 0 to 65535", 2),
    Row(In::Zone("www TXT \"open"), NotServed, "5:9: found a string without end, expected a closing `\"` on the same line", 2),
    Row(In::Zone("www (A 192.0.2.2"), NotServed, "5:5: found the end of the file, expected `)` for the `(` opened here", 2),
    Row(In::Zone("@ SOA ns hostmaster 8 1d 2h 4w 1h"), NotServed, "5: found a second SOA record for example.org., expected one", 2),
    Row(In::Zone("www IN IN A 192.0.2.2"), NotServed, "5:8: found `IN`, expected a record type after the class", 2),
    Row(In::Zone("www CAA 0 issue ca.example.net;policy=ev"), Served, "5: warning: found a `;` after `ca.example.net` in CAA data, where it begins a comment: write quotes around the whole text", 0),
    Row(In::Zone("* NS ns.example.net."), NotServed, "5: found NS for the wildcard *.example.org., expected no delegation there", 2),
    Row(In::Zone("www A 192.0.2.2 192.0.2.3"), NotServed, "5:17: found `192.0.2.3`, expected the end of the record", 2),
    Row(In::Zone("www SRV 0 5060 ns"), NotServed, "5:16: found `ns`, expected a number from 0 to 65535", 2),
    Row(In::Config("[[zone]]\nname = 'example.net'\n"), Refused, "1:1: this [[zone]] needs the key \"file\"; a secondary has \"primaries\" instead", 2),
    Row(In::Config("[[zone]]\nname = 'example.net'\nprimaries = ['192.0.2.0/24']\n"), Refused, "3:14: zone.primaries: \"192.0.2.0/24\" is a prefix; the address of one server is needed here", 2),
    Row(In::Config("[[zone]]\nname = 'example.net'\nprimaries = ['192.0.2.1 key k']\n"), Refused, "3:14: zone.primaries: there is no [[key]] k.; write [[key]] with name = \"k.\" and its secret; `cairn zone key k.` makes one", 2),
    Row(In::Config("[[key]]\nname = 'k'\nsecret = 'no secret!'\n"), Refused, "3:10: key.secret: the secret is not base 64: `cairn zone key NAME` makes a key", 2),
    Row(In::Config("[server]\nlisen = []"), Refused, "2:1: unknown key \"lisen\" in [server]; did you mean \"listen\"?", 2),
    Row(In::Config("[server]\nforwarders = ['192.0.2.1']"), Refused, "2:1: unknown key \"forwarders\" in [server]; write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]", 2),
    Row(In::Config("forwarders = ['192.0.2.1']"), Refused, "1:1: unknown section or key \"forwarders\"; write [[forward]] with zone = \".\" and to = [\"192.0.2.1\"]", 2),
    Row(In::Config("[server]\nlisten-on = ['127.0.0.1']"), Refused, "2:1: unknown key \"listen-on\" in [server]; the key is \"listen\" here", 2),
    Row(In::Config("[server]\naccess-control = ['10.0.0.0/8']"), Refused, "2:1: unknown key \"access-control\" in [server]; the key is \"allow\" here", 2),
    Row(In::Config("[server]\ncache-size = 1000"), Refused, "2:1: unknown key \"cache-size\" in [server]; the key is \"size\" in [cache] here", 2),
    Row(In::Config("[cache]\nserve-expired = true"), Refused, "2:1: unknown key \"serve-expired\" in [cache]; the key is \"serve-stale\" here", 2),
    Row(In::Config("[recursion]\ndnssec = yes"), Refused, "2:10: yes is not a TOML value; use true or false, here true", 2),
    Row(In::Config("[recursion]\ndnssec = 'no'"), Refused, "2:10: recursion.dnssec: expected true or false, found \"no\"; write false without quotes", 2),
    Row(In::Config("[server]\nmax-ttl = 60"), Refused, "2:1: unknown key \"max-ttl\" in [server]; \"max-ttl\" belongs in [cache]", 2),
    Row(In::Config("[cache]\nmax_ttl = 60"), Refused, "2:1: unknown key \"max_ttl\" in [cache]; did you mean \"max-ttl\"?", 2),
    Row(In::Config("[sever]\nworkers = 1"), Refused, "1:2: unknown section or key \"sever\"; did you mean [server]?", 2),
    Row(In::Config("[server]\nport = 53"), Refused, "2:1: unknown key \"port\" in [server]; the port follows the address: write listen = [\"127.0.0.1:5353\"] in [server]", 2),
    Row(In::Config("[recursion]\ndomain-insecure = ['a.example']"), Refused, "2:1: unknown key \"domain-insecure\" in [recursion]; the key is \"negative-trust-anchors\" here", 2),
    Row(In::Config("[server]\nlisten = ['::1:53']"), Refused, "2:11: server.listen: \"::1:53\" is one IPv6 address: write \"[::1]:53\" for port 53, or \"[::1:53]\" for that address", 2),
    Row(In::Config("[server]\nlisten = ['localhost:53']"), Refused, "2:11: server.listen: \"localhost:53\" is not an address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53", 2),
    Row(In::Config("[server]\nlisten = ['127.0.0.1:99999']"), Refused, "2:11: server.listen: \"127.0.0.1:99999\" is not an address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53", 2),
    Row(In::Config("[server]\nlisten = '127.0.0.1'"), Refused, "2:10: server.listen: expected a list of addresses such as \"192.0.2.1:53\", found \"127.0.0.1\"", 2),
    Row(In::Config("[server]\nlisten = [127.0.0.1]"), Refused, "2:11: 127.0.0.1 is not a TOML value; put a string in quotes: \"127.0.0.1\"", 2),
    Row(In::Config("[server]\nallow = ['10.0.0.1/8']"), Refused, "2:10: server.allow: \"10.0.0.1/8\" has bits set past /8: write \"10.0.0.0/8\" or \"10.0.0.1\"", 2),
    Row(In::Config("[server]\nallow = ['10.0.0.0/33']"), Refused, "2:10: server.allow: \"10.0.0.0/33\": the length of an IPv4 prefix is a number from 0 to 32", 2),
    Row(In::Config("[server]\nworkers = 0"), Refused, "2:11: server.workers: expected a whole number from 1 to 1024, found 0", 2),
    Row(In::Config("[cache]\nsize = 64MiB"), Refused, "2:8: 64MiB is not a TOML value; put a string in quotes: \"64MiB\"", 2),
    Row(In::Config("[cache]\nsize = '64M'"), Refused, "2:8: cache.size: expected a size (bytes or \"64MiB\") from \"1MiB\" to \"4TiB\", found \"64M\"", 2),
    Row(In::Config("[cache]\nmin-ttl = 60\nmax-ttl = 30"), Refused, "2:11: cache.min-ttl is longer than cache.max-ttl", 2),
    Row(In::Config("[[forward]]\nzone = 'a.example'"), Refused, "1:1: this [[forward]] needs the key \"to\"", 2),
    Row(In::Config("[[stub]]\nzone = 'a.example'\nto = []"), Refused, "3:6: stub.to: at least one address is needed; to exempt these names from a rule for a zone above, write [[forward]] with to = []", 2),
    Row(In::Config("[zone]\nname = 'a.example'\nfile = 'a'"), Refused, "1:1: \"zone\" is a list of tables, found a table; there may be several: write [[zone]] with two brackets", 2),
    Row(In::Config("[[zone]]\nname = 'a.example'\nfile = 'missing'"), NotServed, "3:8: zone.file of a.example.: missing: there is no such file or folder", 2),
    Row(In::Config("[[forward]]\nzone = '*.a.example'\nto = ['192.0.2.1']"), Refused, "2:8: forward.zone: \"*.a.example\": write \"a.example\", which is for all names below it as well", 2),
    Row(In::Config("[[forward]]\nzone = 'a.example'\nto = ['192.0.2.1']\n[[forward]]\nzone = 'A.example.'\nto = ['192.0.2.2']"), Refused, "5:8: [[forward]] for a.example.: there is a [[forward]] for this route at line 2 already; keep one of them", 2),
    Row(In::Config("[[forward]]\nzone = '.'\nto = ['tls://dns.example.net']"), Refused, "3:6: forward.to: only the servers of . could look up dns.example.net., so tls://dns.example.net cannot be found; write its address behind it: \"tls://dns.example.net#192.0.2.1\"", 2),
    Row(In::Config("[[forward]]\nzone = 'a.example'\nto = ['quic://dns.example.net#192.0.2.1']"), Refused, "3:7: forward.to: \"quic://dns.example.net#192.0.2.1\" is DNS over QUIC, which is not there yet: write tls:// or https://", 2),
    Row(In::Config("[[forward]]\nzone = 'a.example'\nto = ['192.0.2.1@853#dns.example.net']"), Refused, "3:7: forward.to: \"192.0.2.1@853#dns.example.net\" is not an address: write \"tls://dns.example.net#192.0.2.1\" for a server that is asked over TLS", 2),
    Row(In::Config("[[forward]]\nzone = 'a.example'\nto = ['dns.example.net']"), Refused, "3:7: forward.to: \"dns.example.net\" is a name; an address is needed here, such as 192.0.2.1 or [2001:db8::1]:53", 2),
    Row(In::Config("[log]\nlevel = 'verbose'"), Refused, "2:9: log.level: expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\", found \"verbose\"", 2),
    Row(In::Config("[log]\nlevel = debug"), Refused, "2:9: debug is not a TOML value; put a string in quotes: \"debug\"", 2),
    Row(In::Config("[server]\nlisten = ['0.0.0.0']\nallow = ['0.0.0.0/0']"), Served, "3:9: warning: server.allow: found 0.0.0.0/0, so everybody who reaches 0.0.0.0:53 can use this resolver, also to attack others (RFC 5358); write the networks of your clients, such as \"192.168.0.0/16\"", 0),
    Row(In::Config("[policy]\nlocal-data = ['nas.lan A']"), Refused, "2:14: policy.local-data: \"nas.lan A\": found the end of the record, expected an IPv4 address", 2),
    Row(In::Config("[policy\nhosts-file = '/etc/hosts'"), Refused, "1:8: `]` is missing at the end of the section's name", 2),
    Row(In::Config("[cache]\nsize = '64MiB"), Refused, "2:8: this string has no closing quote", 2),
    Row(In::Config("server: 1"), Refused, "1:7: found `:` after a key; write server = and the value; a section is a line [name]", 2),
    Row(In::Config("[recursion]\ntrust-anchor = 'missing.key'"), Refused, "2:16: recursion.trust-anchor: missing.key: there is no such file or folder", 2),
    Row(In::Config("[[forward]]\nzone = 'example.org'\nto = ['192.0.2.1']"), Served, "2:8: warning: found [[forward]] for example.org. and the zone itself (zones/example.org.zone), expected one of them: the zone wins", 0),
];

const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 7 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";

#[test]
fn mistakes_are_told_with_the_way_out() {
    assert!(ROWS.len() >= 60);
    let folder = Folder(std::env::temp_dir().join(format!("cairn-mistakes-{}", std::process::id())));
    fs::create_dir_all(folder.0.join("zones")).expect("a temporary folder can be made");
    for Row(input, happens, message, exit) in ROWS {
        let (file, config, zone) = match input {
            Zone(lines) => ("zones/example.org.zone", String::new(), format!("{ZONE}{lines}\n")),
            Config(text) => ("cairn.toml", format!("{text}\n"), ZONE.to_owned()),
        };
        fs::write(folder.0.join("cairn.toml"), config).expect("a file can be written");
        let zone = zone.replace("LONG", &"x".repeat(300));
        fs::write(folder.0.join("zones/example.org.zone"), zone).expect("a file can be written");
        let message = format!("{file}:{message}");
        let (lenient, strict) = (folder.check(&[]), folder.check(&["--strict"]));
        assert_eq!((lenient.status.code(), strict.status.code()), (Some(*exit), Some(2)), "{input:?}: {}", said(&lenient));
        // Warnings are notes on stdout, mistakes are on stderr.
        let (lenient, strict) = (said(&lenient), said(&strict));
        let expected = if *happens == Served { format!("note  {message}") } else { message.clone() };
        assert!(lenient.lines().any(|line| line == expected), "{input:?}\n  expected {expected}\n  found {lenient}");
        assert!(strict.lines().any(|line| line == message), "{input:?}\n  expected {message}\n  found {strict}");
        assert_eq!(strict.lines().last(), Some("1 mistake"), "{input:?}: {strict}");
        let zone_is_good = lenient.contains("good  zones/example.org.zone");
        let expected = match input {
            Zone(_) => *happens == Served,
            Config(_) => *happens != Refused,
        };
        assert_eq!(zone_is_good, expected, "{input:?}: {lenient}");
    }
}

/// Gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn check(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.args(["check", "--config", "cairn.toml"]).args(more).current_dir(&self.0).env("XDG_RUNTIME_DIR", &self.0);
        command.output().expect("the program starts")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
