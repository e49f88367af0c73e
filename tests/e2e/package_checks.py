"""The Debian package: built, looked at by lintian, installed, started, and purged, in a copy of this system that is thrown away.

The copy is an overlay over this machine's own root: what the package leaves behind is what the overlay holds.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import network
from asking import LOCAL, NoReply, guarded, reply, seen, tally, until
from space import ip

TREE = Path(__file__).resolve().parent.parent.parent
TOOLS = ["dpkg-deb", "objcopy", "lintian", "man", "systemd-analyze", "setpriv"]
ZONE = "$TTL 60\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.80\n"
EXPOSURE_MAX = 1.5
RESOLV_CONF = "/etc/resolv.conf"
# What dpkg, its triggers and the account tools write for any package.
OF_THE_TOOLS = r"/(var/lib/(dpkg|systemd)|var/log|var/cache|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|etc/\.pwd\.lock|tmp|run|dev|proc)"


def packages_stage(words):
    if network.missing_tools(TOOLS):
        sys.exit(1)
    if os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split()[2] == "1":
        print("missing: real root, which installs packages into a copy of this system", flush=True)
        tally.missing.append("real root")
        if os.environ.get("CI"):
            sys.exit(1)
        return
    default = Path(os.environ.get("CARGO_TARGET_DIR", TREE / "target")) / "release/cairn"
    program = Path(os.environ.get("CAIRN_BIN", default)).resolve()
    with TemporaryDirectory(prefix="cairn-packages-") as folder:
        folder = Path(folder)
        deb = built_package(program, folder)
        if deb:
            looked_at(deb)
            with Copy(folder) as copy:
                installed(copy, deb)


def said(*words, must=False, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300, **options)
    if must and done.returncode != 0:
        raise ValueError(f"{words}: {done.stdout}{done.stderr}")
    return done.returncode, done.stdout + done.stderr


def built_package(program, folder):
    code, text = said(TREE / "packaging/build", "deb", "--program", program, "--out", folder)
    debs = list(folder.glob("*.deb"))
    tally.check("package", "is built", code == 0 and len(debs) == 1, text)
    size = re.search(r"program: (\d+) bytes", text)
    tally.check("package", "the program has at most 16 MiB", size and int(size[1]) <= 16 << 20, text)
    return debs[0] if debs else None


def looked_at(deb):
    def lintian():
        code, text = said("lintian", "--fail-on", "error", "--allow-root", deb)
        return code == 0, text

    def depends():
        _, text = said("dpkg-deb", "--field", deb, "Depends")
        return re.fullmatch(r"libc6 \(>= [0-9.]+\)", text.strip()), text

    def configuration_is_comments():
        lines = [line for line in (TREE / "packaging/cairn.toml").read_text().splitlines() if line and not line.startswith(("#", "["))]
        return not lines, lines

    guarded("package", "lintian finds no error", lintian)
    guarded("package", "depends on libc6 only", depends)
    guarded("package", "everything in the configuration is commented out", configuration_is_comments)


class Copy:
    """This system's root with an empty layer over it."""

    def __init__(self, folder):
        self.root, self.layer = folder / "root", folder / "layer"

    def __enter__(self):
        for path in (self.root, self.layer):
            path.mkdir()
        said("mount", "-t", "tmpfs", "tmpfs", self.layer, must=True)
        for path in ("upper", "work"):
            (self.layer / path).mkdir()
        (self.layer / "upper").chmod(0o755)
        options = f"lowerdir=/,upperdir={self.layer}/upper,workdir={self.layer}/work"
        said("mount", "-t", "overlay", "overlay", "-o", options, self.root, must=True)
        said("mount", "-t", "proc", "proc", self.root / "proc", must=True)
        said("mount", "--rbind", "/dev", self.root / "dev", must=True)
        for path in ("run", "tmp"):
            said("mount", "-t", "tmpfs", "tmpfs", self.root / path, must=True)
        # Images for containers leave manual pages out.
        for file in (self.root / "etc/dpkg/dpkg.cfg.d").glob("*"):
            if "path-exclude" in file.read_text():
                file.unlink()
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        return self

    def __exit__(self, *_):
        for path in ("run", "tmp", "dev", "proc", "."):
            said("umount", "-R", "-l", self.root / path)
        said("umount", "-l", self.layer)

    def say(self, *words, **options):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return said("chroot", self.root, *words, env=environment, **options)

    def bytes_of(self, file):
        return (self.root / file.lstrip("/")).read_bytes()

    def left(self):
        """Paths that exist in the layer, without those of the tools themselves."""
        upper = self.layer / "upper"
        paths = ["/" + str(path.relative_to(upper)) for path in upper.rglob("*") if not path.is_char_device()]
        files = [path for path in paths if not (upper / path[1:]).is_dir() or "cairn" in path]
        return [path for path in files if not re.match(OF_THE_TOOLS, path) and not path.startswith("/usr/sbin/policy-rc.d")]


def installed(copy, deb):
    kept = ("/etc/passwd", "/etc/group", "/etc/shadow", RESOLV_CONF)
    (copy.root / RESOLV_CONF[1:]).unlink(missing_ok=True)
    (copy.root / RESOLV_CONF[1:]).write_text("# of this machine\nnameserver 198.51.100.99\noptions timeout:1")
    before = {file: copy.bytes_of(file) for file in kept}
    shutil.copy(deb, copy.root / "tmp/cairn.deb")
    code, text = copy.say("dpkg", "--install", "/tmp/cairn.deb")
    if not tally.check("install", "dpkg installs it without a running systemd", code == 0, text):
        return

    def account():
        _, text = copy.say("getent", "passwd", "cairn")
        return re.search(r"^cairn:[^:]*:\d+:\d+:.*:/var/lib/cairn:/usr/sbin/nologin$", text.strip()), text

    def folders():
        _, text = copy.say("stat", "-c", "%n %U %G %a", "/var/lib/cairn", "/etc/cairn", "/etc/cairn/zones")
        expected = ["/var/lib/cairn cairn cairn 700", "/etc/cairn root root 755", "/etc/cairn/zones cairn cairn 755"]
        return text.split("\n")[:3] == expected, text

    def unit():
        code, text = copy.say("systemd-analyze", "verify", "--man=yes", "/lib/systemd/system/cairn.service")
        return code == 0 and not text.strip(), f"exit {code}: {text}"

    def exposure():
        _, text = copy.say("systemd-analyze", "security", "--offline=true", "/lib/systemd/system/cairn.service")
        level = re.search(r"Overall exposure level for cairn.service: ([0-9.]+)", text)
        return level and float(level[1]) <= EXPOSURE_MAX, level and level[0]

    def manual():
        _, text = copy.say("dpkg", "--listfiles", "cairn")
        pages = [line for line in text.split() if re.search(r"/man[15]/.*\.gz$", line)]
        odd = []
        for page in pages:
            done = subprocess.run(["chroot", copy.root, "man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                                  env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}, capture_output=True, text=True)
            odd += [f"{page}: {done.stderr}"] if done.returncode or done.stderr else []
        return len(pages) > 10 and not odd, f"{len(pages)} pages; {odd[:3]}"

    def completions():
        files = ["/usr/share/bash-completion/completions/cairn", "/usr/share/zsh/vendor-completions/_cairn", "/usr/share/fish/vendor_completions.d/cairn.fish"]
        gone = [file for file in files if b"explain" not in copy.bytes_of(file)]
        code, text = copy.say("bash", "-n", files[0])
        return not gone and code == 0, f"{gone} {text}"

    guarded("install", "the account is there", account)
    guarded("install", "its folders belong to it", folders)
    guarded("install", "systemd-analyze verify is content", unit)
    guarded("install", f"exposure at most {EXPOSURE_MAX}", exposure)
    guarded("install", "man shows every page without a warning", manual)
    guarded("install", "completions are there", completions)
    first_answer(copy)
    privileges(copy)
    switched(copy)
    purged(copy, before)


def first_answer(copy):
    """As the unit starts it: the user cairn, one capability, no configuration that says anything."""
    ip("link", "set", "lo", "up")
    (copy.root / "etc/cairn/zones/packaged.example.zone").write_text(ZONE)
    as_user = ["setpriv", "--reuid", "cairn", "--regid", "cairn", "--clear-groups", "--no-new-privs",
               "--inh-caps", "-all,+net_bind_service", "--ambient-caps", "-all,+net_bind_service", "--bounding-set", "-all,+net_bind_service"]
    log = copy.layer / "log"
    with open(log, "w") as out:
        words = ["chroot", copy.root, *as_user, "env", "STATE_DIRECTORY=/var/lib/cairn", "/usr/bin/cairn", "run"]
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)

    def hosted():
        try:
            return reply(LOCAL, "www.packaged.example", "A", timeout=0.3).values("A") == ["192.0.2.80"]
        except (NoReply, OSError):
            return False

    def answer():
        ready = until(hosted, 10)
        return ready and seen(reply(LOCAL, "localhost", "A")), log.read_text()

    guarded("start", "the first answer, without a setting", answer)
    process.terminate()
    tally.check("start", "stops with exit code 0", process.wait(10) == 0, log.read_text())


def unreadable(copy):
    """A zone that root can read and the user cannot is served, and told at once, not only at the next reload."""
    zone = copy.root / "etc/cairn/zones/private.example.zone"
    zone.write_text(ZONE)
    zone.chmod(0o600)
    log = copy.layer / "log-unreadable"
    with open(log, "w") as out:
        process = subprocess.Popen(["chroot", copy.root, "/usr/bin/cairn", "run"], stdout=out, stderr=subprocess.STDOUT)
    told = until(lambda: "private.example.zone can no longer be read" in log.read_text(), 10)
    process.terminate()
    process.wait(10)
    zone.unlink()
    return told, log.read_text()


def privileges(copy):
    """Started as root: what each of its threads still may, and whether it serves, reloads and stops all the same."""
    log = copy.layer / "log-root"
    with open(log, "w") as out:
        words = ["chroot", copy.root, "/usr/bin/cairn", "run"]
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)
    zone = copy.root / "etc/cairn/zones/packaged.example.zone"

    def address():
        try:
            return reply(LOCAL, "www.packaged.example", "A", timeout=0.3).values("A")
        except (NoReply, OSError):
            return []

    def threads():
        ready = until(lambda: address() == ["192.0.2.80"], 10)
        _, uid = copy.say("id", "-u", "cairn")
        _, gid = copy.say("id", "-g", "cairn")
        wanted = {"Uid": "\t".join([uid.strip()] * 4), "Gid": "\t".join([gid.strip()] * 4), "Groups": "", "NoNewPrivs": "1", "Seccomp": "2"}
        # NET_BIND_SERVICE, for another address in a reload.
        wanted |= {f"Cap{kind}": f"{1 << 10:016x}" for kind in ("Prm", "Eff", "Bnd")} | {f"Cap{kind}": "0" * 16 for kind in ("Inh", "Amb")}
        odd, count = [], 0
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            rows = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
            odd += [f"{task.name} {key}: {rows[key].strip()}" for key, value in wanted.items() if rows[key].strip() != value]
            count += 1
        return ready and count > 1 and not odd, f"{count} threads, {odd}: {log.read_text()}"

    def told():
        return re.search(r"privileges: user cairn \(uid \d+\), no capability but NET_BIND_SERVICE, no new privileges, landlock, seccomp", log.read_text()), log.read_text()

    def status():
        code, text = copy.say("/usr/bin/cairn", "status")
        healthy, more = copy.say("/usr/bin/cairn", "health")
        return code == 0 and healthy == 0 and re.search(r"privileges +user cairn \(uid \d+\), no capability but NET_BIND_SERVICE", text), text + more

    def listens_elsewhere():
        config = copy.root / "etc/cairn/cairn.toml"
        config.write_text(f'[server]\nlisten = ["{LOCAL}:53", "127.0.0.2:53"]\n')
        code, text = copy.say("/usr/bin/cairn", "reload")
        return code == 0 and until(lambda: seen_at("127.0.0.2"), 5), text + log.read_text()

    def seen_at(place):
        try:
            return reply(place, "www.packaged.example", "A", timeout=0.3).values("A") == ["192.0.2.81"]
        except (NoReply, OSError):
            return False

    def reloads():
        zone.write_text(ZONE.replace("192.0.2.80", "192.0.2.81"))
        process.send_signal(signal.SIGHUP)
        return until(lambda: address() == ["192.0.2.81"], 10), log.read_text()

    def outside():
        (copy.root / "srv/zone").write_text(ZONE)
        (copy.root / "etc/cairn/cairn.toml").write_text('[[zone]]\nname = "outside.example"\nfile = "/srv/zone"\n')
        process.send_signal(signal.SIGHUP)
        return until(lambda: "after a restart" in log.read_text(), 10) and address() == ["192.0.2.81"], log.read_text()

    def list_outside():
        (copy.root / "srv/list").write_text("ads.example\n")
        (copy.root / "etc/cairn/cairn.toml").write_text('[[list]]\nname = "far"\nsource = "/srv/list"\n')
        code, text = copy.say("/usr/bin/cairn", "reload")
        return code == 1 and "list far: /srv/list: reading it is not permitted; a file outside the folders" in text, text

    def commands():
        code, text = copy.say("/usr/bin/cairn", "cache", "dump", "--to", "/srv/dump")
        loaded, more = copy.say("/usr/bin/cairn", "cache", "load", "/srv/dump")
        return code == 0 and loaded == 0 and (copy.root / "srv/dump").stat().st_uid == 0, text + more

    def stops():
        process.terminate()
        code = process.wait(10)
        saved = copy.root / "var/lib/cairn/cache"
        return code == 0 and saved.stat().st_uid != 0, f"exit {code}: {log.read_text()}"

    def violation(kind):
        def test():
            code, text = copy.say("/usr/bin/cairn", "probe-sandbox", "--violate", kind)
            return code == -signal.SIGSYS or code == 128 + signal.SIGSYS, f"exit {code}: {text}"

        return test

    guarded("privileges", "every thread: the user cairn, one capability, no new privileges, a filter", threads)
    guarded("privileges", "what is in force stands in the log", told)
    guarded("privileges", "and in cairn status", status)
    guarded("privileges", "reloads a zone", reloads)
    guarded("privileges", "a reload binds another port 53", listens_elsewhere)
    guarded("privileges", "a path outside the folders of the start: after a restart", outside)
    guarded("privileges", "a list outside the folders of the start: exit code 1, and the way out", list_outside)
    guarded("privileges", "dumps to and loads from a file of root", commands)
    guarded("privileges", "stops, and has saved the cache", stops)
    for file in ("srv/zone", "srv/list", "srv/dump"):
        (copy.root / file).unlink(missing_ok=True)
    shutil.copy(TREE / "packaging/cairn.toml", copy.root / "etc/cairn/cairn.toml")
    guarded("privileges", "a file that the user cannot read is told at the start", lambda: unreadable(copy))
    for kind in ("start-program", "packet-socket"):
        guarded("privileges", f"{kind}: ended at once", violation(kind))


def switched(copy):
    """The resolver of the copy, when the package is purged."""
    log = copy.layer / "log-switched"
    with open(log, "w") as out:
        process = subprocess.Popen(["chroot", copy.root, "/usr/bin/cairn", "run"], stdout=out, stderr=subprocess.STDOUT)

    def install():
        until(lambda: "serving on" in log.read_text(), 10)
        code, text = copy.say("/usr/bin/cairn", "system", "install", "--name", "www.packaged.example")
        _, seen = copy.say("getent", "ahosts", "www.packaged.example")
        return code == 0 and "192.0.2.8" in seen and b"nameserver 127.0.0.1\n" in copy.bytes_of(RESOLV_CONF), text + seen + log.read_text()

    guarded("system", "cairn system install: names resolve through it", install)
    process.terminate()
    process.wait(10)


def purged(copy, before):
    def all_gone():
        code, text = copy.say("dpkg", "--purge", "cairn")
        left = [path for path in copy.left() if path not in before]
        changed = [file for file, data in before.items() if copy.bytes_of(file) != data]
        return code == 0 and not left and not changed, f"exit {code}, left: {left}, changed: {changed}; {text}"

    guarded("purge", "nothing is left: no file, no folder, no account, and the former resolver is back", all_gone)
