"""Handles an event once that was delivered several times."""

import asyncio
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, TypeAlias

from ..errors import BadCall
from ..events import Event, EventType, describe_event
from .chain import CallNext, Middleware, check_count, check_seconds

Mark: TypeAlias = tuple[EventType, int]

# The ends of the handlings that the running task is inside of. A task keeps those that were under way when it was born.
_inside: Final[ContextVar[frozenset[asyncio.Event]]] = ContextVar("async_nexus.handlings", default=frozenset())


def deduplicate(*, window: float = 300.0, size: int = 10_000) -> Middleware:
    """Consume events whose id and type an event had that was handled within the last `window` seconds.

    The last `size` such events are remembered. An event whose handling failed is not, so that it can come again. Of
    two that come at the same time the second waits for how the first ends; one that is ingested inside of its own
    handling is consumed. It raises `BadCall` where two events would wait for each other.
    """
    return _Deduplication(check_seconds("window", window), check_count("size", size))


class _Wait(NamedTuple):
    """Somebody who waits: for the end of which handling, and which ones cannot end before that."""

    inside: frozenset[asyncio.Event]
    ended: asyncio.Event


class _Deduplication:
    def __init__(self, window: float, size: int) -> None:
        self._window, self._size = window, size
        self._forget_at: OrderedDict[Mark, float] = OrderedDict()
        self._under_way: dict[Mark, asyncio.Event] = {}
        self._waits: list[_Wait] = []

    async def __call__(self, event: Event[Any], call_next: CallNext) -> None:
        mark = (event.type, event.id)
        while (ended := self._under_way.get(mark)) is not None:
            inside = _inside.get()
            if ended in inside:
                return
            await self._wait(_Wait(inside, ended), event)
        if self._knows(mark):
            return
        await self._handle(mark, event, call_next)

    async def _wait(self, wait: _Wait, event: Event[Any]) -> None:
        """Wait for how the handling of the same event ends. Raises `BadCall` where that waits for the running task."""
        reached = {wait.ended}
        waits = [each for each in self._waits if not each.ended.is_set()]
        while more := {each.ended for each in waits if each.inside & reached} - reached:
            reached |= more
        if wait.inside & reached:
            raise BadCall(
                f"{describe_event(event)} is being handled, which waits for an event in whose handler it came again: "
                "ingest one of the two outside of the other's handler"
            )
        self._waits.append(wait)
        try:
            await wait.ended.wait()
        finally:
            self._waits.remove(wait)

    async def _handle(self, mark: Mark, event: Event[Any], call_next: CallNext) -> None:
        self._under_way[mark] = ended = asyncio.Event()
        token = _inside.set(_inside.get() | {ended})
        try:
            await call_next(event)
            self._remember(mark)
        finally:
            _inside.reset(token)
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
