"""Runs the programs in processes of their own, which end when their parent does, however it ends."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue

from .engines import make_transport
from .programs import Job, consume, produce

PROGRAMS: Final = {"consume": consume, "produce": produce}


class Assignment(BaseModel):
    """What a process is told: which program, with which transport."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    program: Literal["consume", "produce"]
    factory: str
    arguments: dict[str, JsonValue]
    job: Job


class Child:
    """A process that runs a program: `with Child(assignment, log) as child`; it is gone when the block ends."""

    def __init__(self, assignment: Assignment, log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                # What this process can import the child can, too, from the same places.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._stdin.write(assignment.model_dump_json().encode() + b"\n")
        self._stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._stdin.close()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def has_ended(self) -> bool:
        """Whether it has ended well. Raises `AssertionError`, with what it wrote last, if it has failed."""
        code = self._process.poll()
        assert not code, f"a program ended with {code}: {self._log.read_text(errors='replace')[-3000:]}"
        return code is not None


async def _run(assignment: Assignment) -> None:
    async with make_transport(assignment.factory, assignment.arguments) as transport:
        await PROGRAMS[assignment.program](assignment.job, transport)


def _end_with_parent() -> None:
    """End at once when the other end of standard input is closed."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Do what the first line of standard input says."""
    assignment = Assignment.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_run(assignment))


if __name__ == "__main__":
    main()
