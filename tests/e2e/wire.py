"""Messages for the checks: packed and unpacked by hand, so that nothing is believed of the server under test.

`query` makes the packets, odd ones included; `Reply` reads one strictly and raises `Broken` on anything malformed.
"""

import ipaddress
import struct

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DNAME": 39, "OPT": 41,
    "DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "NSEC3": 50,
    "TKEY": 249, "AXFR": 252, "ANY": 255,
}
TYPE_NAMES = {code: name for name, code in TYPES.items()}
CLASSES = {"IN": 1, "CH": 3, "NONE": 254, "ANY": 255}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH", 16: "BADVERS"}

QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010


class Broken(Exception):
    """A reply that no strict client would take."""


def name_wire(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(name, rtype, klass="IN"):
    return name_wire(name) + struct.pack("!HH", TYPES.get(rtype, rtype), CLASSES[klass])


def opt(size=1232, version=0, do=False, options=b""):
    return b"\0" + struct.pack("!HHBBHH", TYPES["OPT"], size, 0, version, 0x8000 if do else 0, len(options)) + options


def query(name, rtype, klass="IN", ident=0x1234, flags=RD, opcode=0, extra=b"", counts=None):
    """`extra` follows the question; `counts` replaces the four counts of the header."""
    if counts is None:
        counts = (1, 0, 0, 1 if extra else 0)
    return struct.pack("!HH4H", ident, flags | opcode << 11, *counts) + question(name, rtype, klass) + extra


class Reply:
    def __init__(self, data):
        self.data = data
        if len(data) < 12:
            raise Broken("shorter than a header")
        self.id, self.flags, *counts = struct.unpack("!6H", data[:12])
        self.counts = counts
        at, self.questions, self.opt, self.ede = 12, [], None, []
        for _ in range(counts[0]):
            name, at = self._name(at)
            at += 4
            if at > len(data):
                raise Broken("question cut off")
            self.questions.append(name)
        self.question_bytes = data[12:at]
        sections = []
        for count in counts[1:]:
            records = []
            for _ in range(count):
                record, at = self._record(at)
                records += [record] if record else []
            sections.append(records)
        self.answer, self.authority, self.additional = sections
        if at != len(data):
            raise Broken(f"{len(data) - at} octets after the last record")

    def has(self, flag):
        return bool(self.flags & flag)

    @property
    def rcode(self):
        code = self.flags & 15 | (self.opt["rcode"] << 4 if self.opt else 0)
        return RCODES.get(code, str(code))

    def values(self, rtype, section="answer"):
        return [value for _, kind, _, value in getattr(self, section) if kind == rtype]

    def _name(self, at):
        text, end, hops = "", None, 0
        while True:
            if at >= len(self.data):
                raise Broken("name cut off")
            length = self.data[at]
            if length >= 0xC0:
                hops += 1
                if hops > 60 or at + 1 >= len(self.data):
                    raise Broken("bad compression pointer")
                end = end or at + 2
                at = (length & 0x3F) << 8 | self.data[at + 1]
            elif length > 63:
                raise Broken("bad label")
            elif length == 0:
                return text or ".", end or at + 1
            else:
                text += self.data[at + 1 : at + 1 + length].decode("latin-1") + "."
                at += 1 + length

    def _record(self, at):
        owner, at = self._name(at)
        if at + 10 > len(self.data):
            raise Broken("record cut off")
        rtype, klass, ttl, length = struct.unpack("!HHIH", self.data[at : at + 10])
        at += 10
        end = at + length
        if end > len(self.data):
            raise Broken("RDATA cut off")
        if rtype == TYPES["OPT"]:
            self._opt(klass, ttl, self.data[at:end])
            return None, end
        return (owner.lower(), TYPE_NAMES.get(rtype, str(rtype)), ttl, self._value(rtype, at, end)), end

    def _opt(self, size, ttl, data):
        if self.opt:
            raise Broken("two OPT records")
        self.opt = {"size": size, "rcode": ttl >> 24, "version": ttl >> 16 & 255, "do": bool(ttl & 0x8000)}
        while len(data) >= 4:
            code, length = struct.unpack("!HH", data[:4])
            if code == 15:
                self.ede.append((struct.unpack("!H", data[4:6])[0], data[6 : 4 + length].decode()))
            data = data[4 + length :]

    def _value(self, rtype, at, end):
        kind = TYPE_NAMES.get(rtype)
        data = self.data[at:end]
        if kind in ("A", "AAAA"):
            return str(ipaddress.ip_address(data))
        if kind in ("NS", "CNAME", "PTR", "DNAME"):
            return self._name(at)[0].lower()
        if kind == "MX":
            return f"{struct.unpack('!H', data[:2])[0]} {self._name(at + 2)[0].lower()}"
        if kind == "SOA":
            _, next_at = self._name(at)
            _, next_at = self._name(next_at)
            return struct.unpack("!5I", self.data[next_at:end])
        return data
