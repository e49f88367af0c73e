"""Signed zones for the flood of failing signatures: `signed.py ANCHOR_FILE`. The servers are those of tests/dnssec_dos.

    twin.       every answer is right; two of its keys have the same tag, and the one that has not signed comes first
    trap{n}.    every answer names eight signatures, none of which fits any of eight keys of their tag
"""

import asyncio
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(TESTS / "dnssec_dos"), str(TESTS / "e2e")]

import serve
import zones

TRAPS, KEYS, SIGNATURES = 8, 8, 8


def signed_zones():
    twin = zones.Zone("twin.")
    twin.dnskeys = [*zones.colliding(1, zones.P256, twin.key.tag), twin.key.rdata]
    traps = [zones.KeyTrap(f"trap{number}.", zones.P256, KEYS, SIGNATURES) for number in range(TRAPS)]
    return {zone.apex.rstrip("."): zone for zone in (twin, *traps)}


if __name__ == "__main__":
    serve.attacks = signed_zones
    asyncio.run(serve.main())
