"""Who watches sees what the clients saw: the query log and dnstap beside the clients' own count, and neither holds up an answer."""

import collections
import json
import os
import signal
import subprocess
import time

import network
from asking import LOCAL, LOCAL6, reply, tally, until
from authorities import SmallWorld
from metric_checks import asked, get, total, values

NEEDED = ["ip", "nsd", "fstrm_capture", "dnstap-read"]


def watching_stage(words, Stage):
    missing = network.missing_tools(NEEDED)
    if missing:
        tally.missing.extend(missing)
        return
    with Stage(words.keep) as stage:
        _, has_ipv6 = stage.small_world(SmallWorld(), {})
        subject = stage.subject("cairn")
        logged(subject, has_ipv6)
        rotated(subject)
        in_the_way(subject)
        tapped(subject, has_ipv6)


def start(subject, more, has_ipv6=False):
    subject.more = more
    listen = [f"{LOCAL}:53"] + ([f"[{LOCAL6}]:53"] if has_ipv6 else [])
    return tally.check("start", "answers within 10 s", subject.start(listen), subject.log())


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def logged(subject, has_ipv6):
    log = subject.folder / "queries.json"
    if not start(subject, f'[query-log]\nfile = "{log}"\n', has_ipv6):
        return
    until(lambda: entries(log), 5)
    before = len(entries(log))
    by, codes = asked(has_ipv6)
    expected = sum(by.values())
    begun = time.monotonic()
    tally.check("log", "every query has its line", until(lambda: len(entries(log)) - before >= expected, 5), len(entries(log)) - before)
    tally.check("log", "within a second", time.monotonic() - begun < 1.0, time.monotonic() - begun)
    lines = entries(log)[before:]
    tally.check("log", "and no more", len(lines) == expected, f"{len(lines)}, not {expected}")
    family = lambda line: "ipv6" if ":" in line["client"] else "ipv4"
    have = collections.Counter((line["transport"], family(line), line["type"]) for line in lines)
    tally.check("log", "transports, families, types", have == by, f"{have}\n{by}")
    have = collections.Counter(line["rcode"] for line in lines)
    tally.check("log", "response codes", have == codes, f"{have}\n{codes}")
    sources = {line["source"] for line in lines}
    tally.check("log", "sources", {"zone", "walk", "cache", "policy"} <= sources, sources)
    tally.check("log", "mode 0640", log.stat().st_mode & 0o777 == 0o640, oct(log.stat().st_mode))
    text = get("/metrics")[2]
    tally.check("log", "nothing was left out", total(values(text), "cairn_query_log_dropped_total") == 0)


def rotated(subject):
    log = subject.folder / "queries.json"
    moved = subject.folder / "moved.json"
    log.rename(moved)
    reply(LOCAL, "www.hosted.example", "A")
    count = len(entries(moved))
    tally.check("rotation", "a renamed file is written on", until(lambda: len(entries(moved)) > 0 and not log.exists(), 2))
    subject.reload()
    reply(LOCAL, "after.hosted.example", "A")
    tally.check("rotation", "after a reload the new one is", until(lambda: any(line["name"].startswith("after.") for line in entries(log)), 3),
                f"{count} {entries(log)}")
    subject.stop()
    log.unlink()
    if not start(subject, f'[query-log]\nfile = "{log}"\nmax-size = "64KiB"\nkeep = 2\nanonymise = true\n'):
        return
    for _ in range(10):
        for _ in range(300):
            reply(LOCAL, "www.hosted.example", "A")
        time.sleep(0.06)
    subject.stop()
    files = sorted(path.name for path in subject.folder.glob("queries.json*"))
    tally.check("rotation", "by size, and the oldest goes", files == ["queries.json", "queries.json.1", "queries.json.2"], files)
    lines = [line for name in files for line in entries(subject.folder / name)]
    tally.check("rotation", "what was answered is written at the stop", entries(log)[-1]["name"] == "www.hosted.example.", entries(log)[-1:])
    tally.check("rotation", "clients are not told apart", {line["client"] for line in lines} == {"127.0.0.0"} and "port" not in lines[0],
                lines[0])


def slowest(count=200):
    worst = 0
    for _ in range(count):
        begun = time.monotonic()
        reply(LOCAL, "www.hosted.example", "A")
        worst = max(worst, time.monotonic() - begun)
    return worst


def in_the_way(subject):
    """A full disk, a pipe that nobody reads, a reader that has stopped."""
    pipe = subject.folder / "pipe"
    os.mkfifo(pipe)
    for what, path in (("a full disk", "/dev/full"), ("a pipe without a reader", pipe), ("a folder that is not there", subject.folder / "no/log")):
        if not start(subject, f'[query-log]\nfile = "{path}"\n'):
            continue
        worst = slowest()
        tally.check("in the way", f"{what}: answers go on", worst < 0.1, worst)
        dropped = lambda: total(values(get("/metrics")[2]), "cairn_query_log_dropped_total")
        tally.check("in the way", f"{what}: what is left out is counted", until(lambda: dropped() >= 200, 5), dropped())
        said = [line for line in subject.log().splitlines() if "query-log.file" in line and "cannot be" in line]
        tally.check("in the way", f"{what}: told once", len(said) in (1, 2), "\n".join(said))
        code, took = subject.stop()
        tally.check("in the way", f"{what}: stops at once", code == 0 and took < 2, f"{code} {took}")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    if start(subject, f'[query-log]\nfile = "{pipe}"\n'):
        worst = slowest(2000)
        tally.check("in the way", "a pipe that is full: answers go on", worst < 0.1, worst)
        code, took = subject.stop()
        tally.check("in the way", "a pipe that is full: stops at once", code == 0 and took < 2, f"{code} {took}")
    os.close(reader)


def tapped(subject, has_ipv6):
    socket, frames = subject.folder / "dnstap.sock", subject.folder / "frames"
    if not start(subject, f'[dnstap]\nsocket = "{socket}"\nidentity = "here"\n', has_ipv6):
        return
    slow = slowest(50)
    tally.check("dnstap", "without a reader answers go on", slow < 0.1, slow)
    capture = subject.run(["fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", socket, "-w", frames], log="capture")
    told = lambda: "messages go to the dnstap reader" in subject.log()
    tally.check("dnstap", "a reader that comes later is found", until(told, 10), subject.log())
    by, _ = asked(has_ipv6)
    # A reader that stops for a while: what it has no time for waits or is left out, and answers do not.
    capture.send_signal(signal.SIGSTOP)
    slow = slowest(500)
    tally.check("dnstap", "a reader that has stopped holds up nothing", slow < 0.1, slow)
    capture.send_signal(signal.SIGCONT)
    subject.stop()
    capture.terminate()
    capture.wait(10)
    read = subprocess.run(["dnstap-read", "-y", frames], capture_output=True, text=True)
    messages = read.stdout.split("\n---\n")
    kinds = collections.Counter(line.split()[-1] for line in read.stdout.splitlines() if line.startswith("  type: "))
    expected = sum(by.values()) + 500
    tally.check("dnstap", "queries of clients", expected <= kinds["CLIENT_QUERY"] <= expected + 5, f"{kinds} {expected} {read.stderr} {subject.log('capture')} {subject.log()[-600:]}")
    tally.check("dnstap", "and their replies", kinds["CLIENT_RESPONSE"] == kinds["CLIENT_QUERY"], kinds)
    tally.check("dnstap", "queries to servers", 0 < kinds["RESOLVER_RESPONSE"] <= kinds["RESOLVER_QUERY"], kinds)
    tally.check("dnstap", "with the zone", "query_zone: example.net." in read.stdout or 'query_zone: "example.net."' in read.stdout, kinds)
    tally.check("dnstap", "identity and version", all("identity: here" in one and "version: cairn" in one for one in messages if one.strip()),
                messages[:1])
    overs = collections.Counter(line.split()[-1] for line in read.stdout.splitlines() if line.strip().startswith("socket_protocol: "))
    tally.check("dnstap", "transports", {"UDP", "TCP"} <= set(overs), overs)
