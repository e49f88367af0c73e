"""Servers that answer everything, and mostly with damage: the world's own replies and corpus messages, mutated."""

import struct

from serve import Servers


class HostileServers(Servers):
    """Of ten replies two are right, five are right ones with damage, two are corpus messages made to fit the question, one is anything."""

    def __init__(self, world, mutator):
        super().__init__(world)
        self.mutator, self.random = mutator, mutator.random

    def reply(self, address, packet, limit):
        honest = super().reply(address, packet, limit)
        chance = self.random.random()
        if not honest or chance < 0.2:
            self.count["as it should be"] += 1
            return honest
        self.count["hostile"] += 1
        if chance < 0.7:
            return self.damaged(packet, honest)
        message = self.mutator.packet()
        return self.fitted(packet, message) if chance < 0.9 else bytes(message)

    def damaged(self, packet, honest):
        """Damage behind the question for the most part, so that the reply is believed to be one."""
        reply = bytearray(honest)
        keep = question_end(packet) if self.random.random() < 0.8 else 2
        body = self.mutator.random.choice(self.mutator.damages)(bytearray(12) + reply[keep:])[12:]
        if self.random.random() < 0.3:
            body += self.mutator.packet()[12:]
        if self.random.random() < 0.3:
            at = 6 + 2 * int(self.random.random() * 3)
            reply[at : at + 2] = struct.pack("!H", self.random.choice((0, 1, 3, 20, 1000, 65535)))
        if self.random.random() < 0.2:
            reply[2:4] = struct.pack("!H", 0x8000 | int(self.random.random() * 0x8000))
        return bytes((reply[:keep] + body)[:65_000])

    def fitted(self, packet, message):
        """A corpus message with the ID and the question of this one."""
        end = question_end(packet)
        flags = bytes([message[2] & 0x07 | 0x80, message[3] if len(message) > 3 else 0]) if len(message) > 2 else b"\x84\0"
        counts = bytes(message[6:12]).ljust(6, b"\0")
        return packet[:2] + flags + b"\0\1" + counts + packet[12:end] + bytes(message[12:])


def question_end(packet):
    at = 12
    while at < len(packet) and packet[at]:
        at += 1 + packet[at]
    return at + 5
