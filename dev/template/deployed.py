"""Deploys the templates of docs/aws/ to an emulator of AWS whose rights count, and looks at what came of it.

    python dev/template/deployed.py ROOT ENDPOINT ZIP SEARCH_URL

Queues, function and mapping are those that localstack/ready.d/fan-out.py makes, but for what is named here; a message
goes through to OpenSearch; each role may do what it needs and nothing near it; and whatever a caller sends, the service
hears of him only what his token says. Exit code 1 at the first thing that is not so.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.error
import urllib.request

import gateway
from aws import Aws, Stack, denied
from promises import check, delete_indices, eventually, say

# What fan-out.py, for emulators, leaves to AWS.
ONLY_IN_TEMPLATE = {"SqsManagedSseEnabled", "RedriveAllowPolicy", "Policy"}

# What differs by name or by time.
OF_ITS_OWN = {"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "RedrivePolicy"}
NUMBERS = re.compile("ApproximateNumberOf.*")

FUNCTION_SETTINGS = ("Runtime", "Handler", "Timeout", "MemorySize", "Architectures", "CodeSha256")
MAPPING_SETTINGS = (
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FunctionResponseTypes",
    "ScalingConfig",
    "State",
)

INDEXED_WITHIN_S = 20


def run_script(root, aws, name, zip_path, search_url):
    """What the emulators' script makes, with its own defaults."""
    settings = {
        "AUDIT_FANOUT_QUEUE": f"{name}-script",
        "AUDIT_FANOUT_FUNCTION": f"{name}-script",
        "AUDIT_FANOUT_ZIP": zip_path,
        "AUDIT_SEARCH_URL": search_url,
    }
    # Where rights count, the role that the script names must be there.
    aws.make_role("audit-log-indexer", "lambda.amazonaws.com")
    script = [sys.executable, str(root / "localstack/ready.d/fan-out.py")]
    environment = {"PATH": os.environ["PATH"], **aws.environment(), **settings}
    subprocess.run(script, env=environment, check=True, stdout=subprocess.DEVNULL)
    return f"{name}-script"


def queue_settings(aws, name):
    """A queue's attributes without what is its own."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(found.get("RedrivePolicy", "{}"))
    left = OF_ITS_OWN | ONLY_IN_TEMPLATE
    settings = {key: found[key] for key in found if key not in left and not NUMBERS.match(key)}
    settings["tries"] = int(redrive.get("maxReceiveCount", 0))
    settings["dead letters to"] = redrive.get("deadLetterTargetArn", "").rpartition(":")[2].replace(name, "NAME")
    return settings


def fan_out_settings(aws, queue, function):
    """All that decides how entries get from the log to the index."""
    functions = aws.client("lambda")
    made = functions.get_function_configuration(FunctionName=function)
    mappings = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    check(len(mappings) == 1, f"{function} has one mapping, not {len(mappings)}")
    return {
        "queue": queue_settings(aws, queue),
        "dead letters": queue_settings(aws, f"{queue}-dead"),
        "function": {key: made.get(key) for key in FUNCTION_SETTINGS},
        "mapping": {key: mappings[0].get(key) for key in MAPPING_SETTINGS},
    }


def settings_are_the_scripts(root, aws, name, zip_path, search_url):
    """One comparison of all settings, as both have really been made."""
    script = run_script(root, aws, name, zip_path, search_url)
    wanted = fan_out_settings(aws, script, script)
    found = fan_out_settings(aws, name, f"{name}-indexer")
    for part in wanted:
        check(found[part] == wanted[part], f"the {part}: template {found[part]}, fan-out.py {wanted[part]}")
    say("queues, function and mapping are as fan-out.py makes them")


def queues_are_kept(aws, stack):
    """Encrypted, and the dead-letter queue takes from the one queue alone."""
    sqs = aws.client("sqs")
    for output in ("QueueUrl", "DeadLettersUrl"):
        asked = sqs.get_queue_attributes(QueueUrl=stack[output], AttributeNames=["All"])
        found = asked["Attributes"]
        check(found.get("SqsManagedSseEnabled") == "true", f"{output} is encrypted")
        plain = aws.client("sqs", is_encrypted=False)
        denied(lambda: plain.get_queue_attributes(QueueUrl=stack[output], AttributeNames=["All"]))
    allowed = json.loads(found["RedriveAllowPolicy"])["sourceQueueArns"]
    check(len(allowed) == 1 and allowed[0].endswith(":" + stack["QueueUrl"].rpartition("/")[2]), allowed)
    say("queues are encrypted, at rest and on the way, and dead letters come from the queue alone")


def message_goes_through(root, aws, stack, search_url, prefix):
    """What is sent with the service's rights lies in the index soon after: a message, and one of a newer service."""
    wanted = set()
    for path in sorted((root / "domain/tests/golden").glob("message-v1*.json")):
        message = path.read_text().strip()
        wanted |= {entry["id"] for entry in json.loads(message)["entries"]}
        stack.act("ServiceRoleArn", "sqs").send_message(QueueUrl=stack["QueueUrl"], MessageBody=message)

    def indexed():
        with contextlib.suppress(urllib.error.HTTPError):
            with urllib.request.urlopen(f"{search_url}/{prefix}/_search?size=100", timeout=5) as answer:
                return {hit["_id"] for hit in json.load(answer)["hits"]["hits"]} == wanted
        return False

    eventually(indexed, INDEXED_WITHIN_S, f"{len(wanted)} entries in the index")
    say(f"{len(wanted)} entries went through queue and function into the index")


def roles_keep_to_themselves(aws, stack):
    """Each call that a role needs is let through, and what lies beside it is not."""
    queue, dead = stack["QueueUrl"], stack["DeadLettersUrl"]
    body = {"QueueUrl": dead, "MessageBody": "x"}
    taking = {"QueueUrl": queue, "MaxNumberOfMessages": 1}
    service, function = stack.act("ServiceRoleArn", "sqs"), stack.act("FunctionRoleArn", "sqs")
    service.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    for refused in (
        lambda: service.receive_message(**taking),
        lambda: service.purge_queue(QueueUrl=queue),
        lambda: service.delete_queue(QueueUrl=queue),
        lambda: service.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"}),
        lambda: service.send_message(**body),
        lambda: stack.act("ServiceRoleArn", "lambda").list_functions(),
        lambda: stack.act("ServiceRoleArn", "s3").list_buckets(),
        lambda: stack.act("ServiceRoleArn", "secretsmanager").get_secret_value(SecretId="any"),
        lambda: function.send_message(QueueUrl=queue, MessageBody="x"),
        lambda: function.receive_message(QueueUrl=dead),
        lambda: function.purge_queue(QueueUrl=queue),
        lambda: stack.act("FunctionRoleArn", "lambda").list_functions(),
    ):
        denied(refused)
    function.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    function.receive_message(**taking)
    say("service and function may do what they need, and 12 calls beside that were refused")


def poke_is_read_only(stack, name):
    """What its policy adds is looking."""
    functions, sqs = stack.act("PokePolicyArn", "lambda"), stack.act("PokePolicyArn", "sqs")
    functions.list_event_source_mappings(FunctionName=f"{name}-indexer")
    functions.get_function_configuration(FunctionName=f"{name}-indexer")
    sqs.get_queue_url(QueueName=f"{name}-dead")
    sqs.get_queue_attributes(QueueUrl=stack["DeadLettersUrl"], AttributeNames=["All"])
    for refused in (
        lambda: functions.delete_function(FunctionName=f"{name}-indexer"),
        lambda: functions.invoke(FunctionName=f"{name}-indexer"),
        lambda: sqs.receive_message(QueueUrl=stack["DeadLettersUrl"]),
        lambda: sqs.purge_queue(QueueUrl=stack["DeadLettersUrl"]),
    ):
        denied(refused)
    say("poke's policy lets look, and 4 calls that change something were refused")


def alarms_look_at_the_queues(aws, name):
    """Each alarm is about a queue that there is, and a missing number is no alarm."""
    found = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
    looked = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for alarm in found}
    check(
        looked
        == {
            ("ApproximateNumberOfMessagesVisible", f"{name}-dead"),
            ("ApproximateAgeOfOldestMessage", name),
        },
        f"alarms {looked}",
    )
    say("both alarms look at a queue that there is")


def main():
    """Deploys both templates under names of this run's own."""
    root, endpoint, zip_path, search_url = pathlib.Path(sys.argv[1]), *sys.argv[2:5]
    aws, name = Aws(endpoint), f"t-{os.urandom(4).hex()}"
    bucket = aws.upload(name, zip_path)
    parameters = {
        "CodeBucket": bucket,
        "CodeKey": "lambda.zip",
        "DomainArn": "arn:aws:es:us-east-1:000000000000:domain/audit",
        "SearchUrl": search_url,
        "SearchAuth": "none",
        "SearchPrefix": name,
        "QueueName": name,
        "FunctionName": f"{name}-indexer",
    }
    stack = Stack(aws, name, root / "docs/aws/fan-out.yaml", parameters)
    settings_are_the_scripts(root, aws, name, zip_path, search_url)
    queues_are_kept(aws, stack)
    roles_keep_to_themselves(aws, stack)
    poke_is_read_only(stack, name)
    alarms_look_at_the_queues(aws, name)
    try:
        message_goes_through(root, aws, stack, search_url, name)
    finally:
        delete_indices(search_url, name)
    gateway.look(root, aws, f"{name}-front")
    stack.delete()


main()
