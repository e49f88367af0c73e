"""The same question to Cairn, Unbound and BIND in the same world: answer, flags and sections side by side.

Where the peers agree, Cairn must say the same; where they differ, it must be with one of them. A difference that is meant is
written down here with its reason, so that a new one shows.
"""

import random

import wire
from asking import PLACES, NoReply, ask, framed, tally, tcp_exchange
from wire import AA, AD, CD, RA, RD, TC, Broken, Reply

# Owner -> why Cairn's answer differs from both peers on purpose. No more than the RCODE and the answer section may differ.
MEANT = {
    "private.example.com": "the rebinding guard says which name and how to allow it; peers give nothing, or SERVFAIL",
    "mixed.example.com": "the rebinding guard keeps the public addresses; BIND fails the whole name",
}

# Questions that Cairn does not answer as the peers do, and should.
OPEN = {("web.dept.example.com", "CNAME"): "without DO the DNAME is left out beside the CNAME that it makes"}

NAMES = [
    "www.example.com", "example.com", "alias.example.com", "out.example.com", "chain.example.com", "web.dept.example.com", "dept.example.com",
    "x.y.wild.example.com", "ent.example.com", "a.b.ent.example.com", "missing.example.com", "nowhere.example.com", "www.glueless.com",
    "glueless.com", "www.halfdead.com", "www.lame.com", "www.six.com", "example.net", "www.example.net", "mail.example.net", "com", "net",
    "44.216.184.93.in-addr.arpa", "private.example.com", "mixed.example.com", "_sip._udp.example.com", "www.hosted.example",
    "hosted.example", "nothere.com", "www.nothere.net",
]
TYPES = ["A", "AAAA", "NS", "MX", "TXT", "SOA", "CNAME", "PTR"]
WAYS = {
    "plain": {}, "EDNS": {"extra": wire.opt()}, "DO": {"extra": wire.opt(do=True)}, "AD": {"flags": RD | AD}, "CD": {"flags": RD | CD},
    "TCP": {"tcp": True},
}


def said(server, name, rtype, tcp=False, **how):
    """What matters of a reply: no TTL, no order but that of aliases, nothing that may be left out."""
    packet = wire.query(name, rtype, **how)
    for _ in range(2):
        try:
            got = tcp_exchange(server, [framed(packet)], 1)[0] if tcp else Reply(ask(server, packet, timeout=6)[0])
            break
        except (NoReply, OSError, IndexError):
            got = None
    if got is None:
        return {"reply": None}
    aliases = [(owner, value) for owner, kind, _, value in got.answer if kind == "CNAME"]
    rest = sorted((owner, kind, str(value)) for owner, kind, _, value in got.answer if kind != "CNAME")
    return {
        "rcode": got.rcode, "flags": {bit: got.has(mask) for bit, mask in
                                      {"AA": AA, "TC": TC, "RD": RD, "RA": RA, "AD": AD, "CD": CD}.items()},
        "aliases": aliases, "answer": rest, "EDNS": got.opt is not None, "DO": bool(got.opt and got.opt["do"]),
        "denied by": sorted({owner for owner, kind, _, _ in got.authority if kind == "SOA"}) if not rest else [],
        "question": got.question_bytes == packet[12:12 + len(got.question_bytes)],
    }


def differences(one, other):
    return {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def compare(name, rtype, way):
    client = f"compared: {way}"
    try:
        own, *others = (said(PLACES[server].v4, name, rtype, **WAYS[way]) for server in ("cairn", "unbound", "bind"))
    except Broken as problem:
        return tally.check(client, f"{name} {rtype}", False, f"malformed: {problem}")
    gaps = [differences(own, other) for other in others]
    if name in MEANT:
        return tally.check(client, f"{name} {rtype}", all(set(gap) <= {"answer", "rcode", "aliases", "denied by"} for gap in gaps), gaps)
    return tally.check(client, f"{name} {rtype}", not all(gaps), f"to Unbound {gaps[0]}, to BIND {gaps[1]}")


def comparison(world):
    tally.server = "cairn"
    for way in WAYS:
        for name in NAMES:
            for rtype in TYPES:
                if (name, rtype) not in OPEN:
                    compare(name, rtype, way)
    if delegated := getattr(world, "delegated", None):
        real_root_comparison(delegated)
    for (name, rtype), reason in OPEN.items():
        tally.notes.append(f"not as the peers, not counted: {name} {rtype}: {reason}")
    for name, reason in MEANT.items():
        tally.notes.append(f"meant to differ: {name}: {reason}")


def real_root_comparison(delegated):
    """Names that the real root itself decides: DS sets, and top-level domains that are not there."""
    chosen = random.Random(1)
    for tld in chosen.sample(delegated, 60):
        compare(tld, "DS", "DO")
    for _ in range(60):
        label = "".join(chosen.choices("abcdefghijklmnopqrstuvwxyz", k=9))
        compare(label, "A", "plain")
        compare(f"www.{label}x", "AAAA", "DO")
