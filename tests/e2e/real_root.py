"""The small world below the real root zone, when there is a file of it: CAIRN_ROOT_ZONE, plain or .gz."""

import gzip
import os
import re
from pathlib import Path

from authorities import HERE, SmallWorld, files_of


class RealRoot(SmallWorld):
    """The real TLD servers' addresses are ours then; `arpa` is at the root's own servers, as it is in truth."""

    def __init__(self, file, folder):
        super().__init__()
        text = zone_text(file)
        serial = re.search(r"SOA\s+\S+\s+\S+\s+\(?\s*(\d+)", text)
        self.root = f"the real root zone {serial[1]}"
        root = folder / "root.zone"
        root.write_text(text)
        self.delegated = sorted(set(re.findall(r"^([a-z0-9-]+)\.\s+\d+\s+IN\s+NS\s", text, re.MULTILINE)))
        glue = re.findall(r"^([a-m]\.gtld-servers\.net\.)\s+\d+\s+IN\s+(A|AAAA)\s+(\S+)", text, re.MULTILINE)
        servers = folder / "gtld-servers.net.zone"
        head = (HERE / "world/tld/gtld-servers.net.zone").read_text().partition("\na ")[0]
        servers.write_text(head + "\n" + "".join(f"{name} {kind} {address}\n" for name, kind, address in glue))
        own_root = [(".", root), *((zone, file) for zone, file in files_of("root") if zone != ".")]
        own_root += [(zone, file) for zone, file in files_of("tld") if zone == "arpa"]
        tld = [(zone, servers if zone == "gtld-servers.net" else file) for zone, file in files_of("tld")]
        self.parts["root"] = (self.parts["root"][0], own_root)
        self.parts["tld"] = ([address for _, _, address in glue], tld)


def zone_text(file):
    return gzip.decompress(Path(file).read_bytes()).decode() if str(file).endswith(".gz") else Path(file).read_text()


def world(folder):
    file = os.environ.get("CAIRN_ROOT_ZONE")
    return RealRoot(file, folder) if file else SmallWorld()
