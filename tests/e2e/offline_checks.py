"""The network goes and comes back: cached names meanwhile, and how long until the first new answer.

The world is in a second namespace; a veth pair leads there. It is lost in two ways: the link goes down, of which the kernel
tells, or everything vanishes behind the first router, of which nobody tells.
"""

import os
import select
import subprocess
import sys
import time

import network
import wire
from asking import LOCAL, WWW, guarded, reply, seen, tally, udp_socket, until
from authorities import Nsd, SmallWorld
from space import ip
from wire import Reply

GATEWAY, OWN, GATEWAY6, OWN6 = "198.18.0.1", "198.18.0.2", "2001:db8:ffff::1", "2001:db8:ffff::2"
AWAY_S = 5.3


class Elsewhere:
    """A network namespace that lives as long as its one process."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        here = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != here, 5)
        self.enter = ["nsenter", "-t", str(self.process.pid), "-n"]

    def ip(self, *words):
        done = subprocess.run([*self.enter, "ip", *words], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")


def far_nsd(elsewhere):
    class FarNsd(Nsd):
        def words(self):
            return [*elsewhere.enter, *super().words()]

    return FarNsd


def lay_link(elsewhere, addresses):
    ip("link", "set", "lo", "up")
    ip("link", "add", "out0", "type", "veth", "peer", "name", "in0")
    ip("link", "set", "in0", "netns", str(elsewhere.process.pid))
    elsewhere.ip("link", "set", "lo", "up")
    for address in dict.fromkeys(addresses):
        elsewhere.ip("addr", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo", *(["nodad"] if ":" in address else []))
    elsewhere.ip("addr", "add", f"{GATEWAY}/24", "dev", "in0")
    elsewhere.ip("-6", "addr", "add", f"{GATEWAY6}/64", "dev", "in0", "nodad")
    elsewhere.ip("link", "set", "in0", "up")
    ip("addr", "add", f"{OWN}/24", "dev", "out0")
    link_up()


def link_up():
    """What a DHCP client and a router's advertisement do."""
    ip("link", "set", "out0", "up")
    ip("-6", "addr", "replace", f"{OWN6}/64", "dev", "out0", "nodad")
    ip("route", "replace", "default", "via", GATEWAY)
    ip("-6", "route", "replace", "default", "via", GATEWAY6)


def ways_to_lose(elsewhere):
    def behind(verb):
        elsewhere.ip("route", verb, "blackhole", f"{OWN}/32")
        elsewhere.ip("-6", "route", verb, "blackhole", f"{OWN6}/128")

    return {
        "link down and up": (lambda: ip("link", "set", "out0", "down"), link_up),
        "silence behind the router": (lambda: behind("add"), lambda: behind("del")),
    }


def offline_stage(words, stage_of):
    if network.missing_tools(["ip", "nsd", "unbound", "named"]):
        sys.exit(1)
    with stage_of(words.keep) as stage:
        elsewhere = Elsewhere()
        try:
            world = SmallWorld()
            lay_link(elsewhere, world.addresses())
            stage.running += world.start(stage.folder, True, dict.fromkeys(world.parts, far_nsd(elsewhere))).values()
            for name in ("cairn", "unbound", "bind"):
                subject = stage.subject(name)
                if not subject.start([f"{LOCAL}:53"]):
                    sys.exit(f"{name} does not start: {subject.log()}")
                tally.server = name
                for what, (lose, restore) in ways_to_lose(elsewhere).items():
                    away_and_back(what, lose, restore)
                subject.stop()
        finally:
            elsewhere.process.kill()
            elsewhere.process.wait()


def away_and_back(what, lose, restore):
    fresh = (f"x{time.monotonic_ns()}.wild.example.com" for _ in iter(int, 1))
    guarded(what, "all is well before", lambda: (set((got := reply(LOCAL, "www.example.com", "A")).values("A")) == WWW, seen(got)))
    lose()
    with udp_socket(LOCAL) as sock:
        end = time.monotonic() + AWAY_S
        while time.monotonic() < end:
            sock.sendto(wire.query(next(fresh), "A"), (LOCAL, 53))
            time.sleep(0.5)

        def cached():
            got = reply(LOCAL, "www.example.com", "A", timeout=1)
            return set(got.values("A")) == WWW, seen(got)

        guarded(what, "cached names are served meanwhile", cached)
        begun = time.monotonic()
        restore()
        waited = first_answer(sock, fresh, begun)
    tally.check(what, "answers come back", waited is not None)
    tally.notes.append(f"{tally.server}: {what}: first answer after " + ("more than 20 s" if waited is None else f"{waited:.3f} s"))


def first_answer(sock, fresh, begun):
    """Seconds until a question about a new name, asked every 20 ms, has an answer; of those that waited as well."""
    while time.monotonic() - begun < 20:
        sock.sendto(wire.query(next(fresh), "A"), (LOCAL, 53))
        end = time.monotonic() + 0.02
        while (left := end - time.monotonic()) > 0:
            if select.select([sock], [], [], left)[0] and Reply(sock.recv(65535)).values("A"):
                return time.monotonic() - begun
    return None
