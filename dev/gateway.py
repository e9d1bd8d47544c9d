"""A stand-in for the API gateway that a production service stands behind. For one machine; not for the world.

    python dev/gateway.py LISTEN-PORT SERVICE-PORT SECRET-FILE

It does what the service expects of a gateway: takes identity headers away that come from outside (but for who
shows the secret), says who is calling and proves itself by X-Gateway-Secret. Who is calling it does not check: one chooses on its page,
`/`, or by a cookie, as `curl --cookie as=auditor:alice`. Without, one is the admin `dev` of the tenant `dev`.

Each connection carries one request, and afterwards only bytes: so bodies, streams and WebSockets pass as they
are, and nothing that follows a request can be taken for another one with our proof on it.
"""

import asyncio
import hmac
import html
import re
import sys
import urllib.parse

# The tenant that the service makes for development.
DEV_TENANT = "00000000-0000-7000-8000-000000000001"
ROLES = ("admin", "auditor", "user", "operator")

HEAD_BYTES_MAX = 64 << 10
HEAD_WITHIN_S = 30
CONNECTIONS_MAX = 512
CHUNK_BYTES = 64 << 10

# What only a gateway may say.
OURS = {
    "x-gateway-secret", "x-user-id", "x-user-name", "x-tenant-id", "x-user-role",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded",
}
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
IDENTITY = re.compile(
    r"(?P<role>admin|auditor|user|operator):(?P<user>[A-Za-z0-9._@-]{1,64})"
    r"(:(?P<tenant>[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}))?\Z"
)
# A page of another site that reaches us by a name of its own would act as whoever was chosen here.
HERE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\Z", re.IGNORECASE)

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Audit log: who are you?</title>
<style>
body {{ font: 1rem/1.5 system-ui; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }}
label {{ display: block; margin: .5rem 0 }}
</style>
<h1>Who are you?</h1>
<p>This stand-in for a gateway believes you. You are <b>{user}</b>, {role} of {tenant}.</p>
<form method="post" action="/">
<label>User <input name="user" value="{user}" pattern="[A-Za-z0-9._@-]{{1,64}}" required></label>
<label>Role <select name="role">{roles}</select></label>
<label>Tenant <input name="tenant" value="{tenant}" size="36" required></label>
<button>Be that</button></form>
<p>Then: <a href="/api/v1/logs">the log</a>, <a href="/api/v1/logs/board">the board</a>,
<a href="/readyz">is it ready?</a></p></html>
"""


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def parse_head(head):
    """The request line and the headers as they came: names are compared in lower case."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    # What one reader takes for the end of a line and another does not, neither gets to see.
    broken = any("\r" in line or "\n" in line for line in lines)
    if broken or len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Refused("400 Bad Request", "this is no HTTP/1.1 request")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.match(name):
            raise Refused("400 Bad Request", "a header cannot be read")
        headers.append((name, value.strip(" \t")))
    return parts, headers


def only(headers, wanted):
    """The value of a header that may come once."""
    values = [value for name, value in headers if name.lower() == wanted]
    if len(values) > 1:
        raise Refused("400 Bad Request", f"the header {wanted} came more than once")
    return values[0] if values else None


def check_origin(headers):
    """Refuses what a page of another site has a browser send."""
    host = only(headers, "host")
    if host is None or not HERE.match(host):
        raise Refused("421 Misdirected Request", "ask for 127.0.0.1 or localhost")
    origin = only(headers, "origin")
    if origin is not None and origin != f"http://{host}":
        raise Refused("403 Forbidden", "the request comes from another site")


def identity(headers, secret):
    """Who is calling: what the cookie says, else the admin of the development tenant.

    Whoever shows the secret could ask the service itself, and is who they say.
    """
    shown = only(headers, "x-gateway-secret")
    if shown is not None and hmac.compare_digest(shown.encode(), secret.encode()):
        said = [only(headers, name) or "" for name in ("x-user-role", "x-user-id", "x-tenant-id")]
        found = IDENTITY.match(":".join(said))
        if not found:
            raise Refused("400 Bad Request", "the identity headers cannot be read")
        return found["role"], found["user"], found["tenant"]
    for pair in (only(headers, "cookie") or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == "as":
            found = IDENTITY.match(urllib.parse.unquote(value))
            if not found:
                raise Refused("400 Bad Request", "the cookie `as` must be ROLE:USER or ROLE:USER:TENANT")
            return found["role"], found["user"], found["tenant"] or DEV_TENANT
    return "admin", "dev", DEV_TENANT


def forwarded(parts, headers, peer, secret):
    """The head as the service gets it."""
    role, user, tenant = identity(headers, secret)
    upgrade = only(headers, "upgrade")
    lines = [" ".join(parts[:2] + ["HTTP/1.1"])]
    lines += [
        f"{name}: {value}"
        for name, value in headers
        if name.lower() not in OURS and name.lower() not in ("connection", "keep-alive", "cookie")
    ]
    lines += [
        f"x-gateway-secret: {secret}",
        f"x-user-id: {user}",
        f"x-user-name: {user}",
        f"x-tenant-id: {tenant}",
        f"x-user-role: {role}",
        f"x-forwarded-for: {peer}",
        # One request for each connection: see above.
        "connection: Upgrade" if upgrade else "connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def copy(reader, writer):
    """Passes bytes on until one side ends."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, OSError):
        pass


def answer(status, body, media="text/plain; charset=utf-8", more=""):
    """A whole answer of our own, after which the connection ends."""
    body = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\n"
        f"cache-control: no-store\r\nconnection: close\r\n{more}\r\n"
    )
    return head.encode() + body


def page(headers, secret):
    """Our only page."""
    role, user, tenant = identity(headers, secret)
    options = "".join(
        f"<option{' selected' if name == role else ''}>{name}</option>" for name in ROLES
    )
    text = PAGE.format(user=html.escape(user), role=role, tenant=tenant, roles=options)
    more = "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'\r\n"
    return answer("200 OK", text, "text/html; charset=utf-8", more)


async def become(headers, reader):
    """Takes the page's form; the choice is kept in the browser."""
    length = only(headers, "content-length") or ""
    if not length.isascii() or not length.isdigit() or int(length) > 1024:
        raise Refused("400 Bad Request", "the form cannot be read")
    form = dict(urllib.parse.parse_qsl((await reader.readexactly(int(length))).decode("latin-1")))
    chosen = ":".join(form.get(name, "").strip() for name in ("role", "user", "tenant"))
    if not IDENTITY.match(chosen):
        raise Refused("400 Bad Request", "role, user or tenant cannot be read")
    more = f"location: /\r\nset-cookie: as={chosen}; Path=/; HttpOnly; SameSite=Strict\r\n"
    return answer("303 See Other", "", more=more)


class Gateway:
    """One service, and the proof to show it."""

    def __init__(self, service_port, secret):
        self.service_port = service_port
        self.secret = secret
        self.slots = asyncio.Semaphore(CONNECTIONS_MAX)

    async def connected(self, reader, writer):
        """One client's connection, from its beginning to its end."""
        try:
            async with self.slots:
                await self.serve(reader, writer)
        except Refused as refused:
            writer.write(answer(refused.status, f"{refused}\n"))
        except asyncio.LimitOverrunError:
            writer.write(answer("431 Request Header Fields Too Large", "the headers are too long\n"))
        except (ConnectionError, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError):
            pass
        finally:
            try:
                await writer.drain()
            except (ConnectionError, OSError):
                pass
            writer.close()

    async def serve(self, reader, writer):
        """Answers the page itself, and passes everything else on."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_WITHIN_S)
        parts, headers = parse_head(head[:-4])
        check_origin(headers)
        if parts[1] == "/" and parts[0] in ("GET", "POST"):
            writer.write(page(headers, self.secret) if parts[0] == "GET" else await become(headers, reader))
            return
        peer = writer.get_extra_info("peername")[0]
        request = forwarded(parts, headers, peer, self.secret)
        try:
            service_reader, service_writer = await asyncio.open_connection("127.0.0.1", self.service_port)
        except OSError:
            raise Refused("502 Bad Gateway", "the service does not answer") from None
        service_writer.write(request)
        upwards = asyncio.create_task(copy(reader, service_writer))
        try:
            await copy(service_reader, writer)
        finally:
            # The answer is whole: what the client may still send has no one to take it.
            upwards.cancel()
            service_writer.close()


async def main():
    """Serves until it is told to stop."""
    listen_port, service_port, secret_file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with open(secret_file, encoding="ascii") as file:
        gateway = Gateway(service_port, file.read().strip())
    server = await asyncio.start_server(
        gateway.connected, "127.0.0.1", listen_port, limit=HEAD_BYTES_MAX
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
