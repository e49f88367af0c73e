"""Packets to throw: real messages from corpora and captures, and what becomes of them under every kind of damage.

A corpus is a folder or a tar archive of files with one message each, or a pcap file. Everything follows from one seed.
"""

import gzip
import random
import struct
import tarfile
from pathlib import Path

# Files of fuzzing corpora that are not messages.
NOT_MESSAGES = ("-name-", "-rdata-", "-master", "INDEX", "README")


def load(paths):
    """Every message of 1 to 4096 octets, each once, in a fixed order."""
    found = set()
    for path in map(Path, paths):
        for file in sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]:
            found.update(messages(file))
    return sorted(message for message in found if 0 < len(message) <= 4096)


def messages(file):
    if any(mark in file.name for mark in NOT_MESSAGES):
        return []
    if ".tar" in file.name:
        with tarfile.open(file) as archive:
            members = [member for member in archive if member.isfile() and not any(mark in member.name for mark in NOT_MESSAGES)]
            return [archive.extractfile(member).read() for member in members]
    data = file.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return captured(data) if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4") else [data]


def captured(data):
    """The UDP payloads of port 53 in a pcap file (Ethernet, VLAN tags allowed, or raw IP); the rest is passed over."""
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    link = struct.unpack(order + "I", data[20:24])[0]
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack(order + "I", data[at + 8 : at + 12])[0]
        packet = data[at + 16 : at + 16 + length]
        at += 16 + length
        if link == 1:
            ether, packet = packet[12:14], packet[14:]
            while ether == b"\x81\x00":
                ether, packet = packet[2:4], packet[4:]
            if ether not in (b"\x08\x00", b"\x86\xdd"):
                continue
        version = packet[0] >> 4 if packet else 0
        head, protocol = ((packet[0] & 15) * 4, packet[9]) if version == 4 and len(packet) > 20 else (40, packet[6] if len(packet) > 40 else 0)
        segment = packet[head:]
        if protocol == 17 and len(segment) > 8 and 53 in struct.unpack("!2H", segment[:4]):
            yield segment[8:]


class Mutator:
    """Endless packets from a corpus; `Mutator(corpus, seed)` gives the same ones again."""

    def __init__(self, corpus, seed):
        self.corpus, self.random = corpus, random.Random(seed)
        self.damages = [self.flip_bits, self.cut_off, self.splice, self.change_counts, self.point_in_circles, self.repeat, self.overwrite]

    def packet(self):
        """A fifth as they are; the others with one to three damages."""
        chance = self.random.random
        packet = bytearray(self.corpus[int(chance() * len(self.corpus))])
        if chance() > 0.2:
            for _ in range(1 + int(chance() * chance() * 3)):
                packet = self.damages[int(chance() * len(self.damages))](packet)
        return packet[:4096] or bytearray(1)

    def query(self):
        """A packet whose header, nine times of ten, is that of an ordinary query; and whether it is."""
        packet = self.packet()
        valid = self.random.random() < 0.9 and len(packet) >= 12
        if valid:
            # QR=0, opcode 0; RD, AD and CD as chance wills; one question. The other counts stay as they are, or are 0.
            packet[2] = packet[2] & 0x01 | (self.random.random() < 0.8)
            packet[3] &= 0x30
            packet[4:6] = b"\0\1"
            if self.random.random() < 0.7:
                packet[6:10] = bytes(4)
                packet[10:12] = b"\0\1" if packet[10:12] != b"\0\0" else b"\0\0"
        return bytes(packet), valid

    def somewhere(self, packet, start=0):
        return min(start, len(packet) - 1) + int(self.random.random() * max(1, len(packet) - start)) if packet else 0

    def flip_bits(self, packet):
        for _ in range(1 + int(self.random.random() * 8)):
            packet[self.somewhere(packet)] ^= 1 << int(self.random.random() * 8)
        return packet

    def cut_off(self, packet):
        return packet[: 1 + self.somewhere(packet)]

    def splice(self, packet):
        other = self.corpus[int(self.random.random() * len(self.corpus))]
        return packet[: self.somewhere(packet)] + other[int(self.random.random() * len(other)) :] or packet

    def change_counts(self, packet):
        if len(packet) >= 12:
            at = 4 + 2 * int(self.random.random() * 4)
            packet[at : at + 2] = struct.pack("!H", self.random.choice((0, 1, 2, 5, 255, 4096, 65535)))
        return packet

    def point_in_circles(self, packet):
        """Compression pointers to themselves, to each other, to the header and past the end."""
        for _ in range(1 + int(self.random.random() * 4)):
            at = self.somewhere(packet, 12)
            target = self.random.choice((at, at - 2, 12, 0, self.somewhere(packet), 0x3FFF))
            packet[at : at + 2] = struct.pack("!H", 0xC000 | max(0, target) & 0x3FFF)
        return packet

    def repeat(self, packet):
        at = self.somewhere(packet, 12)
        piece = packet[at : at + 1 + int(self.random.random() * 40)]
        return packet[:at] + piece * (1 + int(self.random.random() * 30)) + packet[at:]

    def overwrite(self, packet):
        at = self.somewhere(packet)
        packet[at : at + 4] = self.random.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x3f\x3f\x3f\x3f", b"\xc0\x0c\xc0\x0c", b"\x40\x80\x40\x80"))
        return packet
