"""The queue of events that users see; `handler_queue` has the one that a handler is given."""

import asyncio
import heapq
import itertools
from collections.abc import Iterator
from typing import Any, Generic, TypeAlias

from typing_extensions import TypeVar, override

from .events import Event

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Any)

Entry: TypeAlias = tuple[int, int, Event[Any]]
"""An event with its rank: priority, then arrival."""


class EventQueue(asyncio.Queue[Event[Any]], Generic[E_contra]):
    """An `asyncio.Queue` of events that hands out the lowest `priority` first, then what arrived first.

    Made by hand it is just a queue. The one that a handler is given validates what is put.
    """

    @override
    async def put(self, item: E_contra) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] # narrower on purpose: a handler puts what its domain holds
        """Put an event, waiting while the queue is full."""
        await super().put(item)

    @override
    def put_nowait(self, item: E_contra) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] # as `put`
        """Put an event. Raises `asyncio.QueueFull` where there is no room."""
        super().put_nowait(item)

    # What `asyncio.Queue` lets its subclasses keep in their own way.

    @override
    def _init(self, maxsize: int) -> None:
        self.entries: list[Entry] = []
        self._arrivals: Iterator[int] = itertools.count()

    @override
    def _put(self, item: Event[Any]) -> None:
        if not isinstance(item, Event):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"an EventQueue holds events, not {type(item).__name__}")
        heapq.heappush(self.entries, (item.priority, next(self._arrivals), item))

    @override
    def _get(self) -> Event[Any]:
        return heapq.heappop(self.entries)[2]

    @override
    def qsize(self) -> int:
        """Count the events in the queue."""
        return len(self.entries)

    @override
    def empty(self) -> bool:
        """Whether there is nothing to get."""
        return not self.entries
