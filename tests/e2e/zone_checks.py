"""Master files: what BIND's compiler reads in them, and what Cairn serves of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import network
from asking import LOCAL, guarded
from space import all_is_local

TREE = Path(__file__).resolve().parent.parent.parent
WORLD = TREE / "tests/e2e/world"
SHOWN = "+noall +answer +authority +additional +nosplit +norecurse +dnssec +nocookie +tries=1"


def files_of_the_tree():
    """Origin and file. What is refused is refused by both."""
    own = [("example.", TREE / "tests/zones" / file) for file in ("every-type.zone", "good.zone", "broken.zone", "inconsistent.zone")]
    own += [("example.test.", TREE / "zones/example.test.zone")]
    names = sorted(WORLD.glob("*/*.zone"))
    return own + [("." if file.stem == "root" else f"{file.stem}.", file) for file in names]


def files_elsewhere(folder):
    rows = [row.split("\t") for row in (Path(folder) / "INDEX.tsv").read_text().splitlines() if not row.startswith("#")]
    return [(row[2], Path(folder) / row[0]) for row in rows]


def compiled(origin, file, out):
    """The records as BIND sees them, or its first complaint."""
    words = ["named-compilezone", "-i", "none", "-k", "ignore", "-n", "ignore", "-s", "full", "-o", out, origin, file.name]
    done = subprocess.run(words, capture_output=True, text=True, cwd=file.parent, timeout=60)
    return (records(out.read_text()), None) if done.returncode == 0 else (None, done.stdout + done.stderr)


def records(text):
    """One entry a record; blanks inside the data say nothing."""
    found = set()
    for line in text.splitlines():
        words = line.split(None, 4)
        if len(words) == 5 and words[2] == "IN" and not line.startswith(";"):
            owner, ttl, _, rtype, data = words
            found.add((owner.lower(), ttl, rtype, re.sub(r"\s+", "", data)))
    return found


def served(origin, questions, batch):
    batch.write_text("".join(f"{owner} {rtype} {SHOWN}\n" for owner, rtype in sorted(questions)))
    done = subprocess.run(["dig", f"@{LOCAL}", "-f", batch], capture_output=True, text=True, timeout=300)
    below = "" if origin == "." else f".{origin.lower()}"
    return {record for record in records(done.stdout) if record[0] == origin.lower() or record[0].endswith(below)}


def zones_stage(words, stage_of):
    if network.missing_tools(["ip", "named-compilezone", "dig"]):
        sys.exit(1)
    all_is_local("192.0.2.53", "2001:db8:c::53")
    with stage_of(words.keep) as stage:
        cairn = stage.subject("cairn")
        for origin, file in files_of_the_tree():
            guarded("zone files", f"{file.relative_to(TREE)}", lambda origin=origin, file=file: same(cairn, origin, file, must=True))
        if folder := os.environ.get("CAIRN_ZONE_FILES"):
            for origin, file in files_elsewhere(folder):
                guarded("zone files elsewhere", file.name, lambda origin=origin, file=file: same(cairn, origin, file, must=False))


def same(cairn, origin, file, must):
    """Whether both read the same. Verdicts that differ count only where they `must` not."""
    folder = cairn.folder
    theirs, complaint = compiled(origin, file, folder / "compiled")
    config = folder / "cairn.toml"
    config.write_text(f'[server]\nlisten = ["{LOCAL}:53"]\n[[zone]]\nname = "{origin}"\nfile = "{file}"\n')
    verdict = subprocess.run([cairn.binary, "check", "--config", config], capture_output=True, text=True, timeout=60)
    if theirs is None or verdict.returncode != 0:
        both = theirs is None and verdict.returncode != 0 and first_line(complaint) in lines(verdict.stderr)
        return both or not must, f"BIND: {complaint}; Cairn: {verdict.stderr}"
    # RFC 5155 7.2.8: the owners of NSEC3 records are no names, so nothing is answered for them.
    hashed = {owner for owner, _, rtype, _ in theirs if rtype == "NSEC3"}
    theirs = {record for record in theirs if record[0] not in hashed}
    ours = zone_as_served(cairn, config, origin, {(owner, rtype) for owner, _, rtype, _ in theirs})
    return ours == theirs, f"only BIND: {sorted(theirs - ours)[:4]}, only Cairn: {sorted(ours - theirs)[:4]}"


def lines(text):
    return re.findall(r"\.zone:(\d+)", text)


def first_line(text):
    return next(iter(lines(text)), None)


def zone_as_served(cairn, config, origin, questions):
    process = cairn.run([cairn.binary, "run", "--config", config])
    try:
        subprocess.run(["dig", f"@{LOCAL}", "+tries=20", "+time=1", "+norecurse", origin, "SOA"], capture_output=True, timeout=30)
        return served(origin, questions, cairn.folder / "batch")
    finally:
        process.terminate()
        process.wait(10)
