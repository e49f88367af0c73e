"""The real root zone, when there is a file of it (CAIRN_ROOT_ZONE), at a clock at which its signatures hold: every DS set and the
denial of a thousand names that are no TLDs are proved from the built-in anchors, and what the denials cost is counted."""

import calendar
import os
import random
import re
import subprocess
import sys
import time

import network
from asking import PLACES, guarded, reply, seen, tally
from authorities import HERE, ROOT_ADDRESSES, Nsd
from real_root import zone_text
from wire import AD, RD, opt

TOOLS = ["ip", "nsd", "unbound", "cc"]
DENIALS = 1000


class Zone:
    def __init__(self, text):
        owners = lambda rtype: re.findall(rf"^([a-z0-9-]+)\.\s+\d+\s+IN\s+{rtype}\s", text, re.MULTILINE)
        self.serial = re.search(r"SOA\s+\S+\s+\S+\s+\(?\s*(\d+)", text)[1]
        self.delegated = sorted(set(owners("NS")))
        self.ds = {name: owners("DS").count(name) for name in set(owners("DS"))}
        expiration, inception = re.search(r"^\.\s+\d+\s+IN\s+RRSIG\s+SOA\s+\d+\s+\d+\s+\d+\s+(\d{14})\s+(\d{14})", text, re.MULTILINE).groups()
        moment = lambda digits: calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S"))
        self.noon = (moment(inception) + moment(expiration)) // 2


def root_stage(words, stage):
    file = os.environ.get("CAIRN_ROOT_ZONE")
    if not file:
        print("not checked: CAIRN_ROOT_ZONE names no file of the real root zone\n0 passed, 0 failed")
        sys.exit(0)
    if network.missing_tools(TOOLS):
        sys.exit(1)
    with stage(words.keep) as here:
        text = zone_text(file)
        zone, path, shim = Zone(text), here.folder / "root.zone", here.folder / "clock.so"
        path.write_text(text)
        subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", shim, HERE / "clock.c"], check=True)
        addresses = [address for address in ROOT_ADDRESSES if ":" not in address]
        network.make_network(addresses)
        root = Nsd("root", here.folder, addresses, [(".", path)])
        here.running.append(root)
        root.start()
        root.wait()
        os.environ.update(LD_PRELOAD=str(shim), CLOCK_SHIFT=str(zone.noon - int(time.time())))
        tally.notes.append(f"the root zone {zone.serial}: {len(zone.delegated)} delegations, {len(zone.ds)} with DS")
        for name in ("cairn", "unbound"):
            tally.server, place = name, PLACES[name]
            subject = here.subject(name, anchors=HERE.parent.parent / "zones/root.anchors")
            if name == "cairn":
                subject.anchors = "built in"
            if not subject.start([f"{place.v4}:53"], place.v4):
                sys.exit(f"{name} does not start: {subject.log()}")
            zone_checks(place.v4, zone)
            # A new start empties the cache of what the DS questions have denied.
            subject.stop()
            if not subject.start([f"{place.v4}:53"], place.v4):
                sys.exit(f"{name} does not start again: {subject.log()}")
            before = upstream_queries(subject)
            denial_checks(place.v4, zone)
            if before is not None:
                cost = upstream_queries(subject) - before
                tally.notes.append(f"{name}: {DENIALS} denials cost {cost} queries to the root")
                tally.check("denials", "cost fewer queries than there are names", cost < DENIALS, cost)


def zone_checks(server, zone):
    for rtype in ("DNSKEY", "SOA"):
        guarded("apex", f". {rtype}", lambda rtype=rtype: proved(server, ".", rtype, lambda got: got.values(rtype)))
    for name in zone.delegated:
        count = zone.ds.get(name, 0)
        right = lambda got, count=count: len(got.values("DS")) == count
        guarded("DS sets" if count else "no DS", f"{name}. DS", lambda name=name, right=right: proved(server, name, "DS", right))


def denial_checks(server, zone):
    letters, names = random.Random(zone.serial), set()
    while len(names) < DENIALS:
        name = "".join(letters.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(letters.randint(3, 12)))
        # What is special by rule (RFC 6761) is answered here and never sent out.
        if name not in zone.delegated and name not in ("test", "local", "onion", "internal", "alt", "invalid", "localhost"):
            names.add(name)
    for name in sorted(names, key=lambda name: letters.random()):
        guarded("denials", f"{name}. A", lambda name=name: proved(server, name, "A", lambda got: not got.answer, "NXDOMAIN"))


def proved(server, name, rtype, right, rcode="NOERROR"):
    got = reply(server, name, rtype, flags=RD | AD, extra=opt(size=4096))
    return got.rcode == rcode and got.has(AD) and right(got), seen(got)


def upstream_queries(subject):
    if subject.name != "cairn":
        return None
    told = subprocess.run([subject.binary, "stats"], capture_output=True, text=True, timeout=10).stdout
    return int(re.search(r"^upstream-queries\s+(\d+)", told, re.MULTILINE)[1])
