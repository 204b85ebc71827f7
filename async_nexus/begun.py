"""Coroutines that begin in any case, also where their task is cancelled before: `asyncio.run` does that at its end."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Begun(Coroutine[Any, Any, T]):
    """Runs a coroutine in whose task a cancellation is raised no sooner than where it waits for the first time."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._has_begun = False

    @override
    def send(self, value: Any) -> Any:
        self._has_begun = True
        return self._coroutine.send(value)

    @override
    def throw(self, *args: Any) -> Any:
        task = asyncio.current_task()
        if self._has_begun or task is None:
            return self._coroutine.throw(*args)
        first = self.send(None)
        # Asked for once more, it is raised by what is waited for; of the requests to cancel that is the same one.
        task.cancel()
        task.uncancel()
        return first

    @override
    def close(self) -> None:
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        """Look to debuggers like the coroutine itself."""
        return getattr(self._coroutine, name)

    @override
    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()
