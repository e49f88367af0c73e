"""What stands around a server under test: NSD with the real root, the process that is the rest of the world, memory."""

import gzip
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from asking import NoReply, reply, until
from serve import Loop


def read(path):
    data = Path(path).read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()


class Root:
    """NSD with the real root zone, and with arpa, which has the same servers."""

    def __init__(self, folder, zone_text, world, has_ipv6):
        self.folder = folder
        (folder / "root.zone").write_text(zone_text)
        hosts = [*world.root_hosts, *world.arpa_hosts]
        soa = "@ 86400 IN SOA a.root-servers.net. nstld.example. 1 1800 900 604800 86400\n"
        (folder / "arpa.zone").write_text("$ORIGIN arpa.\n" + soa + "".join(f"@ 86400 IN NS {host}.\n" for host in world.arpa_hosts))
        addresses = dict.fromkeys(a for host in hosts for a in world.host_addresses.get(host, []) if has_ipv6 or ":" not in a)
        lines = ["server:", '  username: ""', '  chroot: ""', '  database: ""', "  port: 53", "  server-count: 2", "  rrl-ratelimit: 0"]
        lines += ["  reuseport: yes", "  ip-transparent: yes", f'  xfrdir: "{folder}"', f'  zonesdir: "{folder}"']
        lines += [f'  {key}: "{folder / key}"' for key in ("pidfile", "logfile", "zonelistfile", "xfrdfile")]
        lines += [f"  ip-address: {address}" for address in addresses]
        lines += ["remote-control:", "  control-enable: yes", f'  control-interface: "{folder / "control"}"']
        for zone in (".", "arpa"):
            lines += ["zone:", f'  name: "{zone}"', f'  zonefile: "{"root" if zone == "." else zone}.zone"']
        (folder / "nsd.conf").write_text("\n".join(lines) + "\n")
        words = ["nsd", "-d", "-c", folder / "nsd.conf"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not until(lambda: serves_root(list(addresses)[0]), 20):
            self.process.kill()
            sys.exit("NSD does not serve the root: " + (folder / "logfile").read_text())

    def queries(self):
        words = ["nsd-control", "-c", self.folder / "nsd.conf", "stats_noreset"]
        said = subprocess.run(words, capture_output=True, text=True).stdout
        return sum(int(line.partition("=")[2]) for line in said.splitlines() if line.startswith("num.queries="))


def serves_root(address):
    try:
        return reply(address, ".", "SOA", flags=0, timeout=0.3).values("SOA")
    except (OSError, NoReply):
        return False


def start_world(servers, folder, has_ipv6):
    """The world's process; ready when it says so."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(writing, 1)
            Loop(servers, has_ipv6, folder / "counts.json").run()
        finally:
            traceback.print_exc()
            os._exit(1)  # it must not tidy up what is its parent's
    os.close(writing)
    with os.fdopen(reading) as said:
        if said.readline().strip() != "ready":
            sys.exit("the world did not start")
    return child


def stop_world(world_process):
    if world_process:
        os.kill(world_process, signal.SIGTERM)
        os.waitpid(world_process, 0)


def rss_kib(pid):
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
