"""Handles an event once that was delivered several times."""

import asyncio
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from ..events import Event, EventType
from .chain import CallNext, Middleware, check_count, check_seconds

Mark: TypeAlias = tuple[EventType, int]

# The events that the running task is handling, as any deduplication sees them.
_handling: Final[ContextVar[frozenset[tuple[object, Mark]]]] = ContextVar("async_nexus.handling", default=frozenset())


def deduplicate(*, window: float = 300.0, size: int = 10_000) -> Middleware:
    """Consume events whose id and type an event had that was handled within the last `window` seconds.

    The last `size` such events are remembered. An event whose handling failed is not, so that it can come again. Of
    two that come at the same time the second waits for how the first ends.
    """
    return _Deduplication(check_seconds("window", window), check_count("size", size))


class _Deduplication:
    def __init__(self, window: float, size: int) -> None:
        self._window, self._size = window, size
        self._forget_at: OrderedDict[Mark, float] = OrderedDict()
        self._under_way: dict[Mark, asyncio.Event] = {}

    async def __call__(self, event: Event[Any], call_next: CallNext) -> None:
        mark = (event.type, event.id)
        while (ended := self._under_way.get(mark)) is not None:
            # Whoever is inside of the handling of an event does not wait for another: they could wait for each other.
            if any(each is self for each, _ in _handling.get()):
                return
            await ended.wait()
        if self._knows(mark):
            return
        await self._handle(mark, event, call_next)

    async def _handle(self, mark: Mark, event: Event[Any], call_next: CallNext) -> None:
        self._under_way[mark] = ended = asyncio.Event()
        token = _handling.set(_handling.get() | {(self, mark)})
        try:
            await call_next(event)
            self._remember(mark)
        finally:
            _handling.reset(token)
            del self._under_way[mark]
            ended.set()

    def _knows(self, mark: Mark) -> bool:
        now = asyncio.get_running_loop().time()
        while self._forget_at and next(iter(self._forget_at.values())) <= now:
            self._forget_at.popitem(last=False)
        return mark in self._forget_at

    def _remember(self, mark: Mark) -> None:
        self._forget_at[mark] = asyncio.get_running_loop().time() + self._window
        if len(self._forget_at) > self._size:
            self._forget_at.popitem(last=False)
