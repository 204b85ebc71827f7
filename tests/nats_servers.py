"""NATS servers for tests: the one on the standard port of loopback where there is one, and private ones."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import nats
import pytest

from async_nexus.testing.conformance import Server, free_port, serve
from async_nexus.transports.nats.names import stream_name

STANDARD: Final = "nats://127.0.0.1:4222"
MISSING: Final = "nats-server is not installed, so NOTHING of NATS was tested: on Debian, `apt install nats-server`"


def nats_server() -> str:
    """Return the path of the program; where there is none, the test says so, and in CI it fails."""
    path = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


@contextmanager
def private_server(config: str = "", *, jetstream: bool = True, **arguments: object) -> Iterator[Server]:
    """Run a server on a port of its own, with lines of its configuration, until the block ends."""
    program, port = nats_server(), free_port()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "nats.conf")
        store = f'jetstream {{ store_dir: "{directory}", max_file_store: 1GB }}' if jetstream else ""
        file.write_text(f"listen: 127.0.0.1:{port}\n{store}\n{config}\n")
        whole = {"url": f"nats://127.0.0.1:{port}", **arguments}
        with serve([program, "-c", str(file)], whole, port=port) as server:  # type: ignore[arg-type] # JSON by intent
            yield server


@contextmanager
def any_server() -> Iterator[str]:
    """Give the address of the server on the standard port, or run one."""
    try:
        socket.create_connection(("127.0.0.1", 4222), timeout=1).close()
    except OSError:
        with private_server() as server:
            yield str(server.arguments["url"])
    else:
        yield STANDARD


async def forget(url: str, channel: str) -> None:
    """Delete the streams of a channel: its own, and those of its dead letters."""
    try:
        own = stream_name(channel)
    except ValueError:
        return
    client = await nats.connect(url)
    try:
        streams = await client.jetstream().streams_info()
        for name in [each.config.name or "" for each in streams]:
            if name == own or name.startswith(f"{own}+dead+"):
                await client.jetstream().delete_stream(name)
    finally:
        await client.close()


async def set_limit(url: str, max_bytes: int) -> None:
    """Let every stream keep so many bytes."""
    client = await nats.connect(url)
    try:
        for stream in await client.jetstream().streams_info():
            await client.jetstream().update_stream(stream.config, max_bytes=max_bytes)
    finally:
        await client.close()
