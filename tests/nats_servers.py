"""NATS servers for tests: the one on the standard port of loopback where there is one, and private ones."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import nats
import pytest
from nats.js import JetStreamContext
from pydantic import JsonValue

from async_nexus.testing.conformance import Arguments, Server, free_port, serve
from async_nexus.transports.nats.names import stream_name

STANDARD: Final = "nats://127.0.0.1:4222"
MISSING: Final = "nats-server is not installed, so NOTHING of NATS was tested: on Debian, `apt install nats-server`"


def find_server() -> str:
    """Return the path of the program; where there is none, the test says so, and in CI it fails."""
    path = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


class PrivateServer:
    """A server that belongs to one test: it can be killed, restarted, configured otherwise, and stopped for a while."""

    def __init__(self, server: Server, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self.arguments: Final[Arguments] = server.arguments
        self.url: Final = str(server.arguments["url"])
        self.host: Final = self.url.removeprefix("nats://")
        self.kill: Final = server.kill
        self.restart: Final = server.restart

    def configure(self, config: str, *, jetstream: bool = True) -> None:
        """Have it start with these lines the next time."""
        configure(self._directory, self.host, config, jetstream)

    def stop(self) -> None:
        """Let it do nothing until it is to go on; return when it has stopped."""
        os.kill(self._pid, signal.SIGSTOP)
        os.waitpid(self._pid, os.WUNTRACED)

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def log(self) -> str:
        """Return what it has logged, with all that was sent to it."""
        return (self._directory / "log").read_text(errors="replace")

    @property
    def _pid(self) -> int:
        return int((self._directory / "pid").read_text())


def configure(directory: Path, host: str, config: str, jetstream: bool) -> None:
    """Write what a server starts with."""
    store = f'jetstream {{ store_dir: "{directory}", max_file_store: 1GB }}' if jetstream else ""
    logs = f'pid_file: "{directory}/pid"\nlog_file: "{directory}/log"\ntrace: true\ndebug: true'
    (directory / "nats.conf").write_text(f"listen: {host}\n{store}\n{logs}\n{config}\n")


@contextmanager
def private_server(config: str = "", *, jetstream: bool = True, **arguments: JsonValue) -> Iterator[PrivateServer]:
    """Run a server on a port of its own, with lines of its configuration, until the block ends."""
    program, port = find_server(), free_port()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        configure(directory, f"127.0.0.1:{port}", config, jetstream)
        whole = {"url": f"nats://127.0.0.1:{port}", **arguments}
        with serve([program, "-c", str(directory / "nats.conf")], whole, port=port) as server:
            yield PrivateServer(server, directory)


@contextmanager
def any_server() -> Iterator[str]:
    """Give the address of the server on the standard port, or run one."""
    try:
        socket.create_connection(("127.0.0.1", 4222), timeout=1).close()
    except OSError:
        with private_server() as server:
            yield server.url
    else:
        yield STANDARD


@asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[JetStreamContext]:
    """Connect with nats-py itself."""
    client = await nats.connect(url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def forget(url: str, channel: str) -> None:
    """Delete the streams of a channel: its own, and those of its dead letters."""
    try:
        own = stream_name(channel)
    except ValueError:
        return
    async with jetstream(url) as context:
        for stream in await context.streams_info():
            name = stream.config.name or ""
            if name == own or name.startswith(f"{own}+dead+"):
                await context.delete_stream(name)


async def set_limit(url: str, max_bytes: int) -> None:
    """Let every stream keep so many bytes."""
    async with jetstream(url) as context:
        for stream in await context.streams_info():
            await context.update_stream(stream.config, max_bytes=max_bytes)
