"""Runs a program in a process of its own, and anew whenever its code changes."""

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

import click

GRACE: Final = 10.0
"""Seconds that a program has to stop gracefully before it is killed."""


def run_reloading(arguments: Sequence[str]) -> int:
    """Run `async-nexus run` with these arguments until a signal comes; returns 0."""
    try:
        import watchfiles
    except ModuleNotFoundError:
        raise click.ClickException("--reload needs watchfiles: pip install 'async-nexus[cli]'") from None
    over = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    command = [sys.executable, "-m", "async_nexus", "run", *arguments]
    program = _start(command)
    watch = watchfiles.watch(
        Path.cwd(), watch_filter=watchfiles.PythonFilter(), stop_event=over, raise_interrupt=False, rust_timeout=500
    )
    for changes in watch:
        names = ", ".join(sorted({Path(path).name for _, path in changes}))
        click.echo(f"async-nexus: {names} changed, starting again", err=True)
        _stop(program)
        program = _start(command)
    _stop(program)
    return 0


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    # In a session of its own Ctrl-C does not reach it, which would be a second signal and end it at once.
    return subprocess.Popen(command, start_new_session=sys.platform != "win32")


def _stop(program: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        program.terminate()
    try:
        program.wait(GRACE)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
