"""Runs the programs: in processes of their own, which end when their parent does, however it ends; or in tasks."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Final, Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from ...transports import Transport
from .programs import PROGRAMS, Job, Role, noting


class Running(Protocol):
    """A program that runs."""

    async def kill(self) -> None:
        """End it where it is, if it has not ended."""
        ...

    def stop(self) -> None:
        """Ask it to end in good order."""
        ...

    async def ended(self) -> None:
        """Wait until it has ended; raises what went wrong in it."""
        ...

    def check(self) -> None:
        """Raise what went wrong in it so far."""
        ...


class Assignment(BaseModel):
    """What a process is told."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    role: Role
    factory: str
    arguments: dict[str, JsonValue]
    job: Job
    notes: Path


class InProcess:
    """A program in a process of its own, killed by SIGKILL and stopped by SIGTERM."""

    def __init__(self, assignment: Assignment, log: Path) -> None:
        """Start it; what it writes is appended to a file."""
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__.rpartition(".")[0]],
                # What this process can import the child can, too, from the same places.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                bufsize=0,
            )
        self.id: Final = self._process.pid
        assert self._process.stdin is not None
        self._process.stdin.write(assignment.model_dump_json().encode() + b"\n")

    async def kill(self) -> None:
        """End it, and let go of it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await asyncio.to_thread(self._process.wait)
        self.check()

    def check(self) -> None:
        """Raise `AssertionError`, with what it wrote last, if it has failed."""
        code = self._process.poll()
        assert not code, f"a program ended with {code}: {self._log.read_text(errors='replace')[-3000:]}"


class InTask:
    """A program in a task of this process, killed by cancellation."""

    def __init__(self, role: Role, job: Job, transport: Transport, notes: Path) -> None:
        """Start it, on a transport that is open."""
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(run(role, job, transport, notes, self._stopping))

    async def kill(self) -> None:
        """Cancel it."""
        self._task.cancel()
        await asyncio.wait({self._task})
        self.check()

    def stop(self) -> None:
        """Ask it to end."""
        self._stopping.set()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await asyncio.wait({self._task})
        self.check()

    def check(self) -> None:
        """Raise what it raised."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()


async def run(role: Role, job: Job, transport: Transport, notes: Path, stopping: asyncio.Event) -> None:
    """Run a program until it is to stop."""
    with noting(notes) as note:
        await PROGRAMS[role](job, transport, note, stopping)
