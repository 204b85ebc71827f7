"""What is noted of an event on its way, for whoever watches a nexus."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from .events import Event
from .failures import FailedEvent


class Step(StrEnum):
    """What happened to an event."""

    INGESTED = "ingested"
    """It came from outside and its payload is valid; its turn may not have begun."""

    PUT = "put"
    """It is a secondary event of a handler that has succeeded (T3)."""

    HANDLED = "handled"
    """Filters, handlers and middleware are through with it, and none of them failed."""

    FAILED = "failed"
    """Its payload is invalid, or something raised; whether an error handler then dealt with it does not matter."""

    INTERRUPTED = "interrupted"
    """Its turn was ended at once, or never begun: cancelled or cut off (T3, T5, L3)."""


@dataclass(frozen=True, slots=True)
class Note:
    """One step of one event."""

    step: Step
    event: Event[Any]

    cause: Event[Any] | None = None
    """PUT: the event whose handler put this one."""

    failure: FailedEvent | None = None
    """FAILED: what went wrong."""


Watch: TypeAlias = Callable[[Note], None]
"""Is told of every step, while it happens; what it raises ends the turn, so it had better not."""
