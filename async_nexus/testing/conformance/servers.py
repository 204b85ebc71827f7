"""A private server on loopback: started, killed, started again, and gone with its block, whatever happens in it."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Final

from .engines import Arguments

HOST: Final = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


class LocalServer:
    """A process that serves a port of loopback."""

    def __init__(
        self,
        command: Sequence[str],
        arguments: Arguments,
        *,
        environment: Mapping[str, str],
        is_ready: Callable[[], bool],
        output: IO[bytes],
        patience: float,
    ) -> None:
        self.arguments: Final = arguments
        self._command = tuple(command)
        self._environment = environment
        self._is_ready = is_ready
        self._output = output
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End the process and its children by SIGKILL, and return when it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self) -> None:
        """Start the process, and return when it answers. Raises `RuntimeError`, with what it wrote, if it does not."""
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=os.environ | self._environment,
            start_new_session=True,
        )
        deadline = time.monotonic() + self._patience
        try:
            while not self._is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self._command[0]} does not answer: {self._last_output()}")
                time.sleep(0.02)
        except BaseException:
            self.kill()
            raise

    def _last_output(self) -> str:
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - 2000))
        return self._output.read().decode(errors="replace")


@contextmanager
def serve(
    command: Sequence[str],
    arguments: Arguments,
    *,
    port: int,
    environment: Mapping[str, str] | None = None,
    answers: Callable[[], bool] | None = None,
    patience: float = 30.0,
) -> Generator[LocalServer]:
    """Run a server until the block ends; `arguments` make a transport that reaches it.

    It is ready when `port` takes connections and `answers`, where given, says so. Raises `RuntimeError` when it is
    not after `patience` seconds. `environment` is added to that of this process.
    """

    def is_ready() -> bool:
        return _takes_connections(port) and (answers is None or answers())

    with tempfile.TemporaryFile() as output:
        server = LocalServer(
            command,
            arguments,
            environment=environment or {},
            is_ready=is_ready,
            output=output,
            patience=patience,
        )
        server.restart()
        try:
            yield server
        finally:
            server.kill()


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
