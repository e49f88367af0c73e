"""What can be seen on the wire: answers, header bits, sections, sizes, odd packets, strangers."""

import struct
import time

import wire
from asking import LAN, STRANGER, WWW, NoReply, ask, framed, guarded, reply, seen, tcp_exchange
from wire import AA, AD, CD, QR, RA, RD, TC, Z, Reply


def stub_checks(server, client, **how):
    """A stub as small as they come: one UDP packet, no EDNS."""

    def answer_is(name, rtype, expected, rcode="NOERROR"):
        def test():
            got = reply(server, name, rtype, **how)
            return got.rcode == rcode and set(got.values(rtype)) == set(expected) and got.opt is None, seen(got)

        guarded(client, f"{name} {rtype}", test)

    def header():
        packet = wire.query("wWw.ExAmPlE.cOm", "A", ident=0xBEEF)
        data, peer = ask(server, packet)
        got = Reply(data)
        bits = [got.has(bit) for bit in (QR, AA, TC, RD, RA, Z, AD, CD)]
        good = got.id == 0xBEEF and bits == [True, False, False, True, True, False, False, False] and got.questions == ["wWw.ExAmPlE.cOm."]
        return good and got.question_bytes == packet[12:] and len(data) <= 512 and peer == server, seen(got)

    def checking_disabled():
        got = reply(server, "www.example.com", "A", flags=RD | CD, ident=7)
        return got.has(CD) and not got.has(AD) and got.id == 7 and got.rcode == "NOERROR", seen(got)

    def counts_down():
        first = reply(server, "example.com", "TXT").answer[0][2]
        time.sleep(1.2)
        second = reply(server, "example.com", "TXT").answer[0][2]
        return 300 >= first > second >= first - 3, f"{first} then {second}"

    def rotates():
        firsts = {reply(server, "www.example.com", "A", ident=0x100 + at * 37).values("A")[0] for at in range(24)}
        return len(firsts) == 3, firsts

    answer_is("www.example.com", "A", WWW)
    answer_is("www.example.com", "AAAA", ["2606:2800:220:1::34"])
    answer_is("alias.example.com", "A", WWW)
    answer_is("out.example.com", "A", ["93.184.216.50"])
    answer_is("chain.example.com", "AAAA", ["2606:2800:220:1::50"])
    answer_is("chain.example.com", "CNAME", ["out.example.com."])
    answer_is("web.dept.example.com", "A", ["93.184.216.51"])
    answer_is("x.y.wild.example.com", "A", ["93.184.216.40"])
    answer_is("www.glueless.com", "A", ["93.184.216.60"])
    answer_is("www.halfdead.com", "A", ["93.184.216.60"])
    answer_is("www.lame.com", "A", ["93.184.216.60"])
    answer_is("44.216.184.93.in-addr.arpa", "PTR", ["four.example.com."])
    answer_is("localhost", "A", ["127.0.0.1"])
    answer_is("1.0.0.127.in-addr.arpa", "PTR", ["localhost."])
    answer_is("nowhere.example.com", "A", [], "NXDOMAIN")
    answer_is("x.invalid", "A", [], "NXDOMAIN")
    guarded(client, "header bits, ID and letter case", header)
    guarded(client, "CD is copied", checking_disabled)
    guarded(client, "TTL counts down", counts_down)
    guarded(client, "addresses rotate", rotates)


def section_checks(server, client):
    def alias_chain():
        got = reply(server, "chain.example.com", "A")
        kinds = [(owner, kind) for owner, kind, _, _ in got.answer]
        return kinds == [("chain.example.com.", "CNAME"), ("out.example.com.", "CNAME"), ("www.example.net.", "A")], seen(got)

    def dname():
        got = reply(server, "web.dept.example.com", "A")
        kinds = [kind for _, kind, _, _ in got.answer]
        return kinds == ["DNAME", "CNAME", "A"] and got.values("CNAME") == ["web.dept.example.net."], seen(got)

    def negative(name, rtype, rcode, zone):
        def test():
            got = reply(server, name, rtype)
            soa = [(owner, ttl) for owner, kind, ttl, _ in got.authority if kind == "SOA"]
            good = got.rcode == rcode and not got.values(rtype) and len(soa) == 1 and soa[0][0] == zone and soa[0][1] <= 60
            return good and not got.has(AA), seen(got)

        guarded(client, f"{rcode} with SOA: {name} {rtype}", test)

    def mail():
        reply(server, "mail.example.com", "A")
        reply(server, "mail.example.net", "A")
        got = reply(server, "example.com", "MX")
        extra = {(owner, value) for owner, kind, _, value in got.additional if kind == "A"}
        wanted = {("mail.example.com.", "93.184.216.25"), ("mail.example.net.", "93.184.216.26")}
        return set(got.values("MX")) == {"10 mail.example.com.", "20 mail.example.net."} and extra == wanted, seen(got)

    def private(name, left):
        def test():
            got = reply(server, name, "A", extra=wire.opt())
            good = got.rcode == "NOERROR" and got.values("A") == left and not got.has(AD)
            return good and [code for code, _ in got.ede] == [17] and "rebinding-allow" in got.ede[0][1], seen(got)

        guarded(client, f"private address kept back: {name}", test)

    def dead_zone():
        """The client hears in time; the walk may go on for it, and when it has failed the failure is remembered."""

        def timed():
            begun = time.monotonic()
            got = reply(server, "www.dead.com", "A", extra=wire.opt())
            return got, time.monotonic() - begun

        first, took = timed()
        again = [timed() for _ in range(3)]
        good = all(got.rcode == "SERVFAIL" and got.ede and seconds < 5 for got, seconds in [(first, took), *again])
        return good and again[-1][1] < 0.5, f"{took:.1f} s, then {[round(seconds, 1) for _, seconds in again]}: {seen(first)}"

    guarded(client, "aliases in order, each once", alias_chain)
    guarded(client, "DNAME, its CNAME, the answer", dname)
    negative("missing.example.com", "A", "NXDOMAIN", "example.com.")
    negative("www.example.com", "SRV", "NOERROR", "example.com.")
    negative("ent.example.com", "A", "NOERROR", "example.com.")
    negative("x.y.missing.example.com", "A", "NXDOMAIN", "example.com.")
    guarded(client, "MX with the addresses that are known", mail)
    private("private.example.com", [])
    private("mixed.example.com", ["93.184.216.41"])
    guarded(client, "all servers dead: SERVFAIL with a reason in 5 s, soon at once", dead_zone)


def size_checks(server, client):
    def cut_off(extra, limit):
        def test():
            data, _ = ask(server, wire.query("big.example.com", "TXT", extra=extra))
            return Reply(data).has(TC) and len(data) <= limit, f"{len(data)} octets, {seen(Reply(data))[:60]}"

        return test

    def over_tcp():
        got = tcp_exchange(server, [framed(wire.query("big.example.com", "TXT"))], 1)[0]
        return len(got.values("TXT")) == 16 and not got.has(TC), seen(got)[:200]

    def pipelined():
        names = ["www.example.com", "www.example.net", "mail.example.com", "missing.example.com"]
        packets = b"".join(framed(wire.query(name, "A", ident=at)) for at, name in enumerate(names))
        got = tcp_exchange(server, [packets], len(names))
        return {r.id: r.questions[0] for r in got} == {at: f"{name}." for at, name in enumerate(names)}, [seen(r) for r in got]

    def slow_beats_nobody():
        """A question that waits for dead servers must not hold up the one behind it."""
        packets = framed(wire.query(f"x{time.time_ns()}.dead.com", "A", ident=1)) + framed(wire.query("www.example.com", "A", ident=2))
        got = tcp_exchange(server, [packets], 1)
        return got[0].id == 2 or got[0].rcode == "SERVFAIL", [seen(r) for r in got]

    def in_pieces():
        packet = framed(wire.query("www.example.com", "A"))
        got = tcp_exchange(server, [packet[:1], packet[1:9], packet[9:]], 1)
        return set(got[0].values("A")) == WWW, seen(got[0])

    guarded(client, "UDP without EDNS: TC within 512", cut_off(b"", 512))
    guarded(client, "UDP with EDNS 4096: TC within 1232", cut_off(wire.opt(4096), 1232))
    guarded(client, "TCP: the whole large answer", over_tcp)
    guarded(client, "TCP: four questions at once", pipelined)
    guarded(client, "TCP: answers out of order", slow_beats_nobody)
    guarded(client, "TCP: a question in three pieces", in_pieces)


def odd_packet_checks(server, client):
    def rcode_is(what, packet, *expected):
        def test():
            try:
                answer = Reply(ask(server, packet, timeout=2)[0])
            except NoReply:
                return None in expected, "no reply"
            good = answer.rcode in expected and answer.id == 0x1234 and answer.has(QR) and not answer.has(AA) and not answer.answer
            return good, seen(answer)

        guarded(client, what, test)

    plain = wire.query("www.example.com", "A")
    rcode_is("STATUS: NOTIMP", wire.query("www.example.com", "A", opcode=2), "NOTIMP")
    rcode_is("IQUERY: NOTIMP", wire.query("www.example.com", "A", opcode=1), "NOTIMP")
    rcode_is("opcode 15: NOTIMP", wire.query("www.example.com", "A", opcode=15), "NOTIMP")
    rcode_is("UPDATE: refused", wire.query("example.com", "SOA", opcode=5, flags=0), "NOTIMP", "REFUSED", "NOTAUTH")
    rcode_is("no question: FORMERR", plain[:4] + bytes(8), "FORMERR")
    rcode_is("two questions: FORMERR", plain[:4] + struct.pack("!4H", 2, 0, 0, 0) + plain[12:] * 2, "FORMERR")
    rcode_is("question cut off: FORMERR", plain[:-3], "FORMERR")
    rcode_is("name that points at itself: FORMERR", plain[:12] + b"\xc0\x0c\0\1\0\1", "FORMERR")
    rcode_is("two OPT: FORMERR", wire.query("www.example.com", "A", extra=wire.opt() * 2, counts=(1, 0, 0, 2)), "FORMERR")
    rcode_is("OPT with a cut-off option: FORMERR", wire.query("www.example.com", "A", extra=wire.opt(options=b"\0\x0a\0\xff")), "FORMERR")
    rcode_is("EDNS version 1: BADVERS", wire.query("www.example.com", "A", extra=wire.opt(version=1)), "BADVERS")
    rcode_is("class CH: REFUSED", wire.query("authors.bind", "TXT", klass="CH"), "REFUSED")
    rcode_is("AXFR from a resolver: no", wire.query("example.com", "AXFR"), "REFUSED", "NOTIMP", "NOTAUTH", "FORMERR")
    rcode_is("type OPT as a question: no", wire.query("example.com", "OPT"), "FORMERR", "REFUSED", "NOTIMP")
    rcode_is("type TKEY as a question: no", wire.query("example.com", "TKEY"), "FORMERR", "REFUSED", "NOTIMP")
    rcode_is("eleven octets: silence", plain[:11], None)
    rcode_is("a reply: silence", wire.query("www.example.com", "A", flags=QR | RD), None)
    rcode_is("RD=0 for a name that may be cached: REFUSED", wire.query("www.example.com", "A", flags=0), "REFUSED")

    def version_one():
        got = reply(server, "www.example.com", "A", extra=wire.opt(version=1))
        return got.opt is not None and got.opt["version"] == 0, seen(got)

    def unknown_option():
        got = reply(server, "www.example.com", "A", extra=wire.opt(options=b"\xff\xf0\0\4abcd", do=True))
        good = got.rcode == "NOERROR" and got.opt is not None and got.opt["do"] and got.opt["size"] == 1232
        return good and b"abcd" not in got.data, seen(got)

    def any_type():
        data, _ = ask(server, wire.query("www.example.com", "ANY", extra=wire.opt()))
        got = Reply(data)
        return got.rcode in ("NOERROR", "NOTIMP") and len(data) < 512, seen(got)

    def still_there():
        got = reply(server, "www.example.com", "A")
        return set(got.values("A")) == WWW, seen(got)

    guarded(client, "BADVERS names version 0", version_one)
    guarded(client, "an unknown option is ignored, DO copied, 1232 announced", unknown_option)
    guarded(client, "ANY gets little (RFC 8482)", any_type)
    guarded(client, "after all that, a plain question", still_there)


def hosted_checks(server, client, source, may_recurse):
    def hosted(what, name, rtype, expected, rcode="NOERROR", negative=False):
        def test():
            got = reply(server, name, rtype, source=source)
            soa = [owner for owner, kind, _, _ in got.authority if kind == "SOA"] == ["hosted.example."]
            good = got.rcode == rcode and set(got.values(rtype)) == set(expected) and got.has(AA) and got.has(RA) == may_recurse
            return good and soa == negative, seen(got)

        guarded(client, f"hosted: {what}", test)

    def referral():
        got = reply(server, "x.sub.hosted.example", "A", source=source, flags=0)
        glue = [(owner, value) for owner, _, _, value in got.additional]
        good = got.rcode == "NOERROR" and not got.has(AA) and got.values("NS", "authority") == ["ns.sub.hosted.example."]
        return good and not got.answer and glue == [("ns.sub.hosted.example.", "192.0.2.90")], seen(got)

    def mail():
        got = reply(server, "hosted.example", "MX", source=source)
        extra = [(owner, value) for owner, kind, _, value in got.additional if kind == "A"]
        return got.values("MX") == ["10 mail.hosted.example."] and ("mail.hosted.example.", "192.0.2.25") in extra, seen(got)

    def alias_out():
        got = reply(server, "outside.hosted.example", "A", source=source)
        addresses_wanted = WWW if may_recurse else set()
        good = got.has(AA) and got.rcode == "NOERROR" and got.values("CNAME") == ["www.example.com."]
        return good and set(got.values("A")) == addresses_wanted, seen(got)

    hosted("A", "www.hosted.example", "A", ["192.0.2.80"])
    hosted("letter case", "WWW.Hosted.EXAMPLE", "AAAA", ["2001:db8:c::80"])
    hosted("alias inside", "inside.hosted.example", "A", ["192.0.2.80"])
    hosted("wildcard", "x.y.wild.hosted.example", "A", ["192.0.2.81"])
    hosted("private address of one's own", "lan.hosted.example", "A", ["192.168.7.7"])
    hosted("NODATA", "www.hosted.example", "TXT", [], negative=True)
    hosted("empty non-terminal", "ent.hosted.example", "A", [], negative=True)
    hosted("NXDOMAIN", "missing.hosted.example", "A", [], "NXDOMAIN", negative=True)
    guarded(client, "hosted: MX with its address", mail)
    guarded(client, "hosted: alias to the outside", alias_out)
    guarded(client, "hosted: delegation with glue", referral)


def stranger_checks():
    client = "stranger"

    def refused(name, rtype, **how):
        def test():
            got = reply(LAN, name, rtype, source=STRANGER, timeout=2, **how)
            good = got.rcode == "REFUSED" and not got.has(RA) and not got.has(AA) and not (got.answer or got.authority or got.additional)
            return good, seen(got)

        guarded(client, f"{name} {rtype}: REFUSED, RA=0", test)

    def no_amplifier():
        packet = wire.query("hosted.example", "ANY", extra=wire.opt(4096))
        data, _ = ask(LAN, packet, source=STRANGER)
        return len(data) < 512, f"{len(packet)} octets in, {len(data)} out"

    refused("www.example.com", "A")
    refused("www.example.com", "A", flags=0)
    refused(".", "NS")
    refused("unseen.example.com", "A")
    guarded(client, "ANY is no amplifier", no_amplifier)
    hosted_checks(LAN, client, STRANGER, may_recurse=False)
