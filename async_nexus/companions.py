"""What lives with a nexus, beside its sources: it is told when the nexus starts, winds up and has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

IsBringing: TypeAlias = Callable[[set[asyncio.Task[Any] | None]], bool]
"""Tells whether anybody but these tasks, which wait for events, is about to bring some that are not in line yet."""


class Companion:
    """What lives with a nexus: each of these is called in its time, and does nothing by itself."""

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin: the nexus takes events from now on."""

    async def prepare(self) -> None:
        """Do what comes before the sources are started; what is raised stops the nexus."""

    def wind_up(self, is_bringing: IsBringing) -> None:
        """Take note that nothing more comes from outside, but for what `is_bringing` tells of."""

    def is_bringing(self) -> bool:
        """Whether events are on their way that are not in line yet."""
        return False

    def has_work(self) -> bool:
        """Whether there is something left for `settle` to wait for."""
        return False

    async def settle(self) -> None:
        """Wait until what came before the nexus was stopped has been handled."""

    async def close(self) -> None:
        """Let go of resources: everything has been handled. What is raised is raised from the loop."""

    def end(self) -> None:
        """End, perhaps more than once: the nexus takes no more events."""


class Companions:
    """All of a nexus's companions, in the order in which they came."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        """Give `failed` what goes wrong in one of them."""
        self._all: list[Companion] = []
        self._failed = failed

    def add(self, companion: Companion) -> None:
        """Take one in."""
        self._all.append(companion)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have each begin."""
        for companion in self._all:
            companion.begin(loop)

    async def prepare(self) -> None:
        """Have each prepare."""
        await self._each(lambda companion: companion.prepare())

    def wind_up(self, is_bringing: IsBringing) -> None:
        """Tell each that nothing more comes from outside but from companions, and what `is_bringing` tells of."""
        for companion in self._all:
            companion.wind_up(
                lambda waiting: is_bringing(waiting) or any(companion.is_bringing() for companion in self._all)
            )

    async def settle(self, quiet: Callable[[], Awaitable[None]]) -> None:
        """Wait, with each and for what they bring, until none has work left."""
        await quiet()
        while any(companion.has_work() for companion in self._all):
            for companion in self._all:
                await companion.settle()
            await quiet()

    async def close(self) -> None:
        """Have each let go of what it has."""
        await self._each(lambda companion: companion.close())

    def end(self) -> None:
        """Have each end."""
        for companion in self._all:
            companion.end()

    async def _each(self, call: Callable[[Companion], Awaitable[None]]) -> None:
        for companion in self._all:
            try:
                await call(companion)
            except Exception as error:
                self._failed(error)
