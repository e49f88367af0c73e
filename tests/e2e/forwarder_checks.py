"""Programs that stand between people and a resolver: dnsmasq and systemd-resolved, forwarding to the server under test."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from asking import WWW, answers, guarded, tally, until
from network import add_link, missing_tools, mount_over
from program_checks import run

DNSMASQ_AT = "127.0.1.1"
RESOLVED_AT = "127.0.0.53"
RESOLVED_PATHS = [os.environ.get("SYSTEMD_RESOLVED"), "/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved"]


def dnsmasq_checks(place):
    if "dnsmasq" in tally.missing or missing_tools(["dnsmasq"]):
        return
    words = ["dnsmasq", "-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root", "--pid-file="]
    words += ["--cache-size=0", f"--listen-address={DNSMASQ_AT}", f"--server={place.v4}", "--log-facility=-"]
    with running(words) as ready:
        forwarded("dnsmasq", DNSMASQ_AT, ready)


def resolved_checks(place, folder):
    binary = next((path for path in RESOLVED_PATHS if path and Path(path).exists()), None)
    if not binary:
        if "systemd-resolved" not in tally.missing:
            print("missing: systemd-resolved (package systemd-resolved, or SYSTEMD_RESOLVED=its program)")
            tally.missing.append("systemd-resolved")
        return
    own = folder / "resolved"
    if not own.exists():
        own.mkdir()
        if not (make_account(own) and add_link()):
            print("systemd-resolved cannot run here: no account or no link can be made")
            tally.missing.append("systemd-resolved")
    config = f"[Resolve]\nDNS={place.v4}\nFallbackDNS=\nDomains=~.\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\nCache=no\n"
    Path("/etc/systemd/resolved.conf").write_text(config)
    with running([binary], at=RESOLVED_AT) as ready:
        forwarded("systemd-resolved", RESOLVED_AT, ready)


def make_account(folder):
    """It wants a user of its own, a place to write, and its configuration: in this namespace alone."""
    for file, line in {"/etc/passwd": "systemd-resolve:x:993:993::/:/usr/sbin/nologin", "/etc/group": "systemd-resolve:x:993:"}.items():
        text = Path(file).read_text()
        if "systemd-resolve:" not in text and not mount_over(file, f"{text.rstrip()}\n{line}\n", folder):
            return False
    os.makedirs("/etc/systemd", exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/etc/systemd"], capture_output=True).returncode != 0:
        return False
    os.makedirs("/run/systemd/resolve")
    shutil.chown("/run/systemd/resolve", "systemd-resolve", "systemd-resolve")
    return True


class running:
    def __init__(self, words, at=DNSMASQ_AT):
        self.words, self.at = words, at

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return until(lambda: answers(self.at, "example.com"), 10)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def forwarded(client, at, ready):
    if not tally.check(client, "starts and answers", ready):
        return

    def dig(what, words, *patterns):
        def test():
            code, text = run("dig", f"@{at}", "+time=6", "+tries=1", *words.split())
            gone = [p for p in patterns if not re.search(p, text, re.MULTILINE)]
            return code == 0 and not gone, f"{gone} in {text}"

        guarded(client, f"{what}: {words}", test)

    dig("A", "www.example.com", "NOERROR", *[re.escape(address) for address in WWW])
    dig("AAAA", "www.example.com AAAA", r"2606:2800:220:1::34")
    dig("aliases", "chain.example.com", r"out\.example\.com", r"93\.184\.216\.50")
    dig("MX", "example.com MX", r"10 mail\.example\.com", r"20 mail\.example\.net")
    dig("TXT", "example.com TXT", r'"v=spf1 -all"')
    dig("reverse", "-x 93.184.216.44", r"four\.example\.com")
    dig("NXDOMAIN", "missing.example.com", "status: NXDOMAIN")
    dig("NODATA", "four.example.com AAAA", "status: NOERROR", "ANSWER: 0")
    dig("truncated, then TCP", "big.example.com TXT", "ANSWER: 16")
    dig("TCP", "+tcp www.example.net", r"93\.184\.216\.50")
    dig("unknown type", "www.example.com TYPE65280", "status: NOERROR")
    dig("hosted", "www.hosted.example", r"192\.0\.2\.80")
