"""What is noted of an event on its way, for whoever watches a nexus."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from .events import Event
from .failures import FailedEvent


class Step(StrEnum):
    """What happened to an event."""

    INGESTED = "ingested"
    """It came from outside and its payload is valid; its turn may not have begun."""

    PUT = "put"
    """It is a secondary event of a handler that has succeeded (T3)."""

    PASSED = "passed"
    """The filters let it pass: what handles it is called next. Noted once, as handlers get it (M4)."""

    CALLING = "calling"
    """A filter or handler is called with it."""

    CALLED = "called"
    """That call has ended, one way or another."""

    HANDLED = "handled"
    """Filters, handlers and middleware are through with it, and none of them failed."""

    ENDED = "ended"
    """It failed, and nothing more is called with it."""

    FAILED = "failed"
    """Its payload is invalid, or something raised; whether an error handler then dealt with it does not matter."""

    INTERRUPTED = "interrupted"
    """Its turn was ended at once, or never begun: cancelled or cut off (T3, T5, L3)."""


CLOSE: Final = (Step.PASSED, Step.CALLING, Step.CALLED, Step.ENDED)
"""The steps of which only those are told who watch closely."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of a filter or handler; what follows its beginning is set when it has ended."""

    handler: str
    """Its name."""

    is_filter: bool

    began: float
    """When, by the clock of the event loop."""

    took: float | None = None
    """How many seconds; `None` while it runs."""

    consumed: bool = False
    """Whether it was a filter that consumed the event (D2)."""

    error: BaseException | None = None
    """What it raised."""


@dataclass(frozen=True, slots=True)
class Note:
    """One step of one event."""

    step: Step
    event: Event[Any]

    cause: Event[Any] | None = None
    """PUT: the event whose handler put this one."""

    failure: FailedEvent | None = None
    """What went wrong, of `FAILED`."""

    call: Call | None = None
    """CALLING and CALLED: the call; both have the same."""


Watch: TypeAlias = Callable[[Note], None]
"""Is told of each step, while it happens. One that raises is logged, and told no more."""
