"""Zones for the comparison of authoritative servers: one made by hand that has every case, and drawn ones; unsigned and signed."""

import random
import re
from concurrent.futures import ThreadPoolExecutor

from signed import sign_with_bind

TLD = "tld"
FORMS = {"plain": None, "nsec": ("nsec", ()), "nsec3": ("nsec3", ()), "salted": ("nsec3", ("-3", "aabbccdd", "-H", "7")), "optout": ("optout", ())}

BY_HAND = """$ORIGIN {zone}.
$TTL 300
@ 3600 SOA ns hostmaster 1 3600 600 604800 60
@ NS ns
@ NS ns2
@ NS ns.elsewhere.net.
@ MX 10 mail
@ MX 20 *.wild
@ MX 30 ns.sub
@ TXT "at the apex"
@ CAA 0 issue "ca.example"
@ HTTPS 1 . alpn=h2
ns A 192.0.2.53
ns AAAA 2001:db8::53
ns2 600 A 192.0.2.54
mail A 192.0.2.25
mail A 192.0.2.26
mail AAAA 2001:db8::25
www 120 A 192.0.2.80
www AAAA 2001:db8::80
www TXT "one" "two"
alias CNAME www
alias2 CNAME alias
alias3 CNAME alias2
dangling CNAME nothing.here
out CNAME www.elsewhere.net.
loop1 CNAME loop2
loop2 CNAME loop1
self CNAME self
toapex CNAME @
tocut CNAME sub
belowcut CNAME www.sub
todeepcut CNAME x.y.signed
tokid CNAME www.kid
tokidapex CNAME kid
tonokid CNAME nothing.kid
towild CNAME something.wild
towildalias CNAME something.wildalias
todname CNAME www.moved
todnamenot CNAME nothing.moved
toent CNAME ent
tohash CNAME 0123456789abcdefghijklmnopqrstuv
*.wild A 192.0.2.81
*.wild MX 10 mail
*.wild TXT "by the wildcard"
*.wildalias CNAME www
*.wildout CNAME www.elsewhere.net.
*.wildcut CNAME www.sub
*.wildself CNAME x.wildself
exact.wild A 192.0.2.82
a.b.wild TXT "makes b.wild exist"
sub.*.wild TXT "below a wildcard"
a.ent TXT "below an empty non-terminal"
x.y.z.ent A 192.0.2.83
moved DNAME target
moved TXT "beside a DNAME"
target A 192.0.2.90
www.target A 192.0.2.91
al.target CNAME www.target
*.star.target A 192.0.2.92
movedout DNAME elsewhere.net.
movedcut DNAME sub
movedkid DNAME kid
movedloop DNAME x.movedloop
movedagain DNAME moved
movedlong DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.cccccccccccccccccccccccccccc
sub NS ns.sub
sub NS ns2.sub
sub NS ns
ns.sub A 192.0.2.100
ns.sub AAAA 2001:db8::100
ns2.sub A 192.0.2.101
signed NS ns.signed
signed NS ns.sub
signed DS 12345 13 2 0123456789012345678901234567890123456789012345678901234567890123
ns.signed A 192.0.2.102
glueless NS ns.elsewhere.net.
glueless NS ns.other.net.
signedglueless NS ns.elsewhere.net.
signedglueless DS 12346 13 2 1123456789012345678901234567890123456789012345678901234567890123
sibling NS ns.sub
wildserver NS server.wild
aliasserver NS alias
deep.er.cut NS ns.deep.er.cut
ns.deep.er.cut A 192.0.2.103
kid NS ns.kid
kid NS ns
ns.kid A 192.0.2.104
wide NS ns1.wide
wide NS ns2.wide
wide NS ns3.wide
wide NS ns4.wide
wide NS ns5.wide
wide NS ns6.wide
ns1.wide A 192.0.2.111
ns1.wide AAAA 2001:db8::111
ns2.wide A 192.0.2.112
ns2.wide AAAA 2001:db8::112
ns3.wide A 192.0.2.113
ns3.wide AAAA 2001:db8::113
ns4.wide A 192.0.2.114
ns4.wide AAAA 2001:db8::114
ns5.wide A 192.0.2.115
ns5.wide AAAA 2001:db8::115
ns6.wide A 192.0.2.116
ns6.wide AAAA 2001:db8::116
mx MX 10 mail
mx MX 20 alias
mx MX 30 x.wild
mx MX 40 nothing
mx MX 50 ns.sub
mx MX 60 www.kid
mx MX 70 mail.elsewhere.net.
mx MX 80 www.moved
nullmx MX 0 .
wildmx MX 5 a.wildalias
_sip._tcp SRV 0 0 5060 mail
_sip._tcp SRV 0 0 5060 www
_none._tcp SRV 0 0 0 .
*._udp SRV 0 0 53 ns
svc SVCB 1 www alpn=h2 port=8443
svc SVCB 2 mail
svcalias SVCB 0 svc
svcself HTTPS 1 . port=443
svcself A 192.0.2.93
svcout HTTPS 1 svc.elsewhere.net.
httpsalias HTTPS 0 alias
host A 192.0.2.94
host HINFO "cpu" "os"
host SSHFP 1 1 0123456789012345678901234567890123456789
host NAPTR 10 10 "u" "sip" "!^.*$!sip:a@b.example!" .
host LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
host RP hostmaster www
host AFSDB 1 mail
host KX 1 mail
host RT 1 mail
host PTR www
host URI 1 1 "https://www.example/"
host TYPE65280 \\# 4 01020304
_443._tcp.www TLSA 3 1 1 0123456789012345678901234567890123456789012345678901234567890123
big TXT {big}
many A 192.0.2.1
{many}
zero 0 A 192.0.2.95
UPPER A 192.0.2.96
0123456789abcdefghijklmnopqrstu0 A 192.0.2.97
"""

KID = """$ORIGIN kid.{zone}.
$TTL 200
@ SOA ns hostmaster 7 3600 600 604800 30
@ NS ns
@ NS ns.{zone}.
ns A 192.0.2.104
www A 192.0.2.120
up CNAME www.{zone}.
upnot CNAME nothing.{zone}.
upds CNAME kid.{zone}.
mx MX 1 mail.{zone}.
*.w TXT "kid"
cut NS ns.cut
ns.cut A 192.0.2.121
"""


DEEP = """$ORIGIN {zone}.
$TTL 300
@ 3600 SOA ns hostmaster 1 3600 600 604800 900
@ NS ns
ns A 192.0.2.53
a.b.c.d.e.f.g TXT "six empty non-terminals"
h.c.d.e.f.g CNAME a.b.c.d.e.f.g
*.d.e.f.g A 192.0.2.7
*.f.g CNAME x.d.e.f.g
x.*.f.g TXT "below a wildcard"
*.cn CNAME y.f.g
*.cn2 CNAME q.cn
*.cncut CNAME a.ins.ent
*.cnnot CNAME x.nothing
*.*.st TXT "two asterisks"
a.*.st A 192.0.2.8
*.a.st A 192.0.2.9
*.viadname CNAME q.dn1
*.loop CNAME x.loop
dn1 DNAME dn2
dn2 DNAME dn3
dn3 DNAME d.e.f.g
dnwild DNAME cn
dnself DNAME dnself
dnup DNAME up.dnup
dnto DNAME dnfrom
dnfrom DNAME dnto
dncut DNAME ins.ent
dnapex DNAME @
indname CNAME www.dnapex
intoself CNAME x.dnself
intoup CNAME x.dnup
long1 DNAME {long}
viamax CNAME q.long1
a\\.b A 192.0.2.10
c.a\\.b TXT "below an escaped dot"
*.w\\.x TXT "wildcard below an escaped dot"
e\\.f CNAME c.a\\.b
g\\.h DNAME a\\.b
sp\\032ace TXT "a space"
nul\\000l A 192.0.2.11
q\\"uote A 192.0.2.12
a\\@t A 192.0.2.13
back\\\\slash A 192.0.2.14
high\\200 A 192.0.2.15
p\\(aren\\) A 192.0.2.16
semi\\;colon CNAME p\\(aren\\)
ins NS ns.elsewhere.net.
ins.ent NS ns.ins.ent
ns.ins.ent A 192.0.2.20
x.y.only NS ns.elsewhere.net.
x.y.mixed NS ns.elsewhere.net.
a.mixed TXT "beside an insecure cut"
sec.ent NS ns.elsewhere.net.
sec.ent DS 12347 13 2 2123456789012345678901234567890123456789012345678901234567890123
insa NS ns.ins.ent
insb NS ns.ins.ent
insc NS ns.insc
ns.insc A 192.0.2.21
ns.insc AAAA 2001:db8::21
svc HTTPS 0 svc2
svc2 HTTPS 0 svc3
svc3 HTTPS 1 svchost
svc4 HTTPS 1 svcalias
svcalias CNAME svchost
svc5 SVCB 0 svcalias
svc6 HTTPS 0 svc
svc7 SVCB 1 x.cn
svc8 SVCB 1 x.dn1
svc9 HTTPS 1 a.ins.ent
svcloop HTTPS 0 svcloop
svchost A 192.0.2.22
svchost AAAA 2001:db8::22
svchost HTTPS 1 .
"""

DNAME_APEX = """$ORIGIN {zone}.
$TTL 300
@ 3600 SOA ns.elsewhere.net. hostmaster.elsewhere.net. 1 3600 600 604800 60
@ NS ns.elsewhere.net.
@ DNAME {other}.
@ MX 10 mail.elsewhere.net.
@ TXT "beside the DNAME of an apex"
"""


def deep(zone):
    return DEEP.format(zone=zone, long=".".join(letter * 50 for letter in "lmno"))


def by_hand(zone):
    big = " ".join('"' + letter * 240 + '"' for letter in "abcdefgh")
    many = "\n".join(f"many A 192.0.2.{number}" for number in range(2, 60))
    return BY_HAND.format(zone=zone, big=big, many=many)


LABELS = ["a", "b", "c", "d", "e", "_tcp", "*"]
SIMPLE = {
    "A": lambda r: f"192.0.2.{r.randrange(1, 255)}", "AAAA": lambda r: f"2001:db8::{r.randrange(1, 9999)}",
    "TXT": lambda r: f'"{r.randrange(1000)}"', "CAA": lambda r: '0 issue "ca.example"', "TYPE65281": lambda r: "\\# 2 0102",
}
POINTING = {
    "MX": "{n} {name}", "SRV": "0 0 {n} {name}", "SVCB": "{n} {name}", "HTTPS": "{n} {name}", "PTR": "{name}", "NAPTR": '{n} 0 "s" "x" "" {name}',
}


def drawn(zone, seed):
    """A small zone in which names meet often. What a strict loader refuses is not drawn."""
    r = random.Random(seed)

    def owner():
        return ".".join(r.choice(LABELS) for _ in range(r.choice([1, 1, 2, 2, 3, 4])))

    taken, cuts, dnames = {}, set(), set()

    def below(name, tops):
        return any(name.endswith("." + top) for top in tops)

    def target():
        kind = r.random()
        if kind < 0.55 and taken:
            return r.choice(sorted(taken))
        if kind < 0.7 and cuts | dnames:
            return f"{r.choice(LABELS[:3])}.{r.choice(sorted(cuts | dnames))}"
        return owner() if kind < 0.9 else r.choice(["ns.elsewhere.net.", "@"])

    lines = ["$TTL 300", f"@ {r.choice([30, 300])} SOA ns host 1 3600 600 604800 {r.choice([60, 900])}", "@ NS ns", "ns A 192.0.2.53"]
    taken["ns"] = "data"
    for _ in range(r.randrange(0, 4)):
        name = owner()
        if "*" in name or name in taken or below(name, cuts):
            continue
        cuts.add(name)
        taken[name] = "cut"
        for server in r.sample([f"ns.{name}", f"x.{name}", "ns", target()], r.randrange(1, 4)):
            lines.append(f"{name} NS {server}")
            if server.endswith(f".{name}"):
                lines.append(f"{server} A {SIMPLE['A'](r)}")
                lines += [f"{server} AAAA {SIMPLE['AAAA'](r)}"] * r.randrange(2)
        if r.random() < 0.4:
            lines.append(f"{name} DS {r.randrange(65536)} 13 2 {'01' * 32}")
    for _ in range(r.randrange(0, 3)):
        name = owner()
        if name in taken or "*" in name or below(name, cuts | dnames) or any(below(other, {name}) for other in taken):
            continue
        dnames.add(name)
        taken[name] = "data"
        lines.append(f"{name} DNAME {target()}")
    for _ in range(r.randrange(3, 30)):
        name = owner()
        if below(name, cuts | dnames) or taken.get(name) in ("cut", "alias"):
            continue
        kind = r.random()
        if kind < 0.25 and name not in taken:
            taken[name] = "alias"
            lines.append(f"{name} CNAME {target()}")
        elif kind < 0.6:
            taken[name] = "data"
            kind = r.choice(sorted(SIMPLE))
            lines += [f"{name} {kind} {SIMPLE[kind](r)}" for _ in range(r.choice([1, 1, 2, 3]))]
        else:
            taken[name] = "data"
            kind = r.choice(sorted(POINTING))
            lines += [f"{name} {kind} {POINTING[kind].format(n=r.randrange(1, 9), name=target())}" for _ in range(r.choice([1, 1, 2]))]
    return f"$ORIGIN {zone}.\n" + "\n".join(lines) + "\n"


def make(folder, drawn_count, seed):
    """[(zone, file, names)]; `names` are owners without the zone, hashed ones among them."""
    work = folder / "zones"
    work.mkdir()
    wanted = []
    for form in FORMS:
        zone = f"hand-{form}.{TLD}"
        wanted += [(f"kid.{zone}", KID.format(zone=zone), form), (zone, by_hand(zone), form)]
        wanted += [(f"deep-{form}.{TLD}", deep(f"deep-{form}.{TLD}"), form)]
        wanted += [(f"dname-{form}.{TLD}", DNAME_APEX.format(zone=f"dname-{form}.{TLD}", other=f"deep-{form}.{TLD}"), form)]
        wanted += [(f"drawn{n}-{form}.{TLD}", drawn(f"drawn{n}-{form}.{TLD}", f"{seed}/{n}"), form) for n in range(drawn_count)]

    def one(row):
        zone, text, form = row
        if FORMS[form] is None:
            file = work / zone
            file.write_text(text)
            return zone, file, []
        denial, words = FORMS[form]
        file, ds = sign_with_bind(zone, text, work, denial=denial, words=words)
        return zone, file, ds

    with ThreadPoolExecutor(2) as pool:
        kids = dict((zone, (file, ds)) for zone, file, ds in pool.map(one, [row for row in wanted if row[0].startswith("kid.")]))
        rest = []
        for zone, text, form in (row for row in wanted if not row[0].startswith("kid.")):
            _, ds = kids.get(f"kid.{zone}", (None, []))
            rest.append((zone, text + "\n".join(ds) + "\n", form))
        done = [(zone, file) for zone, (file, _) in kids.items()] + [(zone, file) for zone, file, _ in pool.map(one, rest)]
    return [(zone, file, owners(zone, file)) for zone, file in done]


def owners(zone, file):
    """Every name that starts a line of the file, without the zone; each written once."""
    found, last = [], "@"
    for line in file.read_text().splitlines():
        name = re.match(r"[^\s;$)]+", line)
        if not name:
            continue
        last = name[0]
        short = "" if last in ("@", f"{zone}.") else last.removesuffix(f".{zone}.")
        if not short.endswith("."):
            found.append(short)
    return sorted(set(found))
