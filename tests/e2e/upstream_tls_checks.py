"""Forwarders that are asked over TLS and HTTPS: Unbound, Knot Resolver and Cairn itself as upstreams, certificates that are right and
wrong, keys that are pinned, servers that stop, start again, and fall silent; and what can be read on the wire."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import network
from asking import LOCAL, tally, until
from space import all_is_local, ip
from subjects import Cairn

UNBOUND, KNOT, CAIRN, SILENT = "198.51.100.11", "198.51.100.12", "198.51.100.13", "198.51.100.14"
NAME = "dns.upstream.example"
# What each upstream says of the same name, so that it shows who was asked.
ANSWERS = {UNBOUND: "203.0.113.11", KNOT: "203.0.113.12", CAIRN: "203.0.113.13"}
WWW = "www.secretname.example"
UNDER_TEST = []
SHOWN = b"\x0asecretname\x07example"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certified(folder, file, names, ca="ca", days=30):
    """Chain and key of a server, signed by a CA that is made if need be."""
    root, root_key, made, key = folder / f"{ca}.pem", folder / f"{ca}.key", folder / f"{file}.pem", folder / f"{file}.key"
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    if not root.exists():
        openssl(*new, "-x509", "-days", 3650, "-subj", f"/CN={ca}", "-keyout", root_key, "-out", root)
    openssl(*new, "-subj", f"/CN={file}", "-keyout", key, "-out", folder / f"{file}.csr")
    (folder / f"{file}.ext").write_text(f"subjectAltName={','.join(names)}\nbasicConstraints=critical,CA:FALSE\n")
    openssl("x509", "-req", "-in", folder / f"{file}.csr", "-CA", root, "-CAkey", root_key, "-CAcreateserial", "-days", days,
            "-extfile", folder / f"{file}.ext", "-out", made)
    return made, key


def pin(certificate):
    words = f"openssl x509 -in {certificate} -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
    return subprocess.run(["sh", "-c", words], check=True, capture_output=True, text=True).stdout.strip()


class Upstream:
    """A server in the foreground, with its log."""

    def __init__(self, folder, name, words, ports):
        self.folder, self.name, self.words, self.ports, self.process = folder, name, words, ports, None

    def start(self):
        with open(self.folder / f"{self.name}.log", "a") as out:
            self.process = subprocess.Popen([str(word) for word in self.words], stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
        return until(lambda: all(is_open(at, port) for at, port in self.ports), 15)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        return (self.folder / f"{self.name}.log").read_text(errors="replace")[-1500:]


def is_open(address, port):
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False


def unbound(folder, pair, at=UNBOUND, name="unbound"):
    config = folder / f"{name}.conf"
    config.write_text(f"""server:
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{folder}"
  use-syslog: no
  verbosity: 1
  do-daemonize: no
  module-config: "iterator"
  num-threads: 1
  interface: {at}@853
  interface: {at}@443
  tls-port: 853
  https-port: 443
  tls-service-pem: "{pair[0]}"
  tls-service-key: "{pair[1]}"
  access-control: 0.0.0.0/0 allow
  local-zone: "." static
  local-data: "{WWW}. 5 A {ANSWERS.get(at, at)}"
remote-control:
  control-enable: no
""")
    return Upstream(folder, name, ["unbound", "-d", "-c", config], [(at, 853), (at, 443)])


def knot_resolver(folder, pair):
    own = folder / "kresd"
    own.mkdir()
    config = own / "kresd.conf"
    config.write_text(f"""net.tls("{pair[0]}", "{pair[1]}")
net.listen("{KNOT}", 853, {{ kind = "tls" }})
net.listen("{KNOT}", 443, {{ kind = "doh2" }})
modules.load("hints")
hints.ttl(5)
hints["{WWW}"] = "{ANSWERS[KNOT]}"
policy.add(policy.suffix(policy.DENY, {{ todname("none.secretname.example.") }}))
trust_anchors.remove(".")
cache.size = 10 * MB
""")
    return Upstream(folder, "kresd", ["kresd", "-n", "-c", config, own], [(KNOT, 853), (KNOT, 443)])


def cairn_upstream(folder, pair, binary):
    own = folder / "cairn-upstream"
    (own / "zones").mkdir(parents=True)
    (own / "zones/secretname.example.zone").write_text(
        f"$ORIGIN secretname.example.\n$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A {CAIRN}\nwww A {ANSWERS[CAIRN]}\n"
        + "".join(f"n{at} A {ANSWERS[CAIRN]}\n" for at in range(300)))
    config = own / "cairn.toml"
    config.write_text(f"""[server]
listen = ["{CAIRN}:53"]
listen-tls = ["{CAIRN}:853"]
listen-https = ["{CAIRN}:443"]
allow = ["0.0.0.0/0"]
state-dir = "{own}/state"
control-socket = "{own}/run/control.sock"
[tls]
certificate = "{pair[0]}"
key = "{pair[1]}"
[recursion]
dnssec = false
""")
    return Upstream(folder, "cairn-upstream", [binary, "run", "--config", config], [(CAIRN, 853), (CAIRN, 443)])


class CairnForwarding(Cairn):
    """The server under test. Its cache is emptied before each question, so that each one reaches the upstream."""

    name = "cairn-forwarding"
    rule = ""

    def words(self, listen):
        config = self.folder / "cairn.toml"
        config.write_text(self.configuration())
        return [self.binary, "run", "--config", config]

    def configuration(self):
        return f"""[server]
listen = ["{LOCAL}:53"]
state-dir = "{self.folder}/state"
control-socket = "{self.folder}/run/control.sock"
[recursion]
dnssec = false
[cache]
serve-stale = false
prefetch = false
{self.rule}
"""

    def begin(self, rule):
        if self.process and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self.rule = rule
        self.process = self.run(self.words([]), "log")
        tally.check("start", "Cairn starts", until(lambda: is_open(LOCAL, 53), 10), self.log())

    def command(self, *words):
        ran = subprocess.run([self.binary, *words, "--config", self.folder / "cairn.toml"], capture_output=True, text=True, timeout=30)
        return ran.returncode, ran.stdout + ran.stderr

    def stats(self):
        return self.command("stats", "--json")[1]


class Wire(threading.Thread):
    """Reads everything on the loopback interface, and keeps which of it goes to an upstream, and shows a name."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
        self.socket.bind(("lo", 0))
        self.seen, self.shown = 0, []
        self.start()

    def run(self):
        upstreams = {socket.inet_aton(address) for address in (UNBOUND, KNOT, CAIRN, SILENT)}
        while True:
            packet = self.socket.recv(65536)
            if len(packet) > 20 and packet[16:20] in upstreams:
                self.seen += 1
                if SHOWN in packet.lower() or (packet[9] == 17):
                    self.shown.append(packet[:120].hex())


def dig(*words):
    # Outside the time that is measured.
    for cairn in UNDER_TEST:
        cairn.command("cache", "flush", ".", "--subtree")
    return asked_with(*words)


def asked_with(*words):
    ran = subprocess.run(["dig", f"@{LOCAL}", "+time=6", "+tries=1", *words], capture_output=True, text=True, timeout=20)
    return ran.stdout


def resolves(name=WWW, expected=None):
    for cairn in UNDER_TEST:
        cairn.command("cache", "flush", ".", "--subtree")
    begun = time.monotonic()
    text = asked_with("+short", name, "A")
    return expected in text.split(), time.monotonic() - begun, text


def rule(*servers, more=""):
    return f"[[forward]]\nzone = \".\"\nto = {json.dumps(list(servers))}\n{more}"


def upstream_tls_stage(words, stage_of):
    if {"ip", "openssl", "dig", "unbound"} & set(network.missing_tools(["ip", "openssl", "dig", "unbound", "kresd"])):
        sys.exit(1)
    with stage_of(words.keep) as stage:
        all_is_local("192.0.2.53", "2001:db8:c::53")
        for address in (UNBOUND, KNOT, CAIRN, SILENT):
            ip("addr", "replace", f"{address}/32", "dev", "lo")
        play(stage, stage.folder)


def play(stage, folder):
    os.chmod(folder, 0o755)
    pair = certified(folder, "right", [f"DNS:{NAME}", f"IP:{UNBOUND}"])
    for key in folder.glob("*.key"):
        key.chmod(0o644)
    ca = f'ca = "{folder}/ca.pem"\n'
    cairn = CairnForwarding(folder)
    UNDER_TEST.append(cairn)
    upstreams = [unbound(folder, pair), cairn_upstream(folder, pair, cairn.binary)]
    if "kresd" not in tally.missing:
        upstreams.insert(1, knot_resolver(folder, pair))
    stage.running += [cairn, *upstreams]
    for upstream in upstreams:
        tally.check("upstreams", f"{upstream.name} starts", upstream.start(), upstream.log())
    wire = Wire()

    for upstream in upstreams:
        at = upstream.ports[0][0]
        for scheme, path in (("tls", ""), ("https", "/dns-query")):
            cairn.begin(rule(f"{scheme}://{NAME}{path}#{at}", more=ca))
            good, took, text = resolves(expected=ANSWERS[at])
            tally.check(f"{scheme} to {upstream.name}", "the answer", good, f"{text} {cairn.log()[-800:]} {upstream.log()}")
            for _ in range(3):
                good, took, text = resolves(expected=ANSWERS[at])
                tally.check(f"{scheme} to {upstream.name}", "on the kept connection", good and took < 0.5, f"{took} {text}")
            none = dig("none.secretname.example", "A")
            tally.check(f"{scheme} to {upstream.name}", "a name that is not there", "NXDOMAIN" in none, none)
            _, explained = cairn.command("explain", WWW)
            shown = [f"{scheme}://{NAME}", NAME, "TLS 1.3"]
            tally.check(f"{scheme} to {upstream.name}", "explain shows the connection", all(word in explained for word in shown), explained)
    believed(folder, cairn, pair, ca)
    failures(stage, folder, cairn, pair, ca, upstreams)
    time.sleep(0.2)
    tally.check("wire", "packets were seen", wire.seen > 200, wire.seen)
    tally.check("wire", "no name and no UDP on the way to an upstream", not wire.shown, wire.shown[:3])
    cairn.begin(rule(f"{UNBOUND}:853"))
    asked_with("+time=1", WWW, "A")
    tally.check("wire", "a query in clear text would have been seen", until(lambda: wire.shown, 3))
    tally.check("end", "Cairn stops", cairn.stop()[0] == 0, cairn.log()[-500:])
    tally.check("end", "no panic", "panicked" not in cairn.log(), cairn.log()[-900:])


def believed(folder, cairn, pair, ca):
    """One server after the other with another certificate, at an address of its own."""
    other_ca = certified(folder, "other", [f"DNS:{NAME}"], ca="other-ca")
    wrong = certified(folder, "wrong", ["DNS:x.example"])
    expired = certified(folder, "expired", [f"DNS:{NAME}"], days=-1)
    url = f"tls://{NAME}#{SILENT}"
    good_pin = f'pin-sha256 = ["{pin(pair[0])}"]\n'
    wrong_pin = f'pin-sha256 = ["{pin(wrong[0])}"]\n'
    rows = [
        ("right name and CA", pair, url, ca, None),
        ("another name", wrong, url, ca, "the certificate is for another name"),
        ("another CA", other_ca, url, ca, "the certificate is from a CA that is not trusted"),
        ("no CA of the system", pair, url, "", "the certificate is from a CA that is not trusted"),
        ("expired", expired, url, ca, "the certificate has expired"),
        ("pinned, with its CA", pair, url, ca + good_pin, None),
        ("pinned, without a CA", pair, url, good_pin, None),
        ("another pin", pair, url, ca + wrong_pin, "the key is none of `pin-sha256`"),
        ("pinned, whatever the certificate says", wrong, url, wrong_pin, None),
        ("an address in the certificate", pair, f"tls://{UNBOUND}#{SILENT}", ca, None),
        ("an address that is not in it", pair, f"tls://{SILENT}", ca, "the certificate is for another name"),
    ]
    for what, shown, to, trust, expected in rows:
        for scheme in ("tls", "https"):
            server = unbound(folder, shown, SILENT, "tried")
            try:
                tally.check("trust", "the server starts", server.start(), server.log())
                cairn.begin(rule(to.replace("tls://", f"{scheme}://"), more=trust))
                text = dig(WWW, "A")
                good = SILENT in text if expected is None else "SERVFAIL" in text and expected in text
                tally.check("trust", f"{scheme}: {what}", good, f"{text} {cairn.log()[-500:]}")
            finally:
                server.stop()
    cairn.begin(rule(f"tls://{NAME}#{SILENT}", f"tls://{NAME}#{UNBOUND}", more=ca))
    server = unbound(folder, wrong, SILENT, "tried")
    server.start()
    good, took, text = resolves(expected=ANSWERS[UNBOUND])
    tally.check("trust", "the next server is asked in place of one that is not believed", good and took < 1.5, f"{took} {text}")
    server.stop()
    stats = cairn.stats()
    tally.check("trust", "stats count it", re.search(r"upstream.tls.unverified\D+[1-9]", stats), stats[-600:])


def failures(stage, folder, cairn, pair, ca, upstreams):
    first = upstreams[0]
    both = (f"tls://{NAME}#{UNBOUND}", f"https://{NAME}/dns-query#{CAIRN}")
    cairn.begin(rule(*both, more=ca))
    good, _, text = resolves(expected=ANSWERS[UNBOUND])
    tally.check("failures", "the first server answers", good, text)
    first.process.send_signal(signal.SIGSTOP)
    good, took, text = resolves(expected=ANSWERS[CAIRN])
    tally.check("failures", "stopped: the next server within 2 s", good and took < 2, f"{took} {text}")
    first.process.send_signal(signal.SIGCONT)
    first.stop()
    good, took, text = resolves(expected=ANSWERS[CAIRN])
    tally.check("failures", "gone: the next server at once", good and took < 1.0, f"{took} {text}")
    first.start()

    cairn.begin(rule(both[0], more=ca))
    resolves(expected=ANSWERS[UNBOUND])
    first.stop()
    first.start()
    good, took, text = resolves(expected=ANSWERS[UNBOUND])
    tally.check("failures", "restarted: the question goes over a new connection", good and took < 1.5, f"{took} {text}")
    first.process.send_signal(signal.SIGSTOP)
    threading.Timer(1.2, lambda: first.process.send_signal(signal.SIGCONT)).start()
    good, took, text = resolves(expected=ANSWERS[UNBOUND])
    tally.check("failures", "silent for 1.2 s: the answer all the same", good and took < 3, f"{took} {text}")

    # The network swallows what goes to the server: no RST, no FIN.
    cairn.begin(rule(*both, more=ca))
    resolves(expected=ANSWERS[UNBOUND])
    if ip("route", "add", "blackhole", f"{UNBOUND}/32", "table", "local", must=False) or ip("route", "replace", "blackhole", f"{UNBOUND}/32", must=False):
        ip("addr", "del", f"{UNBOUND}/32", "dev", "lo", must=False)
        good, took, text = resolves(expected=ANSWERS[CAIRN])
        tally.check("failures", "black hole: the next server within 2 s", good and took < 2, f"{took} {text}")
        ip("addr", "replace", f"{UNBOUND}/32", "dev", "lo", must=False)
        ip("route", "del", "blackhole", f"{UNBOUND}/32", "table", "local", must=False)
        ip("route", "del", "blackhole", f"{UNBOUND}/32", must=False)

    # Many questions at once over few connections.
    cairn.begin(rule(f"tls://{NAME}#{CAIRN}", more=ca))
    for scheme in ("tls", "https"):
        cairn.begin(rule(f"{scheme}://{NAME}#{CAIRN}", more=ca))
        resolves(expected=ANSWERS[CAIRN])
        names = [f"n{at}.secretname.example" for at in range(300)]
        ran = subprocess.run(["dig", f"@{LOCAL}", "+short", "+time=6", *names], capture_output=True, text=True, timeout=60)
        tally.check("many", f"{scheme}: 300 answers", ran.stdout.split().count(ANSWERS[CAIRN]) == 300, ran.stdout[-300:])
        connections = subprocess.run(["ss", "-Htn", "state", "established", f"dst {CAIRN}"], capture_output=True, text=True).stdout
        tally.check("many", f"{scheme}: over few connections", 1 <= len(connections.splitlines()) <= 4, connections)
