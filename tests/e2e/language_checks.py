"""What programs written in Python and JavaScript get: through the C library, and from their own resolvers."""

import json
import shutil
import subprocess
import sys

from asking import WWW, guarded, tally
from network import missing_tools

# Through resolv.conf. Each line of output: what was asked, and the sorted answers or the name of the error.
GETADDRINFO = r"""
import json, socket
def infos(name, family, **how):
    try:
        return sorted({info[4][0] for info in socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM, **how)})
    except socket.gaierror as problem:
        return [k for k in ("EAI_NONAME", "EAI_AGAIN", "EAI_NODATA", "EAI_FAIL") if getattr(socket, k, None) == problem.errno][:1]
def reverse(address):
    return [socket.gethostbyaddr(address)[0]]
print(json.dumps({
    "A": infos("www.example.com", socket.AF_INET), "AAAA": infos("www.example.com", socket.AF_INET6),
    "both": infos("out.example.com", socket.AF_UNSPEC), "no AAAA": infos("four.example.com", socket.AF_INET6),
    "NXDOMAIN": infos("missing.example.com", socket.AF_UNSPEC), "reverse": reverse("93.184.216.44"),
    "canonical": [socket.getaddrinfo("chain.example.com", 80, socket.AF_INET, 0, 0, socket.AI_CANONNAME)[0][3]],
}))
"""
GETADDRINFO_SAYS = {
    "A": sorted(WWW), "AAAA": ["2606:2800:220:1::34"], "both": ["2606:2800:220:1::50", "93.184.216.50"], "no AAAA": ["EAI_NODATA"],
    "NXDOMAIN": ["EAI_NONAME"], "reverse": ["four.example.com"], "canonical": ["www.example.net"],
}

DNSPYTHON = r"""
import json, sys, dns.resolver, dns.reversename, dns.flags, dns.message, dns.query
asked = dns.resolver.Resolver(configure=False)
asked.nameservers, asked.lifetime = [sys.argv[1]], 8
def say(name, kind, **how):
    try:
        return sorted(str(item).lower() for item in asked.resolve(name, kind, **how))
    except Exception as problem:
        return [type(problem).__name__]
def at_once(call):
    reply = call(dns.message.make_query("big.example.com", "TXT", use_edns=0, payload=4096), sys.argv[1], timeout=5)
    return [str(len(reply.answer[0]) if reply.answer and not reply.flags & dns.flags.TC else "cut")]
print(json.dumps({
    "A": say("www.example.com", "A"), "AAAA": say("www.example.com", "AAAA"), "CNAME": say("chain.example.com", "CNAME"),
    "aliases": say("chain.example.com", "A"), "DNAME": say("web.dept.example.com", "A"), "MX": say("example.com", "MX"),
    "TXT": say("example.com", "TXT"), "SRV": say("_sip._udp.example.com", "SRV"), "NS": say("example.net", "NS"),
    "wildcard": say("a.b.wild.example.com", "A"), "over TCP": say("www.example.com", "A", tcp=True),
    "reverse": say(dns.reversename.from_address("93.184.216.44"), "PTR"), "NXDOMAIN": say("missing.example.com", "A"),
    "NODATA": say("www.example.com", "LOC"), "hosted": say("www.hosted.example", "A"), "large over TCP": at_once(dns.query.tcp),
    "truncated": [str(len(dns.query.udp_with_fallback(dns.message.make_query("big.example.com", "TXT"), sys.argv[1], 5)[0].answer[0]))],
}))
"""
DNSPYTHON_SAYS = {
    "A": sorted(WWW), "AAAA": ["2606:2800:220:1::34"], "CNAME": ["out.example.com."], "aliases": ["93.184.216.50"],
    "DNAME": ["93.184.216.51"], "MX": ["10 mail.example.com.", "20 mail.example.net."], "TXT": ['"v=spf1 -all"'],
    "SRV": ["1 2 5060 mail.example.com."], "NS": ["ns1.example.net.", "ns2.example.net."], "wildcard": ["93.184.216.40"],
    "over TCP": sorted(WWW), "reverse": ["four.example.com."], "NXDOMAIN": ["NXDOMAIN"], "NODATA": ["NoAnswer"],
    "hosted": ["192.0.2.80"], "large over TCP": ["16"], "truncated": ["16"],
}

# With dns.setServers, but `lookup`, which is the C library's.
NODE = r"""
const dns = require('dns').promises;
dns.setServers([process.argv[1]]);
const plain = answer => typeof answer === 'string' ? answer : JSON.stringify(answer, Object.keys(answer).sort());
const say = promise => promise.then(answers => [].concat(answers).map(plain).sort(), problem => [problem.code]);
const asked = {
  A: dns.resolve4('www.example.com'), AAAA: dns.resolve6('www.example.com'), aliases: dns.resolve('chain.example.com'),
  CNAME: dns.resolveCname('chain.example.com'), MX: dns.resolveMx('example.com').then(all => all.map(mx => mx.exchange)),
  NS: dns.resolveNs('example.net'), SRV: dns.resolveSrv('_sip._udp.example.com').then(all => all.map(srv => srv.name)),
  TXT: dns.resolveTxt('big.example.com').then(all => ['' + all.length]), SOA: dns.resolveSoa('example.com').then(soa => ['' + soa.serial]),
  reverse: dns.reverse('93.184.216.44'), NXDOMAIN: dns.resolve4('missing.example.com'), NODATA: dns.resolve6('four.example.com'),
  hosted: dns.resolve4('www.hosted.example'), lookup: dns.lookup('www.example.net', {all: true}).then(all => all.map(one => one.address)),
};
Promise.all(Object.entries(asked).map(async ([what, promise]) => [what, await say(promise)]))
  .then(all => console.log(JSON.stringify(Object.fromEntries(all))));
"""
NODE_SAYS = {
    "A": sorted(WWW), "AAAA": ["2606:2800:220:1::34"], "aliases": ["93.184.216.50"], "CNAME": ["out.example.com"],
    "MX": ["mail.example.com", "mail.example.net"], "NS": ["ns1.example.net", "ns2.example.net"], "SRV": ["mail.example.com"],
    "TXT": ["16"], "SOA": ["7"], "reverse": ["four.example.com"], "NXDOMAIN": ["ENOTFOUND"], "NODATA": ["ENODATA"],
    "hosted": ["192.0.2.80"], "lookup": ["2606:2800:220:1::50", "93.184.216.50"],
}


def python_with_dnspython():
    for python in dict.fromkeys([sys.executable, shutil.which("python3"), "/usr/bin/python3"]):
        if python and subprocess.run([python, "-c", "import dns.resolver"], capture_output=True).returncode == 0:
            return python
    return None


def language_checks(place):
    """resolv.conf already names the server."""
    script("Python getaddrinfo", [sys.executable, "-c", GETADDRINFO], GETADDRINFO_SAYS)
    if python := python_with_dnspython():
        script("dnspython", [python, "-c", DNSPYTHON, place.v4], DNSPYTHON_SAYS)
    elif "dnspython" not in tally.missing:
        print("missing: dnspython (package python3-dnspython)")
        tally.missing.append("dnspython")
    if "node" not in tally.missing and not missing_tools(["node"]):
        script("Node", ["node", "-e", NODE, place.v4], NODE_SAYS)


def script(client, words, expected):
    """One program asks everything, and prints what it got as JSON."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        said, trouble = json.loads(done.stdout), done.stderr
    except (subprocess.TimeoutExpired, ValueError) as problem:
        said, trouble = {}, str(problem)
    for what, answer in expected.items():
        guarded(client, what, lambda what=what, answer=answer: (said.get(what) == answer, f"{said.get(what)} {trouble[-300:]}"))
