"""Zones made to cost their validators time. Everything that must be signed rightly is; the rest is as dear as it can be made.

Each attack is a zone directly below a signed root. Every question is for a name that was not asked before, so no cache helps.
"""

import base64
import hashlib
import secrets
import struct
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from wire import TYPES, name_wire

ROOT_AT, EVIL_AT = "198.41.0.4", "198.51.100.66"
RSASHA256, P256, P384, ED25519 = 8, 13, 14, 15
TTL = 3600
A_RDATA = bytes([93, 184, 216, 34])
SIGNATURE_BYTES = {RSASHA256: 512, P256: 64, P384: 96, ED25519: 64}


def wire(owner):
    return name_wire(owner.lower())


def labels_of(owner):
    return len([label for label in owner.split(".") if label and label != "*"])


def key_tag(rdata):
    total = sum(byte << 8 if at % 2 == 0 else byte for at, byte in enumerate(rdata))
    return total + (total >> 16 & 0xFFFF) & 0xFFFF


class Key:
    def __init__(self, algorithm):
        self.algorithm = algorithm
        if algorithm == RSASHA256:
            self.secret = rsa.generate_private_key(65537, 4096)
            modulus = self.secret.public_key().public_numbers().n.to_bytes(512, "big")
            public = b"\x03\x01\x00\x01" + modulus
        elif algorithm == ED25519:
            self.secret = ed25519.Ed25519PrivateKey.generate()
            public = self.secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        else:
            self.secret = ec.generate_private_key(ec.SECP256R1() if algorithm == P256 else ec.SECP384R1())
            size, point = SIGNATURE_BYTES[algorithm] // 2, self.secret.public_key().public_numbers()
            public = point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big")
        self.rdata = struct.pack("!HBB", 257, 3, algorithm) + public
        self.tag = key_tag(self.rdata)

    def raw_signature(self, message):
        if self.algorithm == RSASHA256:
            return self.secret.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == ED25519:
            return self.secret.sign(message)
        size = SIGNATURE_BYTES[self.algorithm] // 2
        halves = decode_dss_signature(self.secret.sign(message, ec.ECDSA(hashes.SHA256() if self.algorithm == P256 else hashes.SHA384())))
        return b"".join(half.to_bytes(size, "big") for half in halves)

    def rrsig(self, zone, owner, rtype, rdatas):
        head = rrsig_head(self.algorithm, self.tag, zone, owner, rtype)
        records = [wire(owner) + struct.pack("!HHIH", TYPES[rtype], 1, TTL, len(r)) + r for r in sorted(set(rdatas))]
        return head + self.raw_signature(head + b"".join(records))

    def ds(self, owner, digest_type=2):
        digest = {2: hashlib.sha256, 4: hashlib.sha384}[digest_type](wire(owner) + self.rdata).digest()
        return struct.pack("!HBB", self.tag, self.algorithm, digest_type) + digest


def rrsig_head(algorithm, tag, zone, owner, rtype):
    now = int(time.time())
    return struct.pack("!HBBIIIH", TYPES[rtype], algorithm, labels_of(owner), TTL, now + 86400, now - 86400, tag) + wire(zone)


def wrong_rrsigs(count, algorithm, tag, zone, owner, rtype):
    """Signatures of the right form that fit nothing, each another one."""
    head = rrsig_head(algorithm, tag, zone, owner, rtype)
    # Below the modulus or the group's order, so that nothing is seen before the arithmetic is done.
    return [head + b"\x01" + secrets.token_bytes(SIGNATURE_BYTES[algorithm] - 1) for _ in range(count)]


def colliding(count, algorithm, tag):
    """Keys that are keys, all of one tag: flags that nobody has defined even the sum out."""
    found = []
    while len(found) < count:
        if algorithm == RSASHA256:
            public = b"\x03\x01\x00\x01\xc1" + secrets.token_bytes(510) + b"\x01"
        else:
            public = Key(algorithm).rdata[4:]
        rest = key_tag(struct.pack("!HBB", 0, 3, algorithm) + public)
        for flags in ((tag - rest) % 65536, (tag - rest - 1) % 65536):
            rdata = struct.pack("!HBB", flags, 3, algorithm) + public
            if flags & 0x0180 == 0x0100 and key_tag(rdata) == tag:
                found.append(rdata)
                break
    return found


class Reply:
    """What a server says: sections of (owner, type, RDATAs)."""

    def __init__(self, rcode=0, answer=(), authority=(), additional=(), authoritative=True):
        self.rcode, self.answer, self.authority, self.additional = rcode, answer, authority, additional
        self.flags = 0x8000 | (0x0400 if authoritative else 0) | rcode


def soa(zone):
    return wire(f"ns.{zone}") + wire(f"hostmaster.{zone}") + struct.pack("!5I", 1, 3600, 600, 604800, 60)


def bitmap(*types):
    octets = bytearray(32)
    for rtype in types:
        octets[TYPES[rtype] // 8] |= 0x80 >> TYPES[rtype] % 8
    octets = bytes(octets).rstrip(b"\0")
    return bytes([0, len(octets)]) + octets


def base32hex(octets):
    return base64.b32encode(octets).decode().lower().translate(str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv"))


class Zone:
    """An honest signed zone, whose children are delegated to the same server; attacks change one thing of it."""

    def __init__(self, apex, algorithm=P256):
        self.apex, self.key, self.kept = apex, Key(algorithm), {}
        self.dnskeys = [self.key.rdata]

    def ds(self):
        return [self.key.ds(self.apex)]

    def signed(self, owner, rtype, rdatas):
        """The set with its signature; made once."""
        place = (owner, rtype, tuple(rdatas))
        if place not in self.kept:
            if len(self.kept) > 20_000:
                self.kept.clear()
            self.kept[place] = [(owner, rtype, rdatas), (owner, "RRSIG", [self.key.rrsig(self.apex, owner, rtype, rdatas)])]
        return self.kept[place]

    def nodata(self, owner, *types):
        nsec = wire(f"\0.{owner}") + bitmap("RRSIG", "NSEC", *types)
        return Reply(authority=[*self.signed(self.apex, "SOA", [soa(self.apex)]), *self.signed(owner, "NSEC", [nsec])])

    def apex_reply(self, rtype):
        sets = {"DNSKEY": self.dnskeys, "SOA": [soa(self.apex)], "NS": [wire(f"ns.{self.apex}")]}
        if rtype in sets:
            return Reply(answer=self.signed(self.apex, rtype, sets[rtype]))
        return self.nodata(self.apex, "NS", "SOA", "DNSKEY")

    def referral(self, child, security):
        at = bytes(map(int, EVIL_AT.split(".")))
        return Reply(authority=[(child, "NS", [wire(f"ns.{child}")]), *security], additional=[(f"ns.{child}", "A", [at])], authoritative=False)

    def reply(self, owner, rtype):
        if owner == self.apex:
            return self.apex_reply(rtype)
        return self.below(owner, rtype)

    def below(self, owner, rtype):
        if owner.startswith("ns.") or owner.startswith("q") or owner.startswith("www."):
            if rtype == "A":
                return Reply(answer=self.signed(owner, "A", [A_RDATA]))
        return self.nodata(owner, "A")

    def question(self, number):
        return f"q{number}.{self.apex}", "A"


class Root(Zone):
    def __init__(self, zones):
        super().__init__(".")
        self.zones = {zone.apex: zone for zone in zones}

    def reply(self, owner, rtype):
        top = owner.rstrip(".").rpartition(".")[2] + "."
        if owner == ".":
            at = bytes(map(int, ROOT_AT.split(".")))
            if rtype == "NS":
                return Reply(answer=self.signed(".", "NS", [wire("a.root-servers.net.")]), additional=[("a.root-servers.net.", "A", [at])])
            return super().apex_reply(rtype) if rtype != "SOA" else Reply(answer=self.signed(".", "SOA", [soa("")]))
        zone = self.zones.get(top)
        if zone is None:
            return self.nodata(owner) if rtype == "DS" else Reply(rcode=3, authority=self.signed(".", "SOA", [soa("")]))
        if owner == top and rtype == "DS":
            return Reply(answer=self.signed(top, "DS", zone.ds()))
        return self.referral(top, self.signed(top, "DS", zone.ds()))


class KeyTrap(Zone):
    """CVE-2023-50387: the keys of one tag, times the signatures of that tag."""

    def __init__(self, apex, algorithm, keys, signatures):
        super().__init__(apex)
        self.algorithm, self.signatures, self.tag = algorithm, signatures, 4711
        self.dnskeys = [self.key.rdata, *colliding(keys, algorithm, self.tag)]
        self.wrong = {}

    def below(self, owner, rtype):
        if not owner.startswith("q") or rtype != "A":
            return super().below(owner, rtype)
        return Reply(answer=[(owner, "A", [A_RDATA]), (owner, "RRSIG", self.rrsigs(owner))])

    def rrsigs(self, owner):
        # The signatures fit nothing anyhow; one batch does for all names of one depth.
        depth = labels_of(owner)
        if depth not in self.wrong:
            self.wrong[depth] = wrong_rrsigs(self.signatures, self.algorithm, self.tag, self.apex, owner, "A")
        return self.wrong[depth]


class SigTrap(KeyTrap):
    """One key, and many signatures that name it."""

    def __init__(self, apex, algorithm, signatures):
        super().__init__(apex, algorithm, 1, signatures)


class AnyTrap(KeyTrap):
    """Many sets under one name, each with signatures for colliding keys."""

    SETS = 40

    def __init__(self, apex, algorithm, keys):
        super().__init__(apex, algorithm, keys, 8)

    def question(self, number):
        return f"q{number}.{self.apex}", "ANY"

    def below(self, owner, rtype):
        if not owner.startswith("q"):
            return super().below(owner, rtype)
        answer = []
        for number in range(65280, 65280 + self.SETS):
            TYPES.setdefault(f"TYPE{number}", number)
            rrtype = f"TYPE{number}"
            place = (rrtype, labels_of(owner))
            if place not in self.wrong:
                self.wrong[place] = wrong_rrsigs(self.signatures // 2, self.algorithm, self.tag, self.apex, owner, rrtype)
            answer += [(owner, rrtype, [b"x"]), (owner, "RRSIG", self.wrong[place])]
        return Reply(answer=answer)


class Delegating(Zone):
    """Every question lies in a child zone of its own; what stands in it is the subclass's."""

    def question(self, number):
        return f"www.c{number}.{self.apex}", "A"

    def child_of(self, owner):
        labels = owner[: -len(self.apex) - 1].split(".")
        return f"{labels[-1]}.{self.apex}" if labels[-1].startswith("c") else None

    def below(self, owner, rtype):
        child = self.child_of(owner)
        if not child:
            return super().below(owner, rtype)
        if owner == child and rtype == "DS":
            return Reply(answer=self.security(child)) if self.security(child)[0][1] == "DS" else Reply(authority=self.security(child))
        return self.in_child(child, owner, rtype)


class HashTrap(Delegating):
    """Many DS records of one tag, many keys of that tag, none of which fits; or all of which fit, and none has signed."""

    def __init__(self, apex, algorithm, keys, digests, fitting):
        super().__init__(apex)
        self.algorithm, self.tag, self.fitting = algorithm, 4711, fitting
        self.keys = colliding(keys, algorithm, self.tag)
        self.digests = [struct.pack("!HBB", self.tag, algorithm, 4) + secrets.token_bytes(48) for _ in range(digests)]
        self.wrong = None

    def security(self, child):
        digests = self.digests
        if self.fitting:
            digests = [struct.pack("!HBB", self.tag, self.algorithm, 2) + hashlib.sha256(wire(child) + key).digest() for key in self.keys]
        return self.signed(child, "DS", digests)

    def in_child(self, child, owner, rtype):
        if owner == child and rtype == "DNSKEY":
            self.wrong = self.wrong or wrong_rrsigs(100, self.algorithm, self.tag, child, child, "DNSKEY")
            head = rrsig_head(self.algorithm, self.tag, child, child, "DNSKEY")
            sigs = [head + sig[-SIGNATURE_BYTES[self.algorithm] :] for sig in self.wrong]
            return Reply(answer=[(child, "DNSKEY", self.keys), (child, "RRSIG", sigs)])
        if owner.startswith("www.") and rtype == "A":
            sigs = wrong_rrsigs(1, self.algorithm, self.tag, child, owner, "A")
            return Reply(answer=[(owner, "A", [A_RDATA]), (owner, "RRSIG", sigs)])
        return Reply(authority=[(child, "SOA", [soa(child)])])


class GoodChain(Delegating):
    """Nothing is wrong: a chain of aliases, each in a zone of its own that is signed rightly with the dearest algorithm."""

    LINKS = 10

    def __init__(self, apex, algorithm):
        super().__init__(apex, algorithm)

    def question(self, number):
        return f"www.c{number}x0.{self.apex}", "A"

    def security(self, child):
        return self.signed(child, "DS", [self.key.ds(child)])

    def in_child(self, child, owner, rtype):
        zone = Zone.__new__(Zone)
        zone.apex, zone.key, zone.kept, zone.dnskeys = child, self.key, self.kept, [self.key.rdata]
        number, _, link = child[1:].partition(".")[0].partition("x")
        if owner == child:
            return zone.apex_reply(rtype)
        if owner.startswith("www.") and int(link) < self.LINKS:
            return Reply(answer=zone.signed(owner, "CNAME", [wire(f"www.c{number}x{int(link) + 1}.{self.apex}")]))
        return zone.below(owner, rtype)


class Nsec3(Zone):
    """CVE-2023-50868: many labels, each to be hashed in vain, against several records of costly parameters."""

    def __init__(self, apex, iterations, salt_bytes):
        super().__init__(apex)
        self.sets = []
        for number in range(10):
            salt = secrets.token_bytes(salt_bytes)
            start = bytes([20 * number]) + secrets.token_bytes(19)
            rdata = struct.pack("!BBHB", 1, 0, iterations, len(salt)) + salt + b"\x14" + start[:-1] + b"\xff" + bitmap("A", "RRSIG")
            self.sets += self.signed(f"{base32hex(start)}.{apex}", "NSEC3", [rdata])

    def question(self, number):
        return f"{'a.' * 100}q{number}.{self.apex}", "A"

    def below(self, owner, rtype):
        if owner.startswith("ns."):
            return super().below(owner, rtype)
        return Reply(rcode=3, authority=[*self.signed(self.apex, "SOA", [soa(self.apex)]), *self.sets])


class InsecureReferral(Nsec3):
    """The same records beside a referral, as the proof that the child has no DS (CVE-2026-1519)."""

    def question(self, number):
        return f"www.{'a.' * 95}c{number}.{self.apex}", "A"

    def below(self, owner, rtype):
        if owner.startswith("ns."):
            return super().below(owner, rtype)
        depth = "a." * 95
        at = owner.find(f"{depth}c")
        child = owner[at:] if at >= 0 else None
        if child is None or (owner == child and rtype == "DS"):
            return Reply(authority=[*self.signed(self.apex, "SOA", [soa(self.apex)]), *self.sets])
        return self.referral(child, self.sets)


class ManyDenials(Zone):
    """A denial with a hundred NSEC records, every one signed, none of which says anything of the name."""

    def __init__(self, apex):
        super().__init__(apex, P384)
        self.sets = []
        for number in range(100):
            owner = f"zz{number:03}.{apex}"
            self.sets += self.signed(owner, "NSEC", [wire(f"\0.{owner}") + bitmap("A", "RRSIG", "NSEC")])

    def below(self, owner, rtype):
        if owner.startswith("ns."):
            return super().below(owner, rtype)
        return Reply(rcode=3, authority=[*self.signed(self.apex, "SOA", [soa(self.apex)]), *self.sets])


class BigSet(KeyTrap):
    """A long owner, once for each of many small records in what is signed, and wrong signatures over it."""

    def __init__(self, apex, algorithm):
        super().__init__(apex, algorithm, 4, 8)
        self.records = [bytes([93, 184, n >> 8, n & 255]) for n in range(3500)]

    def question(self, number):
        return f"q{number}.{'b' * 60}.{'b' * 60}.{'b' * 60}.{self.apex}", "A"

    def below(self, owner, rtype):
        if not owner.startswith("q") or rtype != "A":
            return super().below(owner, rtype)
        return Reply(answer=[(owner, "A", self.records), (owner, "RRSIG", self.rrsigs(owner))])


class Crowd(Zone):
    """As many sets as there are types for, in every section, their records mixed: 64 KiB that have to be sorted."""

    TYPES, RECORDS = 200, 1500

    def below(self, owner, rtype):
        if not owner.startswith("q") or rtype != "A":
            return super().below(owner, rtype)
        for number in range(65280, 65280 + self.TYPES):
            TYPES.setdefault(f"TYPE{number}", number)
        crowd = [(owner, f"TYPE{65280 + at % self.TYPES}", [struct.pack("!H", at)]) for at in range(self.RECORDS)]
        return Reply(answer=[*self.signed(owner, "A", [A_RDATA]), *crowd], authority=crowd, additional=crowd)


def attacks():
    """Name -> zone. The first is no attack: what an honest question costs."""
    zones = [
        Zone("honest."),
        KeyTrap("keytrap-ed25519.", ED25519, 200, 150),
        KeyTrap("keytrap-p256.", P256, 200, 150),
        KeyTrap("keytrap-p384.", P384, 200, 150),
        KeyTrap("keytrap-rsa4096.", RSASHA256, 60, 60),
        SigTrap("sigtrap.", P384, 190),
        AnyTrap("anytrap.", P384, 100),
        HashTrap("hashtrap.", P256, 300, 800, fitting=False),
        HashTrap("hashtrap-keys.", P384, 200, 0, fitting=True),
        GoodChain("good-p384.", P384),
        GoodChain("good-rsa4096.", RSASHA256),
        Nsec3("nsec3-50.", 50, 200),
        Nsec3("nsec3-150.", 150, 200),
        Nsec3("nsec3-2500.", 2500, 200),
        InsecureReferral("referral.", 50, 200),
        ManyDenials("denials."),
        BigSet("bigset.", ED25519),
        Crowd("crowd."),
    ]
    return {zone.apex.rstrip("."): zone for zone in zones}
