"""Each fault really present, and `cairn doctor` names that one and no other; on a healthy machine it names none.

The root is signed and served by NSD at an address of its own. In front of it, at the addresses of the root servers, stands a
middlebox: it passes questions on, and is told to spoil the replies as networks do."""

import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import network
import wire
from asking import LAN, LAN6, LOCAL, NoReply, guarded, reply, tally, until
from authorities import HERE, ROOT_ADDRESSES, Nsd
from signed import sign_with_bind
from space import ip
from wire import AA, QR, RA

TOOLS = ["ip", "nsd", "dnssec-signzone", "dnssec-keygen", "dnssec-dsfromkey", "cc"]
BEHIND, FORWARDER, NOBODY, PORTAL, ABSENT = "127.8.8.8", "192.0.2.77", "192.0.2.78", "192.0.2.66", "2001:db8:c::99"
SECONDS_MAX = 15
A, OPT = wire.TYPES["A"], wire.TYPES["OPT"]


def root_zone():
    lines = ["$TTL 300", "@ SOA a.root-servers.net. nstld.example. 1 1800 900 604800 60", "com. NS ns.com.", "ns.com. A 192.5.6.30"]
    for letter, address in zip("abcdefghijklm", [a for a in ROOT_ADDRESSES if ":" not in a]):
        lines += [f"@ NS {letter}.root-servers.net.", f"{letter}.root-servers.net. A {address}"]
    return "\n".join(lines) + "\n"


class Middlebox(threading.Thread):
    """Passes questions on to NSD; `spoil(question, reply, over_tcp)` is what becomes of each reply, None being silence."""

    def __init__(self, addresses):
        super().__init__(daemon=True)
        self.addresses, self.selector, self.listeners, self.over_tcp = addresses, selectors.DefaultSelector(), [], True
        self.spoil = honest
        for address in addresses:
            sock = self.bound(address, socket.SOCK_DGRAM)
            self.selector.register(sock, selectors.EVENT_READ, self.datagram)
        self.listen()
        self.start()

    def bound(self, address, kind):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, 53))
        return sock

    def listen(self):
        for address in self.addresses:
            sock = self.bound(address, socket.SOCK_STREAM)
            sock.listen()
            self.listeners.append(sock)
            self.selector.register(sock, selectors.EVENT_READ, self.connection)

    def refuse_tcp(self):
        """Nobody listens any more: the kernel resets each connection."""
        for sock in self.listeners:
            self.selector.unregister(sock)
            sock.close()
        self.listeners = []

    def run(self):
        while True:
            for key, _ in self.selector.select():
                try:
                    key.data(key.fileobj)
                except (OSError, ValueError, IndexError, struct.error):
                    pass

    def datagram(self, sock):
        query, client = sock.recvfrom(65535)
        reply = self.spoil(query, ask_behind(query), False)
        if reply:
            sock.sendto(reply, client)

    def connection(self, listener):
        conn, _ = listener.accept()
        with conn:
            conn.settimeout(1)
            query = conn.recv(65535)[2:]
            reply = self.spoil(query, ask_behind(query), True)
            if reply:
                conn.sendall(struct.pack("!H", len(reply)) + reply)


def ask_behind(query):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.sendto(query, (BEHIND, 53))
        return sock.recv(65535)


def flags(reply, on=0, off=0):
    return reply[:2] + struct.pack("!H", struct.unpack("!H", reply[2:4])[0] & ~off | on) + reply[4:]


def question_of(query):
    """The name's octets, the type, and the whole question."""
    end = query.index(0, 12) + 1
    return query[12:end], struct.unpack("!H", query[end:end + 2])[0], query[12:end + 4]


def answer(query, address, more=0):
    """A reply with one address, or with none."""
    record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + socket.inet_aton(address) if address else b""
    return query[:2] + struct.pack("!H", QR | RA | more) + struct.pack("!4H", 1, int(bool(address)), 0, 0) + question_of(query)[2] + record


def honest(query, reply, over_tcp):
    return reply


def hijacked(query, reply, over_tcp):
    """A resolver in the place of the root servers, which knows DNSSEC."""
    name, rtype, _ = question_of(query)
    if rtype == A and name == wire.name_wire("example.com"):
        return answer(query, "192.0.2.80")
    return flags(reply, on=RA, off=AA)


def without_large(query, reply, over_tcp):
    return reply if over_tcp or len(reply) <= 512 else None


def portal(query, reply, over_tcp):
    return answer(query, PORTAL if question_of(query)[1] == A else None)


def resolver(query, reply, over_tcp):
    """A forwarder as it should be: what NSD knows, with RA."""
    return hijacked(query, reply, over_tcp)


def stripping(query, reply, over_tcp):
    """A forwarder that does not understand EDNS: neither OPT nor signatures."""
    name, rtype, question = question_of(query)
    plain = query[:2] + struct.pack("!H4H", 0x0100, 1, 0, 0, 0) + question
    return hijacked(plain, ask_behind(plain), over_tcp)


def silent(query, reply, over_tcp):
    return None


def refusing(query, reply, over_tcp):
    """A packet filter that answers by itself, without RA."""
    return query[:2] + struct.pack("!H4H", QR | 5, 1, 0, 0, 0) + question_of(query)[2]


def denying(query, reply, over_tcp):
    """A filter that says of some names that they do not exist, in the place of the root servers."""
    if question_of(query)[0] == wire.name_wire("example.com"):
        return query[:2] + struct.pack("!H4H", QR | AA | 3, 1, 0, 0, 0) + question_of(query)[2]
    return reply


def inventing(query, reply, over_tcp):
    """An address of a search page for what does not exist, and nothing else."""
    _, rtype, _ = question_of(query)
    return answer(query, "192.0.2.81", AA) if rtype == A and reply[3] & 15 == 3 else reply


def without_edns(query, reply, over_tcp):
    """An old firewall: whatever has an OPT record is dropped, over UDP."""
    return reply if over_tcp or query[10:12] == b"\0\0" else None


def formerr(query, reply, over_tcp):
    """A forwarder that takes EDNS for a mistake."""
    if query[10:12] == b"\0\0":
        return hijacked(query, reply, over_tcp)
    return query[:2] + struct.pack("!H4H", QR | RA | 1, 1, 0, 0, 0) + question_of(query)[2]


def failing(query, reply, over_tcp):
    return query[:2] + struct.pack("!H4H", QR | RA | 2, 1, 0, 0, 0) + question_of(query)[2]


class Rules:
    """Routing rules that drop packets, which work in every kernel; the table of local addresses comes after them."""

    def __init__(self, family, *rule):
        self.family, self.rule = [f"-{family}"], rule

    def __enter__(self):
        ip(*self.family, "rule", "add", "pref", "100", "lookup", "local")
        ip(*self.family, "rule", "del", "pref", "0")
        ip(*self.family, "rule", "add", "pref", "10", *self.rule)

    def __exit__(self, *_):
        ip(*self.family, "rule", "del", "pref", "10")
        ip(*self.family, "rule", "add", "pref", "0", "lookup", "local")
        ip(*self.family, "rule", "del", "pref", "100")


class Doctor:
    """The program, the server that it looks at, and configurations that differ in one thing."""

    def __init__(self, subject, folder, anchors):
        self.subject, self.folder, self.anchors, self.count, self.slowest = subject, folder, anchors, 0, 0
        self.socket = folder / "run/control.sock"

    def config(self, server="", recursion="", more="", listen=(LOCAL,), anchors=None):
        self.count += 1
        path = self.folder / f"doctor-{self.count}.toml"
        at = "listen = [{}]\n".format(", ".join(f'"{address}"' for address in listen)) if listen else ""
        path.write_text(
            f'[server]\n{at}control-socket = "{self.socket}"\nstate-dir = "{self.folder / "state"}"\n{server}'
            f'[recursion]\ntrust-anchor = "{anchors or self.anchors}"\n{recursion}{more}'
        )
        return path

    def start(self, **config):
        self.subject.process = self.subject.run([self.subject.binary, "run", "--config", self.config(**config)])
        return until(lambda: self.socket.exists() and self.ask("status", "--json", "--config", self.config())[0] == 0, 10)

    def ask(self, *words, env=None):
        done = subprocess.run([self.subject.binary, *map(str, words)], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
        return done.returncode, done.stdout, done.stderr

    def check(self, what, expected, said="", config=None, env=None):
        """`expected`: the names of the checks that find something."""

        def test():
            begun = time.monotonic()
            code, out, err = self.ask("doctor", "--json", "--config", config or self.config(), env=env)
            took = time.monotonic() - begun
            self.slowest = max(self.slowest, took)
            report = json.loads(out)
            found = {finding["check"] for finding in report["findings"]}
            words = " ".join(f"{finding['what']} {finding['fix']}" for finding in report["findings"])
            good = found == expected and said in words and code == (1 if expected else 0) and report["healthy"] == (not expected)
            return good and took <= SECONDS_MAX and not err, f"exit {code} after {took:.1f} s: {out} {err}"

        guarded("doctor", what, test)


def doctor_stage(words, make_stage):
    if network.missing_tools(TOOLS):
        sys.exit(1)
    tally.server = tally.judged = "cairn"
    with make_stage(words.keep) as stage:
        if not network.make_network(ROOT_ADDRESSES):
            sys.exit("this stage needs IPv6")
        signed, ds = sign_with_bind(".", root_zone(), stage.folder, algorithm="RSASHA256")
        anchors = stage.folder / "anchors"
        anchors.write_text("\n".join(ds) + "\n")
        nsd = Nsd("root", stage.folder, [BEHIND], [(".", signed)])
        stage.running.append(nsd)
        nsd.start()
        nsd.wait()
        roots, forwarder = Middlebox(ROOT_ADDRESSES), Middlebox([FORWARDER])
        forwarder.spoil = resolver
        if not network.mount_over("/etc/resolv.conf", f"nameserver {LOCAL}\n", stage.folder):
            sys.exit("/etc/resolv.conf cannot be covered here")
        # Folders that others may write to are refused, and those of this stage are below a temporary folder of ours.
        folder = stage.folder / "doctor"
        folder.mkdir(mode=0o700)
        doctor = Doctor(stage.subject("cairn"), folder, anchors)
        if tally.check("start", "answers within 10 s", doctor.start(), doctor.subject.log()):
            healthy_checks(doctor)
            machine_checks(doctor, stage.folder)
            network_checks(doctor, roots)
            forwarding_checks(doctor, forwarder)
            interception_checks(doctor, roots)
            tally.notes.append(f"the slowest run of cairn doctor: {doctor.slowest:.1f} s")


def healthy_checks(doctor):
    doctor.check("a healthy machine: nothing", set())
    doctor.check("a healthy machine that forwards everything: nothing", set(), config=doctor.config(more=f'[[forward]]\nzone = "."\nto = ["{FORWARDER}"]\n'))

    def text():
        code, out, err = doctor.ask("doctor", "--config", doctor.config())
        return code == 0 and out.endswith("no fault found\n") and "good   clock\n" in out and not err, f"exit {code}: {out} {err}"

    guarded("doctor", "as text, without a word of progress where nobody looks", text)
    guarded("doctor", "wrong usage: exit 2", lambda: (doctor.ask("doctor", "--nonsense")[0] == 2, ""))


def machine_checks(doctor, folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((LAN, 53))
        doctor.check("port 53 held by another process", {"port"}, f"process {os.getpid()}", config=doctor.config(listen=(LOCAL, LAN)))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind((LAN, 53))
        holder.listen()
        doctor.check("port 53 held by another process, over TCP alone", {"port"}, "TCP", config=doctor.config(listen=(LOCAL, LAN)))
    doctor.check("an address that no interface has", {"port"}, ABSENT, config=doctor.config(listen=(LOCAL, ABSENT)))
    doctor.check("a mistake in the configuration", {"configuration"}, "misspelt", config=doctor.config(server="misspelt = 1\n"))
    doctor.check("everybody may ask", {"open resolver"}, "0.0.0.0/0", config=doctor.config(server='allow = ["0.0.0.0/0"]\n', listen=(LOCAL, LAN)))
    wide = doctor.config(server='allow = ["127.0.0.0/8", "::/0"]\n', listen=(LOCAL, LAN6))
    doctor.check("everybody may ask over IPv6", {"open resolver"}, "::/0", config=wide)
    doctor.check("half of all addresses may ask", {"open resolver"}, "0.0.0.0/1", config=doctor.config(server='allow = ["0.0.0.0/1", "128.0.0.0/1"]\n', listen=(LOCAL, LAN)))
    network.mount_over("/etc/resolv.conf", f"nameserver {NOBODY}\n", folder)
    doctor.check("resolv.conf leads elsewhere", {"resolv.conf"}, NOBODY)
    network.mount_over("/etc/resolv.conf", f"# mine\nnameserver ::1\nnameserver {NOBODY}\n", folder)
    doctor.check("resolv.conf leads elsewhere first", {"resolv.conf"}, "::1")
    network.mount_over("/etc/resolv.conf", f"nameserver {LOCAL}\n", folder)
    process = doctor.subject.process
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (64, hard))
    doctor.check("64 open files", {"open files"}, "64 files")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    with Rules(4, "from", LOCAL, "ipproto", "udp", "sport", "53", "blackhole"):
        doctor.check("replies of the server are dropped", {"packet filter"}, f"{LOCAL}:53 over UDP")
    process.send_signal(signal.SIGSTOP)
    doctor.check("a server that hangs", {"server"}, "does not answer")
    process.send_signal(signal.SIGCONT)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        doctor.socket.rename(f"{aside}/moved")
        doctor.check("no control socket", {"server"}, f"Cairn runs (process {process.pid})")
    doctor.subject.stop()
    doctor.check("no server", {"server"}, "no Cairn runs here")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((LOCAL, 53))
        tally.check("start", "beside a process that has port 53", doctor.start(listen=()), doctor.subject.log())
        doctor.check("port 53 held, so the server took port 5300", {"port", "resolv.conf"}, "cannot name a port", config=doctor.config(listen=()))
    doctor.subject.stop()
    tally.check("start", "again", doctor.start(), doctor.subject.log())


def network_checks(doctor, roots):
    for what, spoil, expected, said in [
        ("a resolver answers in place of the root servers", hijacked, {"interception"}, "offer recursion"),
        ("a packet filter that answers REFUSED in their place", refusing, {"interception"}, "REFUSED"),
        ("one that says of a name that it does not exist", denying, {"interception"}, "example.com does not exist"),
        ("one that gives an address for what does not exist", inventing, {"interception"}, "has an address"),
        ("large UDP replies are dropped", without_large, {"large answers"}, "1232 octets"),
        ("queries with EDNS are dropped", without_edns, {"large answers"}, "EDNS"),
        ("a captive portal: one address for every name", portal, {"captive portal"}, PORTAL),
        ("no reply of anybody", silent, {"network"}, "none of 6 servers"),
    ]:
        roots.spoil = spoil
        doctor.check(what, expected, said)
        roots.spoil = honest
    roots.refuse_tcp()
    doctor.check("TCP to port 53 is reset", {"TCP"}, "refused")
    roots.listen()
    with Rules(4, "blackhole", "ipproto", "tcp", "dport", "53"), Rules(6, "blackhole", "ipproto", "tcp", "dport", "53"):
        doctor.check("all TCP to port 53 is dropped", {"TCP", "packet filter"}, "not over TCP")
    for kind in ("unreachable", "blackhole", "prohibit"):
        with Rules(6, kind, "ipproto", "udp", "dport", "53"), Beside(kind, "ipproto", "tcp", "dport", "53"):
            doctor.check(f"IPv6 without a way out: {kind}", {"IPv6"}, "over IPv4")
    doctor.check("all is well again", set())
    shim = doctor.folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", shim, HERE / "clock.c"], check=True)
    for days in (-400, 400):
        env = {"LD_PRELOAD": str(shim), "CLOCK_SHIFT": str(days * 86400)}
        doctor.check(f"the clock is wrong by {days} days", {"clock"}, "timedatectl", env=env)
    stale = doctor.folder / "stale.anchors"
    stale.write_text(f". IN DS 4711 8 2 {'ab' * 32}\n")
    doctor.check("a stale trust anchor", {"trust anchors"}, "trusts 4711", config=doctor.config(anchors=stale))
    doctor.check("no file of trust anchors", {"trust anchors"}, "gone.anchors", config=doctor.config(anchors=doctor.folder / "gone.anchors"))


class Beside:
    """Beside a rule for UDP, one for TCP."""

    def __init__(self, *rule):
        self.rule = rule

    def __enter__(self):
        ip("-6", "rule", "add", "pref", "11", *self.rule)

    def __exit__(self, *_):
        ip("-6", "rule", "del", "pref", "11")


def forwarding_checks(doctor, forwarder):
    everything = doctor.config(more=f'[[forward]]\nzone = "."\nto = ["{FORWARDER}"]\n')
    forwarder.spoil = stripping
    doctor.check("a forwarder that strips signatures", {"DNSSEC of forwarders"}, FORWARDER, config=everything)
    forwarder.spoil = formerr
    doctor.check("a forwarder that takes EDNS for a mistake", {"DNSSEC of forwarders"}, FORWARDER, config=everything)
    forwarder.spoil = resolver
    doctor.check("a forwarder where nobody is", {"forwarders"}, NOBODY, config=doctor.config(more=f'[[forward]]\nzone = "corp.example"\nto = ["{NOBODY}"]\n'))
    internal = doctor.config(more=f'[[forward]]\nzone = "corp.example"\nto = ["{FORWARDER}"]\n')
    for spoil, said in ((failing, "SERVFAIL"), (refusing, "REFUSED")):
        forwarder.spoil = spoil
        doctor.check(f"a forwarder that answers {said}", {"forwarders"}, said, config=internal)
    forwarder.spoil = resolver


def interception_checks(doctor, roots):
    """The running server notices it too, when it asks the root servers, and says so once."""

    def told(spoil, expected):
        def test():
            doctor.subject.stop()
            roots.spoil = spoil
            started = doctor.start()
            for label in ("one", "two", "three"):
                try:
                    reply(LOCAL, f"{label}.test-{time.monotonic_ns()}", "A", timeout=2)
                except NoReply:
                    pass
            seen = json.loads(doctor.ask("status", "--json", "--config", doctor.config())[1])["network"]["interception"]
            text = doctor.ask("status", "--config", doctor.config())[1]
            logged = doctor.subject.log().count("root servers are intercepted")
            roots.spoil = honest
            # At most one line for each address family.
            good = bool(seen) == expected and ("intercepted" in text) == expected and (1 if expected else 0) <= logged <= (2 if expected else 0)
            return started and good, f"{seen}, {logged} lines: {text} {doctor.subject.log()[-600:]}"

        return test

    guarded("status", "honest root servers: no word of interception", told(honest, False))
    guarded("status", "a resolver in place of the root servers", told(hijacked, True))
