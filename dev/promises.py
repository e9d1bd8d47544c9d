"""What is promised and tried on real parts: said, waited for, and an error when it does not hold."""

import json
import sys
import time
import urllib.request


class Wrong(Exception):
    """A promise that was not kept."""


def check(holds, text):
    """Ends the run unless something holds."""
    if not holds:
        raise Wrong(text)


def say(text):
    """A line of progress."""
    print(f"    {text}", file=sys.stderr, flush=True)


def eventually(holds, within_s, text):
    """Waits until something holds; what it gave."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        check(time.monotonic() < deadline, f"not within {within_s} s: {text}")
        time.sleep(0.1)
    return found


def delete_indices(search_url, prefix):
    """A node holds only so many."""
    with urllib.request.urlopen(f"{search_url}/_cat/indices/{prefix}-*?h=index&format=json", timeout=10) as answer:
        names = [index["index"] for index in json.load(answer)]
    for name in names:
        request = urllib.request.Request(f"{search_url}/{name}", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()
