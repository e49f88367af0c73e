"""The servers under test: how each is configured, started, reloaded and stopped."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from asking import ALLOW, LOCAL, answers, until

HERE = Path(__file__).resolve().parent


class Subject:
    """A server under test, run in the foreground from a folder of its own."""

    def __init__(self, folder, anchors=None):
        self.folder = folder / f"subject-{self.name}"
        self.anchors = anchors  # a file of DS records; without it nothing is validated
        (self.folder / "zones").mkdir(parents=True)
        shutil.copy(HERE / "world/hosted/hosted.example.zone", self.folder / "zones")
        self.zone = self.folder / "zones/hosted.example.zone"
        self.process = None

    def run(self, words, log="log", cwd=None):
        with open(self.folder / log, "w") as out:
            return subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, cwd=cwd or self.folder)

    def log(self, log="log"):
        return (self.folder / log).read_text(errors="replace")

    def start(self, listen, where=LOCAL, port=53):
        self.process = self.run(self.words(listen))
        return until(lambda: answers(where, "hosted.example", port), 10)

    def stop(self):
        """The exit code, and the seconds it took."""
        begun = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "killed after 10 s"
        return code, time.monotonic() - begun

    def reload(self):
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)


class Cairn(Subject):
    name, sha1 = "cairn", "insecure"
    server, more = "", ""  # of the configuration: of its first section, and of others

    def __init__(self, folder, anchors=None):
        super().__init__(folder, anchors)
        default = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")) / "release/cairn"
        self.binary = str(Path(os.environ.get("CAIRN_BIN", default)).resolve())

    def words(self, listen):
        config = self.folder / "cairn.toml"
        own = f'trust-anchor = "{self.anchors}"\n' if self.anchors != "built in" else ""
        dnssec = f'dnssec = true\nsha1 = "{self.sha1}"\n{own}' if self.anchors else "dnssec = false\n"
        config.write_text(f"[server]\nlisten = [{quoted(listen)}]\nallow = [{quoted(ALLOW)}]\n{self.server}[recursion]\n{dnssec}{self.more}")
        return [self.binary, "run", "--config", config]


class Unbound(Subject):
    name, binary = "unbound", "unbound"

    def words(self, listen):
        config = self.folder / "unbound.conf"
        lines = ["server:", '  username: ""', '  chroot: ""', '  pidfile: ""', f'  directory: "{self.folder}"', "  use-syslog: no"]
        lines += ['  module-config: "validator iterator"', f'  trust-anchor-file: "{self.anchors}"'] if self.anchors else ['  module-config: "iterator"']
        lines += ["  num-threads: 1", "  ede: yes", "  hide-version: yes", "  minimal-responses: no"]
        lines += ["  private-address: 10.0.0.0/8", "  do-daemonize: no", "  ip-transparent: yes", "  deny-any: yes"]
        lines += [f"  interface: {listened.rpartition(':')[0].strip('[]')}@{listened.rpartition(':')[2]}" for listened in listen]
        lines += [f"  access-control: {prefix} allow" for prefix in ALLOW] + ["  access-control: 0.0.0.0/0 refuse_non_local"]
        lines += ["auth-zone:", '  name: "hosted.example"', f'  zonefile: "{self.zone}"', "  for-upstream: yes", "  for-downstream: yes"]
        lines += ["remote-control:", "  control-enable: no"]
        config.write_text("\n".join(lines) + "\n")
        return ["unbound", "-d", "-p", "-c", config]


class Bind(Subject):
    name, binary = "bind", "named"

    def words(self, listen):
        config = self.folder / "named.conf"
        validation, anchors = "no", ""
        if self.anchors:
            items = [line.split() for line in self.anchors.read_text().splitlines() if line]
            keys = [f'{owner} static-ds {" ".join(rest[:3])} "{"".join(rest[3:])}";' for owner, _, _, _, *rest in items]
            validation, anchors = "yes", f"trust-anchors {{ {' '.join(keys)} }};"
        ports = {listened.rpartition(":")[2] for listened in listen}
        hosts = [listened.rpartition(":")[0].strip("[]") for listened in listen]
        v4 = "; ".join("any" if host == "0.0.0.0" else host for host in hosts if ":" not in host)
        v6 = "; ".join("any" if host == "::" else host for host in hosts if ":" in host) or "none"
        allow = "; ".join(ALLOW)
        config.write_text(
            f"""options {{
                directory "{self.folder}"; pid-file none; session-keyfile none; version none; dnssec-validation {validation};
                listen-on port {ports.pop()} {{ {v4}; }}; listen-on-v6 port {listen[0].rpartition(":")[2]} {{ {v6}; }};
                allow-recursion {{ {allow}; }}; allow-query {{ any; }}; allow-query-cache {{ {allow}; }};
                deny-answer-addresses {{ 10.0.0.0/8; }}; recursion yes; minimal-any yes;
            }};
            controls {{ }}; {anchors}
            zone "hosted.example" {{ type primary; file "{self.zone}"; allow-query {{ any; }}; }};
            """
        )
        return ["named", "-g", "-c", config]


class CairnSha1(Cairn):
    """The same, for which signatures made with SHA-1 count."""

    name, sha1 = "cairn-sha1", "validate"


SUBJECTS = {kind.name: kind for kind in (Cairn, Unbound, Bind, CairnSha1)}


def quoted(items):
    return ", ".join(f'"{item}"' for item in items)
