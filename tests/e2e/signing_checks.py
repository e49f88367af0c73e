"""Zones that Cairn signs: what other programs say of them. Each algorithm with NSEC and with NSEC3; keys brought along from BIND and
from Knot; edits, a restart, the beginning of a roll; and Unbound, which validates every kind of answer.

The zone is exported by transfer, and verified by ldns-verify-zone, dnssec-verify, kzonecheck and delv. Time does not pass here:
whole rolls are in the tests of `src/server/signing`.
"""

import json
import re
import shutil
import subprocess

import network
from asking import LOCAL, tally, until
from space import all_is_local
from transfer_checks import CAIRN, Transfers, dig, serial

UNBOUND = "192.0.2.54"
ALGORITHMS = ["ecdsap256sha256", "ed25519", "ecdsap384sha384", "rsasha256"]

ZONE = """$TTL 300
@ 3600 SOA ns Host 1 7200 900 1209600 600
@ NS ns
@ MX 10 Mail
ns A 192.0.2.1
Mail A 192.0.2.25
www A 192.0.2.80
a.b.c TXT "below two empty non-terminals"
*.wild A 192.0.2.81
*.w2 MX 5 Mail
alias CNAME www
old DNAME new
x.new A 192.0.2.82
plain NS ns.plain
ns.plain A 192.0.2.90
plain2.deep NS ns.elsewhere.test.
secure NS ns.plain
secure DS 1 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
z TYPE65300 \\# 2 00ff
_443._tcp.www TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
svc HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.80
"""

# What Unbound is asked, and the RCODE that it must give with AD; without AD for what is below an unsigned delegation.
QUESTIONS = [
    ("www", "A", "NOERROR", True), ("", "MX", "NOERROR", True), ("x.wild", "A", "NOERROR", True), ("x.y.wild", "A", "NOERROR", True),
    ("x.wild", "TXT", "NOERROR", True), ("x.w2", "A", "NOERROR", True), ("alias", "A", "NOERROR", True), ("x.old", "A", "NOERROR", True),
    ("y.old", "A", "NXDOMAIN", True), ("www", "TXT", "NOERROR", True), ("b.c", "A", "NOERROR", True), ("c", "A", "NOERROR", True),
    ("wild", "A", "NOERROR", True), ("nothere", "A", "NXDOMAIN", True), ("x.www", "A", "NXDOMAIN", True), ("zz", "A", "NXDOMAIN", True),
    ("0", "A", "NXDOMAIN", True), ("plain", "DS", "NOERROR", True), ("plain2.deep", "DS", "NOERROR", True), ("deep", "A", "NOERROR", True),
    ("secure", "DS", "NOERROR", True), ("z", "TYPE65300", "NOERROR", True), ("svc", "HTTPS", "NOERROR", True), ("", "DNSKEY", "NOERROR", True),
    ("", "CDS", "NOERROR", True), ("", "ZONEMD", "NOERROR", True),
]


def run(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, **more)


class Signing(Transfers):
    def signed(self, zone, more=""):
        return f'[[zone]]\nname = "{zone}"\nfile = "{self.zones}/{zone}.zone"\ntransfer = ["{LOCAL}"]\nnotify = []\ndnssec = true\n{more}'

    def begin(self, zones):
        """Zone -> more lines of its block."""
        self.configure([self.signed(zone, more) for zone, more in zones.items()])
        return self.start(lambda: all(serial(CAIRN, zone) for zone in zones))

    def status(self, zone):
        done = self.command("zone", "sign", "status", zone, "--json")
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else {"error": done.stdout + done.stderr}

    def exported(self, zone):
        """A file with the zone as it is transferred, and its lines."""
        text = dig(LOCAL, zone, "AXFR", "+onesoa", "+noall", "+answer", "-b", LOCAL)
        lines = [line for line in text.splitlines() if line and not line.startswith(";")]
        path = self.folder / f"{zone}.exported"
        path.write_text("\n".join(lines) + "\n")
        return path, lines


def signing_stage(words, stage_of):
    gone = network.missing_tools(["ip", "dig", "delv", "unbound", "ldns-verify-zone", "dnssec-verify", "kzonecheck", "dnssec-keygen", "keymgr"])
    if {"ip", "dig"} & set(gone):
        raise SystemExit(1)
    all_is_local(CAIRN, "2001:db8:c::53")
    subprocess.run(["ip", "addr", "add", f"{UNBOUND}/32", "dev", "lo"], capture_output=True)
    with stage_of(words.keep) as stage:
        signing = Signing(stage)
        of_all_algorithms(stage, signing, gone)
        edits_and_restarts(signing, gone)
        keys_brought_along(signing, gone)
        refusals(signing)


def verified(client, signing, zone, gone, what=""):
    """All four programs accept the zone, with the DS record that Cairn shows."""
    path, lines = signing.exported(zone)
    tally.check(client, f"a zone comes {what}", len(lines) > 30, lines[:5])
    if "ldns-verify-zone" not in gone:
        done = run("ldns-verify-zone", "-ZZ", path)
        tally.check(client, f"ldns-verify-zone, digest too {what}", done.returncode == 0, done.stdout + done.stderr)
    if "dnssec-verify" not in gone:
        done = run("dnssec-verify", "-z", "-o", zone, path)
        tally.check(client, f"dnssec-verify {what}", done.returncode == 0, done.stdout + done.stderr)
    if "kzonecheck" not in gone:
        done = run("kzonecheck", "-d", "on", "-o", zone, path)
        tally.check(client, f"kzonecheck {what}", done.returncode == 0, done.stdout + done.stderr)
    if "delv" not in gone:
        ds = " ".join(ds_record(signing, zone).split()[-4:])
        tag, algorithm, digest_type, digest = ds.split(maxsplit=3) if ds else ("0", "0", "0", "")
        anchors = signing.folder / "delv.keys"
        anchors.write_text(f'trust-anchors {{ "{zone}." static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')
        for name, rtype, expected in (("www", "A", "fully validated"), ("nothere", "A", "negative response, fully validated"), ("x.wild", "A", "fully validated")):
            done = run("delv", f"@{CAIRN}", "-a", anchors, f"+root={zone}.", f"{name}.{zone}", rtype)
            tally.check(client, f"delv {name} {rtype} {what}", expected in done.stdout, done.stdout + done.stderr)


def ds_record(signing, zone):
    records = [ds["record"] for ds in signing.status(zone).get("ds", [])]
    return records[-1] if records else ""


def of_all_algorithms(stage, signing, gone):
    zones = {f"{algorithm}-{denial}.example": f'dnssec-algorithm = "{algorithm}"\nnsec3 = {"true" if denial == "nsec3" else "false"}\n'
             for algorithm in ALGORITHMS for denial in ("nsec", "nsec3")}
    for zone in zones:
        signing.put(zone, ZONE)
    if not tally.check("algorithms", "starts", signing.begin(zones), signing.cairn.log()[-900:]):
        return
    for zone in zones:
        verified(f"algorithms: {zone.split('.')[0]}", signing, zone, gone)
        status = signing.status(zone)
        key = status.get("keys", [{}])[0]
        tally.check("algorithms", f"status of {zone}", key.get("algorithm") in zone and key.get("role") == "csk" and key.get("state") == "published", status)
        text = signing.command("zone", "sign", "status", zone).stdout
        tally.check("algorithms", f"status of {zone} in words", f"key {key.get('tag')} " in text and "for the parent: " in text and "ready at" in text, text)
    if "unbound" not in gone:
        behind_unbound(stage, signing, zones)


def behind_unbound(stage, signing, zones):
    """Unbound takes each zone from Cairn, with the DS record as its anchor, and must find every answer proved."""
    folder = stage.folder / "unbound"
    folder.mkdir()
    anchors = "".join(f'    trust-anchor: "{ds_record(signing, zone)}"\n' for zone in zones)
    stubs = "".join(f"stub-zone:\n    name: {zone}\n    stub-addr: {CAIRN}\n" for zone in zones)
    (folder / "unbound.conf").write_text(
        f'server:\n    interface: {UNBOUND}\n    directory: "{folder}"\n    chroot: ""\n    username: ""\n    pidfile: ""\n    do-daemonize: no\n'
        f'    use-syslog: no\n    do-not-query-localhost: no\n    access-control: 0.0.0.0/0 allow\n    outgoing-interface: {UNBOUND}\n    module-config: "validator iterator"\n'
        f'    harden-algo-downgrade: yes\n    local-zone: "example." nodefault\n    qname-minimisation: no\n{anchors}remote-control:\n    control-enable: no\n{stubs}'
    )
    stage.running.append(process := Process(["unbound", "-d", "-c", folder / "unbound.conf"], folder))
    if not tally.check("behind Unbound", "starts", until(lambda: "status:" in dig(UNBOUND, "www.ed25519-nsec.example", "A"), 10), process.log()):
        return
    for zone in zones:
        for name, rtype, rcode, is_secure in QUESTIONS:
            said = dig(UNBOUND, f"{name}.{zone}".lstrip("."), rtype, "+dnssec", "+adflag")
            flags = re.search(r"flags: ([a-z ]+);", said)
            good = f"status: {rcode}" in said and flags and ("ad" in flags.group(1).split()) == is_secure
            tally.check(f"behind Unbound: {zone.split('.')[0]}", f"{name} {rtype}", good, said)


class Process:
    def __init__(self, words, folder):
        self.folder = folder
        self.process = subprocess.Popen([str(word) for word in words], stdout=open(folder / "log", "w"), stderr=subprocess.STDOUT)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


def edits_and_restarts(signing, gone):
    client, zone = "edits, restarts, rolls", "ecdsap256sha256-nsec.example"
    before = serial(CAIRN, zone)
    done = signing.command("zone", "add", zone, "added", "300", "A", "192.0.2.99")
    tally.check(client, "cairn zone add", done.returncode == 0 and "192.0.2.99" in dig(CAIRN, f"added.{zone}", "A"), done.stdout + done.stderr)
    tally.check(client, "the serial has risen", serial(CAIRN, zone) == before + 1, f"{before} {serial(CAIRN, zone)}")
    tally.check(client, "the file is unsigned", "RRSIG" not in (signing.zones / f"{zone}.zone").read_text())
    changes = [line for line in dig(LOCAL, zone, f"IXFR={before}", "+tcp", "+noall", "+answer", "-b", LOCAL).splitlines() if line and line[0] != ";"]
    # SOA four times, its signature, ZONEMD and its signature twice each, the record and its signature, a denial that comes and one
    # that changes, with signatures.
    tally.check(client, "IXFR: what the change signs, and no more", 0 < len(changes) <= 20, f"{len(changes)}: {changes}")
    verified(client, signing, zone, gone, "after an edit")
    tally.check(client, "a record without a raised serial", edited_by_hand(signing, zone), serial(CAIRN, zone))
    state = signing.status(zone)
    before, whole = serial(CAIRN, zone), sorted(signing.exported(zone)[1])
    signing.stop(kill=True)
    signing.start(lambda: serial(CAIRN, zone))
    tally.check(client, "a killed server comes back with the same version", sorted(signing.exported(zone)[1]) == whole, f"{before} {serial(CAIRN, zone)}")
    tally.check(client, "and the same keys", signing.status(zone).get("ds") == state.get("ds"), signing.status(zone))
    done = signing.command("zone", "sign", "roll", zone)
    tally.check(client, "no roll before the parent has the first key", done.returncode == 1 and "is published" in done.stdout + done.stderr, done.stdout + done.stderr)


def edited_by_hand(signing, zone):
    path = signing.zones / f"{zone}.zone"
    before = serial(CAIRN, zone)
    path.write_text(path.read_text() + "byhand A 192.0.2.98\n")
    signing.command("reload")
    return serial(CAIRN, zone) == before + 1 and "192.0.2.98" in dig(CAIRN, f"byhand.{zone}", "A")


def keys_brought_along(signing, gone):
    """KSK and ZSK of dnssec-keygen, and a key of Knot in PEM: they sign at once, and a roll of each begins."""
    client = "keys brought along"
    signing.stop()
    zones = {"of-bind.example": "", "of-knot.example": ""}
    for zone in zones:
        signing.put(zone, ZONE)
        (signing.folder / f"state/keys/{zone}").mkdir(parents=True)
    expected = {}
    if "dnssec-keygen" not in gone:
        folder = signing.folder / "state/keys/of-bind.example"
        names = [run("dnssec-keygen", "-q", "-K", folder, "-a", "ECDSAP256SHA256", *flags, "of-bind.example").stdout.strip() for flags in ([], ["-f", "KSK"])]
        expected["of-bind.example"] = {int(name.rsplit("+", 1)[1]): role for name, role in zip(names, ("zsk", "ksk"))}
    if "keymgr" not in gone:
        base = signing.folder / "kasp"
        base.mkdir()
        (base / "knot.conf").write_text(f'database:\n  storage: {base}\nzone:\n  - domain: of-knot.example\n')
        made = run("keymgr", "-c", base / "knot.conf", "of-knot.example.", "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes")
        pem = list(base.rglob("*.pem"))
        tally.check(client, "keymgr makes a key", len(pem) == 1, made.stdout + made.stderr)
        if pem:
            shutil.copy(pem[0], signing.folder / "state/keys/of-knot.example/")
            listed = run("keymgr", "-c", base / "knot.conf", "of-knot.example.", "ds").stdout.split()
            expected["of-knot.example"] = {int(listed[2]): "csk"} if len(listed) > 2 else {}
    tally.check(client, "starts", signing.begin(zones), signing.cairn.log()[-900:])
    for zone, keys in expected.items():
        status = signing.status(zone)
        tally.check(client, f"{zone}: they are in use", {key["tag"]: key["role"] for key in status.get("keys", [])} == keys, status)
        tally.check(client, f"{zone}: active", all(key["state"] == "active" for key in status.get("keys", [])), status)
    if "of-bind.example" in expected:
        path, _ = signing.exported("of-bind.example")
        done = run("dnssec-verify", "-o", "of-bind.example", path)
        tally.check(client, "dnssec-verify of KSK and ZSK", done.returncode == 0, done.stdout + done.stderr)
        done = signing.command("zone", "sign", "roll", "of-bind.example", "zsk")
        tally.check(client, "a ZSK roll begins", done.returncode == 0, done.stdout + done.stderr)
        keys = signing.status("of-bind.example").get("keys", [])
        tally.check(client, "the new key is published", [key["state"] for key in keys if key["role"] == "zsk"] == ["active", "published"], keys)
        verified(client, signing, "of-bind.example", gone, "in a ZSK roll")
    if "of-knot.example" in expected:
        done = signing.command("zone", "sign", "roll", "of-knot.example")
        tally.check(client, "a CSK roll begins", done.returncode == 0, done.stdout + done.stderr)
        # kzonecheck 3.2 refuses one RRset of any zone with two CSKs of which one signs, also of those that BIND has signed.
        verified(client, signing, "of-knot.example", [*gone, "kzonecheck"], "in a CSK roll")
    signing.configure([signing.signed(zone, 'dnssec-algorithm = "ed25519"\n') for zone in zones])
    signing.command("reload")
    done = signing.command("zone", "sign", "roll", "of-bind.example", "algorithm")
    tally.check(client, "one roll at a time", done.returncode == 1 and "in progress" in done.stdout + done.stderr, done.stdout + done.stderr)


def refusals(signing):
    client, zone = "refused", "of-bind.example"
    exported, _ = signing.exported(zone)
    signing.put("signed.example", exported.read_text().replace("of-bind.example.", "signed.example."))
    signing.configure([signing.signed("signed.example")])
    done = signing.command("check", "--strict")
    said = done.stdout + done.stderr
    tally.check(client, "a zone that is signed in its file", done.returncode == 2 and "signed.example.zone" in said and "dnssec = false" in said, said)
    signing.configure([signing.signed(zone, 'dnssec-algorithm = "ed448"\n')])
    done = signing.command("check")
    tally.check(client, "an algorithm that cannot be signed", done.returncode == 2 and "ecdsap256sha256" in done.stdout + done.stderr, done.stdout + done.stderr)
    signing.stop()
