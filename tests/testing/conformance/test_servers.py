"""Private servers: ready when they answer, killed and started again at the same address, gone with their block."""

import asyncio
import socket
import sys
import threading
from pathlib import Path

import pytest

from async_nexus.testing.conformance import free_port, serve
from async_nexus.testing.conformance.trial import in_thread

ECHO = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"at your service")
"""


def answers(port: int) -> bool:
    """Whether the server says what it has to say."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(100) == b"at your service"
    except OSError:
        return False


def test_a_server_is_there_in_its_block() -> None:
    """It answers when the block begins, not when it has been killed, again when restarted, and not after the block."""
    port = free_port()
    with serve([sys.executable, "-c", ECHO, str(port)], {"port": port}, port=port) as server:
        assert server.arguments == {"port": port}
        assert answers(port)
        server.kill()
        assert not answers(port)
        server.kill()
        server.restart()
        assert answers(port)
    assert not answers(port)


def test_a_server_is_gone_when_its_block_fails() -> None:
    """A test that fails leaves no process."""
    port = free_port()
    with pytest.raises(LookupError), serve([sys.executable, "-c", ECHO, str(port)], {}, port=port):
        raise LookupError
    assert not answers(port)


def test_a_server_is_ready_when_it_says_so() -> None:
    """A port that takes connections is not enough where the server needs longer."""
    port, looks = free_port(), iter([False, False, True])
    with serve([sys.executable, "-c", ECHO, str(port)], {}, port=port, answers=lambda: next(looks)):
        assert next(looks, None) is None


def test_a_server_that_ends_is_told() -> None:
    """What it wrote says why."""
    command = [sys.executable, "-c", "import sys; sys.exit('the port is taken')"]
    with pytest.raises(RuntimeError, match="does not answer: the port is taken"), serve(command, {}, port=free_port()):
        pytest.fail("it began")


def test_a_server_that_does_not_answer_is_told_and_ended() -> None:
    """The wait is bounded."""
    port = free_port()
    command = [sys.executable, "-c", ECHO, str(port)]
    with pytest.raises(RuntimeError), serve(command, {}, port=port, answers=lambda: False, patience=0.1):
        pytest.fail("it began")
    assert not answers(port)


def test_what_a_server_is_told_by_its_environment() -> None:
    """Variables are added to those of the process."""
    port = free_port()
    command = [sys.executable, "-c", f"import os; exec(os.environ['ECHO'].replace('sys.argv[1]', '{port}'))"]
    with serve(command, {}, port=port, environment={"ECHO": ECHO}):
        assert answers(port)


async def test_what_runs_in_a_thread_is_over_when_it_is_cancelled() -> None:
    """A restart that is cut off has not left a server behind after whoever waited has gone on."""
    began, go_on, over = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(began.set)
        go_on.wait()
        over.set()

    task = asyncio.create_task(in_thread(work))
    await began.wait()
    task.cancel()
    loop.call_later(0.02, go_on.set)
    await asyncio.wait({task})
    assert task.cancelled()
    assert over.is_set()


async def test_what_runs_in_a_thread_raises(tmp_path: Path) -> None:
    """What goes wrong in it is told."""
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError):
        await in_thread(missing.unlink)
