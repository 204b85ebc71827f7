"""What a work compares: contenders that do the same to as many events."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, TypeAlias

Send: TypeAlias = Callable[[int], Awaitable[float | None]]
"""Sends so many events and returns when all are handled: what it has measured itself, or `None` to be timed."""

Unit: TypeAlias = Literal["ns", "bytes"]


class Count:
    """How many events the handlers of one contender have seen."""

    def __init__(self) -> None:
        self.handled = 0


@dataclass(frozen=True)
class Contender:
    """One way to do a work: `prepare` sets up, gives what sends, and takes down again.

    `floor` names the contender that it is set in relation to; `None` is the first of the work.
    """

    name: str
    prepare: Callable[[Count], AbstractAsyncContextManager[Send]]
    floor: str | None = None


@dataclass(frozen=True)
class Work:
    """A task and those who do it; the first of them is the floor, to which the others are set in relation.

    Each event reaches as many handlers as `calls` says. `batch` is the smallest number of events that makes sense.
    A work that `needs` something beside this package, such as a server, is done only if it is asked for.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    calls: int = 1
    batch: int = 1
    unit: Unit = "ns"
    needs: str | None = None

    def contender(self, name: str) -> Contender:
        """Return a contender by its name. Raises `KeyError`."""
        return {each.name: each for each in self.contenders}[name]
