"""Coroutines that begin although their task was cancelled before."""

import asyncio

import pytest

from async_nexus.begun import Begun
from async_nexus.testing import run


async def work(steps: list[str], waits: bool) -> str:
    """Note how far it comes."""
    steps.append("begun")
    try:
        if waits:
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        steps.append("cancelled")
        raise
    return "done"


@pytest.mark.parametrize("when", ["before it begins", "while it waits"])
def test_a_cancellation_meets_it_where_it_waits(when: str) -> None:
    """It is cancelled once, and ends so."""
    steps: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(Begun(work(steps, waits=True)))
        if when == "while it waits":
            await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait((task,))
        assert (task.cancelled(), task.cancelling()) == (True, 1)

    run(main())
    assert steps == ["begun", "cancelled"]


def test_what_never_waits_is_done() -> None:
    """There is nowhere for the cancellation to be raised."""
    steps: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(Begun(work(steps, waits=False)))
        task.cancel()
        assert await task == "done"

    run(main())
    assert steps == ["begun"]


def test_it_is_awaited_and_looks_like_the_coroutine() -> None:
    """Debuggers and `repr` of its task name the function."""

    async def main() -> None:
        assert await Begun(work([], waits=True)) == "done"
        task = asyncio.create_task(Begun(work([], waits=True)))
        assert "coro=<work()" in repr(task)
        await task

    run(main())
