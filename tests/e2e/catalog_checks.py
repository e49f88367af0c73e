"""Catalogs (RFC 9432) between Cairn, BIND and Knot, each as the producer and as the consumer. NSD knows them from 4.9 on."""

import re
import shutil
import subprocess

from asking import tally, until

CATALOG = "catalog.example"


def catalog_text(serial, members, version=2):
    lines = "".join(f"m{zone.replace('.', '-')}.zones PTR {zone}.\n" for zone in members)
    return f'$TTL 0\n@ SOA invalid. invalid. {serial} 1 1 600 0\n@ NS invalid.\nversion TXT "{version}"\n{lines}'


def edit(path, old, new):
    text = path.read_text()
    assert old in text, f"{old} is not in {path}"
    path.write_text(text.replace(old, new))


def consume(peer, cairn):
    """The catalog is transferred from Cairn, and its members are."""
    if peer.name == "bind":
        words = peer.start_bind((), (CATALOG,), None)
        zones = f'catalog-zones {{ zone "{CATALOG}" default-primaries {{ {cairn}; }} in-memory yes min-update-interval 1; }}; '
        edit(peer.folder / "named.conf", "notify-delay 0;", f"notify-delay 0; {zones}")
        # Members have no settings of their own.
        edit(peer.folder / "named.conf", "recursion no;", "recursion no; max-refresh-time 1; min-refresh-time 1;")
    else:
        words = peer.start_knot((), (CATALOG,), None)
        conf = peer.folder / "knot.conf"
        edit(conf, "template:\n", f"template:\n  - id: member\n    storage: {peer.folder}\n    master: cairn\n    acl: cairn\n")
        conf.write_text(conf.read_text() + "    catalog-role: interpret\n    catalog-template: member\n")
    run(peer, words)


def produce(peer, members, serial=None):
    for zone in members:
        peer.put(zone, member_text())
    if peer.name == "bind":
        peer.put(CATALOG, catalog_text(serial or len(members), members))
        words = peer.start_bind((CATALOG, *members), (), None)
    else:
        words = peer.start_knot(tuple(members), (), None)
        conf = peer.folder / "knot.conf"
        edit(conf, "    zonefile-load: difference\n", f"    zonefile-load: difference\n    catalog-role: member\n    catalog-zone: {CATALOG}\n")
        conf.write_text(conf.read_text() + f"  - domain: {CATALOG}\n    catalog-role: generate\n    notify: cairn\n    acl: cairn\n")
    run(peer, words)


def member_text(serial=1):
    return f"$TTL 60\n@ SOA ns host {serial} 1 1 600 1\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.80\n"


def run(peer, words):
    peer.stop()
    peer.process = subprocess.Popen(words, cwd=peer.folder, stdout=open(peer.folder / "log", "a"), stderr=subprocess.STDOUT)


def catalogs(transfers, peers, cairn, status_of):
    one, two = "one.example", "two.example"
    answers = lambda server, zone: status_of(server, f"www.{zone}") == "NOERROR"
    served = lambda server, *zones: until(lambda: all(answers(server, zone) for zone in zones), 15)
    gone = lambda server, zone: until(lambda: not answers(server, zone), 15)
    for name in ("bind", "knot"):
        if name not in peers:
            continue
        peer = peers[name]
        client = f"catalog made here, {name} follows it"

        def configure(*zones):
            members = "".join(f'{transfers.primary(zone, [f"{chr(34)}{peer.address}{chr(34)}"])}catalog-zone = "{CATALOG}"\ncatalog-group = "g"\n' for zone in zones)
            transfers.configure([f'[[zone]]\nname = "{CATALOG}"\ncatalog = true\ntransfer = ["{peer.address}"]\n', members])

        for zone in (one, two):
            transfers.put(zone, member_text())
        configure(one)
        tally.check(client, "starts", transfers.start(lambda: answers(cairn, one)), transfers.cairn.log()[-900:])
        consume(peer, cairn)
        log = lambda: " THE OTHER: " + (peer.folder / "log").read_text()[-1500:]
        tally.check(client, "a member is served there", served(peer.address, one), log())
        configure(one, two)
        done = transfers.command("reload")
        tally.check(client, "one more, after a reload", done.returncode == 0 and served(peer.address, one, two), done.stdout + log())
        configure(two)
        done = transfers.command("reload")
        tally.check(client, "one less", done.returncode == 0 and gone(peer.address, one) and served(peer.address, two), done.stdout + log())
        listed = transfers.command("zone", "list").stdout
        tally.check(client, "zone list shows the catalog", re.search(rf"{CATALOG}\.\s+serial \d+", listed), listed)
        peer.stop()
        transfers.stop()

        client = f"catalog of {name}, followed here"
        # What each knows of the catalog from the other direction.
        shutil.rmtree(transfers.folder / "state")
        shutil.rmtree(peer.folder / "db")
        (peer.folder / "db").mkdir()
        produce(peer, [one])
        transfers.configure([transfers.secondary(CATALOG, f'"{peer.address}"') + "catalog = true\n"])
        ready = transfers.start(lambda: answers(cairn, one))
        tally.check(client, "a member is served here", ready, transfers.cairn.log()[-900:] + log())
        produce(peer, [one, two])
        tally.check(client, "one more", served(cairn, one, two), transfers.cairn.log()[-900:] + log())
        listed = transfers.command("zone", "list").stdout
        tally.check(client, "zone list shows whose members they are", f"{CATALOG}.  serial" in re.sub(r" +serial", "  serial", listed) and "catalog with 2 members" in listed and listed.count(f"member of {CATALOG}.") == 2, listed)
        transfers.stop(kill=True)
        peer.stop()
        tally.check(client, "members outlive a restart without the primary", transfers.start(lambda: answers(cairn, one) and answers(cairn, two)), transfers.cairn.log()[-900:])
        produce(peer, [two], serial=9)
        tally.check(client, "one less", gone(cairn, one) and served(cairn, two), transfers.cairn.log()[-1800:] + log())
        copies = {path.name for path in (transfers.folder / "state/copies").glob("*")}
        tally.check(client, "and its copy is removed", one not in copies and two in copies, copies)
        if name == "bind":
            peer.put(CATALOG, catalog_text(10, [], version=3))
            peer.reload()
            told = until(lambda: "another version" in transfers.command("zone", "list").stdout, 10)
            tally.check(client, "a version that is not known changes nothing, and is told", told and answers(cairn, two), transfers.command("zone", "list").stdout)
        transfers.stop()
        peer.stop()
