"""`cairn system` with the real programs that write /etc/resolv.conf, in copies of /etc, /usr and /var/lib that are thrown away.

For each owner: names do not resolve, since its server is silent; after `cairn system install` they do, and still do when the owner
has started anew or written the file again; after `cairn system uninstall` every file of /etc is as it was.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import network
from asking import LOCAL, guarded, tally, until
from authorities import SmallWorld
from forwarder_checks import RESOLVED_PATHS
from network import add_link
from space import ip

SILENT = "198.51.100.99"
NAME = "www.example.com"
# Programs that are unpacked and not installed, since their packages would take over this machine's own file.
UNPACKED = Path(os.environ.get("RESOLV_CONF_OWNERS", Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "owners")).resolve()


def system_stage(words, stage_of):
    if network.missing_tools(["ip", "nsd", "getent"]):
        sys.exit(1)
    with stage_of(words.keep) as stage:
        if not copies(stage.folder):
            print("missing: overlay file systems, for a copy of /etc", flush=True)
            tally.missing.append("overlay")
            return
        stage.small_world(SmallWorld(), {})
        add_link()
        cairn = stage.subject("cairn")
        if not tally.check("start", "Cairn answers", cairn.start([f"{LOCAL}:53"]), cairn.log()):
            return
        bin_folder = stage.folder / "bin"
        bin_folder.mkdir()
        os.environ["PATH"] = f"{bin_folder}:{os.environ['PATH']}"
        Path("/etc/nsswitch.conf").write_text("hosts: files dns\n")
        for owner in (PlainFile, DanglingLink, Mounted, Openresolv, Dhcpcd, Resolved, ResolvedUplink, NetworkManager):
            owner(stage.folder, bin_folder).play(cairn)
        failures(cairn)


def copies(folder):
    """An empty layer over each folder of the system that a check changes."""
    layers = folder / "layers"
    layers.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", layers]).returncode != 0:
        return False
    for name in ("etc", "usr", "var/lib"):
        upper, work = layers / name / "upper", layers / name / "work"
        upper.mkdir(parents=True)
        work.mkdir()
        upper.chmod(0o755)
        options = f"lowerdir=/{name},upperdir={upper},workdir={work}"
        if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, f"/{name}"]).returncode != 0:
            return False
    return True


def everything():
    """Kind, mode, owner and content of all that is in /etc, and whether Cairn's folder is there."""
    found = {"/var/lib/cairn-system": Path("/var/lib/cairn-system").exists()}
    for folder, folders, files in os.walk("/etc"):
        for name in folders + files:
            path = Path(folder, name)
            meta = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[str(path)] = (meta.st_mode, meta.st_uid, meta.st_gid, content)
    return found


def differences(before, after):
    return [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]


def resolves(name=NAME):
    try:
        done = subprocess.run(["getent", "ahosts", name], capture_output=True, text=True, timeout=20, env={**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"})
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and "93.184.216." in done.stdout


def cairn_system(cairn, *words):
    command = [cairn.binary, "system", *words, "--config", str(cairn.folder / "cairn.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    return done.returncode, done.stdout + done.stderr


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


class Owner:
    """One that writes the file; what it needs is made in `begin`, and gone after `end`."""

    name = None
    # Without the file the C library asks 127.0.0.1, which is Cairn.
    asks_nobody = True

    def __init__(self, folder, bin_folder):
        self.folder, self.bin = folder / self.name.replace(" ", "-"), bin_folder
        self.folder.mkdir()
        self.processes = []

    def missing(self):
        return None

    def begin(self):
        """The owner runs, and the file names a server that is silent."""

    def again(self):
        """It starts anew, or writes the file again."""

    def back(self):
        """As in `begin`, if `again` changed more than the file."""

    def end(self):
        for process in self.processes:
            stop(process)

    def play(self, cairn):
        if gone := self.missing():
            print(f"missing: {gone}", flush=True)
            tally.missing.append(gone)
            return
        try:
            self.begin()
            self.checks(cairn)
        finally:
            self.end()

    def checks(self, cairn):
        before = everything()
        tally.check(self.name, "names do not resolve before", resolves() != self.asks_nobody, Path("/etc/resolv.conf").exists() and Path("/etc/resolv.conf").read_text())
        code, text = cairn_system(cairn, "install", "--dry-run")
        tally.check(self.name, "a dry run changes nothing", code == 0 and not differences(before, everything()), f"{code} {text}")
        code, text = cairn_system(cairn, "install")
        if not tally.check(self.name, "install", code == 0, text):
            return
        tally.check(self.name, "names resolve", resolves(), text)
        between = everything()
        code, text = cairn_system(cairn, "install")
        tally.check(self.name, "a second install changes nothing", code == 0 and not differences(between, everything()), f"{text} {differences(between, everything())}")
        self.again()
        tally.check(self.name, "names resolve after the owner has written again", until(resolves, 10), Path("/etc/resolv.conf").read_text())
        code, text = cairn_system(cairn, "status")
        tally.check(self.name, "status is content", code == 0 and "in place" in text, text)
        self.back()
        code, text = cairn_system(cairn, "uninstall")
        same = until(lambda: not differences(before, everything()), 5)
        tally.check(self.name, "uninstall: all of /etc is as before", code == 0 and same, f"{text} {differences(before, everything())}")
        tally.check(self.name, "names do not resolve afterwards", resolves() != self.asks_nobody, text)
        code, text = cairn_system(cairn, "uninstall")
        tally.check(self.name, "a second uninstall has nothing to do", code == 0, text)


def stop(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def new_file(text, mode=0o644):
    Path("/etc/resolv.conf").unlink(missing_ok=True)
    Path("/etc/resolv.conf").write_text(text)
    Path("/etc/resolv.conf").chmod(mode)


class PlainFile(Owner):
    name = "plain file"

    def begin(self):
        new_file(f"# by hand\nsearch example.com\nnameserver {SILENT}\noptions timeout:1 attempts:1", 0o640)
        os.chown("/etc/resolv.conf", 7, 8)


class DanglingLink(Owner):
    name, asks_nobody = "dangling link", False

    def begin(self):
        Path("/etc/resolv.conf").unlink(missing_ok=True)
        Path("/etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")


class Mounted(Owner):
    name = "mounted file"

    def begin(self):
        new_file("")
        mounted = self.folder / "resolv.conf"
        mounted.write_text(f"nameserver {SILENT}\noptions ndots:0\n")
        subprocess.run(["mount", "--bind", mounted, "/etc/resolv.conf"], check=True)

    def end(self):
        subprocess.run(["umount", "/etc/resolv.conf"], check=True)


class Openresolv(Owner):
    name = "openresolv"

    def missing(self):
        return None if (UNPACKED / "openresolv/sbin/resolvconf").exists() else "openresolv (unpacked by .ci/run)"

    def begin(self):
        shutil.copytree(UNPACKED / "openresolv/lib/resolvconf", "/usr/lib/resolvconf", dirs_exist_ok=True)
        shutil.copy(UNPACKED / "openresolv/sbin/resolvconf", "/usr/sbin/resolvconf")
        shutil.copy(UNPACKED / "openresolv/etc/resolvconf.conf", "/etc/resolvconf.conf")
        new_file("")
        self.lease(SILENT)

    def lease(self, server):
        subprocess.run(["resolvconf", "-a", "out0.dhcp"], input=f"search example.com\nnameserver {server}\n", text=True, check=True, capture_output=True)

    def again(self):
        self.lease("198.51.100.97")

    def back(self):
        self.lease(SILENT)

    def end(self):
        for file in ("/usr/sbin/resolvconf", "/etc/resolvconf.conf", "/etc/resolv.conf.bak"):
            Path(file).unlink(missing_ok=True)


class Dhcpcd(Owner):
    name = "dhcpcd"

    def missing(self):
        return None if (UNPACKED / "dhcpcd/usr/sbin/dhcpcd").exists() else "dhcpcd (unpacked by .ci/run)"

    def begin(self):
        shutil.copy(UNPACKED / "dhcpcd/usr/sbin/dhcpcd", "/usr/sbin/dhcpcd")
        shutil.copytree(UNPACKED / "dhcpcd/usr/lib/dhcpcd", "/usr/lib/dhcpcd", dirs_exist_ok=True)
        os.makedirs("/var/lib/dhcpcd", exist_ok=True)
        Path("/etc/dhcpcd.conf").write_text("allowinterfaces out0\nipv4only\nnoarp\nnodev\ninterface out0\nstatic ip_address=192.0.2.61/24\n"
                                            f"static domain_name_servers={SILENT}\nstatic domain_search=example.com\n")
        new_file("")
        self.client = self.started()

    def started(self):
        with open(self.folder / "log", "a") as out:
            client = subprocess.Popen(["dhcpcd", "--nobackground"], stdout=out, stderr=out)
        until(lambda: "192.0.2.61" in subprocess.run(["ip", "addr", "show", "dev", "out0"], capture_output=True, text=True).stdout, 10)
        until(lambda: "nameserver" in Path("/etc/resolv.conf").read_text(), 10)
        return client

    def again(self):
        stop(self.client)
        self.client = self.started()

    def end(self):
        stop(self.client)
        for file in ("/usr/sbin/dhcpcd", "/etc/dhcpcd.conf"):
            Path(file).unlink()


class Resolved(Owner):
    name, links_to = "systemd-resolved", "../run/systemd/resolve/stub-resolv.conf"
    binary = next((path for path in RESOLVED_PATHS if path and Path(path).exists()), None)

    def missing(self):
        return None if self.binary else "systemd-resolved (package systemd-resolved, or SYSTEMD_RESOLVED=its program)"

    def begin(self):
        for file, line in {"/etc/passwd": "systemd-resolve:x:993:993::/:/usr/sbin/nologin", "/etc/group": "systemd-resolve:x:993:"}.items():
            text = Path(file).read_text()
            if "systemd-resolve:" not in text:
                Path(file).write_text(f"{text.rstrip()}\n{line}\n")
        os.makedirs("/run/systemd/resolve", exist_ok=True)
        shutil.chown("/run/systemd/resolve", "systemd-resolve", "systemd-resolve")
        os.makedirs("/etc/systemd", exist_ok=True)
        Path("/etc/systemd/resolved.conf").write_text(f"[Resolve]\nDNS={SILENT}\nFallbackDNS=\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n")
        shutil.rmtree("/etc/systemd/resolved.conf.d", ignore_errors=True)
        new_file("")
        Path("/etc/resolv.conf").unlink()
        Path("/etc/resolv.conf").symlink_to(self.links_to)
        # There is no service manager here: what stands in for it starts the real program again.
        pid, restart = self.folder / "pid", self.folder / "restart"
        program(restart, f"""pid=$(cat {pid} 2>/dev/null) && kill $pid && while kill -0 $pid 2>/dev/null; do sleep 0.05; done
setsid {self.binary} >{self.folder}/log 2>&1 </dev/null &
echo $! >{pid}
""")
        program(self.bin / "systemctl", f'[ "$*" = "restart systemd-resolved.service" ] || exit 5\nexec {restart}\n')
        self.again()
        until(Path("/run/systemd/resolve/stub-resolv.conf").exists, 10)

    def again(self):
        subprocess.run([self.folder / "restart"], check=True)

    def end(self):
        pid = int((self.folder / "pid").read_text())
        os.kill(pid, 15)
        until(lambda: not Path(f"/proc/{pid}/stat").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text(), 5)
        shutil.rmtree("/run/systemd/resolve", ignore_errors=True)
        (self.bin / "systemctl").unlink()


class ResolvedUplink(Resolved):
    name, links_to = "systemd-resolved uplinks", "/run/systemd/resolve/resolv.conf"


class NetworkManager(Owner):
    name = "NetworkManager"

    def missing(self):
        there = (UNPACKED / "network-manager/usr/sbin/NetworkManager").exists() and shutil.which("dbus-daemon")
        return None if there else "NetworkManager (unpacked by .ci/run) and dbus-daemon"

    def begin(self):
        root = UNPACKED / "network-manager"
        self.libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"
        program(self.bin / "nmcli", f'LD_LIBRARY_PATH={self.libraries} exec {root}/usr/bin/nmcli "$@"\n')
        self.binary = root / "usr/sbin/NetworkManager"
        # Devices count as made known by udev where /sys cannot be written.
        subprocess.run(["mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys"], check=True)
        for folder in ("/etc/NetworkManager/conf.d", "/etc/NetworkManager/system-connections", "/var/lib/NetworkManager", "/run/dbus"):
            os.makedirs(folder, exist_ok=True)
        Path("/etc/NetworkManager/NetworkManager.conf").write_text("[main]\nplugins=keyfile\nauth-polkit=false\ndns=default\nrc-manager=file\nno-auto-default=*\n")
        connection = Path("/etc/NetworkManager/system-connections/out.nmconnection")
        connection.write_text("[connection]\nid=out\nuuid=3b4d2c66-6a53-4c1e-9df1-2f4c3b1f7a11\ntype=ethernet\ninterface-name=out0\n"
                              f"[ipv4]\nmethod=manual\naddress1=192.0.2.60/24\ndns={SILENT};\ndns-search=example.com;\n[ipv6]\nmethod=disabled\n")
        connection.chmod(0o600)
        bus = self.folder / "bus.conf"
        bus.write_text("""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
            "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>system</type>
            <listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/>
            <allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>""")
        # A link that is up already belongs to somebody else.
        ip("addr", "flush", "dev", "out0")
        ip("link", "set", "out0", "down")
        self.processes.append(self.started(["dbus-daemon", f"--config-file={bus}", "--nofork"]))
        until(Path("/run/dbus/system_bus_socket").exists, 5)
        new_file("")
        self.manager = self.started([self.binary, "--no-daemon"])
        self.written()

    def started(self, words):
        with open(self.folder / "log", "a") as out:
            return subprocess.Popen(words, stdout=out, stderr=out, env={**os.environ, "LD_LIBRARY_PATH": getattr(self, "libraries", "")})

    def written(self):
        until(lambda: "Generated by NetworkManager" in Path("/etc/resolv.conf").read_text() and "nameserver" in Path("/etc/resolv.conf").read_text(), 15)

    def again(self):
        stop(self.manager)
        Path("/etc/resolv.conf").write_text("")
        self.manager = self.started([self.binary, "--no-daemon"])
        self.written()

    def end(self):
        stop(self.manager)
        super().end()
        (self.bin / "nmcli").unlink()
        subprocess.run(["umount", "/sys"], check=False)


def failures(cairn):
    """Nothing stays changed where the switch would leave the system without names."""
    def names_fail():
        new_file(f"nameserver {SILENT}\n")
        Path("/etc/nsswitch.conf").write_text("hosts: files\n")
        before, begun = everything(), time.monotonic()
        code, text = cairn_system(cairn, "install")
        took = time.monotonic() - begun
        Path("/etc/nsswitch.conf").write_text("hosts: files dns\n")
        left = [path for path in differences(before, everything()) if path != "/etc/nsswitch.conf"]
        return code == 1 and not left and took < 35 and "everything is as it was before" in text, f"{code} after {took:.0f} s, {left}: {text}"

    def interrupted():
        before = everything()
        Path("/etc/nsswitch.conf").write_text("hosts: files\n")
        command = [cairn.binary, "system", "install", "--config", str(cairn.folder / "cairn.toml")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        switched = until(lambda: LOCAL in Path("/etc/resolv.conf").read_text(), 10)
        process.kill()
        process.wait()
        Path("/etc/nsswitch.conf").write_text("hosts: files dns\n")
        told, status = cairn_system(cairn, "status")
        code, text = cairn_system(cairn, "uninstall")
        left = differences(before, everything())
        return switched and "interrupted" in status and code == 0 and left in ([], ["/etc/nsswitch.conf"]), f"{status} {text} {left}"

    def no_cairn():
        cairn.stop()
        before = everything()
        code, text = cairn_system(cairn, "install")
        return code == 1 and not differences(before, everything()) and "nothing was changed" in text, text

    guarded("failures", "a name that does not resolve: all is put back within 30 s", names_fail)
    guarded("failures", "killed after the switch: uninstall puts all back", interrupted)
    guarded("failures", "Cairn does not answer: nothing changes", no_cairn)
