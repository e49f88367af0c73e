"""A machine with IPv6 alone. The network's translator (NAT64) is played here: every address behind its prefix is local, and the
servers that have only IPv4 listen there. What the server tells of itself is asked here as well, because it is configured."""

import re
import subprocess

import network
import wire
from asking import LOCAL6, guarded, reply, seen, tally, until
from authorities import Nsd
from space import ip
from subjects import Cairn

PREFIX = "64:ff9b::"
ROOT, OLD, TRANSLATED_OLD = "2001:db8:53::1", "198.51.100.40", f"{PREFIX}c633:6428"
REASON = "the servers of example.com. have only IPv4 addresses, and this machine has no IPv4: set server.nat64-prefix"

ROOT_ZONE = f"""$TTL 3600
. SOA a.root. host.root. 1 3600 600 86400 300
. NS a.root.
a.root. AAAA {ROOT}
example.com. NS ns.example.com.
ns.example.com. A {OLD}
2.0.192.in-addr.arpa. NS ns.example.com.
"""
# h1, h2 and their addresses are those of RFC 6147 7.
OLD_ZONE = f"""$TTL 300
@ SOA ns host 1 3600 600 86400 300
@ NS ns
ns A {OLD}
h2 A 192.0.2.1
both A 192.0.2.1
both AAAA 2001:db8::1
{"".join(f'big TXT "{number}{"x" * 200}"' + chr(10) for number in range(9))}"""
REVERSE_ZONE = """$TTL 300
@ SOA ns.example.com. host.example.com. 1 3600 600 86400 300
@ NS ns.example.com.
1 PTR h2.example.com.
"""
# What a resolver with DNS64 says (RFC 7050 2.2).
ARPA_ZONE = f"""$TTL 300
@ SOA a.root. host.root. 1 3600 600 86400 300
@ NS a.root.
@ AAAA {PREFIX}192.0.0.170
@ AAAA {PREFIX}192.0.0.171
"""
REVERSE_NAME = "1.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa"


def lay_network(folder):
    ip("link", "set", "lo", "up")
    ip("addr", "flush", "dev", "lo")
    for address in (LOCAL6, "2001:db8:c::53", ROOT, TRANSLATED_OLD):
        ip("-6", "addr", "replace", f"{address}/128", "dev", "lo", "nodad")
    ip("-6", "route", "add", "local", f"{PREFIX}/96", "dev", "lo")
    files = {}
    for name, text in (("root", ROOT_ZONE), ("old", OLD_ZONE), ("reverse", REVERSE_ZONE), ("arpa", ARPA_ZONE)):
        files[name] = folder / f"{name}.zone"
        files[name].write_text(text)
    (folder / "root.hints").write_text(f". 3600 NS a.root.\na.root. 3600 AAAA {ROOT}\n")
    return files


def resolves(name, rtype, expected):
    def test():
        got = reply(LOCAL6, name, rtype)
        return got.rcode == "NOERROR" and sorted(got.values(rtype)) == sorted(expected), seen(got)

    return test


def without_translator_checks(subject):
    def told():
        got = reply(LOCAL6, "h2.example.com", "A", extra=wire.opt())
        return got.rcode == "SERVFAIL" and (22, REASON) in got.ede, f"{seen(got)} {got.ede}"

    def explained():
        text = subprocess.run([subject.binary, "explain", "other.example.com", "--config", subject.folder / "cairn.toml", "--fresh"],
                              capture_output=True, text=True).stdout
        return REASON in text and 'nat64-prefix = "64:ff9b::/96"' in text and "operator must" not in text, text

    guarded("without a translator", "the error says what is missing", told)
    guarded("without a translator", "the log says it", lambda: (until(lambda: REASON in subject.log(), 5), subject.log()[-500:]))
    guarded("without a translator", "explain says it, and the remedy", explained)
    guarded("without a translator", "the root is reached", resolves(".", "NS", ["a.root."]))


def found_translator_checks(subject):
    found = f"found the prefix of the network's translator (NAT64): {PREFIX}/96"

    def status():
        words = [subject.binary, "status", "--config", subject.folder / "cairn.toml"]
        text = subprocess.run(words, capture_output=True, text=True).stdout
        return f"translator (NAT64) {PREFIX}/96" in text, text

    guarded("the prefix is found out", "a zone with IPv4 alone resolves", resolves("h2.example.com", "A", ["192.0.2.1"]))
    guarded("the prefix is found out", "the log says so, once", lambda: (subject.log().count(found) == 1, subject.log()[-800:]))
    guarded("the prefix is found out", "status says so", status)


def with_translator_checks(subject):
    def explained():
        text = subprocess.run([subject.binary, "explain", "h9.example.com", "--config", subject.folder / "cairn.toml", "--fresh"],
                              capture_output=True, text=True).stdout
        return f"[{OLD}]" in text and f"translator (NAT64) at {TRANSLATED_OLD}" in text, text

    guarded("NAT64", "a zone with IPv4 alone resolves", resolves("h2.example.com", "A", ["192.0.2.1"]))
    guarded("NAT64", "over TCP where the reply is long", lambda: (len(reply(LOCAL6, "big.example.com", "TXT", extra=wire.opt()).data) > 12, ""))
    guarded("NAT64", "explain shows both addresses", explained)
    guarded("DNS64", "an address is made (RFC 6147 7.1)", resolves("h2.example.com", "AAAA", [f"{PREFIX}c000:201"]))
    guarded("DNS64", "and none where there is one", resolves("both.example.com", "AAAA", ["2001:db8::1"]))
    guarded("DNS64", "its name is that of the IPv4 address (RFC 6147 5.3.1)", resolves(REVERSE_NAME, "PTR", ["h2.example.com."]))


def identity_checks(_):
    def dig(what, words, *patterns):
        def test():
            done = subprocess.run(["dig", f"@{LOCAL6}", "+time=6", "+tries=1", *words.split()], capture_output=True, text=True)
            return all(re.search(pattern, done.stdout, re.MULTILINE) for pattern in patterns), done.stdout

        guarded("identity", what, test)

    dig("id.server", "id.server CH TXT", r'^id\.server\.\s+0\s+CH\s+TXT\s+"ns1\.fra"$')
    dig("hostname.bind", "hostname.bind CH TXT", r'CH\s+TXT\s+"ns1\.fra"$')
    dig("version.bind", "version.bind CH TXT", r'CH\s+TXT\s+"a resolver"$')
    dig("NSID, fresh", "+nsid both.example.com", r'NSID: 6e 73 31 2e 66 72 61 \("ns1\.fra"\)')
    dig("NSID, cached", "+nsid both.example.com", r'NSID: 6e 73 31 2e 66 72 61 \("ns1\.fra"\)', r"192\.0\.2\.1")
    dig("a name that is not known", "authors.bind CH TXT", r"status: REFUSED")


def ipv6_only_stage(words, make_stage):
    if network.missing_tools(["ip", "nsd", "dig"]):
        return
    tally.server = tally.judged = "cairn"
    with make_stage(words.keep) as stage:
        files = lay_network(stage.folder)
        authorities = [
            Nsd("root", stage.folder, [ROOT], [(".", files["root"]), ("ipv4only.arpa", files["arpa"])]),
            Nsd("old", stage.folder, [TRANSLATED_OLD], [("example.com", files["old"]), ("2.0.192.in-addr.arpa", files["reverse"])]),
        ]
        stage.running += authorities
        for authority in authorities:
            authority.start()
        for authority in authorities:
            authority.wait()
        more = f'root-hints = "{stage.folder}/root.hints"\n[dns64]\nclients = ["{LOCAL6}/128"]\n'
        more += '[policy]\nspecial-use-except = ["2.0.192.in-addr.arpa"]\n'
        for name, resolvers, server, checks in (
            ("without", "", "", [without_translator_checks]),
            ("found", f"nameserver {ROOT}\n", "", [found_translator_checks]),
            ("configured", "", f'nat64-prefix = "{PREFIX}/96"\nidentity = "ns1.fra"\nversion = "a resolver"\n',
             [with_translator_checks, identity_checks]),
        ):
            folder = stage.folder / name
            folder.mkdir()
            network.mount_over("/etc/resolv.conf", resolvers, stage.folder)
            subject = Cairn(folder)
            subject.server, subject.more = server, more
            stage.running.append(subject)
            if tally.check("start", "answers within 10 s", subject.start([f"[{LOCAL6}]:53"], LOCAL6), subject.log()):
                for check in checks:
                    check(subject)
            subject.stop()
