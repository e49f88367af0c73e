"""One process that serves the root and every hostile zone, over UDP and TCP: `serve.py ANCHOR_FILE`."""

import asyncio
import base64
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[1:1] = [str(Path(__file__).resolve().parent.parent / "e2e")]

from authorities import ROOT_ADDRESSES
from wire import TYPES, name_wire
from zones import EVIL_AT, TTL, Root, attacks

UDP_BYTES = 1232
ROOTS = [address for address in ROOT_ADDRESSES if ":" not in address]
CODES = {code: name for name, code in TYPES.items()}


def encode(packet, reply, end, limit):
    """Owners that are the question's name or its parents are pointers into the question."""
    question = packet[12:end]
    places, at = {}, 0
    while question[at]:
        places.setdefault(bytes(question[at : end - 16]).lower(), 12 + at)
        at += 1 + question[at]
    body, counts = [], []
    for section in (reply.answer, reply.authority, reply.additional):
        count = 0
        for owner, rtype, rdatas in section:
            name = name_wire(owner.lower())
            short = struct.pack("!H", 0xC000 | places[name]) if name in places else name
            for rdata in rdatas:
                body.append(short + struct.pack("!HHIH", TYPES[rtype], 1, TTL, len(rdata)) + rdata)
            count += len(rdatas)
        counts.append(count)
    has_opt = packet[10:12] != b"\0\0"
    opt = b"\0" + struct.pack("!HHIH", 41, UDP_BYTES, 0x8000, 0) if has_opt else b""
    counts[2] += bool(opt)
    message = packet[:2] + struct.pack("!H", reply.flags) + struct.pack("!4H", 1, *counts) + question + b"".join(body) + opt
    if len(message) > limit:
        return packet[:2] + struct.pack("!H", reply.flags | 0x0200) + struct.pack("!4H", 1, 0, 0, bool(opt)) + question + opt
    return message


class World:
    def __init__(self):
        self.zones = attacks()
        self.root = Root(self.zones.values())

    def reply(self, address, packet, limit):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1").lower())
            at += 1 + packet[at]
        code = struct.unpack("!H", packet[at + 1 : at + 3])[0]
        owner, rtype = ".".join(labels) + ".", CODES.get(code, str(code))
        zone = self.root if address in ROOTS else self.zones.get(labels[-1] if labels else "", self.root)
        return encode(packet, zone.reply(owner, rtype), at + 5, limit)


class Udp(asyncio.DatagramProtocol):
    def __init__(self, world, address):
        self.world, self.address = world, address

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, packet, peer):
        self.transport.sendto(self.world.reply(self.address, packet, UDP_BYTES), peer)


def tcp_handler(world, address):
    async def handle(reader, writer):
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                reply = world.reply(address, await reader.readexactly(length), 65_535)
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return handle


async def main():
    world = World()
    Path(sys.argv[1]).write_text("".join(ds_line(ds) for ds in world.root.ds()))
    Path(sys.argv[1]).with_suffix(".key").write_text(key_line(world.root.key.rdata))
    loop = asyncio.get_running_loop()
    for address in (*ROOTS, EVIL_AT):
        await loop.create_datagram_endpoint(lambda a=address: Udp(world, a), (address, 53))
        await asyncio.start_server(tcp_handler(world, address), address, 53)
    print("ready", flush=True)
    await asyncio.Event().wait()


def ds_line(rdata):
    tag, algorithm, kind = struct.unpack("!HBB", rdata[:4])
    return f". 3600 IN DS {tag} {algorithm} {kind} {rdata[4:].hex()}\n"


def key_line(rdata):
    return f". 3600 IN DNSKEY 257 3 {rdata[3]} {base64.b64encode(rdata[4:]).decode()}\n"


if __name__ == "__main__":
    asyncio.run(main())
