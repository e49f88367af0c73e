"""The internet of the floods: `internet.py honest|hostile`, one process each, so that the hostile one slows down nobody.

Every address is local. No zone is stored: what a server says is computed from the name it is asked for.

    root, shop., port.      one server each
    good{n}.shop.           a server of its own, DELAY_S away; www has an address
    big.shop.               TXT sets of 63 KB
    fill.shop.              TXT sets of 1 KB, to fill a cache with
    silent.port.            two servers that never reply
    evil.port.              z{i}x{last}: its only server is ns.z{i+1}x{last}, without glue, and so on; the last one's is silent.
                            y{i}: the same number of zones with a silent server each, which do not hang together
    held.port.              holds its replies back, and lets go of all of them together
"""

import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[1:1] = [str(Path(__file__).resolve().parent.parent / "e2e")]

from wire import TYPES, name_wire

ROOT_AT, TLD_AT, BIG_AT, FILL_AT = "198.41.0.4", "192.5.6.30", "45.2.0.1", "45.3.0.1"
EVIL_AT, HELD_AT = "46.1.0.1", "46.2.0.1"
SILENT_AT = ("46.0.0.1", "46.0.0.2")
DATA_AT = "93.184.216.34"
DELAY_S, TTL = 0.02, 3600
# From the first question on, and for how long the replies are then given at once.
HOLD_S, RELEASED_S = 1.0, 2.0
BIG_BYTES = 63_000
NS, A, SOA, TXT = (TYPES[rtype] for rtype in ("NS", "A", "SOA", "TXT"))
IP_PKTINFO = 8


def good_at(number):
    return f"45.1.{number // 250}.{number % 250 + 1}"


def octets(address):
    return socket.inet_aton(address)


def record(owner, rtype, rdata, ttl=TTL):
    return name_wire(owner) + struct.pack("!HHIH", rtype, 1, ttl, len(rdata)) + rdata


def soa(zone):
    return record(zone, SOA, name_wire(f"ns.{zone}") + name_wire(f"admin.{zone}") + struct.pack("!5I", 1, 3600, 600, 86400, 60), 60)


class Said:
    """One reply."""

    def __init__(self, answer=(), authority=(), additional=(), authoritative=True, rcode=0):
        self.sections = answer, authority, additional
        self.flags = 0x8000 | (0x0400 if authoritative else 0) | rcode

    def encode(self, packet, end, limit):
        opt = [b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)] if packet[10:12] != b"\0\0" else []
        answer, authority, additional = self.sections
        question = packet[12:end]
        body = b"".join((*answer, *authority, *additional, *opt))
        message = struct.pack("!HH4H", *struct.unpack("!H", packet[:2]), self.flags, 1, len(answer), len(authority), len(additional) + len(opt))
        if 12 + len(question) + len(body) > limit:
            return packet[:2] + struct.pack("!H4H", self.flags | 0x0200, 1, 0, 0, len(opt)) + question + b"".join(opt)
        return message + question + body


def referral(child, servers):
    """`servers`: name -> glue, or None."""
    glue = [record(name, A, octets(address)) for name, address in servers.items() if address]
    return Said((), [record(child, NS, name_wire(name)) for name in servers], glue, authoritative=False)


def below(zone, rtype, owner, data):
    """What the zone's own server says: its apex, or what `data` knows of the name."""
    if owner == zone and rtype == SOA:
        return Said([soa(zone)])
    if owner == zone and rtype == NS:
        return Said([record(zone, NS, name_wire(f"ns.{zone}"))])
    found = data(owner, rtype)
    return Said(found) if found else Said(authority=[soa(zone)])


def reply(at, owner, rtype):
    labels = owner.rstrip(".").split(".") if owner != "." else []
    if at == ROOT_AT:
        if not labels:
            return Said([record(".", NS, name_wire("a.root-servers.net."))], additional=[record("a.root-servers.net.", A, octets(ROOT_AT))])
        if labels[-1] in ("shop", "port"):
            return referral(f"{labels[-1]}.", {f"ns.{labels[-1]}.": TLD_AT})
        return Said([record(owner, A, octets(ROOT_AT))]) if owner == "a.root-servers.net." and rtype == A else Said(authority=[soa(".")], rcode=3)
    if at == TLD_AT:
        return top_level(labels, owner, rtype)
    zone = ".".join(labels[-2:]) + "."
    if at == EVIL_AT:
        return evil(labels, owner, rtype)
    if at == HELD_AT:
        return below(zone, rtype, owner, lambda name, kind: [record(name, TXT, (b"\xff" + b"h" * 255) * 4)] if kind == TXT else None)
    if at == FILL_AT:
        return below(zone, rtype, owner, lambda name, kind: [record(name, TXT, (b"\xff" + b"f" * 255) * 4)] if kind == TXT else None)
    if at == BIG_AT:
        return below(zone, rtype, owner, lambda name, kind: [record(name, TXT, (b"\xff" + b"b" * 255) * (BIG_BYTES // 256))] if kind == TXT else None)
    return below(zone, rtype, owner, lambda name, kind: [record(name, A, octets(DATA_AT))] if kind == A and name != zone else None)


def top_level(labels, owner, rtype):
    top = f"{labels[-1]}." if labels else "."
    if len(labels) < 2:
        return below(top, rtype, owner, lambda *_: None)
    child, second = ".".join(labels[-2:]) + ".", labels[-2]
    if owner == f"ns.{top}":
        return Said([record(owner, A, octets(TLD_AT))]) if rtype == A else Said(authority=[soa(top)])
    if second.startswith("good"):
        return referral(child, {f"ns.{child}": good_at(int(second[4:]))})
    known = {"big": [BIG_AT], "fill": [FILL_AT], "silent": SILENT_AT, "evil": [EVIL_AT], "held": [HELD_AT]}.get(second)
    if not known:
        return Said(authority=[soa(top)], rcode=3)
    return referral(child, {f"ns{number}.{child}": address for number, address in enumerate(known)})


def evil(labels, owner, rtype):
    if len(labels) < 3:
        return below("evil.port.", rtype, owner, lambda *_: None)
    child, third = ".".join(labels[-3:]) + ".", labels[-3]
    if third[0] == "y":
        return referral(child, {f"ns.{child}": SILENT_AT[0]})
    if third[0] == "z":
        number, last = third[1:].split("x")
        if number == last:
            return referral(child, {f"ns.{child}": SILENT_AT[0]})
        return referral(child, {f"ns.z{int(number) + 1}x{last}.evil.port.": None})
    return Said([record(owner, A, octets(EVIL_AT))]) if rtype == A else Said(authority=[soa("evil.port.")])


def question(packet):
    """Name, type, and where the question ends."""
    labels, place = [], 12
    while packet[place]:
        labels.append(packet[place + 1 : place + 1 + packet[place]].decode("latin-1").lower())
        place += 1 + packet[place]
    (rtype,) = struct.unpack("!H", packet[place + 1 : place + 3])
    return ".".join(labels) + ".", rtype, place + 5


def answer(at, packet, limit):
    """`None` for what is no query."""
    try:
        owner, rtype, end = question(packet)
        return reply(at, owner, rtype).encode(packet, end, limit)
    except (IndexError, ValueError, struct.error):
        return None


def udp(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind((address, 53))
    return sock


def never_read(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
    sock.bind((address, 53))
    return sock


def over_tcp(listener):
    """Few connections: each has a thread."""

    def serve(conn):
        at = conn.getsockname()[0]
        try:
            with conn, conn.makefile("rb") as stream:
                while len(head := stream.read(2)) == 2:
                    said = answer(at, stream.read(*struct.unpack("!H", head)), 65_535)
                    conn.sendall(struct.pack("!H", len(said)) + said)
        except (OSError, IndexError, struct.error):
            pass

    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


def honest():
    sock = udp("0.0.0.0")
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    listener = socket.create_server(("0.0.0.0", 53), backlog=512, reuse_port=True)
    threading.Thread(target=over_tcp, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    late = deque()
    while True:
        now = time.monotonic()
        while late and late[0][0] <= now:
            _, said, to, source = late.popleft()
            sock.sendmsg([said], [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, source, b"\0\0\0\0"))], 0, to)
        if not select.select([sock], [], [], max(late[0][0] - now, 0) if late else None)[0]:
            continue
        packet, ancillary, _, peer = sock.recvmsg(4096, 64)
        local = struct.unpack("=I4s4s", ancillary[0][2][:12])[2]
        said = answer(socket.inet_ntoa(local), packet, 1232)
        if said:
            late.append((time.monotonic() + DELAY_S, said, peer, local))


def hostile():
    silent = [never_read(address) for address in SILENT_AT]
    evil_socket, held_socket = udp(EVIL_AT), udp(HELD_AT)
    for address in (EVIL_AT, HELD_AT):
        listener = socket.create_server((address, 53), backlog=512, reuse_port=True)
        threading.Thread(target=over_tcp, args=(listener,), daemon=True).start()
    print("ready", len(silent), flush=True)
    held, release_at, released_until = [], None, 0
    while True:
        now = time.monotonic()
        if release_at and now >= release_at:
            for packet, peer in held:
                held_socket.sendto(answer(HELD_AT, packet, 1232), peer)
            held, release_at, released_until = [], None, now + RELEASED_S
        ready = select.select([evil_socket, held_socket], [], [], max(release_at - now, 0) if release_at else None)[0]
        if evil_socket in ready:
            packet, peer = evil_socket.recvfrom(4096)
            evil_socket.sendto(answer(EVIL_AT, packet, 1232) or b"", peer)
        if held_socket in ready:
            packet, peer = held_socket.recvfrom(4096)
            if time.monotonic() >= released_until and question(packet)[1] == TXT:
                held.append((packet, peer))
                release_at = release_at or time.monotonic() + HOLD_S
            else:
                held_socket.sendto(answer(HELD_AT, packet, 1232) or b"", peer)


if __name__ == "__main__":
    {"honest": honest, "hostile": hostile}[sys.argv[1]]()
