"""Zones that go from server to server: Cairn as primary of BIND, Knot and NSD, and as secondary of each; with and without keys.

Each zone has timers of one second. What is waited for has a bound that an operator would accept; nothing is slept for.
"""

import re
import signal
import socket
import subprocess
import threading
import time

import network
from catalog_checks import catalogs
from asking import LOCAL, tally, until
from space import all_is_local

CAIRN = "192.0.2.53"
PEERS = {"bind": "192.0.2.61", "knot": "192.0.2.62", "nsd": "192.0.2.63"}
STRANGER = "203.0.113.9"
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WRONG = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
KEY = "transfer.example."
IN_STEP_S = 2.0


def zone_text(serial, more="", timers="1 1 5 1"):
    return (
        f"$TTL 60\n@ SOA ns host {serial} {timers}\n@ NS ns\nns A 192.0.2.1\n"
        + "".join(f"h{n} A 198.51.100.{n % 250}\nh{n} TXT \"text number {n}\"\n" for n in range(400))
        + "*.wild MX 10 mail.elsewhere.example.\nalias CNAME h1\n" + more
    )


def dig(server, *words, source=None, timeout=15):
    source = ["-b", source] if source else []
    done = subprocess.run(["dig", f"@{server}", *source, "+tries=1", "+time=2", *words], capture_output=True, text=True, timeout=timeout)
    return done.stdout


def serial(server, zone):
    words = dig(server, zone, "SOA", "+short", "+norecurse").split()
    return int(words[2]) if len(words) == 7 else None


def status_of(server, name, rtype="A"):
    found = re.search(r"status: (\w+)", dig(server, name, rtype, "+norecurse"))
    return found.group(1) if found else None


def records(server, zone, *words):
    """The records of a transfer, each once; `None` if it fails."""
    text = dig(server, zone, "AXFR", "+onesoa", "+noall", "+answer", "+nocrypto", *words)
    found = {" ".join(line.split()).lower() for line in text.splitlines() if line and not line.startswith(";")}
    return found or None


def in_step(server, zone, wanted, seconds=IN_STEP_S):
    begun = time.monotonic()
    return until(lambda: serial(server, zone) == wanted, seconds), f"{serial(server, zone)} and not {wanted} after {time.monotonic() - begun:.1f} s"


class Peer:
    """A server of somebody else, restarted with each new set of zones."""

    def __init__(self, stage, name):
        self.name, self.address, self.folder = name, PEERS[name], stage.folder / f"peer-{name}"
        (self.folder / "db").mkdir(parents=True)
        self.process = None
        stage.running.append(self)

    def start(self, primary_of=(), secondary_of=(), key=None):
        """Zones that it has, and zones that it gets from Cairn."""
        self.stop()
        words = getattr(self, f"start_{self.name}")(primary_of, secondary_of, key)
        self.process = subprocess.Popen(words, cwd=self.folder, stdout=open(self.folder / "log", "a"), stderr=subprocess.STDOUT)
        zones = list(primary_of)
        return until(lambda: all(serial(self.address, zone) for zone in zones) and self.process.poll() is None, 10)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def put(self, zone, text):
        (self.folder / f"{zone}.zone").write_text(text)

    def start_bind(self, primary_of, secondary_of, key):
        with_key = f" key {KEY}" if key else ""
        zones = [
            f'zone "{zone}" {{ type primary; file "{zone}.zone"; ixfr-from-differences yes; allow-transfer {{ {f"key {KEY}" if key else CAIRN}; }}; '
            f"also-notify {{ {CAIRN}{with_key}; }}; notify explicit; }};" for zone in primary_of
        ]
        zones += [
            f'zone "{zone}" {{ type secondary; file "{zone}.copy"; masterfile-format text; primaries {{ {CAIRN}{with_key}; }}; '
            "max-refresh-time 1; min-refresh-time 1; max-retry-time 1; min-retry-time 1; };" for zone in secondary_of
        ]
        keys = f'key "{KEY}" {{ algorithm hmac-sha256; secret "{key}"; }};' if key else ""
        (self.folder / "named.conf").write_text(
            f'options {{ directory "{self.folder}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no; '
            f"listen-on {{ {self.address}; }}; listen-on-v6 {{ none; }}; query-source address {self.address}; transfer-source {self.address}; "
            f"notify-source {self.address}; notify-delay 0; serial-query-rate 100; startup-notify-rate 100; notify-rate 100; }};\ncontrols {{ }};\n{keys}\n" + "\n".join(zones) + "\n"
        )
        return ["named", "-g", "-c", "named.conf"]

    def start_knot(self, primary_of, secondary_of, key):
        with_key = f"    key: {KEY}\n" if key else ""
        zones = "".join(
            f"  - domain: {zone}\n    file: {zone}.zone\n    notify: cairn\n    acl: cairn\n    zonefile-load: difference\n    journal-content: changes\n" for zone in primary_of
        )
        zones += "".join(f"  - domain: {zone}\n    file: {zone}.copy\n    master: cairn\n    acl: cairn\n    refresh-min-interval: 2\n    retry-min-interval: 2\n" for zone in secondary_of)
        keys = f"key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {key}\n" if key else ""
        (self.folder / "knot.conf").write_text(
            f"server:\n    listen: {self.address}@53\n    rundir: {self.folder}\n{keys}database:\n    storage: {self.folder}/db\n"
            f"remote:\n  - id: cairn\n    address: {CAIRN}@53\n    via: {self.address}\n{with_key}"
            f"acl:\n  - id: cairn\n    address: {CAIRN}\n{with_key}    action: [transfer, notify]\n"
            f"template:\n  - id: default\n    storage: {self.folder}\n" + (f"zone:\n{zones}" if zones else "")
        )
        return ["knotd", "-c", "knot.conf"]

    def start_nsd(self, primary_of, secondary_of, key):
        name = KEY if key else "NOKEY"
        zones = "".join(f"zone:\n  name: {zone}\n  zonefile: {zone}.zone\n  notify: {CAIRN} {name}\n  outgoing-interface: {self.address}\n  provide-xfr: {CAIRN} {name}\n  store-ixfr: yes\n  create-ixfr: yes\n" for zone in primary_of)
        zones += "".join(f"zone:\n  name: {zone}\n  zonefile: {zone}.copy\n  request-xfr: {CAIRN} {name}\n  outgoing-interface: {self.address}\n  allow-notify: {CAIRN} {name}\n  min-refresh-time: 1\n  max-refresh-time: 1\n  min-retry-time: 1\n  max-retry-time: 1\n" for zone in secondary_of)
        keys = f"key:\n  name: {KEY}\n  algorithm: hmac-sha256\n  secret: \"{key}\"\n" if key else ""
        (self.folder / "nsd.conf").write_text(
            f'server:\n  ip-address: {self.address}\n  zonesdir: "{self.folder}"\n  username: ""\n  chroot: ""\n  pidfile: ""\n  database: ""\n'
            f'  xfrdfile: "{self.folder}/xfrd.state"\n  xfrdir: "{self.folder}"\n  zonelistfile: "{self.folder}/zones.list"\n  xfrd-reload-timeout: 0\n  server-count: 1\n'
            f"remote-control:\n  control-enable: no\n{keys}{zones}"
        )
        return ["nsd", "-d", "-c", "nsd.conf"]


class Transfers:
    """Cairn, and how it is configured for these checks."""

    def __init__(self, stage):
        self.stage, self.cairn = stage, stage.subject("cairn")
        self.folder, self.zones = self.cairn.folder, self.cairn.folder / "own"
        self.zones.mkdir()
        self.config = self.folder / "cairn.toml"

    def configure(self, blocks, key=None):
        keys = f'[[key]]\nname = "{KEY}"\nsecret = "{key}"\n' if key else ""
        self.config.write_text(
            f'[server]\nlisten = ["{CAIRN}:53", "{LOCAL}:53"]\nstate-dir = "{self.folder}/state"\ncontrol-socket = "{self.folder}/control"\nuser = "root"\n'
            f'[recursion]\nenabled = false\n{keys}' + "".join(blocks)
        )

    def put(self, zone, text):
        (self.zones / f"{zone}.zone").write_text(text)

    def primary(self, zone, transfer, notify=None):
        told = f"notify = [{', '.join(notify)}]\n" if notify is not None else ""
        return f'[[zone]]\nname = "{zone}"\nfile = "{self.zones}/{zone}.zone"\ntransfer = [{", ".join(transfer)}]\n{told}'

    def secondary(self, zone, *primaries):
        return f'[[zone]]\nname = "{zone}"\nprimaries = [{", ".join(primaries)}]\n'

    def start(self, ready):
        self.stop()
        self.cairn.process = self.cairn.run([self.cairn.binary, "run", "--config", self.config])
        return until(ready, 10)

    def stop(self, kill=False):
        process = self.cairn.process
        if process and process.poll() is None:
            process.kill() if kill else process.terminate()
            process.wait(20)

    def command(self, *words):
        return subprocess.run([self.cairn.binary, *words, "--config", self.config], capture_output=True, text=True, timeout=60)


def transfers_stage(words, stage_of):
    gone = network.missing_tools(["ip", "named", "knotd", "nsd", "dig", "kdig"])
    if {"ip", "dig"} & set(gone):
        raise SystemExit(1)
    all_is_local(CAIRN, "2001:db8:c::53")
    for address in [*PEERS.values(), STRANGER]:
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], capture_output=True)
    for address in PEERS.values():
        # Otherwise what Cairn sends to an address of this machine would come from that address.
        route = ["local", address, "dev", "lo", "table", "local", "proto", "kernel", "scope", "host", "src", CAIRN]
        subprocess.run(["ip", "route", "replace", *route], capture_output=True)
    with stage_of(words.keep) as stage:
        transfers = Transfers(stage)
        peers = {name: Peer(stage, name) for name, tool in {"bind": "named", "knot": "knotd", "nsd": "nsd"}.items() if tool not in gone}
        as_primary(transfers, peers)
        for key in (None, SECRET):
            with_peers(transfers, peers, key)
        wrong_key(transfers, peers)
        failing_primaries(transfers, peers)
        catalogs(transfers, peers, CAIRN, status_of)
        # Last: it takes the address of a peer.
        bad_transfers(transfers)


def as_primary(transfers, peers):
    """Who gets what, asked by dig."""
    client = "primary, asked by dig"
    transfers.put("own.example", zone_text(1))
    transfers.configure([transfers.primary("own.example", [f'"{LOCAL}"', f'"key {KEY}"'], [])], key=SECRET)
    if not tally.check(client, "starts", transfers.start(lambda: serial(CAIRN, "own.example") == 1), transfers.cairn.log()):
        return
    whole = records(LOCAL, "own.example", "-b", LOCAL)
    tally.check(client, "AXFR is whole", whole and len(whole) == 805, whole and len(whole))
    key = f"hmac-sha256:{KEY}:{SECRET}"
    tally.check(client, "AXFR with the key, from anywhere", records(CAIRN, "own.example", "-b", STRANGER, "-y", key) == whole)
    refused = dig(CAIRN, "own.example", "AXFR", source=STRANGER)
    tally.check(client, "AXFR without the key is refused", "Transfer failed" in refused, refused)
    for what, bad in (("BADSIG", f"hmac-sha256:{KEY}:{WRONG}"), ("BADKEY", f"hmac-sha256:other.example.:{SECRET}"), ("BADKEY", f"hmac-sha512:{KEY}:{SECRET}")):
        said = dig(CAIRN, "own.example", "SOA", "-y", bad)
        tally.check(client, f"{what} for a wrong key", f"NOTAUTH" in said and what in said, said)
    said = dig(CAIRN, "h1.own.example", "A", "+norecurse", "-y", key)
    tally.check(client, "a signed question has a signed answer", "198.51.100.1" in said and "TSIG" in said and "verify" not in said.lower(), said)
    said = subprocess.run(["kdig", f"@{CAIRN}", "-y", key, "own.example", "AXFR"], capture_output=True, text=True, timeout=20).stdout
    tally.check(client, "kdig verifies every message", said.count("IN\tA\t") >= 400 or len(re.findall(r"\sA\s", said)) >= 400, said[-400:])
    udp = dig(LOCAL, "own.example", "IXFR=0", "+notcp", "-b", LOCAL)
    tally.check(client, "IXFR over UDP: the SOA", udp.count("SOA") >= 1 and "TXT" not in udp, udp[-400:])
    transfers.put("own.example", zone_text(2, "new A 192.0.2.9\n"))
    done = transfers.command("reload")
    tally.check(client, "reload", done.returncode == 0, done.stdout + done.stderr)
    changes = dig(LOCAL, "own.example", "IXFR=1", "+tcp", "+noall", "+answer", "-b", LOCAL)
    tally.check(client, "IXFR: the changes", len([line for line in changes.splitlines() if line and line[0] != ";"]) == 5, changes[-600:])
    current = dig(LOCAL, "own.example", "IXFR=2", "+tcp", "+noall", "+answer", "-b", LOCAL)
    tally.check(client, "IXFR: up to date", len([line for line in current.splitlines() if line and line[0] != ";"]) == 1, current)
    unknown = dig(LOCAL, "own.example", "IXFR=4000000000", "+tcp", "+noall", "+answer", "-b", LOCAL)
    tally.check(client, "IXFR: unknown serial, the whole zone", unknown.count("TXT") == 400, unknown[-300:])
    transfers.stop()


def with_peers(transfers, peers, key):
    """Every peer as a secondary of Cairn, and as its primary."""
    how = "with a key" if key else "by address"
    signed = f" key {KEY}" if key else ""
    kind = "signed" if key else "plain"
    zones = {name: f"to-{name}.{kind}.example" for name in peers}
    back = {name: f"from-{name}.{kind}.example" for name in peers}
    blocks = []
    for name, peer in peers.items():
        transfers.put(zones[name], zone_text(1))
        peer.put(back[name], zone_text(1))
        blocks.append(transfers.primary(zones[name], [f'"{peer.address}{signed}"']))
        blocks.append(transfers.secondary(back[name], f'"{peer.address}{signed}"'))
    for name, peer in peers.items():
        peer.put(zones[name], "")
        tally.check(f"{name}, {how}", "starts", peer.start(primary_of=[back[name]], secondary_of=[zones[name]], key=key), (peer.folder / "log").read_text()[-900:])
    transfers.configure(blocks, key=key)
    begun = transfers.start(lambda: all(serial(CAIRN, zone) == 1 for zone in zones.values()))
    if not tally.check(f"all, {how}", "Cairn starts", begun, transfers.cairn.log()[-900:]):
        return
    for name, peer in peers.items():
        client = f"{name}, {how}"
        tally.check(client, "Cairn is its primary", *in_step(peer.address, zones[name], 1, 15))
        tally.check(client, "Cairn is its secondary", *in_step(CAIRN, back[name], 1, 10))
    for number in (2, 3):
        for name in peers:
            transfers.put(zones[name], zone_text(number, f"added{number} A 192.0.2.{number}\n"))
        done = transfers.command("reload")
        tally.check(f"all, {how}", f"reload {number}", done.returncode == 0, done.stdout + done.stderr)
        for name, peer in peers.items():
            client = f"{name}, {how}"
            tally.check(client, f"in step after change {number}", *in_step(peer.address, zones[name], number))
            same = status_of(peer.address, f"added{number}.{zones[name]}"), status_of(peer.address, f"added{number - 1}.{zones[name]}")
            tally.check(client, f"the data of change {number}", same == ("NOERROR", "NXDOMAIN"), same)
            peer.put(back[name], zone_text(number, f"added{number} A 192.0.2.{number}\n"))
            peer.reload()
            tally.check(client, f"Cairn in step after change {number}", *in_step(CAIRN, back[name], number, IN_STEP_S + 1))
            same = status_of(CAIRN, f"added{number}.{back[name]}"), status_of(CAIRN, f"added{number - 1}.{back[name]}")
            tally.check(client, f"Cairn's data of change {number}", same == ("NOERROR", "NXDOMAIN"), same)
    for name, peer in peers.items():
        listed = transfers.command("zone", "list")
        tally.check(f"{name}, {how}", "zone list", f"{back[name]}." in listed.stdout and "serial 3" in listed.stdout, listed.stdout + listed.stderr)
        again = transfers.command("zone", "retransfer", back[name])
        tally.check(f"{name}, {how}", "retransfer", again.returncode == 0 and "serial 3" in again.stdout, again.stdout + again.stderr)
    transfers.stop()
    for peer in peers.values():
        peer.stop()


def wrong_key(transfers, peers):
    for name, peer in peers.items():
        zone = f"secret-{name}.example"
        peer.put(zone, zone_text(1))
        peer.start(primary_of=[zone], key=WRONG)
        transfers.configure([transfers.secondary(zone, f'"{peer.address} key {KEY}"')], key=SECRET)
        transfers.start(lambda: status_of(CAIRN, zone, "SOA") == "SERVFAIL")
        listed = until(lambda: "last-error\":\"" in transfers.command("zone", "list", "--json").stdout.replace(" ", ""), 8)
        said = transfers.command("zone", "list").stdout
        tally.check(f"{name}, with a wrong key", "nothing is believed", status_of(CAIRN, zone, "SOA") == "SERVFAIL" and listed and "BADSIG" in said or "secret" in said, said)
        transfers.stop()
        peer.stop()


def failing_primaries(transfers, peers):
    """Fail-over, expire, restart without a primary."""
    names = [name for name in ("bind", "knot", "nsd") if name in peers][:2]
    if len(names) < 2:
        return
    client, zone = "failing primaries", "shared.example"
    first, second = (peers[name] for name in names)
    for peer in (first, second):
        peer.put(zone, zone_text(1, timers="1 1 6 1"))
        peer.start(primary_of=[zone])
    transfers.configure([transfers.secondary(zone, f'"{first.address}"', f'"{second.address}"')])
    tally.check(client, "transferred", transfers.start(lambda: serial(CAIRN, zone) == 1), transfers.cairn.log()[-900:])
    first.stop()
    second.put(zone, zone_text(2, timers="1 1 6 1"))
    second.reload()
    tally.check(client, "the other primary is asked", *in_step(CAIRN, zone, 2, 10))
    second.stop()
    transfers.stop(kill=True)
    begun = transfers.start(lambda: serial(CAIRN, zone) == 2)
    tally.check(client, "the copy is served after a crash, with all primaries dead", begun, transfers.cairn.log()[-900:])
    tally.check(client, "SERVFAIL after expire", until(lambda: status_of(CAIRN, f"h1.{zone}") == "SERVFAIL", 12), status_of(CAIRN, f"h1.{zone}"))
    said = transfers.command("zone", "list").stdout
    tally.check(client, "which is told", "expired" in said and "last error" in said, said)
    transfers.stop()
    transfers.start(lambda: status_of(CAIRN, f"h1.{zone}") is not None)
    tally.check(client, "also after a restart", status_of(CAIRN, f"h1.{zone}") == "SERVFAIL", status_of(CAIRN, f"h1.{zone}"))
    second.start(primary_of=[zone])
    tally.check(client, "and served again when a primary is back", *in_step(CAIRN, zone, 2, 12))
    transfers.stop()
    second.stop()


def bad_transfers(transfers):
    """A primary that ends the connection in the middle: what was served stays."""
    client, zone, address = "bad transfers", "cut.example", PEERS["bind"]
    name = b"\x03cut\x07example\x00"

    def soa(serial):
        data = b"\x02ns\xc0\x0c\x04host\xc0\x0c" + b"".join(n.to_bytes(4, "big") for n in (serial, 1, 1, 600, 1))
        return b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x3c" + len(data).to_bytes(2, "big") + data

    ns = b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x3c\x00\x05\x02ns\xc0\x0c"
    a = b"\x02ns\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"
    elsewhere = b"\x05other\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"

    def reply(query, records):
        return query[:2] + b"\x84\x00\x00\x01" + len(records).to_bytes(2, "big") + b"\x00\x00\x00\x00" + name + query[12 + len(name):16 + len(name)] + b"".join(records)

    state = {"serial": 1, "body": [soa(1), ns, a, soa(1)]}
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind((address, 53))
    tcp.bind((address, 53))
    tcp.listen(5)
    transfers.stage.sockets += [udp, tcp]

    def over_udp():
        while True:
            try:
                query, peer = udp.recvfrom(4096)
            except OSError:
                return
            if query[2] & 0x78 == 0:
                udp.sendto(reply(query, [soa(state["serial"])]), peer)

    def over_tcp():
        while True:
            try:
                connection, _ = tcp.accept()
            except OSError:
                return
            with connection:
                query = connection.recv(4096)[2:]
                if query:
                    message = reply(query, state["body"])
                    connection.sendall(len(message).to_bytes(2, "big") + message)

    for serve in (over_udp, over_tcp):
        threading.Thread(target=serve, daemon=True).start()
    transfers.configure([transfers.secondary(zone, f'"{address}"')])
    tally.check(client, "a good one", transfers.start(lambda: serial(CAIRN, zone) == 1), transfers.cairn.log()[-900:])
    for number, (what, body, told) in enumerate([
        ("cut off", [soa(2), ns], "closed the connection"),
        ("out-of-zone data", [soa(3), ns, a, elsewhere, soa(3)], "outside the zone"),
        ("another closing SOA", [soa(4), ns, a, soa(9)], "changed during the transfer"),
        ("no opening SOA", [ns, a], "does not begin with"),
    ], start=2):
        state.update(serial=number, body=body)
        seen = until(lambda told=told: told in transfers.command("zone", "list").stdout, 8)
        tally.check(client, what, seen and serial(CAIRN, zone) == 1, transfers.command("zone", "list").stdout)
    state.update(serial=6, body=[soa(6), ns, a, soa(6)])
    tally.check(client, "a good one again", *in_step(CAIRN, zone, 6, 8))
    transfers.stop()
