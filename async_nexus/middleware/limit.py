"""Limits how often one handler runs at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

from ..errors import BadCall, InvalidHandler
from .chain import check_count

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])
Task: TypeAlias = asyncio.Task[Any] | None
Place: TypeAlias = asyncio.Future[None]
"""One call's place: what it waits for until it has it."""


def limit(n: int) -> Callable[[F], F]:
    """Let the decorated handler run at most `n` times at a time; further calls wait inside their turn (K4).

    The handler keeps its signature. Calls of a method count together for all instances. Raises `InvalidHandler` for
    what is no coroutine function; the decorated handler raises `BadCall` where it would wait for nobody but itself:
    where the tasks of all that run wait for a place. A handler that awaits another task which does is not known to.
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
            try:
                return await handler(*args, **kwargs)
            finally:
                places.leave(place)

        return cast("F", limited)

    return decorate


class _Places:
    """A semaphore that knows which tasks have its places, so as to refuse a wait that could not end."""

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._taken: dict[Place, Task] = {}
        self._waiting: dict[Place, Task] = {}

    async def take(self) -> Place:
        """Take a place, or wait for one. Raises `BadCall` if nobody would leave before that."""
        place, task = asyncio.get_running_loop().create_future(), asyncio.current_task()
        if len(self._taken) < self._count:
            self._taken[place] = task
            return place
        # A task that has a place and waits goes on only when it has got another: if all do, nobody ever leaves.
        waiting = {each for place, each in self._waiting.items() if not place.done()}
        if waiting.union((task,)).issuperset(self._taken.values()):
            raise BadCall(f"{self._name} waits for itself: it is limited to {self._count} at a time")
        self._waiting[place] = task
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
        del self._taken[place]
        for waiting in self._waiting:
            if not waiting.done():  # else it was cancelled, and its call has yet to leave
                self._taken[waiting] = self._waiting.pop(waiting)
                waiting.set_result(None)
                return
