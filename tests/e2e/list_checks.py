"""Lists that are fetched: from an HTTPS server with a private CA, whose name Cairn itself looks up.

Without a network at the first start, with the copy after a restart, newer data, nothing newer, a broken server, a page in place of the
list, a list that is cut short, and steady questions all the while; what many names take. With CAIRN_LISTS=FOLDER, each file there (NAME.FORM.xz, such as
ads.hosts.xz) is fetched too, and a sample of its names asked for.
"""

import gzip
import http.server
import json
import lzma
import os
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import network
import wire
from asking import LOCAL, NoReply, ask, reply, tally, until
from authorities import Nsd
from space import all_is_local, ip
from subjects import Cairn
from wire import Reply

ROOT, WEB, OTHER = "198.51.100.1", "198.51.100.80", "198.51.100.81"
HOSTS = {"lists": WEB, "other": OTHER, "www.good": "203.0.113.1", "ads": "203.0.113.2", "ok.ads": "203.0.113.3", "new": "203.0.113.4", "h7": "203.0.113.5"}
LIST = "! a list\n||lists.example^\n||ads.example^\n@@||ok.ads.example^\n" + "".join(f"||h{at}.example^\n" for at in range(200))


class Web:
    """An HTTPS server: what it says is in `pages`, by path: status, fields, body."""

    def __init__(self, folder, address, name, ca="ca"):
        self.pages, self.requests = {}, []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                web.requests.append((self.path, {field.lower(): value for field, value in self.headers.items()}))
                status, fields, body = web.pages.get(self.path, (404, {}, b""))
                if fields.get("ETag") and self.headers.get("If-None-Match") == fields["ETag"]:
                    status, body = 304, b""
                self.send_response(status)
                for field, value in fields.items():
                    self.send_header(field, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that goes away is what some checks are about."""

        certificate = certified(folder, name, ca)
        self.server = Server((address, 443), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certified(folder, name, ca):
    """Certificate and key of a server, signed by a CA that is made if need be."""
    root, root_key, file, key = folder / f"{ca}.pem", folder / f"{ca}.key", folder / f"{name}.pem", folder / f"{name}.key"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    if not root.exists():
        openssl(*new, "-subj", f"/CN={ca}", "-keyout", root_key, "-out", root)
    openssl(*new, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", root, "-CAkey", root_key, "-keyout", key, "-out", file)
    return file, key


class CairnLists(Cairn):
    name = "cairn-lists"
    lists = ""

    def words(self, listen):
        config = self.folder / "cairn.toml"
        config.write_text(f"""[server]
listen = ["{LOCAL}:53"]
state-dir = "{self.folder}/state"
control-socket = "{self.folder}/run/control.sock"
[recursion]
dnssec = false
root-hints = "{self.folder.parent}/root.hints"
{self.lists}""")
        return [self.binary, "run", "--config", config]

    def command(self, *words):
        done = subprocess.run([self.binary, *words, "--config", self.folder / "cairn.toml"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def status(self, name="ads"):
        lines = [json.loads(line) for line in self.command("list", "status", "--json")[1].splitlines()]
        return next((line for line in lines if line["name"] == name), {})

    def begin(self, log):
        self.process = self.run(self.words([]), log=log)


def told(name):
    """In one word what a client gets."""
    try:
        got = reply(LOCAL, name, "A", timeout=4)
    except (NoReply, OSError):
        return "no reply"
    data = [value for _, kind, _, value in got.answer if kind == "A"]
    return str(data[0]) if data else got.rcode


class Steady:
    """Asks without a pause until it is stopped; counts what stays without a reply."""

    def __init__(self):
        self.asked, self.lost, self.running = 0, 0, True
        self.thread = threading.Thread(target=self.go)
        self.thread.start()

    def go(self):
        names = ["www.good.example", "ads.example", "ok.ads.example", "h7.example"]
        while self.running:
            try:
                ask(LOCAL, wire.query(names[self.asked % len(names)], "A"), timeout=1)
            except (NoReply, OSError):
                self.lost += 1
            self.asked += 1
            time.sleep(0.001)

    def stop(self):
        self.running = False
        self.thread.join()


def laid(folder):
    lines = ["$TTL 300", ". SOA a.root. host.root. 1 3600 600 86400 30", ". NS a.root.", f"a.root. A {ROOT}"]
    lines += [f"{name}.example. A {address}" for name, address in HOSTS.items()]
    (folder / "root.zone").write_text("\n".join(lines) + "\n")
    (folder / "root.hints").write_text(f". 3600 NS a.root.\na.root. 3600 A {ROOT}\n")
    return Nsd("root", folder, [ROOT], [(".", folder / "root.zone")])


def lists_stage(words, stage_of):
    if {"ip", "nsd", "openssl"} & set(network.missing_tools(["ip", "nsd", "openssl"])):
        sys.exit(1)
    with stage_of(words.keep) as stage:
        all_is_local("192.0.2.53", "2001:db8:c::53")
        for address in (ROOT, WEB, OTHER):
            ip("addr", "replace", f"{address}/32", "dev", "lo")
        play(stage, stage.folder)


def play(stage, folder):
    nsd = laid(folder)
    stage.running.append(nsd)
    cairn = CairnLists(folder)
    stage.running.append(cairn)
    cairn.lists = f'[[list]]\nname = "ads"\nsource = "https://lists.example/ads.txt"\nca = "{folder}/ca.pem"\n'
    certified(folder, "unused", "ca")

    # No server of the world is there yet.
    cairn.begin("log")
    first = until(lambda: told("hosted.example") != "no reply", 10)
    tally.check("first start", "without a network it serves", first, cairn.log())
    tally.check("first start", "status says why there is no list", until(lambda: (cairn.status().get("fetch") or {}).get("problem"), 20), cairn.status())
    code, said = cairn.command("list", "update")
    tally.check("first start", "an update fails in time, with a reason", code == 1 and "lists.example could not be looked up" in said, said)
    nsd.start()
    nsd.wait()
    web = Web(folder, WEB, "lists.example")
    web.pages["/ads.txt"] = (200, {"ETag": '"one"', "Content-Type": "text/plain"}, LIST.encode())
    fetched = until(lambda: cairn.status().get("names") == 203, 60)
    tally.check("first start", "the list comes by itself when the network is there", fetched, f"{cairn.status()} {cairn.log()[-900:]}")
    is_in_force("first start", cairn)
    tally.check("first start", "status shows the fetch", cairn.status()["fetch"]["http-status"] == 200, cairn.status())
    packed = any(fields.get("accept-encoding") == "gzip, br" for _, fields in web.requests)
    tally.check("first start", "it was asked for packed", packed, web.requests)

    code, said = cairn.command("list", "update", "ads")
    asked = web.requests[-1][1].get("if-none-match")
    tally.check("nothing newer", "asked by its tag, and answered with 304", code == 0 and asked == '"one"' and cairn.status()["fetch"]["http-status"] == 304, said)
    is_in_force("nothing newer", cairn)

    begun = Steady()
    longer = LIST + "||new.example^\n"
    tally.check("newer data", "not blocked before", told("new.example") == HOSTS["new"], told("new.example"))
    web.pages["/ads.txt"] = (200, {"ETag": '"two"', "Content-Encoding": "gzip"}, gzip.compress(longer.encode()))
    code, said = cairn.command("list", "update", "ads")
    tally.check("newer data", "packed, and in force when the command returns", code == 0 and told("new.example") == "0.0.0.0", f"{code} {said} {told('new.example')}")
    for at in range(5):
        web.pages["/ads.txt"] = (200, {"ETag": f'"{at}"'}, (longer + f"||x{at}.example^\n").encode())
        code, said = cairn.command("list", "update", "ads")
        tally.check("newer data", f"update {at}", code == 0 and told(f"x{at}.example") == "0.0.0.0", said)

    def refused(what, page, expected):
        web.pages["/ads.txt"] = page
        code, said = cairn.command("list", "update", "ads")
        tally.check(what, "the update fails and says why", code == 1 and expected in said, f"{code} {said}")
        is_in_force(what, cairn)
        tally.check(what, "the newest names stay", told("x4.example") == "0.0.0.0", told("x4.example"))
        left = sorted(path.name for path in (cairn.folder / "state/lists").iterdir())
        tally.check(what, "nothing is left of it", left == ["ads", "ads.facts"], left)

    refused("an error", (503, {}, b"busy"), "HTTP status 503")
    refused("a page", (200, {"Content-Type": "text/html"}, b"<html>"), "text/html")
    refused("a page that is called text", (200, {"Content-Type": "text/plain"}, b"<!DOCTYPE html>\n<a>h1.example</a>\n"), "web page")
    refused("half a list", (200, {}, "".join(LIST.splitlines(True)[:60]).encode()), "fewer than half")
    refused("no list", (200, {}, b"gone\n"), "no name is in its 1 lines")
    refused("damaged", (200, {"Content-Encoding": "gzip"}, gzip.compress(LIST.encode())[:-9]), "damaged or cut short")
    refused("a bomb", (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(64 << 20))), "more than 100 times its size")
    refused("a redirect inside", (302, {"Location": f"https://{LOCAL}/"}, b""), "into a local network")
    refused("a redirect to http", (302, {"Location": "http://lists.example/"}, b""), "from https to http")
    refused("a redirect to itself", (302, {"Location": "/ads.txt"}, b""), "more than 5 redirects")
    other = Web(folder, OTHER, "wrong.example", "other-ca")
    refused("another CA", (302, {"Location": "https://other.example/ads.txt"}, b""), "certificate of other.example is not valid")
    other.close()
    web.close()
    refused("no server", None, "no connection to lists.example")
    begun.stop()
    tally.check("steady questions", f"each of {begun.asked} is answered", begun.lost == 0 and begun.asked > 1000, f"{begun.lost} of {begun.asked} lost")

    # The copy is there before the first answer, and nothing else is.
    cairn.stop()
    nsd.stop()
    cairn.begin("log2")
    first = until(lambda: told("ads.example") != "no reply", 10) and told("ads.example")
    tally.check("restart without a network", "the first answer is that of the list", first == "0.0.0.0", f"{first} {cairn.log('log2')[-900:]}")
    tally.check("restart without a network", "the names of the last update", told("x4.example") == "0.0.0.0", told("x4.example"))
    nsd.start()
    nsd.wait()

    web = Web(folder, WEB, "lists.example")
    web.pages["/ads.txt"] = (200, {}, b"||h7.example^\n")
    code, said = cairn.command("list", "update", "ads", "--accept")
    gone = told("ads.example") == HOSTS["ads"] and told("h7.example") == "0.0.0.0"
    tally.check("a shorter list", "is taken over on demand", code == 0 and gone, f"{code} {said} {told('ads.example')}")
    web.pages["/elsewhere/ads.txt"] = (200, {}, LIST.encode())
    web.pages["/ads.txt"] = (301, {"Location": "elsewhere/ads.txt"}, b"")
    code, said = cairn.command("list", "update", "ads")
    tally.check("a redirect", "is followed", code == 0, said)
    is_in_force("a redirect", cairn)
    code, said = cairn.command("list", "update", "none")
    tally.check("an unknown name", "is told", code == 1 and 'there is no list "none"' in said, said)
    code, said = cairn.command("list", "which", "h7.example")
    tally.check("which", "names the line of the copy", code == 0 and "https://lists.example/ads.txt:12" in said, said)
    code, said = cairn.command("check")
    tally.check("check", "says that it is fetched", code == 0 and "list ads is fetched by the running server" in said, said)
    if os.environ.get("CAIRN_LISTS"):
        real_lists(Path(os.environ["CAIRN_LISTS"]), cairn, web, folder)
    cairn.stop()
    many_names(cairn, folder)


def many_names(cairn, folder, count=5_000_000):
    """A table is made in little more memory than it takes, and takes at most 10 octets a name."""
    with open(folder / "many", "w") as out:
        out.writelines(f"h{at:x}.many.example\n" for at in range(count))

    def memory(name):
        status = Path(f"/proc/{cairn.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) << 10

    def started(lists, log):
        cairn.lists = lists
        cairn.begin(log)
        is_there = until(lambda: told(f"h{count - 1:x}.many.example") in ("0.0.0.0", "NXDOMAIN"), 60)
        tally.check("many names", log, is_there, cairn.log(log)[-500:])
        return memory("VmRSS:"), memory("VmHWM:")

    without, _ = started("", "without")
    cairn.stop()
    taken, peak = started(f'[[list]]\nname = "many"\nsource = "{folder}/many"\n', "many")
    is_small = until(lambda: memory("VmRSS:") - without <= 10 * count, 10)
    tally.check("many names", "10 octets each", is_small, f"{memory('VmRSS:')} of which {without} without")
    tally.check("many names", "no more than 1.3 of it at the start", peak <= 1.3 * memory("VmRSS:"), f"{peak} of {memory('VmRSS:')}, {taken} at the first answer")
    cairn.stop()


def is_in_force(client, cairn):
    for name, expected in (("ads.example", "0.0.0.0"), ("sub.ads.example", "0.0.0.0"), ("ok.ads.example", HOSTS["ok.ads"]), ("h7.example", "0.0.0.0"),
                           ("www.good.example", HOSTS["www.good"])):
        tally.check(client, name, told(name) == expected, f"{told(name)} {cairn.status()}")


def real_lists(source, cairn, web, folder):
    """Each of 500 names of each list is blocked; the account of all lines is told."""
    names = {}
    for file in sorted(source.glob("*.xz")):
        text = lzma.decompress(file.read_bytes())
        name = file.name.removesuffix(".xz").replace(".", "-")
        web.pages[f"/{name}"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(text, 1))
        cairn.lists += f'[[list]]\nname = "{name}"\nsource = "https://lists.example/{name}"\nca = "{folder}/ca.pem"\n'
        words = [line.split()[-1].strip("|^/").removeprefix("server=/") for line in text.decode().splitlines() if line and line[0] not in "#!["]
        names[name] = words[:: max(1, len(words) // 500)]
    cairn.words([])
    cairn.reload()
    begun = time.monotonic()
    code, said = cairn.command("list", "update")
    tally.check("real lists", "all are fetched", code == 0, said)
    tally.notes.append(f"real lists fetched in {time.monotonic() - begun:.1f} s")
    for name, asked in names.items():
        status = cairn.status(name)
        free = [host for host in asked if told(host) != "0.0.0.0"]
        tally.check("real lists", name, not free, free[:5])
        tally.notes.append(f"{name}: {status['names']} names, {status['lines']} lines, {status['blocked']} blocked, {status['skipped']} skipped")
