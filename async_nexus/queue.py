"""The queue that a handler puts secondary events on."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, NoReturn, TypeAlias

from typing_extensions import TypeVar, override

from .errors import BadCall
from .events import Event, new_object

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Any)

Entry: TypeAlias = tuple[int, int, Event[Any]]
"""An event with its rank: priority, then arrival."""


class EventQueue(asyncio.Queue[Event[Any]], Generic[E_contra]):
    """An `asyncio.Queue` of events that hands out the lowest `priority` first, then what arrived first.

    Made by hand it is just a queue. The one that a handler is given validates what is put.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._arrivals: Iterator[int] = itertools.count()
        self.entries: list[Entry] = []
        super().__init__(maxsize)

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
        """Keep the entries: a handler's queue has some before it becomes a whole `asyncio.Queue`."""

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


class _Late:
    """An attribute of `asyncio.Queue` that a handler's queue has when it is first asked for.

    Unlike a `__getattr__`, it slows down no other attribute.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, queue: "HandlerQueue", owner: type) -> Any:
        queue.become_whole()
        return getattr(queue, self._name)


class HandlerQueue(EventQueue[Any]):
    """The queue of one call of one handler; it ends with that call.

    It costs four attributes: what else an `asyncio.Queue` has is made when something first asks for it.
    """

    _finished: asyncio.Event

    _validate: Callable[[Event[Any]], Event[Any]]
    _is_whole: bool

    @staticmethod
    def open(validate: Callable[[Event[Any]], Event[Any]], arrivals: Iterator[int]) -> "HandlerQueue":
        """Make the queue of a call: to call the class would cost more than all that is in it."""
        queue: HandlerQueue = new_object(HandlerQueue)
        queue._validate = validate
        queue._arrivals = arrivals
        queue._is_whole = False
        queue.entries = []
        return queue

    def become_whole(self) -> None:
        """Make what `open` left out, as if it had been there from the start."""
        self._is_whole = True
        asyncio.Queue[Event[Any]].__init__(self)
        heapq.heapify(self.entries)
        self._unfinished_tasks = len(self.entries)
        if self.entries:
            self._finished.clear()

    @override
    async def put(self, item: Event[Any]) -> None:
        """Validate and put a secondary event, see `put_nowait`; it never waits."""
        validate = self._validate  # called as a method is, what an instance holds costs more
        event = validate(item)
        if self._is_whole:
            EventQueue.put_nowait(self, event)
        else:  # as `put_nowait` does, without its call
            self.entries.append((event.priority, next(self._arrivals), event))

    @override
    def put_nowait(self, item: Event[Any]) -> None:
        """Validate and put a secondary event.

        Raises `InvalidPayload` for a payload that does not fit, `BadCall` once the handler has ended.
        """
        event = self._validate(item)
        if self._is_whole:
            super().put_nowait(event)
        else:
            self.entries.append((event.priority, next(self._arrivals), event))

    def close(self) -> None:
        """End with the handler: what a task puts later raises `BadCall`."""
        self._validate = refuse


for _name in vars(asyncio.Queue[Any]()):
    setattr(HandlerQueue, _name, _Late(_name))


open_queue: Final = HandlerQueue.open


def refuse(event: Event[Any]) -> NoReturn:
    """Stand in for validation once the handler that the queue belonged to has ended."""
    raise BadCall(
        f"event {event.id} of type {event.type!r} was put on the queue of a handler that has ended: "
        "put before it returns, or ingest the event"
    )
