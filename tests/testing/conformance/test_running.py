"""Programs in processes: they do their work, are stopped and killed, say what went wrong, and never outlive a test."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from async_nexus.testing.conformance.programs import Job, Role, noted
from async_nexus.testing.conformance.running import Assignment, InProcess

JOB = Job(channel="orders", events=20, poison=0.1, failures=0, in_flight=4, seed=1)
MEMORY = "async_nexus.transports.memory:MemoryTransport"


def assignment(role: Role, directory: Path, factory: str = MEMORY) -> Assignment:
    """A program over a transport that begins empty."""
    return Assignment(role=role, factory=factory, arguments={}, job=JOB, notes=directory / "notes")


def is_alive(process: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
async def test_a_producer_ends_by_itself(tmp_path: Path) -> None:
    """It has noted what was confirmed."""
    program = InProcess(assignment("produce", tmp_path), tmp_path / "log")
    try:
        await program.ended()
    finally:
        await program.kill()
    assert sorted(noted(tmp_path / "notes")) == list(range(20))
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.slow
async def test_a_consumer_ends_when_it_is_stopped(tmp_path: Path) -> None:
    """It ends in good order; before, it waits for more."""
    program = InProcess(assignment("consume", tmp_path), tmp_path / "log")
    try:
        while not (tmp_path / "notes").exists():  # noqa: ASYNC110 # a file has no event to wait for
            await asyncio.sleep(0.02)
        program.check()
        program.stop()
        await program.ended()
    finally:
        await program.kill()


@pytest.mark.slow
async def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    """A program that fails is an assertion that fails, with what it wrote."""
    program = InProcess(assignment("consume", tmp_path, "no_such_module:Transport"), tmp_path / "log")
    try:
        with pytest.raises(AssertionError, match="No module named 'no_such_module'"):
            await program.ended()
    finally:
        await program.kill()


async def test_killed_is_reaped(tmp_path: Path) -> None:
    """No process is left, not even as a zombie; killing it again does nothing."""
    program = InProcess(assignment("consume", tmp_path), tmp_path / "log")
    assert is_alive(program.id)
    await program.kill()
    assert not is_alive(program.id)
    await program.kill()


@pytest.mark.slow
def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """A test run that is killed leaves no programs behind."""
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "from async_nexus.testing.conformance.running import Assignment, InProcess\n"
        "assignment = Assignment.model_validate_json(sys.argv[1])\n"
        "program = InProcess(assignment, Path(sys.argv[2]))\n"
        "print(program.id, flush=True)\n"
        "while not assignment.notes.exists(): time.sleep(0.02)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, assignment("consume", tmp_path).model_dump_json(), tmp_path / "log"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    process = int(done.stdout)
    with (tmp_path / "log").open() as log:
        assert log.read() == ""
    deadline = time.monotonic() + 60
    while is_alive(process):
        assert time.monotonic() < deadline, "the program outlives its parent"
        time.sleep(0.02)
