"""Limits how often one handler runs at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

from ..errors import BadCall, InvalidHandler
from .chain import check_count

Task: TypeAlias = asyncio.Task[Any] | None
F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])


def limit(n: int) -> Callable[[F], F]:
    """Let the decorated handler run at most `n` times at a time; further calls wait inside their turn (K4).

    The handler keeps its signature. Calls of a method count together for all instances. Raises `InvalidHandler` for
    what is no coroutine function; the decorated handler raises `BadCall` where it would wait for nobody but itself.
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
            async with places:
                return await handler(*args, **kwargs)

        return cast("F", limited)

    return decorate


class _Places:
    """A semaphore that knows who holds its places, so as to refuse a wait that could not end."""

    def __init__(self, count: int, name: str) -> None:
        self._count, self._free, self._name = count, count, name
        self._holding: Counter[Task] = Counter()
        self._waiting: dict[Task, asyncio.Future[None]] = {}

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if self._free:
            self._free -= 1
            self._holding[task] += 1
            return
        # A task that holds a place and waits goes on only when it has got another: if all do, nobody ever leaves.
        if self._holding.keys() <= {*self._waiting, task}:
            raise BadCall(f"{self._name} waits for itself: it is limited to {self._count} at a time")
        await self._wait(task)

    async def _wait(self, task: Task) -> None:
        """Wait for a place, which `_hand_over` then books."""
        self._waiting[task] = freed = asyncio.get_running_loop().create_future()
        try:
            await freed
        except asyncio.CancelledError:
            if self._waiting.pop(task, None) is None:  # it was this task's turn already
                self._hand_over(task)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._hand_over(asyncio.current_task())

    def _hand_over(self, task: Task) -> None:
        """Give a place to who waits for the longest time; nobody can slip in between."""
        self._holding[task] -= 1
        if not self._holding[task]:
            del self._holding[task]
        for waiter, freed in self._waiting.items():
            if not freed.done():  # else it was cancelled, and its call has yet to leave
                del self._waiting[waiter]
                self._holding[waiter] += 1
                freed.set_result(None)
                return
        self._free += 1
