"""Who asks whom, how a question is sent and its reply taken, and the tally of what was checked."""

import os
import re
import socket
import struct
import subprocess
import time
from typing import NamedTuple

import wire
from wire import AA, AD, CD, QR, RA, RD, TC, Z, Broken, Reply

# Where the server under test answers: to the machine itself, and to a network.
LOCAL, LOCAL6, LAN = "127.0.0.1", "::1", "192.0.2.53"
NEIGHBOUR, STRANGER = "192.0.2.99", "203.0.113.9"
LAN6, ELSEWHERE6 = "2001:db8:c::53", "2001:db8:c::77"


class Place(NamedTuple):
    """Where a server is asked: over both families, and by a network."""

    v4: str
    v6: str
    lan: str


# The peers stand beside Cairn, for the same questions in the same world.
PLACES = {
    "cairn": Place(LOCAL, LOCAL6, LAN),
    "unbound": Place("192.0.2.54", "2001:db8:c::54", "192.0.2.54"),
    "bind": Place("192.0.2.55", "2001:db8:c::55", "192.0.2.55"),
}
ALLOW = ["127.0.0.0/8", "::1/128", "192.0.2.0/24", "2001:db8:c::/48"]

WWW = {"93.184.216.34", "93.184.216.35", "93.184.216.36"}


class Tally:
    """What was checked: of which server, by which client. What a control fails is counted and not held against anybody."""

    def __init__(self):
        self.rows, self.missing, self.notes = [], [], []
        self.server, self.judged = "cairn", "cairn"

    def check(self, client, what, good, detail=""):
        self.rows.append((self.server, client, bool(good)))
        if not good and (self.server == self.judged or os.environ.get("VERBOSE")):
            detail = re.sub(r"\s*\n\s*", " | ", str(detail).strip())
            print(f"FAILED  {self.server}: {client}: {what}" + (f": {detail[:900]}" if detail else ""), flush=True)
        return good

    def table(self):
        clients = list(dict.fromkeys(client for _, client, _ in self.rows))
        servers = sorted(dict.fromkeys(server for server, _, _ in self.rows), key=lambda server: server != self.judged)
        width = max(len(client) for client in clients + ["client"])
        print(f"\n{'passed of checked':{width}}" + "".join(f"{server:>14}" for server in servers))
        for client in clients:
            cells = []
            for server in servers:
                outcomes = [good for by, other, good in self.rows if by == server and other == client]
                cells.append(f"{sum(outcomes)} of {len(outcomes)}" if outcomes else "-")
            print(f"{client:{width}}" + "".join(f"{cell:>14}" for cell in cells))
        for note in self.notes:
            print(note)
        own = [good for server, _, good in self.rows if server == self.judged]
        if self.missing:
            print("not checked: " + ", ".join(self.missing))
        print(f"{sum(own)} passed, {len(own) - sum(own)} failed", flush=True)
        return 1 if not all(own) or not own or (self.missing and os.environ.get("CI")) else 0


tally = Tally()


class NoReply(Exception):
    """Silence, for as long as we waited."""


def until(ready, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.05)
    return False


def answers(address, name, port=53):
    try:
        ask(address, wire.query(name, "SOA", flags=0), port=port, timeout=0.3)
        return True
    except (OSError, NoReply):
        return False


def udp_socket(address, source=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if source:
        sock.bind((source, 0))
    return sock


def ask(address, packet, port=53, source=None, timeout=7.0):
    """The reply as octets and who sent it. Not connected: a reply from a wrong address is seen, not dropped."""
    with udp_socket(address, source) as sock:
        sock.settimeout(timeout)
        sock.sendto(packet, (address, port))
        try:
            data, peer = sock.recvfrom(65535)
        except TimeoutError:
            raise NoReply from None
        return data, peer[0]


def reply(address, name, rtype, source=None, port=53, timeout=7.0, **how):
    """The reply, read strictly."""
    return Reply(ask(address, wire.query(name, rtype, **how), port, source, timeout)[0])


def tcp_exchange(address, chunks, count, port=53, timeout=7.0):
    """Sends the chunks one by one on one connection; `count` replies."""
    replies = []
    with socket.create_connection((address, port), timeout=timeout) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for chunk in chunks:
            sock.sendall(chunk)
            time.sleep(0.02)
        stream = sock.makefile("rb")
        while len(replies) < count:
            head = stream.read(2)
            if len(head) < 2:
                break
            replies.append(Reply(stream.read(struct.unpack("!H", head)[0])))
    return replies


def framed(packet):
    return struct.pack("!H", len(packet)) + packet


def guarded(client, what, test):
    """A check that raises has failed, with the reason."""
    try:
        good, detail = test()
    except NoReply:
        good, detail = False, "no reply"
    except (Broken, OSError, IndexError, ValueError, subprocess.SubprocessError) as problem:
        good, detail = False, f"{type(problem).__name__}: {problem}"
    tally.check(client, what, good, detail)


def seen(answer):
    """A reply in one line, for the person who reads a failure."""
    bits = {"QR": QR, "AA": AA, "TC": TC, "RD": RD, "RA": RA, "Z": Z, "AD": AD, "CD": CD}
    flags = "+".join(name for name, bit in bits.items() if answer.has(bit))
    sections = f"answer {answer.answer} authority {answer.authority} additional {answer.additional}"
    return f"{answer.rcode} {flags} {sections} EDE {answer.ede}"
