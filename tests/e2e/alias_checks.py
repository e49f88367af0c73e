"""ALIAS records of zones that Cairn hosts, signed and not: the target lies at the registry of the hosting stage."""

import re
import subprocess

from asking import tally, until

PLAIN, SIGNED, TARGET = "alias.example", "signed-alias.example", "target.net"
TEXT = f"$TTL 60\n@ SOA ns host 1 7200 900 1209600 60\n@ NS ns\nns A 192.0.2.53\n@ ALIAS {TARGET}.\n@ MX 1 ns\n"


def dig(server, *words, source=None):
    done = subprocess.run(["dig", f"@{server}", *(["-b", source] if source else []), "+tries=1", "+time=2", *words], capture_output=True, text=True)
    return done.stdout


def alias_checks(hosting, server):
    cairn, check = hosting.cairn, lambda what, good, told="": tally.check("ALIAS", what, good, told)
    # The server resolves for nobody, and still finds the target.
    settings = hosting.settings.replace("[recursion]\n", "[recursion]\nenabled = false\n")
    zones = "".join(
        f'[[zone]]\nname = "{zone}"\nfile = "zones/{zone}.zone"\ntransfer = ["127.0.0.1"]\n{more}' for zone, more in ((PLAIN, ""), (SIGNED, "dnssec = true\n"))
    )
    with_net = lambda address: hosting.register(net=f"ns.example.net. A 198.51.100.5\n{TARGET}. 5 A {address}\n{TARGET}. 5 AAAA 2001:db8::1\n")
    with_net("192.0.2.201")
    for zone in (PLAIN, SIGNED):
        cairn.file(zone).write_text(TEXT)
    cairn.configure(settings + zones)
    code, text = cairn.cairn("reload")
    check("reload", code == 0, text)
    short = lambda zone, rtype="A": dig(server, zone, rtype, "+short", "+norecurse").split()
    serial = lambda zone: (short(zone, "SOA") or [0] * 3)[2]
    for zone in (PLAIN, SIGNED):
        check(f"{zone}: addresses of the target", until(lambda: short(zone) == ["192.0.2.201"], 10) and short(zone, "AAAA") == ["2001:db8::1"], dig(server, zone) + cairn.log()[-900:])
        moved = dig("127.0.0.1", zone, "AXFR", source="127.0.0.1")
        check(f"{zone}: a transfer has them, and no ALIAS", re.search(r"\sA\s+192\.0\.2\.201", moved) and "65401" not in moved and "ALIAS" not in moved, moved)
    check("signed", "RRSIG" in dig(server, SIGNED, "A", "+dnssec", "+norecurse"), dig(server, SIGNED, "A", "+dnssec"))
    check("recursion is for nobody", "REFUSED" in dig(server, TARGET, "A"), dig(server, TARGET, "A"))
    before = {zone: serial(zone) for zone in (PLAIN, SIGNED)}
    with_net("192.0.2.202")
    for zone in (PLAIN, SIGNED):
        check(f"{zone}: follows the target", until(lambda: short(zone) == ["192.0.2.202"], 25), dig(server, zone))
        check(f"{zone}: under a newer serial", int(serial(zone)) > int(before[zone]), f"{before[zone]} {serial(zone)}")
    change = dig("127.0.0.1", PLAIN, f"IXFR={before[PLAIN]}", "+noall", "+answer", source="127.0.0.1")
    check("secondaries get the difference", "192.0.2.201" in change and "192.0.2.202" in change, change)
    hosting.registry.stop()
    hosting.registry = None
    told = lambda: cairn.cairn("zone", "list")[1]
    check("the target's servers are away: told", until(lambda: "cannot be resolved" in told(), 60), told())
    check("and the last addresses stay", short(PLAIN) == ["192.0.2.202"] == short(SIGNED), dig(server, PLAIN))
    cairn.process.terminate()
    cairn.process.wait(20)
    check("also over a restart", cairn.start() and short(PLAIN) == ["192.0.2.202"] == short(SIGNED), dig(server, PLAIN) + cairn.log()[-500:])
    exported = cairn.cairn("zone", "export", PLAIN)[1]
    check("an export has it as a comment", re.search(r"^; alias\.example\. 60 IN ALIAS target\.net\.$", exported, re.M), exported)
