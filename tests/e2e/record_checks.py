"""`cairn zone` beside a running server: what is written into files, what `dig` sees, and what is refused."""

import os
import subprocess

from asking import LOCAL, guarded
from control_checks import PORT, Instance

ZONE = """; kept by hand
$TTL 1h
@       SOA     ns hostmaster (
                2026112907 ; serial
                1d 2h 4w 1h )
        NS      ns
ns      A       192.0.2.1 ; the only one
www     A       192.0.2.2
        AAAA    2001:db8::2

$GENERATE 1-3 host$ A 192.0.2.10$
$INCLUDE more
"""


class Zone(Instance):
    """A server with one zone."""

    def __init__(self, binary, name):
        super().__init__(binary, name)
        self.path = self.file("example.org")
        self.path.write_text(ZONE)
        (self.folder / "zones/more").write_text("more A 192.0.2.77\n")

    def dig(self, name, rtype):
        words = ["dig", f"@{LOCAL}", "-p", str(PORT), "+short", "+norecurse", "+tries=1", "+time=3", name, rtype]
        return subprocess.run(words, capture_output=True, text=True, timeout=10).stdout.split("\n")[:-1]


def record_checks(binary):
    guarded("records", "a change is in force when the command ends", lambda: changes(binary))
    guarded("records", "what is refused leaves the file as it is", lambda: refusals(binary))
    guarded("records", "export, and import elsewhere, give the same zone", lambda: export_import(binary))
    guarded("records", "without a server the change waits in the file", lambda: without_server(binary))
    guarded("records", "files that BIND wrote and reads again", lambda: read_by_bind(binary))


def changes(binary):
    with Zone(binary, "records") as server:
        if not server.start():
            return False, server.log()
        os.chmod(server.path, 0o640)
        good = {}

        def step(what, words, name, rtype, expected, lines=()):
            code, text = server.cairn("zone", *words)
            seen, file = sorted(server.dig(name, rtype)), server.path.read_text()
            serial = (server.dig("example.org", "SOA") or ["? ? ?"])[0].split()[2]
            fits = code == 0 and seen == expected and all(line in file.split("\n") for line in lines) and f"serial {serial} is in force" in text
            good[what] = fits or print(f"      {what}: {code} {text} {seen}\n{file}")

        step("add", ["add", "example.org", "www", "1h", "A", "192.0.2.3"], "www.example.org", "A", ["192.0.2.2", "192.0.2.3"], ["        A       192.0.2.3"])
        step("add MX", ["add", "example.org", "@", "1h", "MX", "10 ns"], "example.org", "MX", ["10 ns.example.org."])
        step("add TXT", ["add", "example.org", "t", "60", "TXT", '"a b" c'], "t.example.org", "TXT", ['"a b" "c"'])
        step("set", ["set", "example.org", "ns.example.org.", "60", "A", "192.0.2.9"], "ns.example.org", "A", ["192.0.2.9"], ["ns 60   A       192.0.2.9 ; the only one"])
        step("remove", ["remove", "example.org", "www", "A"], "www.example.org", "A", [], ["www     AAAA    2001:db8::2"])
        step("remove a name", ["remove", "example.org", "t"], "t.example.org", "TXT", [])
        file = server.path.read_text()
        good["the rest stays"] = file.startswith("; kept by hand\n$TTL 1h\n@       SOA     ns hostmaster (\n                20") and file.endswith(
            "\n$GENERATE 1-3 host$ A 192.0.2.10$\n$INCLUDE more\n"
        )
        good["the mode stays"] = os.stat(server.path).st_mode & 0o777 == 0o640
        good["nothing beside it"] = sorted(os.listdir(server.folder / "zones")) == ["example.org.zone", "more"]
        listed = server.cairn("zone", "list")[1]
        good["list"] = all(word in listed for word in ("example.org.", "served", str(server.path)))
        return all(good.values()), f"{[what for what, is_good in good.items() if not is_good]} {file}"


def refusals(binary):
    with Zone(binary, "refused") as server:
        if not server.start():
            return False, server.log()
        wrong = []
        for words, part in [
            (["add", "example.org", "www", "60", "CNAME", "ns"], "example.org.zone:"),
            (["add", "example.org", "www.example.net.", "60", "A", "192.0.2.1"], "is not within example.org."),
            (["add", "example.com", "www", "60", "A", "192.0.2.1"], "there is no zone example.com. here"),
            (["remove", "example.org", "none"], "there is no record of none.example.org."),
            (["remove", "example.org", "@", "SOA"], "exactly one SOA"),
            (["remove", "example.org", "host2"], "$GENERATE at"),
            (["remove", "example.org", "more"], "$INCLUDE from more:1"),
        ]:
            code, text = server.cairn("zone", *words)
            if code != 1 or part not in text or server.path.read_text() != ZONE:
                wrong.append((words, code, text))
        broken = ZONE + "bad A 192.0.2\n"
        server.path.write_text(broken)
        code, text = server.cairn("zone", "add", "example.org", "ok", "60", "A", "192.0.2.1")
        if code != 1 or "example.org.zone:13:7" not in text or server.path.read_text() != broken:
            wrong.append((code, text))
        return not wrong, f"{wrong}"


def export_import(binary):
    with Zone(binary, "export") as server:
        if not server.start():
            return False, server.log()
        code, exported = server.cairn("zone", "export", "example.org")
        (server.folder / "all.txt").write_text(exported)
        server.file("example.org").write_text("$TTL 1h\n@ SOA ns hostmaster 7 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n")
        server.cairn("reload")
        done, text = server.cairn("zone", "import", "example.org", str(server.folder / "all.txt"))
        again = server.cairn("zone", "export", "example.org")[1]
        same = sorted(exported.split("\n"))[:-1], sorted(again.split("\n"))[:-1]
        without_soa = [[line for line in lines if " SOA " not in line] for lines in same]
        fits = code == done == 0 and without_soa[0] == without_soa[1] and server.dig("host3.example.org", "A") == ["192.0.2.103"]
        return fits and server.dig("more.example.org", "A") == ["192.0.2.77"], f"{text}\n{exported}\n{again}"


def without_server(binary):
    with Zone(binary, "quiet") as server:
        code, text = server.cairn("zone", "add", "example.org", "new", "1h", "A", "192.0.2.5")
        told = code == 0 and "no server is running" in text and "new     A       192.0.2.5\n" in server.path.read_text()
        return told and server.start() and server.dig("new.example.org", "A") == ["192.0.2.5"], text


def read_by_bind(binary):
    with Zone(binary, "bind") as server:
        wrong = []
        for words in (["add", "example.org", "a.b", "60", "CAA", '0 issue "ca.example.net"'], ["set", "example.org", "www", "60", "AAAA", "2001:db8::3"],
                      ["remove", "example.org", "www", "A"], ["add", "example.org", "*", "1h", "SRV", "0 5 443 www"]):
            code, text = server.cairn("zone", *words)
            check = subprocess.run(["named-checkzone", "example.org", server.path], capture_output=True, text=True, cwd=server.path.parent, timeout=20)
            if code or check.returncode:
                wrong.append((words, text, check.stdout))
        return not wrong, f"{wrong}"
