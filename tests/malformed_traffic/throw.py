"""Throwing: UDP as fast as the server reads, TCP with framing right and wrong, and a sample with every reply noted."""

import selectors
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path

from wire import Broken, Reply

BATCH = 64
FRAMINGS = ("right", "right", "right", "too long", "too short", "empty", "dribbled", "reset", "half")


def udp_drops(port):
    """Packets that the kernel threw away because a socket on this port was full."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if int(row[1].split(":")[1], 16) == port)


def over_udp(mutator, count, address, port, sources):
    """`count` packets; after each batch what has come back is taken. Returns how many had a valid header, and the replies."""
    sockets = []
    for source in sources:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((source, 0))
        sock.connect((address, port))
        sock.setblocking(False)
        sockets.append(sock)
    valid_count = replies = sent = 0
    pause, drops = 0.0005, udp_drops(port)
    while sent < count:
        for _ in range(min(BATCH, count - sent)):
            packet, valid = mutator.query()
            valid_count += valid
            sent += 1
            try:
                sockets[sent % len(sockets)].send(packet)
            except OSError:
                pass
        for sock in sockets:
            replies += drain(sock)
        time.sleep(pause)
        if sent % (BATCH * 16) == 0:
            # As fast as it reads, and no faster: a packet that the kernel drops tests nothing.
            now = udp_drops(port)
            pause = min(0.02, pause * 2) if now > drops else pause * 0.9
            drops = now
    time.sleep(0.5)
    replies += sum(drain(sock) for sock in sockets)
    return valid_count, replies


def drain(sock):
    taken = 0
    while True:
        try:
            sock.recv(65535)
            taken += 1
        except OSError:
            return taken


def over_tcp(mutators, count, address, port):
    """`count` messages by as many threads as there are mutators; framing is broken in half of the connections."""
    tally, lock = Counter(), threading.Lock()

    def work(mutator, share):
        mine = Counter()
        while mine["sent"] < share:
            one_connection(mutator, mine, address, port)
        with lock:
            tally.update(mine)

    threads = [threading.Thread(target=work, args=(mutator, count // len(mutators))) for mutator in mutators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def one_connection(mutator, mine, address, port):
    framing = mutator.random.choice(FRAMINGS)
    stream = bytearray()
    for _ in range(1 + int(mutator.random.random() * 16)):
        packet, valid = mutator.query()
        mine["sent"] += 1
        mine["valid"] += valid
        wrong = {"too long": 1 + int(mutator.random.random() * 60_000), "too short": -int(mutator.random.random() * len(packet))}
        length = min(65535, len(packet) + wrong.get(framing, 0)) if mutator.random.random() < 0.5 else len(packet)
        stream += struct.pack("!H", length) + packet
        if framing == "empty":
            stream += b"\0\0" * 3
    mine[framing] += 1
    try:
        with socket.create_connection((address, port), timeout=1) as sock:
            sock.settimeout(0.25)
            if framing == "dribbled":
                for at in range(0, min(len(stream), 60)):
                    sock.send(stream[at : at + 1])
                    time.sleep(0.001)
                sock.sendall(stream[60:])
            elif framing == "half":
                sock.sendall(stream[: len(stream) // 2])
            else:
                sock.sendall(stream)
            if framing == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                mine["read"] += 1
    except OSError:
        mine["closed or silent"] += 1


def classes(packets, address, port, seconds=6.0, at_once=100, place_seconds=0.2):
    """What each packet got, by its number: the packet's ID is replaced by the number, so that replies are told apart."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.connect((address, port))
    sock.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    got, waiting, number = {}, {}, 0
    while number < len(packets) or waiting:
        # Who waits holds a place only for so long: where silence is usual, the silent must not stop the others.
        lively = sum(time.monotonic() - begun < place_seconds for begun in waiting.values())
        while number < len(packets) and lively < at_once:
            try:
                sock.send(struct.pack("!H", number) + packets[number][2:])
            except OSError:
                pass
            waiting[number] = time.monotonic()
            number, lively = number + 1, lively + 1
        for _ in selector.select(0.02):
            take(sock, got, waiting)
        now = time.monotonic()
        for late in [late for late, begun in waiting.items() if now - begun > seconds]:
            del waiting[late]
    return [got.get(number, "silence") for number in range(len(packets))]


def take(sock, got, waiting):
    while True:
        try:
            data = sock.recv(65535)
        except OSError:
            return
        number = struct.unpack("!H", data[:2])[0] if len(data) > 1 else None
        if waiting.pop(number, None) is not None:
            got[number] = class_of(data)


def class_of(data):
    try:
        rcode = Reply(data).rcode
    except (Broken, IndexError, ValueError, struct.error) as problem:
        return f"malformed ({problem})"
    return "answer" if rcode in ("NOERROR", "NXDOMAIN") else rcode
