"""Those who ask the service, for the trials, and who keep count of what it has acknowledged."""

import contextlib
import http.client
import itertools
import json
import threading
import time
import urllib.parse
import uuid

from parts import SECRET
from promises import Wrong, check

# Answers that say that nothing is known, or nothing was done: the same request again, with its key, is safe.
AGAIN = {408, 429, 500, 502, 503, 504}

ANSWERED_WITHIN_S = 60


class Client:
    """Somebody of one tenant, who asks a replica, or one of several in turns."""

    def __init__(self, ports, tenant, role="admin"):
        self.ports = itertools.cycle(ports if isinstance(ports, list) else [ports])
        self.headers = {
            "X-Gateway-Secret": SECRET,
            "X-User-Id": "trial",
            "X-User-Role": role,
            "X-Tenant-Id": tenant,
        }

    def ask(self, method, path, body=None, headers=(), base="/api/v1"):
        """One request; status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", next(self.ports), timeout=35)
        try:
            content = {"Content-Type": "application/json"} if body else {}
            sent = {**self.headers, **content, **dict(headers)}
            connection.request(method, base + path, body=json.dumps(body) if body else None, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, status=200):
        """An answer in JSON, of this status."""
        found, _, body = self.ask("GET", path)
        check(found == status, f"{path}: {found} {body[:300]}")
        return json.loads(body)

    def record(self, name, count, key=None):
        """Records so many entries, again until it is told how it ended: the ids."""
        entries = [{"action": "CREATE", "resource_type": name, "resource_id": str(n)} for n in range(count)]
        key = {"Idempotency-Key": key or str(uuid.uuid4())}
        deadline = time.monotonic() + ANSWERED_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, headers, body = self.ask("POST", "/logs/bulk", entries, key)
                if status == 201:
                    return json.loads(body)["ids"], headers.get("Idempotency-Replayed") == "true"
                check(status in AGAIN, f"{status} {body[:300]}")
            time.sleep(0.05)
        raise Wrong(f"{name} was not recorded within {ANSWERED_WITHIN_S} s")

    def all(self, **parameters):
        """Every entry, upwards, as a walk over all pages finds them."""
        found, cursor = [], None
        while True:
            query = {"order": "asc", "limit": 1000, **parameters, **({"cursor": cursor} if cursor else {})}
            page = self.get("/logs?" + urllib.parse.urlencode(query))
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found


class Writers:
    """Clients that record all the time and keep what was acknowledged, each with a key for each request."""

    def __init__(self, ports, tenants, size=5, make=None):
        self.acknowledged = {tenant: [] for tenant in tenants}
        self.failure, self.longest_s, self.requests = None, 0.0, 0
        self.is_over = threading.Event()
        self.threads = [
            threading.Thread(
                target=self.write, args=(make() if make else Client(ports[n:] + ports[:n], tenant), tenant, size)
            )
            for n, tenant in enumerate(tenants * len(ports))
        ]
        for thread in self.threads:
            thread.start()

    def write(self, client, tenant, size):
        """One of them."""
        while not self.is_over.is_set() and not self.failure:
            begun = time.monotonic()
            try:
                ids, _ = client.record("load", size)
            except Wrong as failure:
                self.failure = failure
                return
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            self.acknowledged[tenant] += ids
            self.requests += 1

    def end(self):
        """Lets each finish its request."""
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure

    def judge(self, port):
        """The logs hold what was acknowledged, once each, and no number is missing."""
        for tenant, ids in self.acknowledged.items():
            entries = Client(port, tenant).all()
            numbers = [entry["seq"] for entry in entries]
            check(numbers == list(range(1, len(numbers) + 1)), "a number is missing")
            held = [entry["id"] for entry in entries if entry["resource_type"] == "load"]
            check(len(held) == len(set(held)) and set(ids) == set(held), f"{len(ids)} acknowledged, {len(held)} held")
