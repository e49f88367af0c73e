"""Zones that change by UPDATE (RFC 2136): nsupdate and knsupdate against Cairn, every prerequisite and error code; then what is left
of it after crashes, in the journal and in the zone's file.

Nothing is slept for: what takes time is waited for up to a bound that an operator would accept.
"""

import random
import subprocess
import threading
import time

import network
from asking import LOCAL, tally, until
from space import all_is_local
from transfer_checks import CAIRN, KEY, SECRET, STRANGER, WRONG, Transfers, dig, records, serial

ZONE = "dynamic.example"
TEXT = """; the zone of the tests
$TTL 300
@   SOA ns host 7 1h 10m 1d 1m   ; kept by hand
@   NS  ns
@   NS  ns2
ns  A   192.0.2.1
ns2 A   192.0.2.2

; people
www A   198.51.100.1             ; the first
www A   198.51.100.2
alias CNAME www
deep.ent TXT "x"
"""
KILLS = 200
IN_FILE_S = 5.0


class Updates(Transfers):
    def __init__(self, stage):
        super().__init__(stage)
        self.file = self.zones / f"{ZONE}.zone"
        self.key = f"hmac-sha256:{KEY}:{SECRET}"

    def configure_zone(self, update=f'"key {KEY}"', transfer=f'"{LOCAL}"'):
        self.configure([f'[[zone]]\nname = "{ZONE}"\nfile = "{self.file}"\nupdate = [{update}]\ntransfer = [{transfer}]\nnotify = []\n',
                        self.secondary("copy.example", '"192.0.2.99"')], key=SECRET)

    def begin(self, text=TEXT):
        self.file.write_text(text)
        return self.start(lambda: serial(CAIRN, ZONE) is not None)

    def send(self, lines, key="", server=CAIRN, zone=ZONE, local=None, tcp=False):
        """What nsupdate says of an update; an empty string if it was carried out."""
        key = self.key if key == "" else key
        words = ["nsupdate"] + (["-v"] if tcp else []) + (["-y", key] if key else []) + ["-t", "15"]
        script = f"server {server}\nzone {zone}\n" + (f"local {local}\n" if local else "") + "\n".join(lines) + "\nsend\n"
        done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=40)
        return (done.stdout + done.stderr).strip()

    def knsend(self, lines, key=True):
        words = ["knsupdate"] + (["-y", self.key] if key else [])
        done = subprocess.run(words, input=f"server {CAIRN}\nzone {ZONE}.\norigin {ZONE}.\n" + "\n".join(lines) + "\nsend\n", capture_output=True, text=True, timeout=40)
        return (done.stdout + done.stderr).strip()

    def whole(self):
        return records(LOCAL, ZONE, "-b", LOCAL)

    def in_file(self):
        """The records of the file, as another server reads them."""
        done = subprocess.run(["named-compilezone", "-i", "none", "-o", "-", ZONE, self.file], capture_output=True, text=True, timeout=30)
        return {" ".join(line.split()).lower() for line in done.stdout.splitlines() if line and not line.startswith(";") and not line.startswith("zone ") and line != "OK"}

    def agree(self, seconds=IN_FILE_S):
        return until(lambda: self.whole() is not None and plain(self.whole()) == plain(self.in_file()), seconds)


def plain(lines):
    """Records without differences of writing."""
    return {line.replace("\t", " ") for line in lines or ()}


def answer(name, rtype="A"):
    return sorted(dig(CAIRN, f"{name}.{ZONE}", rtype, "+short", "+norecurse").split())


def updates_stage(words, stage_of):
    gone = network.missing_tools(["ip", "dig", "nsupdate", "knsupdate", "named-compilezone"])
    if {"ip", "dig", "nsupdate", "named-compilezone"} & set(gone):
        raise SystemExit(1)
    all_is_local(CAIRN, "2001:db8:c::53")
    subprocess.run(["ip", "addr", "add", f"{STRANGER}/32", "dev", "lo"], capture_output=True)
    with stage_of(words.keep) as stage:
        updates = Updates(stage)
        updates.configure_zone()
        if not tally.check("updates", "starts", updates.begin(), updates.cairn.log()):
            return
        what_nsupdate_can(updates)
        if "knsupdate" not in gone:
            what_knsupdate_can(updates)
        who_may(updates)
        file_and_journal(updates)
        after_a_restart(updates)
        unwritable_file(updates)
        killed(updates)


def what_nsupdate_can(updates):
    client = "nsupdate"
    at = f".{ZONE}."
    for what, lines, said in [
        ("adds a record", [f"update add new{at} 60 A 192.0.2.10"], ""),
        ("over TCP", [f"update add tcp{at} 60 TXT \"a b\""], ""),
        ("adds many at once", [f"update add many{n}{at} 60 A 192.0.2.{n}" for n in range(1, 200)], ""),
        ("prereq yxdomain, met", [f"prereq yxdomain www{at}", f"update add p1{at} 60 A 192.0.2.1"], ""),
        ("prereq yxdomain, not met", [f"prereq yxdomain none{at}", f"update add p2{at} 60 A 192.0.2.1"], "NXDOMAIN"),
        ("a name without records is not in use", [f"prereq yxdomain ent{at}", f"update add p2{at} 60 A 192.0.2.1"], "NXDOMAIN"),
        ("prereq nxdomain, met", [f"prereq nxdomain none{at}", f"update add p3{at} 60 A 192.0.2.1"], ""),
        ("prereq nxdomain, not met", [f"prereq nxdomain www{at}", f"update add p4{at} 60 A 192.0.2.1"], "YXDOMAIN"),
        ("prereq yxrrset, met", [f"prereq yxrrset www{at} A", f"update add p5{at} 60 A 192.0.2.1"], ""),
        ("prereq yxrrset, not met", [f"prereq yxrrset www{at} AAAA", f"update add p6{at} 60 A 192.0.2.1"], "NXRRSET"),
        ("prereq nxrrset, met", [f"prereq nxrrset www{at} AAAA", f"update add p7{at} 60 A 192.0.2.1"], ""),
        ("prereq nxrrset, not met", [f"prereq nxrrset www{at} A", f"update add p8{at} 60 A 192.0.2.1"], "YXRRSET"),
        ("prereq with data, met", [f"prereq yxrrset www{at} A 198.51.100.2", f"prereq yxrrset www{at} A 198.51.100.1", f"update add p9{at} 60 A 192.0.2.1"], ""),
        ("prereq with data, not met", [f"prereq yxrrset www{at} A 198.51.100.2", f"update add p10{at} 60 A 192.0.2.1"], "NXRRSET"),
        ("a name outside", ["update add other.test. 60 A 192.0.2.1"], "NOTZONE"),
        ("data beside a CNAME is left out", [f"update add alias{at} 60 A 192.0.2.1"], ""),
        ("the SOA stays", [f"update delete {ZONE}. SOA"], ""),
        ("the last NS stays", [f"update delete {ZONE}. NS ns{at}", f"update delete {ZONE}. NS ns2{at}"], ""),
        ("deletes a record", [f"update delete www{at} A 198.51.100.2"], ""),
        ("deletes a set", [f"update delete many1{at} A"], ""),
        ("deletes a name", [f"update delete many2{at}"], ""),
        ("NSEC is the signer's", [f"update add x{at} 60 NSEC x{at} A"], "REFUSED"),
    ]:
        got = updates.send(lines, tcp=what == "over TCP")
        tally.check(client, what, (said in got if said else not got), f"{got!r} and not {said!r}")
    tally.check(client, "a zone that is not hosted", "NOTAUTH" in updates.send(["update add a.elsewhere.test. 60 A 192.0.2.1"], zone="elsewhere.test"))
    tally.check(client, "a secondary", "REFUSED" in updates.send(["update add a.copy.example. 60 A 192.0.2.1"], zone="copy.example"))
    kept = [name for name in ("p2", "p4", "p6", "p8", "p10") if answer(name)]
    made = [name for name in ("new", "p1", "p3", "p5", "p7", "p9", "many199") if not answer(name)]
    tally.check(client, "what was refused is not there, what was not is", not kept and not made, f"{kept} {made}")
    tally.check(client, "deleted", answer("www") == ["198.51.100.1"] and not answer("many1") and not answer("many2"), answer("www"))
    servers = sorted(dig(CAIRN, ZONE, "NS", "+short", "+norecurse").split())
    tally.check(client, "one NS is left", servers == [f"ns2.{ZONE}."], servers)
    before = serial(CAIRN, ZONE)
    updates.send([f"update add new{at} 60 A 192.0.2.10"])
    tally.check(client, "what is there already keeps the serial", serial(CAIRN, ZONE) == before, f"{serial(CAIRN, ZONE)} {before}")
    updates.send([f"update add ixfr{at} 60 A 192.0.2.10"])
    changes = dig(LOCAL, ZONE, f"IXFR={before}", "+tcp", "+noall", "+answer", "-b", LOCAL)
    tally.check(client, "an update is an incremental transfer", len([line for line in changes.splitlines() if line and line[0] != ";"]) == 5, changes)


def what_knsupdate_can(updates):
    client = "knsupdate"
    for what, lines, said in [
        ("adds and deletes", ["add k1 60 A 192.0.2.20", "add k2 60 A 192.0.2.20", "del k2"], ""),
        ("prereq, met", ["yxdomain k1", "nxdomain k2", "yxrrset k1 A", "nxrrset k1 AAAA", "add k3 60 A 192.0.2.20"], ""),
        ("prereq, not met", ["nxdomain k1", "add k4 60 A 192.0.2.20"], "YXDOMAIN"),
        ("prereq, not met", ["yxrrset k1 TXT", "add k4 60 A 192.0.2.20"], "NXRRSET"),
    ]:
        got = updates.knsend(lines)
        tally.check(client, what, (said in got if said else "fail" not in got.lower() and "error" not in got.lower()), got)
    tally.check(client, "without its key", "REFUSED" in updates.knsend(["add k5 60 A 192.0.2.20"], key=False))
    tally.check(client, "all of it is there", answer("k1") and answer("k3") and not answer("k2") and not answer("k4"))


def who_may(updates):
    client, line = "who may update", [f"update add w.{ZONE}. 60 A 192.0.2.1"]
    tally.check(client, "not without the key", "REFUSED" in updates.send(line, key=None))
    for what, key in (("BADSIG", f"hmac-sha256:{KEY}:{WRONG}"), ("BADKEY", f"hmac-sha256:other.example.:{SECRET}")):
        got = updates.send(line, key=key)
        tally.check(client, what, "NOTAUTH" in got or what in got, got)
    tally.check(client, "nothing has changed", not answer("w"))
    updates.configure_zone(update=f'"{LOCAL}", "{STRANGER} key {KEY}"')
    updates.command("reload")
    tally.check(client, "an address", updates.send(line, key=None, server=LOCAL, local=LOCAL) == "" and answer("w"))
    tally.check(client, "not another address", "REFUSED" in updates.send(line, key=None, local=STRANGER))
    tally.check(client, "an address with a key", updates.send([f"update delete w.{ZONE}."], local=STRANGER) == "" and not answer("w"))
    updates.configure_zone(update="")
    updates.command("reload")
    tally.check(client, "nobody by default", "REFUSED" in updates.send(line))
    updates.configure_zone()
    updates.command("reload")
    log = updates.cairn.log()
    tally.check(client, "no secret is in the log", SECRET not in log and SECRET[:12] not in log)


def file_and_journal(updates):
    client = "file and journal"
    tally.check(client, "the file has all changes", updates.agree(), f"{plain(updates.whole()) ^ plain(updates.in_file())}")
    text = updates.file.read_text()
    kept = ["; the zone of the tests", "; kept by hand", "; people", "www A   198.51.100.1             ; the first", "deep.ent TXT \"x\""]
    tally.check(client, "what a person has written stays", all(line in text for line in kept), text[:600])
    updates.file.chmod(0o640)
    # A person adds one record while an update changes another.
    before = serial(CAIRN, ZONE)
    updates.file.write_text(updates.file.read_text() + "byhand A 192.0.2.30\n")
    updates.send([f"update add byupdate.{ZONE}. 60 A 192.0.2.31"])
    both = until(lambda: answer("byhand") and answer("byupdate"), 8)
    tally.check(client, "an edited file is noticed, and both changes are made", both, f"{answer('byhand')} {answer('byupdate')} {updates.cairn.log()[-600:]}")
    tally.check(client, "file and zone are the same again", updates.agree(8), f"{plain(updates.whole()) ^ plain(updates.in_file())}")
    tally.check(client, "the serial has been raised", serial(CAIRN, ZONE) > before, f"{before} {serial(CAIRN, ZONE)}")
    tally.check(client, "the file's mode is kept", updates.file.stat().st_mode & 0o777 == 0o640, oct(updates.file.stat().st_mode))
    # Both change the same record.
    good = updates.file.read_text()
    updates.file.write_text("broken (\n" + good)
    updates.send([f"update delete www.{ZONE}. A", f"update add www.{ZONE}. 300 A 198.51.100.77"])
    listed = until(lambda: "broken" in updates.command("zone", "list").stdout or "zone:" in updates.command("zone", "list").stdout, 8)
    tally.check(client, "a file with a mistake: served on, and told", listed and answer("www") == ["198.51.100.77"], updates.command("zone", "list").stdout)
    updates.file.write_text(good.replace("198.51.100.1 ", "198.51.100.66 "))
    won = until(lambda: answer("www") == ["198.51.100.66"], 10)
    tally.check(client, "of two changes of one record the file's holds", won, f"{answer('www')} {updates.cairn.log()[-600:]}")
    tally.check(client, "which is told", "the file's word holds" in updates.cairn.log(), updates.cairn.log()[-900:])
    tally.check(client, "and file and zone are the same", updates.agree(10), f"{plain(updates.whole()) ^ plain(updates.in_file())}")
    # A command beside updates.
    done = updates.command("zone", "add", ZONE, "bycommand", "60", "A", "192.0.2.40")
    updates.send([f"update add after.{ZONE}. 60 A 192.0.2.41"])
    tally.check(client, "a command beside updates", done.returncode == 0 and answer("bycommand") and answer("after"), done.stdout + done.stderr)
    tally.check(client, "all of it is in the file", updates.agree(), f"{plain(updates.whole()) ^ plain(updates.in_file())}")


def after_a_restart(updates):
    client = "after a restart"
    first = serial(CAIRN, ZONE)
    for n in range(3):
        updates.send([f"update add restart{n}.{ZONE}. 60 A 192.0.2.{n}"])
    last, whole = serial(CAIRN, ZONE), updates.whole()
    updates.stop(kill=True)
    tally.check(client, "nothing is lost by a crash", updates.start(lambda: serial(CAIRN, ZONE) == last) and updates.whole() == whole, updates.cairn.log()[-900:])
    changes = dig(LOCAL, ZONE, f"IXFR={first}", "+tcp", "+noall", "+answer", "-b", LOCAL)
    lines = [line for line in changes.splitlines() if line and line[0] != ";"]
    tally.check(client, "incremental transfers go on", len(lines) == 11, f"{len(lines)}: {changes[-900:]}")
    updates.agree()
    # The file is edited while the server is down, with a change that it does not have yet in the journal.
    updates.send([f"update add early.{ZONE}. 60 A 192.0.2.50"])
    updates.stop(kill=True)
    updates.file.write_text(updates.file.read_text() + "whiledown A 192.0.2.51\n")
    updates.start(lambda: serial(CAIRN, ZONE))
    tally.check(client, "a file that was edited meanwhile", answer("early") and answer("whiledown"), f"{answer('early')} {answer('whiledown')}")
    tally.check(client, "file and zone agree", updates.agree(8), f"{plain(updates.whole()) ^ plain(updates.in_file())}")


def unwritable_file(updates):
    client = "a file that cannot be written"
    # No new file can be made in the folder; the server runs as root, whom permissions do not stop.
    if subprocess.run(["mount", "--bind", updates.zones, updates.zones], capture_output=True).returncode:
        tally.notes.append("no mount: the unwritable file was left out")
        return
    subprocess.run(["mount", "-o", "remount,bind,ro", updates.zones], check=True)
    try:
        tally.check(client, "an update is carried out", updates.send([f"update add held.{ZONE}. 60 A 192.0.2.60"]) == "" and answer("held"))
        told = until(lambda: "changes in the journal only" in updates.command("zone", "list").stdout, 8)
        tally.check(client, "zone list says so", told, updates.command("zone", "list").stdout)
        updates.stop(kill=True)
        updates.start(lambda: serial(CAIRN, ZONE))
        tally.check(client, "and the journal has it after a crash", bool(answer("held")), updates.cairn.log()[-600:])
    finally:
        updates.stop()
        subprocess.run(["umount", updates.zones], check=True)
    updates.start(lambda: serial(CAIRN, ZONE))
    tally.check(client, "written as soon as that is possible", updates.agree(8), f"{plain(updates.whole()) ^ plain(updates.in_file())}")


def killed(updates):
    """Kills at random moments during updates: what was acknowledged is there, the zone loads, file and journal agree."""
    client, chance = f"{KILLS} kills", random.Random(7)
    acknowledged, begun, lost, unloaded = set(), time.monotonic(), [], 0
    number, sent = 0, set()
    for kill in range(KILLS):
        stop = threading.Event()

        def send(stop=stop, kill=kill):
            nonlocal number
            while not stop.is_set():
                names = [f"u{number + n}" for n in range(4)]
                number += 4
                script = f"server {LOCAL}\nzone {ZONE}\n" + "".join(f"update add {name}.{ZONE}. 60 A 192.0.2.1\nsend\n" for name in names)
                sent.update(names)
                done = subprocess.run(["nsupdate", "-y", updates.key, "-t", "1", "-u", "1", "-r", "0"], input=script, capture_output=True, text=True, timeout=30)
                if not done.stderr and not done.stdout and done.returncode == 0:
                    acknowledged.update(names)

        sender = threading.Thread(target=send)
        sender.start()
        stop.wait(chance.random() * 0.12)
        updates.cairn.process.kill()
        updates.cairn.process.wait()
        stop.set()
        updates.cairn.process = updates.cairn.run([updates.cairn.binary, "run", "--config", updates.config])
        sender.join()
        if not until(lambda: serial(LOCAL, ZONE) is not None, 10):
            unloaded += 1
            break
    tally.check(client, "the zone always loads", unloaded == 0, updates.cairn.log()[-900:])
    there = {line.split()[0].split(".")[0] for line in updates.whole() or ()}
    lost = sorted(acknowledged - there)
    tally.check(client, f"nothing acknowledged is lost ({len(acknowledged)} of {len(sent)})", not lost and len(acknowledged) > 50, lost[:20])
    tally.check(client, "file and zone agree", updates.agree(10), f"{sorted(plain(updates.whole()) ^ plain(updates.in_file()))[:6]}")
    damaged = list((updates.folder / "state" / "journals").glob("*.damaged"))
    tally.check(client, "no journal was damaged", not damaged, damaged)
    tally.notes.append(f"{KILLS} kills in {time.monotonic() - begun:.0f} s")
