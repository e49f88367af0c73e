"""A signed world: AD wherever there is a proof, the right reason wherever it was tampered with; Unbound, BIND and delv beside."""

import subprocess
import sys

import network
import signed
import wire
from asking import LAN, PLACES, guarded, reply, seen, tally
from wire import AD, CD, RD

TOOLS = ["ip", "nsd", "knotd", "keymgr", "named", "unbound", "delv", "ldns-signzone", "ldns-keygen", "dnssec-signzone", "dnssec-keygen"]
# Where a second Cairn stands, for which signatures made with SHA-1 count.
SHA1_AT = "192.0.2.56"


def dnssec_stage(words, stage):
    if network.missing_tools(TOOLS):
        sys.exit(1)
    with stage(words.keep) as here:
        has_ipv6 = network.make_network(signed.ADDRESSES)
        servers, anchors = signed.make(here.folder)
        here.running += servers.values()
        for name, place in PLACES.items():
            subject = here.subject(name, anchors=anchors)
            listen = [f"{place.v4}:53"] + [f"{LAN}:53"] * (place.lan != place.v4) + ([f"[{place.v6}]:53"] if has_ipv6 else [])
            if not subject.start(listen, place.v4):
                sys.exit(f"{name} does not start: {subject.log()}")
        strict = here.subject("cairn-sha1", anchors=anchors)
        if not strict.start([f"{SHA1_AT}:53"], SHA1_AT):
            sys.exit(f"Cairn with sha1 = \"validate\" does not start: {strict.log()}")
        for name, place in PLACES.items():
            tally.server = name
            for row in signed.names():
                zone_checks(place.v4, *row)
            for case, (_, _, _, question, codes) in signed.TAMPERINGS.items():
                tampering(place.v4, case, question, codes)
            delv_checks(place.v4, anchors)
        tally.server = "cairn"
        for row in signed.names():
            if row[1] in signed.SHA1:
                zone_checks(SHA1_AT, *row, sha1_counts=True)


def zone_checks(server, zone, algorithm, denial, signer, sha1_counts=False):
    client = f"{algorithm} {denial}" + ', sha1 = "validate"' * sha1_counts
    # RFC 9905 2: unless told otherwise, Cairn takes signatures made with SHA-1 for none.
    counts = algorithm not in signed.SHA1 or tally.server != "cairn" or sha1_counts
    # RFC 5155 9.2: what an opt-out span covers may be there unsigned.
    proved = denial != "optout"
    rows = [
        ("www", "A", "NOERROR", "93.184.216.80", True), ("www", "AAAA", "NOERROR", None, True), ("alias", "A", "NOERROR", "93.184.216.80", True),
        ("missing", "A", "NXDOMAIN", None, proved), ("x.wild", "A", "NOERROR", "93.184.216.81", proved),
        ("x.wild", "TXT", "NOERROR", None, proved), ("ent", "A", "NOERROR", None, True), ("www.sub", "A", "NOERROR", "93.184.216.90", False),
        # ldns makes an NSEC3 record for the unsigned delegation all the same.
        ("sub", "DS", "NOERROR", None, proved or signer == "ldns"),
    ]
    for label, rtype, rcode, address, secure in rows:

        def test(label=label, rtype=rtype, rcode=rcode, address=address, secure=secure):
            got = reply(server, f"{label}.{zone}", rtype, flags=RD | AD, extra=wire.opt())
            values = [address] if address else []
            return got.rcode == rcode and got.values(rtype) == values and got.has(AD) == (secure and counts), seen(got)

        guarded(client, f"{label}.{zone} {rtype}: {'AD' if secure and counts else 'no AD'}", test)

    def with_proof():
        got = reply(server, f"missing.{zone}", "A", extra=wire.opt(do=True))
        kinds = {kind for _, kind, _, _ in got.authority}
        return {"SOA", "RRSIG", "NSEC" if denial == "nsec" else "NSEC3"} == kinds, seen(got)

    guarded(client, f"missing.{zone}: the proof comes with DO", with_proof)


def tampering(server, case, question, codes):
    label, rtype = question
    name = f"{label}.{case}.{signed.TLD}"

    def judged():
        got = reply(server, name, rtype, flags=RD | AD, extra=wire.opt(do=True))
        if not codes:
            return got.rcode == "NOERROR" and got.values(rtype) and not got.has(AD), seen(got)
        said = {code for code, _ in got.ede}
        # Other servers must agree on the verdict, not on the code of the extended error.
        right = said & codes if tally.server == tally.judged else True
        return got.rcode == "SERVFAIL" and not got.answer and not got.has(AD) and right, f"wanted EDE {codes}: {seen(got)}"

    def unchecked():
        got = reply(server, name, rtype, flags=RD | CD, extra=wire.opt(do=True))
        return got.rcode in ("NOERROR", "NXDOMAIN") and not got.has(AD), seen(got)

    guarded("tampered with" if codes else "insecure, not bogus", name, judged)
    guarded("asked with CD", name, unchecked)


def delv_checks(server, anchors):
    """delv proves for itself; the server must give it all that takes."""
    items = [line.split() for line in anchors.read_text().splitlines()]
    keys = " ".join(f'{owner} static-ds {" ".join(rest[:3])} "{"".join(rest[3:])}";' for owner, _, _, _, *rest in items)
    file = anchors.with_name("delv.anchors")
    file.write_text(f"trust-anchors {{ {keys} }};\n")

    def delv(what, name, rtype, *patterns):
        def test():
            done = subprocess.run(["delv", f"@{server}", "-a", file, "+root=.", name, rtype], capture_output=True, text=True, timeout=30)
            text = done.stdout + done.stderr
            return any(pattern in text for pattern in patterns), text

        guarded("delv", f"{what}: {name} {rtype}", test)

    for zone, _, denial, _ in signed.names():
        delv("answer", f"www.{zone}", "A", "; fully validated")
        delv("denial", f"missing.{zone}", "A", "; negative response, fully validated" if denial != "optout" else "; negative response")
    for case, (_, _, _, (label, rtype), codes) in signed.TAMPERINGS.items():
        if codes:
            delv("tampered with", f"{label}.{case}.{signed.TLD}", rtype, "resolution failed")
