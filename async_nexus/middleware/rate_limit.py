"""Limits how many events are handled in a time."""

import asyncio
from collections import deque
from typing import Any

from ..events import Event
from .chain import CallNext, Middleware, check_count, check_seconds


def rate_limit(rate: int, per: float = 1.0) -> Middleware:
    """Let the handling of at most `rate` events begin in any `per` seconds; further ones wait, first come first served.

    Who waits holds its turn, so whoever ingests is slowed down (T6).
    """
    return _RateLimit(check_count("rate", rate), check_seconds("per", per))


class _RateLimit:
    # aiolimiter sets its wake-ups by sums of floats, which on a clock that stands still may never come due.
    def __init__(self, rate: int, per: float) -> None:
        self._per = per
        self._begun: deque[float] = deque(maxlen=rate)
        self._next_one = asyncio.Lock()

    async def __call__(self, event: Event[Any], call_next: CallNext) -> None:
        async with self._next_one:
            await self._room()
            self._begun.append(asyncio.get_running_loop().time())
        await call_next(event)

    async def _room(self) -> None:
        """Wait until the oldest of the last `rate` events began long enough ago."""
        if len(self._begun) == self._begun.maxlen:
            loop = asyncio.get_running_loop()
            free_at = self._begun[0] + self._per
            if free_at > loop.time():
                due = loop.create_future()
                timer = loop.call_at(free_at, _end, due)
                try:
                    await due
                finally:
                    timer.cancel()


def _end(due: asyncio.Future[None]) -> None:
    if not due.done():  # who waits may have been cancelled just before
        due.set_result(None)
