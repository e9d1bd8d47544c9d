"""An upgrade under load: an old and a new program on one database, with the Lambda that was there before.

    python dev/trials/upgrade.py FOLDER OLD NEW ZIP SEARCH_URL

Two old replicas serve writers that send each request again, with its key, until it is answered. The new program
migrates the schema, one replica is replaced, both versions serve side by side, the second is replaced; then one goes
back to the old version on the new schema, and forward again. No client may see a failure, and log and index hold what
was acknowledged, once.
"""

import functools
import pathlib
import sys
import time
import uuid

import parts
from clients import Client, Writers
from parts import Postgres, Service, command
from promises import check, delete_indices, eventually, say

BESIDE_S = 3
INDEXED_WITHIN_S = 60


def serve(services, program, place):
    """Replaces one replica as a rolling deploy does."""
    took = services[place].stop()
    services[place].start(program)
    say(f"replica {place + 1} stopped in {took:.1f} s and runs {pathlib.Path(program).name}")
    time.sleep(BESIDE_S)


def roll(services, old, new, settings, tenants, writers):
    """Forwards, back, forwards."""
    time.sleep(BESIDE_S)
    begun, before = time.monotonic(), writers.longest_s
    _, said = command(new, "migrate", **settings)
    say(f"migrated in {time.monotonic() - begun:.1f} s: {said.strip().splitlines()[-1][:120]}")
    for place, program in ((0, new), (1, new), (0, old), (0, new)):
        serve(services, program, place)
        for service in services:
            for tenant in tenants:
                page = Client(service.port, tenant).get("/logs?limit=100")
                check(len(page["data"]) == 100, "a page is not whole")
    say(f"the longest request, with its tries: {writers.longest_s:.2f} s, before the migration {before:.2f} s")


def main():
    """See the module."""
    folder, old, new, zip_path, search_url = pathlib.Path(sys.argv[1]), *sys.argv[2:6]
    prefix = f"t-{uuid.uuid4().hex}"
    database = Postgres(folder / "postgres")
    settings = parts.settings(folder, database.url(), zip_path, search_url, prefix)
    command(old, "migrate", **settings)
    services = [Service(old, settings, folder / f"service-{n}.log") for n in (1, 2)]
    tenants = [str(uuid.uuid4()) for _ in range(2)]
    try:
        before = database.sql("select count(*) from _sqlx_migrations")
        writers = Writers([service.port for service in services], tenants)
        try:
            roll(services, old, new, settings, tenants, writers)
        finally:
            writers.end()
        after = database.sql("select count(*) from _sqlx_migrations")
        writers.judge(services[0].port)
        say(f"{before} migrations became {after}; {writers.requests} requests, none failed, each written once")
        verify = ("verify-index", "--settling-s", "0")
        is_the_log = functools.partial(command, new, *verify, codes=(0, 3), **settings)
        eventually(lambda: is_the_log()[0] == 0, INDEXED_WITHIN_S, "the index is the log")
        say("the index, filled by the Lambda that was there before, is the log")
    finally:
        for service in services:
            service.end()
        delete_indices(search_url, prefix)


main()
