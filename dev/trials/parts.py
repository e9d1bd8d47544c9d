"""What the trials share: real parts that are started, broken and mended."""

import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from promises import check, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "of-the-trial-alone"
READY_WITHIN_S = 30


def script(*words, **settings):
    """A script of dev/; its standard output."""
    done = subprocess.run(
        [str(ROOT / "dev" / words[0]), *map(str, words[1:])],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    check(done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout.strip()


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(folder, database_url, zip_path, search_url, prefix):
    """Of a service with all its parts: makes queue and function in an emulator of the trial's own."""
    script("emulator.sh", "start", folder / "emulator", 0)
    fan_out = {"AUDIT_FANOUT_ZIP": zip_path, "AUDIT_SEARCH_URL": search_url, "AUDIT_SEARCH_PREFIX": prefix}
    return {
        "AUDIT_DATABASE_URL": database_url,
        "AUDIT_GATEWAY_SECRET": SECRET,
        "AUDIT_TENANT_AUTOCREATE": "true",
        "AUDIT_QUEUE_URL": script("emulator.sh", "fan-out", folder / "emulator", **fan_out),
        "AUDIT_SEARCH_URL": search_url,
        "AUDIT_SEARCH_PREFIX": prefix,
        "AWS_ENDPOINT_URL": script("emulator.sh", "url", folder / "emulator"),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def port_answers(port):
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Postgres:
    """A cluster of dev/postgres.sh."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        script("postgres.sh", "start", folder, 0)
        self.port = int((self.folder / "port").read_text())
        self.bin = script("postgres.sh", "find-bin")

    def start(self):
        """Starts it again, on the port that it had."""
        script("postgres.sh", "start", self.folder, self.port)

    def stop(self):
        """Stops it as a shutdown does."""
        script("postgres.sh", "stop", self.folder)

    def kill(self):
        """What a kill -9 of the machine leaves: nothing is flushed, nobody is told."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def url(self, port=None):
        """The owner's, by another port where a proxy stands before it."""
        found = script("postgres.sh", "url", self.folder)
        return found.replace(f":{self.port}/", f":{port or self.port}/")

    def sql(self, text, database="audit"):
        """What the superuser is told."""
        url = script("postgres.sh", "admin-url", self.folder).replace("/postgres", f"/{database}")
        url = url.replace(f"//{database}:", "//postgres:")
        done = self.program("psql", url, "-v", "ON_ERROR_STOP=1", "-qAtXc", text)
        return done.stdout.strip()

    def admin(self):
        """The superuser's connection, as words for a program."""
        password = (self.folder / "admin-password").read_text()
        return {"PGPASSWORD": password}, ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]

    def program(self, name, *words, **settings):
        """One of PostgreSQL's programs."""
        done = subprocess.run(
            [f"{self.bin}/{name}", *map(str, words)],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        check(done.returncode == 0, f"{name}: {done.stderr}")
        return done

    def own(self, path):
        """Gives files to the user that runs the server."""
        if os.getuid() == 0:
            user = (self.folder / "data").stat()
            for place in [path, *path.rglob("*")]:
                os.chown(place, user.st_uid, user.st_gid)
        path.chmod(0o700)


class Service:
    """A replica of the service, in gateway mode, in a process of its own."""

    def __init__(self, program, settings, log):
        self.program, self.settings, self.log = program, settings, log
        self.port = free_port()
        self.process = None
        self.start()

    def environment(self):
        """What it is told."""
        return {"PATH": os.environ["PATH"], "AUDIT_LOG_FORMAT": "json", **self.settings}

    def start(self, program=None):
        """Starts it and waits until it is ready."""
        self.program = program or self.program
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--listen", f"127.0.0.1:{self.port}"],
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        eventually(self.is_ready, READY_WITHIN_S, f"ready, see {self.log}")

    def is_ready(self):
        """Whether /readyz says so."""
        check(self.process.poll() is None, f"the service ended, see {self.log}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        return False

    def stop(self):
        """Asks it to stop, waits, and says how long that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        check(self.process.wait(60) == 0, f"exit code {self.process.returncode}")
        return time.monotonic() - begun

    def end(self):
        """Whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def command(program, *words, codes=(0,), **settings):
    """A command of audit-log; its exit code and what it said."""
    done = subprocess.run(
        [program, *words],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    check(done.returncode in codes, f"{words}: code {done.returncode}: {done.stderr[-600:]}")
    return done.returncode, done.stdout + done.stderr


class Proxy:
    """A port that leads to another, which can be changed: an address that outlives what is behind it."""

    def __init__(self, target):
        self.target = target
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.pairs = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        """Takes connections for ever."""
        while True:
            near, _ = self.server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        """One direction."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def lead_to(self, target):
        """Elsewhere from now on; what is open is cut."""
        self.target = target
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()
