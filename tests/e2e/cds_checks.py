"""What a signed zone says to its parent: NOTIFY(CDS) where the parent wants it (RFC 9859), the end of signing (RFC 8078 4), and signals in
the zones of its servers (RFC 9615)."""

import socket
import subprocess
import threading

from asking import tally, until

ZONE, HOST, BOOTED = "cds.org", "host.example", "booted.example"
PORT = 5300
# CDS, NOTIFY, the port, rr.nic.org.
DSYNC = f"\\# 17 003b01{PORT:04x}" + "027272036e6963036f726700"


class Receiver:
    """Takes NOTIFYs and answers them."""

    def __init__(self, address):
        self.heard, self.sock = [], socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, PORT))
        self.sock.settimeout(0.2)
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            try:
                packet, peer = self.sock.recvfrom(4096)
            except TimeoutError:
                continue
            self.heard.append(packet)
            self.sock.sendto(packet[:2] + bytes([packet[2] | 0x80]) + packet[3:], peer)

    def stop(self):
        self.running = False
        self.thread.join()
        self.sock.close()


def cds_checks(hosting, server, registry):
    cairn, check = hosting.cairn, lambda what, good, told="": tally.check("CDS", what, good, told)
    dsync = DSYNC.replace("\\# 17", f"\\# {len(DSYNC.split()[2]) // 2}")
    hosting.register(glue=f"ns1.example.org. A {server}\ncds._dsync.org. TYPE66 {dsync}\nrr.nic.org. A {registry}\n")
    receiver = Receiver(registry)
    try:
        text = "$TTL 60\n@ SOA ns host 1 7200 900 1209600 60\n@ NS {ns}\nns A 192.0.2.53\nns1 A 192.0.2.53\n"
        for zone, ns in ((ZONE, "ns"), (HOST, "ns"), (BOOTED, f"ns1.{HOST}.")):
            cairn.file(zone).write_text(text.format(ns=ns))
        cairn.configure(hosting.settings + "".join(f'[[zone]]\nname = "{zone}"\nfile = "zones/{zone}.zone"\ndnssec = true\n' for zone in (ZONE, HOST, BOOTED)))
        code, said = cairn.cairn("reload")
        check("reload", code == 0, said)
        wire = b"\x03cds\x03org\x00\x00\x3b\x00\x01"
        good = lambda: [packet for packet in receiver.heard if packet[2] & 0x78 == 0x20 and packet[12:] == wire]
        check("the parent is told of the first CDS set", until(lambda: len(good()) == 1, 30), f"{receiver.heard} {cairn.log()[-900:]}")
        dig = lambda *words: subprocess.run(["dig", f"@{server}", "+norecurse", "+short", *words], capture_output=True, text=True).stdout
        own = dig(BOOTED, "CDS").strip()
        signal = f"_dsboot.{BOOTED}._signal.ns1.{HOST}"
        check("the signal says the same", own and until(lambda: dig(signal, "CDS").strip() == own, 40), dig(signal, "CDS") + own)
        check("and is signed", "CDS" in dig(signal, "CDS", "+dnssec") and "RRSIG" in subprocess.run(["dig", f"@{server}", signal, "CDNSKEY", "+dnssec", "+norecurse"], capture_output=True, text=True).stdout)
        code, said = cairn.cairn("zone", "sign", "end", ZONE)
        check("signing ends", code == 0 and dig(ZONE, "CDS").split() == ["0", "0", "0", "00"] and dig(ZONE, "CDNSKEY").split() == ["0", "3", "0", "AA=="], said + dig(ZONE, "CDS"))
        check("the parent is told of that too", until(lambda: len(good()) == 2, 30), f"{receiver.heard}")
        check("status says when it is over", until(lambda: "leave out `dnssec = true` after" in cairn.cairn("zone", "sign", "status", ZONE)[1], 40), cairn.cairn("zone", "sign", "status", ZONE)[1])
        code, said = cairn.cairn("zone", "sign", "resume", ZONE)
        check("and it can be taken back", code == 0 and "13 2" in dig(ZONE, "CDS"), said)
        check("no more NOTIFYs than changes", until(lambda: len(good()) == 3, 30), f"{len(good())}")
    finally:
        receiver.stop()
