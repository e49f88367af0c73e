"""DNS over TLS and HTTPS with real clients: the same answers as over UDP, sessions, status codes, slow clients, certificates that
change under load, half-open handshakes beside live traffic."""

import base64
import http.server
import json
import os
import plistlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time

import network
import wire

try:
    import dns.rdata
except ImportError:
    dns = None

from asking import LOCAL, LAN, ask, framed, guarded, tally, until

TLS, HTTPS = 8853, 8443
SWAPS, HALF_OPEN, PIPELINED = 100, 2_000, 200
LARGE_RECORDS = 600
TOOLS = ["openssl", "curl", "kdig", "dig"]
PAGE = "127.0.0.80"
PAGE_PORT = 8080


def certificate(folder, name):
    """A new pair; returns its two files."""
    pair = folder / f"{name}.pem", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:{LOCAL}", "-keyout", pair[1], "-out", pair[0]]
    subprocess.run(words, check=True, capture_output=True)
    return pair


def put(pair, folder):
    """As a client of a certificate authority does it: one file after the other, each in one step."""
    for source, name in zip(pair, ["cert.pem", "key.pem"]):
        shutil.copy(source, folder / f"{name}.new")
        os.replace(folder / f"{name}.new", folder / name)


def context(alpn=("dot",)):
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols(list(alpn))
    return made


def connect(port=TLS, alpn=("dot",), timeout=5.0):
    return context(alpn).wrap_socket(socket.create_connection((LOCAL, port), timeout=timeout))


def read_reply(stream):
    size = int.from_bytes(read_exactly(stream, 2), "big")
    return read_exactly(stream, size)


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise OSError("closed in the middle of a reply")
        data += more
    return data


def output(*words, timeout=20):
    ran = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout)
    return ran.stdout + ran.stderr


def sets_of(text):
    """The records of a reply as dig and kdig print them, without TTLs, in any order."""
    lines = [re.sub(r"\s+", " ", line.strip()) for line in text.splitlines() if line and not line.startswith(";")]
    return sorted(re.sub(r"^(\S+) \d+ ", r"\1 ", line).lower() for line in lines)


def same_answers():
    for name, rtype in [("www.hosted.example", "A"), ("hosted.example", "MX"), ("inside.hosted.example", "AAAA"), ("none.hosted.example", "A"),
                        ("x.wild.hosted.example", "A"), ("hosted.example", "SOA"), ("www.elsewhere.test", "A")]:
        shown = ["+noall", "+answer", "+authority"]
        plain = sets_of(output("dig", f"@{LOCAL}", name, rtype, *shown))
        for client, words in [("dig +tls", ["dig", f"@{LOCAL}", "-p", TLS, "+tls"]), ("dig +https", ["dig", f"@{LOCAL}", "-p", HTTPS, "+https"]),
                              ("dig +https-get", ["dig", f"@{LOCAL}", "-p", HTTPS, "+https-get"]),
                              ("kdig +tls", ["kdig", f"@{LOCAL}", "-p", TLS, "+tls"]), ("kdig +https", ["kdig", f"@{LOCAL}", "-p", HTTPS, "+https"])]:
            got = sets_of(output(*words, name, rtype, *shown))
            # kdig prints the rest of its heading all the same.
            tally.check(client, f"{name} {rtype}: as over UDP", got == plain, f"{got} {plain}")


def tls_checks():
    def large(port, how):
        def test():
            text = output("dig", f"@{LOCAL}", "-p", port, how, "large.hosted.example", "TXT")
            size = int((re.search(r"rcvd: (\d+)", text) or [0, "0"])[1])
            return "NOERROR" in text and size > 60_000, text[-300:]
        return test

    def pipelining():
        with connect() as stream:
            names = ["www.hosted.example", "mail.hosted.example", "none.hosted.example"]
            stream.sendall(b"".join(framed(wire.query(names[ident % 3], "A", ident=ident)) for ident in range(PIPELINED)))
            idents = {wire.Reply(read_reply(stream)).id for _ in range(PIPELINED)}
            return idents == set(range(PIPELINED)), len(idents)

    def padding():
        with connect() as stream:
            sizes = []
            for extra in [wire.opt(), b""]:
                stream.sendall(framed(wire.query("www.hosted.example", "A", extra=extra)))
                sizes.append(len(read_reply(stream)))
            return sizes[0] == 468 and sizes[1] < 100, sizes

    def keepalive():
        with connect() as stream:
            stream.sendall(framed(wire.query("www.hosted.example", "A", extra=wire.opt(options=b"\0\x0b\0\0"))))
            data = read_reply(stream)
            return b"\0\x0b\0\x02\x01\x2c" in data, data.hex()

    def resumed(version):
        def test():
            session = tally.folder / f"session{version}"
            first = output("sh", "-c", f"sleep 0.5 | openssl s_client -connect {LOCAL}:{TLS} {version} -alpn dot -sess_out {session}")
            again = output("sh", "-c", f"sleep 0.5 | openssl s_client -connect {LOCAL}:{TLS} {version} -alpn dot -sess_in {session}")
            return "New, TLS" in first and "Reused, TLS" in again and "ALPN protocol: dot" in again, again[-600:]
        return test

    def old_version():
        text = output("sh", "-c", f"sleep 0.2 | openssl s_client -connect {LOCAL}:{TLS} -tls1_1 -cipher ALL:@SECLEVEL=0")
        return "Cipher is (NONE)" in text or "alert protocol version" in text, text[-300:]

    def other_protocol():
        try:
            connect(alpn=("http/1.1",)).close()
            return False, "accepted"
        except ssl.SSLError as error:
            return "application protocol" in str(error).lower(), error

    guarded("TLS", "a large answer", large(TLS, "+tls"))
    guarded("HTTPS", "a large answer", large(HTTPS, "+https"))
    guarded("TLS", f"{PIPELINED} questions at once", pipelining)
    guarded("TLS", "padding (RFC 8467)", padding)
    guarded("TLS", "how long a connection may be idle (RFC 7828)", keepalive)
    guarded("openssl", "a TLS 1.3 session is resumed", resumed("-tls1_3"))
    guarded("openssl", "a TLS 1.2 session is resumed", resumed("-tls1_2"))
    guarded("openssl", "TLS 1.1 is refused", old_version)
    guarded("TLS", "another protocol in ALPN is refused", other_protocol)


def discovery():
    """RFC 9462, RFC 9606."""
    told = output("dig", f"@{LOCAL}", "+noall", "+answer", "+additional", "_dns.resolver.arpa", "SVCB")
    wanted = ["first.test", 'alpn="dot"', f"port={TLS}", 'alpn="h2"', f"port={HTTPS}", f"ipv4hint={LOCAL}", "/dns-query{?dns}"]
    tally.check("dig", "where encrypted transports are", all(word in told for word in wanted), told)
    told = output("dig", f"@{LOCAL}", "+noall", "+answer", "resolver.arpa", "TYPE261")
    tally.check("dig", "what this resolver can do", "qnamemin" in told or b"qnamemin".hex() in told.lower().replace(" ", ""), told)


def parted(octets, size):
    """What a length of `size` octets counts, and what follows it."""
    end = size + int.from_bytes(octets[:size], "big")
    return octets[size:end], octets[end:]


def announced(subject):
    """RFC 9463, taken apart here; the parameters are read by dnspython."""
    def run(*words):
        words = [subject.binary, "system", *words, "--config", subject.folder / "cairn.toml", "--address", "192.0.2.53"]
        return subprocess.run(words, capture_output=True, text=True, timeout=20).stdout

    def test():
        made = json.loads(run("dhcp", "--json"))
        rest, seen = bytes.fromhex(made["dhcpv4-option-162"]), []
        while rest:
            instance, rest = parted(rest, 2)
            name, tail = parted(instance[2:], 1)
            addresses, parameters = parted(tail, 1)
            rdata = instance[:2] + name + parameters
            text = dns.rdata.from_wire("IN", "SVCB", rdata, 0, len(rdata)).to_text() if dns else ""
            seen.append((int.from_bytes(instance[:2], "big"), name, addresses, text))
        wanted = [(1, [f'alpn="dot" port="{TLS}"']), (2, ['alpn="h2"', f'port="{HTTPS}"', "/dns-query{?dns}"])]
        good = len(seen) == 2 and all(
            priority == number and name == b"\x05first\x04test\x00" and addresses == bytes([192, 0, 2, 53])
            and (dns is None or all(word in text for word in words))
            for (priority, name, addresses, text), (number, words) in zip(seen, wanted))
        return good, f"{made} {seen}"

    def profile():
        made = plistlib.loads(run("profile").encode())
        settings = [payload["DNSSettings"] for payload in made["PayloadContent"]]
        # Port 8853 is none that a profile can tell.
        wanted = [{"DNSProtocol": "HTTPS", "ServerAddresses": ["192.0.2.53"], "ServerURL": f"https://first.test:{HTTPS}/dns-query"}]
        return settings == wanted and made["PayloadType"] == "Configuration", str(made)

    guarded("DHCP", "the option of the running server (RFC 9463)", test)
    guarded("profile", "a property list with what runs", profile)


def https_checks():
    base = f"https://{LOCAL}:{HTTPS}"
    query = wire.query("www.hosted.example", "A", ident=0)
    get = f"{base}/dns-query?dns={base64.urlsafe_b64encode(query).decode().rstrip('=')}"
    message, long = tally.folder / "query", tally.folder / "long"
    message.write_bytes(query)
    long.write_bytes(bytes(70_000))

    def status(version, *words):
        return output("curl", "-sk", version, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", *words)

    for version, shown in [("--http1.1", "1.1"), ("--http2", "2")]:
        ours = ["-H", "content-type: application/dns-message"]
        for expected, words in [
            (200, [get]), (200, ["-I", get]), (200, [*ours, "--data-binary", f"@{message}", f"{base}/dns-query"]),
            (400, [f"{base}/dns-query"]), (400, [f"{base}/dns-query?dns=@@"]), (404, [f"{base}/"]), (405, ["-X", "PUT", get]),
            (406, ["-H", "accept: text/html", get]), (413, [*ours, "--data-binary", f"@{long}", f"{base}/dns-query"]),
            (415, ["--data-binary", f"@{message}", f"{base}/dns-query"]),
        ]:
            got = status(version, *words)
            tally.check("curl", f"HTTP/{shown}: {expected}", got == f"{expected} {shown}", f"{got}: {words}")

        def headers():
            text = output("curl", "-sk", version, "-D", "-", "-o", "/dev/null", get).lower()
            return "cache-control: max-age=300" in text and "content-type: application/dns-message" in text, text
        guarded("curl", f"HTTP/{shown}: headers", headers)

        def header_flood():
            big = [word for number in range(40) for word in ("-H", f"x-{number}: {'a' * 1000}")]
            got = status(version, *big, get)
            return not got.startswith("200") and status(version, get).startswith("200"), got
        guarded("curl", f"HTTP/{shown}: 40 KB of header are refused", header_flood)

    def in_json():
        got = json.loads(output("curl", "-sk", "-H", "accept: application/dns-json", f"{base}/resolve?name=www.hosted.example&type=A"))
        wrong = output("curl", "-sk", "-w", " %{http_code}", f"{base}/resolve?name=www.hosted.example&type=0")
        answer = [(one["name"], one["type"], one["data"]) for one in got["Answer"]]
        return got["Status"] == 0 and answer == [("www.hosted.example.", 1, "192.0.2.80")] and wrong.endswith(" 400"), (got, wrong)
    guarded("curl", "the JSON form", in_json)

    def through_doh():
        server = http.server.ThreadingHTTPServer((PAGE, PAGE_PORT), http.server.SimpleHTTPRequestHandler)
        server.RequestHandlerClass.log_message = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = output("curl", "-s", "--doh-insecure", "--doh-url", f"{base}/dns-query", "-o", "/dev/null", "-w", "%{http_code} %{remote_ip}",
                      f"http://page.hosted.example:{PAGE_PORT}/")
        server.shutdown()
        return text == f"200 {PAGE}", text
    guarded("curl", "--doh-url", through_doh)

    def dnspython():
        code = ("import dns.message, dns.query, ssl\n"
                f"q = dns.message.make_query('www.hosted.example', 'A')\n"
                f"c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n"
                f"print(dns.query.tls(q, '{LOCAL}', port={TLS}, ssl_context=c, timeout=5).answer[0][0])\n")
        python = next((one for one in (sys.executable, "/usr/bin/python3") if "ok" in output(one, "-c", "import dns.query; print('ok')")), None)
        if python is None:
            return True, ""
        text = output(python, "-c", code)
        return text.strip() == "192.0.2.80", text
    guarded("dnspython", "dns.query.tls", dnspython)


def timed_queries(seconds, failures, times):
    """UDP and a kept TLS connection in turn, a new TLS connection now and then."""
    end, count, kept = time.monotonic() + seconds, 0, connect()
    while time.monotonic() < end:
        count += 1
        begun = time.monotonic()
        packet = wire.query("www.hosted.example", "A", ident=count % 65_536)
        try:
            if count % 2:
                ask(LOCAL, packet, timeout=2)
                times["udp"].append(time.monotonic() - begun)
            else:
                kept.sendall(framed(packet))
                read_reply(kept)
                times["kept"].append(time.monotonic() - begun)
            if count % 10 == 0:
                begun = time.monotonic()
                with connect() as fresh:
                    fresh.sendall(framed(packet))
                    read_reply(fresh)
                times["new"].append(time.monotonic() - begun)
        except Exception as problem:  # Whatever it is, a client had no answer.
            failures.append(f"{count}: {type(problem).__name__} {problem}")
        time.sleep(0.002)


def p99_ms(times):
    return 1000 * statistics.quantiles(times, n=100)[98] if len(times) > 10 else 0.0


def slow_clients():
    held = [connect() for _ in range(50)]
    for stream in held[:25]:
        stream.sendall(b"\0")
    for stream in held[25:]:
        stream.sendall(framed(wire.query("large.hosted.example", "TXT")) * 20)
    failures, times = [], {"udp": [], "kept": [], "new": []}
    timed_queries(2, failures, times)
    for stream in held:
        stream.close()
    return not failures and len(times["kept"]) > 10, failures[:3]


def half_open():
    def test():
        hello = bytes.fromhex("1603010200010001fc0303")
        held = []
        for _ in range(HALF_OPEN):
            raw = socket.create_connection((LOCAL, TLS), timeout=5)
            raw.sendall(hello)
            held.append(raw)
        failures, times = [], {"udp": [], "kept": [], "new": []}
        timed_queries(4, failures, times)
        for raw in held:
            raw.close()
        shown = ", ".join(f"{kind} p99 {p99_ms(of):.1f} ms" for kind, of in times.items())
        tally.notes.append(f"beside {HALF_OPEN} half-open handshakes: {shown}")
        return not failures and p99_ms(times["udp"]) < 100, failures[:3] or shown
    return test


def swaps(subject):
    def test():
        pairs = [certificate(tally.folder, f"swap{number}.test") for number in range(4)]
        failures, times = [], {"udp": [], "kept": [], "new": []}
        loading = [threading.Thread(target=timed_queries, args=(12, failures, times)) for _ in range(2)]
        for thread in loading:
            thread.start()
        for number in range(SWAPS):
            put(pairs[number % 4], subject.folder)
            time.sleep(0.1)
        last = certificate(tally.folder, "last.test")
        put(last, subject.folder)
        wanted = ssl.PEM_cert_to_DER_cert(last[0].read_text())

        def is_shown():
            with connect() as stream:
                return stream.getpeercert(binary_form=True) == wanted
        begun = time.monotonic()
        shown = until(is_shown, 6)
        took = time.monotonic() - begun
        for thread in loading:
            thread.join()
        tally.notes.append(f"certificate swapped {SWAPS} times beside {sum(map(len, times.values()))} queries; the last one shown after {took:.1f} s")
        return shown and took < 5 and not failures and len(times["new"]) > 20, failures[:3] or f"{took:.1f} s"
    return test


def broken_pair(subject):
    def test():
        def shown():
            with connect() as stream:
                return stream.getpeercert(binary_form=True)
        before = shown()
        (subject.folder / "key.pem").write_text("no key\n")
        told = until(lambda: "not taken over, the old certificate stays" in subject.log(), 8)
        status = output(subject.binary, "status", "--config", subject.folder / "cairn.toml")
        stays = shown() == before
        put(certificate(tally.folder, "mended.test"), subject.folder)
        mended = until(lambda: "mended.test" in output(subject.binary, "status", "--config", subject.folder / "cairn.toml"), 6)
        return told and stays and mended and "not taken over" in status, (told, stays, mended, status)
    return test


def reloads(subject):
    def test():
        config = subject.folder / "cairn.toml"
        text = config.read_text()
        more = TLS + 1
        config.write_text(text.replace(f'"{LOCAL}:{TLS}"', f'"{LOCAL}:{TLS}", "{LOCAL}:{more}"'))
        with connect() as kept:
            told = output(subject.binary, "reload", "--config", config)
            with connect(more) as stream:
                stream.sendall(framed(wire.query("www.hosted.example", "A")))
                added = len(read_reply(stream)) > 12
            config.write_text(text)
            told += output(subject.binary, "reload", "--config", config)
            kept.sendall(framed(wire.query("www.hosted.example", "A")))
            stays = len(read_reply(kept)) > 12
        try:
            socket.create_connection((LOCAL, more), timeout=1).close()
            return False, "still open"
        except ConnectionRefusedError:
            pass
        config.write_text(text.replace('key = "key.pem"', ""))
        refused = output(subject.binary, "reload", "--config", config)
        config.write_text(text)
        return added and stays and "needs a certificate: key missing in [tls]" in refused, told + refused
    return test


def counted(subject):
    def test():
        text = output(subject.binary, "stats", "--config", subject.folder / "cairn.toml", "--json")
        wanted = ["tls-handshakes", "tls-handshakes-resumed", "http-requests-refused"]
        found = {name: int((re.search(rf'"{name}": ?(\d+)', text) or [0, "0"])[1]) for name in wanted}
        return all(found.values()), f"{found} {text[:300]}"
    return test


def encrypted_stage(words, make_stage):
    tally.server = tally.judged = "cairn"
    if network.missing_tools(TOOLS):
        sys.exit(1)
    with make_stage(words.keep) as stage:
        network.make_network([])
        tally.folder = stage.folder
        subject = stage.subject("cairn")
        subject.server = (f'listen-tls = ["{LOCAL}:{TLS}"]\nlisten-https = ["{LOCAL}:{HTTPS}"]\nhttps-json = true\n'
                          f'control-socket = "{subject.folder}/control.sock"\n')
        subject.more = '[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
        put(certificate(stage.folder, "first.test"), subject.folder)
        with open(subject.zone, "a") as zone:
            zone.write(f"page A {PAGE}\n")
            zone.writelines(f'large TXT "{number:04d}{"x" * 90}"\n' for number in range(LARGE_RECORDS))
        if tally.check("start", "answers within 10 s", subject.start([f"{LOCAL}:53", f"{LAN}:53"]), subject.log()):
            same_answers()
            discovery()
            announced(subject)
            tls_checks()
            https_checks()
            guarded("slow clients", "nobody waits for them", slow_clients)
            guarded("handshakes", f"{HALF_OPEN} half-open ones beside live traffic", half_open())
            guarded("certificate", f"swapped {SWAPS} times under load", swaps(subject))
            guarded("certificate", "a broken pair changes nothing, and is told", broken_pair(subject))
            guarded("reload", "addresses come and go", reloads(subject))
            guarded("stats", "handshakes and refusals are counted", counted(subject))
            code, took = subject.stop()
            tally.check("stop", "in order", code == 0 and took < 3, f"{code} after {took:.1f} s")
            tally.check("log", "no panic", "panic" not in subject.log(), subject.log()[-500:])
