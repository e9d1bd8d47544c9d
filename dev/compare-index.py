#!/usr/bin/env python3
"""Holds the search index against the log, with nothing of ours but the layout of an id.

    dev/compare-index.py POSTGRES_URL OPENSEARCH_URL [PREFIX]

Reads the log by psql, as an owner or superuser, and the index by search_after; prints each id that only
one of them has, at most 100 of a kind, and how many there are. Ends with 0 when they are equal, 1 when
they differ, 2 when it could not look. For tests that must not trust `audit-log verify-index`.
"""

import hashlib
import json
import subprocess
import sys
import urllib.request
import uuid
from collections import Counter

NAMED_MAX = 100
PAGE_LEN = 5000

LOG = """
    select e.tenant_id, (extract(epoch from e.recorded_at) * 1000)::bigint, e.seq
    from audit_log e
    join log_floor f using (tenant_id)
    where e.seq >= f.floor_seq
"""


def entry_id(tenant, ms, seq, tags={}):
    """48 bits of time, version 7, 12 bits of seq, variant, 28 bits of seq, 34 bits of the tenant's hash."""
    if tenant not in tags:
        digest = hashlib.sha256(uuid.UUID(tenant).bytes).digest()
        tags[tenant] = int.from_bytes(digest[:8], "big") >> 30
    high = ms << 16 | 7 << 12 | seq >> 28
    low = 2 << 62 | (seq & (1 << 28) - 1) << 34 | tags[tenant]
    return str(uuid.UUID(int=high << 64 | low))


def log(url):
    command = ["psql", "-X", "-q", "-A", "-t", "-F", " ", "-v", "ON_ERROR_STOP=1", "-c", LOG, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as psql:
        for line in psql.stdout:
            tenant, ms, seq = line.split()
            yield tenant, int(seq), entry_id(tenant, int(ms), int(seq))
    if psql.returncode:
        sys.exit(2)


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    request.method = "POST"
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def index(url, prefix):
    ask(f"{url}/{prefix}/_refresh")
    body = {
        "size": PAGE_LEN,
        "_source": ["tenant_id", "seq"],
        "track_total_hits": False,
        "sort": [{"tenant_id": "asc"}, {"seq": "asc"}, {"recorded_at": "asc"}],
    }
    while True:
        page = ask(f"{url}/{prefix}/_search?allow_partial_search_results=false", body)
        hits = page["hits"]["hits"]
        for hit in hits:
            yield hit["_source"]["tenant_id"], hit["_source"]["seq"], hit["_id"]
        if len(hits) < PAGE_LEN:
            return
        body["search_after"] = hits[-1]["sort"]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    prefix = sys.argv[3] if len(sys.argv) == 4 else "audit-logs"
    # The index first: what it has, the log has already.
    documents = Counter(index(sys.argv[2].rstrip("/"), prefix))
    entries = Counter(log(sys.argv[1]))
    missing, foreign = entries - documents, documents - entries
    for what, differing in (("missing", missing), ("foreign", foreign)):
        for tenant, seq, found in sorted(differing)[:NAMED_MAX]:
            print(what, tenant, seq, found)
    print(
        f"{entries.total()} entries, {documents.total()} documents,"
        f" {missing.total()} missing, {foreign.total()} foreign"
    )
    sys.exit(1 if missing or foreign else 0)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
