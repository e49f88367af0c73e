"""The life of the server: reload, a second server, stop, wildcard addresses, no configuration at all."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import wire
from asking import ELSEWHERE6, LAN, LAN6, LOCAL, LOCAL6, WWW, NoReply, ask, guarded, reply, seen, tally, until
from program_checks import run
from wire import Reply

HERE = Path(__file__).resolve().parent


def reload_checks(subject, world):
    client = "reload"

    def new_data():
        text = subject.zone.read_text()
        subject.zone.write_text(text.replace("hostmaster 1 ", "hostmaster 2 ").replace("192.0.2.80", "192.0.2.82"))
        subject.reload()
        ready = until(lambda: reply(LOCAL, "www.hosted.example", "A").values("A") == ["192.0.2.82"], 5)
        return ready, seen(reply(LOCAL, "www.hosted.example", "A"))

    def cache_kept():
        before = reply(LOCAL, "kept.example.net", "A")
        world["leaf2"].stop()
        try:
            subject.reload()
            after = reply(LOCAL, "kept.example.net", "A")
        finally:
            world["leaf2"].start()
        good = before.values("A") == after.values("A") == ["93.184.216.52"] and after.answer[0][2] > 30
        return good and subject.process.poll() is None, f"{seen(before)}, then {seen(after)}"

    def broken_zone():
        good_text = subject.zone.read_text()
        subject.zone.write_text(good_text + "broken IN A 300.1.2.3\n")
        subject.reload()
        got = reply(LOCAL, "www.hosted.example", "A")
        line = f"hosted.example.zone:{len(good_text.splitlines()) + 1}"
        told = until(lambda: line in subject.log(), 3)
        subject.zone.write_text(good_text)
        subject.reload()
        return got.values("A") == ["192.0.2.82"] and told, f"{line} in the log: {told}; {subject.log()[-300:]}"

    guarded(client, "SIGHUP takes over a changed zone", new_data)
    guarded(client, "SIGHUP keeps the cache", cache_kept)
    guarded(client, "a broken zone: the old data stays, the log names the line", broken_zone)


def second_server_checks(subject):
    def second():
        process = subject.run(subject.words([f"{LOCAL}:53"]), log="second")
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "still running"
        text = subject.log("second")
        return code not in (0, "still running") and f"{LOCAL}:53" in text, f"exit {code}: {text}"

    def first_unharmed():
        got = reply(LOCAL, "www.example.com", "A")
        return set(got.values("A")) == WWW, seen(got)

    guarded("start", "a second server on the same port says so and ends", second)
    guarded("start", "the first is not harmed", first_unharmed)


def stop_checks(subject):
    code, seconds = subject.stop()
    detail = f"exit {code} after {seconds:.2f} s: {subject.log()[-300:]}"
    tally.check("stop", "SIGTERM: exit 0 within a second", code == 0 and seconds < 1, detail)


def wildcard_checks(subject, has_ipv6):
    port = 5454
    listen = [f"0.0.0.0:{port}"] + ([f"[::]:{port}"] if has_ipv6 else [])
    if not tally.check("wildcard", "starts", subject.start(listen, port=port), subject.log()[-400:]):
        subject.stop()
        return
    asked = ["127.0.0.1", "127.0.0.9", LAN, "192.0.2.77"] + ([LOCAL6, LAN6, ELSEWHERE6] if has_ipv6 else [])
    for address in asked:

        def from_there(address=address):
            data, peer = ask(address, wire.query("www.example.com", "A"), port)
            return peer == address and set(Reply(data).values("A")) == WWW, f"came from {peer}: {seen(Reply(data))}"

        guarded("wildcard", f"asked at {address}, answered from there", from_there)

    def misses_too():
        data, peer = ask("192.0.2.77", wire.query(f"x{time.time_ns()}.wild.example.com", "A"), port)
        return peer == "192.0.2.77" and Reply(data).values("A") == ["93.184.216.40"], f"came from {peer}"

    guarded("wildcard", "a name that had to be walked for", misses_too)
    stop_checks(subject)


def no_config_checks(subject):
    """Nothing said, port 53 taken: why, how to get it, and 5300 instead."""
    folder = subject.folder / "empty"
    (folder / "zones").mkdir(parents=True)
    shutil.copy(HERE / "world/hosted/hosted.example.zone", folder / "zones")

    def is_localhost(port):
        try:
            return reply(LOCAL, "localhost", "A", port=port, timeout=0.3).values("A") == ["127.0.0.1"]
        except NoReply:
            return False

    def with_53(taken):
        def test():
            holders = []
            if taken:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    holders.append(socket.socket(socket.AF_INET, kind))
                    holders[-1].bind((LOCAL, 53))
                holders[-1].listen()
            port = 5300 if taken else 53
            process = subject.run([subject.binary, "run"], log="bare", cwd=folder)
            try:
                ready = until(lambda: is_localhost(port), 10)
                hosted = ready and reply(LOCAL, "www.hosted.example", "A", port=port).values("A")
                text = subject.log("bare")
                told = not taken or ("5300" in text and f"{LOCAL}:53" in text)
                # No configuration names this folder, so its zones are not served.
                return ready and hosted != ["192.0.2.80"] and told, f"ready {ready}, hosted {hosted}: {text}"
            finally:
                process.terminate()
                process.wait(5)
                for holder in holders:
                    holder.close()

        return test

    def bad_config():
        config = folder / "bad.toml"
        config.write_text("[server]\nlisen = []\n")
        code, text = run(subject.binary, "run", "--config", str(config), timeout=5)
        return code == 2 and "bad.toml:2:1" in text and "listen" in text, f"exit {code}: {text}"

    guarded("start", "no file, no argument: port 53, and no zones of the folder it starts in", with_53(taken=False))
    guarded("start", "no file, port 53 taken: says why, uses 5300", with_53(taken=True))
    guarded("start", "a mistake in the file: place, nearest key, exit 2", bad_config)
