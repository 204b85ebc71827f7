"""A source that ticks."""

import asyncio
import itertools
import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, overload

from typing_extensions import TypeVar, override

from .errors import MultipleStart
from .events import Event, EventClass, EventFactory, EventType
from .sources import EventProducer

E_co = TypeVar("E_co", bound=Event[Any], covariant=True, default=Event[int])


class TimerType(IntEnum):
    """How a timer counts."""

    COUNT_UP = 1
    COUNT_DOWN = 2
    ONGOING = 3
    ONE_SHOT = 4


class Timer(EventProducer[E_co]):
    """Emits an event with a number for its payload, once or every `interval` seconds.

    `ONE_SHOT` emits 1; `COUNT_UP` 1 to `count`; `COUNT_DOWN` `count` - 1 to 0; `ONGOING` 1, 2, … without
    end. The first comes after one interval. Ticks keep to their schedule: one that is late, because the one
    before was still being handled, comes at once.
    """

    COUNT_UP: Final = TimerType.COUNT_UP
    COUNT_DOWN: Final = TimerType.COUNT_DOWN
    ONGOING: Final = TimerType.ONGOING
    ONE_SHOT: Final = TimerType.ONE_SHOT

    @overload
    def __init__(
        self: "Timer[Event[int]]",
        interval: float,
        *,
        event_type: EventType,
        type: TimerType = ONE_SHOT,
        count: int = 0,
        event_factory: EventFactory,
    ) -> None: ...
    @overload
    def __init__(
        self,
        interval: float,
        *,
        event_type: EventClass[int, E_co],
        type: TimerType = ONE_SHOT,
        count: int = 0,
        event_factory: EventFactory,
    ) -> None: ...
    def __init__(
        self,
        interval: float,
        *,
        event_type: EventType | EventClass[int, Any],
        type: TimerType = ONE_SHOT,
        count: int = 0,
        event_factory: EventFactory,
    ) -> None:
        """Make a timer of `interval` seconds.

        Raises `ValueError` for an interval that is not positive and finite, or a count that the type has
        no use for.
        """
        super().__init__(event_factory)
        if not (interval > 0 and math.isfinite(interval)):
            raise ValueError(f"a timer's interval is a positive, finite number of seconds, not {interval}")
        self._interval = interval
        self._event_type = event_type
        self._values = _count(TimerType(type), count)
        self._halt: asyncio.Future[None] | None = None

    @property
    def event_type(self) -> EventType | EventClass[int, Any]:
        """The key or the event class of what the timer emits."""
        return self._event_type

    @override
    async def start(self) -> None:
        """Start ticking, from the first number. Raises `MultipleStart` while it runs."""
        await super().start()
        if self._halt is not None and not self._halt.done():
            raise MultipleStart("the timer is running: stop it before it is started again")
        halt = asyncio.get_running_loop().create_future()
        self.spawn(self._tick(halt))
        self._halt = halt

    def stop(self) -> bool:
        """Stop ticking; a tick that is being handled goes on. Tells whether the timer was still running."""
        if self._halt is None or self._halt.done():
            return False
        self._halt.set_result(None)
        return True

    @override
    def close(self) -> None:
        """Stop ticking."""
        self.stop()

    async def _tick(self, halt: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            for index, value in enumerate(self._values, 1):
                await asyncio.wait((halt,), timeout=max(0.0, start + index * self._interval - loop.time()))
                if halt.done():
                    return
                event: Any = self.event_factory.create_event(value, event_type=self._event_type)
                await self.distribute_event(event)
        finally:
            if not halt.done():
                halt.set_result(None)


def _count(kind: TimerType, count: int) -> Iterable[int]:
    """The numbers of one run. Raises `ValueError` for a count that does not fit."""
    if isinstance(count, bool) or not isinstance(count, int):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
        raise ValueError(f"a timer's count is an int, not {count!r}")
    counts = kind in (TimerType.COUNT_UP, TimerType.COUNT_DOWN)
    if count < 0 or (counts and count == 0) or (not counts and count > (kind is TimerType.ONE_SHOT)):
        expected = "a positive count" if counts else "no count"
        raise ValueError(f"a timer of type {kind.name} takes {expected}, not {count}")
    if kind is TimerType.ONGOING:
        return _Endless()
    return range(count - 1, -1, -1) if kind is TimerType.COUNT_DOWN else range(1, max(count, 1) + 1)


class _Endless:
    """1, 2, …, anew for each run."""

    def __iter__(self) -> "itertools.count[int]":
        return itertools.count(1)
