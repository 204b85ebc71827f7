"""Limits how often one handler runs at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

from ..errors import BadCall, InvalidHandler
from .chain import check_count

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])
Place: TypeAlias = asyncio.Future[None]
"""One call's place: what it waits for until it has it."""

# The places that the running task is inside of. A task keeps those that were taken when it was born.
_inside: Final[ContextVar[frozenset[Place]]] = ContextVar("async_nexus.places", default=frozenset())


def limit(n: int) -> Callable[[F], F]:
    """Let the decorated handler run at most `n` times at a time; further calls wait inside their turn (K4).

    The handler keeps its signature. Calls of a method count together for all instances. Raises `InvalidHandler` for
    what is no coroutine function; the decorated handler raises `BadCall` where it would wait for nobody but itself:
    where all that run are calls inside of which, or in a task born there, somebody waits for a place.
    """
    check_count("limit", n)

    def decorate(handler: F) -> F:
        if not iscoroutinefunction(handler):
            raise InvalidHandler(f"{handler!r} is no `async def` function: only such can overlap, and be limited")
        everywhere: WeakKeyDictionary[asyncio.AbstractEventLoop, _Places] = WeakKeyDictionary()

        @wraps(handler)
        async def limited(*args: Any, **kwargs: Any) -> Any:
            loop = asyncio.get_running_loop()
            places = everywhere.get(loop) or everywhere.setdefault(loop, _Places(n, handler.__qualname__))
            place = await places.take()
            token = _inside.set(_inside.get() | {place})
            try:
                return await handler(*args, **kwargs)
            finally:
                _inside.reset(token)
                places.leave(place)

        return cast("F", limited)

    return decorate


class _Places:
    """A semaphore that knows whose places are taken, so as to refuse a wait that could not end."""

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._taken: set[Place] = set()
        self._waiting: dict[Place, frozenset[Place]] = {}  # who waits, and the places that it is inside of

    async def take(self) -> Place:
        """Take a place, or wait for one. Raises `BadCall` if nobody would leave before that."""
        place = asyncio.get_running_loop().create_future()
        if len(self._taken) < self._count:
            self._taken.add(place)
        else:
            inside = _inside.get()
            # A place is left when the calls inside of it have ended; if somebody waits inside of each, none ever is.
            if self._taken <= inside.union(*(each for waiting, each in self._waiting.items() if not waiting.done())):
                raise BadCall(f"{self._name} waits for itself: it is limited to {self._count} at a time")
            self._waiting[place] = inside
            await self._wait(place)
        return place

    async def _wait(self, place: Place) -> None:
        try:
            await place
        except asyncio.CancelledError:
            if self._waiting.pop(place, None) is None:  # it had been handed over already
                self.leave(place)
            raise

    def leave(self, place: Place) -> None:
        """Give a place to who waits for the longest time; nobody can slip in between."""
        self._taken.remove(place)
        for waiting in self._waiting:
            if not waiting.done():  # else it was cancelled, and its call has yet to leave
                del self._waiting[waiting]
                self._taken.add(waiting)
                waiting.set_result(None)
                return
