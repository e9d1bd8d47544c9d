"""What Schemathesis cannot make of the document by itself, and where an answer that it would not expect is right."""

import json
import os
import re

import schemathesis

ROLE = os.environ["AUDIT_TEST_CONTRACT_ROLE"]

# Why a request may be refused that its schema allows: code and detail. Words of the document say so; no schema can.
REFUSED = [
    ("invalid_cursor", ""),
    ("cursor_expired", ""),
    ("invalid_query", ""),
    ("confirm_required", ""),
    ("invalid_parameter", "`from`: lies after `to`"),
    ("invalid_parameter", "makes it more than 100 values"),
    ("invalid_parameter", "`raw`: it is for format=csv alone"),
    ("invalid_parameter", "`confirm`: it is for the cleanup itself"),
    ("invalid_parameter", "`tz`: must be the name of an IANA time zone"),
    ("invalid_parameter", "makes more than 5000 buckets"),
]

# The same of a field in a body.
REFUSED_FIELDS = [
    ("time_out_of_range", ""),
    ("too_deep", ""),
    ("number_too_long", ""),
    ("entry_too_large", ""),
    ("unknown_value", "would take more than 24 hours to come back"),
    ("unknown_value", "this instance keeps entries for at least"),
]

# Most of the texts that are made are none of these, and a request that is refused for one shows nothing else.
HARD = {
    "cursor": (re.compile(r"[A-Za-z0-9_-]{20,}"), [None]),
    "q": (re.compile(r"[A-Za-z -]+"), [None, "invoice -draft", "action:UPDATE", "nothing* OR thing"]),
    "confirm": (re.compile(r"[A-Za-z0-9_-]{20,}"), [None]),
    "tz": (re.compile(r"[A-Z][A-Za-z]+(/[A-Z][A-Za-z]+)?"), [None, "UTC", "Asia/Kathmandu", "America/New_York"]),
}


@schemathesis.serializer("application/x-ndjson")
def as_it_is(_context, value):
    """The schema of such a body is a string."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def as_lines(text):
    """A text as NDJSON: an entry for each word."""
    entries = ({"action": "VIEW", "resource_type": "word", "message": word.replace("\0", "")} for word in text.split() or [""])
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Makes the most of a request that is meant to be right."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query = case.query or {}
    for name, (fits, instead) in HARD.items():
        text = query.get(name)
        if isinstance(text, str) and not fits.fullmatch(text) and sum(map(ord, text)) % 8:
            other = instead[len(text) % len(instead)]
            if other is None:
                del query[name]
            else:
                query[name] = other
    if case.media_type == "application/x-ndjson" and isinstance(case.body, str) and '"action"' not in case.body:
        case.body = as_lines(case.body)
    # A stream as events: a WebSocket needs more than a header, and has tests of its own.
    if case.operation.path.endswith("/logs/stream"):
        case.headers = {name: value for name, value in (case.headers or {}).items() if name not in ("Upgrade", "Origin")}
        case.headers["Accept"] = "text/event-stream"


def is_told(problem):
    """Whether the document tells in words that a request that fits its schema may be refused so."""

    def is_among(refused, one):
        return any(one["code"] == code and why in one["detail"] for code, why in refused)

    if problem["code"] in ("invalid_entry", "invalid_tenant"):
        return all(is_among(REFUSED_FIELDS, error) for error in problem["errors"])
    return is_among(REFUSED, problem)


@schemathesis.hook
def filter_failure(context, failure, _case, response):
    """Keeps a failure, unless the answer is right."""
    if failure.code != "ST202":
        return True
    problem = response.json()
    roles = context.operation.definition.raw.get("x-roles", [])
    # An operator needs no tenant, everybody else does.
    if problem["code"] == "invalid_identity" and roles == ["operator"] and ROLE != "operator":
        return False
    return not is_told(problem)
