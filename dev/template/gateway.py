"""The HTTP API of docs/aws/gateway.yaml, for deployed.py: what reaches the service, whatever a caller sends.

The service's place is taken by a server that keeps what it was sent. The tokens are Cognito's, in the emulator.
"""

import contextlib
import http.client
import http.server
import threading
import urllib.parse

from aws import Stack
from promises import check, say

SECRET = "a-secret-that-only-gateway-and-service-know"
TENANT = "7f3c1c7e-58c5-4a1e-9d0b-0a5d2f1f6b11"
PASSWORD = "Pass-word-1"

# What a caller would like the service to believe.
FORGED = {
    "X-Gateway-Secret": "guessed",
    "X-User-Id": "somebody-else",
    "X-User-Name": "Somebody Else",
    "X-Tenant-Id": "00000000-0000-4000-8000-000000000000",
    "X-User-Role": "operator",
}


class Backend(http.server.BaseHTTPRequestHandler):
    """Keeps each request's path and headers."""

    def answer(self):
        """Says yes to everything."""
        self.server.seen.append((self.path, self.headers))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_DELETE = do_PATCH = answer

    def log_message(self, *_):
        """Says nothing."""


@contextlib.contextmanager
def backend():
    """A server in the service's place."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()


class Pool:
    """A user pool with one client."""

    def __init__(self, aws):
        self.cognito = aws.client("cognito-idp")
        made = self.cognito.create_user_pool(PoolName="audit")["UserPool"]
        self.id, self.arn = made["Id"], made["Arn"]
        self.client = self.make_client()

    def make_client(self):
        """Another application whose users these are."""
        flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
        made = self.cognito.create_user_pool_client(
            UserPoolId=self.id, ClientName="audit", ExplicitAuthFlows=flows
        )
        return made["UserPoolClient"]["ClientId"]

    def trigger(self, function_arn):
        """Has the function called before a token is signed."""
        trigger = {"LambdaArn": function_arn, "LambdaVersion": "V2_0"}
        self.cognito.update_user_pool(
            UserPoolId=self.id, LambdaConfig={"PreTokenGenerationConfig": trigger}
        )

    def add(self, name, *groups):
        """A user in these groups."""
        known = {"UserPoolId": self.id, "Username": name}
        self.cognito.admin_create_user(MessageAction="SUPPRESS", **known)
        self.cognito.admin_set_user_password(Password=PASSWORD, Permanent=True, **known)
        for group in groups:
            with contextlib.suppress(self.cognito.exceptions.GroupExistsException):
                self.cognito.create_group(UserPoolId=self.id, GroupName=group)
            self.cognito.admin_add_user_to_group(GroupName=group, **known)
        return self.cognito.admin_get_user(**known)

    def token(self, name, kind="IdToken", client=None):
        """What a user gets by signing in."""
        answer = self.cognito.admin_initiate_auth(
            UserPoolId=self.id,
            ClientId=client or self.client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        return answer["AuthenticationResult"][kind]


class Front:
    """The deployed API, and the server behind it."""

    def __init__(self, aws, stack, server):
        self.port = urllib.parse.urlsplit(aws.endpoint).port
        self.host = urllib.parse.urlsplit(stack["ApiUrl"]).netloc
        self.server = server

    def ask(self, token, headers=(), path="/api/v1/logs", method="GET"):
        """One request; its status, and what reached the server of it."""
        self.server.seen.clear()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        proof = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, headers={"Host": self.host, **dict(headers), **proof})
        status = connection.getresponse().status
        connection.close()
        return status, self.server.seen[-1] if self.server.seen else None


def heard(front, token, **request):
    """What the service hears of who is calling."""
    status, seen = front.ask(token, **request)
    check(status == 200 and seen, f"status {status}")
    return {name: seen[1].get_all(name) for name in FORGED}


def nobody_without_a_token(front, pool):
    """No token, a broken one, one for another application, another path: nothing reaches the service."""
    other = pool.token("alice", client=pool.make_client())
    for token in (None, "x.y.z", pool.token("alice")[:-8] + "AAAAAAAA", other):
        status, seen = front.ask(token, FORGED)
        check((status, seen) == (401, None), f"{token}: {status}, {seen}")
    for path in ("/", "/metrics", "/healthz", "/api/v2/logs"):
        status, seen = front.ask(pool.token("alice"), path=path)
        check((status, seen) == (404, None), f"{path}: {status}, {seen}")
    say("without a good token for this application nothing reaches the service")


def a_caller_is_who_his_token_says(front, pool, user_id):
    """Whatever is sent beside it, by both kinds of tokens and each method."""
    wanted = {
        "X-Gateway-Secret": [SECRET],
        "X-User-Id": [user_id],
        "X-User-Name": None,
        "X-Tenant-Id": [TENANT],
        "X-User-Role": ["auditor"],
    }
    shouted = {name.upper(): value for name, value in FORGED.items()}
    whispered = {name.lower(): value for name, value in FORGED.items()}
    for kind in ("IdToken", "AccessToken"):
        token = pool.token("alice", kind)
        for forged in ({}, FORGED, shouted, whispered):
            for method in ("GET", "POST", "DELETE", "PATCH"):
                found = heard(front, token, headers=forged, method=method)
                check(found == wanted, f"{kind}, {method}, {forged}: {found}")
    _, (path, _) = front.ask(token, path="/api/v1/logs/search?q=a%20b&limit=1")
    check(path.startswith("/api/v1/logs/search?"), path)
    say("a caller is who the token says, whatever is sent beside it")


def a_missing_claim_is_empty(front, pool, bare):
    """Not what the caller sent in its place: the service refuses an empty one."""
    for token in (bare, pool.token("mallory"), pool.token("both")):
        found = heard(front, token, headers=FORGED)
        for header in ("X-Tenant-Id", "X-User-Role"):
            check(found[header] == [""], f"{header} is {found[header]}")
        check(found["X-Gateway-Secret"] == [SECRET], "the secret is the gateway's")
    say("a claim that is missing is empty, and not what the caller sent")


def look(root, aws, name):
    """Deploys the API and a user pool before it, and tries to be somebody else."""
    pool = Pool(aws)
    with backend() as server:
        secret = aws.client("secretsmanager").create_secret(Name=name, SecretString=SECRET)
        parameters = {
            "Name": name,
            "JwtIssuer": f"https://cognito-idp.us-east-1.amazonaws.com/{pool.id}",
            "JwtAudience": pool.client,
            "UserPoolArn": pool.arn,
            "GatewaySecretArn": secret["ARN"],
            "IntegrationUri": f"http://127.0.0.1:{server.server_port}",
        }
        stack = Stack(aws, name, root / "docs/aws/gateway.yaml", parameters)
        alice = pool.add("alice", f"audit:{TENANT}:auditor", "other:group")
        pool.add("mallory", "audit:not-a-tenant:admin")
        pool.add("both", f"audit:{TENANT}:auditor", f"audit:{TENANT}:admin")
        user_id = next(item["Value"] for item in alice["UserAttributes"] if item["Name"] == "sub")
        bare = pool.token("alice")
        pool.trigger(stack["ClaimsFunctionArn"])
        front = Front(aws, stack, server)
        nobody_without_a_token(front, pool)
        a_caller_is_who_his_token_says(front, pool, user_id)
        a_missing_claim_is_empty(front, pool, bare)
        stack.delete()
