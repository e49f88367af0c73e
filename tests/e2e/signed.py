"""The signed world: every algorithm with every kind of denial, each zone signed by three tools and served by three authorities;
and zones that were signed rightly and then tampered with."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from asking import until
from authorities import ROOT_ADDRESSES, Knot, Named, Nsd

ALGORITHMS = {"RSASHA256": 8, "RSASHA512": 10, "ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED25519": 15}
DENIALS = ["nsec", "nsec3", "optout"]
# What rests on SHA-1 (RFC 9905 2); the first of the two has no NSEC3 (RFC 5155 2).
SHA1 = {"RSASHA1": ["nsec"], "NSEC3RSASHA1": ["nsec3", "optout"]}
SIGNERS = {"ldns": "198.51.100.10", "bind": "198.51.100.20", "knot": "198.51.100.30"}
TLD, TAMPERED, TLD_AT = "sig", "198.51.100.40", "192.5.6.30"
ADDRESSES = [*ROOT_ADDRESSES, TLD_AT, *SIGNERS.values(), TAMPERED]

LEAF = """$ORIGIN {zone}.
$TTL 300
@ SOA ns hostmaster 1 3600 600 604800 60
@ NS ns
ns A {address}
www A 93.184.216.80
alias CNAME www
*.wild A 93.184.216.81
a.ent TXT "below an empty non-terminal"
sub NS ns.sub
ns.sub A {plain}
"""
PLAIN = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 604800 60\n@ NS ns\nns A 198.51.100.40\nwww A 93.184.216.90\n"


class KnotSigner(Knot):
    def config(self):
        lines = ["policy:"]
        for algorithm, denials in ({a: DENIALS for a in ALGORITHMS} | SHA1).items():
            own_name = {"NSEC3RSASHA1": "rsasha1-nsec3-sha1"}.get(algorithm, algorithm.lower())
            for denial in denials:
                lines += [f"  - id: {algorithm.lower()}-{denial}", f"    algorithm: {own_name}", "    nsec3-iterations: 0"]
                lines += [f"    nsec3: {'off' if denial == 'nsec' else 'on'}", f"    nsec3-opt-out: {'on' if denial == 'optout' else 'off'}"]
        return super().config("\n".join(lines), lambda zone: "-".join(zone.split(".")[0].split("-")[:2]))

    def ds(self, zone):
        text = tool("keymgr", "-c", "conf", zone, "ds", cwd=self.folder)
        return [line.replace(" DS ", " 300 IN DS ", 1) for line in text.splitlines() if re.search(r"DS \d+ \d+ 2 ", line)]


def tool(*words, cwd):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def sign_with_bind(zone, text, folder, algorithm="ECDSAP256SHA256", denial="nsec", words=()):
    """The signed file and the DS lines."""
    keys = folder / (zone.replace(".", "_") + "_keys")
    keys.mkdir()
    (keys / "zone").write_text(text)
    size = ["-b", "2048"] if "RSA" in algorithm else []
    ksk, _ = (tool("dnssec-keygen", "-q", "-a", algorithm, *size, *kind, zone, cwd=keys).strip() for kind in (["-f", "KSK"], []))
    how = {"nsec": [], "nsec3": ["-3", "-", "-H", "0"], "optout": ["-3", "-", "-H", "0", "-A"]}[denial]
    tool("dnssec-signzone", "-q", "-S", "-K", ".", "-O", "full", "-o", zone, "-f", "signed", *how, *words, "zone", cwd=keys)
    return keys / "signed", tool("dnssec-dsfromkey", "-2", f"{ksk}.key", cwd=keys).replace(" IN DS ", " 300 IN DS ").splitlines()


def sign_with_ldns(zone, text, folder, algorithm, denial):
    keys = folder / (zone.replace(".", "_") + "_keys")
    keys.mkdir()
    (keys / "zone").write_text(text)
    size = ["-b", "2048"] if "RSA" in algorithm else []
    ksk, zsk = (tool("ldns-keygen", "-a", {"NSEC3RSASHA1": "RSASHA1-NSEC3-SHA1"}.get(algorithm, algorithm), *size, *kind, zone, cwd=keys).strip() for kind in (["-k"], []))
    how = {"nsec": [], "nsec3": ["-n", "-t", "0"], "optout": ["-n", "-t", "0", "-p"]}[denial]
    tool("ldns-signzone", *how, "-o", zone, "-f", "signed", "zone", zsk, ksk, cwd=keys)
    return keys / "signed", tool("dnssec-dsfromkey", "-2", f"{ksk}.key", cwd=keys).replace(" IN DS ", " 300 IN DS ").splitlines()


# Tampering: what it is called -> (words to the signer, change of the signed lines, change of the DS lines).
def field(index, value):
    """One field of the signature of www A: 0 type covered … 7 signer, 8 the signature."""

    def change(lines):
        return [" ".join(w[:4 + index] + [value(w[4 + index])] + w[5 + index:]) if is_sig(w) else line for line, w in split(lines)]

    return change


def split(lines):
    return [(line, line.split()) for line in lines]


def is_sig(words):
    return words[0].startswith("www.") and words[3:5] == ["RRSIG", "A"]


def without(gone):
    return lambda lines: [line for line, words in split(lines) if not gone(words)]


def wildcard_as_name(lines):
    """What the wildcard gave once, put as if the name were there: its signature is real, the proof is missing."""
    return lines + [line.replace("*.wild.", "x.wild.", 1) for line in lines if line.startswith("*.wild.") and " NSEC" not in line and "\tNSEC" not in line]


def same(lines):
    return lines


def day(digits, by):
    return f"{int(digits[:8]) + by:08}{digits[8:]}" if 2 < int(digits[6:8]) < 27 else f"{digits[:6]}{10 + by}{digits[8:]}"


def days(count):
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + count * 86400))


def flipped(text):
    return ("B" if text[0] == "A" else "A") + text[1:]


def of_other_key(lines):
    return [" ".join(words[:4] + [str((int(words[4]) + 1) % 65536)] + words[5:]) for _, words in split(lines)]


def digest_flipped(lines):
    return [" ".join(words[:7] + [("0" if words[7][0] != "0" else "1") + words[7][1:], *words[8:]]) for _, words in split(lines)]


def ds_number(index, value):
    return lambda lines: [" ".join(words[:index] + [value] + words[index + 1:]) for _, words in split(lines)]


def nsec3():
    return "-3", "-", "-H", "0"


NEVER, WWW_SIG = (), ("www", "A")
TAMPERINGS = {
    # name: (what gives words to the signer, change of lines, change of DS, question, EDE codes that say it rightly; none: insecure)
    "altered-data": (tuple, lambda ls: [l.replace("93.184.216.80", "93.184.216.99") for l in ls], same, WWW_SIG, {6}),
    "missing-rrsig": (tuple, without(is_sig), same, WWW_SIG, {10}),
    "expired": (lambda: ("-P", "-s", days(-10), "-e", days(-1)), same, same, WWW_SIG, {7}),
    "not-yet-valid": (lambda: ("-P", "-s", days(1), "-e", days(10)), same, same, WWW_SIG, {8}),
    "type-covered": (tuple, field(0, lambda _: "TXT"), same, WWW_SIG, {10}),
    "algorithm": (tuple, field(1, lambda _: "8"), same, WWW_SIG, {6, 9, 10}),
    "labels-too-many": (tuple, field(2, lambda _: "4"), same, WWW_SIG, {6}),
    "labels-too-few": (tuple, field(2, lambda _: "1"), same, WWW_SIG, {6}),
    "original-ttl": (tuple, field(3, lambda _: "301"), same, WWW_SIG, {6}),
    "expiration-moved": (tuple, field(4, lambda old: day(old, 1)), same, WWW_SIG, {6}),
    "inception-moved": (tuple, field(5, lambda old: day(old, -1)), same, WWW_SIG, {6}),
    "key-tag": (tuple, field(6, lambda old: str((int(old) + 1) % 65536)), same, WWW_SIG, {6, 9}),
    "wrong-signer": (tuple, field(7, lambda _: f"{TLD}."), same, WWW_SIG, {6, 9, 10}),
    "signature-altered": (tuple, field(8, flipped), same, WWW_SIG, {6}),
    "replaced-key": (tuple, same, of_other_key, WWW_SIG, {9}),
    "ds-digest": (tuple, same, digest_flipped, WWW_SIG, {6, 9}),
    "dnskey-unsigned": (tuple, without(lambda w: w[3:5] == ["RRSIG", "DNSKEY"]), same, WWW_SIG, {9, 10}),
    "stripped-ds": (tuple, same, same, WWW_SIG, {6, 9, 10, 12}),
    "stripped-denial": (tuple, without(lambda w: w[3] == "NSEC" or w[3:5] == ["RRSIG", "NSEC"]), same, ("missing", "A"), {12}),
    "unsigned-denial": (tuple, without(lambda w: w[3:5] == ["RRSIG", "NSEC"]), same, ("missing", "A"), {10, 12}),
    "denied-data": (tuple, without(lambda w: w[0].startswith("www.") and "A" in (w[3], w[4])), same, WWW_SIG, {12}),
    "denied-name": (tuple, without(lambda w: w[0].startswith("www.")), same, WWW_SIG, {12}),
    "unsigned-alias": (tuple, without(lambda w: w[3:5] == ["RRSIG", "CNAME"]), same, ("alias", "A"), {10}),
    "unsigned-soa": (tuple, without(lambda w: w[3:5] == ["RRSIG", "SOA"]), same, ("missing", "A"), {10, 12}),
    "nsec3-stripped": (nsec3, without(lambda w: w[3] == "NSEC3" or w[3:5] == ["RRSIG", "NSEC3"]), same, ("missing", "A"), {12}),
    "nsec3-unsigned": (nsec3, without(lambda w: w[3:5] == ["RRSIG", "NSEC3"]), same, ("missing", "A"), {10, 12}),
    "nsec3-wildcard": (nsec3, wildcard_as_name, same, ("x.wild", "A"), {6, 12}),
    "nsec3-expired": (lambda: (*nsec3(), "-P", "-s", days(-10), "-e", days(-1)), same, same, ("missing", "A"), {7}),
    "ds-algorithm": (tuple, same, ds_number(5, "14"), WWW_SIG, {9}),
    "wildcard-abuse": (tuple, wildcard_as_name, same, ("x.wild", "A"), {6, 12}),
    "no-ds": (tuple, same, lambda lines: [], WWW_SIG, NEVER),
    "unknown-algorithm": (tuple, same, ds_number(5, "200"), WWW_SIG, NEVER),
    "unknown-digest": (tuple, same, ds_number(6, "200"), WWW_SIG, NEVER),
}


def names():
    """Each good zone: (zone, algorithm, denial, signer)."""
    kinds = [(a, d) for a in ALGORITHMS for d in DENIALS] + [(a, d) for a, denials in SHA1.items() for d in denials]
    return [(f"{a.lower()}-{d}-{s}.{TLD}", a, d, s) for a, d in kinds for s in SIGNERS]


def make(folder):
    """Signs, starts, and returns the servers and the file of the trust anchor."""
    work = folder / "signing"
    work.mkdir()
    plain = work / "plain"
    plain.write_text(PLAIN)
    ds, files = [], {signer: [] for signer in SIGNERS}

    def one(row):
        zone, algorithm, denial, signer = row
        text = LEAF.format(zone=zone, address=SIGNERS[signer], plain=TAMPERED)
        if signer == "knot":
            (work / zone).write_text(text)
            return signer, zone, work / zone, []
        return signer, zone, *(sign_with_bind if signer == "bind" else sign_with_ldns)(zone, text, work, algorithm=algorithm, denial=denial)

    def bad(item):
        name, (words, change, change_ds, _, _) = item
        zone = f"{name}.{TLD}"
        signed, own_ds = sign_with_bind(zone, LEAF.format(zone=zone, address=TAMPERED, plain=TAMPERED), work, words=words())
        signed.write_text("\n".join(change([line for line in signed.read_text().splitlines() if line and line[0] != ";"])) + "\n")
        return zone, signed, change_ds(own_ds)

    with ThreadPoolExecutor(3) as pool:
        good, spoilt = list(pool.map(one, names())), list(pool.map(bad, TAMPERINGS.items()))
    for signer, zone, file, own_ds in good:
        files[signer].append((zone, file))
        ds += own_ds
    servers = {
        "ldns": Nsd("ldns", folder, [SIGNERS["ldns"]], files["ldns"]),
        "bind": Named("bind", folder, [SIGNERS["bind"]], files["bind"]),
        "knot": KnotSigner("knot", folder, [SIGNERS["knot"]], files["knot"]),
        "tampered": Nsd("tampered", folder, [TAMPERED], [(z, f) for z, f, _ in spoilt] + [(f"sub.{z}", plain) for z, _, _, _ in names()]),
    }
    for server in servers.values():
        server.start()
    for server in servers.values():
        server.wait()
    # Knot signs in the background, zone by zone.
    for zone, _ in files["knot"]:
        until(lambda z=zone: has_keys(servers["knot"], z), 20)
        ds += servers["knot"].ds(zone)
    parent = [f"$ORIGIN {TLD}.", "$TTL 300", "@ SOA ns hostmaster 1 3600 600 604800 60", "@ NS ns", f"ns A {TLD_AT}", *ds]
    for zone, address in [(z, SIGNERS[s]) for z, _, _, s in names()] + [(z, TAMPERED) for z, _, _ in spoilt]:
        parent += [f"{zone}. NS ns.{zone}.", f"ns.{zone}. A {address}"]
    parent += [line for _, _, own_ds in spoilt for line in own_ds]
    signed, tld_ds = sign_with_bind(TLD, "\n".join(parent) + "\n", work)
    gone = f"stripped-ds.{TLD}."
    kept = [line for line, w in split(signed.read_text().splitlines()) if not (w and w[0] == gone and (w[3] == "DS" or w[3:5] == ["RRSIG", "DS"]))]
    signed.write_text("\n".join(kept) + "\n")
    root = ["$TTL 300", "@ SOA a.root-servers.net. nstld.example. 1 1800 900 604800 60", f"{TLD}. NS ns.{TLD}.", f"ns.{TLD}. A {TLD_AT}", *tld_ds]
    for letter, address in zip("abcdefghijklm", [a for a in ROOT_ADDRESSES if ":" not in a]):
        root += [f"@ NS {letter}.root-servers.net.", f"{letter}.root-servers.net. A {address}"]
    signed_root, root_ds = sign_with_bind(".", "\n".join(root) + "\n", work)
    servers["root"] = Nsd("root", folder, [a for a in ROOT_ADDRESSES if ":" not in a], [(".", signed_root)])
    servers["tld"] = Nsd("tld", folder, [TLD_AT], [(TLD, signed)])
    for name in ("root", "tld"):
        servers[name].start()
    for name in ("root", "tld"):
        servers[name].wait()
    anchors = folder / "anchors"
    anchors.write_text("\n".join(root_ds) + "\n")
    return servers, anchors


def has_keys(server, zone):
    try:
        return bool(server.ds(zone))
    except RuntimeError:
        return False
