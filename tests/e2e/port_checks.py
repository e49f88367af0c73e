"""Source ports of queries to one server that sends no cookie: a fresh one for each query, spread over the whole range, and not
to be guessed from the ones before (RFC 5452 9.2)."""

import socket
import struct
import threading

import network
from asking import LOCAL, guarded, reply, seen, tally

SERVER = "198.51.100.40"
QUERIES = 2_000
LOWEST, HIGHEST = 1024, 65_535
EIGHTHS = 8


class Upstream:
    """Answers every question with one address and no EDNS, and notes the port that each query came from."""

    def __init__(self):
        self.ports = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((SERVER, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, (host, port) = self.socket.recvfrom(4096)
            except OSError:
                return
            self.ports.append(port)
            self.socket.sendto(answer(query), (host, port))

    def close(self):
        self.socket.close()


def answer(query):
    end = 12
    while query[end]:
        end += 1 + query[end]
    question = query[12 : end + 5]
    header = query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0)
    return header + question + b"\xc0\x0c" + struct.pack("!HHIH4s", 1, 1, 60, 4, bytes([192, 0, 2, 1]))


def port_checks(upstream):
    def all_answered():
        for number in range(QUERIES):
            got = reply(LOCAL, f"n{number}.ports.example", "A")
            if got.values("A") != ["192.0.2.1"]:
                return False, f"{number}: {seen(got)}"
        return True, ""

    def one_each():
        return len(ports) >= QUERIES and len(set(ports)) >= 0.95 * len(ports), f"{len(set(ports))} ports in {len(ports)} queries"

    def spread():
        width = (HIGHEST + 1 - LOWEST) / EIGHTHS
        shares = [sum(int((port - LOWEST) / width) == eighth for port in ports) for eighth in range(EIGHTHS)]
        # Five standard deviations of a uniform choice.
        mean = len(ports) / EIGHTHS
        margin = 5 * (mean * (1 - 1 / EIGHTHS)) ** 0.5
        return min(ports) >= LOWEST and all(abs(share - mean) < margin for share in shares), shares

    def uncorrelated():
        """The correlation of each port with those up to three queries before; its standard deviation is 1/sqrt(n)."""
        mean = sum(ports) / len(ports)
        variance = sum((port - mean) ** 2 for port in ports)
        lags = [sum((a - mean) * (b - mean) for a, b in zip(ports, ports[lag:])) / variance for lag in (1, 2, 3)]
        near = sum(abs(a - b) < 64 for a, b in zip(ports, ports[1:]))
        odd = sum(port % 2 for port in ports) / len(ports)
        shown = f"correlation {[round(lag, 3) for lag in lags]}, {near} pairs close together, {odd:.0%} odd"
        tally.notes.append(f"source ports: {len(set(ports))} in {len(ports)} queries, {shown}")
        return all(abs(lag) < 5 / len(ports) ** 0.5 for lag in lags) and near < 0.01 * len(ports) and 0.4 < odd < 0.6, shown

    ports = upstream.ports
    guarded("ports", "all names resolve", all_answered)
    guarded("ports", "each query has a port of its own", one_each)
    guarded("ports", "ports are spread over the whole range", spread)
    guarded("ports", "ports do not follow from the ones before", uncorrelated)


def ports_stage(words, make_stage):
    tally.server = tally.judged = "cairn"
    with make_stage(words.keep) as stage:
        network.make_network([SERVER])
        upstream = Upstream()
        subject = stage.subject("cairn")
        subject.more = f'[[forward]]\nzone = "."\nto = ["{SERVER}"]\n'
        if tally.check("start", "answers within 10 s", subject.start([f"{LOCAL}:53"]), subject.log()):
            port_checks(upstream)
        upstream.close()
