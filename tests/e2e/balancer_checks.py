"""Behind load balancers that speak the PROXY protocol: dnsdist and HAProxy in front of Cairn over UDP, TCP, TLS and HTTPS.

A view tells each client who it is taken for, so that a reply says which address has counted.
"""

import re
import socket
import subprocess
import sys

import network
import wire
from asking import LOCAL, NoReply, ask, framed, guarded, tally, until
from encrypted_checks import certificate, context, output, put, read_reply
from space import ip

SERVER, BALANCER = "192.0.2.53", "192.0.2.10"
TLS, HTTPS = 8853, 8443
CLIENTS = {"127.0.0.31": "203.0.113.31", "127.0.0.32": "203.0.113.32"}
OF_BALANCER, OF_OTHERS = "203.0.113.10", "203.0.113.99"
# Where dnsdist listens for each way to the server, and HAProxy.
PLAIN, OVER_TLS, OVER_HTTPS, HAPROXY, HAPROXY_TLS = 5301, 5302, 5303, 5304, 5305
TOOLS = ["ip", "dnsdist", "haproxy", "dig", "kdig", "openssl"]
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(client, command=0x21):
    ends = socket.inet_aton(client) + socket.inet_aton(SERVER) + (4000).to_bytes(2, "big") + (53).to_bytes(2, "big")
    return SIGNATURE + bytes([command, 0x12]) + len(ends).to_bytes(2, "big") + ends


def views():
    """One for each client, and what everybody else gets."""
    named = [*CLIENTS.items(), (BALANCER, OF_BALANCER)]
    return "".join(f'[[view]]\nname = "v{number}"\nclients = ["{client}"]\nlocal-data = ["who.test. 60 A {address}"]\n'
                   for number, (client, address) in enumerate(named))


def who(*words):
    return output("dig", "+short", "+tries=1", "+time=3", *words, "who.test", "A").strip()


def dnsdist(stage, name, port, backend):
    config = stage.folder / f"{name}.conf"
    config.write_text(f"setLocal('{LOCAL}:{port}')\nsetACL({{'127.0.0.0/8'}})\nsetSecurityPollSuffix('')\n"
                      f"newServer{{source='{BALANCER}', useProxyProtocol=true, name='{name}', checkName='www.hosted.example.', {backend}}}\n")
    log = open(stage.folder / f"{name}.log", "w")
    return subprocess.Popen(["dnsdist", "--supervised", "--disable-syslog", "-C", config], stdout=log, stderr=log)


def haproxy(stage):
    config = stage.folder / "haproxy.cfg"
    sections = "".join(f"listen p{port}\n  mode tcp\n  bind {LOCAL}:{port}\n  source {BALANCER}\n  server s {SERVER}:{to} send-proxy-v2\n"
                       for port, to in [(HAPROXY, 53), (HAPROXY_TLS, TLS)])
    config.write_text("global\n  log stdout format raw local0\ndefaults\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n" + sections)
    log = open(stage.folder / "haproxy.log", "w")
    return subprocess.Popen(["haproxy", "-db", "-f", config], stdout=log, stderr=log)


def with_balancers(stage):
    certified = f"tls='openssl', subjectName='first.test', caStore='{stage.folder}/first.test.pem', validateCertificates=true"
    started = [dnsdist(stage, "plain", PLAIN, f"address='{SERVER}:53'"),
               dnsdist(stage, "tls", OVER_TLS, f"address='{SERVER}:{TLS}', {certified}"),
               dnsdist(stage, "https", OVER_HTTPS, f"address='{SERVER}:{HTTPS}', {certified}, dohPath='/dns-query'"),
               haproxy(stage)]
    try:
        ways = [("dnsdist, UDP", PLAIN, []), ("dnsdist, TCP", PLAIN, ["+tcp"]), ("dnsdist, TLS", OVER_TLS, []),
                ("dnsdist, TLS, clients over TCP", OVER_TLS, ["+tcp"]), ("dnsdist, HTTPS", OVER_HTTPS, []),
                ("HAProxy, TCP", HAPROXY, ["+tcp"]), ("HAProxy, TLS", HAPROXY_TLS, ["+tls"])]
        for shown, port, words in ways:
            for client, address in CLIENTS.items():
                asked = ["-b", client, f"@{LOCAL}", "-p", str(port), *words]
                got = until(lambda: who(*asked) == address, 8)
                tally.check(shown, f"{client} is the client", got, who(*asked))
    finally:
        for process in started:
            process.terminate()
            process.wait(5)


def taken_for(data):
    """Whose answer this reply has; None: nobody's."""
    found = [address for address in [*CLIENTS.values(), OF_BALANCER, OF_OTHERS] if socket.inet_aton(address) in data]
    return found[0] if found else None


def by_hand(subject):
    query = wire.query("who.test", "A")

    def udp(packet, source):
        try:
            return taken_for(ask(SERVER, packet, source=source, timeout=1.0)[0])
        except NoReply:
            return "no reply"

    for what, packet, source, expected in [
        ("a listed peer with a header", header("127.0.0.31") + query, BALANCER, CLIENTS["127.0.0.31"]),
        ("a question of the balancer's own", header(BALANCER, 0x20) + query, BALANCER, OF_BALANCER),
        ("a listed peer without one", query, BALANCER, "no reply"),
        ("nobody else's is believed", header("127.0.0.31") + query, "127.0.0.40", None),
        ("others need none", query, "127.0.0.40", OF_OTHERS),
    ]:
        got = udp(packet, source)
        tally.check("UDP", what, got == expected, got)

    def designated(packet, source):
        reply = ask(SERVER, packet + wire.query("_dns.resolver.arpa", 64), source=source, timeout=2.0)[0]
        return int.from_bytes(reply[6:8], "big")
    guarded("UDP", "a client behind a balancer is led to no listener", lambda: (
        (designated(header("127.0.0.31"), BALANCER), designated(b"", "127.0.0.40") > 0) == (0, True), "records of _dns.resolver.arpa"))

    def tls(before, inside):
        raw = socket.create_connection((SERVER, TLS), timeout=3, source_address=(BALANCER, 0))
        raw.sendall(before)
        with context().wrap_socket(raw) as stream:
            stream.sendall(inside + framed(query))
            return taken_for(read_reply(stream))

    for shown, before, inside in [("before TLS", header("127.0.0.32"), b""), ("inside TLS", b"", header("127.0.0.32"))]:
        guarded("TLS", f"a header {shown}", lambda before=before, inside=inside: (tls(before, inside) == CLIENTS["127.0.0.32"], shown))

    def none_over_tls():
        try:
            return False, tls(b"", b"")
        except OSError as error:
            return True, error
    guarded("TLS", "none: closed", none_over_tls)

    def counted():
        text = output(subject.binary, "stats", "--config", subject.folder / "cairn.toml", "--json")
        found = re.search(r'"proxy-headers-refused": ?(\d+)', text)
        return found is not None and int(found[1]) >= 2, text[:300]
    guarded("stats", "refusals are counted", counted)


def balancers_stage(words, make_stage):
    tally.server = tally.judged = "cairn"
    if network.missing_tools(TOOLS):
        sys.exit(1)
    with make_stage(words.keep) as stage:
        network.make_network([])
        tally.folder = stage.folder
        for address in (SERVER, BALANCER):
            ip("addr", "replace", f"{address}/32", "dev", "lo")
        subject = stage.subject("cairn")
        subject.server = (f'listen-tls = ["{SERVER}:{TLS}"]\nlisten-https = ["{SERVER}:{HTTPS}"]\nproxy-from = ["{BALANCER}"]\n'
                          f'control-socket = "{subject.folder}/control.sock"\n')
        subject.more = f'[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n[policy]\nlocal-data = ["who.test. 60 A {OF_OTHERS}"]\n' + views()
        put(certificate(stage.folder, "first.test"), subject.folder)
        if tally.check("start", "answers within 10 s", subject.start([f"{LOCAL}:53", f"{SERVER}:53"]), subject.log()):
            by_hand(subject)
            with_balancers(stage)
            code, took = subject.stop()
            tally.check("stop", "in order", code == 0 and took < 3, f"{code} after {took:.1f} s")
            tally.check("log", "no panic", "panic" not in subject.log(), subject.log()[-500:])
