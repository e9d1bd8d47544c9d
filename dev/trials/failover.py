"""A failover of PostgreSQL under load, to a standby that confirms every commit, or to one that fell behind.

    python dev/trials/failover.py FOLDER PROGRAM synchronous|behind

The service reaches PostgreSQL by an address that is led to the standby after the primary has been lost, as a virtual
address or a managed database's name is. Clients send each request again, with its key, until it is answered. With
`synchronous` nothing may be lost; with `behind`, which PostgreSQL calls asynchronous, what the standby had not received
is, and the service must say so.
"""

import os
import pathlib
import sys
import time
import urllib.parse
import uuid

import parts
from clients import Client, Writers
from parts import Postgres, Proxy, Service, command
from promises import check, eventually, say

UNDER_LOAD_S = 3


class Standby:
    """A second cluster that follows the first."""

    def __init__(self, primary):
        self.primary, self.port = primary, parts.free_port()
        self.line = Proxy(primary.port)
        self.data = primary.folder / "standby"
        settings, words = primary.admin()
        connection = f"host=127.0.0.1 port={self.line.port} user=postgres password={settings['PGPASSWORD']}"
        primary.program("pg_basebackup", *words, "-D", self.data, "-c", "fast", "-R", **settings)
        with open(self.data / "postgresql.auto.conf", "a", encoding="ascii") as file:
            file.write(f"primary_conninfo = '{connection}'\n")
        primary.own(self.data)
        self.control("start", "-w", "-l", str(primary.folder / "server.log"), "-o", f"-p {self.port}")

    def follow(self, kind):
        """Waits until it does, and confirms each commit if it is to."""
        primary = self.primary
        eventually(self.follows, 30, "the standby follows")
        if kind == "behind":
            return
        primary.sql("alter system set synchronous_standby_names = '*'")
        primary.sql("select pg_reload_conf()")
        eventually(lambda: self.state() == "sync", 30, "the standby confirms commits")

    def state(self):
        """What the primary says of it."""
        return self.primary.sql("select sync_state from pg_stat_replication")

    def follows(self):
        """Whether it streams."""
        return self.primary.sql("select state from pg_stat_replication") == "streaming"

    def control(self, *words):
        """pg_ctl, as the user that runs the server."""
        user = ["runuser", "-u", self.primary.folder.owner(), "--"] if os.getuid() == 0 else []
        done = parts.subprocess.run(
            [*user, f"{self.primary.bin}/pg_ctl", "-D", str(self.data), *words],
            cwd="/",
            stdout=parts.subprocess.DEVNULL,
            stderr=parts.subprocess.PIPE,
            text=True,
            check=False,
        )
        check(done.returncode == 0, f"pg_ctl {words[0]}: {done.stderr}")


def fail_over(database, standby, proxy, writers):
    """Loses the primary without a word, and takes the standby."""
    begun = time.monotonic()
    database.kill()
    standby.control("promote", "-w")
    proxy.lead_to(standby.port)
    promoted = time.monotonic() - begun
    said = writers.requests
    eventually(lambda: writers.requests > said, 30, "a request is answered")
    say(f"the standby was primary after {promoted:.1f} s, the first commit came after {time.monotonic() - begun:.1f} s")
    time.sleep(UNDER_LOAD_S)


def is_told(port, tenant, cursors):
    """Numbers count up without a gap, and whoever saw what is lost hears of it."""
    client = Client(port, tenant)
    numbers = [entry["seq"] for entry in client.all()]
    check(numbers == list(range(1, len(numbers) + 1)), "a number is missing")
    asked = f"/logs?order=asc&cursor={urllib.parse.quote(cursors[tenant])}"
    problem = client.get(asked, 409)
    check(problem["code"] == "history_changed", problem)


def behind(database, standby, proxy, writers, port):
    """The line to the standby breaks a second before the primary is lost."""
    time.sleep(UNDER_LOAD_S)
    standby.line.lead_to(parts.free_port())
    time.sleep(1)
    cursors = {tenant: Client(port, tenant).get("/logs?limit=1")["live_cursor"] for tenant in writers.acknowledged}
    fail_over(database, standby, proxy, writers)
    writers.end()
    lost = 0
    for tenant, ids in writers.acknowledged.items():
        held = {entry["id"] for entry in Client(port, tenant).all()}
        lost += len(set(ids) - held)
        is_told(port, tenant, cursors)
    check(lost > 0, "the standby was not behind")
    say(f"{lost} acknowledged entries were lost with the primary; cursors that had seen them get 409 history_changed")


def synchronous(database, standby, proxy, writers, port):
    """Every commit that was acknowledged is there."""
    time.sleep(UNDER_LOAD_S)
    fail_over(database, standby, proxy, writers)
    writers.end()
    writers.judge(port)
    say(f"{writers.requests} requests, each written once; the longest, with its tries, took {writers.longest_s:.1f} s")


def main():
    """See the module."""
    folder, program, kind = pathlib.Path(sys.argv[1]), *sys.argv[2:4]
    database = Postgres(folder / "postgres")
    proxy = Proxy(database.port)
    settings = {
        "AUDIT_DATABASE_URL": database.url(proxy.port),
        "AUDIT_GATEWAY_SECRET": parts.SECRET,
        "AUDIT_TENANT_AUTOCREATE": "true",
    }
    command(program, "migrate", **settings)
    standby = Standby(database)
    services = []
    try:
        standby.follow(kind)
        services += [Service(program, settings, folder / f"service-{n}.log") for n in (1, 2)]
        writers = Writers([service.port for service in services], [str(uuid.uuid4()) for _ in range(2)])
        try:
            trial = {"synchronous": synchronous, "behind": behind}[kind]
            trial(database, standby, proxy, writers, services[0].port)
        finally:
            writers.end()
    finally:
        for service in services:
            service.end()
        standby.control("stop", "-m", "immediate")


main()
