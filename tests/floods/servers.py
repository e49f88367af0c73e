"""The servers under test, each with the same cache, the same number of threads, and one root server; otherwise at its defaults."""

import os
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path

from internet import ROOT_AT

HERE = Path(__file__).resolve().parent
PLACE = ("192.0.2.53", 5300)
HINTS = f". 3600000 NS a.root-servers.net.\na.root-servers.net. 3600000 A {ROOT_AT}\n"


class Server:
    def __init__(self, folder, cache_mib, threads, descriptors, anchors=None):
        self.folder, self.cache_mib, self.threads, self.descriptors, self.anchors = folder, cache_mib, threads, descriptors, anchors
        folder.mkdir()
        (folder / "hints").write_text(HINTS)
        self.process = None

    def start(self, answers):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

        env = dict(os.environ, XDG_RUNTIME_DIR=str(self.folder))
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(self.words(), stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, env=env, preexec_fn=limit)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if answers():
                return True
            time.sleep(0.05)
        return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def memory_mib(self):
        """Resident now, and at most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return [int(re.search(rf"{word}:\s+(\d+)", status)[1]) / 1024 for word in ("VmRSS", "VmHWM")]

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cache_said(self):
        """What the server itself says of the size of its cache, where it can be asked."""
        return ""

    def blames(self, names):
        """What the server itself says of these names' servers, where it can be asked."""
        return []


class Cairn(Server):
    name = "cairn"

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        default = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")) / "release/cairn"
        self.binary = str(Path(os.environ.get("CAIRN_BIN", default)).resolve())

    def words(self):
        dnssec = f'dnssec = true\ntrust-anchor = "{self.anchors}"' if self.anchors else "dnssec = false"
        (self.folder / "cairn.toml").write_text(
            f"""[server]
            listen = ["{PLACE[0]}:{PLACE[1]}"]
            allow = ["203.0.113.0/24"]
            workers = {self.threads}
            state-dir = "{self.folder}/state"
            [recursion]
            root-hints = "{self.folder}/hints"
            ipv6 = false
            {dnssec}
            [cache]
            size = "{self.cache_mib}MiB"
            """
        )
        return [self.binary, "run", "--config", self.folder / "cairn.toml"]

    def tell(self, *words):
        done = subprocess.run([self.binary, *words], capture_output=True, text=True, env=dict(os.environ, XDG_RUNTIME_DIR=str(self.folder)), timeout=30)
        return done.stdout + done.stderr

    def cache_said(self):
        return ", ".join(line.strip() for line in self.tell("stats").splitlines() if "cache-bytes" in line)

    def blames(self, names):
        said = [self.tell("explain", name) for name in names] + [self.tell("status")]
        return [line.strip() for text in said for line in text.splitlines() if re.search(r"unreachable|no reply|does not answer|silent", line)]


class Unbound(Server):
    name, binary = "unbound", "unbound"

    def words(self):
        lines = ["server:", '  username: ""', '  chroot: ""', '  pidfile: ""', f'  directory: "{self.folder}"', "  use-syslog: no", "  do-daemonize: no"]
        lines += [f"  interface: {PLACE[0]}@{PLACE[1]}", "  access-control: 0.0.0.0/0 allow", f'  root-hints: "{self.folder}/hints"', "  ede: yes"]
        lines += [f"  num-threads: {self.threads}", "  do-ip6: no", f"  msg-cache-size: {self.cache_mib // 3}m"]
        lines += [f"  rrset-cache-size: {self.cache_mib - self.cache_mib // 3}m", "  so-rcvbuf: 4m"]
        lines += ['  module-config: "validator iterator"', f'  trust-anchor-file: "{self.anchors}"'] if self.anchors else ['  module-config: "iterator"']
        lines += ["remote-control:", "  control-enable: no"]
        (self.folder / "unbound.conf").write_text("\n".join(lines) + "\n")
        return ["unbound", "-d", "-p", "-c", self.folder / "unbound.conf"]


class Named(Server):
    name, binary = "named", "named"

    def words(self):
        validation, anchors = "no", ""
        if self.anchors:
            items = [line.split() for line in Path(self.anchors).read_text().splitlines() if line]
            keys = [f'{owner} static-ds {" ".join(rest[:3])} "{"".join(rest[3:])}";' for owner, _, _, _, *rest in items]
            validation, anchors = "yes", f"trust-anchors {{ {' '.join(keys)} }};"
        (self.folder / "named.conf").write_text(
            f"""options {{
                directory "{self.folder}"; pid-file none; session-keyfile none; dnssec-validation {validation};
                listen-on port {PLACE[1]} {{ {PLACE[0]}; }}; listen-on-v6 {{ none; }};
                allow-recursion {{ any; }}; allow-query {{ any; }}; allow-query-cache {{ any; }};
                recursion yes; max-cache-size {self.cache_mib}M;
            }};
            controls {{ }}; {anchors}
            zone "." {{ type hint; file "{self.folder}/hints"; }};
            """
        )
        return ["named", "-g", "-4", "-n", str(self.threads), "-c", self.folder / "named.conf"]


SERVERS = {kind.name: kind for kind in (Cairn, Unbound, Named)}


def is_there(name):
    return name == "cairn" or shutil.which(SERVERS[name].binary)
