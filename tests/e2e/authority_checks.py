"""Cairn, NSD, Knot and BIND serve the same zones and are asked the same random questions.

RCODE, AA, TC and the records of each section, TTLs included, must be those of at least one peer. What may differ without
being wrong, and is therefore not compared: the records of a truncated reply, and which of its sets a name gives for ANY
(RFC 8482) and RRSIG.
"""

import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict

import network
from asking import until, tally
from authorities import Knot, Named, Nsd
from authority_zones import make
from subjects import Cairn

try:
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype
except ImportError:
    dns = None

ADDRESSES = {"cairn": "198.51.100.1", "nsd": "198.51.100.2", "knot": "198.51.100.3", "bind": "198.51.100.4"}
TYPES = (["A"] * 8 + ["AAAA", "MX", "TXT", "NS", "DS", "CNAME", "SOA", "DNAME", "ANY", "NSEC", "NSEC3", "RRSIG", "DNSKEY", "SRV"] * 2
         + ["SVCB", "HTTPS", "PTR", "NAPTR", "CAA", "TLSA", "NSEC3PARAM", "LOC", "HINFO", "SSHFP", "RP", "AFSDB", "KX", "RT", "URI", "CDS",
            "TYPE65280", "TYPE65281", "SPF", "NULL", "KEY", "ZONEMD"])
SHARE_WANTED = 99.9


class FullNsd(Nsd):
    def config(self):
        return super().config().replace("server:\n", "server:\n  minimal-responses: no\n  refuse-any: no\n", 1)


class FullNamed(Named):
    def config(self):
        more = "minimal-responses no-auth; minimal-any no; check-names primary ignore; check-integrity no; check-mx-cname ignore; check-srv-cname ignore;"
        return super().config().replace("recursion no;", f"recursion no; {more}", 1)


class HostingCairn(Cairn):
    """Nothing but an authoritative server, for clients that it knows."""

    def __init__(self, folder, zones):
        super().__init__(folder)
        self.zones = zones

    def words(self, listen):
        config = self.folder / "cairn.toml"
        text = f'[server]\nlisten = ["{listen[0]}"]\nallow = ["0.0.0.0/0"]\n[recursion]\nenabled = false\n'
        config.write_text(text + "".join(f'[[zone]]\nname = "{zone}"\nfile = "{file}"\n' for zone, file in self.zones))
        return [self.binary, "run", "--config", config]


def draw_name(r, zone, names):
    owner = r.choice(names)
    kind = r.random()
    if kind < 0.45:
        short = owner
    elif kind < 0.7:
        short = ".".join(r.choice(["a", "b", "x", "www", "ns", "*", "zz", "-", "0", "nothing", owner.split(".")[0] or "a"])
                         for _ in range(r.choice([1, 1, 1, 2, 5])))
        short = f"{short}.{owner}" if owner else short
    elif kind < 0.85:
        short = owner.partition(".")[2]
    elif kind < 0.95:
        short = "".join(r.choice("0123456789abcdefghijklmnopqrstuv") for _ in range(r.choice([1, 5, 32])))
    else:
        short = ".".join("q" * 50 for _ in range(r.randrange(1, 4))) + (f".{owner}" if owner else "")
    name = f"{short}.{zone}." if short else f"{zone}."
    if r.random() < 0.02:
        name = r.choice(["tld.", ".", "elsewhere.net.", f"x{zone}."])
    while len(name) > 250:
        name = name.partition(".")[2]
    return "".join(c.upper() if r.random() < 0.1 else c for c in name)


def draw(r, zones):
    zone, _, names = r.choice(zones)
    edns = r.choice([None, 512, 1232, 1232, 4096])
    query = dns.message.make_query(draw_name(r, zone, names), r.choice(TYPES), use_edns=False)
    query.flags = sum(flag for flag in (dns.flags.RD, dns.flags.CD, dns.flags.AD) if r.random() < 0.3)
    if edns:
        query.use_edns(0, dns.flags.DO if r.random() < 0.6 else 0, edns)
    return query, r.random() < 0.2


class Asker:
    """One UDP socket and one TCP connection towards each server."""

    def __init__(self):
        self.udp = {name: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for name in ADDRESSES}
        for name, sock in self.udp.items():
            sock.connect((ADDRESSES[name], 53))
            sock.settimeout(3)

    def ask(self, name, query, by_tcp):
        packet = query.to_wire()
        for _ in range(3):
            try:
                data = self.by_tcp(name, packet) if by_tcp else self.by_udp(name, packet)
                return dns.message.from_wire(data, ignore_trailing=False)
            except TimeoutError:
                continue
        return None

    def by_udp(self, name, packet):
        self.udp[name].send(packet)
        while True:
            data = self.udp[name].recv(65535)
            if data[:2] == packet[:2]:
                return data

    def by_tcp(self, name, packet):
        with socket.create_connection((ADDRESSES[name], 53), timeout=5) as sock:
            sock.sendall(struct.pack("!H", len(packet)) + packet)
            stream = sock.makefile("rb")
            return stream.read(struct.unpack("!H", stream.read(2))[0])


def records(section):
    """Owner, type, TTL and data of each record; letter case does not count."""
    return frozenset((str(sets.name).lower(), dns.rdatatype.to_text(sets.rdtype), sets.ttl, rdata.to_text().lower()) for sets in section for rdata in sets)


def view(reply):
    """What is compared."""
    if reply is None:
        return {"rcode": "silence"}
    truncated = bool(reply.flags & dns.flags.TC)
    seen = {"rcode": dns.rcode.to_text(reply.rcode()), "AA": bool(reply.flags & dns.flags.AA), "TC": truncated, "AD": bool(reply.flags & dns.flags.AD),
            "EDNS": reply.edns >= 0}
    if not truncated:
        seen |= {"answer": records(reply.answer), "authority": records(reply.authority), "additional": records(reply.additional)}
    return seen


def fields_unlike(own, peer, query):
    gaps = [field for field in own.keys() | peer.keys() if own.get(field) != peer.get(field)]
    # A reply that fits where the peer's does not, or the other way round: sizes differ by what is optional.
    if "TC" in gaps and own["rcode"] == peer["rcode"]:
        return ["TC"]
    some = own.get("answer") and own["answer"] <= peer.get("answer", frozenset())
    if query.question[0].rdtype in (dns.rdatatype.ANY, dns.rdatatype.RRSIG) and some:
        gaps = [gap for gap in gaps if gap not in ("answer", "additional")]
    return sorted(gaps)


def apart_from_size(asker, query, mine, views, gaps):
    """Which of the optional records are left out where not all fit is a matter of taste: then all are asked for over TCP."""
    doubtful = [name for name, gap in gaps.items() if gap == ["additional"] or gap == ["TC"] and views[name]["TC"]]
    if not doubtful:
        return gaps
    whole = view(asker.ask("cairn", query, True))
    cuts = {owner for owner, kind, _, _ in whole["authority"] if kind == "NS"}
    needed = {row for row in whole["additional"] if any(row[0].endswith(f".{cut}") or row[0] == cut for cut in cuts)}
    if any(mine[section] != whole[section] for section in ("answer", "authority")) or not needed <= mine["additional"]:
        return gaps
    return gaps | {name: fields_unlike(whole, view(asker.ask(name, query, True)), query) for name in doubtful}


def shape(query, own, peer):
    """The kind of a difference: the question's type, and for each field the types that are there too much or missing."""
    words = []
    for field in fields_unlike(own, peer, query):
        mine, theirs = own.get(field), peer.get(field)
        if mine is None or theirs is None:
            continue
        if isinstance(mine, frozenset) and isinstance(theirs, frozenset):
            without_ttl = [{(name, kind, data) for name, kind, _, data in part} for part in (mine, theirs)]
            if without_ttl[0] == without_ttl[1]:
                words.append(f"{field} TTL")
                continue
            more, less = sorted({row[1] for row in mine - theirs}), sorted({row[1] for row in theirs - mine})
            words.append(field + "".join(f" {sign}{','.join(kinds)}" for sign, kinds in (("+", more), ("-", less)) if kinds))
        else:
            words.append(f"{field} {mine} not {theirs}")
    return "; ".join(words)


def authority_stage(words, stage_of):
    gone = network.missing_tools(["ip", "nsd", "knotd", "named", "dnssec-signzone", "dnssec-keygen", "dnssec-dsfromkey"])
    if dns is None:
        other = "/usr/bin/python3"
        if sys.executable != other and subprocess.run([other, "-c", "import dns"], capture_output=True).returncode == 0:
            os.execv(other, [other, *sys.argv])
        print("missing: the Python module dns (package python3-dnspython)", flush=True)
    if gone or dns is None:
        print("0 passed, 0 failed", flush=True)
        raise SystemExit(1 if gone else 0)
    with stage_of(words.keep) as stage:
        network.make_network(list(ADDRESSES.values()))
        zones = make(stage.folder, words.drawn_zones, words.seed)
        files = [(zone, file) for zone, file, _ in zones]
        for kind, name in ((FullNsd, "nsd"), (Knot, "knot"), (FullNamed, "bind")):
            peer = kind("peer", stage.folder, [ADDRESSES[name]], files)
            stage.running.append(peer)
            peer.start()
            peer.wait()
        own = HostingCairn(stage.folder, files)
        stage.running.append(own)
        if not tally.check("start", "Cairn serves the zones", own.start([f"{ADDRESSES['cairn']}:53"], ADDRESSES["cairn"]), own.log()):
            return
        compare(words, zones, own)


def compare(words, zones, own):
    asker, r = Asker(), random.Random(words.seed)
    # Knot loads zone by zone.
    for zone, _, _ in zones:
        query = dns.message.make_query(f"{zone}.", "SOA")
        until(lambda q=query: all(a is not None and a.rcode() == 0 for a in (asker.ask(n, q, False) for n in ADDRESSES)), 10)
    kinds, equal, own_rcodes, begun = defaultdict(list), Counter(), Counter(), time.monotonic()
    for _ in range(words.questions):
        query, by_tcp = draw(r, zones)
        views = {name: view(asker.ask(name, query, by_tcp)) for name in ADDRESSES}
        mine = views.pop("cairn")
        gaps = {name: fields_unlike(mine, theirs, query) for name, theirs in views.items()}
        equal.update(name for name, gap in gaps.items() if not gap)
        if not by_tcp and all(gaps.values()):
            gaps = apart_from_size(asker, query, mine, views, gaps)
        if all(gaps.values()):
            nearest = min(gaps, key=lambda name: len(gaps[name]))
            kinds[shape(query, mine, views[nearest])].append((query, by_tcp, mine, views))
            equal["none"] += 1
        if mine["rcode"] not in {theirs["rcode"] for theirs in views.values()}:
            own_rcodes[f"{mine['rcode']} not {sorted(theirs['rcode'] for theirs in views.values())}"] += 1
    seconds = time.monotonic() - begun
    share = 100 * (words.questions - equal["none"]) / words.questions
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(found)} x  {kind}")
        for query, by_tcp, mine, views in found[:words.examples]:
            show(query, by_tcp, mine, views)
    print(f"\n{words.questions} questions in {len(zones)} zones, seed {words.seed}, {seconds:.0f} s: equal to NSD {equal['nsd']}, Knot {equal['knot']}, "
          f"BIND {equal['bind']}; equal to at least one {share:.2f} %; unlike all {equal['none']}")
    tally.check("authority", f"at least {SHARE_WANTED} % of the replies are those of a peer", share >= SHARE_WANTED, f"{share:.2f} %")
    tally.check("authority", "no RCODE that no peer gives", not own_rcodes, dict(own_rcodes))


def show(query, by_tcp, mine, views):
    edns = f"EDNS {query.payload}{' DO' if query.ednsflags & dns.flags.DO else ''}" if query.edns >= 0 else "no EDNS"
    print(f"    {query.question[0].name} {dns.rdatatype.to_text(query.question[0].rdtype)}  {'TCP' if by_tcp else 'UDP'} {edns}")
    for name, seen in {"cairn": mine, **views}.items():
        head = " ".join(str(seen[field]) if field == "rcode" else field for field in ("rcode", "AA", "TC", "AD") if seen.get(field))
        print(f"      {name:5} {head}")
        for section in ("answer", "authority", "additional"):
            rows = sorted(seen.get(section, ()))
            shared = all(other.get(section) == seen.get(section) for other in views.values()) and mine.get(section) == seen.get(section)
            if rows and not shared:
                print(f"            {section:10} " + ", ".join(f"{owner} {ttl} {kind} {data[:40]}" for owner, kind, ttl, data in rows[:8])
                      + (f" … {len(rows)}" if len(rows) > 8 else ""))
