"""A RabbitMQ broker for tests, on loopback and in a directory of its own, and trouble for it."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from async_nexus.testing.conformance import Arguments, Server, free_port, serve

MISSING: Final = (
    "rabbitmq-server is not installed, so NOTHING of RabbitMQ was tested: on Debian, `apt install rabbitmq-server`"
)
STANDARD: Final = "amqp://guest:guest@127.0.0.1/"
_HANDED_ON_AGAIN: Final = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 1000}]}].\n"
"""When what a queue has handed on is handed on again if the other queue was not up yet: by default after 180 s."""
TIMEOUT: Final = 15.0
"""Seconds that transports give the broker."""


def find_program(name: str) -> str:
    """Return the path of a program of RabbitMQ; where there is none, the test says so, and in CI it fails."""
    # What Debian has in its PATH changes the user.
    own = sorted(Path("/usr/lib/rabbitmq/lib").glob(f"rabbitmq_server-*/sbin/{name}"))
    path = str(own[-1]) if own else shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


class Broker:
    """A broker that can be killed, restarted and filled."""

    def __init__(self, server: Server, environment: dict[str, str], tls_port: int) -> None:
        self.arguments: Arguments = server.arguments
        self.tls_port: Final = tls_port
        self.certificate: Final = Path(environment["HOME"], "certificate.pem")
        self._server = server
        self._environment = environment
        self._runs = True
        self._changing = threading.Lock()

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.arguments["url"])

    def control(self, *arguments: str) -> str:
        """Have `rabbitmqctl` do something, and return what it says."""
        done = subprocess.run(
            [find_program("rabbitmqctl"), "-q", "-n", self._environment["RABBITMQ_NODENAME"], *arguments],
            env=os.environ | self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill(self) -> None:
        """End it as SIGKILL does."""
        with self._changing:
            self._runs = False
            self._server.kill()

    def restart(self) -> None:
        """Start it again, if it does not run."""
        with self._changing:
            if not self._runs:
                self._server.restart()
                self._runs = True

    def fill(self) -> None:
        """Let no queue keep more than a million bytes; it refuses what is more."""
        self._limit(1_000_000)

    def free(self) -> None:
        """Let queues keep more."""
        self._limit(1_000_000_000)

    def _limit(self, size: int) -> None:
        self.control("set_policy", "limit", ".*", f'{{"max-length-bytes": {size}}}', "--apply-to", "queues")

    @contextmanager
    def disk_full(self) -> Generator[None]:
        """Have it believe that its disk is full: it lets nobody publish then."""
        self.control("set_disk_free_limit", "1000000GB")
        try:
            yield
        finally:
            self.control("set_disk_free_limit", "1MB")

    @contextmanager
    def lent(self) -> Generator["Broker"]:
        """Give it for a block, after which it runs."""
        try:
            yield self
        finally:
            self.restart()


def _make_certificate(root: Path) -> None:
    """Make a key and a certificate of 127.0.0.1."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(root / "key.pem"), "-out", str(root / "certificate.pem")]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)


def _configuration(root: Path, tls_port: int) -> str:
    """Say what the broker is to be; without `openssl` it has no TLS."""
    lines = ["disk_free_limit.absolute = 1MB"]
    if shutil.which("openssl"):
        _make_certificate(root)
        lines += [
            f"listeners.ssl.1 = 127.0.0.1:{tls_port}",
            f"ssl_options.cacertfile = {root}/certificate.pem",
            f"ssl_options.certfile = {root}/certificate.pem",
            f"ssl_options.keyfile = {root}/key.pem",
            "ssl_options.verify = verify_none",
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def private_broker() -> Generator[Broker]:
    """Run a broker until the block ends."""
    program, port, between_nodes, tls_port = find_program("rabbitmq-server"), free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="async-nexus-rabbitmq-") as directory:
        root = Path(directory)
        # So that what the machine's own broker is configured to be does not count.
        for name, content in (
            ("environment", ""),
            ("plugins", "[].\n"),
            ("advanced.config", _HANDED_ON_AGAIN),
            ("rabbitmq.conf", _configuration(root, tls_port)),
        ):
            (root / name).write_text(content)
        environment = {
            "HOME": directory,
            # So that the script becomes the broker, and its process is the one that is killed.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(root / "erl_crash.dump"),
            "RABBITMQ_NODENAME": f"async-nexus-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(between_nodes),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -mnesia core_dir false",
            "RABBITMQ_MNESIA_BASE": str(root / "mnesia"),
            "RABBITMQ_LOG_BASE": str(root / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(root / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(root / "environment"),
            "RABBITMQ_CONFIG_FILE": str(root / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(root / "advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(root / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "plugins"),
        }
        arguments: Arguments = {"url": f"amqp://guest:guest@127.0.0.1:{port}/", "timeout": TIMEOUT}
        with serve(
            [program], arguments, port=port, environment=environment, answers=lambda: _answers(port), patience=180
        ) as server:
            yield Broker(server, environment, tls_port)


@contextmanager
def any_broker() -> Generator[str]:
    """Give the address of the broker on the standard port, or run one."""
    if _answers(5672):
        yield STANDARD
    else:
        with private_broker() as broker:
            yield broker.url


def _answers(port: int) -> bool:
    """Whether a broker asks who is there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
