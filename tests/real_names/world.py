"""The internet below the real root, as far as the popular names need it: every zone, server and address, from hashes of names.

Pure data: nothing here sends or receives. What a question should be answered with (`expected`) follows from the plan alone,
not from how any server reads it. Names are text in lower case without the final dot; the root is "".

What is made of each popular name NAME, by the hash of it:
    6 of 10   a zone whose servers are named below it, with glue
    4 of 10   a zone whose servers are named in other zones, without glue; some of those zones are themselves without glue
    1 of 10   the question is www.NAME, an alias into another zone; every fifth of these goes through a third zone
    else      the question is NAME itself
One server in twenty is silent, never all of a zone; every fiftieth zone answers everything over UDP with TC.
"""

import hashlib
import ipaddress
import re

# Middle labels that make a public suffix of their own: for half the TLDs a zone, for the others only a name on the way.
SUFFIX_LABELS = {"co", "com", "org", "net", "gov", "edu", "ac", "go", "or", "ne", "gob", "mil", "nic"}

GLUELESS_PERCENT, DEEP_PERCENT, POPULAR_HOSTER_PERCENT = 42, 15, 30
ALIAS_PERCENT, LONG_ALIAS_PERCENT, DEAD_PERCENT, TRUNCATING_PERCENT = 10, 20, 5, 2
HOSTERS_COUNT = 50


def hashed(purpose, name):
    return hashlib.sha256(f"{purpose} {name}".encode()).digest()


def percent(purpose, name):
    return int.from_bytes(hashed(purpose, name)[:4], "big") % 10_000 / 100


def pick(purpose, name, items):
    return items[int.from_bytes(hashed(purpose, name)[:8], "big") % len(items)]


def derived_address(name, version=4):
    """What a name's own A or AAAA record says."""
    octets = hashed(f"address{version}", name)
    if version == 6:
        return "2a10:" + ":".join(f"{octets[i]:x}{octets[i + 1]:02x}" for i in range(0, 14, 2))
    return f"{130 + octets[0] % 30}.{octets[1]}.{octets[2]}.{octets[3]}"


def server_address(host, version=4):
    octets = hashed(f"server{version}", host)
    if version == 6:
        return str(ipaddress.IPv6Address("2a01:" + ":".join(f"{octets[i]:x}{octets[i + 1]:02x}" for i in range(0, 14, 2))))
    return f"{20 + octets[0] % 80}.{octets[1]}.{octets[2]}.{1 + octets[3] % 254}"


def ancestors(name):
    """The name, its parent, …, the root."""
    while name:
        yield name
        name = name.partition(".")[2]
    yield ""


class Zone:
    def __init__(self, apex, hosts):
        self.apex, self.hosts = apex, hosts
        # What is in it: name -> type -> values. What is cut off from it: name -> the child zone.
        self.nodes, self.cuts = {apex: {}}, {}
        self.truncating = percent("truncating", apex) < TRUNCATING_PERCENT and "." in apex

    def add(self, name, rtype, value):
        for above in ancestors(name):
            self.nodes.setdefault(above, {})
            if above == self.apex:
                break
        values = self.nodes[name].setdefault(rtype, [])
        if value not in values:
            values.append(value)


class World:
    """`zones`, `host_addresses`, `served` (address -> zones), `dead` (addresses) and `questions` (name -> chain of names)."""

    def __init__(self, root_zone_text, names, count):
        self.zones, self.host_addresses = {}, {}
        self.read_root(root_zone_text)
        self.names = self.usable(names, count)
        self.plan_zones()
        self.name_hosts()
        self.plan_questions()
        self.choose_the_dead()
        self.serve()

    def read_root(self, text):
        """The TLDs with their real servers and the addresses of these."""
        delegations = {}
        for line in text.splitlines():
            found = re.match(r"(\S+)\s+\d+\s+IN\s+(NS|A|AAAA)\s+(\S+)$", line)
            if not found:
                continue
            owner, rtype, value = found.group(1).lower()[:-1], found.group(2), found.group(3).lower()
            if rtype == "NS":
                delegations.setdefault(owner, []).append(value.rstrip("."))
            else:
                self.host_addresses.setdefault(owner, []).append(str(ipaddress.ip_address(value)))
        self.root_hosts = delegations.pop("")
        self.arpa_hosts = delegations.pop("arpa")
        self.tlds = set(delegations)
        for tld, hosts in delegations.items():
            self.zones[tld] = Zone(tld, hosts)

    def usable(self, names, count):
        taken = {}
        for name in (line.strip().lower().rstrip(".") for line in names):
            good = re.fullmatch(r"([a-z0-9_-]{1,63}\.)+[a-z0-9-]+", name) and len(name) < 200
            if good and name.rpartition(".")[2] in self.tlds and len(taken) < count:
                taken[name] = True
        return list(taken)

    def plan_zones(self):
        listed = set(self.names)
        for name in self.names:
            suffix = name.partition(".")[2]
            head, _, tld = suffix.rpartition(".")
            if head in SUFFIX_LABELS and suffix not in listed and percent("suffix", tld) < 50:
                self.zones.setdefault(suffix, Zone(suffix, self.zones[tld].hosts))
        # A zone may stand for others only if no popular name is above it: so there are no cycles.
        top = [name for name in self.names if not any(above in listed for above in ancestors(name.partition(".")[2]))]
        glueless = {name for name in self.names if percent("glueless", name) < GLUELESS_PERCENT}
        deep = {name for name in glueless if percent("deep", name) < DEEP_PERCENT}
        with_glue = [name for name in top if name not in glueless]
        behind_one = [name for name in top if name in glueless - deep] or with_glue
        for name in self.names:
            hosts_count = 2 + hashed("hosts", name)[0] % 3
            if name not in glueless:
                hosts = [f"ns{i}.{name}" for i in range(1, hosts_count + 1)]
            elif name in deep:
                hosts = [f"deep{i}.{pick(f'deep{i}', name, behind_one)}" for i in range(2)]
            elif percent("hoster", name) < POPULAR_HOSTER_PERCENT:
                hosts = [f"dns{i}.{pick(f'hoster{i}', name, with_glue[:HOSTERS_COUNT])}" for i in range(2)]
            else:
                hosts = [f"x{i}.{pick(f'other{i}', name, with_glue)}" for i in range(2)]
            self.zones[name] = Zone(name, list(dict.fromkeys(hosts)))
        for apex, zone in self.zones.items():
            if "." in apex:
                self.zone_above(apex).cuts[apex] = zone
        self.glueless, self.deep, self.top = glueless, deep, top

    def zone_of(self, name):
        return next(self.zones[above] for above in ancestors(name) if above in self.zones)

    def zone_above(self, apex):
        return self.zone_of(apex.partition(".")[2])

    def plan_questions(self):
        self.questions = {}
        for number, name in enumerate(self.names):
            if percent("alias", name) >= ALIAS_PERCENT:
                self.questions[name] = [name]
                self.add_addresses(name)
                continue
            first = next(n for n in (f"www.{name}", f"alias-of-ours.{name}") if n not in self.zones)
            chain = [first, f"a{number}.edge.{pick('target', name, self.top)}"]
            if percent("long alias", name) < LONG_ALIAS_PERCENT:
                chain.append(f"b{number}.{pick('second target', name, self.top)}")
            for alias, target in zip(chain, chain[1:]):
                self.zone_of(alias).add(alias, "CNAME", target)
            self.add_addresses(chain[-1])
            self.questions[first] = chain

    def add_addresses(self, name):
        """A popular name may be that of a server: then it has the server's."""
        if name in self.host_addresses:
            return
        zone = self.zone_of(name)
        zone.add(name, "A", derived_address(name))
        zone.add(name, "AAAA", derived_address(name, 6))

    def expected(self, question):
        """The aliases on the way, and the addresses at its end."""
        aliases, last = self.questions[question][1:], self.questions[question][-1]
        as_server = [address for address in self.host_addresses.get(last, ()) if ":" not in address]
        return aliases, as_server or [derived_address(last)]

    def name_hosts(self):
        """Each server's name gets its addresses, in the zone that has the name; a third have IPv6 too."""
        for zone in self.zones.values():
            for host in zone.hosts:
                if host not in self.host_addresses:
                    versions = (4, 6) if percent("six", host) < 33 else (4,)
                    self.host_addresses[host] = [server_address(host, version) for version in versions]
        for host, addresses in self.host_addresses.items():
            if host.rpartition(".")[2] in self.tlds:
                for address in addresses:
                    self.zone_of(host).add(host, "AAAA" if ":" in address else "A", address)
        for apex, zone in self.zones.items():
            for host in zone.hosts:
                zone.add(apex, "NS", host)

    def choose_the_dead(self):
        hosts = {host for zone in self.zones.values() for host in zone.hosts}
        dead = {host for host in hosts if percent("dead", host) < DEAD_PERCENT}
        for zone in self.zones.values():
            if all(host in dead for host in zone.hosts):
                dead.discard(zone.hosts[0])
        self.hosts, self.dead_hosts = hosts, dead
        living = {address for host in hosts - dead for address in self.host_addresses[host]}
        self.dead = {address for host in dead for address in self.host_addresses[host]} - living

    def serve(self):
        self.served = {}
        for apex, zone in self.zones.items():
            for host in zone.hosts:
                for address in self.host_addresses[host]:
                    self.served.setdefault(address, set()).add(apex)

    def told(self):
        """What this world is made of, in one line."""
        count = len(self.names)
        aliased = sum(len(chain) > 1 for chain in self.questions.values())
        truncating = sum(zone.truncating for zone in self.zones.values())
        return (
            f"{count} names, {len(self.zones)} zones below the root ({len(self.tlds)} TLDs), {len(self.hosts)} servers at "
            f"{len(self.served)} addresses; without glue {100 * len(self.glueless) / count:.1f} % ({len(self.deep)} of them twice over), "
            f"aliased {100 * aliased / count:.1f} %, servers silent {100 * len(self.dead_hosts) / len(self.hosts):.1f} %, "
            f"zones with TC {truncating}"
        )
