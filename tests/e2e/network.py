"""What is in the namespace beside servers: their addresses, a link, files of the system that are ours; tools that must be there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from asking import ELSEWHERE6, LAN, LAN6, PLACES, tally
from space import all_is_local, ip

PACKAGES = {
    "ip": "iproute2", "nsd": "nsd", "knotd": "knot", "knotc": "knot", "keymgr": "knot", "named": "bind9", "unbound": "unbound",
    "dig": "bind9-dnsutils", "nslookup": "bind9-dnsutils", "delv": "bind9-dnsutils", "host": "bind9-host", "kdig": "knot-dnsutils",
    "getent": "libc-bin", "node": "nodejs", "dnsmasq": "dnsmasq-base", "ldns-signzone": "ldnsutils", "ldns-keygen": "ldnsutils",
    "ldns-verify-zone": "ldnsutils", "dnssec-verify": "bind9-utils", "kzonecheck": "knot-dnssecutils",
    "dnssec-signzone": "bind9-utils", "dnssec-keygen": "bind9-utils", "dnssec-dsfromkey": "bind9-utils",
    "named-compilezone": "bind9-utils", "cc": "gcc", "lintian": "lintian",
    "man": "man-db", "systemd-analyze": "systemd", "setpriv": "util-linux", "objcopy": "binutils", "dpkg-deb": "dpkg",
}


def missing_tools(wanted):
    """Those of `wanted` that are not there, each said plainly; in CI that is a failure."""
    gone = [tool for tool in wanted if not shutil.which(tool)]
    for tool in gone:
        print(f"missing: {tool} (package {PACKAGES.get(tool, tool)})", flush=True)
    tally.missing += gone
    if gone and os.environ.get("CI"):
        sys.exit(1)
    return gone


def make_network(servers):
    """Every IPv4 address is local; those that are used are also an interface's (of IPv6 none other can be bound to, and BIND
    looks for them)."""
    # The C library asks for A only where there is an IPv4 address besides 127.0.0.0/8.
    has_ipv6 = all_is_local(LAN, LAN6)
    for address in dict.fromkeys([*(place.lan for place in PLACES.values() if place.lan != LAN), *(a for a in servers if ":" not in a)]):
        ip("addr", "add", f"{address}/32", "dev", "lo")
    own = [ELSEWHERE6, *(place.v6 for place in PLACES.values() if place.v6 != "::1")]
    for address in dict.fromkeys([*own, *(a for a in servers if ":" in a)]):
        has_ipv6 = has_ipv6 and ip("-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad", must=False)
    if not has_ipv6:
        print("no IPv6 here")
        tally.missing.append("IPv6")
    return has_ipv6


def add_link():
    """A link that looks like a way out and is none: some clients (systemd-resolved) ask nobody while there is only loopback."""
    made = ip("link", "add", "out0", "type", "veth", "peer", "name", "out1", must=False)
    return made and ip("link", "set", "out1", "up") and ip("addr", "add", "192.0.2.60/32", "dev", "out0") and ip("link", "set", "out0", "up")


def mount_over(file, text, folder):
    """Puts `text` in place of a file of the system, seen in this namespace alone. Called again, it changes the text."""
    own = folder / Path(file).name
    seen = own.exists()
    own.write_text(text)
    return seen or subprocess.run(["mount", "--bind", own, Path(file).resolve()], capture_output=True).returncode == 0
