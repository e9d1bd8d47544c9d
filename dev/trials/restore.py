"""A point-in-time restore, with everything running: what becomes of cursors, streams, keys and the index.

    python dev/trials/restore.py FOLDER PROGRAM ZIP SEARCH_URL

Entries A are recorded, a base backup is made, B are recorded, then C. PostgreSQL is killed and set back to the moment
between B and C, from the backup, the archived WAL and what the crash has left of it. One replica is stopped
meanwhile, the other stays up.
"""

import http.client
import json
import pathlib
import shutil
import sys
import threading
import urllib.parse
import urllib.request
import uuid

import parts
from clients import Client
from parts import Postgres, Service, command
from promises import check, delete_indices, eventually, say

TENANT = str(uuid.uuid4())
FRAMES_WITHIN_S = 20


class Watcher:
    """A stream of server-sent events, from a cursor or from now on, for as long as it lasts."""

    def __init__(self, port, cursor=None):
        self.frames = []
        query = f"?cursor={urllib.parse.quote(cursor)}" if cursor else ""
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {**Client(port, TENANT, "auditor").headers, "Accept": "text/event-stream"}
        self.connection.request("GET", f"/api/v1/logs/stream{query}", headers=headers)
        self.answer = self.connection.getresponse()
        check(self.answer.status == 200, f"stream: {self.answer.status}")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Keeps each frame."""
        try:
            for line in self.answer:
                if line.startswith(b"data:"):
                    self.frames.append(json.loads(line[5:]))
        except (OSError, http.client.HTTPException, ValueError):
            pass

    def ids(self):
        """Of the entries that came."""
        return {frame["data"]["id"] for frame in self.frames if frame["type"] == "log"}

    def gaps(self):
        """What it was told that is void."""
        return [frame for frame in self.frames if frame["type"] == "gap"]


class Backup:
    """Archived WAL and a base backup, as PostgreSQL's manual describes them."""

    def __init__(self, database):
        self.database = database
        self.archive = database.folder / "archive"
        self.base = database.folder / "base"
        self.archive.mkdir()
        database.own(self.archive)
        archive = f"test ! -f {self.archive}/%f && cp %p {self.archive}/%f"
        database.sql("alter system set archive_mode = on")
        database.sql(f"alter system set archive_command = '{archive}'")
        database.stop()
        database.start()

    def take(self):
        """The base backup, while the service writes."""
        settings, words = self.database.admin()
        self.database.program(
            "pg_basebackup", *words, "-D", self.base, "-c", "fast", "-X", "none", "--no-manifest", **settings
        )

    def rescue(self):
        """Brings the WAL that the crash kept from the archive to where recovery looks for it."""
        segments = self.database.folder / "data" / "pg_wal"
        missing = [
            segment
            for segment in sorted(segments.iterdir())
            if segment.is_file() and not (self.archive / segment.name).exists()
        ]
        check(missing, "all WAL was archived: nothing is tried here")
        for segment in missing:
            shutil.copy2(segment, self.archive)
        self.database.own(self.archive)

    def restore(self, moment):
        """Loses the cluster in a crash, and puts the one of that moment in its place."""
        database = self.database
        database.kill()
        self.rescue()
        (database.folder / "data").rename(database.folder / "data.lost")
        self.base.rename(database.folder / "data")
        data = database.folder / "data"
        with open(data / "postgresql.auto.conf", "a", encoding="ascii") as file:
            file.write(f"restore_command = 'cp {self.archive}/%f %p'\n")
            file.write(f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n")
        (data / "recovery.signal").touch()
        owner = (database.folder / "data.lost").stat()
        for place in [data, *data.rglob("*")]:
            shutil.chown(place, owner.st_uid, owner.st_gid)
        data.chmod(0o700)
        database.start()
        eventually(lambda: database.sql("select pg_is_in_recovery()") == "f", 30, "recovery is over")


def names(entries):
    """How many there are of each kind, our own left out."""
    kinds = [entry["resource_type"] for entry in entries]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds)) if kind != "audit_log"}


def search(client, wanted):
    """A search for everything finds these and nothing else, whatever the index holds."""
    found, cursor = [], None
    while True:
        query = {"limit": 1000, "q": "action:CREATE", **({"cursor": cursor} if cursor else {})}
        page = client.get("/logs/search?" + urllib.parse.urlencode(query))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    check(names(found) == wanted, f"search found {names(found)}, not {wanted}")
    return page["index"]


def documents(search_url, prefix, kind):
    """How many the index itself has of a kind."""
    body = json.dumps({"query": {"term": {"resource_type": kind}}}).encode()
    for path in ("_refresh", "_count"):
        request = urllib.request.Request(
            f"{search_url}/{prefix}/{path}", body if path == "_count" else b"", {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
    return found["count"]


def main():
    """See the module."""
    folder, program, zip_path, search_url = pathlib.Path(sys.argv[1]), *sys.argv[2:5]
    prefix = f"t-{uuid.uuid4().hex}"
    database = Postgres(folder / "postgres")
    backup = Backup(database)
    # Its own comparison would mend what this is to find.
    repair = {"AUDIT_REPAIR_PERIOD_S": "3600", "AUDIT_REPAIR_FULL_PERIOD_S": "43200"}
    settings = {**parts.settings(folder, database.url(), zip_path, search_url, prefix), **repair}
    command(program, "migrate", **settings)
    services = [Service(program, settings, folder / f"service-{n}.log") for n in (1, 2)]
    try:
        trial(database, backup, services, settings, search_url, prefix)
    finally:
        for service in services:
            service.end()
        delete_indices(search_url, prefix)


def trial(database, backup, services, settings, search_url, prefix):
    """Before, the loss, after."""
    stopped, running = services
    client = Client(running.port, TENANT)
    client.record("a", 300)
    backup.take()
    client.record("b", 200, key="before")
    kept = {entry["id"] for entry in client.all()}
    moment = database.sql("select clock_timestamp()")
    watcher = Watcher(running.port)
    lost, _ = client.record("c", 100, key="after")
    eventually(lambda: documents(search_url, prefix, "c") == 100, 30, "C in the index")
    eventually(lambda: watcher.ids() >= set(lost), FRAMES_WITHIN_S, "C on the stream")
    page = client.get("/logs?limit=10")
    say("A and B before the moment, C after it: recorded, indexed, streamed")

    took = stopped.stop()
    backup.restore(moment)
    eventually(running.is_ready, 30, "the replica that stayed up is ready")
    say(f"PostgreSQL is set back; one replica was stopped ({took:.1f} s), the other stayed up")
    index(running, settings, search_url, prefix)
    stopped.start()
    after(database, services, page, lost, kept, watcher)
    eventually(lambda: verify(running, settings)[0] == 0, 30, "the index is the log")
    for service in services:
        search(Client(service.port, TENANT), {"a": 300, "b": 200, "c": 100, "d": 50})
    check(documents(search_url, prefix, "c") == 100, "the index has C twice, or not")
    say("what came since lies in the index, and the index is the log")


def after(database, services, page, lost, kept, watcher):
    """What clients see of it."""
    for service in services:
        client = Client(service.port, TENANT)
        held = client.all()
        check(names(held) == {"a": 300, "b": 200}, f"the log holds {names(held)}")
        check(kept <= {entry["id"] for entry in held}, "an entry from before the moment is gone")
        check(client.ask("GET", f"/logs/{lost[0]}")[0] == 404, "an entry of C can still be read")
        for cursor, rest in ((page["next_cursor"], {"limit": 10}), (page["live_cursor"], {"order": "asc"})):
            problem = client.get("/logs?" + urllib.parse.urlencode({"cursor": cursor, **rest}), 409)
            check(problem["code"] == "history_changed", problem)
        search(client, {"a": 300, "b": 200})
        ids, replayed = client.record("b", 200, key="before")
        check(replayed and set(ids) <= kept, "a key from before the moment was not known")
        resumed = Watcher(service.port, page["live_cursor"])
        eventually(resumed.gaps, FRAMES_WITHIN_S, "a gap on a stream that comes back")
        check(resumed.gaps()[0]["reason"] == "history_changed", resumed.gaps())
    say("A and B are there, C is not; cursors that have seen C get 409, streams a gap, old keys their old answer")

    client = Client(services[1].port, TENANT)
    ids, replayed = client.record("c", 100, key="after")
    check(not replayed and not set(ids) & set(lost), "C was not recorded anew")
    client.record("d", 50)
    eventually(watcher.gaps, FRAMES_WITHIN_S, "a gap on the stream that stayed open")
    check(watcher.gaps()[0]["reason"] == "history_changed", watcher.gaps())
    head = client.get("/logs?limit=1")["head_seq"]
    eventually(lambda: watcher.ids() >= set(ids), FRAMES_WITHIN_S, "what came since on the stream")
    check(len(database.sql("select value from audit_meta where name = 'installation'")) == 36, "an installation")
    say(f"C sent again with its keys is recorded anew; the stream that stayed open heard of it (head {head})")


def verify(service, settings, *words, codes=(0, 3)):
    """The command; its exit code, and what it found."""
    words = ("verify-index", "--json", "--settling-s", "0", *words)
    code, said = command(service.program, *words, codes=codes, **settings)
    return code, said


def index(service, settings, search_url, prefix):
    """The index holds what never was; searches do not show it, and one command takes it away."""
    check(documents(search_url, prefix, "c") == 100, "the index has lost C by itself")
    search(Client(service.port, TENANT), {"a": 300, "b": 200})
    for words, code in (((), 3), (("--repair",), 4)):
        _, said = verify(service, settings, *words, codes=(code,))
        found = json.loads(said.splitlines()[0])
        check((found["missing"]["count"], found["foreign"]["count"]) == (0, 100), said)
    check(verify(service, settings)[0] == 0, "the index is not the log")
    check(documents(search_url, prefix, "c") == 0, "the index still has C")
    say("verify-index named C's 100 documents (code 3), --repair deleted them (code 4); searches never showed them")


main()
