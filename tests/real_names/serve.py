"""One process that is every server of the world, told apart by the address that was asked, over UDP and TCP, IPv4 and IPv6.

A reply is made once and kept, so that the world is not what is measured. Everything is counted.
"""

import ipaddress
import json
import os
import selectors
import signal
import socket
import struct
from collections import Counter

from wire import AA, QR, RD, TC, TYPES, name_wire

IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_TRANSPARENT = 8, 49, 50, 75
TTL_DELEGATION, TTL_DATA, TTL_NEGATIVE = 172_800, 3600, 900
NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 3, 4, 5
UDP_MAX = 1232
OPT = b"\0" + struct.pack("!HHIH", TYPES["OPT"], UDP_MAX, 0, 0)


class Broken(Exception):
    """A question that none should send."""


class Message:
    """The part of a reply after the question; names are compressed against the question and each other."""

    def __init__(self, qname):
        self.body, self.counts, self.known, self.start = bytearray(), [0, 0, 0], {}, 12
        at = self.start
        for label in qname.split(".") if qname else []:
            self.known[qname] = at
            at += 1 + len(label)
            qname = qname.partition(".")[2]
        self.end = at + 5

    def name(self, text, at):
        out = bytearray()
        while text:
            if text in self.known:
                return bytes(out) + struct.pack("!H", 0xC000 | self.known[text])
            if at + len(out) < 0x4000:
                self.known[text] = at + len(out)
            label, _, text = text.partition(".")
            out += bytes([len(label)]) + label.encode("latin-1")
        return bytes(out) + b"\0"

    def record(self, section, owner, rtype, ttl, value):
        head = self.name(owner, self.end + len(self.body))
        self.body += head + struct.pack("!HHI", TYPES[rtype], 1, ttl)
        at = self.end + len(self.body) + 2
        data = self.data(rtype, value, at)
        self.body += struct.pack("!H", len(data)) + data
        self.counts[section] += 1

    def data(self, rtype, value, at):
        if rtype in ("A", "AAAA"):
            return ipaddress.ip_address(value).packed
        if rtype == "SOA":
            return name_wire(f"ns.{value}") + name_wire(f"admin.{value}") + struct.pack("!5I", 1, 3600, 900, 604_800, TTL_NEGATIVE)
        return self.name(value, at)


class Servers:
    def __init__(self, world):
        self.world, self.kept = world, {}
        self.count = Counter()
        self.types = {code: name for name, code in TYPES.items()}

    def reply(self, address, packet, limit):
        """The reply of the server at this address, or None for silence."""
        try:
            end, qname, qtype, has_opt = read_question(packet)
        except (Broken, IndexError, struct.error):
            self.count["malformed"] += 1
            return None
        key = (address, qname, qtype)
        kept = self.kept.get(key)
        if kept is None:
            kept = self.kept[key] = self.make(address, qname.decode("latin-1"), qtype)
        rcode, flags, counts, body, truncating = kept
        flags |= QR | struct.unpack("!H", packet[2:4])[0] & RD | rcode
        opt = OPT if has_opt else b""
        if limit and (truncating or end + len(body) + len(opt) > (limit if has_opt else 512)):
            self.count["truncated"] += 1
            flags, counts, body = flags | TC, (0, 0, 0), b""
        answer, authority, additional = counts
        return packet[:2] + struct.pack("!5H", flags, 1, answer, authority, additional + bool(opt)) + packet[12:end] + body + opt

    def make(self, address, qname, qtype):
        zone = self.zone_at(address, qname)
        if zone is None:
            self.count["refused: " + qname] += 1
            return REFUSED, 0, (0, 0, 0), b"", False
        message = Message(qname)
        flags, rcode = self.look_up(message, zone, qname, self.types.get(qtype, str(qtype)))
        return rcode, flags, tuple(message.counts), bytes(message.body), zone.truncating

    def zone_at(self, address, qname):
        served = self.world.served.get(address, ())
        while qname:
            if qname in served:
                return self.world.zones[qname]
            qname = qname.partition(".")[2]
        return None

    def look_up(self, message, zone, qname, rtype):
        """RFC 1034 4.3.2, without wildcards."""
        labels = qname.split(".")
        for count in range(zone.apex.count(".") + 2, len(labels) + 1):
            child = ".".join(labels[-count:])
            if child in zone.cuts and not (rtype == "DS" and child == qname):
                self.refer(message, zone, zone.cuts[child])
                return 0, NOERROR
        node = zone.nodes.get(qname)
        values = {} if node is None else node
        chosen = "CNAME" if "CNAME" in values else rtype
        if chosen in values:
            for value in values[chosen]:
                message.record(0, qname, chosen, TTL_DATA, value)
            # Some servers say more than they were asked for.
            if len(zone.apex) % 2 and rtype != "NS":
                self.authority(message, zone)
            elif rtype == "NS":
                self.glue(message, zone, zone)
            return AA, NOERROR
        message.record(1, zone.apex, "SOA", TTL_NEGATIVE, zone.apex)
        return AA, NXDOMAIN if node is None and qname not in zone.cuts else NOERROR

    def authority(self, message, zone):
        for host in zone.hosts:
            message.record(1, zone.apex, "NS", TTL_DATA, host)
        self.glue(message, zone, zone)

    def refer(self, message, zone, child):
        for host in child.hosts:
            message.record(1, child.apex, "NS", TTL_DELEGATION, host)
        self.glue(message, zone, child)

    def glue(self, message, zone, child):
        """Addresses of the servers that are named in the child, or that this zone itself knows; as many as fit."""
        for host in child.hosts:
            below = host == child.apex or host.endswith("." + child.apex)
            if below or self.world.zone_of(host) is zone:
                for address in self.world.host_addresses[host]:
                    if message.end + len(message.body) + 40 < UDP_MAX:
                        message.record(2, host, "AAAA" if ":" in address else "A", TTL_DELEGATION, address)


def read_question(packet):
    """Where the question ends, its name in lower case, its type, whether there is an OPT."""
    flags, questions, answers, authorities, additionals = struct.unpack("!5H", packet[2:12])
    if flags & 0xF800 or questions != 1 or answers or authorities:
        raise Broken
    at, labels = 12, []
    while length := packet[at]:
        if length > 63:
            raise Broken
        labels.append(packet[at + 1 : at + 1 + length].lower())
        at += 1 + length
    qtype, klass = struct.unpack("!HH", packet[at + 1 : at + 5])
    if klass != 1:
        raise Broken
    return at + 5, b".".join(labels), qtype, bool(additionals)


class Loop:
    def __init__(self, servers, has_ipv6, report):
        self.servers, self.report, self.selector = servers, report, selectors.DefaultSelector()
        self.text = {}
        for family in (socket.AF_INET, socket.AF_INET6) if has_ipv6 else (socket.AF_INET,):
            self.listen(family)
        signal.signal(signal.SIGTERM, self.stop)

    def listen(self, family):
        for kind, work in ((socket.SOCK_DGRAM, self.datagrams), (socket.SOCK_STREAM, self.accept)):
            sock = socket.socket(family, kind)
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                sock.setsockopt(socket.SOL_SOCKET, option, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            if kind == socket.SOCK_DGRAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 53))
            sock.setblocking(False)
            if kind == socket.SOCK_STREAM:
                sock.listen(256)
            self.selector.register(sock, selectors.EVENT_READ, work)

    def run(self):
        print("ready", flush=True)
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)

    def datagrams(self, sock):
        for _ in range(64):
            try:
                packet, ancillary, _, peer = sock.recvmsg(4096, 64)
            except OSError:
                return
            six = sock.family == socket.AF_INET6
            asked = ancillary[0][2][:16] if six else ancillary[0][2][8:12]
            reply = self.answer("udp", asked, packet, UDP_MAX)
            if reply:
                info = asked + bytes(4) if six else bytes(4) + asked + bytes(4)
                level, kind = (socket.IPPROTO_IPV6, IPV6_PKTINFO) if six else (socket.IPPROTO_IP, IP_PKTINFO)
                try:
                    sock.sendmsg([reply], [(level, kind, info)], 0, peer)
                except OSError as problem:
                    self.servers.count[f"not sent: {problem}"] += 1

    def answer(self, transport, asked, packet, limit):
        address = self.text.get(asked) or self.text.setdefault(asked, str(ipaddress.ip_address(asked)))
        self.servers.count[transport] += 1
        self.servers.count["over IPv6"] += len(asked) == 16
        if address in self.servers.world.dead:
            self.servers.count["to silent servers"] += 1
            return None
        return self.servers.reply(address, packet, limit)

    def accept(self, sock):
        try:
            connection, _ = sock.accept()
        except OSError:
            return
        connection.setblocking(False)
        held = bytearray()
        self.selector.register(connection, selectors.EVENT_READ, lambda sock: self.stream(sock, held))

    def stream(self, sock, held):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        held += data
        asked = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).packed
        while len(held) >= 2 and len(held) >= 2 + (length := struct.unpack("!H", held[:2])[0]):
            packet = bytes(held[2 : 2 + length])
            del held[: 2 + length]
            reply = self.answer("tcp", asked, packet, 0)
            try:
                sock.send(struct.pack("!H", len(reply)) + reply if reply else b"")
            except OSError:
                data = b""
        if not data:
            self.selector.unregister(sock)
            sock.close()

    def stop(self, *_):
        with open(self.report, "w") as out:
            json.dump(self.servers.count, out)
        os._exit(0)
