"""What is counted is what clients have sent and got: /metrics beside the clients' own count, read by promtool."""

import base64
import collections
import json
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import network
import wire
from asking import LOCAL, LOCAL6, ask, framed, reply, tally, tcp_exchange, until
from authorities import SmallWorld

WEB = "127.0.0.1:8053"
OTHERS = "10.53.0.1"
TYPES = ["A", "AAAA", "MX", "TXT"]


def get(path, host=WEB, at=WEB, **headers):
    """(status, headers, text)"""
    request = urllib.request.Request(f"http://{at}{path}", headers={"Host": host, **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def values(text):
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def total(rows, family, *labels):
    return sum(value for name, value in rows.items() if name.partition("{")[0] == family and all(label in name for label in labels))


def asked(has_ipv6):
    """Asks in many ways; counts by transport and family, type, and response code."""
    by, codes = collections.Counter(), collections.Counter()
    for turn in range(4):
        for name in ("www.hosted.example", "nothing.hosted.example", "hosted.example", "kept.example.net", "nothing.example.net", "localhost"):
            for rtype in TYPES:
                answer = reply(LOCAL, name, rtype)
                by["udp", "ipv4", rtype] += 1
                codes[answer.rcode] += 1
    packets = [framed(wire.query("www.hosted.example", "A", ident=number)) for number in range(50)]
    for answer in tcp_exchange(LOCAL, [b"".join(packets)], len(packets)):
        by["tcp", "ipv4", "A"] += 1
        codes[answer.rcode] += 1
    if has_ipv6:
        answer = reply(LOCAL6, "www.hosted.example", "AAAA")
        by["udp", "ipv6", "AAAA"] += 1
        codes[answer.rcode] += 1
    return by, codes


def metrics_stage(words, Stage):
    if {"ip", "nsd", "promtool"} & set(network.missing_tools(["ip", "nsd", "promtool"])):
        tally.missing.append("promtool (package prometheus)")
        return
    with Stage(words.keep) as stage:
        _, has_ipv6 = stage.small_world(SmallWorld(), {})
        subject = stage.subject("cairn")
        listen = [f"{LOCAL}:53"] + ([f"[{LOCAL6}]:53"] if has_ipv6 else [])
        if not tally.check("start", "answers within 10 s", subject.start(listen), subject.log()):
            return
        counted(has_ipv6)
        forms()
        shipped()
        pages()
        cost(subject)
        strangers()
        with_password(stage, subject)


def counted(has_ipv6):
    before = values(get("/metrics")[2])
    by, codes = asked(has_ipv6)
    expected = sum(by.values())
    # Counters of a batch are written before its replies leave, so that no wait is needed; a walk ends with its reply.
    after = values(get("/metrics")[2])
    grown = lambda family, *labels: total(after, family, *labels) - total(before, family, *labels)
    for (transport, family, rtype), count in sorted(by.items()):
        labels = (f'transport="{transport}"', f'family="{family}"', f'type="{rtype}"')
        have = grown("cairn_queries_total", *labels)
        tally.check("counted", f"queries over {transport}, {family}, {rtype}", have == count, f"{have}, not {count}")
    for rcode, count in sorted(codes.items()):
        have = grown("cairn_answers_total", f'rcode="{rcode}"')
        tally.check("counted", f"answers with {rcode}", have == count, f"{have}, not {count}")
    for family in ("cairn_queries_total", "cairn_answers_total", "cairn_answer_duration_seconds_count"):
        tally.check("counted", f"{family} in all", grown(family) == expected, f"{grown(family)}, not {expected}")
    tally.check("counted", "upstream queries", grown("cairn_upstream_queries_total") > 0)
    replies = grown("cairn_upstream_rtt_seconds_count")
    tally.check("counted", "replies of servers", 0 < replies <= grown("cairn_upstream_queries_total"), replies)
    for part in ("cache", "zones"):
        tally.check("counted", f"memory of {part}", total(after, "cairn_memory_bytes", f'part="{part}"') > 0)
    tally.check("counted", "memory of the process", total(after, "cairn_memory_resident_bytes") > total(after, "cairn_memory_bytes"))
    tally.check("counted", "a worker was busy", grown("cairn_worker_busy_seconds_total", 'worker="0"') > 0)
    tally.check("counted", "the hosted zone", after.get('cairn_zone_served{zone="hosted.example."}') == 1, after)


def forms():
    for accept, kind in (("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
                         ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8")):
        status, headers, text = get("/metrics", Accept=accept)
        tally.check("form", f"{accept}: status and type", (status, headers["Content-Type"]) == (200, kind), headers)
    _, _, text = get("/metrics")
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    tally.check("form", "promtool finds nothing", lint.returncode == 0, lint.stdout + lint.stderr)


# Families that a server has only where there is a list, a certificate, a reason to tell or a limit that was reached.
SOMETIMES = {"cairn_answers_with_ede_total", "cairn_blocked_total", "cairn_certificate_not_after_seconds",
             "cairn_limits_reached_total", "cairn_budgets_spent_total"}


def shipped():
    """The alerts are understood, and they and the dashboard name nothing that no server counts."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "packaging/monitoring"
    lint = subprocess.run(["promtool", "check", "rules", folder / "alerts.yml"], capture_output=True, text=True)
    tally.check("shipped", "promtool understands the alerts", lint.returncode == 0, lint.stdout + lint.stderr)
    counted = {name.partition("{")[0] for name in values(get("/metrics")[2])}
    for file in ("alerts.yml", "grafana.json"):
        named = set(re.findall(r"\bcairn_[a-z0-9_]+", (folder / file).read_text()))
        tally.check("shipped", f"{file}: every number is there", len(named) > 5 and not named - counted - SOMETIMES, named - counted - SOMETIMES)


def pages():
    """The dashboard and the API: a name that fails, its reason, and its explanation."""
    status, headers, page = get("/")
    tally.check("pages", "the dashboard", status == 200 and headers["Content-Type"].startswith("text/html") and "Is it well?" in page, page)
    tally.check("pages", "nothing from elsewhere", "default-src 'none'" in headers["Content-Security-Policy"] and "<script" not in page
                and "http://" not in page and "https://" not in page, headers)
    lines = json.loads(get("/api/v1/explain?name=kept.example.net&type=A")[2])
    tally.check("pages", "an explanation", any(line.get("step") == "answer" for line in lines), lines)
    page = get("/explain?name=kept.example.net&type=A")[2]
    tally.check("pages", "an explanation as a page", "kept.example.net. A" in page and 'class="steps"' in page, page)
    stats, shown = json.loads(get("/api/v1/stats")[2]), values(get("/metrics")[2])
    tally.check("pages", "the numbers are those of /metrics", stats["queries"] == total(shown, "cairn_queries_total") > 0, stats)
    zones = {zone["name"]: zone["state"] for zone in json.loads(get("/api/v1/status")[2])["zones"]}
    tally.check("pages", "the hosted zone", zones.get("hosted.example.") == "served", zones)
    failing = json.loads(get("/api/v1/failing")[2])
    tally.check("pages", "names that failed", all(entry["name"] and entry["count"] > 0 for entry in failing), failing)
    refused = get("/explain?name=kept.example.net", **{"Sec-Fetch-Site": "cross-site"})[0]
    tally.check("pages", "another site explains nothing", refused == 403, refused)


def cost(subject):
    """A scrape is cheap, and the thread that makes it is not a worker. A debug build is several times slower."""
    tasks = pathlib.Path(f"/proc/{subject.process.pid}/task")
    web = [task for task in tasks.iterdir() if (task / "comm").read_text().strip() == "web"]
    spent = lambda: sum(int((task / "schedstat").read_text().split()[0]) for task in web)
    before, scrapes = spent(), 100
    for _ in range(scrapes):
        get("/metrics")
    took_ms = (spent() - before) / scrapes / 1e6
    allowed_ms = 1 if "/release/" in str(subject.binary) else 10
    tally.check("cost", "a scrape", len(web) == 1 and 0 < took_ms < allowed_ms, f"{took_ms:.3f} ms of CPU")


def strangers():
    tally.check("strangers", "a name of another site is refused", get("/metrics", host="rebound.example:8053")[0] == 421)
    tally.check("strangers", "healthz", get("/healthz")[::2] == (200, "ok\n"))
    tally.check("strangers", "readyz", get("/readyz")[::2] == (200, "ready\n"))
    tally.check("strangers", "another page", get("/etc/passwd")[0] == 404)
    try:
        reached = get("/healthz", at=f"{OTHERS}:8053")[0]
    except OSError:
        reached = None
    tally.check("strangers", "nothing at other addresses", reached is None, reached)


def with_password(stage, subject):
    subject.stop()
    secret = stage.folder / "password"
    secret.write_text("open sesame\n")
    config = subject.folder / "open.toml"
    config.write_text(f'[server]\nlisten = ["{LOCAL}:53"]\n[web]\nlisten = ["{OTHERS}:8053"]\n')
    check = subprocess.run([subject.binary, "check", "--config", config], capture_output=True, text=True)
    tally.check("password", "an address of others needs one", check.returncode == 2 and "password-file" in check.stdout + check.stderr,
                f"{check.returncode} {check.stdout}{check.stderr}")
    subject.more = f'[web]\nlisten = ["{OTHERS}:8053"]\npassword-file = "{secret}"\n'
    if not tally.check("password", "starts", subject.start([f"{LOCAL}:53"]), subject.log()):
        return
    at = f"{OTHERS}:8053"
    until(lambda: get("/healthz", at=at)[0] == 200, 5)
    given = lambda password: {"Authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}
    tally.check("password", "missing", get("/metrics", at=at)[0] == 401)
    tally.check("password", "right", get("/metrics", at=at, **given("open sesame"))[0] == 200)
    wrong = [get("/metrics", at=at, **given("guess"))[0] for _ in range(11)]
    tally.check("password", "wrong ten times, then a wait", wrong == [401] * 10 + [429], wrong)
