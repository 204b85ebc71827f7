"""Lets what surrounds the handling of an event go with it to the task that handles it next.

Context variables follow an event as long as it stays in one task and in those born there. Whatever hands it to a task
of another origin, as a boundary does, asks here what is to go along.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final

carrier: Final[ContextVar[Callable[[], AbstractContextManager[object]] | None]] = ContextVar(
    "async_nexus.carrier", default=None
)
"""Called where an event is handed over; what it gives is entered, once, around the handling in the other task.

Middleware sets it around `call_next`; if there is one already, the new one calls it too.
"""


traceparent: Final[ContextVar[str | None]] = ContextVar("async_nexus.traceparent", default=None)
"""The trace that the handling of an event is part of, as W3C's Trace Context writes it.

Middleware that traces sets it; a boundary to another process sends it along, and sets there what came with an event.
"""


def pack() -> AbstractContextManager[object] | None:
    """Take what is to go with an event that is being handed over: nothing where no middleware carries anything."""
    carry = carrier.get()
    return None if carry is None else carry()
