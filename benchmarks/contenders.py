"""What a work compares: contenders that do the same to as many events."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

Send: TypeAlias = Callable[[int], Awaitable[None]]
"""Sends so many events and returns when all are handled."""


class Count:
    """How many events the handlers of one contender have seen."""

    def __init__(self) -> None:
        self.handled = 0


@dataclass(frozen=True)
class Contender:
    """One way to do a work: `prepare` sets up, gives what sends, and takes down again."""

    name: str
    prepare: Callable[[Count], AbstractAsyncContextManager[Send]]


@dataclass(frozen=True)
class Work:
    """A task and those who do it; the first of them is the floor, to which the others are set in relation."""

    name: str
    title: str
    contenders: tuple[Contender, ...]
