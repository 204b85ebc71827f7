"""The time limit of one event."""

import asyncio
import math

import pytest

from async_nexus import Event
from async_nexus.middleware import timeout
from async_nexus.testing import run

EVENT = Event(7, "brew", 0, "secret")


async def two_seconds(_: Event) -> None:
    """Take two seconds."""
    await asyncio.sleep(2)


def test_what_is_fast_enough_is_left_alone() -> None:
    """M1: a handler that ends in time is not cut off."""
    run(timeout(2.5)(EVENT, two_seconds))


def test_what_takes_too_long_raises_an_error_that_names_the_event() -> None:
    """M2: the event fails with a `TimeoutError` of its id and type, without its payload."""
    with pytest.raises(TimeoutError, match=r"^event 7 of type brew was not handled within 1\.5 s$"):
        run(timeout(1.5)(EVENT, two_seconds))


def test_the_handler_is_cancelled_when_its_time_is_over() -> None:
    """M2: the handler does not go on after its event has failed."""
    ended: list[float] = []

    async def main() -> None:
        async def handler(_: Event) -> None:
            try:
                await asyncio.sleep(9)
            finally:
                ended.append(asyncio.get_running_loop().time())

        with pytest.raises(TimeoutError):
            await timeout(1)(EVENT, handler)

    run(main())
    assert ended == [1.0]


def test_a_handlers_own_timeout_error_stays_itself() -> None:
    """D6: no error of user code is turned into another."""
    own = TimeoutError("mine")

    async def handler(_: Event) -> None:
        raise own

    with pytest.raises(TimeoutError) as caught:
        run(timeout(1)(EVENT, handler))
    assert caught.value is own


def test_cancelling_the_ingest_is_no_timeout() -> None:
    """F5: a cancellation from outside goes through as itself."""

    async def main() -> None:
        task = asyncio.create_task(timeout(5)(EVENT, two_seconds))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_a_limit_that_is_no_time_is_refused(seconds: float) -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match="positive number of seconds"):
        timeout(seconds)
