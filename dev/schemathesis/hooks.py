"""What Schemathesis cannot read in the document: how NDJSON is written."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson", "text/csv", "text/event-stream")
def as_text(_context, value):
    """The schema of such a body is a string: what is made of it goes as it is."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        value = json.dumps(value)
    return value.encode("utf-8", "surrogatepass")
