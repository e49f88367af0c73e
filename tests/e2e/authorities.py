"""The world's servers: NSD, Knot and BIND as authorities, and one that never says a word."""

import re
import socket
import subprocess
import sys
from pathlib import Path

from asking import answers, until

HERE = Path(__file__).resolve().parent

# Of dead.com and halfdead.com: one takes packets and is silent, at the other nobody is at home (ICMP says so).
SILENT = ["198.51.100.98"]


class Authority:
    """`zones` is a list of (zone, file)."""

    def __init__(self, name, folder, addresses, zones):
        self.folder = folder / f"{self.kind}-{name}"
        self.folder.mkdir()
        self.addresses, self.zones, self.process = addresses, zones, None
        (self.folder / "conf").write_text(self.config())

    def start(self):
        with open(self.folder / "out", "a") as out:
            self.process = subprocess.Popen(self.words(), stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)

    def wait(self):
        for address in self.addresses:
            if not until(lambda a=address: answers(a, self.zones[0][0]), 20):
                sys.exit(f"the world's server {self.folder.name} does not answer at {address}: {self.log()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(5)

    def log(self):
        return "".join((self.folder / file).read_text() for file in ("out", "logfile") if (self.folder / file).exists())[-2000:]


class Nsd(Authority):
    kind = "nsd"

    def config(self):
        lines = ["server:", '  username: ""', '  chroot: ""', '  database: ""', "  port: 53", "  server-count: 1", "  rrl-ratelimit: 0"]
        lines += [f'  {key}: "{self.folder / key}"' for key in ("pidfile", "logfile", "zonelistfile", "xfrdfile")]
        lines += [f'  xfrdir: "{self.folder}"', "  ip-transparent: yes", *(f"  ip-address: {a}" for a in self.addresses)]
        lines += ["remote-control:", "  control-enable: no"]
        for zone, file in self.zones:
            lines += ["zone:", f'  name: "{zone}"', f'  zonefile: "{file}"']
        return "\n".join(lines) + "\n"

    def words(self):
        return ["nsd", "-d", "-c", "conf"]


class Knot(Authority):
    kind = "knot"

    def config(self, policies="", policy_of=None):
        (self.folder / "db").mkdir()
        lines = ["server:", f'    rundir: "{self.folder}"', "    user: root:root", "    background-workers: 2"]
        lines += ["    udp-workers: 1", "    tcp-workers: 1", *(f"    listen: {a}@53" for a in self.addresses)]
        lines += ["log:", f'  - target: "{self.folder / "logfile"}"', "    any: notice"]
        lines += ["database:", f'    storage: "{self.folder / "db"}"', policies]
        lines += ["template:", "  - id: default", "    zonefile-sync: -1", "    journal-content: none", "zone:"]
        for zone, file in self.zones:
            lines += [f"  - domain: {zone}", f'    file: "{file}"']
            if policy_of:
                lines += ["    dnssec-signing: on", f"    dnssec-policy: {policy_of(zone)}"]
        return "\n".join(lines) + "\n"

    def words(self):
        return ["knotd", "-c", "conf"]


class Named(Authority):
    kind = "named"

    def config(self):
        v4 = "; ".join(a for a in self.addresses if ":" not in a) or "none"
        v6 = "; ".join(a for a in self.addresses if ":" in a) or "none"
        zones = "\n".join(f'zone "{zone}" {{ type primary; file "{file}"; }};' for zone, file in self.zones)
        return f"""options {{
            directory "{self.folder}"; pid-file none; session-keyfile none; recursion no; notify no; dnssec-validation no;
            listen-on port 53 {{ {v4}; }}; listen-on-v6 port 53 {{ {v6}; }}; allow-query {{ any; }}; empty-zones-enable no;
        }};
        controls {{ }};
        {zones}
        """

    def words(self):
        return ["named", "-g", "-n", "1", "-c", "conf"]


def silent_server(address):
    """Takes questions and connections, and never says a word."""
    sockets = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
    for sock in sockets:
        sock.bind((address, 53))
    sockets[1].listen()
    return sockets


def written(zone_file, owner_pattern):
    """What a zone file of the world says of addresses: they are written down once."""
    text = (HERE / "world" / zone_file).read_text()
    return re.findall(rf"^{owner_pattern}\s+(?:A|AAAA)\s+(\S+)", text, re.MULTILINE)


ROOT_ADDRESSES = written("root/root.zone", r"[a-m]\.root-servers\.net\.")
LEAVES = {"leaf1": ["198.51.100.10", "2001:db8:10::53"], "leaf2": ["198.51.100.20", "198.51.100.21", "2001:db8:20::53"]}


def files_of(part):
    return [("." if file.stem == "root" else file.stem, file) for file in sorted((HERE / "world" / part).glob("*.zone"))]


class SmallWorld:
    """A root of three TLDs, and two hosters."""

    def __init__(self):
        self.root = "the small root zone"
        self.parts = {
            "root": (ROOT_ADDRESSES, files_of("root")),
            "tld": (["192.5.6.30", "2001:503:a83e::2:30"], files_of("tld")),
            **{leaf: (addresses, files_of(leaf)) for leaf, addresses in LEAVES.items()},
        }

    def addresses(self):
        return [address for addresses, _ in self.parts.values() for address in addresses]

    def start(self, folder, has_ipv6, kinds):
        servers = {}
        for part, (addresses, zones) in self.parts.items():
            usable = [a for a in addresses if has_ipv6 or ":" not in a]
            servers[part] = kinds.get(part, Nsd)(part, folder, usable, zones)
            servers[part].start()
        for server in servers.values():
            server.wait()
        return servers
