"""The running server told what to do: reload under load, status, health, broken zones, the service manager, a second instance."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import wire
from asking import LAN, LOCAL, NoReply, guarded, reply, seen, until
from wire import Reply

ZONE = "$TTL 1h\n@ SOA ns hostmaster {serial} 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{serial}\n"
PORT = 5410


class Instance:
    """A server of its own, with a folder, a state folder and a control socket of its own."""

    def __init__(self, binary, name, listen=(f"{LOCAL}:{PORT}",), extra="", words=(), env=None):
        self.binary, self.folder = binary, Path(tempfile.mkdtemp(prefix=f"cairn-{name}-"))
        (self.folder / "zones").mkdir()
        self.config, self.words, self.env = self.folder / "cairn.toml", list(words), env or {}
        self.listen, self.extra, self.process = list(listen), extra, None
        self.configure()

    def configure(self, more=""):
        listen = ", ".join(f'"{place}"' for place in self.listen)
        self.config.write_text(
            f'[server]\nlisten = [{listen}]\nstate-dir = "{self.folder}/state"\ncontrol-socket = "{self.folder}/control.sock"\n{self.extra}\n{more}'
        )

    def zone(self, name, serial=1, broken=False):
        self.file(name).write_text(ZONE.format(serial=serial) + ("broken A 192.0.2\n" if broken else ""))

    def file(self, name):
        return self.folder / "zones" / f"{name}.zone"

    def start(self):
        with open(self.folder / "log", "a") as log:
            command = [self.binary, "run", "--config", self.config, *self.words]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **self.env})
        return until(lambda: self.cairn("health")[0] == 0 or self.process.poll() is not None, 10) and self.process.poll() is None

    def cairn(self, *words):
        done = subprocess.run([self.binary, *words, "--config", self.config], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    def status(self):
        return json.loads(self.cairn("status", "--json")[1])

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def ask(self, name, rtype="A", port=PORT):
        return reply(LOCAL, name, rtype, port=port, timeout=3, extra=wire.opt())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Load:
    """A thousand questions a second from one client; what was not answered."""

    def __init__(self, name, port):
        self.packet, self.port, self.running, self.sent, self.heard = wire.query(name, "A"), port, True, 0, 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(0.5)
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]

    def send(self):
        begun = time.monotonic()
        while self.running:
            due = int((time.monotonic() - begun) * 1000)
            while self.sent < due:
                self.sock.sendto(self.packet, (LOCAL, self.port))
                self.sent += 1
            time.sleep(0.001)

    def receive(self):
        quiet = 0
        while self.running or quiet < 2:
            try:
                self.sock.recvfrom(4096)
                self.heard, quiet = self.heard + 1, 0
            except TimeoutError:
                quiet += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()
        self.sock.close()


def control_checks(binary):
    guarded("control", "a reload of 100 zones under load", lambda: big_reload(binary))
    guarded("control", "a broken zone at the start costs itself alone", lambda: broken_at_start(binary))
    guarded("control", "files that have gone are a mistake", lambda: gone_files(binary))
    guarded("control", "signals for others do no harm", lambda: signals(binary))
    guarded("control", "a second instance goes without socket and state", lambda: second_instance(binary))
    guarded("control", "a dead socket is replaced", lambda: dead_socket(binary))
    guarded("control", "the service manager hears of readiness, status and life", lambda: service_manager(binary))
    guarded("control", "an address that comes later", lambda: late_address(binary))
    guarded("control", "local data and a hosts file", lambda: local_data(binary))
    guarded("control", "a filtered name has one log line a minute, over all workers", lambda: filtered_lines(binary))
    guarded("control", "a read-only file system with one tmpfs", lambda: read_only(binary))


def big_reload(binary):
    with Instance(binary, "reload", listen=[f"{LOCAL}:{PORT}", f"{LOCAL}:{PORT + 1}"], extra="workers = 2") as server:
        for at in range(100):
            server.zone(f"z{at}.example")
        server.configure('[policy]\nlocal-data = ["nas.lan. 300 A 192.0.2.7"]\n')
        if not server.start():
            return False, server.log()
        one_line = "100 zones loaded" in server.log() and server.log().count("z50.example") == 0
        listed = server.ask("nas.lan").values("A")
        with Load("www.z0.example", PORT) as load:
            time.sleep(0.5)
            server.zone("z1.example", serial=2, broken=True)
            server.zone("z2.example", serial=2)
            server.zone("z100.example")
            server.file("z3.example").unlink()
            server.listen, server.extra = [f"{LOCAL}:{PORT}", f"{LOCAL}:{PORT + 2}"], "workers = 1"
            lists = '[policy]\nlocal-data = ["nas.lan. 300 A 192.0.2.8"]\n'
            server.configure(lists + '[log]\nlevel = "debug"\nformat = "json"\n[limits]\nconnections = 100\n')
            code, text = server.cairn("reload")
            time.sleep(0.5)
        status, (_, shown) = server.status(), server.cairn("config", "show")
        zones = {zone["name"]: zone for zone in status["zones"]}
        good = {
            "none lost": load.sent == load.heard > 500,
            "exit 1 for the broken zone": code == 1 and "z1.example.zone:6:" in text and "reloaded: 99 zones" in text,
            "old data stays": server.ask("www.z1.example").values("A") == ["192.0.2.1"],
            "changed": server.ask("www.z2.example").values("A") == ["192.0.2.2"],
            "came": server.ask("www.z100.example").values("A") == ["192.0.2.1"],
            "gone": "z3.example." not in zones and len(zones) == 100,
            "new address": server.ask("www.z0.example", port=PORT + 2).values("A") == ["192.0.2.1"],
            "old address": is_silent(PORT + 1),
            "state": zones["z1.example."]["state"] == "served-as-read-before" and zones["z2.example."]["serial"] == 2,
            "last reload": status["last-reload"]["good"] is False and status["listening-on"] == server.listen,
            "restart named": "server.workers: in force: 2, after a restart: 1" in text and "in force: 2, after a restart: 1" in shown,
            "log": '"level":"ERROR"' in server.log(),
            "one line for all zones": one_line,
            "list address": listed == ["192.0.2.7"] and server.ask("nas.lan").values("A") == ["192.0.2.8"],
            "a line for each query": any(is_query(line, "nas.lan.") for line in server.log().splitlines()),
            "config show": re.search("^connections = 100  +# [^;]*$", shown, re.M) and re.search('^level = "debug"', shown, re.M),
            "limits live": limits_reached(server, 101),
        }
        server.zone("z1.example", serial=3)
        good["mended"] = server.cairn("reload")[0] == 0 and server.ask("www.z1.example").values("A") == ["192.0.2.3"]
        return all(good.values()), f"{[what for what, is_good in good.items() if not is_good]} {load.sent}/{load.heard} {text}"


def is_query(line, name):
    """Is it the line for programs about a query for this name?"""
    if not line.startswith("{"):
        return False
    line = json.loads(line)
    wanted = {"event": "query", "name": name, "type": "A", "client": LOCAL, "rcode": "NOERROR", "transport": "udp"}
    return wanted.items() <= line.items() and line["ms"] < 1000 and line["source"] in ("zone", "policy")


def limits_reached(server, connections):
    """More connections than may be: counted, and told in one line that names the client and the key."""
    opened = [socket.create_connection((LOCAL, PORT)) for _ in range(connections)]
    key = "limits-reached{limit=connections-per-client}"

    def counted():
        return json.loads(server.cairn("stats", "--json")[1]).get(key, 0) > 1

    counts = until(counted, 5)
    lines = [json.loads(line) for line in server.log().splitlines() if "limit-reached" in line]
    for one in opened:
        one.close()
    return counts and [(line["limit"], line["client"]) for line in lines] == [("connections-per-client", LOCAL)]


def is_silent(port):
    try:
        reply(LOCAL, "www.z0.example", "A", port=port, timeout=0.5)
        return False
    except (NoReply, OSError):
        return True


def broken_at_start(binary):
    with Instance(binary, "broken") as server:
        server.zone("good.example")
        server.zone("bad.example", broken=True)
        if not server.start():
            return False, server.log()
        bad, good = server.ask("www.bad.example"), server.ask("www.good.example")
        told = "bad.example.zone:6:10" in server.log()
        errors = any("bad.example.zone:6:10" in text for _, text in bad.ede)
        checked = server.cairn("check")
        strict = subprocess.run([binary, "run", "--strict", "--config", server.config], capture_output=True, timeout=10)
        fine = bad.rcode == "SERVFAIL" and errors and good.values("A") == ["192.0.2.1"] and told
        return fine and checked[0] == 2 and strict.returncode == 2, f"{seen(bad)} {bad.ede}; {seen(good)}; {checked}; {strict}"


def gone_files(binary):
    with Instance(binary, "gone") as server:
        server.zone("kept.example")
        if not server.start():
            return False, server.log()
        moved = server.folder / "moved.toml"
        server.config.rename(moved)
        done = subprocess.run([binary, "--control-socket", server.folder / "control.sock", "reload"], capture_output=True, text=True, timeout=10)
        moved.rename(server.config)
        shutil.move(server.folder / "zones", server.folder / "elsewhere")
        second = server.cairn("reload")
        kept = server.ask("www.kept.example").values("A") == ["192.0.2.1"]
        fine = done.returncode == 1 and "no such file" in done.stdout and second[0] == 1 and "was there before" in second[1]
        return fine and kept, f"{done}; {second}; kept {kept}"


def signals(binary):
    with Instance(binary, "signals") as server:
        server.zone("kept.example")
        if not server.start():
            return False, server.log()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            server.process.send_signal(number)
        explain = subprocess.Popen([binary, "explain", "www.nowhere.example", "--fresh", "--config", server.config], stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        explain.send_signal(signal.SIGHUP)
        code = explain.wait(30)
        alive = server.process.poll() is None and server.ask("www.kept.example").values("A") == ["192.0.2.1"]
        return alive and code in (0, 1), f"server {server.process.poll()}, explain {code}"


def second_instance(binary):
    with Instance(binary, "first") as first, Instance(binary, "second", listen=[f"{LOCAL}:{PORT + 5}"]) as second:
        first.zone("first.example")
        text = first.config.read_text().replace(f"{LOCAL}:{PORT}", f"{LOCAL}:{PORT + 5}")
        if not first.start():
            return False, first.log()
        second.zone("second.example")
        second.config.write_text(text)
        second.start()
        served = second.ask("www.second.example", port=PORT + 5).values("A") == ["192.0.2.1"]
        told = "another Cairn has" in second.log() and "another Cairn uses" in second.log()
        mine = [zone["name"] for zone in first.status()["zones"]] == ["first.example."]
        return served and told and mine, f"served {served}, first's socket {mine}: {second.log()}"


def dead_socket(binary):
    with Instance(binary, "dead") as server:
        server.zone("a.example")
        first = server.start()
        server.process.kill()
        server.process.wait()
        left = (server.folder / "control.sock").exists()
        return first and left and server.start() and server.cairn("status")[0] == 0, f"{first} {left}: {server.log()}"


def service_manager(binary):
    folder = Path(tempfile.mkdtemp(prefix="cairn-notify-"))
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(folder / "notify"))
    manager.settimeout(5)
    env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "800000"}
    heard = []
    try:
        with Instance(binary, "notify", env=env) as server:
            server.zone("a.example")
            server.zone("b.example", broken=True)
            server.start()
            while sum(text == "WATCHDOG=1" for text in heard) < 3:
                heard.append(manager.recv(4096).decode())
            server.cairn("reload")
            server.process.terminate()
            while not heard[-1].startswith("STOPPING=1"):
                heard.append(manager.recv(4096).decode())
    except TimeoutError:
        pass
    finally:
        manager.close()
        shutil.rmtree(folder)
    ready = [text for text in heard if text.startswith("READY=1\nSTATUS=serving on") and "1 zone, and 1 that cannot be read" in text]
    return len(ready) == 2 and heard[-1].startswith("STOPPING=1"), heard


def late_address(binary):
    late = "198.18.7.7"
    with Instance(binary, "late", listen=[f"{LOCAL}:{PORT}", f"{late}:{PORT}"]) as server:
        server.zone("a.example")
        # Everything is local in the namespace: without this route the address is not there.
        subprocess.run(["ip", "route", "add", "unreachable", f"{late}/32", "table", "local"], capture_output=True)
        started = server.start()
        subprocess.run(["ip", "route", "del", "unreachable", f"{late}/32", "table", "local"], capture_output=True)
        answered = started and reply(late, "www.a.example", "A", port=PORT, timeout=3).values("A") == ["192.0.2.1"]
        return answered, server.log()


def local_data(binary):
    hosts = tempfile.NamedTemporaryFile("w", suffix="-hosts")
    hosts.write("127.0.0.1 localhost\n192.168.1.20 box.lan box\n")
    hosts.flush()
    data = '["nas.lan. 300 A 192.168.1.7", "*.dev.lan. A 192.168.1.8", "files.lan. CNAME nas.lan."]'
    allow = f'allow = ["{LOCAL}"]'
    with Instance(binary, "local", listen=[f"{LOCAL}:{PORT}", f"{LAN}:{PORT}"], extra=allow) as server:
        server.configure(f'[policy]\nlocal-data = {data}\nhosts-file = "{hosts.name}"\n')
        if not server.start():
            return False, server.log()
        good = {
            "A": server.ask("nas.lan").values("A") == ["192.168.1.7"],
            "no other type": server.ask("nas.lan", "AAAA").rcode == "NOERROR" and not server.ask("nas.lan", "AAAA").answer,
            "PTR": server.ask("7.1.168.192.in-addr.arpa", "PTR").values("PTR") == ["nas.lan."],
            "wildcard": server.ask("x.dev.lan").values("A") == ["192.168.1.8"],
            "alias": server.ask("files.lan").values("A") == ["192.168.1.7"],
            "hosts": server.ask("box").values("A") == ["192.168.1.20"],
            "strangers": reply(LAN, "nas.lan", "A", source=LAN, port=PORT).rcode == "REFUSED",
        }
        explained = server.cairn("explain", "nas.lan")
        good["explained"] = "local-data" in explained[1]
        return all(good.values()), f"{good} {explained}"


def filtered_lines(binary):
    """Each question from a port of its own, so that all workers have some."""
    with Instance(binary, "filtered", extra="workers = 4") as server:
        server.configure("[recursion]\ndnssec = false")
        if not server.start():
            return False, server.log()
        replies = [server.ask("private.example.com") for _ in range(40)]
        once = [server.ask("mixed.example.com") for _ in range(3)]
        server.ask("www.example.com")
        lines = [line for line in server.log().splitlines() if "is filtered" in line]
        good = all([code for code, _ in got.ede] == [17] for got in replies + once) and len(lines) == 2
        return good and [name in line for name, line in zip(("private.", "mixed."), lines)] == [True, True], (lines, seen(replies[0]))


def read_only(binary):
    """Nothing but one tmpfs can be written to."""
    with Instance(binary, "readonly") as server:
        server.zone("a.example")
        run = server.folder / "run"
        run.mkdir()
        server.config.write_text(f'[server]\nlisten = ["{LOCAL}:{PORT}"]\ncontrol-socket = "{run}/control.sock"\n')
        script = (
            f"mount -t tmpfs -o mode=0700 tmpfs {run} && mount --rbind {server.folder} {server.folder} && "
            f"mount -o remount,bind,ro {server.folder} && exec {binary} run --config {server.config}"
        )
        with open("/dev/shm/cairn-readonly-log", "w") as log:
            process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=log, stderr=log)
        try:
            ready = until(lambda: server.cairn("health")[0] == 0, 10)
            got = ready and server.ask("www.a.example").values("A") == ["192.0.2.1"]
            command = ["nsenter", "-t", str(process.pid), "-m", binary, "status", "--config", str(server.config)]
            status = subprocess.run(command, capture_output=True, text=True, timeout=10)
            return got and status.returncode == 0, f"{got} {status} {Path('/dev/shm/cairn-readonly-log').read_text()}"
        finally:
            process.terminate()
            process.wait(10)
            Path("/dev/shm/cairn-readonly-log").unlink()
