"""A network namespace of one's own, where every address is local and no packet can leave."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "CAIRN_TEST_NAMESPACE"


def enter_namespace(script):
    """Runs the script again in a new namespace, with the words it was given; returns once inside."""
    if os.environ.get(INSIDE):
        return
    if not shutil.which("unshare"):
        sys.exit("missing: unshare (package util-linux)")
    flags = "-nm" if os.geteuid() == 0 else "-Urnm"
    if subprocess.run(["unshare", flags, "true"], capture_output=True).returncode != 0:
        sys.exit(f"`unshare {flags}` is not allowed here: run as root, or allow user namespaces")
    os.environ[INSIDE] = "yes"
    os.execvp("unshare", ["unshare", flags, sys.executable, str(Path(script).resolve()), *sys.argv[1:]])


def ip(*words, must=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if must and done.returncode != 0:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.returncode == 0


def all_is_local(own, own6):
    """Every address is at home here, and the machine has these two of its own; whether there is IPv6.

    /run is empty: a server of the world outside is not talked to by its control socket.
    """
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=False)
    ip("link", "set", "lo", "up")
    ip("route", "add", "local", "0.0.0.0/0", "dev", "lo")
    ip("addr", "add", f"{own}/32", "dev", "lo")
    has_ipv6 = ip("-6", "route", "add", "local", "::/0", "dev", "lo", must=False)
    return has_ipv6 and ip("-6", "addr", "add", f"{own6}/128", "dev", "lo", "nodad", must=False)
