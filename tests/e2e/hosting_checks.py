"""`cairn zone publish` and `cairn zone doctor`: a zone with a parent and a second server, and each fault between them really made.

NSD is the root and the registry (org, net), Cairn the first server of example.org, Knot or BIND the second one. The zone is
signed with BIND's tools, and both have the same file."""

import json
import re
import subprocess
import sys

import network
from alias_checks import alias_checks
from asking import guarded, tally
from authorities import Knot, Named, Nsd
from cds_checks import cds_checks
from control_checks import Instance
from doctor_checks import Rules
from signed import sign_with_bind, tool

TOOLS = ["ip", "nsd", "knotd", "named", "dig", "dnssec-signzone", "dnssec-keygen", "dnssec-dsfromkey"]
# Cairn is at the LAN address of the namespace.
ROOT, REGISTRY, FIRST, SECOND, NOBODY = "192.0.2.10", "192.0.2.11", "192.0.2.53", "198.51.100.5", "192.0.2.99"
ZONE = "example.org"

ROOT_ZONE = f""". 300 SOA a.root. host. 1 1800 900 604800 60
. 300 NS a.root.
a.root. 300 A {ROOT}
org. 300 NS a.nic.org.
a.nic.org. 300 A {REGISTRY}
net. 300 NS a.nic.org.
"""
SOA = "@ SOA ns1 hostmaster {serial} 7200 900 1209600 300\n"
DATA = f"""@ NS ns1
@ NS ns.example.net.
ns1 A {FIRST}
@ A 192.0.2.80
www A 192.0.2.80
"""


def zone_text(serial):
    return "$TTL 300\n" + SOA.format(serial=serial) + DATA


class OpenNamed(Named):
    """A server that resolves for everybody."""

    def config(self):
        return super().config().replace("recursion no;", "recursion yes; allow-recursion { any; };")


class Hosting:
    """The world, and what it is told to be."""

    def __init__(self, stage, binary):
        self.stage, self.folder, self.count = stage, stage.folder, 0
        self.signed, self.ds = sign_with_bind(f"{ZONE}.", zone_text(7), stage.folder)
        self.keys = self.signed.parent
        hints = self.folder / "hints"
        hints.write_text(f". 300 NS a.root.\na.root. 300 A {ROOT}\n")
        self.cairn = Instance(binary, "hosting", listen=[f"{FIRST}:53", "127.0.0.1:53"])
        recursion = f'[recursion]\nroot-hints = "{hints}"\ndnssec = false\n'
        # This machine is a client of its own server, at the address that the world knows too.
        self.settings, self.open_settings = (f"allow = [{clients}]\n{recursion}" for clients in ('"127.0.0.0/8", "192.0.2.0/24"', '"0.0.0.0/0"'))
        self.cairn.configure(self.settings)
        self.cairn.file(ZONE).write_text(self.signed.read_text())
        root = self.file(ROOT_ZONE)
        self.run(Nsd, "root", [ROOT], [(".", root)])
        self.registry = self.second = None

    def sign(self, serial, *words):
        """With the same keys each time."""
        tool("dnssec-signzone", "-q", "-P", "-S", "-K", self.keys, "-O", "full", "-o", f"{ZONE}.", "-f", self.folder / f"signed-{serial}", *words,
             self.file(zone_text(serial)), cwd=self.folder)
        return self.folder / f"signed-{serial}"

    def file(self, text):
        self.count += 1
        path = self.folder / f"zone-{self.count}"
        path.write_text(text)
        return path

    def run(self, kind, name, addresses, zones):
        self.count += 1
        server = kind(f"{name}-{self.count}", self.folder, addresses, zones)
        self.stage.running.append(server)
        server.start()
        server.wait()
        return server

    def register(self, ns=("ns1.example.org.", "ns.example.net."), glue=f"ns1.example.org. A {FIRST}\n", ds=None, net=f"ns.example.net. A {SECOND}\n"):
        """What the registry has of the zone, and of the second server's name."""
        if self.registry:
            self.registry.stop()
        head = "$TTL 300\n@ SOA a.nic.org. host 1 1800 900 604800 60\n@ NS a.nic.org.\n"
        lines = "".join(f"{ZONE}. NS {name}\n" for name in ns) + glue
        lines += "".join(f"{line}\n" for line in (self.ds if ds is None else ds)) if ns else ""
        org = self.file(f"$ORIGIN org.\n{head}a.nic A {REGISTRY}\n{lines}")
        self.registry = self.run(Nsd, "registry", [REGISTRY], [("org", org), ("net", self.file(f"$ORIGIN net.\n{head}{net}"))])

    def serve_second(self, file=None, kind=Knot, zone=ZONE):
        if self.second:
            self.second.stop()
        self.second = self.run(kind, "second", [SECOND], [(zone, file or self.signed)])

    def doctor(self, what, expected, said="", remarks=(), zone=ZONE, more=()):
        """`expected`: the names of the checks that find a fault; `remarks`: of those that only remark."""

        def test():
            done, text = self.cairn.cairn("zone", "doctor", zone, "--json", *more)
            report = json.loads(text)
            found = {kind: {f["check"] for f in report["findings"] if f["severity"] == kind} for kind in ("fault", "remark")}
            words = " ".join(f"{finding['what']} {finding['fix']}" for finding in report["findings"])
            good = found["fault"] == set(expected) and found["remark"] == set(remarks) and said in words
            return good and done == (1 if expected else 0) and report["healthy"] == (not expected), f"exit {done}: {text}"

        guarded("zone doctor", what, test)


def hosting_stage(words, make_stage):
    if network.missing_tools(TOOLS):
        sys.exit(1)
    tally.server = tally.judged = "cairn"
    with make_stage(words.keep) as stage:
        network.make_network([ROOT, REGISTRY, SECOND])
        hosting = Hosting(stage, stage.subject("cairn").binary)
        with hosting.cairn:
            if not tally.check("start", "answers within 10 s", hosting.cairn.start(), hosting.cairn.log()):
                return
            publish_checks(hosting)
            hosting.register()
            hosting.serve_second()
            hosting.doctor("all is well: nothing", [])
            # Who may not use the control socket is a client of the server that runs here all the same.
            hosting.doctor("asked by a user without rights: nothing", [], more=["--control-socket", "/nowhere"])
            parent_checks(hosting)
            server_checks(hosting)
            own_checks(hosting)
            both_checks(hosting)
            cds_checks(hosting, FIRST, REGISTRY)
            alias_checks(hosting, FIRST)


def publish_checks(hosting):
    def first():
        code, text = hosting.cairn.cairn("zone", "publish", ZONE)
        tag, algorithm, kind, digest = re.search(r" DS (\d+) (\d+) (\d+) (.+)", hosting.ds[0]).groups()
        wanted = [f"{ZONE}. serial 7 is in force", "  ns1.example.org", "  ns.example.net", FIRST, f"key tag      {tag}", f"algorithm    {algorithm} ",
                  f"digest type  {kind} ", f"digest       {digest.replace(' ', '')}", "IN DNSKEY 257 3 13 "]
        missing = [line for line in wanted if line not in text]
        return code == 0 and not missing, f"exit {code}, without {missing}: {text}"

    def edited():
        """A changed file is in force when the command ends; the parent is not needed."""
        file = hosting.cairn.file(ZONE)
        before = file.read_text()
        file.write_text(zone_text(8).replace("www A 192.0.2.80", "www A 192.0.2.88"))
        code, text = hosting.cairn.cairn("zone", "publish", ZONE)
        seen = subprocess.run(["dig", f"@{FIRST}", f"www.{ZONE}", "+short", "+norecurse"], capture_output=True, text=True).stdout.strip()
        file.write_text(before)
        back = hosting.cairn.cairn("reload")
        return code == 0 and seen == "192.0.2.88" and "serial 8 is in force" in text and "DS: none" in text, f"{code} {seen} {text} {back}"

    def broken():
        file = hosting.cairn.file(ZONE)
        before = file.read_text()
        file.write_text("$TTL 300\n" + SOA.format(serial=9) + "@ NS ns1\nns1 A 192.0.2\n")
        outcomes = [hosting.cairn.cairn("zone", command, ZONE) for command in ("publish", "doctor")]
        file.write_text(before)
        return all(code == 1 and f"{ZONE}.zone:4:7" in text for code, text in outcomes), outcomes

    guarded("zone publish", "what registrars ask for", first)
    guarded("zone publish", "puts the file in force", edited)
    guarded("zone publish", "a broken file: exit 1, and where", broken)


def parent_checks(hosting):
    tag = re.search(r" DS (\d+) ", hosting.ds[0])[1]
    for what, registered, expected, said in [
        ("the registry has no such name", {"ns": (), "glue": ""}, ["parent"], "does not delegate"),
        ("another name server at the registry", {"ns": ("ns1.example.org.", "ns-old.example.net."), "net": f"ns.example.net. A {SECOND}\nns-old.example.net. A {SECOND}\n"},
         ["NS records"], "ns-old.example.net."),
        ("a name server that the registry lacks", {"ns": ("ns1.example.org.",)}, ["NS records"], "enter ns.example.net."),
        ("no glue", {"glue": ""}, ["glue"], "no address of ns1.example.org."),
        ("wrong glue", {"glue": f"ns1.example.org. A {NOBODY}\n"}, ["glue", "UDP"], f"gives {NOBODY}"),
        ("a DS with another digest", {"ds": [f"{ZONE}. DS {tag} 13 2 {'AB' * 32}"]}, ["DS"], f"the digest for key {tag}"),
        ("a DS of another key", {"ds": [f"{ZONE}. DS 4711 13 2 {'AB' * 32}"]}, ["DS"], "it names key 4711"),
        ("a name server that is an alias", {"net": f"ns.example.net. CNAME ns2.example.net.\nns2.example.net. A {SECOND}\n"}, ["server names"], "is an alias"),
        ("a name server without address", {"net": 'other.example.net. TXT "x"\n'}, ["server names"], "the name does not exist"),
    ]:
        hosting.register(**registered)
        hosting.doctor(what, expected, said)
    hosting.register(ds=[])
    hosting.doctor("signed, and no DS", [], "no DS record", remarks=["DS"])
    hosting.register(ds=[*hosting.ds, f"{ZONE}. DS 4711 13 2 {'AB' * 32}"])
    hosting.doctor("a DS that is left over", [], "key roll", remarks=["DS"])
    hosting.registry.stop()
    hosting.doctor("the registry is silent", ["server names"], "could not be asked", remarks=["parent"])
    hosting.registry = None
    hosting.register()


def server_checks(hosting):
    hosting.second.stop()
    hosting.doctor("the second server is away", ["UDP"], f"ns.example.net. ({SECOND}) does not answer over UDP")
    hosting.second = None
    hosting.serve_second()
    with Rules(4, "unreachable", "to", SECOND, "ipproto", "tcp", "dport", "53"):
        hosting.doctor("TCP to the second server is refused", ["TCP"], "RFC 7766")
    with Rules(4, "blackhole", "from", SECOND, "ipproto", "tcp", "sport", "53"):
        hosting.doctor("TCP from the second server is dropped", ["TCP"], "no reply")
    hosting.serve_second(file=hosting.file("$TTL 300\n@ SOA a b 1 7200 900 1209600 300\n@ NS a.\n"), zone="other.example")
    hosting.doctor("the second server does not know the zone", ["authority"], "it answers REFUSED")
    hosting.serve_second(file=hosting.sign(6))
    hosting.doctor("the second server has an old copy", ["serials"], "has serial 6, and 7 is the newest here")
    hosting.serve_second(file=hosting.sign(9))
    hosting.doctor("the second server has a newer copy", ["serials"], "a serial above 9")
    other, _ = sign_with_bind(f"{ZONE}.", zone_text(7), other_folder(hosting))
    hosting.serve_second(file=other)
    hosting.doctor("the second server has other keys", ["DS"], "as those of other servers do")
    hosting.serve_second(file=hosting.file(zone_text(7)))
    hosting.doctor("the second server has no signatures", ["signatures"], "leaves signatures out")
    fewer = "\n".join(line for line in hosting.signed.read_text().splitlines() if not re.search(r"\sNS\s+ns\.example\.net\.", line))
    hosting.serve_second(file=hosting.file(fewer))
    hosting.doctor("other NS records under the same serial", ["NS records of servers"], "a new serial")
    hosting.serve_second(kind=OpenNamed)
    hosting.doctor("the second server resolves for everybody", ["open recursion"], f"({SECOND}) resolves names of other zones")
    hosting.serve_second()
    hosting.doctor("all is well again", [])


def other_folder(hosting):
    folder = hosting.folder / "other"
    folder.mkdir()
    return folder


def own_checks(hosting):
    cairn, file = hosting.cairn, hosting.cairn.file(ZONE)
    file.write_text(hosting.signed.read_text().replace("7200", "7201", 1))
    cairn.configure(hosting.open_settings)
    hosting.doctor("this server resolves for everybody", ["open recursion"], "0.0.0.0/0")
    cairn.configure(hosting.settings)
    file.write_text(hosting.sign(8).read_text())
    hosting.doctor("a file that is not in force", ["in force"], "cairn reload")
    old = hosting.sign(10, "-s", "20200101000000", "-e", "20200201000000")
    file.write_text(old.read_text())
    cairn.cairn("reload")
    hosting.serve_second(file=old)
    hosting.doctor("signatures that have ended", ["signatures"], "have ended at 2020-02-01")
    file.write_text(zone_text(11))
    cairn.cairn("reload")
    hosting.serve_second(file=file)
    hosting.doctor("a DS, and a zone without keys", ["DS"], "take the DS record out")
    hosting.register(ds=[])
    file.write_text(zone_text(12).replace("1209600", "3600"))
    cairn.cairn("reload")
    hosting.serve_second(file=file)
    hosting.doctor("an expire shorter than refresh", ["SOA"], "1209600")


def both_checks(hosting):
    """Zone and parent on this server: it answers from the lower one, and what the parent says is in its file."""
    cairn = hosting.cairn
    cairn.file(f"sub.{ZONE}").write_text(f"$TTL 300\n{SOA.format(serial=1)}@ NS ns\nns A {FIRST}\n")
    # The second server has the parent as it was before.
    for serial, glue, expected in ((20, FIRST, []), (21, NOBODY, ["glue", "UDP"])):
        cairn.file(ZONE).write_text(zone_text(serial) + f"sub NS ns.sub\nns.sub A {glue}\n")
        cairn.cairn("reload")
        hosting.doctor(f"zone and parent here, glue {glue}", expected, remarks=["number of servers", "parent"], zone=f"sub.{ZONE}")
