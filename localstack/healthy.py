"""Whether LocalStack has run the scripts of its start, and all of them well: the health check of its image."""

import json
import urllib.request

ANSWER_WITHIN_S = 3

with urllib.request.urlopen(
    "http://127.0.0.1:4566/_localstack/init/ready", timeout=ANSWER_WITHIN_S
) as answer:
    stage = json.load(answer)
states = [script["state"] for script in stage["scripts"]]
raise SystemExit(not (stage["completed"] and states and set(states) == {"SUCCESSFUL"}))
