"""Makes the way from the log to the index in an emulator of AWS: a queue, its dead-letter queue, the function
that indexes, and the event source mapping between them.

LocalStack runs it when it is ready, in its own process; `dev/emulator.sh fan-out` runs it with the emulator's
Python. It may be run again: what is there is brought up to date, what is the same is left alone. Standard
output gets one line, the queue's URL.

AUDIT_FANOUT_QUEUE         of the queue; its dead-letter queue has -dead behind it
AUDIT_FANOUT_VISIBILITY_S  how long a message waits for its next try (default: 6 times the function's time-out)
AUDIT_FANOUT_RECEIVES_MAX  tries before a message goes to the dead-letter queue
AUDIT_FANOUT_FUNCTION      of the function
AUDIT_FANOUT_ZIP           its code, with `bootstrap` in it; unset: queues only
AUDIT_FANOUT_TIMEOUT_S     how long one call may take
AUDIT_FANOUT_MEMORY_MIB    what it gets; AWS gives processor time in proportion
AUDIT_FANOUT_BATCH         messages in one call, 1 to 10
AUDIT_FANOUT_WINDOW_S      how long a call may be held back to become fuller; 0: not at all
AUDIT_FANOUT_CALLS_MAX     calls at the same time, 2 to 1000

Every AUDIT_SEARCH_… and AUDIT_LOG_… variable is handed to the function.
"""

import base64
import hashlib
import json
import os
import platform
import sys
import time

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

# Longer than AWS takes to enable a mapping.
ENABLED_WITHIN_S = 120

# What a message may hold at most, in bytes: as much as SQS takes.
MESSAGE_BYTES_MAX = 1 << 20

# What we read of the family; another name in it is a mistake that would otherwise go unnoticed.
SETTINGS = {
    f"AUDIT_FANOUT_{name}"
    for name in (
        "QUEUE VISIBILITY_S RECEIVES_MAX FUNCTION ZIP TIMEOUT_S MEMORY_MIB BATCH WINDOW_S CALLS_MAX"
    ).split()
}

# Dead letters are for inspection: as long as SQS keeps anything.
DEAD_LETTERS_KEPT_S = 14 * 86_400


def setting(name, default):
    """A variable's value; one that is empty is unset."""
    return os.environ.get(name) or default


def client(service):
    """A client of the emulator, and never of anything else."""
    return botocore.session.Session().create_client(
        service,
        region_name=setting("AWS_REGION", setting("AWS_DEFAULT_REGION", "us-east-1")),
        endpoint_url=setting("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        aws_access_key_id=setting("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=setting("AWS_SECRET_ACCESS_KEY", "test"),
        config=Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 5}),
    )


def is_missing(error):
    """Whether a call failed because what it names is not there."""
    code = error.response["Error"]["Code"]
    return "NotFound" in code or "NonExistent" in code


def say(text):
    """A line of progress."""
    print(f"fan-out: {text}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- queues


def make_queue(sqs, name, attributes):
    """Makes a queue, or gives the one of that name these attributes; its URL and its ARN."""
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    except ClientError as error:
        if not is_missing(error):
            raise
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def make_queues(sqs, timeout_s):
    """The queue and where its messages go that cannot be indexed; URL and ARN of the first."""
    name = setting("AUDIT_FANOUT_QUEUE", "audit-logs")
    # A message that comes back while its first call still runs would be indexed twice for nothing.
    visibility_s = int(setting("AUDIT_FANOUT_VISIBILITY_S", 6 * timeout_s))
    receives_max = int(setting("AUDIT_FANOUT_RECEIVES_MAX", 5))
    _, dead_arn = make_queue(
        sqs, f"{name}-dead", {"MessageRetentionPeriod": str(DEAD_LETTERS_KEPT_S)}
    )
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": receives_max}
    url, arn = make_queue(
        sqs,
        name,
        {
            "VisibilityTimeout": str(visibility_s),
            "MaximumMessageSize": str(MESSAGE_BYTES_MAX),
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    say(f"queue {name}: {receives_max} tries, {visibility_s} s apart, then {name}-dead")
    return url, arn


# ---------------------------------------------------------------- function


def handed_on():
    """What of our environment the function gets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("AUDIT_SEARCH_", "AUDIT_LOG_", "OTEL_EXPORTER_OTLP_", "OTEL_TRACES_")) and value
    }


def configuration(timeout_s):
    """What the function is given besides its code."""
    return {
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Role": "arn:aws:iam::000000000000:role/audit-log-indexer",
        "Timeout": timeout_s,
        "MemorySize": int(setting("AUDIT_FANOUT_MEMORY_MIB", 512)),
        "Environment": {"Variables": handed_on()},
    }


def find_function(functions, name):
    """What a function is made of now, or None."""
    try:
        return functions.get_function_configuration(FunctionName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def make_function(functions, name, code, timeout_s):
    """Makes the function, or brings it up to date; a call under way is not disturbed by what stays the same."""
    wanted = configuration(timeout_s)
    found = find_function(functions, name)
    if found is None:
        machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
        functions.create_function(
            FunctionName=name, Code={"ZipFile": code}, Architectures=[machine], **wanted
        )
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        say(f"function {name}: made, {len(code) >> 10} KiB, {timeout_s} s a call")
        return
    if found["CodeSha256"] != base64.b64encode(hashlib.sha256(code).digest()).decode():
        functions.update_function_code(FunctionName=name, ZipFile=code)
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
        say(f"function {name}: new code, {len(code) >> 10} KiB")
    if any(found.get(key) != value for key, value in wanted.items()):
        functions.update_function_configuration(FunctionName=name, **wanted)
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
        say(f"function {name}: new settings")


# ---------------------------------------------------------------- mapping


def make_mapping(functions, function, queue_arn):
    """Makes the mapping from the queue to the function, or brings it up to date; its id."""
    wanted = {
        "BatchSize": int(setting("AUDIT_FANOUT_BATCH", 10)),
        "MaximumBatchingWindowInSeconds": int(setting("AUDIT_FANOUT_WINDOW_S", 0)),
        # The function says which messages failed; the others are done.
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": int(setting("AUDIT_FANOUT_CALLS_MAX", 5))},
    }
    there = functions.list_event_source_mappings(EventSourceArn=queue_arn, FunctionName=function)
    if not there["EventSourceMappings"]:
        made = functions.create_event_source_mapping(
            EventSourceArn=queue_arn, FunctionName=function, Enabled=True, **wanted
        )
        return made["UUID"]
    found = there["EventSourceMappings"][0]
    if found["State"] != "Enabled" or any(found.get(key) != value for key, value in wanted.items()):
        functions.update_event_source_mapping(
            UUID=found["UUID"], FunctionName=function, Enabled=True, **wanted
        )
    return found["UUID"]


def await_enabled(functions, mapping):
    """Waits until the mapping takes messages: what is sent before that only waits, but a test would, too."""
    deadline = time.monotonic() + ENABLED_WITHIN_S
    while True:
        state = functions.get_event_source_mapping(UUID=mapping)["State"]
        if state == "Enabled":
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the event source mapping is still {state} after {ENABLED_WITHIN_S} s")
        time.sleep(0.2)


# ---------------------------------------------------------------- all of it


def main():
    """Everything, in the order in which one needs the other."""
    unknown = {name for name in os.environ if name.startswith("AUDIT_FANOUT_")} - SETTINGS
    if unknown:
        raise RuntimeError(f"unknown settings: {', '.join(sorted(unknown))}")
    timeout_s = int(setting("AUDIT_FANOUT_TIMEOUT_S", 30))
    queue_url, queue_arn = make_queues(client("sqs"), timeout_s)
    code = setting("AUDIT_FANOUT_ZIP", "")
    if code:
        functions = client("lambda")
        function = setting("AUDIT_FANOUT_FUNCTION", "audit-log-indexer")
        with open(code, "rb") as file:
            make_function(functions, function, file.read(), timeout_s)
        mapping = make_mapping(functions, function, queue_arn)
        await_enabled(functions, mapping)
        say(f"function {function} takes from the queue")
    else:
        say("AUDIT_FANOUT_ZIP is not set: no function")
    print(queue_url, flush=True)


main()
