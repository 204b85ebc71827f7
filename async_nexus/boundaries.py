"""Connects two domains in one process: a handler here is a producer there."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from typing import Any, Final, Generic

from typing_extensions import TypeVar, override

from .errors import BadCall, LoopStopped, raise_together
from .events import Event
from .handover import pack
from .queue import EventQueue
from .sources import EventProducer

E = TypeVar("E", bound=Event[Any], default=Event[Any])

logger: Final = logging.getLogger("async_nexus")


class AsyncEventBoundary(EventProducer[E], Generic[E]):
    """Carries events from one nexus to another: `a.add_handler(99, boundary)`, `b.add_producer(boundary)`.

    Each event is handled in a turn of the receiving nexus, which validates it against its own catalog.
    """

    def __init__(self, maxsize: int = 50) -> None:
        """Make a boundary that holds up to `maxsize` events. Raises `ValueError` for less than one."""
        super().__init__()
        if maxsize < 1:
            raise ValueError(f"a boundary holds at least one event, not {maxsize}")
        self._held: deque[tuple[E, AbstractContextManager[object] | None]] = deque()
        self._room = asyncio.Semaphore(maxsize)
        self._more = asyncio.Event()
        self._closed = False
        self._delivering = asyncio.Lock()

    async def handle(self, event: E, queue: EventQueue[Any], /) -> None:
        """Hold an event for the receiving domain, waiting while the boundary is full.

        Raises `BadCall` when the boundary is closed.
        """
        carried = pack()
        await self._room.acquire()
        if self._closed:
            self._room.release()  # whoever else waits for room is to hear it too
            raise BadCall(f"the boundary is closed: it does not take event {event.id} of type {event.type!r}")
        self._held.append((event, carried))
        self._more.set()

    @override
    async def start(self) -> None:
        """Deliver what is held until the boundary is closed. Raises `MisconfiguredEventProducer` without a receiver."""
        await super().start()
        while not self._closed:
            await self._deliver_held()
            self._more.clear()
            if not self._held and not self._closed:
                await self._more.wait()

    async def _deliver_held(self) -> None:
        async with self._delivering:
            while self._held:
                event, carried = self._held.popleft()
                self._room.release()
                if carried is None:
                    await self.distribute_event(event)
                else:
                    with carried:
                        await self.distribute_event(event)

    @override
    def close(self) -> Awaitable[None]:
        """Take nothing more, at once; awaited, it has delivered what was held."""
        self._closed = True
        self._room.release()
        self._more.set()
        return _Awaited(self._deliver_rest)

    async def _deliver_rest(self) -> None:
        """Deliver what is left; what no nexus takes any more is counted in a log record."""
        errors: list[Exception] = []
        while self._held:
            try:
                await self._deliver_held()
            except Exception as error:
                if isinstance(error, LoopStopped) and not self.is_received:
                    logger.warning("a boundary was closed with %d events undelivered: %s", len(self._held) + 1, error)
                    break
                errors.append(error)
        async with self._delivering:
            pass
        raise_together(errors, "events held by a closed boundary failed")


class _Awaited:
    """Starts a coroutine when it is awaited, and leaves none behind when it is not."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        return self._work().__await__()
