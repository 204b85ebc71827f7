"""Limits how long one event may be handled."""

import asyncio
from typing import Any

from ..events import Event, describe_event
from .chain import CallNext, Middleware, check_seconds


def timeout(seconds: float) -> Middleware:
    """Cancel handlers that take longer than `seconds`; the event then fails with a `TimeoutError` that names it.

    The limit is for each event: a secondary event has its own. Outside of `retry` it spans all attempts, inside each.
    """
    check_seconds("timeout", seconds)

    async def within_time(event: Event[Any], call_next: CallNext) -> None:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await call_next(event)
        except TimeoutError as error:
            if not limit.expired():  # a handler's own
                raise
            raise TimeoutError(f"{describe_event(event)} was not handled within {seconds:g} s") from error

    return within_time
