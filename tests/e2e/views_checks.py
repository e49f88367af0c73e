"""Views with the real program: clients at several addresses, a schedule, pauses and reloads under steady questions.

Not one question may be lost, and no client may get what only another view gives, at any time.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time

import network
import wire
from asking import tally, until
from authorities import Nsd
from space import all_is_local, ip
from subjects import Cairn
from wire import Broken, Reply

ROOT, SERVER = "198.51.100.1", "192.0.2.53"
CHILD, OFFICE, OTHER = "192.0.2.70", "192.0.2.20", "192.0.2.130"
NX, NULL = "NXDOMAIN", "0.0.0.0"
# A zone of its own west of Greenwich, with the rules in the variable: five hours, no summer time.
ZONE, WEST = "LOC5", 5 * 3600
DATA = {
    "plain.site": "203.0.113.1", "ads.site": "203.0.113.2", "game.site": "203.0.113.3", "fine.site": "203.0.113.4",
    "www.google.com": "203.0.113.10", "forcesafesearch.google.com": "203.0.113.11", "nas.home": "203.0.113.20",
}
# What each client gets while nothing is paused, before 20:00.
TABLE = [
    ("plain.site", {CHILD: "203.0.113.1", OFFICE: "203.0.113.1", OTHER: "203.0.113.1"}),
    ("ads.site", {CHILD: NX, OFFICE: NULL, OTHER: NULL}),
    ("game.site", {CHILD: "203.0.113.3", OFFICE: "203.0.113.3", OTHER: NULL}),
    ("fine.site", {CHILD: "203.0.113.4", OFFICE: NULL, OTHER: "203.0.113.4"}),
    ("cloak.site", {CHILD: NX, OFFICE: NULL, OTHER: NULL}),
    ("www.google.com", {CHILD: "forcesafesearch.google.com. 203.0.113.11", OFFICE: "203.0.113.10", OTHER: "203.0.113.10"}),
    ("nas.home", {CHILD: "203.0.113.20", OFFICE: "203.0.113.21", OTHER: "203.0.113.20"}),
]
# What may be answered at some time of the stage besides.
LATER = {("ads.site", CHILD): {"203.0.113.2"}, ("ads.site", OFFICE): {"203.0.113.2"}, ("ads.site", OTHER): {"203.0.113.2"},
         ("game.site", CHILD): {NX}, ("game.site", OFFICE): {NULL}, ("game.site", OTHER): {"203.0.113.3"},
         ("fine.site", OFFICE): {"203.0.113.4"}}


class CairnViews(Cairn):
    name = "cairn"

    def write(self, office_lists):
        folder = self.folder
        for name, lines in {"ads": "ads.site\nfine.site\n", "games": "game.site\n", "mine": "fine.site\n"}.items():
            (folder / f"{name}.txt").write_text(lines)
        lists = "".join(f'[[list]]\nname = "{name}"\nsource = "{name}.txt"\n' + ('action = "allow"\n' if name == "mine" else "")
                        for name in ("ads", "games", "mine"))
        (folder / "cairn.toml").write_text(f"""[server]
listen = ["{SERVER}:53"]
allow = ["192.0.2.0/24"]
workers = 2
control-socket = "{folder}/control.sock"
state-dir = "{folder}/state"
[recursion]
dnssec = false
root-hints = "{folder.parent}/root.hints"
{lists}[[view]]
name = "children"
clients = ["192.0.2.64/26"]
block-answer = "nxdomain"
safe-search = true
schedule = ["games: 20:00-07:00"]
[[view]]
name = "office"
clients = ["192.0.2.0/26"]
lists = [{office_lists}]
local-data = ["nas.home. 60 A 203.0.113.21"]
""")

    def words(self, listen):
        (self.folder / "state").mkdir(exist_ok=True)
        self.write('"ads"')
        return [self.binary, "run", "--config", self.folder / "cairn.toml"]

    def command(self, *words):
        done = subprocess.run([self.binary, *words, "--config", self.folder / "cairn.toml"], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def shown(packet):
    got = Reply(packet)
    data = [str(value) for _, kind, _, value in got.answer if kind in ("A", "CNAME")]
    return " ".join(data) if data else got.rcode


def dig(name, source):
    words = ["dig", f"@{SERVER}", "-b", source, name, "A", "+tries=1", "+timeout=4"]
    text = subprocess.run(words, capture_output=True, text=True).stdout
    status = re.search(r"status: (\w+)", text)
    data = [line.split()[4] for line in text.splitlines() if not line.startswith(";") and len(line.split()) == 5 and line.split()[3] in ("A", "CNAME")]
    return " ".join(data) if data else status[1] if status else "no reply"


class Steady:
    """Asks without pause, from each client, until it is stopped."""

    def __init__(self):
        self.stopped, self.asked, self.lost, self.wrong, self.lock = threading.Event(), 0, [], [], threading.Lock()
        self.threads = [threading.Thread(target=self.go, args=(client,)) for client in (CHILD, OFFICE, OTHER)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def go(self, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((client, 0))
            sock.settimeout(4)
            number = 0
            while not self.stopped.is_set():
                name, expected = TABLE[number % len(TABLE)]
                number += 1
                sock.sendto(wire.query(name, "A"), (SERVER, 53))
                try:
                    got = shown(sock.recv(4096))
                except (TimeoutError, Broken, OSError) as problem:
                    with self.lock:
                        self.lost.append(f"{name} by {client}: {type(problem).__name__} {problem}")
                    continue
                # Of the alias no more than its target is at the name.
                got = got.removeprefix("ads.site. ")
                if got != expected[client] and got not in LATER.get((name.replace("cloak", "ads"), client), ()):
                    with self.lock:
                        self.wrong.append(f"{name} by {client}: {got}")
                self.asked += 1
                time.sleep(0.001)


def views_stage(words, stage_of):
    if network.missing_tools(["ip", "nsd", "dig", "cc"]):
        sys.exit(1)
    with stage_of(words.keep) as stage:
        all_is_local(SERVER, "2001:db8:c::53")
        ip("addr", "replace", f"{ROOT}/32", "dev", "lo")
        for client in (CHILD, OFFICE, OTHER):
            ip("addr", "replace", f"{client}/32", "dev", "lo")
        (stage.folder / "root.hints").write_text(f". 3600 NS ns.root.\nns.root. 3600 A {ROOT}\n")
        records = "".join(f"{name}. 300 A {address}\n" for name, address in DATA.items())
        (stage.folder / "root.zone").write_text(
            f". 300 SOA ns.root. host.root. 1 3600 600 86400 60\n. 300 NS ns.root.\nns.root. 300 A {ROOT}\n{records}cloak.site. 300 CNAME ads.site.\n")
        nsd = Nsd("root", stage.folder, [ROOT], [(".", stage.folder / "root.zone")])
        stage.running.append(nsd)
        nsd.start()
        nsd.wait()
        shim = stage.folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", shim, os.path.join(os.path.dirname(__file__), "clock.c")], check=True)
        # It is 19:59:40 there.
        now = int(time.time())
        shift = (20 * 3600 - 20 + WEST - now) % 86400
        os.environ.update(TZ=ZONE, LD_PRELOAD=str(shim), CLOCK_SHIFT=str(shift))
        began = time.monotonic()
        cairn = CairnViews(stage.folder)
        stage.running.append(cairn)
        cairn.process = cairn.run(cairn.words([]))
        for name in ("LD_PRELOAD", "CLOCK_SHIFT"):
            del os.environ[name]
        if not tally.check("start", "answers within 10 s", until(lambda: dig("plain.site", OTHER) == "203.0.113.1", 10), cairn.log()[-900:]):
            return
        checks(cairn, began)


def checks(cairn, began):
    def gets(name, client, expected, seconds=0.0):
        return until(lambda: dig(name, client) == expected, seconds) or dig(name, client) == expected

    for turn in ("first", "again"):
        for name, expected in TABLE:
            for client, answer in expected.items():
                got = dig(name, client)
                tally.check("table", f"{name} by {client}, {turn}", got == answer, f"{got}, not {answer}")
    if time.monotonic() - began > 18:
        tally.notes.append("this machine is too slow for the boundary")
    with Steady() as steady:
        code, text = cairn.command("list", "which", "game.site", "--as", CHILD)
        tally.check("which", "the schedule is named", code == 0 and "not in force: the schedule of the view: daily 20:00-07:00" in text, text)
        tally.check("schedule", "at 20:00 a list comes in force", gets("game.site", CHILD, NX, 30 - (time.monotonic() - began)), cairn.log()[-900:])
        late = time.monotonic() - began - 20
        tally.notes.append(f"the boundary was seen {late:.1f} s after it")
        tally.check("schedule", "within two seconds", late < 2.5 or time.monotonic() - began < 18, f"{late:.1f} s")
        tally.check("schedule", "for others nothing changes", gets("game.site", OFFICE, "203.0.113.3"))

        code, text = cairn.command("list", "pause", "5s", "--view", "children")
        tally.check("pause", "it is told until when", code == 0 and re.search(r"paused for clients of the view children until \d{4}-\d\d-\d\d 20:\d\d:\d\d", text), text)
        tally.check("pause", "it is in force when the command returns", gets("ads.site", CHILD, "203.0.113.2") and gets("game.site", CHILD, "203.0.113.3"))
        tally.check("pause", "for this view alone", gets("ads.site", OFFICE, NULL) and gets("ads.site", OTHER, NULL))
        tally.check("pause", "safe search stays", gets("www.google.com", CHILD, "forcesafesearch.google.com. 203.0.113.11"))
        text = cairn.command("list", "status")[1]
        tally.check("pause", "status shows it", "paused for clients of the view children until" in text and "games  in force for clients of the view children daily 20:00-07:00: now" in text, text)
        tally.check("pause", "it ends by itself", gets("ads.site", CHILD, NX, 7))

        cairn.command("list", "pause", "1h")
        tally.check("pause", "of all clients", all(gets("ads.site", client, "203.0.113.2") for client in (CHILD, OFFICE, OTHER)))
        code, text = cairn.command("reload")
        tally.check("reload", "a pause outlives it", code == 0 and all(gets("ads.site", client, "203.0.113.2") for client in (CHILD, OFFICE, OTHER)), text)
        code, text = cairn.command("list", "resume")
        tally.check("pause", "it is ended early", code == 0 and gets("ads.site", CHILD, NX) and gets("ads.site", OTHER, NULL), text)
        code, text = cairn.command("list", "resume")
        tally.check("pause", "there is none any more", code == 1 and "there is no pause" in text, text)
        code, text = cairn.command("list", "pause", "5m", "--view", "child")
        tally.check("pause", "an unknown view", code == 1 and 'no view with the name "child"; there are children, office' in text, text)

        cairn.write('"games"')
        code, text = cairn.command("reload")
        tally.check("reload", "a view has other lists", code == 0 and gets("game.site", OFFICE, NULL) and gets("ads.site", OFFICE, "203.0.113.2"), text)
        tally.check("reload", "the schedule goes on", gets("game.site", CHILD, NX))
        for _ in range(5):
            cairn.command("reload")
        cairn.write('"ads", "mine"')
        tally.check("reload", "the exceptions of another list", cairn.command("reload")[0] == 0 and gets("fine.site", OFFICE, "203.0.113.4") and gets("ads.site", OFFICE, NULL))
        code, text = cairn.command("explain", "ads.site", "--as", CHILD)
        tally.check("explain", "view and list are named", "children" in text and "ads" in text, text)
    tally.notes.append(f"{steady.asked} questions under way meanwhile, {len(steady.lost)} lost, {len(steady.wrong)} wrong")
    tally.check("steady questions", "none is lost", steady.asked > 1000 and not steady.lost, f"{steady.asked} asked; {steady.lost[:3]}")
    tally.check("steady questions", "none gets what another view gives", not steady.wrong, steady.wrong[:5])
