"""Response policy zones: the same two zones, the same questions, to Cairn and to four peers.

Cairn must do what draft-vixie-dnsop-dns-rpz-00 says. What a peer does otherwise is listed with the section that decides; docs/rpz.md
tells of it.
"""

import shutil
import signal
import socket
import subprocess
import sys

import network
import wire
from asking import NoReply, ask, framed, tally, tcp_exchange, until
from authorities import Named, Nsd
from space import all_is_local, ip
from subjects import Cairn, Subject
from wire import TC, Broken, Reply

ROOT = "198.51.100.1"
CLIENT = "192.0.2.90"
SOA = "$TTL 300\n@ SOA ns host 7 3600 600 86400 60\n"
ACTIONS = {
    "nxdomain": ("CNAME .", "NXDOMAIN"),
    "nodata": ("CNAME *.", "NODATA"),
    "passthru": ("CNAME rpz-passthru.", "true"),
    "drop": ("CNAME rpz-drop.", "no reply"),
    "tcponly": ("CNAME rpz-tcp-only.", "TC"),
    "data": ("A 203.0.113.200", "203.0.113.200"),
    "alias": ("CNAME www.garden.", "www.garden. 203.0.113.7"),
    "wild": ("CNAME *.wild.garden.", "{name}.wild.garden. 203.0.113.8"),
}


class World:
    """Delegations from the root: each zone has a server of its own name and address, and one or more names."""

    def __init__(self):
        self.zones, self.one, self.two, self.cases = {}, [], [], []
        self.server_number, self.address_number, self.client_number = 10, 10, 100

    def zone(self, apex, lines, server=None):
        self.server_number += 1
        self.zones[apex] = (f"198.51.100.{self.server_number}", [server or f"ns.{apex}"], list(lines))
        return self.zones[apex][0]

    def add(self, apex, line):
        self.zones[apex][2].append(line)

    def name(self, label):
        """A name in victim. with an address of its own."""
        self.address_number += 1
        self.add("victim", f"{label} A 192.0.2.{self.address_number}")
        return f"{label}.victim", f"192.0.2.{self.address_number}"

    def case(self, what, name, expected, section, rtype="A", source=CLIENT, **how):
        self.cases.append((what, name, rtype, source, how, expected, section))

    def reversed(self, address, length=32):
        return f"{length}." + ".".join(reversed(address.split(".")))


def laid():
    world = World()
    world.zone("victim", ["www A 192.0.2.1", "two A 192.0.2.2", "two A 198.18.0.2", "deep.a A 192.0.2.3", "exact A 192.0.2.4"])
    world.zone("garden", ["www A 203.0.113.7", "*.wild A 203.0.113.8"])
    for action, (data, expected) in ACTIONS.items():
        name, address = world.name(f"q-{action}")
        world.one.append(f"{name} {data}")
        world.case(f"QNAME, {action}", name, expected.replace("true", address).format(name=name), "4.2")
        world.add("victim", f"below.w-{action} A 192.0.2.5")
        world.one.append(f"*.w-{action}.victim {data}")
        name = f"below.w-{action}.victim"
        world.case(f"wildcard, {action}", name, expected.replace("true", "192.0.2.5").format(name=name), "4.2")
        name, address = world.name(f"i-{action}")
        world.one.append(f"{world.reversed(address)}.rpz-ip {data}")
        world.case(f"IP, {action}", name, expected.replace("true", address).format(name=name), "4.3")
        name = f"www.d-{action}"
        world.zone(f"d-{action}", ["www A 192.0.2.6"])
        world.one.append(f"ns.d-{action}.rpz-nsdname {data}")
        world.case(f"NSDNAME, {action}", name, expected.replace("true", "192.0.2.6").format(name=name), "4.4")
        name = f"www.s-{action}"
        address = world.zone(f"s-{action}", ["www A 192.0.2.7"])
        world.one.append(f"{world.reversed(address)}.rpz-nsip {data}")
        world.case(f"NSIP, {action}", name, expected.replace("true", "192.0.2.7").format(name=name), "4.5")
        world.client_number += 1
        source = f"192.0.2.{world.client_number}"
        world.one.append(f"{world.reversed(source)}.rpz-client-ip {data}")
        world.case(f"CLIENT-IP, {action}", "www.victim", expected.replace("true", "192.0.2.1").format(name="www.victim"), "4.1", source=source)

    def contest(what, section, first, second, name, winner, rtype="A"):
        """The rules of both zones; the winner answers with 203.0.113.201, all others with .202."""
        for rules, zone in ((first, world.one), (second, world.two)):
            zone.extend(f"{rule} A 203.0.113.{201 if rule == winner else 202}" for rule in rules)
        world.case(what, name, "203.0.113.201", section, rtype)

    name, address = world.name("o-zones")
    contest("an earlier zone before a better kind", "5.2", [f"{world.reversed(address)}.rpz-ip"], [name], name, f"{world.reversed(address)}.rpz-ip")
    name, address = world.name("o-kinds")
    contest("QNAME before IP", "5.4", [f"{world.reversed(address)}.rpz-ip", name], [], name, name)
    server = world.zone("o-servers", ["www A 192.0.2.8"])
    contest("NSDNAME before NSIP", "5.4", [f"{world.reversed(server)}.rpz-nsip", "ns.o-servers.rpz-nsdname"], [], "www.o-servers", "ns.o-servers.rpz-nsdname")
    world.zone("o-path", ["www A 198.18.1.1"])
    contest("IP before NSDNAME", "5.4", ["ns.o-path.rpz-nsdname", f"{world.reversed('198.18.1.1')}.rpz-ip"], [], "www.o-path", "32.1.1.18.198.rpz-ip")
    contest("an exact name before a wildcard", "5.3", ["*.exact-zone", "www.exact-zone"], [], "www.exact-zone", "www.exact-zone")
    contest("the wildcard with the most labels", "5.3", ["*.labels", "*.a.labels"], [], "x.a.labels", "*.a.labels")
    contest("a wildcard is for any subdomain", "4.2", ["*.any", "a.any"], [], "x.a.any", "*.any")
    contest("the longest prefix of all addresses", "5.6", ["24.0.0.18.198.rpz-ip", "32.2.2.0.192.rpz-ip"], [], "two.victim", "32.2.2.0.192.rpz-ip")
    world.zone("equal", ["www A 198.18.3.1", "www A 198.18.3.9"])
    contest("of equal prefixes the smallest address", "5.7", ["32.9.3.18.198.rpz-ip", "32.1.3.18.198.rpz-ip"], [], "www.equal", "32.1.3.18.198.rpz-ip")
    world.zone("sorted", ["www A 192.0.2.9"])
    world.zones["sorted"][1][:] = ["a.sorted", "z.sorted"]
    contest("of server names the last in canonical order", "5.5", ["a.sorted.rpz-nsdname", "z.sorted.rpz-nsdname"], [], "www.sorted", "z.sorted.rpz-nsdname")

    world.add("victim", "c-one CNAME target.garden.")
    world.add("garden", "target A 203.0.113.9")
    contest("an alias's own name before its target, whatever the zones", "5.1", ["target.garden"], ["c-one.victim"], "c-one.victim", "c-one.victim")
    world.add("victim", "c-two CNAME t-two.garden.")
    world.add("garden", "t-two A 203.0.113.9")
    world.one.append("t-two.garden CNAME .")
    world.case("a rule for an alias target", "c-two.victim", "NXDOMAIN t-two.garden.", "5.1")
    world.case("a CNAME that was asked for is not followed", "c-two.victim", "t-two.garden.", "5.1", rtype="CNAME")
    world.add("victim", "c-three CNAME t-three.garden.")
    world.add("garden", "t-three A 203.0.113.9")
    world.one += ["c-three.victim CNAME rpz-passthru.", "t-three.garden CNAME ."]
    world.case("PASSTHRU settles the whole chain", "c-three.victim", "t-three.garden. 203.0.113.9", "5.1")
    name, address = world.name("p-zones")
    world.one.append(f"{name} CNAME rpz-passthru.")
    world.two.append(f"{name} CNAME .")
    world.case("PASSTHRU hides later zones", name, address, "5")
    name, _ = world.name("once")
    world.one += [f"{name} CNAME judged.garden.", "judged.garden CNAME ."]
    world.add("garden", "judged A 203.0.113.10")
    world.case("rules do not apply to what a rule made", name, "judged.garden. 203.0.113.10", "6")
    name, _ = world.name("types")
    world.one += [f"{name} A 203.0.113.11", f'{name} TXT "x"']
    world.case("local data without the type", name, "NODATA", "3.6", rtype="MX")
    world.case("local data with the type", name, "x", "3.6", rtype="TXT")
    name, address = world.name("self")
    world.one += [f"{name} CNAME {name}."]
    world.case("the old form of PASSTHRU", name, address, "10")
    name, address = world.name("future")
    world.one += [f"{name} CNAME rpz-future."]
    world.case("an action of a later format is ignored", name, address, "2, 3.6")
    name, address = world.name("norec")
    world.one += [f"{name} CNAME ."]
    world.case("RD=1 has the rule (the control)", name, "NXDOMAIN", "6")
    name, address = world.name("stream")
    world.one += [f"{name} CNAME rpz-tcp-only."]
    world.case("TCP-ONLY over TCP", name, address, "3.5", tcp=True)
    # Signatures that nobody checks here. NSD takes a zone for signed when its keys are.
    signature = "20400101000000 20200101000000 1 signed. " + "A" * 86 + "=="
    signed = [f"{owner} RRSIG {rtype} 13 {labels} 300 {signature}" for owner, rtype, labels in (("www", "A", 2), ("@", "SOA", 1), ("@", "DNSKEY", 1))]
    world.zone("signed", ["www A 192.0.2.10", "@ DNSKEY 257 3 13 " + "A" * 86 + "==", *signed])
    world.one += ["www.signed CNAME ."]
    world.case("signed data, DO=0", "www.signed", "NXDOMAIN", "6")
    world.case("signed data, DO=1", "www.signed", "192.0.2.10", "6, 12.2", do=True)
    world.case("unsigned data, DO=1", "q-nxdomain.victim", "NXDOMAIN", "6", do=True)
    return world


def files(world, folder):
    """Zone files of the world, by server; then those of the two policy zones, and the root hints."""
    lines = [". SOA a.root. host.root. 1 3600 600 86400 300", ". NS a.root.", f"a.root. A {ROOT}"]
    servers = []
    for apex, (address, names, records) in world.zones.items():
        lines += [f"{apex}. NS {name}." for name in names] + [f"{name}. A {address}" for name in names]
        file = folder / f"{apex}.zone"
        own = [f"@ NS {name}." for name in names] + [f"{name}. A {address}" for name in names]
        file.write_text(SOA + "\n".join(own + records) + "\n")
        servers.append((address, (apex, file)))
    (folder / "root.zone").write_text("$TTL 3600\n" + "\n".join(lines) + "\n")
    for name, rules in (("one.rpz", world.one), ("two.rpz", world.two)):
        (folder / f"{name}.zone").write_text("$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n@ NS localhost.\n" + "\n".join(rules) + "\n")
    (folder / "root.hints").write_text(f". 3600 NS a.root.\na.root. 3600 A {ROOT}\n")
    return servers


class CairnRpz(Cairn):
    def __init__(self, folder):
        # Signatures are asked for; no zone of this world can be validated, and none has to be.
        anchors = folder / "anchors"
        anchors.write_text("elsewhere. DS 1 8 2 " + "AB" * 32 + "\n")
        super().__init__(folder, anchors)

    def words(self, listen):
        zones = self.folder.parent
        self.more = f'root-hints = "{zones / "root.hints"}"\n'
        self.more += "".join(f'[[rpz]]\nzone = "{name}"\nfile = "{zones / name}.zone"\n' for name in ("one.rpz", "two.rpz"))
        return super().words(listen)


class Peer(Subject):
    """Started and asked like Cairn, with a configuration of its own."""


class UnboundRpz(Peer):
    name, binary = "unbound", "unbound"

    def words(self, listen):
        zones, address = self.folder.parent, listen[0].rpartition(":")[0]
        lines = ["server:", '  username: ""', '  chroot: ""', '  pidfile: ""', "  use-syslog: no", '  module-config: "respip iterator"',
                 f"  interface: {address}@53", "  access-control: 0.0.0.0/0 allow", "  do-daemonize: no", "  ip-transparent: yes", "  num-threads: 1",
                 f'  root-hints: "{zones / "root.hints"}"', "  do-ip6: no", "  minimal-responses: no"]
        for name in ("one.rpz", "two.rpz"):
            lines += ["rpz:", f'  name: "{name}"', f'  zonefile: "{zones / name}.zone"']
        (self.folder / "conf").write_text("\n".join(lines + ["remote-control:", "  control-enable: no"]) + "\n")
        return ["unbound", "-d", "-p", "-c", self.folder / "conf"]


class BindRpz(Peer):
    name, binary = "bind", "named"

    def words(self, listen):
        zones, address = self.folder.parent, listen[0].rpartition(":")[0]
        own = "".join(f'zone "{name}" {{ type primary; file "{zones / name}.zone"; allow-query {{ none; }}; }};\n' for name in ("one.rpz", "two.rpz"))
        (self.folder / "conf").write_text(f"""options {{
            directory "{self.folder}"; pid-file none; session-keyfile none; dnssec-validation no; recursion yes;
            listen-on port 53 {{ {address}; }}; listen-on-v6 {{ none; }}; allow-recursion {{ any; }}; allow-query-cache {{ any; }};
            empty-zones-enable no;
            response-policy {{ zone "one.rpz"; zone "two.rpz"; }} qname-wait-recurse no min-ns-dots 0 min-update-interval 0;
        }};
        controls {{ }};
        zone "." {{ type hint; file "{zones / "root.hints"}"; }};
        {own}""")
        return ["named", "-g", "-n", "1", "-c", self.folder / "conf"]


class PowerDnsRpz(Peer):
    name, binary = "powerdns", "pdns_recursor"

    def words(self, listen):
        zones, address = self.folder.parent, listen[0].rpartition(":")[0]
        (self.folder / "rpz.lua").write_text("".join(f'rpzFile("{zones / name}.zone", {{policyName="{name}"}})\n' for name in ("one.rpz", "two.rpz")))
        lines = [f"local-address={address}", f"hint-file={zones / 'root.hints'}", "dont-query=", "allow-from=0.0.0.0/0", "dnssec=process-no-validate", "disable-packetcache=yes", "threads=1",
                 "security-poll-suffix=", f"socket-dir={self.folder}", f"lua-config-file={self.folder / 'rpz.lua'}", "write-pid=no", "disable-syslog=yes",
                 "loglevel=3", "webserver=no"]
        (self.folder / "recursor.conf").write_text("\n".join(lines) + "\n")
        return ["pdns_recursor", f"--config-dir={self.folder}", "--daemon=no"]


class KnotRpz(Peer):
    name, binary = "knot", "kresd"

    def words(self, listen):
        zones, address = self.folder.parent, listen[0].rpartition(":")[0]
        (self.folder / "conf").write_text(f"""
            trust_anchors.remove('.')
            net.listen('{address}', 53)
            net.ipv6 = false
            modules.load('hints')
            hints.root_file('{zones / "root.hints"}')
            modules.unload('ta_sentinel'); modules.unload('ta_signal_query'); modules.unload('priming'); modules.unload('detect_time_jump')
            cache.size = 10 * MB
            policy.add(policy.rpz(policy.DENY, '{zones / "one.rpz"}.zone'))
            policy.add(policy.rpz(policy.DENY, '{zones / "two.rpz"}.zone'))
        """)
        return ["kresd", "-n", "-c", self.folder / "conf", self.folder]


SERVERS = {"cairn": (CairnRpz, "192.0.2.53"), "unbound": (UnboundRpz, "192.0.2.54"), "bind": (BindRpz, "192.0.2.55"),
           "powerdns": (PowerDnsRpz, "192.0.2.56"), "knot": (KnotRpz, "192.0.2.57")}


def told(server, name, rtype, source, do=False, tcp=False):
    """In a few words what the client gets."""
    packet = wire.query(name, rtype, extra=wire.opt(do=do))
    try:
        got = tcp_exchange(server, [framed(packet)], 1)[0] if tcp else Reply(ask(server, packet, source=source, timeout=2.5)[0])
    except (NoReply, OSError, IndexError, socket.timeout):
        return "no reply"
    except Broken as problem:
        return f"malformed: {problem}"
    if got.has(TC):
        return "TC"
    data = [value[1:].decode() if kind == "TXT" else str(value) for _, kind, _, value in got.answer if kind != "RRSIG"]
    rcode = got.rcode if got.rcode != "NOERROR" else "" if data else "NODATA"
    return " ".join(filter(None, [rcode, *data]))


def same(one, other):
    """Equal addresses may come in any order."""
    return sorted(one.split()) == sorted(other.split())


def rpz_stage(words, stage_of):
    if {"ip", "nsd"} & set(network.missing_tools(["ip", "nsd", "named", "unbound", "kresd", "pdns_recursor"])):
        sys.exit(1)
    with stage_of(words.keep) as stage:
        all_is_local("192.0.2.53", "2001:db8:c::53")
        world = laid()
        servers = files(world, stage.folder)
        nsds = [Nsd("root", stage.folder, [ROOT], [(".", stage.folder / "root.zone")]),
                Nsd("zones", stage.folder, [address for address, _ in servers], [zone for _, zone in servers])]
        stage.running += nsds
        for nsd in nsds:
            nsd.start()
        for nsd in nsds:
            nsd.wait()
        for _, address in SERVERS.values():
            ip("addr", "replace", f"{address}/32", "dev", "lo")
        running = {}
        for name, (kind, address) in SERVERS.items():
            subject = kind(stage.folder)
            if not shutil.which(subject.binary):
                tally.notes.append(f"{name} is not installed")
                continue
            stage.running.append(subject)
            if not started(subject, address):
                tally.server = name
                tally.check("start", "answers within 20 s", False, subject.log()[-900:])
                continue
            running[name] = subject
        judge(world, running)
        for subject in running.values():
            subject.stop()
        tally.server = "cairn"
        feed_checks(stage)


FEED, KEY = "198.51.100.200", "c2VjcmV0IG9mIHRoZSBmZWVkIQ=="


class FeedServer(Named):
    """BIND as the provider of a zone of rules."""

    def config(self):
        ((zone, file),) = self.zones
        return f"""options {{
            directory "{self.folder}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
            listen-on port 53 {{ {FEED}; }}; listen-on-v6 {{ none; }}; notify explicit; notify-delay 0; query-source address {FEED};
        }};
        controls {{ }};
        key feed {{ algorithm hmac-sha256; secret "{KEY}"; }};
        zone "{zone}" {{ type primary; file "{file}"; allow-transfer {{ key feed; }}; also-notify {{ 192.0.2.53; }};
            notify-source {FEED}; ixfr-from-differences yes; }};
        """


class CairnFed(CairnRpz):
    name = "cairn-fed"

    def words(self, listen):
        words = Cairn.words(self, listen)
        config = self.folder / "cairn.toml"
        config.write_text(f"""[server]
listen = ["192.0.2.53:53"]
allow = ["192.0.2.0/24"]
state-dir = "{self.folder}/state"
[recursion]
dnssec = false
root-hints = "{self.folder.parent}/root.hints"
[[key]]
name = "feed."
secret = "{KEY}"
[[rpz]]
zone = "feed.rpz"
primaries = ["{FEED} key feed."]
""")
        (self.folder / "state").mkdir(exist_ok=True)
        return words


def feed_checks(stage):
    """A provider's zone: transferred with a key, followed by NOTIFY, kept over a restart, never served."""
    ip("addr", "replace", f"{FEED}/32", "dev", "lo")
    file = stage.folder / "feed.rpz.zone"

    def write(serial, *rules):
        file.write_text(f"$TTL 300\n@ SOA ns.feed. host.feed. {serial} 3600 600 86400 60\n@ NS ns.feed.\n" + "\n".join(rules) + "\n")

    def ask_is(name, expected, seconds=8):
        return until(lambda: told("192.0.2.53", name, "A", CLIENT) == expected, seconds)

    write(1, "www.victim CNAME .")
    feed = FeedServer("feed", stage.folder, [FEED], [("feed.rpz", file)])
    stage.running.append(feed)
    feed.start()
    cairn = CairnFed(stage.folder)
    stage.running.append(cairn)
    cairn.process = cairn.run(cairn.words([]))
    tally.check("feed", "a rule comes by AXFR with a key", ask_is("www.victim", "NXDOMAIN"), cairn.log()[-900:])
    before = told("192.0.2.53", "two.victim", "A", CLIENT)
    write(2, "www.victim CNAME .", "two.victim CNAME *.")
    feed.process.send_signal(signal.SIGHUP)
    tally.check("feed", "a change is in force by NOTIFY and IXFR", before != "NODATA" and ask_is("two.victim", "NODATA"), cairn.log()[-900:])
    write(3, "two.victim CNAME *.")
    feed.process.send_signal(signal.SIGHUP)
    tally.check("feed", "a rule that is gone blocks no more", ask_is("www.victim", "192.0.2.1"), cairn.log()[-900:])
    got = Reply(ask("192.0.2.53", wire.query("feed.rpz", "SOA"), source=CLIENT, timeout=4)[0])
    tally.check("feed", "the zone is not served", not got.answer, got.answer)
    feed.stop()
    cairn.stop()
    cairn.process = cairn.run(cairn.words([]), log="log2")
    answers_first = until(lambda: told("192.0.2.53", "two.victim", "A", CLIENT) != "no reply", 10)
    first = told("192.0.2.53", "two.victim", "A", CLIENT)
    tally.check("feed", "after a restart without the provider the rules are there", answers_first and first == "NODATA", f"{first} {cairn.log('log2')[-900:]}")
    status = subprocess.run([cairn.binary, "status", "--config", cairn.folder / "cairn.toml"], capture_output=True, text=True).stdout
    tally.check("feed", "status says so", "response policy with 1 rules" in status, status)


def started(subject, address):
    subject.process = subject.run(subject.words([f"{address}:53"]))
    return until(lambda: told(address, "www.victim", "A", CLIENT) == "192.0.2.1", 20)


def judge(world, running):
    for what, name, rtype, source, how, expected, section in world.cases:
        for server, subject in running.items():
            tally.server = server
            got = told(SERVERS[server][1], name, rtype, source, **how)
            if subject.process.poll() is not None:
                got = f"it crashed ({subject.process.returncode})"
                started(subject, SERVERS[server][1])
            good = same(got, expected)
            tally.check(what.partition(",")[0] if "," in what else "precedence", what, good, f"{got}, not {expected} (section {section})")
            if not good and server != "cairn":
                print(f"differs  {server}: {what}: {name} {rtype}: {got}, not {expected} (section {section})", flush=True)
