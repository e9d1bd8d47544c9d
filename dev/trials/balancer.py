"""A load balancer before two replicas in jwt mode, beside one in gateway mode: two doors to one installation.

    python dev/trials/balancer.py FOLDER PROGRAM NGINX

nginx runs with docs/nginx.conf. Through it go server-sent events, a WebSocket that rests for longer than nginx waits, so
that heartbeats alone keep it open, an export that proves itself whole, and a writer, while both replicas are replaced
one after the other. What is written at one door is read at the other.
"""

import http.client
import pathlib
import re
import subprocess
import sys
import time
import uuid

import parts
from clients import Client, Writers
from parts import ROOT, Postgres, Service, command, free_port
from promises import check, eventually, say

QUIET_S = 35
ENTRIES = 20_000


class Balancer:
    """nginx, in the foreground, with the example's settings."""

    def __init__(self, program, folder, ports):
        self.port = free_port()
        text = (ROOT / "docs/nginx.conf").read_text()
        for before, after in (("8001", ports[0]), ("8002", ports[1]), ("8080", self.port)):
            text = text.replace(f"127.0.0.1:{before}", f"127.0.0.1:{after}")
        log = folder / "nginx.log"
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Shorter than the rest that the trial takes: only heartbeats keep a stream open.
        text = text.replace("60s;", "20s;")
        path = folder / "nginx.conf"
        path.write_text(
            f"pid {folder}/nginx.pid; daemon off; worker_processes 1; error_log {log};\n"
            f"events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary}\n{text}\n}}\n"
        )
        words = [program, "-c", str(path), "-p", str(folder), "-e", str(log)]
        self.process = subprocess.Popen(words)
        eventually(lambda: parts.port_answers(self.port), 10, f"nginx, see {log}")

    def end(self):
        """Stops it."""
        self.process.terminate()
        self.process.wait(10)


class TokenClient(Client):
    """Somebody with a token."""

    def __init__(self, ports, token):
        super().__init__(ports, "-")
        self.headers = {"Authorization": f"Bearer {token}"}


class Follower:
    """`audit-log tail --json` through the balancer."""

    def __init__(self, program, url, token, folder):
        self.lines = open(folder / "tail.out", "w+", encoding="utf-8")
        environment = {"PATH": parts.os.environ["PATH"], "AUDIT_URL": url, "AUDIT_TOKEN": token}
        self.said = open(folder / "tail.err", "w+", encoding="utf-8")
        words = [program, "tail", "--json"]
        self.process = subprocess.Popen(words, env=environment, stdout=self.lines, stderr=self.said)

    def breaks(self):
        """What it said of connections that broke."""
        self.said.seek(0)
        return [line for line in self.said if "coming back" in line]

    def numbers(self):
        """Of the entries that came."""
        self.lines.seek(0)
        return [int(found) for found in re.findall(r'"seq":(\d+)', self.lines.read())]

    def end(self):
        """Stops it."""
        self.process.terminate()
        self.process.wait(10)


def events_come_at_once(client, inside):
    """Server-sent events are not gathered on their way."""
    port = next(client.ports)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    headers = {**client.headers, "Accept": "text/event-stream"}
    connection.request("GET", "/api/v1/logs/stream", headers=headers)
    answer = connection.getresponse()
    wanted = b"hello"
    for line in answer:
        if line.startswith(b"data:") and wanted in line:
            if wanted == b"at once":
                break
            wanted = b"at once"
            inside.record("at once", 1)
    connection.close()
    say("server-sent events came as they were sent")


def replace_all(services, client, writers):
    """One after the other, while writers write through the balancer."""
    for service in services:
        took = service.stop()
        service.start()
        time.sleep(2)
        check(client.get("/logs?limit=1")["head_seq"] > 0, "nothing is read meanwhile")
        say(f"a replica stopped in {took:.1f} s and came back")
    say(f"{writers.requests} requests; the longest, with its tries, took {writers.longest_s:.1f} s")


def trial(program, folder, balancer, services, gateway, tenant, token):
    """See the module."""
    url = f"http://127.0.0.1:{balancer.port}"
    inside, outside = Client(gateway.port, tenant), TokenClient(balancer.port, token)
    ids, _ = inside.record("at the gateway", 1)
    check(outside.get(f"/logs/{ids[0]}")["resource_type"] == "at the gateway", "not the same log")
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Tenant-Id": str(uuid.uuid4()), "X-User-Role": "operator"}
    status, _, body = outside.ask("POST", "/logs", {"action": "VIEW", "resource_type": "door"}, forged)
    entry = parts.json.loads(body)
    check(status == 201 and entry["tenant_id"] == tenant, body)
    say(f"two doors, one log; ip_address through the balancer, in jwt mode, is {entry['ip_address']}")

    events_come_at_once(outside, inside)
    follower = Follower(program, url, token, folder)
    try:
        time.sleep(QUIET_S)
        first = inside.record("after a rest", 1)[0]
        eventually(lambda: len(follower.numbers()) == 1, 2, f"{first} through a WebSocket that rested for {QUIET_S} s")
        check(not follower.breaks(), follower.breaks())
        say(f"a WebSocket that rested for {QUIET_S} s brought the next entry within 2 s")
        for _ in range(ENTRIES // 1000):
            outside.record("many", 1000)
        settings = {"AUDIT_URL": url, "AUDIT_TOKEN": token}
        command(program, "export", "--output", str(folder / "log.ndjson"), **settings)
        command(program, "export", "--verify", str(folder / "log.ndjson"))
        say("an export came through, and was proven whole")
        writers = Writers([gateway.port], [tenant], make=lambda: TokenClient(balancer.port, token))
        try:
            replace_all(services, outside, writers)
        finally:
            writers.end()
        wanted = [entry["seq"] for entry in outside.all() if entry["resource_type"] != "audit_log"]
        eventually(lambda: follower.numbers()[-1:] == wanted[-1:], 30, "the follower caught up")
        followed = follower.numbers()
        check(followed == [seq for seq in wanted if seq >= followed[0]], "the follower missed or repeated something")
        writers.judge(gateway.port)
        check(follower.breaks(), "no restart was noticed")
        say(f"the follower got each of {len(followed)} entries once, across {len(follower.breaks())} breaks")
    finally:
        follower.end()


def main():
    """Two replicas behind nginx, one behind a gateway."""
    folder, program, nginx = pathlib.Path(sys.argv[1]), *sys.argv[2:4]
    database, tenant, keys = Postgres(folder / "postgres"), str(uuid.uuid4()), str(folder / "keys.json")
    common = {"AUDIT_DATABASE_URL": database.url(), "AUDIT_TENANT_AUTOCREATE": "true"}
    command(program, "migrate", **common)
    command(program, "token", "--new-key", keys)
    words = ("--jwt-jwks", keys, "--tenant", tenant, "--role", "admin")
    token = command(program, "token", *words)[1].split()[0]
    by_token = {**common, "AUDIT_AUTH": "jwt", "AUDIT_JWT_JWKS": keys}
    services, balancer = [], None
    try:
        services += [Service(program, by_token, folder / f"service-{n}.log") for n in (1, 2)]
        services.append(Service(program, {**common, "AUDIT_GATEWAY_SECRET": parts.SECRET}, folder / "service-3.log"))
        balancer = Balancer(nginx, folder, [service.port for service in services[:2]])
        trial(program, folder, balancer, services[:2], services[2], tenant, token)
    finally:
        for part in [*services, *([balancer] if balancer else [])]:
            part.end()


main()
