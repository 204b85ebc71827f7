"""Trying again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
import stamina

from async_nexus import Event
from async_nexus.middleware import retry
from async_nexus.testing import run

EVENT = Event(1, 99, 0, None)


@pytest.fixture(autouse=True)
def _no_hooks() -> Iterator[None]:
    stamina.instrumentation.set_on_retry_hooks(())
    yield
    stamina.instrumentation.set_on_retry_hooks(None)


def failing(*errors: BaseException) -> tuple[list[float], Callable[[Event], Awaitable[None]]]:
    """Make a handler that raises one error after another, then succeeds; and the times of its calls."""
    times: list[float] = []
    left = list(errors)

    async def handler(_: Event) -> None:
        times.append(asyncio.get_running_loop().time())
        if left:
            raise left.pop(0)

    return times, handler


def test_a_failure_is_tried_again_ever_later() -> None:
    """M3: each attempt is one more call of `call_next`, after waits that double up to their bound."""
    times, handler = failing(OSError(), OSError(), OSError())
    run(retry(OSError, attempts=4, wait_initial=1, wait_max=3, wait_jitter=0)(EVENT, handler))
    assert times == [0, 1, 3, 6]


def test_the_last_attempts_error_is_raised() -> None:
    """M2: when all attempts have failed the event fails with what the last one raised."""
    last = OSError("last")
    times, handler = failing(OSError("first"), last, OSError("never"))
    with pytest.raises(OSError, match="last") as caught:
        run(retry(OSError, attempts=2)(EVENT, handler))
    assert caught.value is last
    assert len(times) == 2


def test_other_errors_are_not_tried_again() -> None:
    """A handler's bug is not repeated."""
    times, handler = failing(KeyError("bug"))
    with pytest.raises(KeyError):
        run(retry((OSError, TimeoutError))(EVENT, handler))
    assert times == [0]


def test_a_group_is_tried_again_only_if_all_its_members_are() -> None:
    """M2: errors of several handlers come as one group, in which one bug is enough to stop."""
    times, handler = failing(ExceptionGroup("", [OSError(), OSError()]), ExceptionGroup("", [OSError(), KeyError()]))
    with pytest.raises(ExceptionGroup):
        run(retry(OSError, attempts=5, wait_jitter=0)(EVENT, handler))
    assert len(times) == 2


def test_a_cancellation_is_not_tried_again() -> None:
    """F5: `CancelledError` ends the turn at once."""
    times, handler = failing(asyncio.CancelledError())

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await retry(Exception)(EVENT, handler)

    run(main())
    assert times == [0]


@pytest.mark.parametrize("setting", ["attempts", "wait_initial", "wait_max", "wait_jitter"])
def test_settings_that_make_no_sense_are_refused(setting: str) -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match=setting):
        retry(OSError, **{setting: -1})
