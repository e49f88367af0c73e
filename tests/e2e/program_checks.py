"""What the programs that people use make of the answers: dig, kdig, nslookup, host, getent."""

import re
import subprocess

from asking import NEIGHBOUR, STRANGER, WWW, guarded, tally
from network import mount_over


def run(*words, timeout=20):
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


def dig_checks(place):
    def dig(what, words, *patterns, server=place.v4, never=()):
        def test():
            code, text = run("dig", f"@{server}", "+time=6", "+tries=1", *words.split())
            gone = [p for p in patterns if not re.search(p, text, re.MULTILINE)]
            gone += [f"not {p}" for p in never if re.search(p, text, re.MULTILINE)]
            return code == 0 and not gone, f"{gone} in {text}"

        guarded("dig", f"{what}: {words}", test)

    a_record = r"^{}\.\s+\d+\s+IN\s+A\s+{}$"
    www = [a_record.format(r"www\.example\.com", re.escape(address)) for address in WWW]
    noise = (r"WARNING", r"malformed", r"mismatch", r"bad packet")
    dig("UDP", "www.example.com", *www, r"flags: qr rd ra;", r"status: NOERROR", r"udp: 1232", never=noise)
    dig("TCP", "+tcp www.example.com", *www, r"flags: qr rd ra;", r"\(TCP\)", never=noise)
    dig("no EDNS", "+noedns www.example.com", *www, never=(*noise, r"OPT PSEUDOSECTION"))
    dig("DNSSEC OK", "+dnssec www.example.com", *www, r"flags: do;", never=noise)
    dig("letter case", "wWw.ExAmple.cOm", r"^;wWw\.ExAmple\.cOm\.\s+IN\s+A", never=noise)
    dig("truncated, then TCP", "big.example.com TXT", r"Truncated, retrying in TCP", r"ANSWER: 16", never=noise)
    soa = r"^example\.com\.\s+\d+\s+IN\s+SOA"
    dig("NXDOMAIN", "missing.example.com", r"status: NXDOMAIN", soa, r"ANSWER: 0, AUTHORITY: 1", never=noise)
    dig("NODATA", "www.example.com LOC", r"status: NOERROR", soa, never=noise)
    dig("hosted", "www.hosted.example", r"flags: qr aa rd ra;", r"192\.0\.2\.80", never=noise)
    dig("SRV", "_sip._udp.example.com SRV", r"1 2 5060 mail\.example\.com\.", never=noise)
    dig("reverse", "-x 93.184.216.44", r"PTR\s+four\.example\.com\.", never=noise)
    dig("unknown type", "www.example.com TYPE65280", r"status: NOERROR", r"ANSWER: 0", never=noise)
    dig("version", "version.bind CH TXT", r'^version\.bind\.\s+0\s+CH\s+TXT\s+"cairn [0-9.]+', r"flags: qr aa", never=noise[1:])
    dig("identity that is not told", "id.server CH TXT", r"status: REFUSED", never=noise[1:])
    dig("NSID that is not told", "+nsid www.example.com", *www, never=(*noise, r"NSID"))
    dig("version, for a stranger", f"-b {STRANGER} version.bind CH TXT", r"status: REFUSED", server=place.lan)
    dig("BADVERS", "+edns=1 +noednsneg www.example.com", r"status: BADVERS", never=noise[1:])
    dig("header only", "+noedns +header-only", r"status: FORMERR")
    dig("opcode", "+opcode=status www.example.com", r"status: NOTIMP", never=noise[1:])
    dig("stranger", f"-b {STRANGER} www.example.com", r"status: REFUSED", r"flags: qr rd;", server=place.lan)
    dig("neighbour", f"-b {NEIGHBOUR} www.example.com", *www, server=place.lan, never=noise)


def kdig_checks(place):
    def kdig(what, words, *patterns):
        def test():
            code, text = run("kdig", f"@{place.v4}", "+timeout=6", "+retry=0", *words.split())
            gone = [p for p in patterns if not re.search(p, text, re.MULTILINE)]
            return code == 0 and not gone and "WARNING" not in text, f"{gone} in {text}"

        guarded("kdig", f"{what}: {words}", test)

    kdig("UDP", "www.example.com", r"Flags: qr rd ra;", *[re.escape(address) for address in WWW])
    kdig("TCP kept open", "+tcp +keepopen www.example.com www.example.net", r"93\.184\.216\.34", r"93\.184\.216\.50")
    kdig("EDNS and DO", "+edns +dnssec www.example.net", r"EDNS PSEUDOSECTION", r"93\.184\.216\.50")
    kdig("NXDOMAIN", "missing.example.com", r"status: NXDOMAIN")
    kdig("hosted", "hosted.example SOA", r"Flags: qr aa rd ra;", r"ns\.hosted\.example\. hostmaster")
    kdig("TXT", "example.com TXT", r'"v=spf1 -all"')


def small_client_checks(place):
    def says(client, what, words, *patterns, code=0):
        def test():
            got, text = run(*words)
            gone = [p for p in patterns if not re.search(p, text, re.MULTILINE)]
            return got == code and not gone, f"exit {got}, {gone} in {text}"

        guarded(client, what, test)

    says("nslookup", "A and AAAA", ["nslookup", "www.example.com", place.v4], r"93\.184\.216\.34", r"2606:2800:220:1::34", "Non-authoritative")
    says("nslookup", "MX", ["nslookup", "-type=mx", "example.com", place.v4], r"mail exchanger = 10 mail\.example\.com")
    says("nslookup", "alias", ["nslookup", "chain.example.com", place.v4], r"canonical name = out\.example\.com", r"93\.184\.216\.50")
    says("nslookup", "reverse", ["nslookup", "93.184.216.44", place.v4], r"name = four\.example\.com")
    says("nslookup", "NXDOMAIN", ["nslookup", "missing.example.com", place.v4], r"NXDOMAIN", code=1)
    says("nslookup", "hosted", ["nslookup", "www.hosted.example", place.v4], r"192\.0\.2\.80")
    says("host", "A, AAAA, MX", ["host", "example.com", place.v4], r"has address 93\.184\.216\.34", r"handled by 10 mail\.example\.com")
    says("host", "reverse", ["host", "93.184.216.44", place.v4], r"pointer four\.example\.com")
    says("host", "TCP", ["host", "-T", "-t", "txt", "big.example.com", place.v4], r'"15-x')
    says("host", "NXDOMAIN", ["host", "missing.example.com", place.v4], r"NXDOMAIN", code=1)
    says("host", "over IPv6", ["host", "www.example.net", place.v6], r"93\.184\.216\.50")


def use_resolv_conf(address, folder):
    """The C library asks `address` from now on; seen in this namespace alone."""
    texts = {"/etc/resolv.conf": f"nameserver {address}\noptions timeout:6\n", "/etc/nsswitch.conf": "hosts: files dns\n"}
    return all(mount_over(file, text, folder) for file, text in texts.items())


def resolv_conf_checks(place, folder):
    if not use_resolv_conf(place.v4, folder):
        tally.check("getent", "a private resolv.conf", False, "it cannot be mounted over")
        return

    def getent(what, words, *patterns, code=0):
        def test():
            got, text = run("getent", *words.split())
            gone = [p for p in patterns if not re.search(p, text, re.MULTILINE)]
            return got == code and not gone, f"exit {got}, {gone} in {text!r}"

        guarded("getent", what, test)

    getent("hosts", "ahostsv4 www.example.com", *[re.escape(address) for address in WWW])
    getent("IPv6", "ahostsv6 www.example.com", r"2606:2800:220:1::34")
    getent("both", "ahosts out.example.com", r"93\.184\.216\.50", r"2606:2800:220:1::50")
    getent("reverse", "hosts 93.184.216.44", r"four\.example\.com")
    getent("hosted", "ahostsv4 www.hosted.example", r"192\.0\.2\.80")
    getent("not there", "hosts missing.example.com", code=2)
