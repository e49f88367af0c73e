"""Clients: those that flood, and one that asks a hundred honest questions."""

import itertools
import os
import select
import socket
import struct
import time

import wire
from wire import Broken, Reply

HONEST_CLIENT = "203.0.113.200"
SO_TIMESTAMPNS = 35


def client(address, place):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((address, 0))
    sock.connect(place)
    sock.setblocking(False)
    return sock


class Flood:
    """A process that sends `name(number)` at `rate` a second for `seconds`, by turns from each of `clients`; no reply is read."""

    def __init__(self, place, clients, name, rate, seconds, first=0, rtype="A"):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._run(place, clients, name, rate, seconds, first, rtype)
            finally:
                os._exit(0)

    def _run(self, place, clients, name, rate, seconds, first, rtype):
        socks = [client(address, place) for address in clients]
        begun, number = time.monotonic(), 0
        while number < rate * seconds:
            due = int((time.monotonic() - begun) * rate)
            while number <= min(due, rate * seconds - 1):
                packet = wire.query(name(first + number), rtype, ident=number & 0xFFFF)
                try:
                    socks[number % len(socks)].send(packet)
                except OSError:
                    pass
                number += 1
            time.sleep(0.001)

    def wait(self):
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = None


def ask_in_turn(place, clients, names, rtype, window=60):
    """Asks for all names, with so many questions under way from each client; lost ones are not asked again."""
    socks = {client(address, place): window for address in clients}
    names, ident = iter(names), 0
    while True:
        for sock, room in socks.items():
            for name in itertools.islice(names, room):
                ident = (ident + 1) & 0xFFFF
                sock.send(wire.query(name, rtype, ident=ident, extra=wire.opt()))
                socks[sock] -= 1
        ready = select.select(list(socks), [], [], 0.5)[0]
        if not ready and all(room == window for room in socks.values()):
            return
        for sock in socks if not ready else ready:
            try:
                while ready:
                    sock.recv(65535)
                    socks[sock] = min(socks[sock] + 1, window)
            except OSError:
                continue
            socks[sock] = window


class Answer:
    def __init__(self, seconds, reply):
        self.seconds, self.reply = seconds, reply

    def is_right(self, rtype, value):
        return self.reply is not None and self.reply.rcode == "NOERROR" and self.reply.values(rtype) == [value]


def ask_each(place, names, every, rtype="A", patience=5.0, address=HONEST_CLIENT, flags=wire.RD, do=False):
    """Asks one after the other, one each `every` seconds, and waits for late replies: an Answer for each name."""
    sock = client(address, place)
    answers, sent, number = [None] * len(names), [0.0] * len(names), 0
    begun = time.monotonic()
    while True:
        now = time.monotonic()
        if number < len(names) and now >= begun + number * every:
            sent[number] = now
            sock.send(wire.query(names[number], rtype, ident=number, flags=flags, extra=wire.opt(do=do)))
            number += 1
            continue
        is_over = number == len(names) and (None not in answers or now > sent[-1] + patience)
        if is_over:
            return [answer or Answer(patience, None) for answer in answers]
        until = begun + number * every if number < len(names) else now + 0.1
        if select.select([sock], [], [], max(min(until - now, 0.1), 0))[0]:
            try:
                reply = Reply(sock.recv(65535))
            except (Broken, OSError):
                continue
            if reply.id < len(names) and answers[reply.id] is None:
                answers[reply.id] = Answer(time.monotonic() - sent[reply.id], reply)


def arrivals(place, asked, rtype, over, seconds):
    """Sends the names of each client (`asked`: address -> names) within `over` seconds: for each client, when by the kernel's
    clock the reply to each name came, and the reply."""
    socks = {client(address, place): names for address, names in asked.items()}
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    queue = sorted((at * over / len(names), number, sock) for number, (sock, names) in enumerate(socks.items()) for at in range(len(names)))
    sent, came = {sock: 0 for sock in socks}, {sock: {} for sock in socks}
    begun, next_one = time.monotonic(), 0
    while time.monotonic() < begun + seconds and sum(map(len, came.values())) < len(queue):
        while next_one < len(queue) and time.monotonic() >= begun + queue[next_one][0]:
            sock = queue[next_one][2]
            sock.send(wire.query(socks[sock][sent[sock]], rtype, ident=sent[sock], extra=wire.opt()))
            sent[sock], next_one = sent[sock] + 1, next_one + 1
        for sock in select.select(list(socks), [], [], 0.0005)[0]:
            data, ancillary, _, _ = sock.recvmsg(65535, 256)
            seconds_of, nanoseconds = next(struct.unpack("qq", value[:16]) for _, kind, value in ancillary if kind == SO_TIMESTAMPNS)
            came[sock].setdefault(struct.unpack("!H", data[:2])[0], (seconds_of + nanoseconds / 1e9, Reply(data)))
    return {address: came[sock] for sock, address in zip(socks, asked)}


def over_tcp(address, place, packet):
    with socket.create_connection(place, 5, source_address=(address, 0)) as sock, sock.makefile("rb") as stream:
        sock.sendall(struct.pack("!H", len(packet)) + packet)
        return Reply(stream.read(*struct.unpack("!H", stream.read(2))))


def unread_connection(address, place, packets):
    """A TCP connection on which all these are asked and no reply is read."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.bind((address, 0))
    sock.settimeout(2)
    sock.connect(place)
    sock.setblocking(False)
    try:
        sock.send(b"".join(struct.pack("!H", len(packet)) + packet for packet in packets))
    except OSError:
        pass
    return sock
