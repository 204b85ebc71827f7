"""The script that starts the servers which some tests need."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from async_nexus.testing.conformance import free_port

SCRIPT = Path(__file__).parents[1] / ".ci" / "services"
STARTED = re.compile(r"services: started (\w+)-server on 127\.0\.0\.1:(\d+), process (\d+), in (.+)")
NAMES = ("nats", "redis", "rabbitmq")


class Services:
    """What the script is told, and what it has started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = {name: free_port() for name in NAMES}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "CI"},
            **{f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            "RABBITMQ_DIST_PORT": str(free_port()),
            "SERVICES_STATE": str(directory / "state"),
        }
        self.processes: list[int] = []

    def has(self, *names: str) -> None:
        """Let only these be installed; without them here, the test says so, and in CI it fails."""
        programs = self.directory / "programs"
        programs.mkdir()
        for name in names:
            path = shutil.which(f"{name}-server", path=f"{os.environ['PATH']}:/usr/sbin")
            if path is None:
                missing = f"{name}-server is not installed, so it was NOT tested that it is started"
                if os.environ.get("CI"):
                    pytest.fail(missing)
                pytest.skip(missing)
            (programs / f"{name}-server").symlink_to(path)
        self.environment["SERVICES_PROGRAMS"] = str(programs)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        done = subprocess.run(
            [SCRIPT, *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        self.processes += [int(each[3]) for each in STARTED.finditer(done.stdout)]
        return done


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services on ports that nobody uses, ended with the test."""
    services = Services(tmp_path)
    yield services
    for process in services.processes:
        os.killpg(process, signal.SIGKILL)


@contextmanager
def listening(port: int, greeting: bytes) -> Iterator[None]:
    """Listen as if one were a server that says this."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def greet() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def first_line(port: int, said: bytes = b"") -> bytes:
    """Connect, and return what a server says."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(said)
        return connection.makefile("rb").readline()


def test_what_is_installed_is_started(services: Services) -> None:
    """They answer when the script returns: NATS with JetStream in a folder, Redis with a file that is appended to."""
    services.has("nats", "redis")
    done = services.run()
    assert {each[1] for each in STARTED.finditer(done.stdout)} == {"nats", "redis"}
    assert b'"jetstream":true' in first_line(services.ports["nats"])
    assert first_line(services.ports["redis"], b"PING\r\n") == b"+PONG\r\n"
    state = services.directory / "state"
    assert (state / "nats" / "jetstream").is_dir()
    assert (state / "redis" / "appendonlydir").is_dir()
    assert (state / "nats").stat().st_mode & 0o077 == 0


def test_started_servers_are_on_loopback_only(services: Services) -> None:
    """Nobody reaches them over a network: another address of the machine refuses."""
    services.has("nats", "redis")
    services.run()
    for name in ("nats", "redis"):
        with socket.socket() as connection, pytest.raises(ConnectionRefusedError):
            connection.connect(("127.0.0.2", services.ports[name]))


def test_what_runs_is_left_alone(services: Services) -> None:
    """The second time nothing is started, and little time is spent."""
    services.has("nats", "redis")
    services.run()
    begin = time.monotonic()
    done = services.run()
    assert time.monotonic() - begin < 30
    assert done.stdout == ""
    assert len(services.processes) == 2
    for process in services.processes:
        os.kill(process, 0)


@pytest.mark.slow
def test_rabbitmq_is_started_by_any_user(services: Services) -> None:
    """By its own script, in a folder of its own; it answers in its protocol when the script returns."""
    del services.environment["SERVICES_STATE"]
    home = services.directory / "home"
    services.environment |= {"XDG_STATE_HOME": str(home)}
    if own := sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin")):
        services.environment["SERVICES_PROGRAMS"] = str(own[-1])
    else:
        services.has("rabbitmq")
    done = services.run()
    assert [each[1] for each in STARTED.finditer(done.stdout)] == ["rabbitmq"]
    assert first_line(services.ports["rabbitmq"], b"AMQP\0\0\x09\x01")[:1] == b"\x01"
    assert (home / "async_nexus" / "rabbitmq" / "mnesia").is_dir()


def test_what_is_missing_is_said_loudly(services: Services) -> None:
    """By the name of what to install, and with what will be skipped; the tests go on."""
    services.has()
    done = services.run()
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"services: {name}-server is not installed: THE TESTS THAT NEED IT ARE SKIPPED. `make services` installs it."
        for name in NAMES
    ]


def test_in_ci_nothing_may_be_missing(services: Services) -> None:
    """Else tests would be skipped where nobody reads what is said."""
    services.has()
    done = services.run(CI="true")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "services: where CI is set, no service may be missing",
    )


def test_a_server_of_another_kind_is_left_alone_and_named(services: Services) -> None:
    """A NATS without JetStream does not do: it is not replaced, and in CI it is an error."""
    services.has()
    port = services.ports["nats"]
    with listening(port, b'INFO {"server_id":"x","version":"2.9.10"}\r\n'):
        done = services.run(CI="true")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        f"services: what listens on 127.0.0.1:{port} is no nats-server with JetStream (-js): it is left as it is, "
        "tests that need one may fail"
    )


def test_a_server_that_does_not_start_is_said_with_its_reason(services: Services) -> None:
    """The last lines of what it wrote show what to mend."""
    services.has()
    program = Path(services.environment["SERVICES_PROGRAMS"]) / "redis-server"
    program.write_text("#!/bin/sh\necho 'no room for me'\nexit 1\n")
    program.chmod(0o755)
    done = services.run(CI="true")
    assert done.returncode == 1
    said = f"services: redis-server was started and does not answer on 127.0.0.1:{services.ports['redis']}; it said:"
    lines = done.stderr.splitlines()
    assert lines[lines.index(said) + 1] == "no room for me"


def test_installing_needs_apt_get(services: Services) -> None:
    """Where there is none it says what to install, and does nothing."""
    services.has()
    bare = services.directory / "bin"
    bare.mkdir()
    for name in ("bash", "env", "tail"):
        (bare / name).symlink_to(shutil.which(name) or "")
    done = services.run("--install", PATH=str(bare))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "services: nats-server redis-server rabbitmq-server cannot be installed: there is no apt-get. "
        "Install them as this system does.\n"
    )


def test_installing_installs_what_is_missing_and_starts_nothing_by_itself(services: Services) -> None:
    """apt-get gets the packages of what is not there, no more; those are not to be started by Debian."""
    services.has()
    bare = services.directory / "bin"
    bare.mkdir()
    log, policy = services.directory / "log", services.directory / "policy-rc.d"
    for name, program in {
        "apt-get": f'echo "apt-get $*" >> {log}',
        "sudo": f'case $1 in env) shift 2; exec "$@";; apt-get) exec "$@";; esac; cat > /dev/null; echo "$*" >> {log}',
        "id": "echo 1000",
    }.items():
        (bare / name).write_text(f"#!/bin/sh\n{program}\n")
        (bare / name).chmod(0o755)
    services.run("--install", PATH=f"{bare}:{os.environ['PATH']}", SERVICES_POLICY=str(policy))
    assert log.read_text().splitlines() == [
        "apt-get update -qq",
        f"tee {policy}",
        f"chmod 755 {policy}",
        "apt-get install -y -qq --no-install-recommends nats-server redis-server rabbitmq-server",
        f"rm -f {policy}",
    ]


def test_other_arguments_are_refused(services: Services) -> None:
    """A word that it does not know starts nothing."""
    done = services.run("--stop")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "services: it takes --install or nothing, not --stop\n"
